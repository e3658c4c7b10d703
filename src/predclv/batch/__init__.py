"""Scoring customers in batches, unattended: one scorer for every engine, and a job that can be killed and resumed."""

from __future__ import annotations

from predclv.batch.job import Job, run_job
from predclv.batch.memory import Memory, parse_memory
from predclv.batch.scorer import Scorer

__all__ = ["Job", "Memory", "Scorer", "parse_memory", "run_job"]
