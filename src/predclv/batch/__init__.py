"""Customers in batches, unattended: logs summarised, tables collapsed for a fit, and scored by jobs that resume."""

from __future__ import annotations

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
