"""One customer's story: how likely to be alive, as it looked at each moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.checks.replications import require_times
from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.forecast.tracking import alive_path
from predclv.models.transactions import TransactionModel

__all__ = ["AliveHistory", "follow_customer"]

FloatArray = NDArray[np.float64]

_PATH_POINTS = 400


@dataclass(frozen=True, eq=False)
class AliveHistory:
    """One customer's probability of being alive as it looked at each moment.

    Attributes
    ----------
    times, purchases : arrays
        Dates, or times since the first purchase in `time_unit`.
    p_alive : (n_times,) array
    time_unit : str or None
        None where times are dates.
    """

    times: NDArray[Any]
    p_alive: FloatArray
    purchases: NDArray[Any]
    time_unit: str | None


def follow_customer(model: TransactionModel, purchases: Any, *, until: Any) -> AliveHistory:
    """Work out one customer's probability of being alive from the first purchase on.

    Parameters
    ----------
    model : fitted TransactionModel
    purchases : sequence of dates, or of numbers
        All purchases, the first included; numbers are times in the model's unit. Several on one day count as one.
    until : date or number
        Last moment to show; purchases after it are not.

    Returns
    -------
    AliveHistory

    Raises
    ------
    ValueError
        No purchase lies before `until`.
    """
    require_times(model, "follow_customer")
    times = np.unique(np.asarray(purchases))
    dated = not np.issubdtype(times.dtype, np.number)
    unit = DAYS_PER_UNIT[model.fingerprint_.time_unit]
    if dated:
        times = np.unique(times.astype("datetime64[D]"))
        end: Any = np.datetime64(parse_moment("until", until), "D")
    else:
        end = float(until)
    times = times[times <= end]
    if not len(times):
        raise ValueError(f"No purchase lies before until={until!r}.")
    since = (times - times[0]).astype(np.float64) / (unit if dated else 1.0)
    length = float((end - times[0]) / np.timedelta64(1, "D")) / unit if dated else end - times[0]
    # A purchase lifts the curve at once: a point just before each shows the fall that it ends.
    grid = np.unique(np.concatenate([np.linspace(0.0, length, _PATH_POINTS), since, since[1:] - 1e-9 * unit]))
    p_alive = alive_path(model.bindings, since, grid, model.thetas().center)
    if not dated:
        return AliveHistory(grid + times[0], p_alive, times, model.fingerprint_.time_unit)
    stamps = times[0].astype("datetime64[s]") + np.round(grid * unit * 86_400).astype("timedelta64[s]")
    return AliveHistory(stamps, p_alive, times, None)
