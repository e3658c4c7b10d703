"""Numbers of CSV files."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["to_numbers"]

_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def to_numbers(table: pa.Table, names: Collection[str], flags: Collection[str] = ()) -> pa.Table:
    """Turn columns of text into floats; what is no number becomes null, for the row to be split off.

    In `flags` true and false, in whatever case, are 1 and 0.
    """
    for name in names:
        column = pc.utf8_trim_whitespace(table[name])
        if name in flags:
            lower = pc.utf8_lower(column)
            column = pc.case_when(pc.make_struct(pc.equal(lower, "true"), pc.equal(lower, "false")), "1", "0", column)
        numbers = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, None)
        # A leading plus is no part of a number to pyarrow.
        values = pc.utf8_ltrim(numbers, "+").cast(pa.float64())
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table
