"""The compiled twins of `bg_family`, in one place."""

from predclv.kernels.bg_family_forecast import (
    expected_purchases,
    mean_expected_purchases,
    mean_p_alive,
    p_alive,
)
from predclv.kernels.bg_family_likelihood import log_likelihood_derivatives

__all__ = [
    "expected_purchases",
    "log_likelihood_derivatives",
    "mean_expected_purchases",
    "mean_p_alive",
    "p_alive",
]
