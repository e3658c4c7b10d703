"""What a fitted model says of itself: with `print`, and in a notebook below scikit-learn's picture of it."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from predclv.data.summary_words import lines_to_html, once_in_words
from predclv.inference.posterior import Posterior
from predclv.inference.posterior_words import estimates_in_words
from predclv.models.fingerprint import Fingerprint

__all__ = ["FittedDisplay", "fit_in_words"]

_METHODS = {"mle": "maximum likelihood", "map": "the posterior's mode", "mcmc": "MCMC"}


class FittedDisplay(BaseEstimator):  # type: ignore[misc]
    """An estimator whose `print` and HTML say what was fitted; unfitted, they are those of scikit-learn."""

    def _in_words(self) -> list[str]:
        """What to say; nothing of what is not fitted."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(self._in_words()) or repr(self)

    # Both of scikit-learn's ways to HTML, one of which each version prefers.
    def _repr_html_inner(self) -> str:
        return str(super()._repr_html_inner()) + self._words_html()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)
        if "text/html" in bundle:
            bundle["text/html"] += self._words_html()
        return bundle

    def _words_html(self) -> str:
        lines = self._in_words()
        return lines_to_html(lines) if lines else ""


def fit_in_words(
    name: str, kind: str, posterior: Posterior, data: Fingerprint, segments: int, column: str | None
) -> list[str]:
    """What was fitted, on whom, and to what end."""
    who = "contracts" if kind == "contract" else "customers"
    end = "" if data.observation_end is None else f" as of {data.observation_end}"
    unit = f"one opportunity a {data.opportunities}" if data.opportunities else f"time in {data.time_unit}s"
    if kind == "contract":
        unit = f"renewed by the {data.time_unit}"
    if kind == "spend":
        unit = f"money in {data.currency}" if data.currency else "currency not given"
    by = _METHODS.get(posterior.method, posterior.method)
    lines = [f"{name} fitted by {by} to {data.n_customers:,} {who}{end}, {unit}."]
    if segments:
        lines.append(f"Each of {segments} segments of {column!r} has parameters of its own, in .segments_.")
    else:
        lines.append(f"{estimates_in_words(posterior)}; .summary has intervals and meanings.")
    if kind == "transactions":
        lines.append(once_in_words(data.n_repeat_buyers, data.n_customers))
    elif kind == "spend":
        lines.append(f"Learnt from {data.n_repeat_buyers:,} repeat buyers; the others get the population's spend.")
    return lines
