"""A log posterior as a PyMC model, and NUTS on it by PyMC or NumPyro: the only file that imports PyMC.

Written for, and tested with, PyMC 5.28. PyMC 6 (Python 3.12 and later) samples with nutpie, compiles with numba and
returns another container, unless told otherwise: so sampler and mode are given, and of the container nothing is asked
but what both have. With PyMC 6 all of this file is untested.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.step_methods.hmc.quadpotential import QuadPotentialFullAdapt

from predclv.errors import FitError
from predclv.inference.chains import STATISTICS, Chains, Sampling
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.nuts import Whitened
from predclv.inference.pytensor_ops import PYTENSOR, LogLikelihood
from predclv.parameters import to_unconstrained
from predclv.priors.distributions import Gamma, LogNormal, Prior

__all__ = ["build_model", "sample"]

FloatArray = NDArray[np.float64]
Center = tuple[FloatArray, FloatArray]
Form = Literal["compiled", "literal"]

_HALVINGS = 20
# Draws that the covariance at the center counts for, when tuning begins to learn its own.
_WEIGHT_OF_COVARIANCE = 10
# By PyMC's names; ArviZ's own are in `STATISTICS`.
_PYMC_STATISTICS = {
    "depth": "tree_depth",
    "mean_tree_accept": "acceptance_rate",
    "model_logp": "lp",
    "tree_size": "n_steps",
}
_REMEDY = "Check the data for extreme customers, narrow the priors, or use method='map'."


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
    if likelihood not in ("compiled", "literal"):
        raise ValueError(f"'likelihood' must be 'compiled' or 'literal'. Got {likelihood!r}.")
    bound: Any = density.likelihood
    columns = {**bound.rows, "n_customers": bound.weight}
    with pm.Model(coords={"history": np.arange(len(bound.weight))}) as model:
        parameters = [_variable(parameter.name, density.priors[parameter.name]) for parameter in density.parameters]
        if likelihood == "compiled":
            for name, column in columns.items():
                model.register_data_var(pt.as_tensor_variable(column, name=name), dims="history")
            value, _ = LogLikelihood(bound)(pt.stack(parameters))
        else:
            *rows, weight = (pm.Data(name, np.array(column), dims="history") for name, column in columns.items())
            value = pt.sum(weight * bound.literal(*rows, *parameters, xp=PYTENSOR))
        pm.Potential("log_likelihood", value)
    return model


def _variable(name: str, prior: Prior) -> Any:
    """Free variable with a prior; sampled as the logarithm of what it has above its lower end."""
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
    run = {"pymc": _run_pymc, "numpyro": _run_numpyro}[sampling.sampler]
    try:
        positions, moved = _find_starts(Whitened(density, *center), sampling.chains, seed)
        starts = [dict(zip((p.name for p in density.parameters), row, strict=True)) for row in positions]
        with _quiet():
            values, statistics = run(density, center, starts, sampling, seed)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise FitError(f"{name}: the sampler failed: {reason}. {_REMEDY}") from error
    return Chains(
        values=np.stack([values[parameter.name] for parameter in density.parameters], axis=-1),
        statistics={statistic: statistics[statistic] for statistic in STATISTICS if statistic in statistics},
        sampling=sampling,
        notes={"n_starts_moved": moved},
    )


def _find_starts(target: Whitened, n_chains: int, seed: int) -> tuple[FloatArray, int]:
    """Natural values (n_chains, n_parameters), normal around the center or, where that is not finite, nearer to it."""
    evaluate, moved = target.make_evaluate(), 0
    positions = np.random.default_rng(seed).standard_normal((n_chains, target.size))
    for position in positions:
        for halvings in range(_HALVINGS):
            if np.isfinite(evaluate(position)[0]):
                moved += halvings > 0
                break
            position /= 2
        else:
            raise FitError("the log density is not finite at a start, nor on the way to the mode")
    return target.natural(positions), moved


def _run_pymc(
    density: LogPosterior, center: Center, starts: Sequence[Mapping[str, float]], sampling: Sampling, seed: int
) -> tuple[dict[str, FloatArray], dict[str, NDArray[Any]]]:
    """Values and statistics by name, (n_chains, n_draws) each."""
    mode = {"mode": "CVM" if pytensor.config.cxx else "FAST_COMPILE"}
    with build_model(density):
        mean = to_unconstrained(density.parameters, center[0])
        metric = QuadPotentialFullAdapt(len(mean), mean, center[1], _WEIGHT_OF_COVARIANCE)
        trace = pm.sample(
            step=pm.NUTS(potential=metric, compile_kwargs=mode),
            initvals=list(starts),
            nuts_sampler="pymc",
            cores=1,  # chains take a second or so, and a copy of a process with threads may hang
            compile_kwargs=mode,
            return_inferencedata=False,
            **_common(sampling, seed),
        )
    if (trace.nchains, len(trace)) != (sampling.chains, sampling.draws):
        raise KeyboardInterrupt  # which PyMC takes for the wish to go on with fewer draws
    chains = {"combine": False, "squeeze": False}
    values = {p.name: np.stack(trace.get_values(p.name, **chains)) for p in density.parameters}
    return values, {
        _PYMC_STATISTICS.get(name, name): np.stack(trace.get_sampler_stats(name, **chains)).reshape(len(starts), -1)
        for name in trace.stat_names
        if name in _PYMC_STATISTICS or name in STATISTICS
    }


def _run_numpyro(
    density: LogPosterior, center: Center, starts: Sequence[Mapping[str, float]], sampling: Sampling, seed: int
) -> tuple[dict[str, FloatArray], dict[str, NDArray[Any]]]:
    with _double_precision(), build_model(density, likelihood="literal"):
        trace = pm.sample(
            nuts_sampler="numpyro",
            initvals=list(starts),
            nuts_sampler_kwargs={
                "jitter": False,
                "chain_method": "vectorized",
                "nuts_kwargs": {"dense_mass": True, "inverse_mass_matrix": center[1]},
            },
            **_common(sampling, seed),
        )
    values = {p.name: trace.posterior[p.name].to_numpy() for p in density.parameters}
    statistics = {str(name): column.to_numpy() for name, column in trace.sample_stats.items()}
    # PyMC gives that name to NumPyro's potential energy, which has the other sign.
    return values, {**statistics, "lp": -statistics["lp"]}


def _common(sampling: Sampling, seed: int) -> dict[str, Any]:
    """What both samplers are told. Divergences and convergence are reported from the chains, alike for all samplers."""
    return {
        "draws": sampling.draws,
        "tune": sampling.tune,
        "chains": sampling.chains,
        "random_seed": seed,
        "progressbar": sampling.progressbar,
        "compute_convergence_checks": False,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what says nothing about these chains: the log of steps, an experimental metric, no BLAS to link to."""
    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "QuadPotentialFullAdapt is an experimental feature", UserWarning)
            warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS installation", UserWarning)
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _double_precision() -> Iterator[None]:
    """JAX in double precision, and as it was before: PyMC and PyTensor change it for all of the process."""
    import jax

    precise, flags = jax.config.jax_enable_x64, os.environ.get("XLA_FLAGS")
    try:
        import pymc.sampling.jax  # noqa: F401

        jax.config.update("jax_enable_x64", True)
        yield
    finally:
        jax.config.update("jax_enable_x64", precise)
        if flags is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = flags
