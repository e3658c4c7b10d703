"""64-bit hashes of ids, to find those that come more than once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["hash_bytes", "mix"]

Hashes = npt.NDArray[np.uint64]


@njit(cache=True, error_model="numpy")
def hash_bytes(data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> Hashes:
    """FNV-1a of each run of bytes."""
    out = np.empty(len(ends) - 1, np.uint64)
    for i in range(len(out)):
        value = np.uint64(14695981039346656037)
        for j in range(ends[i], ends[i + 1]):
            value = (value ^ np.uint64(data[j])) * np.uint64(1099511628211)
        out[i] = value
    return out


@njit(cache=True, error_model="numpy")
def mix(values: Hashes) -> Hashes:
    """Spread the bits: the finaliser of SplitMix64 (Steele, Lea & Flood 2014), one to one."""
    out = np.empty(len(values), np.uint64)
    for i in range(len(out)):
        z = values[i] + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = z ^ (z >> np.uint64(31))
    return out
