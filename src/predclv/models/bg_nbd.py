"""BG/NBD: customers buy at their own steady rate, and after each repeat purchase may be gone for good.

Purchases are Poisson(λ) while alive, λ ~ Gamma(r, α) over customers; after a repeat purchase the customer
leaves with probability p ~ Beta(a, b), independent of λ. Fader, Hardie & Lee (2005), Marketing Science 24(2).
"""

from __future__ import annotations

from typing import ClassVar

from predclv.models import bg_family
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import BGPatterns, PatternKernels

__all__ = ["BGNBD"]


class BGNBD(CovariateModel):
    """Beta-geometric / negative binomial model of repeat purchases; Fader, Hardie & Lee (2005).

    Nobody leaves before a first repeat purchase, so a one-time buyer has `p_alive` = 1 however long ago the
    purchase was: read `p_purchase` for who will come back.

    Customers may differ by covariates, on purchase and on dropout: see `CovariateModel` for these settings.
    """

    KEY = "bg_nbd"
    PARAMETERS = bg_family.PARAMETERS
    PRIORS: ClassVar = bg_family.PRIORS
    EDGES: ClassVar = bg_family.describe_edges(dropout_at_first=False)
    BINDINGS = bg_family.BGFamily(k=1, dropout_at_first=False)
    DROPOUT_MEANING = bg_family.DROPOUT_MEANING
    DROPOUT_EFFECT = bg_family.DROPOUT_EFFECT

    @property
    def pattern_kernels(self) -> PatternKernels:
        """See `CovariateModel`."""
        return BGPatterns(k=1, dropout_at_first=False)
