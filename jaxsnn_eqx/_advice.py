"""What is wrong with a model on a batch, in words: the rules of `summary`."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Array

from ._calibrate_encoder import clips
from ._decode import MaxOverTime
from ._layer import AbstractEncoder, AbstractLayer
from ._walk import encoder_and_input, has_fixed_count, membrane

_Passed = list[tuple[AbstractLayer, Array, Array]]  # each layer, its input and its output


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f} %"


def advise(found: list[Any], passed: _Passed, dt: float) -> Iterator[str]:
    """A line for each thing that is wrong, first to last layer."""
    first = passed[0][0]
    if first.seq_length is None:
        yield from _of_time_base(passed, dt)
    for layer, (module, xs, out) in zip(found, passed, strict=True):
        if not np.isfinite(np.asarray(out)).all():
            yield f"{layer.name}: its output is not finite: look at its input and weights."
        if layer.outside is not None:
            yield from _of_range(layer, module, xs)
        yield from _of_spikes(layer, module)
        if isinstance(module, MaxOverTime):
            yield from _of_maximum(layer, xs)
    yield from _of_idle_steps(found, passed)


def _of_range(layer: Any, module: AbstractLayer, xs: Array) -> Iterator[str]:
    encoder, values = encoder_and_input(module, xs)
    x = np.asarray(values)
    low, high = encoder.input_range
    if not clips(encoder) and np.all(np.isposinf(high)):
        yield from _of_currents(layer, encoder, x)
        return
    share = layer.outside
    if share <= 0.01:
        return
    ends = f"[{float(np.min(low)):.3g}, {float(np.max(high)):.3g}]"
    what = f"clipped to {ends}" if clips(encoder) else f"outside of its range {ends}"
    yield (
        f"{layer.name}: {percent(share)} of the inputs are {what}; they go from "
        f"{x.min():.3g} to {x.max():.3g}: `calibrate`, or scale them."
    )


def _of_currents(layer: Any, encoder: AbstractEncoder, x: np.ndarray) -> Iterator[str]:
    least = np.broadcast_to(np.asarray(encoder.input_range[0]), x.shape)
    there = x != 0
    below = float((x[there] <= least[there]).mean()) if there.any() else 1.0
    if below <= 0.5:
        return
    low = np.quantile(np.abs(x[there]), 0.25) if there.any() else 0
    threshold = float(np.median(least))
    scale = f", or scale the inputs by {threshold / low:.2g}" if low > 0 else ""
    yield (
        f"{layer.name}: {percent(below)} of the inputs that are not 0 are at most "
        f"{threshold:.3g}, where nothing can fire: `calibrate`{scale}."
    )


def _of_spikes(layer: Any, module: AbstractLayer) -> Iterator[str]:
    empty, saturated = layer.empty, layer.saturated
    if empty is not None and empty > 0.1:
        yield f"{layer.name}: for {percent(empty)} of the samples nothing fires: `calibrate`."
    if saturated is not None and saturated > 0.5 and not has_fixed_count(module):
        yield (
            f"{layer.name}: {percent(saturated)} of the neurons fire at nearly every step, "
            "whatever their input: `calibrate`, or scale it down."
        )


def _of_maximum(layer: Any, xs: Array) -> Iterator[str]:
    potentials = np.asarray(xs)  # samples, time, classes
    below = (potentials.max(axis=1) <= 0).mean(axis=0)
    stuck = np.flatnonzero(np.ravel(below) > 0.9)
    if stuck.size:
        classes = ", ".join(map(str, stuck[:5])) + (", ..." if stuck.size > 5 else "")
        yield (
            f"{layer.name}: the potential of {stuck.size} of {below.size} outputs ({classes}) "
            "stays at or below 0, where it starts, for 9 of 10 samples: through a maximum they "
            "get no gradient. Use `MeanOverTime`, or no bias in front."
        )


def _of_time_base(passed: _Passed, dt: float) -> Iterator[str]:
    neurons: list[Any] = [membrane(module) for module, _, _ in passed]
    taus = [np.median(np.asarray(n.params.tau_mem)) for n in neurons if hasattr(n, "params")]
    steps = passed[0][1].shape[1]
    if not taus:
        return
    tau = float(np.median(taus))
    if steps * dt >= 5 * tau:
        return
    hold = math.ceil(12 * tau / (steps * dt))
    yield (
        f"{steps} steps of {1e3 * dt:g} ms against time constants of {1e3 * tau:.3g} ms: hold "
        f"each sample for {hold} steps, `jnp.repeat(xs, {hold}, axis=0)`."
    )


def _of_idle_steps(found: list[Any], passed: _Passed) -> Iterator[str]:
    if passed[0][0].seq_length is None:
        return
    idle = [layer.idle for layer in found if layer.idle is not None]
    steps = passed[0][0].seq_length
    last = steps - round(min(idle) * steps)
    if 1 < last < 0.5 * steps:
        yield (
            f"nothing changes after step {last} of {steps}: a `seq_length` of {last} gives the "
            "same in less time."
        )
