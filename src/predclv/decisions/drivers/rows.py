"""Rows of the table of drivers, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.decisions.drivers.attributes import RARE, Contrast, Prepared
from predclv.decisions.drivers.standardisation import Profiles, Standardiser
from predclv.models.estimates import choose_theta

__all__ = ["CAVEAT", "MEASURES", "compare_values", "differences_at_point", "format_value", "make_notes", "make_table"]

#: What goes with every table of drivers.
CAVEAT = (
    "this is association and not cause: what goes together need not cause one another, customers chose their "
    "attributes, and may differ in what nobody wrote down; only an experiment tells what a change would do"
)
#: What measures are called where people read.
MEASURES: Mapping[str, str] = {
    "clv": "value of a new customer",
    "purchases": "repeat purchases of a new customer",
    "p_purchase": "share of new customers who buy again",
    "retention": "share of new customers still there, by the model",
    "spend": "spend a purchase",
}
_NOT_ENOUGH = "not enough to say"
FloatArray = NDArray[np.float64]

_CENTER_DRAWS = 256


def format_value(value: Any) -> str:
    """A value of an attribute as text; of numbers four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def differences_at_point(
    whole: Standardiser, profiles: Profiles, contrasts: Sequence[Contrast]
) -> dict[str, FloatArray]:
    """Differences of each measure at the point, (n_contrasts,), without draws."""
    settings = [profiles.with_value(c.attribute, value) for c in contrasts for value in (c.value, c.reference)]
    theta = whole.model.posterior_.point_array[np.newaxis]
    beta = np.zeros((1, 0)) if whole.spend is None else whole.spend.coefficients[np.newaxis]
    found = whole.measure(settings, profiles.weight, theta, beta)
    return {name: column[0, 0::2] - column[0, 1::2] for name, column in found.items()}


def compare_values(
    whole: Standardiser, profiles: Profiles, contrasts: Sequence[Contrast], level: float, n_draws: int
) -> list[dict[str, Any]]:
    """Make a row of each measure and contrast: as expected, and with what draws say."""
    settings = [profiles.with_value(c.attribute, value) for c in contrasts for value in (c.value, c.reference)]
    posterior = whole.model.posterior_
    theta = posterior.draws_array(n_draws)
    beta = np.zeros((len(theta), 0)) if whole.spend is None else whole.spend.draws(len(theta), 0)
    drawn = whole.measure(settings, profiles.weight, theta, beta)
    center = choose_theta(posterior, None)[:_CENTER_DRAWS]
    at = np.zeros(0) if whole.spend is None else whole.spend.coefficients
    expected = whole.measure(settings, profiles.weight, center, np.tile(at, (len(center), 1)))
    many = stats.norm.ppf(1 - (1 - level) / (2 * len(contrasts)))
    rows = []
    for name in whole.measures:
        middle = expected[name].mean(axis=0)
        for i, contrast in enumerate(contrasts):
            difference = drawn[name][:, 2 * i] - drawn[name][:, 2 * i + 1]
            low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
            rows.append(
                {
                    "measure": name,
                    "attribute": contrast.attribute,
                    "value": contrast.value,
                    "reference": contrast.reference,
                    "customers": contrast.customers,
                    "repeat_buyers": contrast.repeat_buyers,
                    "at_value": middle[2 * i],
                    "at_reference": middle[2 * i + 1],
                    "difference": middle[2 * i] - middle[2 * i + 1],
                    "low": float(low),
                    "high": float(high),
                    "p_above": float((difference > 0).mean()),
                    "holds_for_all": bool(abs(difference.mean()) > many * difference.std()),
                }
            )
    return rows


def make_table(
    rows: list[dict[str, Any]],
    alone: Mapping[tuple[str, str, str], float],
    prepared: Prepared,
    measures: Sequence[str],
    level: float,
) -> pd.DataFrame:
    """Put rows in order, with the unadjusted differences, verdicts, and the values of which nothing can be said."""
    for row in rows:
        base = row["at_reference"]
        row["relative"] = row["difference"] / base if base > 0 else np.nan
        row["unadjusted"] = alone.get((row["measure"], row["attribute"], str(row["value"])), row["difference"])
        row["verdict"] = "goes with more" if row["low"] > 0 else "goes with less" if row["high"] < 0 else "cannot tell"
    order = [
        "measure", "attribute", "value", "reference", "customers", "repeat_buyers", "at_value", "at_reference",
        "difference", "low", "high", "relative", "unadjusted", "p_above", "holds_for_all", "verdict",
    ]  # fmt: skip
    rare = [
        {
            "measure": measure,
            "attribute": each.attribute,
            "value": each.value,
            "customers": each.customers,
            "repeat_buyers": each.repeat_buyers,
            "holds_for_all": False,
            "verdict": _NOT_ENOUGH,
        }
        for measure in measures
        for each in prepared.rare
    ]
    place = {measure: i for i, measure in enumerate(measures)}
    table = pd.DataFrame([*rows, *rare]).reindex(columns=order)
    return table.sort_values("measure", key=lambda column: column.map(place), kind="stable", ignore_index=True)


def make_notes(
    prepared: Prepared, settings: Mapping[str, Any], profiles: Profiles, whole: Standardiser
) -> tuple[str, ...]:
    """Say what the figures are and are not."""
    level, n = settings["level"], settings["n_contrasts"]
    notes = [
        CAVEAT,
        "an attribute must be known at the first purchase: one that is only seen later, such as a feature used, goes "
        "with staying because who stays has more time to use it",
    ]
    if n > 1:
        notes.append(
            f"{n} comparisons of each measure: if none held, about {(1 - level) * n:.1f} of their intervals would "
            "leave out 0 by chance; holds_for_all marks what holds for all of them together"
        )
    if getattr(whole.model.pattern_kernels, "dropout_at_first", True) is False:
        notes.append(
            f"{type(whole.model).__name__} lets customers leave at repeat purchases alone: who never comes back counts "
            "as there, and who buys often has more occasions to leave; read who buys again before who is there"
        )
    if whole.spend is None:
        notes.append("the summary has no amounts, so there is no value")
    if RARE in {contrast.value for contrast in prepared.contrasts}:
        notes.append(f"values of few customers stand together as {RARE!r}: of each alone there is not enough to say")
    if prepared.n_left_out:
        notes.append(f"{prepared.n_left_out:,} customers with values too rare to compare are left out")
    if profiles.is_sample:
        notes.append(f"means are over {len(profiles.weight)} customers, evenly spaced by their attributes")
    return tuple(notes)
