"""What is known of customers beside their purchases: settings, columns, and the coefficients that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from predclv.data.checks import quote_list
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, ModelFileError
from predclv.models.covariates.encoding import Coefficient, ColumnEncoding, Encoder, Levels, Number, check_collinear
from predclv.models.covariates.transformed import TransformedEncoding
from predclv.parameters import Parameter
from predclv.priors.distributions import Normal

__all__ = ["PREFIXES", "PRIOR", "Covariates", "Design", "check_setting"]

FloatArray = NDArray[np.float64]

#: What coefficients act on, as their names begin.
PREFIXES = ("purchase", "dropout")
#: Of every coefficient that nothing else is said of: a factor between 1/5 and 5 (90 %) a standard deviation or level.
PRIOR = Normal(0.0, 1.0)
# Repeat buyers that a coefficient needs where nothing holds it back.
_BUYERS_PER_COEFFICIENT = 5


class Design(NamedTuple):
    """Encoded covariates of customers, (n_customers, n_purchase) and (n_customers, n_dropout)."""

    purchase: FloatArray
    dropout: FloatArray


@dataclass(frozen=True, eq=False)
class Covariates:
    """How columns of customers become numbers, as learnt from the customers of a fit.

    Attributes
    ----------
    purchase, dropout : Encoder or None
    dropout_meaning : str
        What the exponential of a coefficient on dropout multiplies.
    """

    purchase: Encoder | None
    dropout: Encoder | None
    dropout_meaning: str

    @classmethod
    def learn(cls, purchase: Any, dropout: Any, rfm: RFMSummary, dropout_meaning: str) -> Self:
        """Learn both from the settings and the customers of a fit; DataError where columns cannot inform it."""
        encoders = [
            None if _is_absent(setting) else _learn(f"{prefix}_covariates", setting, rfm)
            for prefix, setting in zip(PREFIXES, (purchase, dropout), strict=True)
        ]
        return cls(encoders[0], encoders[1], dropout_meaning)

    @property
    def encoders(self) -> dict[str, Encoder]:
        """Those that there are, by what they act on."""
        both = dict(zip(PREFIXES, (self.purchase, self.dropout), strict=True))
        return {prefix: encoder for prefix, encoder in both.items() if encoder is not None}

    @property
    def coefficients(self) -> list[tuple[str, Coefficient]]:
        """All coefficients, those on purchase first: what they act on, and what they compare."""
        return [(prefix, each) for prefix, encoder in self.encoders.items() for each in encoder.coefficients]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The coefficients as parameters."""
        multiplied = {"purchase": "the purchase rate", "dropout": self.dropout_meaning}
        return tuple(
            Parameter(
                f"{prefix}[{each.name}]",
                f"logarithm of the factor on {multiplied[prefix]}, {each.step}",
                (-1.0, 1.0),
                above=-np.inf,
            )
            for prefix, each in self.coefficients
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the encoded columns, as data of a likelihood."""
        return tuple(f"{prefix}_covariate[{each.name}]" for prefix, each in self.coefficients)

    @property
    def sources(self) -> list[str]:
        """Carried columns that a customer needs."""
        return list(dict.fromkeys(name for encoder in self.encoders.values() for name in encoder.sources))

    @property
    def columns(self) -> dict[str, Number | Levels]:
        """Each carried column by its name; TypeError where a ColumnTransformer makes what it likes of them."""
        found: dict[str, Number | Levels] = {}
        for prefix, encoder in self.encoders.items():
            if not isinstance(encoder, ColumnEncoding):
                raise TypeError(
                    f"{prefix}_covariates are a ColumnTransformer, which may look at many customers at once. Transform "
                    "the columns before, carry them, and give their names."
                )
            found |= {column.name: column for column in encoder.columns}
        return found

    def design(self, rfm: RFMSummary) -> Design:
        """Encode the customers of a summary; DataError where a value is missing or unknown."""
        return self.encode(rfm.carried, rfm.customer_id)

    def encode(self, columns: Mapping[str, NDArray[Any]], customer_id: NDArray[Any]) -> Design:
        """Encode customers' columns."""
        nothing = np.zeros((len(customer_id), 0))
        parts = (
            nothing if encoder is None else encoder.encode(columns, customer_id)
            for encoder in (self.purchase, self.dropout)
        )
        return Design(*parts)

    def encode_one(self, values: Mapping[str, Any]) -> Design:
        """Encode one customer's values; DataError where one is missing, unknown, or none of the covariates."""
        if not isinstance(values, Mapping):
            raise TypeError(f"'covariates' must map columns to values. Got {type(values).__name__}.")
        wanted = self.sources
        if missing := [name for name in wanted if name not in values]:
            raise DataError(f"'covariates' must say {quote_list(wanted)}; it lacks {quote_list(missing)}.")
        if extra := [name for name in values if name not in wanted]:
            raise DataError(f"'covariates' names {quote_list(extra)}, and the model has {quote_list(wanted)}.")
        columns = {name: np.array([value]) for name, value in values.items()}
        return self.encode(columns, np.array(["new"], dtype=object))

    def check(self, rfm: RFMSummary, *, held_back: bool) -> None:
        """Raise DataError where columns are combinations of each other, or customers too few for them.

        Coefficients are held back by a penalty or a prior.
        """
        design = self.design(rfm)
        for prefix, encoder in self.encoders.items():
            check_collinear(f"{prefix}_covariates", encoder, getattr(design, prefix))
        n, buyers = len(self.coefficients), rfm.n_repeat_buyers
        enough = n <= rfm.n_customers if held_back else n * _BUYERS_PER_COEFFICIENT <= buyers
        if not enough:
            rule = "as many" if held_back else f"{_BUYERS_PER_COEFFICIENT} repeat buyers for each"
            raise DataError(
                f"The covariates have {n:,} coefficients, and of {rfm.n_customers:,} customers {buyers:,} are repeat "
                f"buyers; it takes {rule}. Merge rare levels, leave columns out, or hold coefficients back "
                "(penalty='cv', or method='map')."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the encoders as JSON types; ModelFileError where one is a ColumnTransformer."""
        stored: dict[str, Any] = {}
        for prefix, encoder in self.encoders.items():
            if not isinstance(encoder, ColumnEncoding):
                raise ModelFileError(
                    f"A model whose {prefix}_covariates are a ColumnTransformer cannot be saved: a transformer can run "
                    "any code, and saved models hold none. Transform the columns before, carry them, and give their "
                    "names."
                )
            stored[prefix] = encoder.to_dict()
        return stored

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], dropout_meaning: str) -> Self:
        """Rebuild from `to_dict`; KeyError, TypeError or ValueError where it is none."""
        if not stored or set(stored) - set(PREFIXES):
            raise ValueError(f"its covariates act on {sorted(stored)}.")
        encoders = [
            ColumnEncoding.from_dict(f"{prefix}_covariates", stored[prefix]) if prefix in stored else None
            for prefix in PREFIXES
        ]
        return cls(encoders[0], encoders[1], dropout_meaning)


def check_setting(option: str, setting: object) -> None:
    """Raise ValueError where a setting is no list of columns and no ColumnTransformer."""
    if setting is None or isinstance(setting, ColumnTransformer):
        return
    if isinstance(setting, str) or not isinstance(setting, list | tuple):
        hint = f" Did you mean [{setting!r}]?" if isinstance(setting, str) else ""
        raise ValueError(
            f"{option!r} must be a list of carried columns, or a scikit-learn ColumnTransformer. Got {setting!r}.{hint}"
        )
    if not all(isinstance(name, str) for name in setting):
        raise ValueError(f"{option!r} must hold names of columns. Got {setting!r}.")
    if twice := sorted({name for name in setting if list(setting).count(name) > 1}):
        raise ValueError(f"{option!r} names {quote_list(twice)} more than once.")


def _is_absent(setting: Any) -> bool:
    return setting is None or (isinstance(setting, list | tuple) and not setting)


def _learn(option: str, setting: Any, rfm: RFMSummary) -> Encoder:
    columns, customer_id = rfm.carried, rfm.customer_id
    if rfm.weight is not None:
        # A row for several customers counts as often.
        columns = {name: np.repeat(column, rfm.weight) for name, column in columns.items()}
        customer_id = np.repeat(customer_id, rfm.weight)
    if isinstance(setting, ColumnTransformer):
        return TransformedEncoding.learn(option, setting, columns, customer_id)
    return ColumnEncoding.learn(option, list(setting), columns, customer_id)
