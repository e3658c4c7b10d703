"""A fitted model as JSON types and tables of draws, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    FINGERPRINT : type of Fingerprint
        What a fitted model of the kind remembers of its data.
    posterior_, segments_, priors_, fingerprint_
        See `Model`.
    """

    KEY: ClassVar[str]
    KIND: ClassVar[str]
    FINGERPRINT: ClassVar[type[Fingerprint]] = Fingerprint

    posterior_: Posterior
    segments_: dict[str, Self]
    fingerprint_: Fingerprint

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: JSON and Parquet, no customer, no pickle; whole or not at all."""
        check_is_fitted(self)
        write_model(path, {"class": type(self).__name__, **self.to_dict()}, self.posteriors())

    def posteriors(self) -> dict[str, Posterior]:
        """Every posterior of the model by the name of its file: `KIND`, and `KIND` with a number for each segment."""
        own = {table: model.posterior_ for table, model in zip(self._tables(), self.segments_.values(), strict=True)}
        return {self.KIND: self.posterior_, **own}

    def _tables(self) -> list[str]:
        """Names of the segments' tables of draws."""
        return [f"{self.KIND}-{i}" for i in range(len(self.segments_))]

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
            "segments": {
                name: {"draws": table, **model.to_dict()}
                for table, (name, model) in zip(self._tables(), self.segments_.items(), strict=True)
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], draws: Mapping[str, pa.Table], table: str | None = None) -> Self:
        """Rebuild from `to_dict` and tables of draws, its own under `table`; ModelFileError where they do not fit."""
        try:
            model = cls(**{**stored["settings"], "priors": priors_from_dict(stored["settings"].get("priors"))})
            model._check_settings()
            model._restore(stored)
            model.priors_ = priors_from_dict(stored.get("priors")) or {}
            parameters = model._declared_parameters()
            parameters = supported(parameters, model.priors_) if model.priors_ else parameters
            priors = (model.priors_ or None) if table is None else None
            evidence = Evidence(cls.__name__, priors, absent=_SAVED if model.segment is None else POOLED)
            posterior = posterior_from_dict(stored["posterior"], parameters, draws[table or cls.KIND])
            model.posterior_ = posterior.evolve(evidence=evidence)
            model.fingerprint_ = cls.FINGERPRINT.from_dict(stored["fingerprint"])
            parts = stored.get("segments", {})
            model.segments_ = {name: cls.from_dict(part, draws, part["draws"]) for name, part in parts.items()}
            if table is None:
                model._check_segments(parts, [name for name in draws if name.startswith(f"{cls.KIND}-")])
            model._check_stored()
        except KeyError as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: {error}") from error
        return model

    def _restore(self, stored: Mapping[str, Any]) -> None:
        """Take from what is stored whatever else the parameters go by."""

    def _check_segments(self, stored: Mapping[str, Any], tables: Sequence[str]) -> None:
        """Raise ValueError where segments and tables of draws are not one to one, or a segment is another model's."""
        if sorted(part["draws"] for part in stored.values()) != sorted(tables):
            raise ValueError(f"its {len(stored)} segments and {len(tables)} tables of their draws do not match.")
        for name, model in self.segments_.items():
            mine, own = self.fingerprint_, model.fingerprint_
            if stored[name]["key"] != self.KEY or model.segment is not None:
                raise ValueError(f"segment {name!r} is no {type(self).__name__}.")
            units = ("time_unit", "collapse", "currency", "observation_end", "opportunities")
            if any(getattr(mine, unit) != getattr(own, unit) for unit in units):
                raise ValueError(f"segment {name!r} was fitted in other units than the rest.")

    def _check_stored(self) -> None:
        """Raise ValueError, KeyError or TypeError where a loaded posterior is none that `fit` makes."""
        if self.posterior_.method not in METHODS:
            raise ValueError(f"its posterior comes from an unknown method, {self.posterior_.method!r}.")
        if (self.segment is None) != (not self.segments_):
            raise ValueError(f"segment={self.segment!r}, and it holds {len(self.segments_)} segments.")
