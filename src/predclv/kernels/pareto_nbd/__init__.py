"""Pareto/NBD. `equations` is its literal form, which the package gives; its fast twins stand beside it."""

from predclv.kernels.pareto_nbd.equations import NUMPY, log_likelihood, p_alive

__all__ = ["NUMPY", "log_likelihood", "p_alive"]
