"""Contracts: sBG and BdW. `equations` is their literal form, which the package gives; fast twins stand beside it."""

from predclv.kernels.contracts.equations import NUMPY, log_likelihood, log_survival

__all__ = ["NUMPY", "log_likelihood", "log_survival"]
