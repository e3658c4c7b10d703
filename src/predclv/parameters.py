"""Parameters as data: declared once, they drive checks, transforms, summaries, docs and test draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Parameter", "are_logarithmic", "from_unconstrained", "jacobian", "to_unconstrained"]

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
        Open lower end of the domain; -inf for a coefficient, which may be any number.
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
            domain = "" if self.is_real else f" and above {self.above:g}"
            raise ValueError(f"Parameter {self.name!r} must be finite{domain}. Got {value!r}.")
        return number

    @property
    def is_real(self) -> bool:
        """Whether it may be any number: then it is its own unconstrained value."""
        return self.above == -math.inf


def to_unconstrained(parameters: Sequence[Parameter], values: ArrayLike) -> FloatArray:
    """Map natural values, (..., n_parameters), to the real line by log(value - above); coefficients stay."""
    natural = np.asarray(values, dtype=np.float64)
    real, ends = _domains(parameters)
    if not real.any():
        return np.log(natural - ends)
    return np.where(real, natural, np.log(np.where(real, 1.0, natural - ends)))


def from_unconstrained(parameters: Sequence[Parameter], unconstrained: ArrayLike) -> FloatArray:
    """Map the real line back to natural values, (..., n_parameters)."""
    position = np.asarray(unconstrained, dtype=np.float64)
    real, ends = _domains(parameters)
    if not real.any():
        return np.exp(position) + ends
    return np.where(real, position, np.exp(np.where(real, 0.0, position)) + ends)


def jacobian(parameters: Sequence[Parameter], values: ArrayLike) -> FloatArray:
    """Derivative of the natural values by the unconstrained ones, (..., n_parameters)."""
    real, ends = _domains(parameters)
    return np.where(real, 1.0, np.asarray(values, dtype=np.float64) - ends)


def are_logarithmic(parameters: Sequence[Parameter]) -> NDArray[np.bool_]:
    """Which parameters have a logarithm for their unconstrained value, (n_parameters,); the others are their own."""
    return np.array([not parameter.is_real for parameter in parameters])


def _domains(parameters: Sequence[Parameter]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Which parameters may be any number, and the lower ends of the others, 0 where there is none."""
    above = np.array([p.above for p in parameters], dtype=np.float64)
    real = np.isneginf(above)
    return real, np.where(real, 0.0, above)
