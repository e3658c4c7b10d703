"""Parameters as data: declared once, they drive checks, transforms, summaries, docs and test draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Parameter", "from_unconstrained", "jacobian", "to_unconstrained"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """One model parameter: its name, domain, usual size and meaning.

    Attributes
    ----------
    name : str
        The paper's letter, written out (`alpha`, `gamma`).
    meaning : str
        What it says about customers, for summaries and docs.
    typical : (float, float)
        Range in which fitted values usually lie; starts and random tests are drawn from it.
    above : float
        Open lower end of the domain.
    unit : str or None
        "time" (scales with the time unit), "money" (scales with the currency) or None.
    """

    name: str
    meaning: str
    typical: tuple[float, float]
    above: float = 0.0
    unit: str | None = None

    def __post_init__(self) -> None:
        low, high = self.typical
        if not self.above < low < high:
            raise ValueError(f"Parameter {self.name!r}: typical range {self.typical} must lie above {self.above}.")
        if self.unit not in (None, "time", "money"):
            raise ValueError(f"Parameter {self.name!r}: unit must be None, 'time' or 'money'. Got {self.unit!r}.")

    def check(self, value: float) -> float:
        """Return `value` as a float, or raise ValueError where it is outside the domain."""
        number = float(value)
        if not (math.isfinite(number) and number > self.above):
            raise ValueError(f"Parameter {self.name!r} must be finite and above {self.above:g}. Got {value!r}.")
        return number


def to_unconstrained(parameters: Sequence[Parameter], values: ArrayLike) -> FloatArray:
    """Map natural values, (..., n_parameters), to the real line by log(value - above)."""
    return np.log(np.asarray(values, dtype=np.float64) - _lower_ends(parameters))


def from_unconstrained(parameters: Sequence[Parameter], unconstrained: ArrayLike) -> FloatArray:
    """Map the real line back to natural values, (..., n_parameters)."""
    return np.exp(np.asarray(unconstrained, dtype=np.float64)) + _lower_ends(parameters)


def jacobian(parameters: Sequence[Parameter], values: ArrayLike) -> FloatArray:
    """Derivative of the natural values by the unconstrained ones, (..., n_parameters)."""
    return np.asarray(values, dtype=np.float64) - _lower_ends(parameters)


def _lower_ends(parameters: Sequence[Parameter]) -> FloatArray:
    return np.array([p.above for p in parameters])
