"""How far ahead a forecast looks, at what discount rate, and what to say of it."""

from __future__ import annotations

import numpy as np

from predclv.data.durations import Horizon
from predclv.errors import HorizonWarning, warn
from predclv.inference.posterior import check_number
from predclv.kernels.discounting import continuous_rate

__all__ = ["check_discount_rate", "check_finite_horizon", "parse_discount_rate", "warn_long_horizon"]


def check_finite_horizon(horizon: Horizon, longest_age: float, time_unit: str) -> Horizon:
    """Warn where a horizon reaches further than the log, and refuse an endless one."""
    if not np.isfinite(horizon.length):
        raise ValueError(
            "Undiscounted purchases over an infinite horizon may have no finite mean. Give a finite horizon, or "
            "forecast CLV with a discount rate above 0."
        )
    warn_long_horizon(horizon, longest_age, time_unit)
    return horizon


def parse_discount_rate(discount_rate: float, horizon: Horizon, time_unit: str) -> float:
    """Return the continuous rate per time unit, or raise ValueError where the rate a year means nothing."""
    check_discount_rate(discount_rate)
    if discount_rate == 0 and not np.isfinite(horizon.length):
        raise ValueError(
            "An infinite horizon needs a discount rate above 0: undiscounted value may have no finite mean."
        )
    return continuous_rate(discount_rate, time_unit)


def check_discount_rate(discount_rate: float) -> float:
    """Return a discount rate as a float, or raise ValueError where it is no share a year."""
    rate = check_number("discount_rate", discount_rate)
    if not 0 <= rate < 1:
        hint = f"; did you mean {discount_rate / 100:g}?" if 1 <= discount_rate < 100 else "."
        raise ValueError(f"'discount_rate' must be in [0, 1), a share a year. Got {discount_rate:g}{hint}")
    return rate


def warn_long_horizon(horizon: Horizon, longest_age: float, time_unit: str) -> None:
    """Warn where a horizon reaches further ahead than any customer behind the fit has been observed."""
    # 39 weeks ahead after 39 weeks of log: the oldest customer, who came on its first day, is a day younger than it.
    if horizon.length > 1.01 * longest_age:
        warn(
            f"The horizon, {horizon.label}, is longer than the oldest customer behind the fit has been observed "
            f"({longest_age:.4g} {time_unit}s): what lies beyond is extrapolation.",
            HorizonWarning,
        )
