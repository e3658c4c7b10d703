"""The compiled twins of `bg_family`, in one place."""

from predclv.kernels.bg_family.forecast import (
    discounted_expected_purchases,
    expected_purchases,
    mean_discounted_expected_purchases,
    mean_expected_purchases,
    mean_p_alive,
    p_alive,
    p_alive_by_stage,
    purchase_pmf,
    stage_purchase_pmf,
)
from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives

__all__ = [
    "discounted_expected_purchases",
    "expected_purchases",
    "log_likelihood_derivatives",
    "mean_discounted_expected_purchases",
    "mean_expected_purchases",
    "mean_p_alive",
    "p_alive",
    "p_alive_by_stage",
    "purchase_pmf",
    "stage_purchase_pmf",
]
