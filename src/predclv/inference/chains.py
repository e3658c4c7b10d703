"""Chains of a sampler: how they are asked for, what they hold, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.inference.posterior import N_DRAWS, Draws
from predclv.inference.spread import resample
from predclv.parameters import Parameter, to_unconstrained

__all__ = ["SAMPLERS", "STATISTICS", "ChainDraws", "Chains", "Sampling", "choose_spread", "diagnose", "objections"]

FloatArray = NDArray[np.float64]

#: Samplers, and the packages that each of them needs beside ArviZ.
SAMPLERS = {"nutpie": ("nutpie",), "pymc": ("pymc",), "numpyro": ("pymc", "numpyro")}
#: What a sampler tells of each draw, under the names that ArviZ uses.
STATISTICS = (
    "acceptance_rate",
    "diverging",
    "energy",
    "lp",
    "n_steps",
    "reached_max_treedepth",
    "step_size",
    "tree_depth",
)

# Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), Bayesian Analysis 16(2): at most 1.01, and a hundred a chain.
_LARGEST_R_HAT = 1.01
_FEWEST_EFFECTIVE = 100


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes
    ----------
    sampler : {"nutpie", "pymc", "numpyro"}
    chains, draws, tune : int
        Chains; draws kept of each; draws before them, in which step size and scale are learnt, that are not kept.
    progressbar : bool
    """

    sampler: str = "nutpie"
    chains: int = 4
    draws: int = 1000
    tune: int = 500
    progressbar: bool = True

    def check(self) -> None:
        """Raise ValueError where a setting means nothing."""
        if self.sampler not in SAMPLERS:
            raise ValueError(f"'sampler' must be one of {', '.join(map(repr, SAMPLERS))}. Got {self.sampler!r}.")
        # R-hat needs two chains, and its halves of chains two draws each.
        for name, least in (("chains", 2), ("draws", 4), ("tune", 1)):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
                raise ValueError(f"{name!r} must be a whole number, at least {least}. Got {number!r}.")
        if not isinstance(self.progressbar, bool):
            raise ValueError(f"'progressbar' must be True or False. Got {self.progressbar!r}.")

    def missing(self) -> list[str]:
        """Packages that the sampler needs and that are not installed."""
        return [package for package in (*SAMPLERS[self.sampler], "arviz") if find_spec(package) is None]

    def require(self) -> None:
        """Raise ImportError where a package that the sampler needs is not installed."""
        if missing := self.missing():
            raise ImportError(
                f'method="mcmc" with sampler="{self.sampler}" needs {" and ".join(missing)}: '
                "pip install 'predclv[bayes]'"
            )


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of all chains after tuning; arrays cannot be written to.

    Attributes
    ----------
    values : (n_chains, n_draws, n_parameters) array
        Natural values.
    statistics : mapping of name to (n_chains, n_draws) array
        Those of `STATISTICS` that the sampler tells.
    sampling : Sampling
    notes : mapping
        What else the sampler has to say, for the diagnostics.
    """

    values: FloatArray
    statistics: Mapping[str, NDArray[Any]]
    sampling: Sampling
    notes: Mapping[str, Any]

    def __post_init__(self) -> None:
        for array in (self.values, *self.statistics.values()):
            array.flags.writeable = False

    def of_parameters(self, which: slice) -> Chains:
        """The chains of some of the parameters, with the statistics of all."""
        return replace(self, values=np.ascontiguousarray(self.values[:, :, which]))

    def flat(self) -> FloatArray:
        """All draws, one chain after the other, (n_chains * n_draws, n_parameters)."""
        return self.values.reshape(-1, self.values.shape[-1])


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """Draws for forecasts out of chains: a callable, as `Posterior.make_draws` wants.

    Attributes
    ----------
    chains : Chains
    parameters : tuple of Parameter
    seed : int
    chosen : (n_draws,) array, optional
        Which draws of the flat chains; by default as `choose_spread` chooses.
    """

    chains: Chains
    parameters: tuple[Parameter, ...]
    seed: int
    chosen: NDArray[np.int64] | None = None

    def __call__(self) -> Draws:
        """Choose the draws."""
        chosen = choose_spread(self.chains, self.parameters, self.seed) if self.chosen is None else self.chosen
        return Draws(np.ascontiguousarray(self.chains.flat()[chosen]))


def choose_spread(chains: Chains, parameters: tuple[Parameter, ...], seed: int) -> NDArray[np.int64]:
    """Choose draws of the flat chains so that the leading 2^m of them are spread like all, (1024,).

    Where the chains hold fewer draws than that, some are chosen twice.
    """
    values = chains.flat()
    weight = np.full(len(values), 1.0 / len(values))
    return resample(to_unconstrained(parameters, values), weight, N_DRAWS, seed)


def diagnose(chains: Chains, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Convergence of the chains, from ranks of the draws: Vehtari et al. (2021).

    Returns
    -------
    dict
        approximation, sampler, n_chains, n_draws, n_tune; r_hat, ess_bulk and ess_tail by parameter, and the worst of
        them; n_divergences, n_reached_max_treedepth; mean_n_steps; the sampler's notes.
    """
    from predclv.inference import arviz_versions as az

    unconstrained = to_unconstrained(tuple(parameters), chains.values)
    by_parameter = {
        name: {p.name: float(measure(unconstrained[:, :, i])) for i, p in enumerate(parameters)}
        for name, measure in (("r_hat", az.rhat), ("ess_bulk", az.ess_bulk), ("ess_tail", az.ess_tail))
    }
    statistics, sampling = chains.statistics, chains.sampling
    return {
        "approximation": "MCMC (NUTS)",
        "sampler": sampling.sampler,
        "n_chains": sampling.chains,
        "n_draws": sampling.draws,
        "n_tune": sampling.tune,
        "worst_r_hat": _worst(by_parameter["r_hat"], max),
        "least_ess_bulk": _worst(by_parameter["ess_bulk"], min),
        "least_ess_tail": _worst(by_parameter["ess_tail"], min),
        "n_divergences": int(np.sum(statistics["diverging"])),
        "n_reached_max_treedepth": int(np.sum(statistics.get("reached_max_treedepth", 0))),
        "mean_n_steps": float(np.mean(statistics["n_steps"])),
        **{name: {p: _number(v) for p, v in values.items()} for name, values in by_parameter.items()},
        **chains.notes,
    }


def objections(diagnostics: Mapping[str, Any]) -> str:
    """Say in words why chains should not be trusted; an empty string where they may be."""
    found = []
    total = diagnostics["n_chains"] * diagnostics["n_draws"]
    if diagnostics["n_divergences"]:
        found.append(f"{diagnostics['n_divergences']:,} of {total:,} draws diverged")
    worst, least = diagnostics["worst_r_hat"], _FEWEST_EFFECTIVE * diagnostics["n_chains"]
    if worst is None or not worst <= _LARGEST_R_HAT:
        which = _name_of(diagnostics["r_hat"], max)
        size = "not a number" if worst is None else f"{worst:.4f}"
        found.append(f"R-hat of {which} is {size}, and should be at most {_LARGEST_R_HAT}")
    for name, words in (("ess_bulk", "effective sample size"), ("ess_tail", "effective sample size in the tails")):
        effective = diagnostics[f"least_{name}"]
        if effective is None or not effective >= least:
            which, size = _name_of(diagnostics[name], min), "unknown" if effective is None else f"{effective:,.0f}"
            found.append(f"the {words} of {which} is {size}, and should be at least {least}")
    if diagnostics["n_reached_max_treedepth"] > 0.01 * total:
        found.append(f"{diagnostics['n_reached_max_treedepth']:,} of {total:,} draws reached the longest path")
    return "; ".join(found)


def _worst(values: Mapping[str, float], choose: Any) -> float | None:
    finite = [value for value in values.values() if np.isfinite(value)]
    return float(choose(finite)) if len(finite) == len(values) else None


def _name_of(values: Mapping[str, float | None], choose: Any) -> str:
    unknown = [name for name, value in values.items() if value is None]
    return unknown[0] if unknown else str(choose(values, key=lambda name: values[name]))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
