"""The BG family: when customers buy and leave. `equations` is its literal form, which the package gives."""

from predclv.kernels.bg_family.equations import NUMPY, log_likelihood, p_alive

__all__ = ["NUMPY", "log_likelihood", "p_alive"]
