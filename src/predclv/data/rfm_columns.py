"""The columns that a summary of customers holds, frozen: checked when it is made, and picked from by row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from predclv.data import rfm_checks
from predclv.data.checks import OWN_COLUMNS
from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.data.frames import PANDAS, Backend, nullable
from predclv.data.frozen import CopiedFrame, locked

if TYPE_CHECKING:
    from predclv.kernels.collapse import Collapsed

__all__ = ["RFMColumns"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class RFMColumns:
    """What `RFMSummary` holds, which says what each is; nothing here knows where it came from or what it is for."""

    customer_id: NDArray[Any]
    frequency: NDArray[np.int64]
    recency: FloatArray
    T: FloatArray
    monetary_value: FloatArray | None = None
    first_purchase: NDArray[np.datetime64] | None = None
    log_itt: FloatArray | None = None
    weight: NDArray[np.int64] | None = None
    carried: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    time_unit: str = "week"
    collapse: str | None = None
    observation_end: dt.date | None = None
    observation_start: dt.date | None = None
    currency: str | None = None
    returns: str | None = None
    opportunities: str | None = None
    spend_apart: bool = False
    quality: CopiedFrame = CopiedFrame()  # noqa: RUF009, a descriptor
    backend: Backend = PANDAS

    def __post_init__(self) -> None:
        labels = self.time_unit, self.collapse, self.returns, self.currency, self.carried, self.opportunities
        rfm_checks.check_labels(*labels)
        columns = rfm_checks.check_columns(
            self.customer_id, self.frequency, self.recency, self.T, self.monetary_value, self.time_unit
        )
        n = len(columns["frequency"])
        if self.opportunities is not None:
            object.__setattr__(self, "collapse", self.opportunities)
            rfm_checks.check_opportunities(*(columns[name] for name in ("customer_id", "frequency", "recency", "T")))
        if self.first_purchase is not None:
            columns["first_purchase"] = rfm_checks.check_dates("first_purchase", self.first_purchase, n)
        if self.log_itt is not None:
            gaps = columns["customer_id"], columns["frequency"], columns["recency"]
            columns["log_itt"] = rfm_checks.check_log_itt(*gaps, self.log_itt)
        if self.weight is not None:
            columns["weight"] = rfm_checks.check_weight(columns["customer_id"], self.weight)
        carried = {name: rfm_checks.check_length(name, column, n) for name, column in self.carried.items()}
        for name, column in columns.items():
            object.__setattr__(self, name, column)
        object.__setattr__(self, "carried", carried)
        self._lock()
        object.__setattr__(self, "observation_end", parse_moment("observation_end", self.observation_end))
        object.__setattr__(self, "observation_start", parse_moment("observation_start", self.observation_start))

    def _lock(self) -> None:
        for name in OWN_COLUMNS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, locked(getattr(self, name)))
        carried = MappingProxyType({name: locked(column) for name, column in self.carried.items()})
        object.__setattr__(self, "carried", carried)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "carried": dict(self.carried)}
        state.pop("collapsed", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock()

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns of `to_pandas`)."""
        optional = self.monetary_value, self.first_purchase, self.log_itt, self.weight
        return len(self), 4 + sum(column is not None for column in optional) + len(self.carried)

    @property
    def days_per_unit(self) -> float:
        """Days in one `time_unit`."""
        return DAYS_PER_UNIT[self.time_unit]

    @property
    def n_repeat_buyers(self) -> int:
        """Customers with at least one repeat purchase."""
        if self.weight is None:
            return int(np.count_nonzero(self.frequency))
        return int(self.weight[self.frequency > 0].sum())

    @property
    def n_customers(self) -> int:
        """Customers: as many as rows, or the sum of the weights."""
        return len(self) if self.weight is None else int(self.weight.sum())

    @property
    def mean_frequency(self) -> float:
        """Mean of `frequency` over customers."""
        return float(np.average(self.frequency, weights=self.weight))

    @property
    def mean_age(self) -> float:
        """Mean of `T` over customers."""
        return float(np.average(self.T, weights=self.weight))

    @cached_property
    def collapsed(self) -> Collapsed:
        """Distinct (x, t_x, T) with the customers of each, and which of them each row has (`inverse`)."""
        from predclv.kernels.collapse import collapse

        rows = collapse(self.frequency, self.recency, self.T, self.weight)
        inverse = None if rows.inverse is None else locked(rows.inverse)
        return type(rows)(locked(rows.x), locked(rows.t_x), locked(rows.T), locked(rows.weight), inverse)

    def __getitem__(self, rows: slice | ArrayLike | tuple[Any, Any]) -> Self:
        """Return the summary of some customers: a slice, positions, or a mask. A single position gives one row.

        Raises
        ------
        DataError
            Nobody is picked, somebody twice (a summary has one row a customer), or `rows` are no rows; a mask has
            another length.
        IndexError
            A position lies outside.
        """
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
            rows = rows[0]  # how scikit-learn indexes what is no frame
        picked = rfm_checks.check_rows(rows, len(self))
        return replace(self, **self._columns_of(picked))

    def pick(self, positions: NDArray[np.int64]) -> Self:
        """Return the summary of customers at distinct positions, as indexing does, without checking them again.

        What is picked from a summary that was checked needs no check, which for one customer costs most of the time.
        """
        some = object.__new__(type(self))
        some.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("collapsed", *OWN_COLUMNS)})
        some.__dict__.update(self._columns_of(positions))
        some._lock()
        return some

    def _columns_of(self, picked: slice | NDArray[Any]) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in OWN_COLUMNS}
        columns = {name: None if column is None else column[picked] for name, column in own.items()}
        return {**columns, "carried": {name: column[picked] for name, column in self.carried.items()}}

    def to_pandas(self) -> pd.DataFrame:
        """Return customer_id, frequency, recency, T, the carried columns and, where there are such, the others.

        They are monetary_value, first_purchase, log_itt and weight.
        """
        columns: dict[str, NDArray[Any]] = {
            "customer_id": self.customer_id,
            "frequency": self.frequency,
            "recency": self.recency,
            "T": self.T,
        }
        if self.monetary_value is not None:
            columns["monetary_value"] = self.monetary_value
        if self.first_purchase is not None:
            columns["first_purchase"] = self.first_purchase
        if self.log_itt is not None:
            columns["log_itt"] = self.log_itt
        if self.weight is not None:
            columns["weight"] = self.weight
        return pd.DataFrame(columns | {name: nullable(column) for name, column in self.carried.items()})

    def to_native(self, frame: pd.DataFrame | None = None) -> Any:
        """Give a pandas result, by default `to_pandas()`, in the library that this summary came from.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            A DuckDB relation gives a pyarrow Table, which any connection can query.
        """
        return self.backend.from_pandas(self.to_pandas() if frame is None else frame)

    def expand(self) -> Self:
        """Return the summary with one row a customer; itself, where there are no weights.

        A row of weight 3 becomes three, whose ids are its own as text with "#1", "#2" and "#3" behind; a row of weight
        1 gets "#1". Everything else is repeated as it is.

        Raises
        ------
        DataError
            Two ids print alike, such as 1 and '1'.
        """
        if self.weight is None:
            return self
        rows = np.repeat(np.arange(len(self)), self.weight)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(self.weight) - self.weight, self.weight) + 1
        ids = [f"{customer}#{number}" for customer, number in zip(self.customer_id[rows], copy, strict=True)]
        repeated: dict[str, Any] = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in ("frequency", "recency", "T", "monetary_value", "first_purchase", "log_itt")
        }
        carried = {name: column[rows] for name, column in self.carried.items()}
        return replace(self, customer_id=np.array(ids, dtype=object), **repeated, weight=None, carried=carried)
