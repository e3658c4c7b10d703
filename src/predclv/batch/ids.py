"""Which ids come more than once in a table of any size, exactly and in bounded memory.

Ids are hashed to 64 bits, a share of the hashes at a time; ids whose hash comes twice are then counted themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from predclv.errors import DataError
from predclv.kernels.id_hashes import hash_bytes, mix

__all__ = ["MOST_REPEATED", "confirm_repeated", "hash_ids", "repeated_ids"]

Hashes = npt.NDArray[np.uint64]

#: Hashes held at a time, and different ids that may come more than once.
MOST_HASHES = 8 << 20
MOST_REPEATED = 1_000_000


def repeated_ids(read: Callable[[], Iterable[pa.Array]], n_rows: int) -> pa.Array | None:
    """Ids that come more than once; None where there are none. Nulls are no ids.

    Parameters
    ----------
    read : callable
        Gives the ids from the first on, batch by batch, each time it is called.
    n_rows : int
        How many there are, about.

    Raises
    ------
    DataError
        More than a million ids come more than once.
    """
    n_shares = max(-(-n_rows // MOST_HASHES), 1)
    suspects = []
    for share in range(n_shares):
        kept = [_share(hash_ids(ids), share, n_shares) for ids in read()]
        hashes = np.concatenate(kept) if kept else np.empty(0, np.uint64)
        del kept
        hashes.sort()
        suspects.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    return confirm_repeated(read, np.concatenate(suspects))


def confirm_repeated(read: Callable[[], Iterable[pa.Array]], twice: Hashes) -> pa.Array | None:
    """Ids that come more than once, of those whose hash does: two ids may share one.

    Parameters
    ----------
    read : callable
        As in `repeated_ids`.
    twice : array of uint64
        Hashes that come more than once, each once.

    Raises
    ------
    DataError
        There are more than a million of them.
    """
    if twice.size > MOST_REPEATED:
        raise DataError(
            f"More than {MOST_REPEATED:,} values of 'customer_id' come more than once. A table to score has one row a "
            "customer; summarise a log of purchases first."
        )
    if twice.size == 0:
        return None
    twice = np.sort(twice)
    seen: Counter[object] = Counter()
    kind = None
    for ids in read():
        known = ids.drop_null()
        kind = known.type
        hashes = hash_ids(known)
        place = np.minimum(np.searchsorted(twice, hashes), twice.size - 1)
        seen.update(pc.filter(known, pa.array(twice[place] == hashes)).to_pylist())
    repeated = [value for value, count in seen.items() if count > 1]
    return pa.array(repeated, type=kind) if repeated else None


def hash_ids(ids: pa.Array) -> Hashes:
    """64 bits of each id that is not null; equal ids of one type have equal ones."""
    ids = ids.drop_null()
    if pa.types.is_integer(ids.type):
        whole: Hashes = mix(ids.cast(pa.int64(), safe=False).to_numpy(zero_copy_only=False).view(np.uint64))
        return whole
    text = ids.cast(pa.large_string() if not pa.types.is_binary(ids.type) else pa.large_binary())
    if len(text) == 0:
        return np.empty(0, np.uint64)
    _, offsets, content = text.buffers()
    ends = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(content, np.uint8) if content is not None and content.size else np.zeros(1, np.uint8)
    hashes: Hashes = mix(hash_bytes(data, ends))
    return hashes


def _share(hashes: Hashes, share: int, n_shares: int) -> Hashes:
    if n_shares > 1:
        hashes = hashes[hashes % np.uint64(n_shares) == share]
    return hashes
