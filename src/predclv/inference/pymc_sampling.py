"""NUTS on PyMC models, by PyMC or NumPyro: what `pymc` and `pymc_hierarchy` share.

Written for, and tested with, PyMC 5.28. PyMC 6 (Python 3.12 and later) samples with nutpie, compiles with numba and
returns another container, unless told otherwise: so sampler and mode are given, and of the container nothing is asked
but what both have. With PyMC 6 all of this file is untested.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pymc as pm
import pytensor
from numpy.typing import NDArray
from pymc.step_methods.hmc.quadpotential import QuadPotentialFullAdapt

from predclv.inference.chains import STATISTICS, Chains, Sampling
from predclv.inference.nuts import Target, find_start, sampler_failed

__all__ = ["Form", "Walk", "double_precision", "sample_walk"]

FloatArray = NDArray[np.float64]
Form = Literal["compiled", "literal"]
Traces = tuple[Mapping[str, FloatArray], Mapping[str, NDArray[Any]]]

# Draws that the covariance at the center counts for, when tuning begins to learn its own.
_WEIGHT_OF_COVARIANCE = 10
# By PyMC's names; ArviZ's own are in `STATISTICS`.
_PYMC_STATISTICS = {
    "depth": "tree_depth",
    "mean_tree_accept": "acceptance_rate",
    "model_logp": "lp",
    "tree_size": "n_steps",
}


@dataclass(frozen=True)
class Walk:
    """A PyMC model to sample, and where to begin.

    Attributes
    ----------
    build : callable
        From "compiled" or "literal" to the model.
    target : Target
        The same posterior in other coordinates; in those, starts are standard normal.
    to_variables : callable
        From the target's positions (n_chains, size) to the natural values of the model's free variables by name,
        (n_chains, ...) each.
    stack : callable
        From all traced variables by name, (n_chains, n_draws, ...) each, to what `Chains` hold.
    middle, covariance : (n,) and (n, n) arrays
        Of the model's unconstrained variables, in its order: the scale from which tuning learns.
    target_accept : float
        Mean acceptance that step sizes are tuned to.
    """

    build: Callable[[Form], pm.Model]
    target: Target
    to_variables: Callable[[FloatArray], Mapping[str, FloatArray]]
    stack: Callable[[Mapping[str, FloatArray]], FloatArray]
    middle: FloatArray
    covariance: FloatArray
    target_accept: float = 0.8

    def starts(self, n_chains: int, seed: int) -> tuple[list[dict[str, FloatArray]], int]:
        """Natural values for each chain, and how many chains had to begin nearer to the middle."""
        evaluate = self.target.make_evaluate()
        found = [find_start(evaluate, self.target.size, [seed, chain]) for chain in range(n_chains)]
        variables = self.to_variables(np.array([position for position, _ in found]))
        starts = [{name: values[chain] for name, values in variables.items()} for chain in range(n_chains)]
        return starts, sum(moved for _, moved in found)


def sample_walk(walk: Walk, sampling: Sampling, seed: int, name: str) -> Chains:
    """Sample with PyMC the compiled form of a model, with NumPyro the literal one.

    Parameters
    ----------
    walk : Walk
    sampling : Sampling
        Its sampler is "pymc" or "numpyro". The first runs chains one after the other. The second runs them side by
        side, or in step where JAX was started before PyMC could tell it of more than one device; both agree but for
        rounding. It takes some seconds to compile, and then most of its time goes into log gamma and digamma of every
        row, for which JAX has no tables as our kernels have.
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
        starts, moved = walk.starts(sampling.chains, seed)
        with _quiet():
            values, statistics = run(walk, starts, sampling, seed)
    except Exception as error:
        raise sampler_failed(name, str(error).strip().split("\n")[0] or type(error).__name__) from error
    return Chains(
        values=walk.stack(values),
        statistics={statistic: statistics[statistic] for statistic in STATISTICS if statistic in statistics},
        sampling=sampling,
        notes={"n_starts_moved": moved},
    )


def _run_pymc(walk: Walk, starts: Sequence[Mapping[str, FloatArray]], sampling: Sampling, seed: int) -> Traces:
    """Values by name, (n_chains, n_draws, ...) each, and statistics, (n_chains, n_draws) each."""
    mode = {"mode": "CVM" if pytensor.config.cxx else "FAST_COMPILE"}
    with walk.build("compiled"):
        metric = QuadPotentialFullAdapt(len(walk.middle), walk.middle, walk.covariance, _WEIGHT_OF_COVARIANCE)
        trace = pm.sample(
            step=pm.NUTS(potential=metric, target_accept=walk.target_accept, compile_kwargs=mode),
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
    values = {name: np.stack(trace.get_values(name, **chains)) for name in trace.varnames}
    return values, {
        _PYMC_STATISTICS.get(name, name): np.stack(trace.get_sampler_stats(name, **chains)).reshape(len(starts), -1)
        for name in trace.stat_names
        if name in _PYMC_STATISTICS or name in STATISTICS
    }


def _run_numpyro(walk: Walk, starts: Sequence[Mapping[str, FloatArray]], sampling: Sampling, seed: int) -> Traces:
    import jax

    with double_precision(), walk.build("literal"):
        trace = pm.sample(
            nuts_sampler="numpyro",
            initvals=list(starts),
            target_accept=walk.target_accept,
            nuts_sampler_kwargs={
                "jitter": False,
                # In step, a chain waits for the longest path of all of them: twice the time.
                "chain_method": "parallel" if jax.local_device_count() >= sampling.chains else "vectorized",
                "nuts_kwargs": {"dense_mass": True, "inverse_mass_matrix": walk.covariance},
            },
            **_common(sampling, seed),
        )
    values = {str(name): column.to_numpy() for name, column in trace.posterior.items()}
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
def double_precision() -> Iterator[None]:
    """JAX in double precision, and afterwards as PyMC's import of it leaves it, or as it was set since.

    PyMC sets double precision, and `XLA_FLAGS`, at `import pymc.sampling.jax` and never again: undone, its own samplers
    by JAX would go on in single precision.
    """
    import jax
    import pymc.sampling.jax  # noqa: F401

    precise = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", True)
        yield
    finally:
        jax.config.update("jax_enable_x64", precise)
