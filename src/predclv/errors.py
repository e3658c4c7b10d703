"""Errors and warnings, each with a class of its own.

An error names the place, how many cases, the first of them and the remedy. `DataError` covers what is
wrong with the data given, `FitError` what a model cannot do with valid data, `ModelFileError` what is
wrong with a saved model. A warning's class is what a user filters or a batch job escalates.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from pathlib import Path

# With the separator, or a neighbour called predclv_extensions would pass for a part of the package.
_PACKAGE = str(Path(__file__).parent) + os.sep
# A cached property is called through here.
_CACHED = functools.__file__


class PredCLVError(Exception):
    """Base of every error raised on purpose by predclv."""


class DataError(PredCLVError, ValueError):
    """The data cannot mean what they say: the message counts the cases and shows the first."""


class UnitError(PredCLVError, ValueError):
    """A summary and a model, or two models, disagree in time unit, currency or policy."""


class FitError(PredCLVError, RuntimeError):
    """No estimate exists, or none was reached: the message says why and what to try."""


class ModelFileError(PredCLVError, OSError):
    """A saved model is missing, damaged, or written by a newer version."""


class PredCLVWarning(UserWarning):
    """Base of every warning issued by predclv."""


class ConvergenceWarning(PredCLVWarning):
    """An estimate was found, but lies on a ridge or at the edge of what the data can tell."""


class SamplingWarning(PredCLVWarning):
    """Chains of a sampler diverged, disagree, or are too short: their draws may not be the posterior's."""


class InfluenceWarning(PredCLVWarning):
    """A few customers move the posterior so much that weighting its draws does not tell how it were without them."""


class DataQualityWarning(PredCLVWarning):
    """The data are usable and suspicious: merged, netted, set aside, or starting late."""


class CoarseningWarning(PredCLVWarning):
    """Customers were too many for rows of their own: times or spend stand in cells, which moves estimates a little."""


class ObservationEndWarning(DataQualityWarning):
    """No as-of date was given: a log's last date was taken, which inflates `p_alive`, or for rows that of the fit."""


class DependenceWarning(PredCLVWarning):
    """Spend goes with frequency, which the Gamma-Gamma model assumes it does not."""


class HeavyTailWarning(PredCLVWarning):
    """The spend model has an infinite mean or variance for new customers."""


class HorizonWarning(PredCLVWarning):
    """A forecast reaches further than the data it was learnt from."""


class ExtrapolationWarning(PredCLVWarning):
    """A customer lies outside the range that the model was fitted on."""


def warn(message: str, category: type[PredCLVWarning]) -> None:
    """Warn at the line of the caller's own code that led here, however deep in the package the reason was found."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, _CACHED)):
        frame, depth = frame.f_back, depth + 1
    # At level 1 `warnings.warn` points to this function, whose frame is the first one counted.
    warnings.warn(message, category, stacklevel=depth)
