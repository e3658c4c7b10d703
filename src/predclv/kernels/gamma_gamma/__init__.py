"""Gamma-Gamma spend. `equations` is its literal form, which the package gives; its fast twins stand beside it."""

from predclv.kernels.gamma_gamma.equations import NUMPY, expected_spend, log_likelihood

__all__ = ["NUMPY", "expected_spend", "log_likelihood"]
