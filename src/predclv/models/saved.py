"""A fitted model as JSON types and tables of draws, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from predclv.errors import ModelFileError
from predclv.inference.evidence import Evidence
from predclv.inference.posterior import Posterior
from predclv.models.bayes import priors_from_dict, priors_to_dict
from predclv.models.fingerprint import Fingerprint
from predclv.models.settings import METHODS, ModelSettings
from predclv.models.storage import posterior_from_dict, posterior_to_dict, write_model
from predclv.priors.settle import supported

__all__ = ["POOLED", "SavedModel"]

#: Why the posterior of a population has no customers to check it against.
POOLED = "Each segment has parameters of its own: take segments_[name].posterior_."
_SAVED = (
    "A saved model holds none: fit it again, which with the same data, settings and random_state gives the same draws."
)


class SavedModel(ModelSettings):
    """A model that can be saved, once fitted, and loaded.

    Attributes
    ----------
    KEY, KIND : str
        Which model it is, in `MODELS`, and of what kind: its tables of draws are called by it.
    posterior_, segments_, priors_, fingerprint_
        See `Model`.
    """

    KEY: ClassVar[str]
    KIND: ClassVar[str]

    posterior_: Posterior
    segments_: dict[str, Self]
    fingerprint_: Fingerprint

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: JSON and Parquet, no customer, no pickle; whole or not at all."""
        check_is_fitted(self)
        write_model(path, {"class": type(self).__name__, **self.to_dict()}, self.posteriors())

    def posteriors(self) -> dict[str, Posterior]:
        """Every posterior of the model by the name of its file: `KIND`, and `KIND` with a number for each segment."""
        own = {f"{self.KIND}-{i}": model.posterior_ for i, model in enumerate(self.segments_.values())}
        return {self.KIND: self.posterior_, **own}

    def to_dict(self) -> dict[str, Any]:
        """Everything of the fitted model but its draws, as JSON types."""
        return {
            "key": self.KEY,
            "settings": {
                **self.get_params(),
                **{name: int(getattr(self, name)) for name in ("chains", "draws", "tune", "random_state")},
                "priors": priors_to_dict(self.priors),
            },
            "priors": priors_to_dict(self.priors_),
            "posterior": posterior_to_dict(self.posterior_),
            "fingerprint": self.fingerprint_.to_dict(),
            "segments": {name: model.to_dict() for name, model in self.segments_.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], draws: Mapping[str, pa.Table], table: str | None = None) -> Self:
        """Rebuild from `to_dict` and tables of draws, its own under `table`; ModelFileError where they do not fit."""
        try:
            model = cls(**{**stored["settings"], "priors": priors_from_dict(stored["settings"].get("priors"))})
            model._check_settings()
            model.priors_ = priors_from_dict(stored.get("priors")) or {}
            parameters = model._declared_parameters()
            parameters = supported(parameters, model.priors_) if model.priors_ else parameters
            priors = (model.priors_ or None) if table is None else None
            evidence = Evidence(cls.__name__, priors, absent=_SAVED if model.segment is None else POOLED)
            posterior = posterior_from_dict(stored["posterior"], parameters, draws[table or cls.KIND])
            model.posterior_ = posterior.evolve(evidence=evidence)
            model.fingerprint_ = Fingerprint.from_dict(stored["fingerprint"])
            model.segments_ = {
                name: cls.from_dict(part, draws, f"{cls.KIND}-{i}")
                for i, (name, part) in enumerate(stored.get("segments", {}).items())
            }
            model._check_stored()
        except KeyError as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: {error}") from error
        return model

    def _check_stored(self) -> None:
        """Raise ValueError, KeyError or TypeError where a loaded posterior is none that `fit` makes."""
        if self.posterior_.method not in METHODS:
            raise ValueError(f"its posterior comes from an unknown method, {self.posterior_.method!r}.")
        if (self.segment is None) != (not self.segments_):
            raise ValueError(f"segment={self.segment!r}, and it holds {len(self.segments_)} segments.")
