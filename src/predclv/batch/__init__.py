"""Customers in batches, unattended: logs summarised, tables collapsed for a fit, and scored by jobs that resume."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from predclv.batch.collapsing import collapse_customers
from predclv.batch.job import Job, run_job
from predclv.batch.memory import Memory, parse_memory
from predclv.batch.scorer import Scorer
from predclv.batch.summaries import SummaryFile, summarize

__all__ = [
    "Job",
    "Memory",
    "Scorer",
    "SummaryFile",
    "collapse_customers",
    "parse_memory",
    "run_job",
    "summarize",
]

# What needs a package of its own, at first use.
_MODULES = ("mlflow", "spark")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
