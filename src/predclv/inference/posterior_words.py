"""A posterior in a line, from its point and curvature alone: nothing is drawn for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.data.summary_words import lines_to_html

if TYPE_CHECKING:
    from predclv.inference.posterior import Posterior

__all__ = ["estimates_in_words", "estimates_to_html"]

_SHOWN = 8


def estimates_in_words(posterior: Posterior) -> str:
    """'r = 0.243 ± 0.013, alpha = 4.41 ± 0.38': estimates and standard errors by the delta method."""
    errors = np.sqrt(np.diag(posterior.covariance.to_numpy()))
    runaway = posterior.fit_diagnostics.get("runaway", ())
    said = []
    for name, value, error in zip(posterior.names, posterior.point_array, errors, strict=True):
        spread = "undetermined" if name in runaway else f"{value:.3g} ± {error:.2g}"
        said.append(f"{name} {spread}" if name in runaway else f"{name} = {spread}")
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return ", ".join(said[:_SHOWN]) + more


def estimates_to_html(posterior: Posterior) -> str:
    """The line, and the parameters with their meaning."""
    table = pd.DataFrame(
        {
            "parameter": posterior.names,
            "estimate": posterior.point_array,
            "std_error": np.sqrt(np.diag(posterior.covariance.to_numpy())),
            "meaning": [parameter.meaning for parameter in posterior.parameters],
        }
    )
    return lines_to_html([repr(posterior)[1:-1]], table)
