"""Errors and warnings, each with a class of its own.

An error names the place, how many cases, the first of them and the remedy. `DataError` covers what is
wrong with the data given, `FitError` what a model cannot do with valid data, `ModelFileError` what is
wrong with a saved model. A warning's class is what a user filters or a batch job escalates. What is met most often
also names the page of the documentation that answers it, by its path in the project.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from pathlib import Path
from typing import ClassVar

# With the separator, or a neighbour called predclv_extensions would pass for a part of the package.
_PACKAGE = str(Path(__file__).parent) + os.sep
# A cached property is called through here.
_CACHED = functools.__file__


#: Pages of the documentation by what they answer.
PAGES = {
    "files": "docs/howto/files.md",
    "units": "docs/howto/units.md",
    "as-of date": "docs/howto/units.md#the-as-of-date",
    "convergence": "docs/howto/nan_and_convergence.md#which-message-which-remedy",
    "heavy tails": "docs/howto/nan_and_convergence.md#which-message-which-remedy",
    "spend and frequency": "docs/howto/spend_and_frequency.md",
    "horizon": "docs/howto/horizon.md",
    "refitting": "docs/howto/refitting.md",
    "one-time buyers": "docs/howto/one_time_buyers.md",
    "new customers": "docs/howto/new_customers.md",
    "returns": "docs/howto/returns.md",
    "contracts": "docs/howto/contract_or_not.md",
    "one customer": "docs/howto/explain.md",
}


def see(topic: str) -> str:
    """' See docs/howto/units.md.'; KeyError where no page is about the topic."""
    return f" See {PAGES[topic]}."


def _with_page(message: str, topic: str | None) -> str:
    """A message with its page, once: what is raised or warned of again has it already."""
    return message if topic is None or PAGES[topic] in message else message + see(topic)


class PredCLVError(Exception):
    """Base of every error raised on purpose by predclv.

    Attributes
    ----------
    topic : str or None
        Of `PAGES`, what the error is about.
    """

    topic: ClassVar[str | None] = None

    def __str__(self) -> str:
        return _with_page(super().__str__(), self.topic)


class DataError(PredCLVError, ValueError):
    """The data cannot mean what they say: the message counts the cases and shows the first.

    Attributes
    ----------
    column : str or None
        The one that is wrong, where a caller might do without it.
    """

    def __init__(self, *message: object, column: str | None = None) -> None:
        super().__init__(*message)
        self.column = column


class UnitError(PredCLVError, ValueError):
    """A summary and a model, or two models, disagree in time unit, currency or policy."""

    topic = "units"


class FitError(PredCLVError, RuntimeError):
    """No estimate exists, or none was reached: the message says why and what to try."""

    topic = "convergence"


class ModelFileError(PredCLVError, OSError):
    """A saved model is missing, damaged, or written by a newer version."""


class PredCLVWarning(UserWarning):
    """Base of every warning issued by predclv.

    Attributes
    ----------
    topic : str or None
        Of `PAGES`, what the warning is about; `warn` names the page.
    """

    topic: ClassVar[str | None] = None


class ConvergenceWarning(PredCLVWarning):
    """An estimate was found, but lies on a ridge or at the edge of what the data can tell."""

    topic = "convergence"


class SamplingWarning(PredCLVWarning):
    """Chains of a sampler diverged, disagree, or are too short: their draws may not be the posterior's."""

    topic = "convergence"


class InfluenceWarning(PredCLVWarning):
    """A few customers move the posterior so much that weighting its draws does not tell how it were without them."""


class DataQualityWarning(PredCLVWarning):
    """The data are usable and suspicious: merged, netted, set aside, or starting late."""


class CoarseningWarning(PredCLVWarning):
    """Customers were too many for rows of their own: times or spend stand in cells, which moves estimates a little."""


class ObservationEndWarning(DataQualityWarning):
    """No as-of date was given: a log's last date was taken, which inflates `p_alive`, or for rows that of the fit.

    Or one that is still to come was, or one long after the last row of a log.
    """

    topic = "as-of date"


class DependenceWarning(PredCLVWarning):
    """Spend goes with frequency, which the Gamma-Gamma model assumes it does not."""

    topic = "spend and frequency"


class HeavyTailWarning(PredCLVWarning):
    """The spend model has an infinite mean or variance for new customers."""

    topic = "heavy tails"


class HorizonWarning(PredCLVWarning):
    """A forecast reaches further than the data it was learnt from."""

    topic = "horizon"


class ExtrapolationWarning(PredCLVWarning):
    """A customer lies outside the range that the model was fitted on."""

    topic = "refitting"


def warn(message: str, category: type[PredCLVWarning]) -> None:
    """Warn at the line of the caller's own code that led here, however deep in the package the reason was found.

    The page on the category's topic is named after the message.
    """
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, _CACHED)):
        frame, depth = frame.f_back, depth + 1
    # At level 1 `warnings.warn` points to this function, whose frame is the first one counted.
    warnings.warn(_with_page(message, category.topic), category, stacklevel=depth)
