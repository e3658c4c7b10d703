"""Random numbers of a state that a kernel carries along: uniforms, normals and gammas, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["gamma", "uniform"]


@njit(cache=True, error_model="numpy", inline="always")
def uniform(state):  # type: ignore[no-untyped-def]
    """Uniform on (0, 1), never an end; xoshiro256++ of Blackman & Vigna (2021)."""
    total = state[0] + state[3]
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + state[0]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return (np.float64(result >> np.uint64(12)) + 0.5) * 2.0**-52


@njit(cache=True, error_model="numpy")
def _normal(state):  # type: ignore[no-untyped-def]
    """Marsaglia's polar method, one of the pair."""
    while True:
        u, v = 2.0 * uniform(state) - 1.0, 2.0 * uniform(state) - 1.0
        square = u * u + v * v
        if 0.0 < square < 1.0:
            return u * np.sqrt(-2.0 * np.log(square) / square)


@njit(cache=True, error_model="numpy")
def gamma(state, shape):  # type: ignore[no-untyped-def]
    """Gamma(shape, 1); Marsaglia & Tsang (2000), with their power of a uniform for shapes below one."""
    boost = 1.0
    if shape < 1.0:
        boost = np.exp(np.log(uniform(state)) / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        z = _normal(state)
        v = 1.0 + c * z
        if v <= 0.0:
            continue
        v = v * v * v
        u = uniform(state)
        if u < 1.0 - 0.0331 * z * z * z * z or np.log(u) < 0.5 * z * z + d * (1.0 - v + np.log(v)):
            return d * v * boost
