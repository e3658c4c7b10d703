"""A series of snapshots: each against the one before, and who rings again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from scipy import stats

from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.alarms import KINDS
from predclv.decisions.monitor.compare import compare_snapshots
from predclv.decisions.monitor.result import Monitoring
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["Watch", "watch_snapshots"]


@dataclass(frozen=True, eq=False, repr=False)
class Watch:
    """A series of comparisons; made by `watch_snapshots`.

    Attributes
    ----------
    steps : tuple of Monitoring
        Each snapshot against the one before.
    table : DataFrame
        A row a step: old_date, new_date, window, compared, tested (valuable customers), silence, basket, value (alarms
        that rang), expected_if_unchanged and expected_by_forecast (of silence), purchases_error, verdict.
    repeated : DataFrame
        A row each customer who fell silent at two steps or more: customer_id, rang, tested, chance (that an unchanged
        customer rings as often), value_at_stake (at the latest alarm). The least likely first.
    false_alarm_of_series : float
        Chance that an unchanged customer, tested at every step, rings at least once for silence.
    """

    steps: tuple[Monitoring, ...]
    table: pd.DataFrame
    repeated: pd.DataFrame
    false_alarm_of_series: float

    def __repr__(self) -> str:
        first, last = self.table["old_date"].iloc[0], self.table["new_date"].iloc[-1]
        return (
            f"<Watch: {len(self.steps) + 1} snapshots from {first} to {last}; {len(self.repeated):,} customers "
            f"fell silent more than once; refit: {', '.join(self.table['verdict'])}>"
        )


def watch_snapshots(
    snapshots: Sequence[tuple[CLV | TransactionModel, RFMSummary]], *, refitted: bool = True, **options: Any
) -> Watch:
    """Compare each snapshot of a series with the one before.

    The chance of an alarm given the history before it is the level at every step, so that those of several steps
    multiply: alarms of an unchanged customer come as independently as the throws of a coin.

    Parameters
    ----------
    snapshots : sequence of (model, RFMSummary)
        In the order of time, two or more; the model is the one in use from that date on.
    refitted : bool
        Whether each model was fitted on its own snapshot, so that parameters are compared. Without, a step is judged
        by the model before it alone.
    **options
        As in `compare_snapshots`, but for `customers_file`, of which a series has several.

    Raises
    ------
    ValueError
        There are fewer than two snapshots.
    TypeError, UnitError, DataError
        As `compare_snapshots`; TypeError for `customers_file`.
    """
    if "customers_file" in options:
        raise TypeError("'customers_file' is of one comparison. Leave it out: a series keeps the rows of each step.")
    series = list(snapshots)
    if len(series) < 2:
        raise ValueError(f"A series takes two snapshots or more. Got {len(series)}.")
    steps = tuple(
        compare_snapshots(model, old, new, later if refitted else None, **options)
        for (model, old), (later, new) in pairwise(series)
    )
    level = steps[0].facts["alarm_level"]
    return Watch(steps, _table(steps), _repeated(steps, level), 1 - (1 - level) ** len(steps))


def _table(steps: Sequence[Monitoring]) -> pd.DataFrame:
    rows = []
    for step in steps:
        counts = step.alarm_counts.set_index("kind")
        totals = step.calibration.totals
        all_purchases = totals[(totals["what"] == "purchases") & (totals["group"] == "all")].iloc[0]
        rows.append(
            {
                **{name: step.facts[name] for name in ("old_date", "new_date", "window", "compared")},
                "tested": counts.loc["silence", "tested"],
                **{kind: counts["rang"].to_dict()[kind] for kind in KINDS},
                "expected_if_unchanged": counts.loc["silence", "expected_if_unchanged"],
                "expected_by_forecast": counts.loc["silence", "expected_by_forecast"],
                "purchases_error": all_purchases["error"],
                "verdict": step.verdict,
            }
        )
    return pd.DataFrame(rows)


def _repeated(steps: Sequence[Monitoring], level: float) -> pd.DataFrame:
    rung = [step.alarms[step.alarms["kind"] == "silence"] for step in steps]
    alarms = pd.concat(rung, ignore_index=True)
    rang = alarms.groupby("customer_id", sort=False).size()
    rang = rang[rang > 1]
    tested = pd.Series(0, index=rang.index)
    for step in steps:
        assert step.customers is not None
        valuable = step.customers.loc[step.customers["valuable"], "customer_id"]
        tested += tested.index.isin(valuable)
    latest = alarms.groupby("customer_id", sort=False)["value_at_stake"].last().loc[rang.index]
    table = pd.DataFrame(
        {
            "customer_id": rang.index.to_numpy(),
            "rang": rang.to_numpy(),
            "tested": tested.to_numpy(),
            "chance": stats.binom.sf(rang.to_numpy() - 1, tested.to_numpy(), level),
            "value_at_stake": latest.to_numpy(),
        }
    )
    return table.sort_values(["chance", "value_at_stake"], ascending=[True, False], ignore_index=True)
