"""Segments that share strength as a PyMC model, and NUTS on it by PyMC or NumPyro; see `hierarchy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.linalg import block_diag

from predclv.inference.chains import Chains, Sampling
from predclv.inference.hierarchy import SPREAD, Hierarchy, HyperMode
from predclv.inference.hierarchy_nuts import HierarchyTarget
from predclv.inference.log_density import Derivatives, GradientDensity
from predclv.inference.pymc import add_data, free_variable
from predclv.inference.pymc_sampling import Form, Walk, sample_walk
from predclv.inference.pytensor_ops import PYTENSOR, LogLikelihood
from predclv.parameters import Parameter, from_unconstrained

__all__ = ["build_hierarchy_model", "sample_hierarchy"]

FloatArray = NDArray[np.float64]

_CENTER, _OFFSET = "_center", "_offset"


def build_hierarchy_model(
    hierarchy: Hierarchy, *, likelihood: Form = "compiled", centering: FloatArray | None = None
) -> pm.Model:
    """Write a hierarchy as a PyMC model, to sample, extend or look at.

    Of each parameter, say "r", there are

    - "r_center", free: its natural value in the middle of the population; its prior is that of "r" in the hierarchy;
    - "r_spread", free: the standard deviation over segments of log r (of log(r - above), where r has a lower end);
    - "r_offset", free, with dim "segment": the distance of log r to log r_center, in spreads;
    - "r", with dim "segment": its natural value in each segment.

    Data, a row each distinct history of each segment (dim "history"), are the columns of an RFM table, "n_customers",
    who share that history, and "segment_index", whose history it is. The likelihood is the potential "log_likelihood".

    Parameters
    ----------
    hierarchy : Hierarchy
        Of likelihoods that have their `rows`, their `weight`, and a `literal` form, as those of our models do.
    likelihood : {"compiled", "literal"}
        As for `pymc.build_model`.
    centering : (n_segments, n_parameters) array, optional
        lambda of `hierarchy_nuts`, from 0 to 1: offsets are normal around lambda log r_center with standard deviation
        r_spread^lambda. By default 0 everywhere, not centered, as suits segments with few data.

    Returns
    -------
    pm.Model

    Raises
    ------
    ValueError
        `likelihood` is unknown.
    """
    bound: tuple[Any, ...] = hierarchy.likelihoods
    columns = {name: np.concatenate([each.rows[name] for each in bound]) for name in bound[0].rows}
    weight = [each.weight for each in bound]
    columns["n_customers"] = np.concatenate(weight)
    columns["segment_index"] = np.repeat(np.arange(len(bound)), [len(each) for each in weight])
    coords = {"segment": list(hierarchy.names), "history": np.arange(len(columns["segment_index"]))}
    with pm.Model(coords=coords) as model:
        # All centers, then all spreads, then all offsets: the order of h and y in `hierarchy_nuts`.
        centers = [free_variable(f"{p.name}{_CENTER}", hierarchy.priors[p.name]) for p in hierarchy.parameters]
        spreads = [
            free_variable(f"{p.name}{SPREAD}", hierarchy.priors[f"{p.name}{SPREAD}"]) for p in hierarchy.parameters
        ]
        weights = [None] * len(centers) if centering is None else list(np.array(centering, dtype=np.float64).T)
        own = [_of_segments(*each) for each in zip(hierarchy.parameters, centers, spreads, weights, strict=True)]
        *rows, n_customers, index = add_data(likelihood, columns)
        if likelihood == "compiled":
            value, _ = LogLikelihood(_Segments(hierarchy.likelihoods))(pt.stack(own, axis=1).ravel())
        else:
            by_row = [values[index] for values in own]
            value = pt.sum(n_customers * bound[0].literal(*rows, *by_row, xp=PYTENSOR))
        pm.Potential("log_likelihood", value)
    return model


def _of_segments(parameter: Parameter, center: Any, spread: Any, weight: FloatArray | None) -> Any:
    """Natural values of one parameter, with dim "segment"."""
    # An array, because PyTensor takes the logarithm of a float like 1.5 in single precision.
    above = np.array(parameter.above)
    log_center = pt.log(center - above) if parameter.above else pt.log(center)
    if weight is None:
        distance = spread * pm.Normal(f"{parameter.name}{_OFFSET}", dims="segment")
    else:
        middle = weight * log_center
        offset = pm.Normal(f"{parameter.name}{_OFFSET}", middle, spread**weight, dims="segment")
        distance = spread ** (1.0 - weight) * (offset - middle)
    return pm.Deterministic(parameter.name, above + pt.exp(log_center + distance), dims="segment")


@dataclass(frozen=True, eq=False)
class _Segments:
    """Sum of segments' log-likelihoods, of all their parameters, one segment after the other; a `GradientDensity`."""

    likelihoods: tuple[GradientDensity, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(parameter for likelihood in self.likelihoods for parameter in likelihood.parameters)

    @property
    def n_observations(self) -> int:
        return sum(likelihood.n_observations for likelihood in self.likelihoods)

    def derivatives(self, values: FloatArray) -> Derivatives:
        parts = [each.derivatives(own) for each, own in zip(self.likelihoods, self._split(values), strict=True)]
        return Derivatives(
            sum(part.value for part in parts),
            np.concatenate([part.gradient for part in parts]),
            block_diag(*(part.hessian for part in parts)),
        )

    def make_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        gradients = [likelihood.make_gradient() for likelihood in self.likelihoods]

        def evaluate(values: FloatArray) -> tuple[float, FloatArray]:
            total, slope = 0.0, np.empty((len(gradients), len(values) // len(gradients)))
            for s, (gradient, own) in enumerate(zip(gradients, self._split(values), strict=True)):
                value, slope[s] = gradient(own)
                total += value
            return total, slope.ravel()

        return evaluate

    def _split(self, values: FloatArray) -> FloatArray:
        return values.reshape(len(self.likelihoods), -1)


def sample_hierarchy(
    hierarchy: Hierarchy, mode: HyperMode, sampling: Sampling, seed: int, name: str, *, target_accept: float = 0.98
) -> Chains:
    """Sample `build_hierarchy_model`'s model: with PyMC its compiled form, with NumPyro its literal one.

    Offsets are centered as far as each segment's data go, as nutpie's coordinates are.

    Parameters
    ----------
    hierarchy : Hierarchy
    mode : HyperMode
        Or a guess at it: where chains start, and the scale from which tuning learns.
    sampling, seed, name
        As for `pymc.sample`.
    target_accept : float
        Mean acceptance that step sizes are tuned to.

    Returns
    -------
    Chains
        Of the parameters of `HierarchyTarget`: centers, spreads, then each segment's own.

    Raises
    ------
    FitError
        The sampler failed: no finite start, or an error in the density.
    """
    target, parameters = HierarchyTarget(hierarchy, mode), hierarchy.parameters
    names = [parameter.name for parameter in parameters]
    shared = [*(f"{name}{_CENTER}" for name in names), *(f"{name}{SPREAD}" for name in names)]

    def to_variables(positions: FloatArray) -> dict[str, FloatArray]:
        hyper, offsets = target.coordinates(positions)
        natural = from_unconstrained(hierarchy.hyper_parameters, hyper)
        variables = dict(zip(shared, natural.T, strict=True))
        return variables | {f"{name}{_OFFSET}": offsets[:, :, i] for i, name in enumerate(names)}

    def stack(values: Mapping[str, FloatArray]) -> FloatArray:
        own = np.stack([values[name] for name in names], axis=-1)
        return np.concatenate(
            [np.stack([values[name] for name in shared], axis=-1), own.reshape(*own.shape[:2], -1)], axis=-1
        )

    # The model holds a parameter's offsets together, the target a segment's.
    by_parameter = np.arange(mode.segments.modes.size).reshape(-1, len(names)).T.ravel()
    covariance = block_diag(mode.covariance, block_diag(*target.covariances)[np.ix_(by_parameter, by_parameter)])
    walk = Walk(
        build=lambda form: build_hierarchy_model(hierarchy, likelihood=form, centering=target.share),
        target=target,
        to_variables=to_variables,
        stack=stack,
        middle=np.concatenate([mode.hyper, target.middle.ravel()[by_parameter]]),
        covariance=covariance,
        target_accept=target_accept,
    )
    return sample_walk(walk, sampling, seed, name)
