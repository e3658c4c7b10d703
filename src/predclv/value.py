"""Customer lifetime value: a transaction model and a spend model together, discounted, with intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from predclv.data.columns import check_margin, histories, margins, mean_spend, segments
from predclv.data.durations import Horizon, parse_horizon
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, ModelFileError, UnitError
from predclv.forecast import portfolio
from predclv.forecast.customers import Customers, count_columns, value_columns
from predclv.inference.posterior import check_level
from predclv.models import BGNBD, MODELS, GammaGamma
from predclv.models.base import POPULATION, Model, require_summary
from predclv.models.estimates import MEAN_DRAWS, Estimate, center_draws
from predclv.models.horizons import parse_discount_rate, warn_long_horizon
from predclv.models.pair import Pair, PairPart
from predclv.models.storage import read_model, write_model
from predclv.models.transactions import TransactionModel

__all__ = ["CLV", "load"]

#: Name of the row of all customers in a portfolio.
TOTAL = "existing customers"

_THREE_YEARS_IN_DAYS = 3 * 365.25


@dataclass(frozen=True)
class _Task:
    """A checked request: how far, at what continuous rate, and for whom."""

    horizon: Horizon
    delta: float
    customers: Customers


class CLV(BaseEstimator):  # type: ignore[misc]
    """Predicted customer lifetime value.

    Parameters
    ----------
    transactions : TransactionModel, optional
        When customers buy and leave; `BGNBD()` by default.
    spend : GammaGamma, optional
        What a purchase is worth; `GammaGamma()` by default.

    Attributes
    ----------
    transactions_, spend_ : fitted models

    Notes
    -----
    Value is margin times spend, discounted continuously along the purchases at an effective annual rate.
    It counts purchases after the as-of date: existing customers' future, not their past.
    """

    transactions_: TransactionModel
    spend_: GammaGamma

    def __init__(self, transactions: TransactionModel | None = None, spend: GammaGamma | None = None) -> None:
        self.transactions = transactions
        self.spend = spend

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Fit both models on one summary; errors and warnings are theirs, TypeError where one is no such model."""
        transactions = BGNBD() if self.transactions is None else self.transactions
        spend = GammaGamma() if self.spend is None else self.spend
        for name, model, kind in (("transactions", transactions, TransactionModel), ("spend", spend, GammaGamma)):
            if not isinstance(model, kind):
                raise TypeError(f"{name!r} must be a {kind.__name__}, as in CLV(BGNBD(), GammaGamma()). Got {model!r}.")
        self.transactions_, self.spend_ = clone(transactions).fit(rfm), clone(spend).fit(rfm)
        return self

    def score(self, rfm: RFMSummary, y: None = None) -> float:
        """Sum of both models' mean log-likelihoods at the estimate: a customer's purchases, a repeat buyer's spend."""
        check_is_fitted(self)
        return self.transactions_.score(rfm) + self.spend_.score(rfm)

    def predict(
        self,
        rfm: RFMSummary,
        horizon: Any = "1 year",
        *,
        discount_rate: float = 0.10,
        margin: float | str = 1.0,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> Any:
        """Forecast purchases, spend and discounted value of each customer.

        Parameters
        ----------
        rfm : RFMSummary
            With amounts, in the time unit and currency of the fit.
        horizon : str, number, Timedelta or date
            "1 year", "26 weeks", an end date, a number in the summary's time unit, or `math.inf` (which needs a
            discount rate above 0).
        discount_rate : float
            Effective, a year; 0 adds up what is bought.
        margin : float or str
            Share of spend that is kept, from 0 to 1, or the carried column that holds it. 1 means revenue.
        level : float
            Probability of the intervals, equal-tailed.
        estimate : "point" or "draws", optional
            Where expectations are taken; by default the point for maximum likelihood, and all draws for a posterior, of
            which 256 serve an infinite horizon.

        Returns
        -------
        frame, one row a customer, of the type the summary was made from
            customer_id, p_alive, p_purchase, expected_purchases, purchases_low, purchases_high, expected_spend,
            expected_clv, clv_low, clv_high (the outcome's interval), expected_clv_low, expected_clv_high (the
            mean's interval: parameter uncertainty alone). Over an infinite horizon the purchase columns are NaN.

        Raises
        ------
        UnitError
            The summary is in another time unit or currency than the fit.
        DataError
            The summary has no amounts; a margin is missing or not finite.
        ValueError
            An option means nothing.
        """
        task = self._task(rfm, horizon, discount_rate, margin, level)
        table: dict[str, NDArray[Any]] = {"customer_id": rfm.customer_id}
        for part in self._pair.parts(rfm):
            columns = self._columns(part, task, level, estimate)
            for name, column in columns.items():
                table.setdefault(name, np.empty(len(rfm), dtype=column.dtype))[part.rows] = column
        return rfm.to_native(pd.DataFrame(table))

    def _columns(self, part: PairPart, task: _Task, level: float, estimate: Estimate | None) -> dict[str, NDArray[Any]]:
        """Columns of the customers of one part."""
        counts, spend = part.pair.thetas(estimate, n_center=center_draws(task.horizon.length))
        bindings = self.transactions_.bindings
        rows, inverse = histories(part.rfm)
        by_row = count_columns(bindings, counts, rows.x, rows.t_x, rows.T, task.horizon.length, level)
        columns = {name: column[inverse] for name, column in by_row.items()}
        # Customers of one history together: their histories are worked out once.
        order = np.argsort(inverse, kind="stable")
        customers = task.customers.take(part.rows[order])
        values = value_columns(bindings, counts, spend, customers, task.horizon.length, task.delta, level)
        for name, column in values.items():
            columns[name] = np.empty_like(column)
            columns[name][order] = column
        return columns

    def portfolio(
        self,
        rfm: RFMSummary,
        horizon: Any = "1 year",
        *,
        by: str | None = None,
        discount_rate: float = 0.10,
        margin: float | str = 1.0,
        level: float = 0.9,
        estimate: Estimate | None = None,
        n_draws: int | None = None,
    ) -> pd.DataFrame:
        """Total purchases and value of the existing customers, by segment and in all.

        Parameters
        ----------
        rfm, horizon, discount_rate, margin, level, estimate
            As in `predict`.
        by : str, optional
            A carried column; one row for each of its values, in order, before the total.
        n_draws : int, optional
            Joint draws of the parameters, each with one simulation of every customer; by default 1,024, fewer
            from 200,000 customers or 10,000 segments on, never below 256. Intervals of means over an infinite
            horizon always take 256.

        Returns
        -------
        DataFrame
            segment (as text), customers, expected_buyers (customers with at least one purchase), expected_purchases,
            purchases_low, purchases_high, expected_clv, clv_low, clv_high, expected_clv_low, expected_clv_high,
            share_of_value, share_beyond_3_years (NaN for shorter horizons). The last row, "existing customers",
            is the total; its interval comes from joint draws, so it is not the sum of the segments' ends.

        Raises
        ------
        As `predict`; DataError also where rows stand for several customers (`RFMSummary.expand`).
        """
        require_summary(rfm)
        rfm.require_customers("A portfolio, which simulates each customer by themselves,")
        names, codes = segments(rfm, by)
        if TOTAL in map(str, names):
            raise DataError(f"A segment in column {by!r} is called {TOTAL!r}, as the row of all is. Rename it.")
        task = self._task(rfm, horizon, discount_rate, margin, level, codes)
        n_segments = max(len(names), 1)
        draws = portfolio.number_of_draws(len(rfm), n_segments) if n_draws is None else n_draws
        mean_draws = draws if np.isfinite(task.horizon.length) else MEAN_DRAWS
        sums, totals = [], []
        for number, part in enumerate(self._pair.parts(rfm)):
            customers = task.customers.take(part.rows)
            order = np.argsort(histories(part.rfm)[1], kind="stable")
            counts, spend = part.pair.thetas(estimate, mean_draws, center_draws(task.horizon.length))
            arguments = n_segments, task.horizon.length, task.delta
            sums.append(
                portfolio.expected_sums(
                    self.transactions_.bindings,
                    counts,
                    spend,
                    customers.take(order),
                    *arguments,
                    long_run=_THREE_YEARS_IN_DAYS / rfm.days_per_unit,
                )
            )
            # Parts' draws belong together row by row, and chance in one part is not that in another.
            theta, theta_spend = part.pair.draws(draws)
            totals.append(
                portfolio.simulate_totals(
                    self.transactions_.bindings,
                    theta,
                    theta_spend,
                    customers,
                    *arguments,
                    seed=_seed_of_part(self.transactions_.random_state, number),
                )
            )
        expected = portfolio.expected_totals(sums, level)
        intervals = portfolio.intervals(portfolio.add(totals), level, finite=bool(np.isfinite(task.horizon.length)))
        table = pd.DataFrame({**expected, **intervals})
        if by is None:
            table = table.iloc[-1:]
        # As text, which tells them apart (`segments` sees to it), so that every file format takes the column.
        table.insert(0, "segment", [*map(str, names), TOTAL])
        expected_clv = table["expected_clv"].to_numpy()
        table["share_of_value"] = portfolio.share(expected_clv, expected_clv[-1])
        return table[list(portfolio.COLUMNS)].reset_index(drop=True)

    def new_customer(
        self,
        horizon: Any = "1 year",
        *,
        segment: str | Mapping[str, str] | None = None,
        covariates: Mapping[str, Any] | None = None,
        include_first: bool = True,
        discount_rate: float = 0.10,
        margin: float = 1.0,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> pd.DataFrame:
        """Forecast a customer at the moment of the first purchase: what winning one is worth.

        Parameters
        ----------
        horizon : str, number or `math.inf`
            From the first purchase on; no dates.
        segment : str or mapping of column to str, optional
            Which segment the customer belongs to, where the models have segments; a mapping where their
            columns differ, which may hold other columns too.
        covariates : mapping of column to value, optional
            The customer's, where the transaction model has covariates: `{"channel": "paid", "age": 30}`.
        include_first : bool
            Count the first purchase's margin, at time 0.
        discount_rate, margin, level, estimate
            As in `predict`.

        Returns
        -------
        DataFrame of one row, with the columns of `predict` without customer_id
            Purchases are repeat purchases, whatever `include_first`.
        """
        check_is_fitted(self)
        check_level(level)
        pair = self._pair.of_segment(segment).of_covariates(covariates)
        parsed = parse_horizon(horizon, self._time_unit, None)
        delta = parse_discount_rate(discount_rate, parsed, self._time_unit)
        margin = check_margin(margin)
        self._warn_long(parsed)
        counts, spend = pair.thetas(estimate, n_center=center_draws(parsed.length))
        bindings = self.transactions_.bindings
        zero = np.zeros(1)
        customer = Customers(zero, zero, zero, zero, np.array([margin]), np.zeros(1, dtype=np.int64))
        by_count = count_columns(bindings, counts, zero, zero, zero, parsed.length, level)
        by_value = value_columns(
            bindings, counts, spend, customer, parsed.length, delta, level, first_purchase=include_first
        )
        return pd.DataFrame({**by_count, **by_value})

    def of_segment(self, segment: str | Mapping[str, str]) -> CLV:
        """Return a fitted CLV of one segment alone, as for a report on its customers.

        Parameters
        ----------
        segment : str or mapping of column to str
            As in `new_customer`.

        Raises
        ------
        ValueError
            The segment is not known, or the models have none.
        """
        pair = self._pair.of_segment(segment)
        clv = CLV(clone(pair.transactions), clone(pair.spend))
        clv.transactions_, clv.spend_ = pair.transactions, pair.spend
        return clv

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write both fitted models to a folder: JSON and Parquet, no customer, no pickle; whole or not at all."""
        check_is_fitted(self)
        models = {"transactions": self.transactions_, "spend": self.spend_}
        # Models that were left to the default come back as such.
        given = [name for name in models if getattr(self, name) is not None]
        description = {
            "class": "CLV",
            "given": given,
            "models": {name: model.to_dict() for name, model in models.items()},
        }
        posteriors = {table: found for model in models.values() for table, found in model.posteriors().items()}
        write_model(path, description, posteriors)

    @property
    def summary(self) -> pd.DataFrame:
        """Both models' parameters: model, segment (where one has segments) and the columns of `Model.summary`."""
        check_is_fitted(self)
        tables = []
        for model in (self.transactions_, self.spend_):
            table = model.summary
            if "segment" not in table and (self.transactions_.segments_ or self.spend_.segments_):
                table.insert(0, "segment", POPULATION)
            table.insert(0, "model", type(model).__name__)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    @property
    def _time_unit(self) -> str:
        return self.transactions_.fingerprint_.time_unit

    @property
    def _pair(self) -> Pair:
        check_is_fitted(self)
        return Pair(self.transactions_, self.spend_)

    def _task(
        self,
        rfm: RFMSummary,
        horizon: Any,
        discount_rate: float,
        margin: float | str,
        level: float,
        segment: NDArray[np.int64] | None = None,
    ) -> _Task:
        check_is_fitted(self)
        require_summary(rfm)
        check_level(level)
        fitted = self.spend_.fingerprint_
        rfm.require_compatible(time_unit=self._time_unit, currency=fitted.currency, collapse=fitted.collapse)
        parsed = parse_horizon(horizon, rfm.time_unit, rfm.observation_end)
        delta = parse_discount_rate(discount_rate, parsed, self._time_unit)
        customers = Customers(
            rfm.frequency.astype(np.float64),
            rfm.recency,
            rfm.T,
            mean_spend(rfm),
            margins(rfm, margin),
            np.zeros(len(rfm), dtype=np.int64) if segment is None else segment,
        )
        self._warn_long(parsed)
        self.transactions_.warn_outside(rfm)
        return _Task(parsed, delta, customers)

    def _warn_long(self, horizon: Horizon) -> None:
        warn_long_horizon(horizon, self.transactions_.fingerprint_.longest_age, self._time_unit)


def _seed_of_part(seed: int, number: int) -> int:
    """Seed of a part's simulation: the model's own for the first, others for the rest."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def load(path: str | os.PathLike[str]) -> CLV | Model:
    """Load a fitted model, or a CLV, from the folder it was saved to. Nothing in the folder is run.

    Raises
    ------
    ModelFileError
        The folder is missing, damaged, altered, or written in a newer schema.
    """
    manifest, draws = read_model(path)
    name = manifest.get("class")
    try:
        if name != "CLV":
            return _load_model(manifest, draws)
        stored = manifest["models"]
        transactions = _load_model(stored["transactions"], draws)
        spend = _load_model(stored["spend"], draws)
        transactions.fingerprint_.check_pair(spend.fingerprint_)
        given = [name in manifest["given"] for name in ("transactions", "spend")]
    except KeyError as error:
        raise ModelFileError(f"'{path}' is damaged: it lacks {error}.") from error
    except (TypeError, AttributeError, UnitError) as error:
        raise ModelFileError(f"'{path}' is damaged: {error}") from error
    if not isinstance(transactions, TransactionModel) or not isinstance(spend, GammaGamma):
        raise ModelFileError(f"'{path}' is damaged: a CLV needs a transaction and a spend model.")
    clv = CLV(clone(transactions) if given[0] else None, clone(spend) if given[1] else None)
    clv.transactions_, clv.spend_ = transactions, spend
    return clv


def _load_model(stored: Mapping[str, Any], draws: Mapping[str, pa.Table]) -> Model:
    key = stored["key"]
    if key not in MODELS:
        raise ModelFileError(f"The saved model is of an unknown kind: {key!r}; known are {', '.join(MODELS)}.")
    return MODELS[key].from_dict(stored, draws)
