"""Until when customers to come are valued, and in which steps they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Plan"]

FloatArray = NDArray[np.float64]

#: Who comes within a period comes at the middle of one of so many equal parts of it.
_PARTS = 4


@dataclass(frozen=True)
class Plan:
    """Until when, in which steps and at what rate, in the models' time unit."""

    length: float
    n_periods: int
    width: float
    rate: float
    discount_rate: float
    margin: float
    include_first: bool
    level: float
    n_draws: int

    def arrival_times(self) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
        """Times of arrival, (n_times,), the period of each and the share of the period's customers that come then."""
        time = (np.arange(self.n_periods * _PARTS) + 0.5) * self.width / _PARTS
        period = np.repeat(np.arange(self.n_periods), _PARTS)
        # The last period may be cut by the horizon.
        inside = time < self.length
        return time[inside], period[inside], np.full(int(inside.sum()), 1.0 / _PARTS)
