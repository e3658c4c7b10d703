"""A posterior and what it was learnt from as ArviZ's InferenceData."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from predclv.errors import PredCLVWarning, warn
from predclv.inference import arviz_versions as az
from predclv.inference.evidence import Evidence, Replicate, RowLikelihood, customers_in_order
from predclv.inference.posterior import N_DRAWS, Posterior, to_plain
from predclv.priors.distributions import Prior

__all__ = [
    "attributes_of",
    "by_customer",
    "by_name",
    "dataset",
    "draw_priors",
    "evidence_of",
    "histories",
    "is_wanted",
    "theta_of",
    "to_inference_data",
]

FloatArray = NDArray[np.float64]

#: Bytes; a log-likelihood by customer that is larger is made on demand only.
LARGEST_LOG_LIKELIHOOD = 512 * 2**20
# Replicated data sets: enough for the ends of a 99 % interval.
_PREDICTIVE_DRAWS = 1024
_CUSTOMERS = "customers"


def to_inference_data(posterior: Posterior, log_likelihood: bool | None) -> Any:
    """See `Posterior.to_arviz`."""
    evidence, theta = evidence_of(posterior), theta_of(posterior)
    groups = {"posterior": by_name(theta, posterior.names)}
    if posterior.chains is not None:
        groups["sample_stats"] = dataset({n: (("chain", "draw"), v) for n, v in posterior.chains.statistics.items()})
    prior = None if evidence.priors is None else draw_priors(evidence.priors, posterior.names)
    if prior is not None:
        groups["prior"] = by_name(prior, posterior.names)
    if evidence.replicate is not None:
        if prior is not None:
            groups["prior_predictive"] = _replicate(evidence.replicate, prior, seed=1)[0]
        groups["posterior_predictive"], groups["observed_data"] = _replicate(evidence.replicate, theta, seed=0)
    if log_likelihood:
        evidence.require_likelihood("log_likelihood=True")
    likelihood = evidence.likelihood
    if likelihood is not None:
        groups["constant_data"] = histories(likelihood)
        if is_wanted(likelihood.weight, theta, log_likelihood, evidence.name):
            groups["log_likelihood"] = by_customer(likelihood, theta)
    attributes = attributes_of(posterior, evidence)
    return az.make_inference_data({name: group.assign_attrs(attributes) for name, group in groups.items()}, attributes)


def theta_of(posterior: Posterior) -> FloatArray:
    """All that was drawn, (n_chains, n_draws, n_parameters): the chains, or else the draws as one. May be written to.

    A copy, because the compiled kernels tell arrays that cannot be written to from others.
    """
    return posterior.draws_array()[np.newaxis].copy() if posterior.chains is None else posterior.chains.values.copy()


def evidence_of(posterior: Posterior) -> Evidence:
    """Return the posterior's evidence, or one that has nothing to tell."""
    return posterior.evidence or Evidence("Posterior", absent="This posterior was made without any.")


def attributes_of(posterior: Posterior, evidence: Evidence) -> dict[str, Any]:
    """Of every group; only text, as files want it."""
    diagnostics = to_plain(posterior.diagnostics)
    note = f"Only what needs no customers. {evidence.absent}" if evidence.likelihood is None else ""
    return {
        "inference_library": "predclv",
        "inference_library_version": version("predclv"),
        "model": evidence.name,
        "method": posterior.method,
        "approximation": str(diagnostics.get("approximation", "")),
        "diagnostics": json.dumps(diagnostics, default=float),
        "note": note,
    }


def dataset(
    variables: Mapping[str, tuple[tuple[str, ...], NDArray[Any]]], coords: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Variables with their dimensions; chains, draws and whatever has no labels are counted from 0."""
    data = xr.Dataset(
        {name: xr.Variable(dims, values) for name, (dims, values) in variables.items()}, dict(coords or {})
    )
    return data.assign_coords({d: np.arange(size) for d, size in data.sizes.items() if d not in data.coords})


def by_name(theta: FloatArray, names: list[str]) -> xr.Dataset:
    """A variable a parameter, of theta (n_chains, n_draws, n_parameters)."""
    return dataset({name: (("chain", "draw"), theta[:, :, i]) for i, name in enumerate(names)})


def draw_priors(priors: Mapping[str, Prior], names: list[str]) -> FloatArray:
    """One chain of independent draws, (1, n_draws, n_parameters)."""
    # A stream for each, so that a prior's draws do not depend on the others'.
    columns = [priors[name].sample(np.random.default_rng([0, i]), N_DRAWS) for i, name in enumerate(names)]
    return np.stack(columns, axis=-1)[np.newaxis]


def _replicate(replicate: Replicate, theta: FloatArray, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Replicated data, from evenly spaced draws where there are many, and the data."""
    n_chains, n_draws, n_parameters = theta.shape
    kept = np.linspace(0, n_draws - 1, min(n_draws, max(_PREDICTIVE_DRAWS // n_chains, 1))).astype(np.int64)
    found = replicate(theta[:, kept].reshape(-1, n_parameters), seed)
    values = found.replicated.reshape(n_chains, len(kept), -1)
    bins = {found.dimension: list(found.labels)}
    drawn = {_CUSTOMERS: (("chain", "draw", found.dimension), values)}
    return (
        dataset(drawn, {**bins, "draw": kept}),
        dataset({_CUSTOMERS: ((found.dimension,), found.observed)}, bins),
    )


def histories(likelihood: RowLikelihood) -> xr.Dataset:
    """The distinct histories behind a fit, and how many customers share each."""
    n_customers = likelihood.weight.astype(np.int64)
    return dataset({n: (("history",), v) for n, v in {**likelihood.rows, "n_customers": n_customers}.items()})


def is_wanted(weight: FloatArray, theta: FloatArray, asked: bool | None, name: str) -> bool:
    """Whether to hold a log-likelihood by customer: as asked, or where it is small enough; warns where it is not."""
    n_draws, n_customers = theta.shape[0] * theta.shape[1], int(weight.sum())
    size = 8 * n_draws * n_customers
    if asked is None and size > LARGEST_LOG_LIKELIHOOD:
        warn(
            f"{name}: the log-likelihood of {n_customers:,} customers at {n_draws:,} draws would take "
            f"{size / 2**30:,.1f} GiB, and is left out. loo() on the posterior scores them without it; "
            "to_arviz(log_likelihood=True) makes it all the same, and False leaves it out without a word.",
            PredCLVWarning,
        )
        return False
    return asked is not False


def by_customer(likelihood: RowLikelihood, theta: FloatArray) -> xr.Dataset:
    """Log-likelihood of each customer at each draw, ordered by history."""
    n_chains, n_draws, n_parameters = theta.shape
    each = customers_in_order(likelihood.rows, likelihood.weight)
    by_row = likelihood.row_values(theta.reshape(-1, n_parameters), slice(None))
    values = by_row[:, each].reshape(n_chains, n_draws, -1)
    return dataset({"log_likelihood": (("chain", "draw", "customer"), values)}, {"history": ("customer", each)})
