"""Models side by side on one data set: which do the data prefer, and by how much more than noise?"""

from __future__ import annotations

from predclv.comparison.nesting import NESTINGS, Nesting
from predclv.comparison.result import Comparison
from predclv.comparison.runner import compare

__all__ = ["NESTINGS", "Comparison", "Nesting", "compare"]
