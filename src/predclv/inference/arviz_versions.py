"""What is asked of ArviZ, in one place, because ArviZ 1 (Python 3.12 and later) is another package than 0.23.

Written for, and tested with, ArviZ 0.22 to 0.23. What differs in ArviZ 1.1 and later stands in the branches on
`IS_ONE`; they are untested, since Python 3.11 cannot install it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray

__all__ = [
    "IS_ONE",
    "ess_bulk",
    "ess_mean",
    "ess_tail",
    "make_elpd_data",
    "make_inference_data",
    "read_elpd_data",
    "rhat",
]

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


def ess_mean(values: NDArray[np.float64]) -> float:
    """Effective sample size of the mean, of (n_chains, n_draws) values."""
    return _measure("ess", values, method="mean")


def make_inference_data(groups: Mapping[str, xarray.Dataset], attributes: Mapping[str, Any]) -> Any:
    """Groups by ArviZ's names as the object that its functions take: InferenceData, or from 1 on a DataTree."""
    if IS_ONE:
        tree = import_module("xarray").DataTree.from_dict(dict(groups))
        tree.attrs.update(attributes)
        return tree
    import arviz

    return arviz.InferenceData(attrs=dict(attributes), warn_on_custom_groups=False, **groups)


def make_elpd_data(
    *,
    elpd: float,
    se: float,
    p: float,
    n_samples: int,
    n_data_points: int,
    warning: bool,
    good_k: float,
    elpd_i: xarray.DataArray,
    pareto_k: xarray.DataArray,
) -> Any:
    """Return results of leave-one-out validation as `arviz.loo` returns them, on the log scale."""
    if IS_ONE:
        utils = import_module("arviz_stats.utils")
        kind = getattr(utils, "ELPDDataLOO", utils.ELPDData)
        fields = dict(elpd=elpd, se=se, p=p, n_samples=n_samples, n_data_points=n_data_points, warning=warning)
        return kind(kind="loo", scale="log", good_k=good_k, elpd_i=elpd_i, pareto_k=pareto_k, **fields)
    from arviz.stats import ELPDData

    return ELPDData(
        {
            # ArviZ prints the first three by their place, and takes the kind from the first one's name.
            "elpd_loo": elpd,
            "se": se,
            "p_loo": p,
            "n_samples": n_samples,
            "n_data_points": n_data_points,
            "warning": warning,
            "loo_i": elpd_i.rename("loo_i"),
            "pareto_k": pareto_k,
            "scale": "log",
            "good_k": good_k,
        }
    )


class ElpdParts(NamedTuple):
    """Results of leave-one-out validation; the last but one are by customer."""

    elpd: float
    se: float
    p: float
    elpd_i: NDArray[np.float64]
    pareto_k: NDArray[np.float64]
    good_k: float


def read_elpd_data(data: Any) -> ElpdParts:
    """Read what `make_elpd_data` returned."""
    names = ("elpd", "se", "p", "elpd_i") if IS_ONE else ("elpd_loo", "se", "p_loo", "loo_i")
    elpd, se, p, elpd_i = (getattr(data, name) for name in names)
    return ElpdParts(float(elpd), float(se), float(p), elpd_i.to_numpy(), data.pareto_k.to_numpy(), float(data.good_k))


def _measure(name: str, values: NDArray[np.float64], **options: Any) -> float:
    # Chains that hardly move, or are hardly there, have no such number; that it is not finite says so.
    with np.errstate(divide="ignore", invalid="ignore"):
        if IS_ONE:
            array_stats = import_module("arviz_stats.base").array_stats
            return float(getattr(array_stats, name)(values, chain_axis=0, draw_axis=1, **options))
        import arviz

        return float(getattr(arviz, name)(values, **options))
