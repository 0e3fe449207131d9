"""The formulas of the papers in NumPy float64, each with what float32 may round differently.

Nothing here is JAX, and nothing is shared with the package. Every formula returns its output
and where it is a *tie*: where the number that decides is nearer to its threshold than float32
can tell, by a bound on the rounding of every operation so far. Elsewhere a layer in float32
must give the same spike.
"""

import numpy as np

LARGEST = float(np.finfo(np.float32).max)
EPS = 2.0**-23  # twice the largest relative rounding error of one operation in float32


def heaviside(distance):
    """1 where the distance to a threshold is positive, else 0; NaN for NaN."""
    return np.where(np.isnan(distance), np.nan, np.asarray(distance > 0, float))


def sign_at(change, threshold):
    """1 from the threshold on, −1 from minus the threshold on, else 0; NaN for NaN."""
    signs = (change >= threshold) * 1.0 - (change <= -threshold)
    return np.where(np.isnan(change), np.nan, signs)


# -- neurons


def neurons(
    xs,
    p,
    dt=1e-3,
    *,
    fires=True,
    leaks=True,
    soft=False,
    refractory=0,
    beta=0.0,
    tau_adapt=1.0,
    tau_syn=None,
    immediate=True,
    w_in=None,
    weight=None,
    bias=0.0,
):
    """All documented neurons in one loop: `(potentials, spikes, ties, bound)`.

    `bound` is that of the potentials' rounding. `p` has `tau_mem`, `v_th`, `v_leak`, `v_reset`
    and `r`, numbers or arrays; of a `weight` the neurons' spikes come back as input.
    """
    shape = xs.shape[1:]
    v, i, a, z, v_err, i_err, a_err = (np.zeros(shape) for _ in range(7))
    left = np.zeros(shape, int)
    outs = tuple(np.zeros(xs.shape, dtype) for dtype in (float, float, bool, float))
    doubtful = False
    for t, x in enumerate(xs):
        x_err = EPS * np.abs(x)
        if weight is not None:
            x_err = x_err + EPS * len(z) * (np.abs(weight) @ np.abs(z) + np.abs(bias))
            # after a tie of one neuron, the others may get another input
            x_err = np.full(shape, np.inf) if doubtful else x_err
            x = x + weight @ z + bias
        if tau_syn is None:
            current, c_err = x, x_err
        else:
            scale = 1.0 if w_in is None else dt / tau_syn * w_in
            x, x_err = scale * x, np.abs(scale) * 3 * x_err
            decay = dt / tau_syn
            if immediate:
                current = i + x
                c_err = i_err + x_err + EPS * np.abs(current)
                c_err = np.where(np.abs(current) > LARGEST, np.inf, c_err)
                i = current - decay * current
                i_err = c_err + 2 * EPS * np.abs(current)
            else:
                current, c_err = i, i_err
                i = i - decay * i + x
                i_err = i_err + x_err + 2 * EPS * (np.abs(current) + np.abs(i))
                i_err = np.where(np.abs(i) > LARGEST, np.inf, i_err)
        rate = dt / p["tau_mem"] if leaks else 1.0
        pull = (p["v_leak"] - v if leaks else 0.0) + p.get("r", 1.0) * current
        waits = left > 0
        moved = np.where(waits, v, v + rate * pull)
        size = np.abs(v) + np.abs(p["v_leak"]) * leaks + np.abs(p.get("r", 1.0) * current)
        error = v_err * (1 - rate * leaks) + rate * (np.abs(p.get("r", 1.0)) * c_err)
        error = error + EPS * (4 * rate * size + np.abs(moved))
        error = np.where(np.maximum(np.abs(current), np.abs(moved)) > LARGEST, np.inf, error)
        v, v_err = moved, np.where(waits, v_err, error)
        threshold = p["v_th"] + beta * a
        th_err = EPS * np.abs(threshold) + np.abs(beta) * a_err
        z = np.zeros(shape)
        if fires:
            z = np.where(waits & ~np.isnan(v), 0.0, heaviside(v - threshold))
            drop = (threshold if soft else v) - p["v_reset"]
            fired = v - z * drop
            tie = (np.abs(v - threshold) <= v_err + th_err) & ~waits
            reset_err = v_err + th_err if soft else EPS * np.abs(p["v_reset"])
            v_err = np.where(z == 1, reset_err + EPS * np.abs(fired), v_err)
            v = fired
            left = np.where(waits, left - 1, np.where(z == 1, refractory, 0))
        else:
            tie = np.zeros(shape, bool)
        a_err = a_err * (1 - dt / tau_adapt) + 3 * EPS * (np.abs(a) + 1)
        a = a - dt / tau_adapt * a + z
        doubtful |= bool(np.any(tie))
        for out, value in zip(outs, (v, z, tie, v_err), strict=True):
            out[t] = value
    return outs


def delay(xs, steps):
    out = np.zeros_like(xs)
    for place in np.ndindex(xs.shape[1:]):
        d = np.broadcast_to(steps, xs.shape[1:])[place]
        if d < len(xs):
            out[(slice(d, None), *place)] = xs[(slice(None, len(xs) - d), *place)]
    return out


# -- encoders of values


def one_spike(position, length, silent, doubt):
    """One spike at the position rounded to even; a tie where `doubt` may move or silence it."""
    step = np.clip(np.round(position), 0, length - 1)
    t = np.arange(length).reshape(-1, *(1,) * np.ndim(position))
    out = np.where(silent, 0.0, step == t)
    near = np.abs(np.abs(position - np.floor(position)) - 0.5) <= EPS * (4 * length + position)
    return np.where(np.isnan(position), np.nan, out), np.broadcast_to(near | doubt, out.shape)


def spatio_temporal(x, length, t_late, t_early=0.0, dt=1e-3):
    x = np.clip(x, 0, 1)
    return one_spike((t_early + x * (t_late - t_early)) / dt, length, False, False)


def latency(x, length, t_late, tau=None, threshold=0.0, dt=1e-3):
    x = np.clip(x, 0, 1)
    doubt = np.abs(x - threshold) <= EPS * threshold
    if tau is None:
        return one_spike(t_late * (1 - x) / dt, length, x <= threshold, doubt)
    position = tau / dt * np.log(x / np.where(x > threshold, x - threshold, np.nan))
    # what rounding of the threshold does near to it
    doubt = doubt | (np.abs(position - t_late / dt) <= 4 * length * EPS)
    position = np.where((x <= threshold) & ~np.isnan(x), 0, position)
    distance = np.where(x > threshold, x - threshold, 1)
    near = np.abs(np.abs(position - np.floor(position)) - 0.5) <= EPS * tau / dt * 8 / distance
    silent = (x <= threshold) | (position > t_late / dt)
    return one_spike(position, length, silent, doubt | near)


def first_spike(x, length, tau, dt=1e-3):
    x = np.clip(x, 0, 1)
    position = tau / dt * -np.log(np.where(x == 0, 1, x))
    late = length - 0.5
    doubt = np.abs(position - late) <= 4 * EPS * length
    return one_spike(position, length, (x == 0) | (position >= late), doubt)


def lif_latency(x, length, p, dt=1e-3):
    _, spikes, ties, _ = neurons(np.broadcast_to(x, (length, *np.shape(x))), p, dt)
    waiting, out = np.ones(np.shape(x)), []
    for z in spikes:
        out.append(waiting * z)
        waiting = waiting * (1 - z)
    return np.stack(out), ties


def rank_order(x, length):
    flat = np.ravel(x)
    order = np.lexsort((np.arange(flat.size), -flat))  # of equal values the first comes first
    rank = np.empty(flat.size, int)
    rank[order] = np.arange(flat.size)
    out = (rank == np.arange(length)[:, None]).reshape(length, *np.shape(x)) * 1.0
    return np.where(np.isnan(x), np.nan, out), np.zeros(out.shape, bool)


def regular_rate(x, length, max_rate, dt=1e-3):
    p = np.clip(x, 0, 1) * (max_rate * dt)
    t = np.arange(length + 1.0).reshape(-1, *(1,) * np.ndim(x))
    count = t * p
    # a count of 2^-14 below a whole number is taken for that number, and p has 32 digits
    near = np.abs(count - np.round(count)) <= 2.0**-13 + t * 2.0**-32
    return np.diff(np.floor(count), axis=0), near[1:] | near[:-1]


def phase(x, length, bits):
    digits = np.floor(np.clip(x, 0, 1 - 2.0**-bits) * 2.0**bits)
    k = bits - 1 - np.arange(length).reshape(-1, *(1,) * np.ndim(x)) % bits
    return np.floor(digits / 2.0**k) % 2, np.zeros((length, *np.shape(x)), bool)


def burst(x, length, n_max=5, t_min=2e-3, t_max=1.5e-2, dt=1e-3):
    x = np.clip(x, 0, 1)
    longest, shortest = round(t_max / dt), round(t_min / dt)
    count, interval = n_max * x, longest - (longest - shortest) * x
    # values such as 7/13 are rounded: their products are whole up to this
    near = np.abs(count - np.round(count)) <= n_max * 2.0**-21
    near |= np.abs(interval - np.round(interval)) <= longest * 2.0**-21
    t = np.arange(length).reshape(-1, *(1,) * np.ndim(x))
    step = np.ceil(interval)
    out = (t % step == 0) & (t // step < np.ceil(count))
    return np.where(np.isnan(x), np.nan, out), np.broadcast_to(near, out.shape)


def receptive_fields(x, centres, widths):
    return np.exp(-((x[..., None] - centres) ** 2) / (2 * widths**2))


# -- encoders of signals


def _reference(xs):
    return 8 * EPS * np.abs(xs)


def delta(xs, threshold, signed=True):
    before = np.concatenate([xs[:1], xs[:-1]])
    z = sign_at(xs - before, threshold)
    tie = np.abs(np.abs(xs - before) - threshold) <= _reference(xs) + _reference(before)
    return (z if signed else np.where(z < 0, 0, z)), tie


def step_forward(xs, threshold):
    base = xs[0] if len(xs) else None
    error, out, ties = 0.0, [], []
    for x in xs:
        z = sign_at(x - base, threshold)
        bound = error + _reference(x) + _reference(base) + EPS * threshold
        ties.append(np.abs(np.abs(x - base) - threshold) <= bound)
        base = base + threshold * z
        error = error + 2 * EPS * (np.abs(base) + threshold) * (z != 0)
        out.append(z)
    return _stacked(out, xs), _stacked(ties, xs)


def moving_window(xs, threshold, window):
    out, ties = [], []
    for t, x in enumerate(xs):
        recent = xs[max(0, t - window) : t] if t else xs[:1]
        mean = recent.mean(axis=0)
        bound = _reference(x) + window * _reference(np.abs(recent).max(axis=0))
        out.append(sign_at(x - mean, threshold))
        ties.append(np.abs(np.abs(x - mean) - threshold) <= bound)
    return _stacked(out, xs), _stacked(ties, xs)


def sigma_delta(xs, threshold, graded=True):
    s, error = np.zeros(xs.shape[1:]), np.zeros(xs.shape[1:])
    out, ties = [], []
    for x in xs:
        rest = x - s
        z = np.trunc(rest / threshold) if graded else sign_at(rest, threshold)
        bound = error + _reference(x) + _reference(s) + 4 * EPS * np.abs(rest)
        whole = np.maximum(np.round(np.abs(rest) / threshold), 1) if graded else 1.0
        ties.append(np.abs(np.abs(rest) - whole * threshold) <= bound)
        s = s + threshold * z
        error = error + 2 * EPS * (np.abs(s) + np.abs(threshold * z)) * (z != 0)
        out.append(z)
    return _stacked(out, xs), _stacked(ties, xs)


def pulse_width(xs, steps, low=0.0, high=1.0):
    passed, out, ties = np.zeros(xs.shape[1:]), [], []
    for t, x in enumerate(xs):
        carrier = low + (high - low) * (t % steps) / (steps - 1)
        passed = np.zeros(xs.shape[1:]) if t % steps == 0 else passed
        reached = np.where(np.isnan(x), np.nan, carrier >= x)
        z = reached * (1 - passed)
        passed = passed + z
        out.append(z)
        ties.append(np.abs(carrier - x) <= 2 * EPS * max(abs(low), abs(high)))
    return _stacked(out, xs), _stacked(ties, xs)


def level_crossing(xs, levels):
    x, levels = xs[..., None], np.asarray(levels)
    above = np.where(np.isnan(x), np.nan, x >= levels)
    before = np.concatenate([above[:1], above[:-1]])
    tie = np.abs(x - levels) <= EPS * np.abs(levels)
    tie = tie | np.concatenate([tie[:1], tie[:-1]])
    out = np.concatenate([above * (1 - before), (1 - above) * before], axis=-1)
    return out, np.concatenate([tie, tie], axis=-1)


def bens_spiker(xs, filter, threshold):
    """Schrauwen & Van Campenhout's spikes, at the later steps at which they are known."""
    taps, rest, error = np.asarray(filter), np.array(xs), EPS * np.abs(xs)
    out, ties = np.zeros(xs.shape), np.zeros(xs.shape, bool)
    column = taps.reshape(-1, *(1,) * (xs.ndim - 1))
    for u in range(len(xs) - len(taps) + 1):
        window = rest[u : u + len(taps)]
        error1, error2 = np.abs(window - column).sum(axis=0), np.abs(window).sum(axis=0)
        distance = error2 - threshold - error1
        z = np.where(np.isnan(distance), np.nan, distance >= 0)
        # met by what is lower by a few units in the last place
        bound = 2 * error[u : u + len(taps)].sum(axis=0)
        bound = bound + 8 * len(taps) * EPS * (error1 + error2 + threshold)
        out[u + len(taps) - 1], ties[u + len(taps) - 1] = z, np.abs(distance) <= bound
        rest[u : u + len(taps)] = window - z * column
        error[u : u + len(taps)] += EPS * (np.abs(window) + column) * (z != 0)
    return out, ties


def _stacked(rows, xs):
    return np.stack(rows) if rows else np.zeros(xs.shape)


# -- decoders


def first_spike_time(zs, dt=1e-3):
    some = (zs != 0).any(axis=0)
    return dt * np.where(some, (zs != 0).argmax(axis=0), len(zs))
