"""Early warnings: two snapshots of a base compared, alarms for customers who changed, and whether to fit again."""

from __future__ import annotations

from predclv.decisions.monitor.compare import compare_snapshots
from predclv.decisions.monitor.result import SCHEMA, Monitoring
from predclv.decisions.monitor.watch import Watch, watch_snapshots

__all__ = ["SCHEMA", "Monitoring", "Watch", "compare_snapshots", "watch_snapshots"]
