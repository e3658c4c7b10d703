"""An experiment in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predclv.decisions.experiments.experiment import Experiment

__all__ = [
    "EDGE",
    "LABELS",
    "NOT_ENOUGH",
    "describe",
    "design_notes",
    "format_amount",
    "say_experiment",
    "thin_note",
]

#: What outcomes are called where people read.
LABELS: Mapping[str, str] = {
    "won": "became a customer",
    "value": "value, so far and to come",
    "value_so_far": "value so far",
    "expected_clv": "predicted value to come",
    "purchases": "purchases, so far and to come",
    "purchases_so_far": "purchases so far",
    "bought": "bought (again) so far",
    "expected_purchases": "predicted purchases to come",
    "p_purchase": "probability of buying again",
}
#: The note where a likelihood has no maximum inside.
EDGE = (
    "a model's parameter ran to an edge of its domain, where intervals are rough: priors hold it, with "
    "clv=CLV(BGNBD(method='map'), GammaGamma(method='map'))"
)
#: The verdict where an arm is too small.
NOT_ENOUGH = "not enough to say"


def say_experiment(experiment: Experiment) -> str:
    """The headline of each arm against the control."""
    return "; ".join(describe(row, experiment) for row in experiment.table.to_dict("records")[: _others(experiment)])


def describe(row: Mapping[Any, Any], experiment: Experiment) -> str:
    """Put a row of the table in words."""
    level = f"{experiment.settings['level']:.0%}".replace("%", " %")
    what, name = LABELS[row["outcome"]], row["outcome"]
    low, high, middle = (format_amount(row[key], name, signed=True) for key in ("low", "high", "difference"))
    each = "person exposed" if "exposed" in experiment.arms else "customer"
    said = (
        f"{row['arm']} against {row['control']}: {middle} a {each} in {what} ({level} interval {low} to {high}); "
        f"the probability that {row['arm']} is better is {_probability(row['p_beats'])}"
    )
    return f"{said}: {row['verdict']}"


def format_amount(value: float, outcome: str, *, signed: bool = False) -> str:
    """'+1.24', or '+2.1 points' of shares."""
    sign = "+" if signed else ""
    if outcome in ("won", "bought", "p_purchase"):
        points = f"{100 * value:{sign}.1f}".replace("-", "−")
        return f"{points} points" if signed else f"{points} %"
    digits = 0 if abs(value) >= 1000 else 2 if abs(value) >= 1 else 3
    return f"{value:{sign},.{digits}f}".replace("-", "−")


def design_notes(settings: Mapping[str, Any], *, exposed: bool, n_comparisons: int) -> list[str]:
    """What the figures are and are not."""
    unit, length = settings["time_unit"], settings["length"]
    notes = [
        f"{settings['model_share']:.0%} of the mean value is forecast, for {settings['horizon']}, after "
        f"{length:.3g} {unit}s of observation: so much rests on the model, the rest on the data alone"
    ]
    if settings["design"] == "acquisition":
        if not exposed:
            notes.append(
                "means are over those who became customers: where an arm changes who does, as a price, compare all who "
                "were offered it, with exposed="
            )
    else:
        notes.append(
            "the forecast does not know the arms and takes each customer's whole past for one rhythm: of a change that "
            "began at the start it carries on a part only, and it does not know whether the change lasts"
        )
    notes.append(
        "for one look, at a time that was fixed before: to look again and again and stop at the first clear difference "
        "finds one too often where there is none"
    )
    if n_comparisons > 1:
        chance = 1 - settings["level"] ** n_comparisons
        notes.append(
            f"{n_comparisons} arms are compared with the control: if none differed, one of these intervals would leave "
            f"out 0 in about {chance:.0%} of experiments, and other outcomes add to that"
        )
    return notes


def thin_note(thin: Mapping[str, int]) -> str:
    """Say which arms are too small."""
    listed = ", ".join(f"{name!r} has {buyers:,}" for name, buyers in thin.items())
    return f"too few repeat buyers to say anything ({listed}): intervals are rough, and no verdict is given"


def _others(experiment: Experiment) -> int:
    return len(experiment.arms) - 1


def _probability(p: float) -> str:
    if p > 0.999:
        return "above 99.9 %"
    if p < 0.001:
        return "below 0.1 %"
    return f"{100 * p:.1f} %"
