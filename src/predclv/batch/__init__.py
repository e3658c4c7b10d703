"""Customers in batches, unattended: tables of any size collapsed for a fit, and scored by jobs that can be resumed."""

from __future__ import annotations

from predclv.batch.collapsing import collapse_customers
from predclv.batch.job import Job, run_job
from predclv.batch.memory import Memory, parse_memory
from predclv.batch.scorer import Scorer

__all__ = ["Job", "Memory", "Scorer", "collapse_customers", "parse_memory", "run_job"]
