"""MBG/NBD: as BG/NBD, and a customer may be gone right after the first purchase.

Purchases are Poisson(λ) while alive, λ ~ Gamma(r, α) over customers; after every purchase, the first included, the
customer leaves with probability p ~ Beta(a, b), independent of λ. Batislam, Denizel & Filiztekin (2007),
International Journal of Research in Marketing 24(3). Hoppe & Wagner (2007), Marketing ZFP 29, call it CBG/NBD.
"""

from __future__ import annotations

from typing import ClassVar

from predclv.models import bg_family
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import BGPatterns, PatternKernels

__all__ = ["MBGNBD"]


class MBGNBD(CovariateModel):
    """Modified beta-geometric / negative binomial model; Batislam, Denizel & Filiztekin (2007).

    One-time buyers may have left, and the longer they have been silent the likelier: `p_alive` is below 1 for
    everyone. `expected_purchases` of a new customer counts the chance that the first purchase was the only one.

    Customers may differ by covariates, on purchase and on dropout: see `CovariateModel` for these settings.
    """

    KEY = "mbg_nbd"
    PARAMETERS = bg_family.PARAMETERS
    PRIORS: ClassVar = bg_family.PRIORS
    EDGES: ClassVar = bg_family.describe_edges(dropout_at_first=True)
    BINDINGS = bg_family.BGFamily(k=1, dropout_at_first=True)
    DROPOUT_MEANING = bg_family.DROPOUT_MEANING
    DROPOUT_EFFECT = bg_family.DROPOUT_EFFECT

    @property
    def pattern_kernels(self) -> PatternKernels:
        """See `CovariateModel`."""
        return BGPatterns(k=1, dropout_at_first=True)
