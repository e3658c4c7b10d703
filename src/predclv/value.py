"""Customer lifetime value: a transaction model and a spend model together, discounted, with intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self, cast

import pandas as pd
import pyarrow as pa
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RFMSummary
from predclv.data.subscriptions import Subscriptions
from predclv.errors import ModelFileError, UnitError
from predclv.forecast.value_path import ValuePath
from predclv.inference.posterior import check_number
from predclv.models import BGNBD, MODELS, GammaGamma
from predclv.models.base import POPULATION, Model
from predclv.models.contracts.explain import explain_contract
from predclv.models.contracts.inputs import require_price, require_subscriptions
from predclv.models.contracts.model import ContractModel
from predclv.models.contracts.value import ContractValue
from predclv.models.display import FittedDisplay
from predclv.models.estimates import Estimate
from predclv.models.explain_purchases import explain_buyer
from predclv.models.explanation import Explanation, Told
from predclv.models.pair import Pair
from predclv.models.purchase_value import PurchaseValue
from predclv.models.storage import read_model, write_model
from predclv.models.transactions import TransactionModel
from predclv.models.valuation import Valuation

__all__ = ["CLV", "load"]


class CLV(FittedDisplay):
    """Predicted customer lifetime value.

    Parameters
    ----------
    transactions : TransactionModel or ContractModel, optional
        When customers buy and leave, or whether they renew; `BGNBD()` by default.
    spend : GammaGamma, optional
        What a purchase is worth; `GammaGamma()` by default. Contracts have their price, so `SBG` and `BDW` take none.

    Attributes
    ----------
    transactions_, spend_ : fitted models
        With contracts there is no `spend_`.

    Notes
    -----
    Value is margin times spend, discounted continuously along the purchases at an effective annual rate.
    It counts purchases after the as-of date: existing customers' future, not their past.

    The value of a contract is margin times price of its renewals, each discounted from the end of its day to that of
    the as-of date. The next one is due when it is, later ones a period of average length apart. The period that has
    been paid for is not in it.
    """

    # A TransactionModel or a ContractModel.
    transactions_: Any
    spend_: GammaGamma

    def __init__(
        self, transactions: TransactionModel | ContractModel | None = None, spend: GammaGamma | None = None
    ) -> None:
        self.transactions = transactions
        self.spend = spend

    def fit(self, rfm: RFMSummary | Subscriptions, y: None = None) -> Self:
        """Fit the models on one summary, or a contract model on subscriptions.

        Errors and warnings are those of the models.

        Raises
        ------
        TypeError
            One is no such model.
        ValueError
            A spend model is given beside a contract model.
        DataError
            The subscriptions have no prices.
        """
        transactions = BGNBD() if self.transactions is None else self.transactions
        if isinstance(transactions, ContractModel):
            return self._fit_contracts(transactions, rfm)
        spend = GammaGamma() if self.spend is None else self.spend
        for name, model, kind in (("transactions", transactions, TransactionModel), ("spend", spend, GammaGamma)):
            if not isinstance(model, kind):
                raise TypeError(f"{name!r} must be a {kind.__name__}, as in CLV(BGNBD(), GammaGamma()). Got {model!r}.")
        self.transactions_, self.spend_ = clone(transactions).fit(rfm), clone(spend).fit(rfm)
        return self

    def score(self, rfm: RFMSummary | Subscriptions, y: None = None) -> float:
        """Sum of both models' mean log-likelihoods at the estimate: a customer's purchases, a repeat buyer's spend.

        Of contracts: the mean log-likelihood of a contract.
        """
        return self._valuation.score(rfm)

    def _fit_contracts(self, model: ContractModel, subs: object) -> Self:
        if self.spend is not None:
            raise ValueError(
                f"Contracts have their price, so {type(model).__name__} takes no spend model. Leave spend= out."
            )
        require_subscriptions(subs)
        assert isinstance(subs, Subscriptions)
        require_price(subs)
        self.transactions_ = clone(model).fit(subs)
        return self

    def predict(
        self,
        rfm: RFMSummary | Subscriptions,
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
        rfm : RFMSummary or Subscriptions
            With amounts or prices, in the time unit (or period) and currency of the fit.
        horizon : str, number, Timedelta or date
            "1 year", "26 weeks", an end date, a number in the summary's time unit (or of periods), or `math.inf`
            (which needs a discount rate above 0).
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
            Of contracts: `p_alive` is 1 for those that run, purchases are renewals, and `expected_spend` is the price.

        Raises
        ------
        UnitError
            The summary is in another time unit or currency than the fit.
        DataError
            The summary has no amounts; a margin is missing or not finite.
        ValueError
            An option means nothing.
        """
        return self._valuation.predict(
            rfm, horizon, discount_rate=discount_rate, margin=margin, level=level, estimate=estimate
        )

    def explain(
        self,
        rfm: RFMSummary | Subscriptions,
        customer_id: Any,
        horizon: Any = "1 year",
        *,
        purchases: Any = None,
        discount_rate: float = 0.10,
        margin: float | str = 1.0,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> Explanation:
        """Say why one customer is worth what `predict` says.

        Parameters
        ----------
        rfm, customer_id, purchases
            As in `TransactionModel.explain`; of contracts, as in `ContractModel.explain`, without `purchases`.
        horizon, discount_rate, margin, level, estimate
            As in `predict`.

        Returns
        -------
        Explanation
            `print` says it in words; `plots.plot_explanation` draws it; docs/howto/explain.md goes through one.
        """
        check_is_fitted(self)

        def forecast(rows: Any) -> Any:
            return self.predict(
                rows, horizon, discount_rate=discount_rate, margin=margin, level=level, estimate=estimate
            )

        told = Told(customer_id, horizon, forecast, level, estimate, purchases, discount_rate, margin)
        if isinstance(self.transactions_, ContractModel):
            return explain_contract(self.transactions_, rfm, told, priced=True)
        return explain_buyer(self.transactions_, self.spend_, cast(RFMSummary, rfm), told)

    def portfolio(
        self,
        rfm: RFMSummary | Subscriptions,
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
            from 200,000 customers, 10,000 segments or 500 patterns of covariates on, never below 256. Intervals of
            means over an infinite horizon always take 256.

        Returns
        -------
        DataFrame
            segment (as text), customers, expected_buyers (customers with at least one purchase), expected_purchases,
            purchases_low, purchases_high, expected_clv, clv_low, clv_high, expected_clv_low, expected_clv_high,
            share_of_value, share_low, share_high (of the outcome: a draw's part of that draw's total),
            share_beyond_3_years (NaN for shorter horizons). The last row, "existing customers", is the total; its
            interval comes from joint draws, so it is not the sum of the segments' ends.

        Raises
        ------
        As `predict`; DataError also where rows stand for several customers (`RFMSummary.expand`).
        """
        return self._valuation.portfolio(
            rfm,
            horizon,
            by=by,
            discount_rate=discount_rate,
            margin=margin,
            level=level,
            estimate=estimate,
            n_draws=n_draws,
        )

    def new_customer(
        self,
        horizon: Any = "1 year",
        *,
        segment: str | Mapping[str, str] | None = None,
        covariates: Mapping[str, Any] | None = None,
        include_first: bool = True,
        price: float | None = None,
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
            Count the first purchase's margin, at time 0; of a contract, the first period's.
        price : float, optional
            Of a contract, a period; only and always where contracts are forecast.
        discount_rate, margin, level, estimate
            As in `predict`.

        Returns
        -------
        DataFrame of one row, with the columns of `predict` without customer_id
            Purchases are repeat purchases, whatever `include_first`.
        """
        return self._valuation.new_customer(
            horizon,
            segment=segment,
            covariates=covariates,
            include_first=include_first,
            price=price,
            discount_rate=discount_rate,
            margin=margin,
            level=level,
            estimate=estimate,
        )

    def new_customer_path(
        self,
        horizon: Any = "1 year",
        *,
        segment: str | Mapping[str, str] | None = None,
        covariates: Mapping[str, Any] | None = None,
        include_first: bool = True,
        price: float | None = None,
        discount_rate: float = 0.10,
        margin: float = 1.0,
        estimate: Estimate | None = None,
        n_times: int = 24,
        n_draws: int = 1024,
    ) -> ValuePath:
        """Expected value of a customer about to be won, as time goes by: when it has paid for the winning.

        Parameters
        ----------
        horizon, segment, covariates, include_first, price, discount_rate, margin, estimate
            As in `new_customer`, to whose `expected_clv` the path leads.
        n_times : int
            Evenly spaced times; opportunities and periods are all there. An endless horizon is followed for ten
            years.
        n_draws : int
            Draws of the parameters; over an infinite horizon no more than 256.

        Returns
        -------
        ValuePath
            times, center and draws, (n_draws, n_times); start, what the first purchase brings; first_spend.
        """
        for name, number in (("n_times", n_times), ("n_draws", n_draws)):
            if check_number(name, number) < 2 or number != int(number):
                raise ValueError(f"{name!r} must be a whole number from 2 on. Got {number!r}.")
        return self._valuation.new_customer_path(
            horizon,
            segment=segment,
            covariates=covariates,
            include_first=include_first,
            price=price,
            discount_rate=discount_rate,
            margin=margin,
            estimate=estimate,
            n_times=n_times,
            n_draws=n_draws,
        )

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
        found = self._valuation.of_segment(segment)
        if isinstance(found, ContractValue):
            clv = CLV(clone(found.model))
            clv.transactions_ = found.model
        else:
            assert isinstance(found, PurchaseValue)
            clv = CLV(clone(found.pair.transactions), clone(found.pair.spend))
            clv.transactions_, clv.spend_ = found.pair
        return clv

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write both fitted models to a folder: JSON and Parquet, no customer, no pickle; whole or not at all."""
        models = self._fitted()
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
        models = self._fitted().values()
        tables = []
        for model in models:
            table = model.summary
            if "segment" not in table and any(one.segments_ for one in models):
                table.insert(0, "segment", POPULATION)
            table.insert(0, "model", type(model).__name__)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def _in_words(self) -> list[str]:
        if not hasattr(self, "transactions_"):
            return []
        lines = [line for model in self._fitted().values() for line in model._in_words()]
        return ["Customer lifetime value, by two models:" if hasattr(self, "spend_") else "Value of contracts:", *lines]

    def _fitted(self) -> dict[str, Model]:
        """The fitted models by the names of their options."""
        check_is_fitted(self)
        return {name: getattr(self, f"{name}_") for name in ("transactions", "spend") if hasattr(self, f"{name}_")}

    @property
    def _valuation(self) -> Valuation:
        check_is_fitted(self)
        if isinstance(self.transactions_, ContractModel):
            return ContractValue(self.transactions_)
        return PurchaseValue(Pair(self.transactions_, self.spend_))


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
        if isinstance(transactions, ContractModel) and list(stored) == ["transactions"]:
            clv = CLV(clone(transactions))
            clv.transactions_ = transactions
            return clv
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
