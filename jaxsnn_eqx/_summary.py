"""A table of what each layer does on a batch, and what is wrong."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from ._advice import advise, percent
from ._decode import AbstractDecoder
from ._encoder.direct import DirectEncoder
from ._layer import AbstractLayer, time_steps
from ._network import Network
from ._neuron.base import refractory_steps
from ._neuron.synapse import Synapse
from ._over_time import OverTime
from ._types import AnyInput, checked
from ._walk import (
    as_samples,
    encoder_and_input,
    encodes,
    fires,
    folded,
    layers_of,
    membrane,
    place,
    run_on,
)

_IN_MILLISECONDS = ("tau_mem", "tau_syn", "tau_adapt", "tau", "period", "refractory", "t_late")
_PLAIN = ("v_th", "threshold", "factor", "max_rate", "beta", "scale", "offset", "gain")


@dataclass(frozen=True)
class LayerSummary:
    """What one layer did on the batch; `None` where a figure does not apply.

    ```python
    >>> import jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> encoder = snn.LatencyEncoder(10, t_late=9e-3)
    >>> [layer] = snn.summary(encoder, jnp.linspace(0.0, 1.0, 8)[:, None]).layers
    >>> layer.name, layer.silent, round(layer.rate)
    ('LatencyEncoder', 0.0, 87)

    ```

    - `name`: its place in the network, and its class.
    - `shape`: of its output at one step.
    - `parameters`: how many numbers are trained.
    - `constants`: its constants and the spread of its weights, in words.
    - `rate`: spikes per second and neuron.
    - `silent`: share of neurons that never fire.
    - `saturated`: share of neurons that fire at 9 of 10 of the steps at which they could.
    - `outside`: share of the inputs outside the range that the encoder tells apart.
    - `idle`: share of the steps after which the output no longer changes.
    - `empty`: share of the samples for which no neuron fires.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    constants: str
    rate: float | None = None
    silent: float | None = None
    saturated: float | None = None
    outside: float | None = None
    idle: float | None = None
    empty: float | None = None


@dataclass(frozen=True, repr=False)
class Summary:
    """The table of `summary`: `layers`, and `advice`, a line for each thing that is wrong.

    ```python
    >>> import jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> encoder = snn.LatencyEncoder(10, t_late=9e-3)
    >>> print(snn.summary(encoder, 2 * jnp.linspace(0.0, 1.0, 8)[:, None]).advice[0])
    LatencyEncoder: 50 % of the inputs are clipped to [0, 1]; they go from 0 to 2: `calibrate`,
    or scale them.

    ```
    """

    layers: tuple[LayerSummary, ...]
    advice: tuple[str, ...]

    def __repr__(self) -> str:
        rows = [_HEADER, *(_cells(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        left = (0, 1, len(_HEADER) - 1)

        def line(row: tuple[str, ...]) -> str:
            cells = enumerate(zip(row, widths, strict=True))
            padded = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in cells)
            return "  ".join(padded).rstrip()

        total = sum(layer.parameters for layer in self.layers)
        lines = [line(rows[0]), "-" * (sum(widths) + 2 * len(widths) - 2), *map(line, rows[1:])]
        lines.append(f"{total:,} parameters")
        lines += [f"! {advice}" for advice in self.advice] or ["Nothing is wrong."]
        return "\n".join(lines)


_HEADER = (
    "layer",
    "output",
    "parameters",
    "spikes/s",
    "silent",
    "saturated",
    "outside",
    "idle",
    "constants",
)


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    def share(x: float | None) -> str:
        return "" if x is None else percent(x)

    return (
        layer.name,
        "×".join(map(str, layer.shape)) or "scalar",
        f"{layer.parameters:,}" if layer.parameters else "",
        "" if layer.rate is None else f"{layer.rate:.3g}",
        *(share(x) for x in (layer.silent, layer.saturated, layer.outside, layer.idle)),
        layer.constants,
    )


@checked
def summary(
    model: AbstractLayer, batch: AnyInput, *, key: PRNGKeyArray | None = None
) -> Summary:
    """Runs a model on a batch, and says what each layer does and what is wrong.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> k1, k2 = jax.random.split(jax.random.key(0))
    >>> linear = eqx.nn.Linear(64, 32, key=k1)
    >>> model = snn.Network([snn.LatencyEncoder(40, 3e-2), snn.OverTime(linear), snn.LIF()])
    >>> images = jax.random.uniform(k2, (20, 64))
    >>> snn.summary(model, images).advice
    ('[2] LIF: for 100 % of the samples nothing fires: `calibrate`.',)
    >>> model = snn.calibrate(model, images, rate=[None, 20.0])
    >>> snn.summary(model, images).advice
    ()

    ```

    Printed, it is a table with a line for each layer: the output's shape at one step, the
    number of parameters, the spikes per second and neuron, the share of silent neurons (which
    never fire), of saturated ones (which fire at 9 of 10 of the steps at which they could), of
    inputs outside the range that the encoder tells apart, and of steps after which the output
    no longer changes; and the constants. Below it is a line for each thing that is wrong, with
    what to do.

    **Arguments:**

    - `model`: a `Network`, or any layer.
    - `batch`: values of shape `"samples *shape"`, or signals of shape `"samples time *shape"`.
    - `key`: for layers that draw random numbers. (Keyword only.)

    **Returns:**

    A `Summary`: `layers`, with the figures above for each layer, and `advice`, the lines.
    `plotting.activity` draws it.

    **Raises:** `ValueError` inside `jax.jit`, `jax.vmap` or a gradient: it works on numbers.
    """
    xs = as_samples("batch", model, batch)
    leaves = (xs, *jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        raise ValueError(
            "`summary` works on numbers, so it must be called outside of `jax.jit`, `jax.vmap` "
            "and gradients."
        )
    keys = None if key is None else jax.random.split(key, len(xs))
    layers = layers_of(model) if isinstance(model, Network) else [((), model)]
    steps = set(time_steps(model).values())
    dt = next(iter(steps), 1e-3)
    found, passed = [], []
    for i, (path, layer) in enumerate(layers):
        out = run_on(layer, xs, folded(keys, i))
        found.append(_measured(place(path, layer), layer, xs, out, dt))
        passed.append((layer, xs, out))
        xs = out
    return Summary(tuple(found), tuple(advise(found, passed, dt)))


def _measured(
    name: str, layer: AbstractLayer, xs: Array, out: Array, dt: float
) -> LayerSummary:
    reduces = isinstance(layer, AbstractDecoder)
    trained = jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array))
    figures: dict[str, Any] = {}
    spikes = (encodes(layer) and not isinstance(layer, DirectEncoder)) or fires(layer)
    if spikes:
        fired = np.asarray(out) != 0
        each = fired.mean((0, 1))
        most = 1 / (1 + refractory_steps(getattr(membrane(layer), "refractory", 0.0), dt))
        figures["rate"] = float(fired.mean() / dt)
        figures["silent"] = float((each == 0).mean())
        figures["saturated"] = float((each >= 0.9 * most).mean())
        figures["empty"] = float((~fired.any(tuple(range(1, fired.ndim)))).mean())
    if encodes(layer):
        figures["outside"] = _outside(layer, xs)
    if not reduces:
        figures["idle"] = _idle(np.asarray(out))
    shape = out.shape[1:] if reduces else out.shape[2:]
    return LayerSummary(
        name, shape, sum(leaf.size for leaf in trained), _constants(layer), **figures
    )


def _outside(layer: AbstractLayer, xs: Array) -> float | None:
    encoder, x = encoder_and_input(layer, xs)
    low, high = (np.asarray(end) for end in encoder.input_range)
    if np.isneginf(low).all() and np.isposinf(high).all():
        return None
    x = np.asarray(x)
    return float(((x < low) | (x > high)).mean())


def _idle(out: np.ndarray) -> float:
    changes = (out[:, 1:] != out[:, :-1]).reshape(len(out), out.shape[1] - 1, -1).any((0, 2))
    last = np.flatnonzero(changes)
    return 1 - (last[-1] + 2 if last.size else 1) / out.shape[1]


def _constants(layer: AbstractLayer) -> str:
    """The constants of a layer and of those within it, and the spread of its weights."""
    words: dict[str, str] = {}

    def visit(node: Any, synapse: bool = False) -> None:
        for name in (*_IN_MILLISECONDS, *_PLAIN):
            value = getattr(node, name, None)
            unused = name == "tau_syn" and not synapse
            unused |= name == "v_th" and not (fires(layer) or encodes(layer))
            unset = name in ("refractory", "offset") and not np.any(value)
            if value is None or unused or unset or name in words:
                continue
            factor, unit = (1e3, " ms") if name in _IN_MILLISECONDS else (1, "")
            words[name] = _number(value, factor) + (" Hz" if name == "max_rate" else unit)
        for inner in ("fn", "params", "neuron", "layer", "encoder"):
            if getattr(node, inner, None) is not None:
                visit(getattr(node, inner), synapse=isinstance(getattr(node, inner), Synapse))
        if isinstance(node, Network):
            for part in node:
                visit(part)

    visit(layer, synapse=isinstance(layer, Synapse))
    weight = getattr(layer.layer, "weight", None) if isinstance(layer, OverTime) else None
    if isinstance(weight, jax.Array):
        words["weights"] = f"± {float(jnp.std(weight)):.3g}"
    return ", ".join(f"{name} {value}" for name, value in words.items())


def _number(value: Any, factor: float) -> str:
    numbers = factor * np.asarray(value, float)
    low, high = numbers.min(), numbers.max()
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
