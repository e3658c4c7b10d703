"""Options of an experiment's readout, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import quote_list
from predclv.decisions.experiments.trial import Trial
from predclv.errors import DataError
from predclv.models import BGNBD, GammaGamma
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["Models", "Plan", "settle_exposed", "settle_models", "settle_shares"]

FloatArray = NDArray[np.float64]
Models = tuple[TransactionModel, GammaGamma | None]


@dataclass(frozen=True)
class Plan:
    """How an experiment was meant, and how it is to be read.

    Attributes
    ----------
    names : sequence of str
    control : int
        Position of the control among them.
    shares : (n_arms,) array
    exposed : (n_arms,) array or None
    level, power : float
    detect : float or None
    """

    names: Sequence[str]
    control: int
    shares: FloatArray
    exposed: FloatArray | None
    level: float
    detect: float | None
    power: float

    @property
    def others(self) -> list[int]:
        """Positions of the other arms."""
        return [i for i in range(len(self.names)) if i != self.control]


def settle_models(clv: CLV | None) -> Models:
    """Models to fit in each arm; TypeError or ValueError where they cannot be."""
    if clv is None:
        return BGNBD(), GammaGamma()
    if not isinstance(clv, CLV):
        raise TypeError(f"'clv' must be a CLV, as CLV(BGNBD(), GammaGamma()). Got {type(clv).__name__}.")
    transactions, spend = clv.transactions or BGNBD(), clv.spend or GammaGamma()
    if not isinstance(transactions, TransactionModel):
        raise TypeError(f"Experiments are read with models of purchases. Got {type(transactions).__name__}.")
    covariates = [getattr(transactions, f"{name}_covariates", None) for name in ("purchase", "dropout")]
    if transactions.segment is not None or spend.segment is not None or any(map(bool, covariates)):
        raise ValueError(
            "Experiments are read with models without segments and covariates: arms are fitted apart, and chance has "
            "made them alike in all else. Give CLV(BGNBD(), GammaGamma())."
        )
    return transactions, spend


def settle_shares(shares: Mapping[str, float] | None, names: Sequence[str]) -> FloatArray:
    """Planned shares of the arms, which sum to 1; ValueError where they mean nothing."""
    if shares is None:
        return np.full(len(names), 1 / len(names))
    found = np.array([float(value) for value in _by_arm_name(shares, names, "shares")])
    if not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"'shares' must be above 0. Got {dict(shares)}.")
    return np.asarray(found / found.sum())


def settle_exposed(exposed: Mapping[str, int] | None, trial: Trial) -> FloatArray | None:
    """How many were offered each arm; ValueError or DataError where that cannot be."""
    if exposed is None:
        return None
    if trial.before is not None:
        raise ValueError("'exposed' is of arms given at acquisition: existing customers are all counted already.")
    found = np.array([float(value) for value in _by_arm_name(exposed, trial.names, "exposed")])
    size = np.bincount(trial.code, minlength=len(trial.names))
    short = ~(found >= size)
    if short.any():
        i = int(np.argmax(short))
        raise DataError(f"'exposed' is {found[i]:g} for arm {trial.names[i]!r}, which has {size[i]:,} customers.")
    return found


def _by_arm_name(given: Mapping[str, Any], names: Sequence[str], option: str) -> list[Any]:
    by_name = {str(key): value for key, value in given.items()}
    if set(by_name) != set(names):
        raise ValueError(f"{option!r} must name the arms, {quote_list(names)}. Got {quote_list(by_name)}.")
    return [by_name[name] for name in names]
