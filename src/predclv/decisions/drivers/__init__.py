"""Drivers: which attributes of customers go with higher value and retention, the others held."""

from __future__ import annotations

from predclv.decisions.drivers.find import Drivers, find_drivers

__all__ = ["Drivers", "find_drivers"]
