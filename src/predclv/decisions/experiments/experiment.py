"""Readout of an experiment: what each arm's customers brought and are forecast to bring, and whether arms differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.experiments.arm_means import ArmMeans
from predclv.decisions.experiments.options import Plan, settle_exposed, settle_models, settle_shares
from predclv.decisions.experiments.readout import read_out
from predclv.decisions.experiments.trial import read_trial
from predclv.decisions.experiments.words import LABELS, say_experiment
from predclv.inference.posterior import check_level, check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from predclv.value import CLV

__all__ = ["Experiment", "read_experiment"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Experiment:
    """Readout of an experiment, at the level of customers.

    Attributes
    ----------
    table : pandas.DataFrame
        A row an outcome and arm against the control: outcome, arm, control, mean, control_mean, difference, low, high
        (interval of the difference), relative (difference over the control's mean), p_beats (probability that the arm's
        mean is above the control's), rests_on ("data", "model" or "both"), verdict. The first outcome is the headline.
    arms : pandas.DataFrame
        A row an arm: arm, customers, exposed (where told), share, planned_share, repeat_buyers, mean_age, p_best
        (probability that its mean of the headline is the highest).
    influence : pandas.DataFrame
        The customers who move the headline's differences most: customer_id, arm, against, difference, without (the
        difference if the customer had not been there, to first order), decides (whether that alone changes the verdict
        or the sign).
    plan : pandas.DataFrame
        A row an arm against the control, for the headline: smallest_detectable (the difference that the experiment, as
        large as it is, finds with probability `power`), detect, and what that takes: customers (in all arms of the
        pair) and further_time, in the time unit; NaN where nothing was asked for.
    balance : float
        p-value of the arms' sizes, given the planned shares (chi-square).
    warnings : tuple of str
        What speaks against reading it as an experiment.
    notes : tuple of str
        What the figures are and are not.
    settings : mapping
        design ("acquisition" or "existing customers"), horizon (in words), time_unit, length, level, power, control,
        currency, discount_rate, model_share (how much of the headline's mean is forecast), thin (arms that are too
        small to say anything of), end, start.
    means : mapping of outcome to ArmMeans
        Means and the covariance of their errors.
    """

    table: pd.DataFrame
    arms: pd.DataFrame
    influence: pd.DataFrame
    plan: pd.DataFrame
    balance: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    means: Mapping[str, ArmMeans]

    def __repr__(self) -> str:
        return f"<Experiment: {self.say()}>"

    def _repr_html_(self) -> str:
        listed = "".join(f"<li>{escape(text)}</li>" for text in (*self.warnings, *self.notes))
        # The private pandas method is what a notebook calls.
        table = self.table.round(4)._repr_html_()  # type: ignore[operator]
        return f"<p>{escape(self.say())}</p>{table}<ul>{listed}</ul>"

    @property
    def headline(self) -> str:
        """Name of the outcome that the readout is about."""
        return str(self.table["outcome"].iloc[0])

    def say(self) -> str:
        """The headline in plain words."""
        return say_experiment(self)

    def draws(self, outcome: str | None = None, *, n: int = 4_000, seed: int = 0) -> pd.DataFrame:
        """Draws of the arms' means of an outcome, a column an arm; rows belong together.

        Raises
        ------
        ValueError
            There is no such outcome.
        """
        name = self.headline if outcome is None else outcome
        if name not in self.means:
            raise ValueError(f"'outcome' must be one of {', '.join(self.means)}. Got {outcome!r}.")
        return pd.DataFrame(self.means[name].draws(n, seed), columns=list(self.arms["arm"]))

    def plot_differences(self, *, ax: Axes | None = None) -> Axes:
        """Each outcome's difference, in percent of the control's mean, with its interval."""
        from predclv.plots.experiments import plot_differences

        return plot_differences(self.table, LABELS, level=self.settings["level"], ax=ax)

    def plot_draws(self, outcome: str | None = None, *, ax: Axes | None = None) -> Axes:
        """How likely each mean of each arm is, given the data."""
        from predclv.plots.experiments import plot_arm_draws

        name = self.headline if outcome is None else outcome
        label = LABELS[name]
        currency = self.settings["currency"] if "clv" in name or "value" in name else None
        return plot_arm_draws(self.draws(name), what=label, currency=currency, ax=ax)


def read_experiment(
    data: Any,
    arm: str | Mapping[Any, Any] | pd.Series,
    *,
    start: Any = None,
    clv: CLV | None = None,
    horizon: Any = "1 year",
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    control: str | None = None,
    shares: Mapping[str, float] | None = None,
    exposed: Mapping[str, int] | None = None,
    level: float = 0.9,
    detect: float | None = None,
    power: float = 0.8,
    **options: Any,
) -> Experiment:
    """Compare the arms of a randomised experiment.

    Two designs. Arms given at acquisition (an onboarding, a price for new customers): each arm's customers are
    forecast by models of their own, for what all had in common would pull the arms together. Existing customers
    randomised at `start` (an offer, a loyalty scheme): what followed is compared, adjusted for the forecast made of
    each customer the day before; one model forecasts all from the end on. It does not know the arms, and takes each
    customer's whole past for one rhythm, so of a change that began at the start it carries on a part only.

    Parameters
    ----------
    data : log, or RFMSummary for arms given at acquisition
        A log is read with `**options`, those of `RFMSummary.from_transactions`; then the first purchase's money counts.
    arm : str, mapping or Series
        A column that says each customer's arm, or arms by customer id: of all who were randomised, bought they or not.
        Customers without one are then left out.
    start : date, optional
        First day of an experiment on existing customers. Who came later is not in it.
    clv : CLV, optional
        Which models to fit, and how; copies are fitted. By default CLV(). Without amounts, the transaction model alone.
    horizon, discount_rate, margin
        Of the forecast from the end of observation on, as in `CLV.predict`; finite. What was seen is not discounted.
    control : str, optional
        The arm that others are compared with; by default the one called "control" or "A", else the first by name.
    shares : mapping of arm to share, optional
        As the arms were to be divided; by default evenly.
    exposed : mapping of arm to number, optional
        Of arms given at acquisition: how many people were offered each, customers or not. Means are then over these,
        which is the fair comparison where an arm changes who becomes a customer, as a price does.
    level : float
        Probability of the intervals.
    detect : float, optional
        A difference in the headline that would matter: how much longer must the experiment run to find it?
    power : float
        Probability of finding it, by an interval at `level` that leaves out 0.

    Returns
    -------
    Experiment

    Raises
    ------
    DataError
        A customer is in two arms, or in none; there is one arm; or the data cannot inform a model.
    TypeError, ValueError
        An option means nothing.

    Warns
    -----
    DataQualityWarning
        The arms' sizes are not those planned, or they differed before anything was done: no experiment.

    Notes
    -----
    Customers are counted once. An interval holds what chance did to customers and what is not known of the models'
    parameters, which are one error, as both come from the same customers
    (`predclv.decisions.experiments.forecast_means`). It is right for the population that the customers are a sample
    of, and for one look: to look every week and to stop when the interval leaves out 0 finds a difference far too
    often where there is none.
    """
    check_level(level)
    if not 0 < check_number("power", power) < 1:
        raise ValueError(f"'power' must be in (0, 1). Got {power!r}.")
    if detect is not None and check_number("detect", detect) <= 0:
        raise ValueError(f"'detect' must be above 0, a difference that would matter. Got {detect!r}.")
    models = settle_models(clv)
    trial = read_trial(data, arm, start, margin, options)
    plan = Plan(
        names=trial.names,
        control=_control(control, trial.names),
        shares=settle_shares(shares, trial.names),
        exposed=settle_exposed(exposed, trial),
        level=level,
        detect=detect,
        power=power,
    )
    return Experiment(**read_out(trial, models, plan, horizon=horizon, discount_rate=discount_rate, margin=margin))


def _control(control: str | None, names: Sequence[str]) -> int:
    if control is not None:
        if str(control) not in names:
            raise ValueError(f"'control' must be an arm, one of {', '.join(map(repr, names))}. Got {control!r}.")
        return list(names).index(str(control))
    for i, name in enumerate(names):
        if name.lower() in ("control", "a"):
            return i
    return 0
