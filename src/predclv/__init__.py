"""predclv: predicted customer lifetime value, with intervals that hold.

Names load when first used: ``import predclv`` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predclv import backtesting as backtesting
    from predclv import batch as batch
    from predclv import checks as checks
    from predclv import datasets as datasets
    from predclv import decisions as decisions
    from predclv import plots as plots
    from predclv import priors as priors
    from predclv.backtesting import Backtest as Backtest
    from predclv.backtesting import backtest as backtest
    from predclv.backtesting import select as select
    from predclv.comparison import Comparison as Comparison
    from predclv.comparison import compare as compare
    from predclv.data.rfm import RFMSummary as RFMSummary
    from predclv.data.split import Split as Split
    from predclv.data.split import split_transactions as split_transactions
    from predclv.data.subscriptions import Subscriptions as Subscriptions
    from predclv.data.timeline import purchase_timeline as purchase_timeline
    from predclv.inference.posterior import Posterior as Posterior
    from predclv.models import BDW as BDW
    from predclv.models import BGBB as BGBB
    from predclv.models import BGCNBD as BGCNBD
    from predclv.models import BGNBD as BGNBD
    from predclv.models import MBGCNBD as MBGCNBD
    from predclv.models import MBGNBD as MBGNBD
    from predclv.models import MODELS as MODELS
    from predclv.models import NBD as NBD
    from predclv.models import SBG as SBG
    from predclv.models import GammaGamma as GammaGamma
    from predclv.models import ParetoNBD as ParetoNBD
    from predclv.models.explanation import Explanation as Explanation
    from predclv.report import write_report as write_report
    from predclv.value import CLV as CLV
    from predclv.value import load as load

_HOME = {
    "Backtest": "backtesting",
    "Comparison": "comparison",
    "RFMSummary": "data.rfm",
    "Split": "data.split",
    "Subscriptions": "data.subscriptions",
    "backtest": "backtesting",
    "compare": "comparison",
    "purchase_timeline": "data.timeline",
    "select": "backtesting",
    "split_transactions": "data.split",
    "Posterior": "inference.posterior",
    "Explanation": "models.explanation",
    "MODELS": "models",
    "BGBB": "models",
    "BGCNBD": "models",
    "BDW": "models",
    "BGNBD": "models",
    "MBGCNBD": "models",
    "MBGNBD": "models",
    "NBD": "models",
    "GammaGamma": "models",
    "ParetoNBD": "models",
    "SBG": "models",
    "CLV": "value",
    "load": "value",
    "write_report": "report",
}
_MODULES = ("backtesting", "batch", "checks", "datasets", "decisions", "errors", "plots", "priors")

__all__ = [
    "BDW",
    "BGBB",
    "BGCNBD",
    "BGNBD",
    "CLV",
    "MBGCNBD",
    "MBGNBD",
    "MODELS",
    "NBD",
    "SBG",
    "Backtest",
    "Comparison",
    "Explanation",
    "GammaGamma",
    "ParetoNBD",
    "Posterior",
    "RFMSummary",
    "Split",
    "Subscriptions",
    "backtest",
    "backtesting",
    "batch",
    "checks",
    "compare",
    "datasets",
    "decisions",
    "load",
    "plots",
    "priors",
    "purchase_timeline",
    "select",
    "split_transactions",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("predclv")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "errors"])
