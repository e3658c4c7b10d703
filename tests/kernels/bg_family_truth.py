"""The BG family by mpmath at 40 digits, from the densities and by plain sums: slow, and unlike the kernels' forms."""

from __future__ import annotations

import mpmath as mp

from kernels.differences import gradient_and_hessian

mp.mp.dps = 40


def log_likelihood(x, t_x, T, r, alpha, a, b, k=1, first=False):
    """Without the constants of k > 1."""
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    alive, left = _alive_and_left(x, t_x, T, r, alpha, a, b, k, first)
    return mp.log(alive + left) + r * mp.log(alpha) - mp.loggamma(r)


def derivatives(x, t_x, T, theta, k=1, first=False):
    """Gradient and Hessian, at 100 digits."""
    return gradient_and_hessian(lambda *at: log_likelihood(x, t_x, T, *at, k, first), theta, 100)


def p_alive(x, t_x, T, r, alpha, a, b, k=1, first=False):
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    alive, left = _alive_and_left(x, t_x, T, r, alpha, a, b, k, first)
    return alive / (alive + left)


def expected_purchases(x, t_x, T, horizon, r, alpha, a, b, k=1, first=False):
    """P(alive) times the mean over stages of `expected_if_alive`."""
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    tau = mp.mpf(horizon) / (alpha + T)
    means = (expected_if_alive(tau, r + k * x + j, a, b + x + first, k, j) for j in range(k))
    weights = stage_weights(x, t_x, T, r, alpha, k)
    mean = mp.fsum(weight * mean for weight, mean in zip(weights, means, strict=True))
    return mean * p_alive(x, t_x, T, r, alpha, a, b, k, first)


def p_alive_ahead(x, t_x, T, ahead, r, alpha, a, b, k=1, first=False):
    """P(alive) times the mean over stages of `staying_if_alive`."""
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    tau = mp.mpf(ahead) / (alpha + T)
    stays = (staying_if_alive(tau, r + k * x + j, a, b + x + first, k, j) for j in range(k))
    weights = stage_weights(x, t_x, T, r, alpha, k)
    mean = mp.fsum(weight * stay for weight, stay in zip(weights, stays, strict=True))
    return mean * p_alive(x, t_x, T, r, alpha, a, b, k, first)


def purchase_pmf(x, t_x, T, horizon, n_max, r, alpha, a, b, k=1, first=False):
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    alive, tau = p_alive(x, t_x, T, r, alpha, a, b, k, first), mp.mpf(horizon) / (alpha + T)
    pmf = [mp.mpf(0)] * (n_max + 1)
    for j, weight in enumerate(stage_weights(x, t_x, T, r, alpha, k)):
        for n, probability in enumerate(pmf_if_alive(tau, r + k * x + j, a, b + x + first, n_max, k, j)):
            pmf[n] += alive * weight * probability
    pmf[0] += 1 - alive
    return pmf


def discounted_if_alive(tau, discount, m, a, B):
    """For k = 1: the integral over time of exp(-delta s) times the rate, in which p is integrated out by 2F1."""
    tau, discount, m, a, B = map(mp.mpf, (tau, discount, m, a, B))

    def integrand(v):
        u = mp.expm1(v)
        return mp.exp(-discount * u) * m * mp.hyp2f1(m + 1, a, a + B, -u) * (1 + u)

    with mp.workdps(20):
        last = mp.log1p(min(tau, 50 / discount))
        cuts = {last * i / 12 for i in range(13)} | {mp.log1p(mp.expm1(last) * s) for s in (1e-3, 1e-2, 0.1)}
        return mp.quad(integrand, sorted(cuts | {mp.log1p(i / m) for i in (1, 5) if mp.log1p(i / m) < last}))


def stage_weights(x, t_x, T, r, alpha, k):
    m, u = r + k * x, (T - t_x) / (alpha + T)
    weights = [mp.rf(m, j) / mp.factorial(j) * u**j for j in range(k)]
    return [weight / mp.fsum(weights) for weight in weights]


def expected_if_alive(tau, m, a, B, k=1, j=0):
    """The integral over p as a hypergeometric function (k = 1), or the sum over the number of events."""
    tau, m, a, B = map(mp.mpf, (tau, m, a, B))
    if k == 1:
        # E[(1 - (1 + p tau)^-m) / p]; a = 1 is the limit of its neighbours.
        with mp.workdps(80):
            a += mp.mpf(10) ** -25 * (a == 1)
            return (1 - mp.hyp2f1(m, a - 1, a + B - 1, -tau)) * (a + B - 1) / (a - 1)
    total, stays, stay, purchases, M = mp.mpf(0), mp.mpf(0), mp.mpf(1), 0, 0
    z, probability = tau / (1 + tau), (1 + tau) ** -m
    while tau:
        M += 1
        probability *= (m + M - 1) / M * z
        if (j + M) % k == 0:
            stays += stay
            stay *= (B + purchases) / (a + B + purchases)
            purchases += 1
        total += probability * stays
        if m * tau + 50 < M and probability * stays * (1 + tau) < total * mp.mpf(10) ** -25:
            break
    return total


def staying_if_alive(tau, m, a, B, k=1, j=0):
    """E[(1-p)^N]: the integral over p as a hypergeometric function (k = 1), or the sum over the number of events."""
    tau, m, a, B = map(mp.mpf, (tau, m, a, B))
    if k == 1:
        return mp.hyp2f1(m, a, a + B, -tau)
    total, stay, purchases, M = mp.mpf(0), mp.mpf(1), 0, 0
    z, probability = tau / (1 + tau), (1 + tau) ** -m
    while not (m * tau + 50 < M and probability * stay * (1 + tau) < total * mp.mpf(10) ** -25):
        total += probability * stay
        M += 1
        probability *= (m + M - 1) / M * z
        if (j + M) % k == 0:
            stay *= (B + purchases) / (a + B + purchases)
            purchases += 1
    return total


def pmf_if_alive(tau, m, a, B, n_max, k=1, j=0):
    """Staying through exactly i purchases, or leaving at the i-th; the tail as one minus the sum, at 400 digits."""
    with mp.workdps(400):
        z = tau / (1 + tau)
        events = [mp.rf(m, M) / mp.factorial(M) * z**M * (1 - z) ** m for M in range(k * (n_max + 1) - j)]
        pmf, stayed, below = [], mp.mpf(1), mp.mpf(0)
        for i in range(n_max + 1):
            exactly = mp.fsum(events[max(k * i - j, 0) : k * (i + 1) - j])
            leaving = mp.mpf(0)
            if i > 0:
                leaving = stayed * a / (a + B + i - 1) * (1 - below)
                stayed *= (B + i - 1) / (a + B + i - 1)
            pmf.append(stayed * exactly + leaving)
            below += exactly
        return pmf


def _alive_and_left(x, t_x, T, r, alpha, a, b, k, first):
    """The likelihood's two terms, without alpha^r / Gamma(r)."""
    n, m = x + first, r + k * x
    stages = mp.fsum((T - t_x) ** j / mp.factorial(j) * mp.gamma(m + j) / (alpha + T) ** (m + j) for j in range(k))
    alive = mp.beta(a, b + n) / mp.beta(a, b) * stages
    left = mp.beta(a + 1, b + n - 1) / mp.beta(a, b) * mp.gamma(m) / (alpha + t_x) ** m if n > 0 else mp.mpf(0)
    return alive, left
