"""Derivatives by mpmath's differences: of any function of the parameters, to twenty digits and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath as mp


def gradient_and_hessian(
    function: Callable[..., mp.mpf], theta: Sequence[float], digits: int
) -> tuple[list[float], list[list[float]]]:
    """Central differences of steps near 1e-20 of a parameter, at so many digits.

    A mixed derivative takes two places besides those of the gradient: what f(+, +) + f(-, -) has beyond the even part
    of either step alone. The error of each is of the order of the steps squared, near 1e-40.
    """
    with mp.workdps(digits):
        theta = [mp.mpf(float(value)) for value in theta]
        steps = [value * mp.mpf(10) ** -20 for value in theta]
        n = len(theta)

        def at(sign: int, *places: int) -> mp.mpf:
            return function(*(v + sign * steps[i] if i in places else v for i, v in enumerate(theta)))

        centre, up, down = at(1), [at(1, i) for i in range(n)], [at(-1, i) for i in range(n)]
        gradient = [(up[i] - down[i]) / (2 * steps[i]) for i in range(n)]
        even = [up[i] + down[i] - 2 * centre for i in range(n)]
        hessian = [[even[i] / steps[i] ** 2 for _ in range(n)] for i in range(n)]
        for i in range(n):
            for j in range(i):
                both = at(1, i, j) + at(-1, i, j) - 2 * centre
                hessian[i][j] = hessian[j][i] = (both - even[i] - even[j]) / (2 * steps[i] * steps[j])
        return [float(g) for g in gradient], [[float(h) for h in row] for row in hessian]
