"""Beta-discrete-Weibull: at each renewal a customer leaves with a chance that falls or rises with tenure.

A customer is left after t renewals with probability (1 - θ)^(t^c), θ ~ Beta(α, β) over customers: with c < 1 the
single customer becomes more loyal with time, with c > 1 less; c = 1 is the shifted beta-geometric model. Fader, Hardie,
Liu, Davin & Steenburgh (2018), Journal of Interactive Marketing 43.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.models.contracts.model import ContractModel
from predclv.models.sbg import ALPHA, ALPHA_PRIOR, BETA, BETA_PRIOR, EDGES
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["BDW"]

_ALIKE = (
    "All customers seem alike, so their chances to leave and how these change with tenure are determined, and how "
    "customers differ is not. More cohorts or periods would tell, or priors."
)
_LATE_OR_NEVER = (
    "Next to nobody declines the first renewals, and the data do not tell how customers differ. Where nobody leaves at "
    "all, no interval holds the chance that this is wrong; where all leave late and together, contracts may run out "
    "after a fixed number of periods, which no such model foresees. Observe for longer, or give priors (method='map')."
)
_ONE_CLIFF = (
    "Customers seem to leave together at one renewal. Do the contracts run out after a fixed number of periods, which "
    "no such model foresees?"
)
_NO_CHANGE = (
    "After the first renewal nearly nobody leaves: the data do not tell loyalty that grows from customers who differ."
)


class BDW(ContractModel):
    """Beta-discrete-Weibull model of renewals; Fader, Hardie, Liu, Davin & Steenburgh (2018).

    `SBG` with one parameter more, c, for how the single customer changes. From few periods it is hardly told from
    customers who differ, and then the forecast far beyond the data is uncertain, as its intervals show.
    """

    KEY = "bdw"
    PARAMETERS = (
        ALPHA,
        BETA,
        Parameter(
            "c", "duration dependence: below 1 a customer grows more loyal with tenure, above 1 less", (0.5, 2.0)
        ),
    )
    PRIORS: ClassVar = {"alpha": ALPHA_PRIOR, "beta": BETA_PRIOR, "c": LogNormal(1.0, 0.5)}
    EDGES: ClassVar = {
        **EDGES,
        (("alpha", "high"), ("beta", "high")): _ALIKE,
        (("beta", "high"),): _LATE_OR_NEVER,
        (("c", "high"),): _ONE_CLIFF,
        (("c", "low"),): _NO_CHANGE,
    }

    @staticmethod
    def full_theta(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `ContractModel.full_theta`."""
        return np.array(theta, dtype=np.float64, order="C")
