"""The compiled twins of `bg_family`, in one place."""

from predclv.kernels.bg_family_likelihood import log_likelihood_derivatives

__all__ = ["log_likelihood_derivatives"]
