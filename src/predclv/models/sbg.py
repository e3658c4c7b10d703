"""Shifted beta-geometric: at each renewal a customer leaves with a chance of his own, the same each time.

θ ~ Beta(α, β) over customers, and P(T = t | θ) = θ (1 - θ)^(t-1) for leaving at the t-th renewal. Retention rises with
tenure all the same: those likely to leave have left. Fader & Hardie (2007), Journal of Interactive Marketing 21(1).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.models.contracts.model import ContractModel
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["ALPHA", "ALPHA_PRIOR", "BETA", "BETA_PRIOR", "EDGES", "SBG"]

ALPHA = Parameter(
    "alpha", "beta over leaving: of new customers alpha / (alpha + beta) leave at the first renewal", (0.2, 5.0)
)
BETA = Parameter("beta", "beta over leaving: the larger alpha + beta, the more alike customers are", (0.5, 20.0))

# At the medians three of four new customers renew; each within a factor of 7 either way (90 %).
ALPHA_PRIOR, BETA_PRIOR = LogNormal(1.0, 1.2), LogNormal(3.0, 1.2)

_NOBODY_LEAVES = (
    "Next to nobody has declined a renewal, so the data do not show customers leaving, and no interval holds the "
    "chance that this is wrong. Observe for longer, or say what is known of comparable contracts in priors "
    "(method='map')."
)
_ALIKE = (
    "All customers seem equally likely to leave at each renewal: only alpha / (alpha + beta) is determined, and "
    "retention does not rise with tenure. More cohorts or periods would tell how customers differ, or priors."
)
_AT_ONCE_OR_NEVER = (
    "Customers seem to leave either at the first renewal or never. Is the first period a trial? Then start the "
    "contract after it."
)
_ALL_LEAVE = "Nearly everyone leaves at the first renewal: are these contracts that run out by themselves?"

EDGES = {
    (("alpha", "low"), ("beta", "high")): _NOBODY_LEAVES,
    (("alpha", "high"), ("beta", "high")): _ALIKE,
    (("alpha", "low"), ("beta", "low")): _AT_ONCE_OR_NEVER,
    (("alpha", "high"), ("beta", "low")): _ALL_LEAVE,
    (("beta", "high"),): _NOBODY_LEAVES,
    (("alpha", "low"),): _NOBODY_LEAVES,
    (("beta", "low"),): _AT_ONCE_OR_NEVER,
    (("alpha", "high"),): _ALL_LEAVE,
}


class SBG(ContractModel):
    """Shifted beta-geometric model of renewals; Fader & Hardie (2007).

    Customers differ, and no customer changes: where the single customer becomes less likely to leave with time, or
    likelier, `BDW` says so.
    """

    KEY = "sbg"
    PARAMETERS = (ALPHA, BETA)
    PRIORS: ClassVar = {"alpha": ALPHA_PRIOR, "beta": BETA_PRIOR}
    EDGES: ClassVar = EDGES

    @staticmethod
    def full_theta(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `ContractModel.full_theta`: c = 1."""
        return np.column_stack((theta, np.ones(len(theta))))
