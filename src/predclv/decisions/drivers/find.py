"""Which attributes go with higher value and retention, after adjusting for the others: association, not cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.data.columns import check_margin
from predclv.data.rfm import RFMSummary
from predclv.data.subscriptions import Subscriptions
from predclv.decisions.drivers.attributes import Prepared, prepare_attributes
from predclv.decisions.drivers.rows import (
    MEASURES,
    compare_values,
    differences_at_point,
    format_value,
    make_notes,
    make_table,
)
from predclv.decisions.drivers.standardisation import (
    Profiles,
    SpendRegression,
    Standardiser,
    regress_spend,
    take_profiles,
)
from predclv.errors import DataError
from predclv.inference.posterior import check_level, check_number
from predclv.models import BGNBD
from predclv.models.base import require_summary
from predclv.models.covariates.model import CovariateModel
from predclv.models.horizons import parse_discount_rate, warn_long_horizon

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drivers", "find_drivers"]

FloatArray = NDArray[np.float64]

# Regressions of spend on fewer buyers a coefficient are guesses.
_BUYERS_PER_COEFFICIENT = 5


@dataclass(frozen=True, eq=False, repr=False)
class Drivers:
    """How value, purchases, retention and spend go with attributes of customers.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a measure and contrast: measure ("clv", "purchases", "p_purchase", "retention",
        "spend"), attribute, value, reference,
        customers and repeat_buyers with that value (of a number: all), at_value and at_reference (means over the same
        customers with each), difference with low and high, relative (to the reference), unadjusted (the difference
        without the other attributes), p_above (probability that the difference is above 0), holds_for_all (whether an
        interval wide enough for all contrasts of the measure together leaves out 0), verdict. Rows of rare values hold
        their sizes and "not enough to say".
    notes : tuple of str
        What the figures are and are not; the first says that they are no causes.
    model : CovariateModel
        Fitted with all attributes; its `effects` are the coefficients.
    settings : mapping
        horizon, retention (both in words), time_unit, level, margin, discount_rate, include_first, currency,
        n_contrasts, n_left_out.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    model: CovariateModel
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Drivers: {self.say()}>"

    def _repr_html_(self) -> str:
        listed = "".join(f"<li>{escape(text)}</li>" for text in self.notes)
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(4)._repr_html_()}<ul>{listed}</ul>"  # type: ignore[operator]

    @property
    def headline(self) -> str:
        """Name of the measure that comes first."""
        return str(self.table["measure"].iloc[0])

    def of(self, measure: str) -> pd.DataFrame:
        """Rows of one measure.

        Raises
        ------
        ValueError
            There is none of that name.
        """
        known = list(dict.fromkeys(self.table["measure"]))
        if measure not in known:
            raise ValueError(f"'measure' must be one of {', '.join(known)}. Got {measure!r}.")
        return self.table[self.table["measure"] == measure].reset_index(drop=True)

    def say(self) -> str:
        """What goes with the headline measure, the surest first, in words."""
        rows = self.of(self.headline).dropna(subset=["difference"])
        clear = rows[rows["verdict"].str.startswith("goes with")]
        what = MEASURES[self.headline]
        if clear.empty:
            return f"none of {len(rows)} comparisons is clear: {what} goes with none of these attributes for sure"
        order = np.argsort(-np.abs(clear["difference"] / (clear["high"] - clear["low"])), kind="stable")
        said = [
            f"{row['attribute']} {format_value(row['value'])} goes with {row['relative']:+.0%} {what} against "
            f"{format_value(row['reference'])} ({row['low'] / row['at_reference']:+.0%} to "
            f"{row['high'] / row['at_reference']:+.0%})".replace("-", "−")
            for row in clear.iloc[order].to_dict("records")
        ]
        return "; ".join(said) + "; association, not cause"

    def plot(self, measure: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Differences of a measure with their intervals, beside those without the other attributes."""
        from predclv.plots.drivers import plot_drivers

        name = self.headline if measure is None else measure
        return plot_drivers(self.of(name), label=MEASURES[name], level=self.settings["level"], ax=ax)


def find_drivers(
    rfm: RFMSummary,
    attributes: Sequence[str],
    *,
    transactions: CovariateModel | None = None,
    horizon: Any = "1 year",
    retention: Any = "1 year",
    discount_rate: float = 0.10,
    margin: float = 1.0,
    include_first: bool = True,
    level: float = 0.9,
    min_customers: int = 30,
    n_draws: int = 256,
    n_profiles: int = 64,
) -> Drivers:
    """Tell which attributes go with higher value and retention, each after adjusting for the others.

    A transaction model is fitted with all attributes on purchases and on leaving, and spend a purchase of the repeat
    buyers is regressed on them. What a new customer is then worth is averaged over the same customers twice, with one
    attribute set to a value and to its reference, the others as they are.

    Parameters
    ----------
    rfm : RFMSummary
        That carries the attributes, each known at the first purchase. One that is only known later, such as a feature
        used during the time observed, goes with staying because who stays has more time to use it.
    attributes : list of str
        Carried columns: numbers, of which the upper quartile is compared with the lower, or 1 with 0; or values, of
        which each is compared with the most frequent one.
    transactions : CovariateModel, optional
        Which model to fit, and how; by default BGNBD(). Without covariates and segments of its own.
    horizon, discount_rate, margin, include_first
        Of the value, as in `CLV.new_customer`; finite.
    retention : str or number
        Retention is told twice: which share of new customers buys again within that time ("p_purchase"), and which is
        still there after it ("retention", the model's notion of leaving; in BG/NBD and BG/CNBD customers leave at
        repeat purchases alone, so who never comes back counts as there).
    level : float
        Probability of the intervals.
    min_customers : int
        Values of fewer customers, or of fewer than ten repeat buyers, are merged with each other; where they are too
        few even together, their customers are left out and counted.
    n_draws : int
        Draws of the parameters behind the intervals.
    n_profiles : int
        Over how many distinct customers is averaged at most: where there are more combinations of attributes, over so
        many customers, evenly spaced.

    Returns
    -------
    Drivers

    Raises
    ------
    DataError
        An attribute is not carried, has gaps, is constant, or a combination of others; or customers are too few.
    TypeError, ValueError
        The model takes no covariates; or an option means nothing.

    Notes
    -----
    Effects multiply, and do not depend on each other: a value that matters in one channel alone shows with its mean.
    The interval holds what is not known of the parameters. Values are those of new customers; the existing ones are
    worth what their own history says besides.
    """
    _require_purchases(rfm)
    _check_options(level, min_customers, n_draws, n_profiles)
    template = _template(transactions)
    unit = rfm.time_unit
    parsed, until = (template.parse_horizon(span, unit, None) for span in (horizon, retention))
    if not (np.isfinite(parsed.length) and np.isfinite(until.length)):
        raise ValueError("Drivers are compared over a finite horizon. Give '1 year', or '5 years'.")
    delta = parse_discount_rate(discount_rate, parsed, unit)
    prepared = prepare_attributes(rfm, attributes, min_customers)
    told = {
        "horizon": parsed.length,
        "delta": delta,
        "until": until.length,
        "margin": check_margin(margin),
        "include_first": include_first,
    }
    whole = _standardiser(template, prepared.rfm, list(attributes), told)
    warn_long_horizon(parsed, whole.model.fingerprint_.longest_age, unit)
    profiles = _profiles(prepared.rfm, list(attributes), n_profiles)
    rows = compare_values(whole, profiles, prepared.contrasts, level, n_draws)
    alone = _unadjusted(template, prepared, list(attributes), told, n_profiles)
    table = make_table(rows, alone, prepared, whole.measures, level)
    settings = {
        "horizon": parsed.label,
        "retention": until.label,
        "time_unit": unit,
        "level": level,
        "margin": margin,
        "discount_rate": discount_rate,
        "include_first": include_first,
        "currency": rfm.currency,
        "attributes": list(attributes),
        "n_contrasts": len(prepared.contrasts),
        "n_left_out": prepared.n_left_out,
    }
    return Drivers(table, make_notes(prepared, settings, profiles, whole), whole.model, settings)


def _require_purchases(rfm: object) -> None:
    if isinstance(rfm, Subscriptions):
        raise TypeError(
            "Drivers are of purchases: models of contracts take no attributes. Fit one with segment= the attribute, "
            "and compare the segments' renewals."
        )
    require_summary(rfm)


def _check_options(level: float, min_customers: int, n_draws: int, n_profiles: int) -> None:
    check_level(level)
    for name, value, least in (
        ("min_customers", min_customers, 1),
        ("n_draws", n_draws, 16),
        ("n_profiles", n_profiles, 1),
    ):
        if check_number(name, value) < least or value != int(value):
            raise ValueError(f"{name!r} must be a whole number from {least} on. Got {value!r}.")


def _template(transactions: Any) -> CovariateModel:
    model = BGNBD() if transactions is None else transactions
    if not isinstance(model, CovariateModel):
        raise TypeError(
            "'transactions' must be a model that takes covariates: BGNBD, MBGNBD, BGCNBD, MBGCNBD or ParetoNBD. Got "
            f"{type(model).__name__}."
        )
    if model.segment is not None or model.purchase_covariates or model.dropout_covariates:
        raise ValueError("'transactions' must be without segment and covariates: the attributes become its covariates.")
    return model


def _standardiser(
    template: CovariateModel, rfm: RFMSummary, attributes: list[str], told: Mapping[str, Any]
) -> Standardiser:
    model = clone(template).set_params(purchase_covariates=attributes, dropout_covariates=attributes).fit(rfm)
    return Standardiser(model, _spend(model, rfm), **told)


def _spend(model: CovariateModel, rfm: RFMSummary) -> SpendRegression | None:
    if rfm.monetary_value is None:
        return None
    assert model.covariates_ is not None
    buys = np.flatnonzero(rfm.frequency > 0)
    encoded = model.covariates_.design(rfm.pick(buys)).purchase
    weight = np.ones(len(buys)) if rfm.weight is None else rfm.weight[buys].astype(np.float64)
    needed = _BUYERS_PER_COEFFICIENT * (encoded.shape[1] + 1)
    money = rfm.monetary_value[buys]
    if weight.sum() < needed or not money.any():
        raise DataError(f"Spend of {weight.sum():,.0f} repeat buyers cannot be compared: it takes {needed}, who spend.")
    return regress_spend(encoded, money, weight)


def _profiles(rfm: RFMSummary, attributes: list[str], most: int) -> Profiles:
    weight = np.ones(len(rfm)) if rfm.weight is None else rfm.weight.astype(np.float64)
    return take_profiles({name: rfm.carried[name] for name in attributes}, weight, most)


def _unadjusted(
    template: CovariateModel, prepared: Prepared, attributes: list[str], told: Mapping[str, Any], n_profiles: int
) -> dict[tuple[str, str, str], float]:
    """Differences with one attribute alone, by measure, attribute and value."""
    found = {}
    for name in attributes if len(attributes) > 1 else ():
        one = _standardiser(template, prepared.rfm, [name], told)
        contrasts = [contrast for contrast in prepared.contrasts if contrast.attribute == name]
        profiles = _profiles(prepared.rfm, [name], 1)
        for measure, column in differences_at_point(one, profiles, contrasts).items():
            for contrast, difference in zip(contrasts, column, strict=True):
                found[measure, name, str(contrast.value)] = float(difference)
    return found
