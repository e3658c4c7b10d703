"""Segments that share strength: each has parameters of its own, drawn from one population.

Unconstrained parameters u_s of segment s are normal around the population's center c with standard deviations tau, one
a parameter, independent of each other: how far segments differ is learnt from all of them, and decides how far a small
one is pulled to the center. Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models,
chapter 12, for the idea; here with the likelihoods of customers.

Given h = (c, log tau) the segments are independent, and each of them is a problem of three or four dimensions. Its mode
is found in `hyper_mode`, draws without chains are made in `nested_importance`, and chains walk in `hierarchy_nuts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.inference.log_density import FullDensity
from predclv.inference.log_prior import LogPrior
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal, Prior

__all__ = ["SPREAD", "Hierarchy", "HyperMode", "SegmentModes", "spread_parameters", "spread_priors"]

FloatArray = NDArray[np.float64]

SPREAD = "_spread"


def spread_parameters(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """One parameter for how far segments differ in each of the model's own."""
    return tuple(
        Parameter(
            f"{p.name}{SPREAD}",
            f"standard deviation over segments of log {_excess(p)}: how much they differ",
            (0.05, 1.0),
        )
        for p in parameters
    )


def spread_priors(parameters: Sequence[Parameter]) -> dict[str, Prior]:
    """Weakly informative defaults: most segments lie within a factor of 1.1 to 4.6 of the center (90 %).

    Never at zero: a prior that falls to zero there keeps the mode from it, as Chung, Rabe-Hesketh, Dorie, Gelman & Liu
    (2013), Psychometrika 78(4), ask of a gamma; a log-normal one also leaves log tau a posterior with light tails.
    """
    return {f"{p.name}{SPREAD}": LogNormal(0.25, 0.8) for p in parameters}


def _excess(parameter: Parameter) -> str:
    return f"({parameter.name} - {parameter.above:g})" if parameter.above else parameter.name


@dataclass(frozen=True)
class Hierarchy:
    """Segments' likelihoods, and priors on what the segments have in common.

    Attributes
    ----------
    names : tuple of str
        Of the segments.
    likelihoods : tuple of FullDensity
        One a segment, of natural parameters, with `parameters` for its own.
    parameters : tuple of Parameter
        Of one segment, with the domains that the priors leave them.
    priors : mapping of name to Prior
        On the center of each parameter, under its name, and on its spread, under the name with `SPREAD`.
    """

    names: tuple[str, ...]
    likelihoods: tuple[FullDensity, ...]
    parameters: tuple[Parameter, ...]
    priors: Mapping[str, Prior]

    @cached_property
    def hyper_parameters(self) -> tuple[Parameter, ...]:
        """Centers, then spreads: 2 n_parameters of them. Their unconstrained values are h = (c, log tau)."""
        return (*self.parameters, *spread_parameters(self.parameters))

    @cached_property
    def log_prior(self) -> LogPrior:
        """Of h."""
        return LogPrior.of([self.priors[p.name] for p in self.hyper_parameters])

    @property
    def n_observations(self) -> int:
        """Customers of all segments."""
        return sum(likelihood.n_observations for likelihood in self.likelihoods)


@dataclass(frozen=True)
class SegmentModes:
    """Where each segment's parameters are most probable given h, and how sharply.

    Attributes
    ----------
    modes : (n_segments, n_parameters) array
        Unconstrained.
    precisions : (n_segments, n_parameters, n_parameters) array
        Negative Hessians there; positive definite.
    log_marginal : float
        Laplace's approximation of the log-likelihood of h.
    """

    modes: FloatArray
    precisions: FloatArray
    log_marginal: float

    @cached_property
    def covariances(self) -> FloatArray:
        """Inverses of the precisions."""
        return np.linalg.inv(self.precisions).astype(np.float64, copy=False)


@dataclass(frozen=True)
class HyperMode:
    """The mode of the marginal posterior of h.

    Attributes
    ----------
    hyper : (2 n_parameters,) array
        h = (c, log tau).
    covariance : (2 n_parameters, 2 n_parameters) array
        From the curvature there.
    segments : SegmentModes
        Given that h.
    log_density : float
    """

    hyper: FloatArray
    covariance: FloatArray
    segments: SegmentModes
    log_density: float

    @property
    def center(self) -> FloatArray:
        """c, (n_parameters,)."""
        return self.hyper[: len(self.hyper) // 2]

    @property
    def spread(self) -> FloatArray:
        """tau, (n_parameters,)."""
        return np.exp(self.hyper[len(self.hyper) // 2 :])

    def segment_covariances(self, spread: FloatArray | None = None) -> FloatArray:
        """Covariance of each segment's parameters, what is not known of h included.

        The delta method: V + G C G' with V the covariance given h, C that of h, and G the derivative of the mode by h.
        With another `spread` (n_parameters,) than the mode's, V is what the data and that spread leave.
        """
        by_center = self.segments.covariances / self.spread**2
        pull = (self.segments.modes - self.center) / self.spread**2
        by_log_spread = self.segments.covariances * 2.0 * pull[:, np.newaxis, :]
        slope = np.concatenate([by_center, by_log_spread], axis=2)
        given: NDArray[Any] = self.segments.covariances
        if spread is not None:
            given = np.linalg.inv(self.segments.precisions + np.diag(spread**-2 - self.spread**-2))
        return np.asarray(given + slope @ self.covariance @ np.swapaxes(slope, 1, 2))
