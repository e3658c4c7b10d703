"""Segments that share strength as ArviZ's InferenceData, with a dimension "segment"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from predclv.inference import arviz_versions as az
from predclv.inference.arviz import (
    attributes_of,
    by_name,
    dataset,
    draw_priors,
    evidence_of,
    histories,
    is_wanted,
    theta_of,
)
from predclv.inference.evidence import RowLikelihood, customers_in_order
from predclv.inference.posterior import Posterior

__all__ = ["segments_to_inference_data"]

FloatArray = NDArray[np.float64]


def segments_to_inference_data(
    population: Posterior, segments: Mapping[str, Posterior], log_likelihood: bool | None
) -> Any:
    """See `Model.to_arviz`; names are those of `pymc_hierarchy`."""
    evidence, own = evidence_of(population), list(segments.values())
    centers = {name: f"{name}_center" for name in own[0].names}
    drawn = np.stack([theta_of(posterior) for posterior in own], axis=2)
    by_segment = {name: (("chain", "draw", "segment"), drawn[..., i]) for i, name in enumerate(own[0].names)}
    shared = by_name(theta_of(population), population.names).rename(centers)
    groups = {"posterior": xr.merge([dataset(by_segment, {"segment": list(segments)}), shared])}
    if population.chains is not None:
        groups["sample_stats"] = dataset({n: (("chain", "draw"), v) for n, v in population.chains.statistics.items()})
    if evidence.priors is not None:
        groups["prior"] = by_name(draw_priors(evidence.priors, population.names), population.names).rename(centers)
    if log_likelihood:
        evidence_of(own[0]).require_likelihood("log_likelihood=True")
    likelihoods = [evidence_of(posterior).likelihood for posterior in own]
    bound = [likelihood for likelihood in likelihoods if likelihood is not None]
    if len(bound) == len(own):
        groups["constant_data"] = _histories(bound)
        weight = np.concatenate([likelihood.weight for likelihood in bound])
        if is_wanted(weight, drawn[:, :, 0], log_likelihood, evidence.name):
            groups["log_likelihood"] = _by_customer(bound, own)
    attributes = attributes_of(population, evidence_of(own[0]))
    return az.make_inference_data({name: group.assign_attrs(attributes) for name, group in groups.items()}, attributes)


def _histories(bound: Sequence[RowLikelihood]) -> xr.Dataset:
    """Distinct histories, one segment's after the other, and whose they are."""
    parts = [histories(likelihood) for likelihood in bound]
    index = np.repeat(np.arange(len(bound)), [len(likelihood.weight) for likelihood in bound])
    columns = {str(name): np.concatenate([part[name].to_numpy() for part in parts]) for name in parts[0]}
    return dataset({name: (("history",), column) for name, column in {**columns, "segment_index": index}.items()})


def _by_customer(bound: Sequence[RowLikelihood], own: Sequence[Posterior]) -> xr.Dataset:
    drawn = [theta_of(posterior) for posterior in own]
    by_row = np.concatenate(
        [
            likelihood.row_values(theta.reshape(-1, theta.shape[-1]), slice(None))
            for likelihood, theta in zip(bound, drawn, strict=True)
        ],
        axis=1,
    )
    rows = {name: np.concatenate([likelihood.rows[name] for likelihood in bound]) for name in bound[0].rows}
    each = customers_in_order(rows, np.concatenate([likelihood.weight for likelihood in bound]))
    values = by_row[:, each].reshape(*drawn[0].shape[:2], -1)
    return dataset({"log_likelihood": (("chain", "draw", "customer"), values)}, {"history": ("customer", each)})
