"""Public data sets and simulated logs."""

from predclv.datasets.public import load_cdnow, load_cdnow_master, load_donations
from predclv.datasets.simulated import SimulatedLog, SimulatedSummary, simulate, simulate_rfm

__all__ = [
    "SimulatedLog",
    "SimulatedSummary",
    "load_cdnow",
    "load_cdnow_master",
    "load_donations",
    "simulate",
    "simulate_rfm",
]
