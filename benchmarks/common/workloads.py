"""The work: its data, and the expected output by loops in NumPy, without any framework.

Every framework draws the same data from the same seed, in its own process.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import yin_yang
from .case import (
    DECAY,
    DELTA_THRESHOLD,
    DT,
    LAYERS,
    LEAK,
    MAX_RATE,
    PHASE_BITS,
    SLOPE,
    V_TH,
    Case,
)


def data_of(case: Case) -> dict[str, Any]:
    """The arguments of the timed function."""
    if case.kind == "yin yang":
        return {"yin yang": yin_yang.data_of(case.n)}
    rng = np.random.default_rng(0)
    n, steps = case.n, case.steps

    def uniform(*shape):
        return rng.random(shape, np.float32)

    if case.kind == "README":
        return {"x": uniform(case.batch, n), "y": np.arange(case.batch) % 10}
    if case.kind == "lif":
        data = {"x": 2 * uniform(n)}
        if case.dtype == "bfloat16":  # what it can hold
            data["x"] = (data["x"].view(np.uint32) & 0xFFFF0000).view(np.float32)
        if case.mode != "forward":
            data["w"] = uniform(steps, n) - 0.5
        return data
    if case.kind in ("poisson", "latency"):
        return {"x": 0.02 + 0.96 * uniform(n)}
    if case.kind == "phase":
        return {"x": np.floor(uniform(n) * 2**PHASE_BITS) / 2**PHASE_BITS}  # no rounding
    if case.kind == "delta":
        steps_of_quarters = rng.integers(-3, 4, (steps, n)).astype(np.float32) / 4
        return {"x": np.cumsum(steps_of_quarters, axis=0)}
    if case.kind in LAYERS:
        scale = 48 if case.kind == "LIF layer" else 12
        return {
            "x": (uniform(steps, case.batch, n) < 0.05).astype(np.float32),
            "weight": (scale * (uniform(n, n) - 0.35) / np.sqrt(n)).astype(np.float32),
            "w": uniform(steps, case.batch, n) - 0.5,
        }
    raise ValueError(f"no such kind of work: {case.kind}")


@dataclass
class Expected:
    """The expected output: at least `share` of the values lie within `tolerance` of it."""

    value: np.ndarray | None
    tolerance: float = 0.0
    share: float = 1 - 1e-5


def expected_of(
    case: Case, data: dict[str, Any], slope: float = SLOPE, reset: str = "to zero"
) -> Expected:
    """The spikes of a forward row; the gradient of the others.

    `slope` of the surrogate and `reset` are those that the framework computes with.
    """
    if case.kind == "yin yang":
        return Expected(yin_yang.first_logits(data["yin yang"]), 1e-4, share=0.98)
    x, steps = data["x"], case.steps
    if case.kind == "lif":
        potentials, spikes = _membrane(np.broadcast_to(x, (steps, *x.shape)))
        if case.mode == "forward":
            return Expected(spikes)
        current_bar = _membrane_gradient(potentials, spikes, data["w"], slope)
        return _near(current_bar.sum(axis=0))
    if case.kind == "latency":
        at = np.round((1 - x) * np.float32(steps - 1)).astype(int)
        return Expected((np.arange(steps)[:, None] == at).astype(np.float32))
    if case.kind == "phase":
        whole = np.round(x * 2**PHASE_BITS).astype(int)
        bit = PHASE_BITS - 1 - np.arange(steps) % PHASE_BITS
        return Expected(((whole >> bit[:, None]) & 1).astype(np.float32), share=1.0)
    if case.kind == "delta":
        change = np.diff(x, axis=0, prepend=x[:1])
        fires = np.abs(change) >= DELTA_THRESHOLD
        return Expected((np.sign(change) * fires).astype(np.float32), share=1.0)
    if case.kind == "poisson":
        return Expected(None)
    currents = x @ data["weight"].T
    if case.kind == "LIF layer":
        spikes = _membrane(currents, reset)[1]
    else:
        spikes = _with_synapse(currents, reset)
    return Expected(spikes, share=1 - 1e-3)  # products round in different orders


def _near(value: np.ndarray) -> Expected:
    return Expected(value, tolerance=1e-4 * float(np.abs(value).max()), share=1 - 1e-3)


def _reset(v, z, reset):
    return v - z * (v if reset == "to zero" else np.float32(V_TH))


def _membrane(currents, reset="to zero"):
    """Integrate, fire, reset: potentials before the reset, and spikes."""
    v = np.zeros(currents.shape[1:], np.float32)
    potentials, spikes = np.empty_like(currents), np.empty_like(currents)
    for t, current in enumerate(currents):
        v = v + np.float32(LEAK) * ((np.float32(0) - v) + current)
        potentials[t], spikes[t] = v, v > np.float32(V_TH)
        v = _reset(v, spikes[t], reset)
        if reset == "subtracted after the leak":
            v = v - spikes[t] * np.float32(V_TH * LEAK / (1 - LEAK))
    return potentials, spikes


def _membrane_gradient(potentials, spikes, w, slope):
    """Of <w, spikes> for the currents: backpropagation through time, by hand."""
    v_bar = np.zeros(w.shape[1:], np.float32)
    out = np.empty_like(w)
    for t in reversed(range(len(w))):
        v, z = potentials[t], spikes[t]
        z_bar = w[t] - v_bar * v
        v_bar = v_bar * (1 - z) + z_bar / (slope * np.abs(v - np.float32(V_TH)) + 1) ** 2
        out[t] = np.float32(LEAK) * v_bar
        v_bar = v_bar * np.float32(1 - LEAK)
    return out


def _with_synapse(currents, reset):
    """The same membrane behind an exponential synapse, which delays its input by a step."""
    v = np.zeros(currents.shape[1:], np.float32)
    i = np.zeros_like(v)
    spikes = np.empty_like(currents)
    for t, current in enumerate(currents):
        v = v + np.float32(LEAK) * ((np.float32(0) - v) + i)
        spikes[t] = v > np.float32(V_TH)
        v = _reset(v, spikes[t], reset)
        i = i - np.float32(DECAY) * i + current
    return spikes


def disagreement(case: Case, data, expected: Expected, result: np.ndarray) -> str | None:
    """How `result` differs from what is expected; `None` where it does not."""
    if case.kind == "poisson":
        return _rates_disagree(data["x"], result)
    value = expected.value
    assert value is not None
    if result.shape != value.shape:
        return f"the shape is {result.shape} instead of {value.shape}"
    right = np.abs(result.astype(np.float32) - value) <= expected.tolerance
    if right.mean() < expected.share:
        return f"{1 - right.mean():.2%} of {right.size} values are wrong"
    return None


def _rates_disagree(x, result):
    if result.shape[1:] != x.shape or not np.isin(result[:2], [0, 1]).all():
        return f"the shape is {result.shape}, or there are values other than 0 and 1"
    steps = len(result)
    p = x.astype(np.float64) * MAX_RATE * DT
    counts = result.sum(axis=0, dtype=np.float64)
    for group in np.array_split(np.argsort(x), 10):
        error = (counts[group] - steps * p[group]).sum()
        deviation = np.sqrt((steps * p[group] * (1 - p[group])).sum())
        # half precision rounds a rate by up to 2^-11 of it
        if abs(error) > 5 * deviation + 2.0**-11 * steps * p[group].sum():
            return f"rates are {error / (steps * p[group].sum()):+.2%} off"
    return None
