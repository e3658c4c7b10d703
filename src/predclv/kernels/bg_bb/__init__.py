"""BG/BB. `equations` is its literal form, which the package gives; its fast twins stand beside it."""

from predclv.kernels.bg_bb.equations import NUMPY, log_likelihood, p_alive

__all__ = ["NUMPY", "log_likelihood", "p_alive"]
