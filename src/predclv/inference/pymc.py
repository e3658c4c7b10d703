"""A log posterior as a PyMC model, and NUTS on it by PyMC or NumPyro.

This file, `pymc_hierarchy`, `pymc_sampling` and `pytensor_ops` alone import PyMC and PyTensor. Written for, and tested
with, PyMC 5.28; with PyMC 6 untested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from predclv.inference.chains import Chains, Sampling
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.nuts import Whitened
from predclv.inference.pymc_sampling import Form, Walk, sample_walk
from predclv.inference.pytensor_ops import PYTENSOR, LogLikelihood
from predclv.parameters import to_unconstrained
from predclv.priors.distributions import Gamma, LogNormal, Normal, Prior

__all__ = ["add_data", "build_model", "free_variable", "sample"]

FloatArray = NDArray[np.float64]
Center = tuple[FloatArray, FloatArray]


def build_model(density: LogPosterior, *, likelihood: Form = "compiled") -> pm.Model:
    """Write a log posterior as a PyMC model, to sample, extend or look at.

    Its free variables are the parameters, under their names and with their natural values. Its data, one entry a
    distinct history (dim "history"), are the columns of an RFM table and "n_customers", who share that history. The
    likelihood is the potential "log_likelihood".

    Parameters
    ----------
    density : LogPosterior
        Of a likelihood that has its `rows`, their `weight`, and a `literal` form, as those of our models do.
    likelihood : {"compiled", "literal"}
        "compiled": our compiled kernel, which gives values, gradients and Hessians, and which PyTensor cannot look
        into; data are constants. "literal": the equations on PyTensor's arrays, which JAX and numba can compile; data
        are `pm.Data`, and can be changed.

    Returns
    -------
    pm.Model

    Raises
    ------
    ValueError
        `likelihood` is unknown.
    """
    bound: Any = density.likelihood
    with pm.Model(coords={"history": np.arange(len(bound.weight))}) as model:
        parameters = [free_variable(p.name, density.priors[p.name]) for p in density.parameters]
        *rows, n_customers = add_data(likelihood, {**bound.rows, "n_customers": bound.weight})
        if likelihood == "compiled":
            value, _ = LogLikelihood(bound)(pt.stack(parameters))
        else:
            value = pt.sum(n_customers * bound.literal(*rows, *parameters, xp=PYTENSOR))
        pm.Potential("log_likelihood", value)
    return model


def add_data(likelihood: Form, columns: Mapping[str, NDArray[Any]]) -> list[Any]:
    """Add columns to the model at work, with dim "history": constants for "compiled", `pm.Data` for "literal"."""
    if likelihood not in ("compiled", "literal"):
        raise ValueError(f"'likelihood' must be 'compiled' or 'literal'. Got {likelihood!r}.")
    if likelihood == "literal":
        return [pm.Data(name, np.array(column), dims="history") for name, column in columns.items()]
    constants = [pt.as_tensor_variable(column, name=name) for name, column in columns.items()]
    for constant in constants:
        pm.modelcontext(None).register_data_var(constant, dims="history")
    return constants


def free_variable(name: str, prior: Prior) -> Any:
    """Add to the model at work a variable with a prior; sampled as the logarithm of what it has above its lower end."""
    if isinstance(prior, Normal):
        return pm.Normal(name, np.array(prior.mean, dtype=np.float64), np.array(prior.spread, dtype=np.float64))
    above = prior.lower_end
    match prior:
        case LogNormal():
            distribution, numbers = pm.LogNormal, (math.log(prior.median - above), prior.spread)
        case Gamma():
            distribution, numbers = pm.Gamma, (prior.shape, prior.shape / (prior.mean - above))
        case _:
            raise TypeError(f"PyMC's form of the prior {prior!r} is not known.")
    # As arrays, because PyTensor takes the logarithm of a float like 1.5 in single precision.
    first, second = (np.array(number, dtype=np.float64) for number in numbers)
    if above == 0:
        return distribution(name, first, second)
    shifted = partial(_shifted, distribution, above)
    transform = pm.distributions.transforms.Interval(above, None)
    return pm.CustomDist(
        name, first, second, dist=shifted, default_transform=transform, class_name=f"Shifted{distribution.__name__}"
    )


def _shifted(distribution: Any, above: float, first: Any, second: Any, size: Any) -> Any:
    return above + distribution.dist(first, second, size=size)


def sample(density: LogPosterior, center: Center, sampling: Sampling, seed: int, name: str) -> Chains:
    """Sample `build_model`'s model: with PyMC its compiled form, with NumPyro its literal one, compiled by JAX.

    Parameters
    ----------
    density : LogPosterior
    center : ((n,) array, (n, n) array)
        Natural values, the mode or a guess at it, and the covariance of the unconstrained parameters there: where
        chains start, and the scale from which tuning learns.
    sampling : Sampling
        Its sampler is "pymc" or "numpyro". Chains run one after the other.
    seed : int
        Same seed, same chains.
    name : str
        What errors call the model.

    Raises
    ------
    FitError
        The sampler failed: no finite start, or an error in the density.
    """
    names = [parameter.name for parameter in density.parameters]
    target = Whitened(density, *center)
    walk = Walk(
        build=lambda form: build_model(density, likelihood=form),
        target=target,
        to_variables=lambda positions: dict(zip(names, target.natural(positions).T, strict=True)),
        stack=lambda values: np.stack([values[name] for name in names], axis=-1),
        middle=to_unconstrained(density.parameters, center[0]),
        covariance=center[1],
    )
    return sample_walk(walk, sampling, seed, name)
