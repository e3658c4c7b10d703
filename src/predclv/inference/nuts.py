"""NUTS by nutpie, with our own compiled log density: no model is compiled.

The sampler walks in coordinates in which the posterior is close to a standard normal, so a step is a few evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.errors import FitError
from predclv.inference.chains import Chains, Sampling
from predclv.inference.log_posterior import LogPosterior
from predclv.parameters import from_unconstrained, to_unconstrained

__all__ = ["Evaluate", "Target", "Whitened", "find_start", "sample", "sampler_failed"]

FloatArray = NDArray[np.float64]
Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]

# By nutpie's names; ArviZ's own are in `chains.STATISTICS`.
_STATISTICS = {
    "depth": "tree_depth",
    "diverging": "diverging",
    "energy": "energy",
    "logp": "lp",
    "maxdepth_reached": "reached_max_treedepth",
    "mean_tree_accept": "acceptance_rate",
    "n_steps": "n_steps",
    "step_size": "step_size",
}
_HALVINGS = 20


class Target(Protocol):
    """A density to sample, in the sampler's own coordinates."""

    @property
    def size(self) -> int:
        """Number of coordinates."""
        ...

    def make_evaluate(self) -> Evaluate:
        """Return a function from a position (size,) to log density and gradient; called once a chain."""
        ...

    def natural(self, positions: FloatArray) -> FloatArray:
        """Natural parameter values, (..., n_parameters), at positions (..., size)."""
        ...


@dataclass(frozen=True)
class Whitened:
    """A log posterior in coordinates in which its mode is 0 and its curvature there 1.

    Attributes
    ----------
    density : LogPosterior
    center : (n,) array
        Natural values, the mode or a guess at it.
    covariance : (n, n) array
        Of the unconstrained parameters; positive definite.
    """

    density: LogPosterior
    center: FloatArray
    covariance: FloatArray

    @property
    def size(self) -> int:
        """See `Target`."""
        return len(self.center)

    def make_evaluate(self) -> Evaluate:
        """See `Target`."""
        gradient = self.density.make_unconstrained_gradient()
        mode, root = self._mode_and_root()
        root_transposed: FloatArray = np.ascontiguousarray(root.T)

        def evaluate(position: FloatArray) -> tuple[float, FloatArray]:
            value, slope = gradient(mode + root @ position)
            return value, root_transposed.dot(slope)

        return evaluate

    def natural(self, positions: FloatArray) -> FloatArray:
        """See `Target`."""
        mode, root = self._mode_and_root()
        return from_unconstrained(self.density.parameters, mode + positions @ root.T)

    def _mode_and_root(self) -> tuple[FloatArray, FloatArray]:
        root = np.linalg.cholesky(self.covariance).astype(np.float64, copy=False)
        return to_unconstrained(self.density.parameters, self.center), root


@dataclass
class _Callbacks:
    """What nutpie calls. An error inside must not reach its threads, which would take the process down with them."""

    target: Target
    failure: Exception | None = None
    n_starts_moved: int = field(default=0)

    def make_evaluate(self) -> Evaluate:
        evaluate, size = self.target.make_evaluate(), self.target.size

        def guarded(position: FloatArray) -> tuple[float, FloatArray]:
            try:
                return evaluate(position)
            except Exception as error:  # told once the sampler has stopped
                self.failure = self.failure or error
                return -np.inf, np.zeros(size)

        return guarded

    def make_expand(self, *_: Any) -> Callable[[FloatArray], dict[str, FloatArray]]:
        return lambda position: {"position": position}

    def start(self, seed: int) -> FloatArray:
        try:
            position, moved = find_start(self.target.make_evaluate(), self.target.size, seed)
        except Exception as error:
            self.failure = error
            raise
        self.n_starts_moved += moved
        return position


def find_start(evaluate: Evaluate, size: int, seed: int | Sequence[int]) -> tuple[FloatArray, bool]:
    """Draw where a chain begins: a standard normal position, drawn towards 0 until the density is finite there.

    Returns
    -------
    (size,) array, bool
        The position, and whether it had to be moved.

    Raises
    ------
    FitError
        The density is finite nowhere on the way.
    """
    position: FloatArray = np.random.default_rng(seed).standard_normal(size)
    for halvings in range(_HALVINGS):
        value, gradient = evaluate(position)
        if np.isfinite(value) and np.isfinite(gradient).all():
            return position, halvings > 0
        position = position / 2
    raise FitError("the log density is not finite at a start, nor on the way to the mode")


def sampler_failed(name: str, reason: object) -> FitError:
    """Tell what ended a sampler of the model `name`, and what to do about it."""
    advice = "Check the data for extreme customers, narrow the priors, or use method='map'."
    return FitError(f"{name}: the sampler failed: {reason}. {advice}")


def sample(target: Target, sampling: Sampling, seed: int, name: str, **options: Any) -> Chains:
    """Sample with nutpie.

    Parameters
    ----------
    target : Target
    sampling : Sampling
    seed : int
        Same seed, same chains.
    name : str
        What errors call the model.
    **options
        Of `nutpie.sample`, as `target_accept`.

    Raises
    ------
    FitError
        The sampler failed: no finite start, or an error in the density.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    callbacks = _Callbacks(target)
    model = from_pyfunc(
        target.size,
        callbacks.make_evaluate,
        callbacks.make_expand,
        [np.dtype("float64")],
        [(target.size,)],
        ["position"],
        make_initial_point_fn=callbacks.start,
    )
    try:
        trace = nutpie.sample(
            model,
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            seed=seed,
            progress_bar=sampling.progressbar,
            save_warmup=False,
            **options,
        )
    except RuntimeError as error:
        reason = callbacks.failure or str(error).split("Stack backtrace")[0].strip()
        raise sampler_failed(name, reason) from error
    if callbacks.failure is not None:
        raise sampler_failed(name, callbacks.failure) from callbacks.failure
    statistics = {
        ours: trace.sample_stats[theirs].to_numpy().copy()
        for theirs, ours in _STATISTICS.items()
        if theirs in trace.sample_stats
    }
    return Chains(
        values=np.ascontiguousarray(target.natural(trace.posterior["position"].to_numpy())),
        statistics=statistics,
        sampling=sampling,
        notes={"n_starts_moved": int(callbacks.n_starts_moved)},
    )
