"""Public data sets and simulated logs."""

from predclv.datasets.contracts import (
    SimulatedContracts,
    SimulatedSubscriptions,
    load_retention,
    simulate_contracts,
    simulate_subscriptions,
)
from predclv.datasets.public import load_cdnow, load_cdnow_master, load_donations
from predclv.datasets.simulated import simulate, simulate_rfm
from predclv.datasets.truth import SimulatedLog, SimulatedSummary

__all__ = [
    "SimulatedContracts",
    "SimulatedLog",
    "SimulatedSubscriptions",
    "SimulatedSummary",
    "load_cdnow",
    "load_cdnow_master",
    "load_donations",
    "load_retention",
    "simulate",
    "simulate_contracts",
    "simulate_rfm",
    "simulate_subscriptions",
]
