"""What is asked of ArviZ, in one place, because ArviZ 1 (Python 3.12 and later) is another package than 0.23.

Written for, and tested with, ArviZ 0.22 to 0.23. What differs in ArviZ 1.1 and later stands in the branches on
`IS_ONE`; they are untested, since Python 3.11 cannot install it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IS_ONE", "ess_bulk", "ess_tail", "rhat"]

#: Whether ArviZ is version 1 or later.
IS_ONE = int(version("arviz").split(".")[0]) >= 1


def rhat(values: NDArray[np.float64]) -> float:
    """Rank-normalised split R-hat of (n_chains, n_draws) values."""
    return _measure("rhat", values, method="rank")


def ess_bulk(values: NDArray[np.float64]) -> float:
    """Effective sample size of the middle, of (n_chains, n_draws) values."""
    return _measure("ess", values, method="bulk")


def ess_tail(values: NDArray[np.float64]) -> float:
    """Effective sample size of the 5 % and 95 % quantiles, the smaller, of (n_chains, n_draws) values."""
    return _measure("ess", values, method="tail")


def _measure(name: str, values: NDArray[np.float64], **options: Any) -> float:
    # Chains that hardly move, or are hardly there, have no such number; that it is not finite says so.
    with np.errstate(divide="ignore", invalid="ignore"):
        if IS_ONE:
            array_stats = import_module("arviz_stats.base").array_stats
            return float(getattr(array_stats, name)(values, chain_axis=0, draw_axis=1, **options))
        import arviz

        return float(getattr(arviz, name)(values, **options))
