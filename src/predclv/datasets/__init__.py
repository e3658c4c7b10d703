"""Public data sets and simulated logs."""

from predclv.datasets.public import load_cdnow, load_cdnow_master, load_donations

__all__ = ["load_cdnow", "load_cdnow_master", "load_donations"]
