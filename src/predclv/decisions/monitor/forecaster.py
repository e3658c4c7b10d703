"""What a fitted model says of customers at a date, in plain arrays and chunks: chances, value, and value to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.batch.memory import release_unused
from predclv.data.columns import histories, mean_spend
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.snapshots import Pairing
from predclv.decisions.monitor.sources import ROWS, stretches
from predclv.forecast import purchases
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.portfolio import number_of_draws
from predclv.forecast.spend import mean_expected_spend
from predclv.inference.posterior import Posterior, paired_draws
from predclv.models.estimates import CUSTOMER_DRAWS, MEAN_DRAWS, choose_theta
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.pair import Pair
from predclv.models.transactions import TransactionModel
from predclv.models.valuation import seed_of_part

__all__ = ["Forecaster", "Piece", "Totals"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Piece(NamedTuple):
    """Customers whom one set of parameters speaks of: their rows, distinct histories, and which each has."""

    rows: IntArray
    x: FloatArray
    t_x: FloatArray
    T: FloatArray
    inverse: IntArray
    bindings: TransactionBindings
    posterior: Posterior
    spend: Posterior | None

    @property
    def history(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The distinct histories."""
        return self.x, self.t_x, self.T

    @property
    def center(self) -> FloatArray:
        """Where expectations are taken: the point of maximum likelihood, or 256 draws of a posterior."""
        return choose_theta(self.posterior, None)[:MEAN_DRAWS]

    @property
    def draws(self) -> FloatArray:
        """The draws behind chances of a single customer's outcome."""
        return self.posterior.draws_array(CUSTOMER_DRAWS)


class Totals(NamedTuple):
    """Simulated totals, a row a draw, a column a group of customers; the last column is all of them."""

    purchases: FloatArray
    spend: FloatArray


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A fitted transaction model, with a spend model or without; without, value is counted in purchases.

    Attributes
    ----------
    transactions : TransactionModel
    spend : GammaGamma or None
    horizon : float
        Over which value counts, in the time unit; possibly infinite.
    delta : float
        Continuous discount rate.
    """

    transactions: TransactionModel
    spend: GammaGamma | None
    horizon: float
    delta: float
    _latest: list[tuple[RFMSummary, list[Piece]]] = field(default_factory=list)

    def pieces(self, rfm: RFMSummary) -> list[Piece]:
        """Customers by whose parameters are theirs; those of the two summaries asked about last are kept."""
        for known, pieces in self._latest:
            if known is rfm:
                return pieces
        del self._latest[:-1]
        self._latest.append((rfm, list(self._pieces(rfm))))
        return self._latest[-1][1]

    def forget(self) -> None:
        """Give back what is kept of summaries."""
        self._latest.clear()

    def _pieces(self, rfm: RFMSummary) -> Iterator[Piece]:
        if self.spend is None:
            for part in self.transactions.parts(rfm):
                rows, inverse = histories(part.rfm)
                yield Piece(part.rows, rows.x, rows.t_x, rows.T, inverse, self._bindings, part.model.posterior_, None)
            return
        for both in Pair(self.transactions, self.spend).parts(rfm):
            rows, inverse = histories(both.rfm)
            posteriors = both.pair.transactions.posterior_, both.pair.spend.posterior_
            yield Piece(both.rows, rows.x, rows.t_x, rows.T, inverse, self._bindings, *posteriors)

    def chances(self, rfm: RFMSummary) -> dict[str, FloatArray]:
        """p_alive and p_purchase of each customer, (n_customers,)."""
        found = {name: np.empty(len(rfm)) for name in ("p_alive", "p_purchase")}
        for piece in self.pieces(rfm):
            theta = piece.center
            found["p_alive"][piece.rows] = piece.bindings.mean_p_alive(*piece.history, theta)[piece.inverse]
            if np.isfinite(self.horizon):
                column = purchases.p_purchase(piece.bindings, *piece.history, self.horizon, theta)
            else:
                column = piece.bindings.p_ever(*piece.history, theta)
            found["p_purchase"][piece.rows] = column[piece.inverse]
        return found

    def value(self, rfm: RFMSummary, margin: FloatArray, *, after: float = 0.0) -> FloatArray:
        """Expected value over the horizon from `after` on, as of then, of what is known now: (n_customers,).

        With `after` it is what the value at that later date is expected to be: purchases in (after, after + horizon],
        discounted to `after`.
        """
        found = np.empty(len(rfm))
        for piece in self.pieces(rfm):
            rest = piece.bindings, *piece.history
            total = purchases.mean_discounted_purchases(*rest, after + self.horizon, self.delta, piece.center)
            if after:
                total -= purchases.mean_discounted_purchases(*rest, after, self.delta, piece.center)
                # Rounding alone takes it below nothing.
                total = np.maximum(total, 0.0) * np.exp(self.delta * after)
            found[piece.rows] = margin[piece.rows] * total[piece.inverse] * self.worth(rfm, piece)
        return found

    def worth(self, rfm: RFMSummary, piece: Piece) -> FloatArray:
        """Expected spend per purchase of a piece's customers, (n_rows,); 1 where no money is forecast."""
        if piece.spend is None:
            return np.ones(len(piece.rows))
        theta = choose_theta(piece.spend, None)[:MEAN_DRAWS]
        x = rfm.frequency[piece.rows].astype(np.float64)
        return mean_expected_spend(x, mean_spend(rfm)[piece.rows], theta)

    def expected_purchases(self, rfm: RFMSummary, window: float) -> FloatArray:
        """Expected purchases within a window, leaving included, (n_customers,)."""
        found = np.empty(len(rfm))
        for piece in self.pieces(rfm):
            column = piece.bindings.mean_expected_purchases(*piece.history, window, piece.center)
            found[piece.rows] = column[piece.inverse]
        return found

    def expected_spend(self, rfm: RFMSummary) -> FloatArray:
        """Expected spend per purchase, (n_customers,); 1 where no money is forecast."""
        found = np.empty(len(rfm))
        for piece in self.pieces(rfm):
            found[piece.rows] = self.worth(rfm, piece)
        return found

    def simulate_totals(
        self, pairing: Pairing, group: IntArray, n_groups: int, keys: NDArray[np.uint64], rows: int = ROWS
    ) -> Totals:
        """Simulate the window of every customer compared, once a joint draw of the parameters, and add up by group.

        More than `rows` customers are simulated so many at a time, in the order of their histories, and among equals
        of their keys, so that the totals do not depend on the order in which they came.
        """
        parts = list(stretches(len(pairing), rows))
        order = None if len(parts) == 1 else _by_history(pairing, keys)
        bought = spent = np.zeros((0, 0))
        for i, some in enumerate(parts):
            release_unused()
            chosen = np.arange(some.start, some.stop) if order is None else order[some]
            rfm = pairing.old.pick(pairing.here[chosen])
            pieces = list(self._pieces(rfm))
            if i == 0:
                n_draws = number_of_draws(len(pairing), n_groups, len(pieces) * len(parts))
                bought, spent = np.zeros((n_draws, n_groups + 1)), np.zeros((n_draws, n_groups + 1))
            for number, piece in enumerate(pieces):
                seed = _seed(int(self.transactions.random_state), number, i)
                found = self._simulate(piece, rfm, pairing.window, group[chosen], n_groups, len(bought), seed)
                for total, part in zip((bought, spent), found, strict=True):
                    total[:, :-1] += part
                    total[:, -1] += part.sum(axis=1)
        return Totals(bought, spent)

    def _simulate(
        self, piece: Piece, rfm: RFMSummary, window: float, group: IntArray, n_groups: int, n_draws: int, seed: int
    ) -> tuple[FloatArray, FloatArray]:
        if piece.spend is None:
            theta, theta_spend = piece.posterior.draws_array(n_draws), np.ones((n_draws, 3))
        else:
            theta, theta_spend = paired_draws([piece.posterior, piece.spend], n_draws)
        rows, x = piece.rows, rfm.frequency[piece.rows].astype(np.float64)
        money = self._money(rfm)[rows]
        columns = (x, rfm.recency[rows], rfm.T[rows], money, np.ones(len(rows)), group[rows], n_groups)
        purchases, spend = piece.bindings.simulate_totals(*columns, window, 0.0, theta, theta_spend, seed, False)
        return purchases, spend

    def _money(self, rfm: RFMSummary) -> FloatArray:
        return np.zeros(len(rfm)) if self.spend is None else mean_spend(rfm)

    @property
    def _bindings(self) -> TransactionBindings:
        return self.transactions.bindings


def _by_history(pairing: Pairing, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Customers sorted by what is simulated of them."""
    old, here = pairing.old, pairing.here
    columns = [old.T[here], old.recency[here], old.frequency[here]]
    if old.monetary_value is not None:
        columns.insert(0, old.monetary_value[here])
    return np.lexsort((keys, *columns)).astype(np.int32)


def _seed(seed: int, number: int, part: int) -> int:
    """Seed of a piece of the customers of a part: those of the first part are the portfolio's own."""
    if part == 0:
        return seed_of_part(seed, number)
    return int(np.random.SeedSequence([seed, number, part]).generate_state(1)[0])
