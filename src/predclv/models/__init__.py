"""One file a model: what the customer does, its parameters, its kernels. `MODELS` lists them by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predclv.models.bdw import BDW
from predclv.models.bg_bb import BGBB
from predclv.models.bg_nbd import BGNBD
from predclv.models.cnbd import BGCNBD, MBGCNBD
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.mbg_nbd import MBGNBD
from predclv.models.nbd import NBD
from predclv.models.pareto_nbd import ParetoNBD
from predclv.models.sbg import SBG

if TYPE_CHECKING:
    from predclv.models.base import Model

__all__ = ["BDW", "BGBB", "BGCNBD", "BGNBD", "MBGCNBD", "MBGNBD", "MODELS", "NBD", "SBG", "GammaGamma", "ParetoNBD"]

MODELS: dict[str, type[Model]] = {
    "bg_nbd": BGNBD,
    "mbg_nbd": MBGNBD,
    "bg_cnbd": BGCNBD,
    "mbg_cnbd": MBGCNBD,
    "pareto_nbd": ParetoNBD,
    "nbd": NBD,
    "bg_bb": BGBB,
    "gamma_gamma": GammaGamma,
    "sbg": SBG,
    "bdw": BDW,
}
"""Every model by its key, which is its name on the command line and in backtests."""
