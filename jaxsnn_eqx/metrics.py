"""What spikes cost, and how far apart two spike trains are."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from ._integrate import integrate as _integrate
from ._network import Network
from ._neuron.recurrent import Recurrent
from ._over_time import OverTime
from ._types import NestedNumbers as _NestedNumbers
from ._types import as_floating as _as_floating
from ._types import checked as _checked
from ._types import positive_number as _positive_number
from ._types import state_dtype as _state_dtype


@_checked
def firing_rate(
    spikes: Shaped[ArrayLike, "time *shape"] | _NestedNumbers, *, dt: float = 1e-3
) -> Float[Array, "*shape"]:
    """The mean rate of each neuron, in hertz.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import firing_rate
    >>> firing_rate(jnp.array([[1, 0], [1, 1], [0, 0], [0, 0]])).round()
    Array([500., 250.], dtype=float32)

    ```

    **Arguments:**

    - `spikes`: of shape `"time *shape"`.
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Derivative:** exact. **NaN** gives NaN.
    """
    spikes = _wide(spikes)
    duration = spikes.shape[0] * _positive_number("dt")(dt)
    return spikes.sum(axis=0) / duration


@_checked
def sparsity(spikes: Shaped[ArrayLike, "..."] | _NestedNumbers) -> Float[Array, ""]:
    """The share of steps and neurons without a spike: 1 for silence.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import sparsity
    >>> float(sparsity(jnp.array([[1, 0], [-1, 0], [0, 0], [0, 0]])))
    0.75

    ```

    **Arguments:**

    - `spikes`: of any shape; whatever is not 0 is a spike, NaN included.

    **Derivative:** zero.

    Source: activation sparsity of Yik et al., "The neurobench framework for benchmarking
    neuromorphic computing algorithms and systems", Nature Communications 16 (2025).
    """
    return jnp.mean(_as_floating(spikes) == 0, dtype=jnp.result_type(float))


class SynapticOperations(NamedTuple):
    """Operations of one inference: over all steps, all synapses."""

    accumulates: Float[Array, ""]
    """Those that a spike of −1, 0 or 1 brings: additions alone."""
    multiplies: Float[Array, ""]
    """Those that another value brings: multiplications too."""
    dense: Float[Array, ""]
    """What it would be if no input were ever 0."""


@_checked
def synaptic_operations(
    network: Network,
    x: Shaped[ArrayLike, "..."] | _NestedNumbers,
    *,
    key: PRNGKeyArray | None = None,
) -> SynapticOperations:
    """How many synapses are used in one inference: each input that is not 0, times its fan-out.

    Counts the synapses of `OverTime(Linear)`, `OverTime(Conv)` and `Recurrent`, at the borders
    of a convolution too; biases are not counted.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> linear = eqx.nn.Linear(3, 10, key=jax.random.key(0))
    >>> network = snn.Network([snn.LatencyEncoder(5, 4e-3), snn.OverTime(linear), snn.LIF()])
    >>> operations = snn.metrics.synaptic_operations(network, [0.0, 0.5, 1.0])
    >>> float(operations.accumulates), float(operations.dense)  # two spikes, ten synapses each
    (20.0, 150.0)

    ```

    **Arguments:**

    - `network`: a `Network`.
    - `x`: what it is called on.
    - `key`: for layers that draw. (Keyword only.)

    **Returns:**

    A `SynapticOperations`; `jax.vmap` it over a batch. A layer's operations accumulate if all
    its inputs are −1, 0 or 1, and multiply otherwise. Derivatives are zero.

    Source: effective and dense operations of Yik et al. (2025), as above.
    """
    return _operations(network, _as_floating(x), key)[0]


@_checked
def van_rossum_distance(
    a: Shaped[ArrayLike, "time *shape"] | _NestedNumbers,
    b: Shaped[ArrayLike, "time *shape"] | _NestedNumbers,
    *,
    tau: float,
    dt: float = 1e-3,
) -> Float[Array, "*shape"]:
    """The distance between spike trains that are filtered with an exponential.

    `D² = (1/tau) ∫ (f_a − f_b)² dt`, with `f = Σ_i exp(−(t − t_i)/tau)` from each spike on, to
    the end of time: exact, without a grid finer than the spikes'. A spike more gives `D² =
    1/2`; two spikes far apart, `D² = 1`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import van_rossum_distance
    >>> a, b = jnp.zeros((2, 100)).at[0, 0].set(1.0)
    >>> round(float(van_rossum_distance(a, b, tau=1e-2) ** 2), 6)
    0.5

    ```

    **Arguments:**

    - `a`, `b`: spike trains of one shape, `"time *shape"`; each neuron is compared with its
        own.
    - `tau`: time constant, in seconds: short, it compares single spikes, long, their number.
        Positive. (Keyword only.)
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Returns:**

    A distance for each neuron, dimensionless. **Derivative:** the formula's, with respect to
    both trains; 0 where they are equal. **NaN** gives NaN.

    Source: van Rossum, "A Novel Spike Distance", Neural Computation 13 (2001).
    """
    tau, dt = _positive_number("tau")(tau), _positive_number("dt")(dt)
    a, b = _wide(a), _wide(b)
    if a.shape != b.shape:
        raise ValueError(f"`a` and `b` must be of one shape, got {a.shape} and {b.shape}.")
    difference = a - b.astype(a.dtype)
    decay = jnp.exp(jnp.asarray(-dt / tau, a.dtype))
    start = jnp.zeros_like(difference, shape=a.shape[1:])
    _, traces = _integrate(_Trace(decay), start, difference)
    # all pairs, each twice, but for a spike and itself
    squared = jnp.sum(difference * (2 * traces - difference), axis=0) / 2
    # equal trains: rounding may leave less than 0, and a root has no derivative there
    positive = (squared > 0) | jnp.isnan(squared)
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


class _Trace(eqx.Module):
    decay: Array

    def step(self, state: Array, x: Array) -> tuple[Array, Array]:
        state = self.decay * state + x
        return state, state


@_checked
def victor_purpura_distance(
    a: Shaped[ArrayLike, " time"] | _NestedNumbers,
    b: Shaped[ArrayLike, " times"] | _NestedNumbers,
    *,
    cost: float,
    dt: float = 1e-3,
) -> Float[Array, ""]:
    """The least cost of making one spike train of another, spike by spike.

    A spike put in or taken out costs 1; one moved by t seconds costs `cost · t`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import victor_purpura_distance
    >>> a, b = jnp.zeros((2, 50)).at[0, 10].set(1.0).at[1, 15].set(1.0)
    >>> float(victor_purpura_distance(a, b, cost=100.0))  # moved by 5 ms
    0.5
    >>> float(victor_purpura_distance(a, b, cost=1000.0))  # taken out, and put in
    2.0

    ```

    **Arguments:**

    - `a`, `b`: spike trains, `"time"` each: whatever is above 0 is one spike. `jax.vmap` it
        over neurons.
    - `cost`: per second, in hertz: at 0 only the spikes' numbers count. At least 0. (Keyword
        only.)
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Returns:**

    The distance. Time grows with the product of the lengths. **Derivative:** zero, as spikes
    are put on a grid.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Victor & Purpura, "Nature and precision of temporal coding in visual cortex: a
    metric-space analysis", Journal of Neurophysiology 76 (1996).
    """
    dt = _positive_number("dt")(dt)
    if not (isinstance(cost, float | int) and cost >= 0):
        raise ValueError(f"`cost` must be a number of at least 0, in hertz, got {cost!r}.")
    fires_a, fires_b = _as_floating(a) > 0, _as_floating(b) > 0
    # row by row: the least cost for the first spikes of `a` and the bins of `b` up to each
    inserted = jnp.concatenate([jnp.zeros(1), jnp.cumsum(fires_b).astype(jnp.float32)])
    cell = _Align(fires_b, inserted, jnp.asarray(float(cost) * dt, inserted.dtype))
    bins = jnp.arange(fires_a.size, dtype=jnp.int32)
    row, _ = _integrate(cell, inserted, (fires_a, bins))
    return row[-1]


class _Align(eqx.Module):
    fires_b: Array
    inserted: Array
    cost_of_a_step: Array

    def step(self, row: Array, x: tuple[Array, Array]) -> tuple[Array, None]:
        fires, t = x
        steps = jnp.abs(jnp.arange(self.fires_b.size) - t).astype(row.dtype)
        moved = row[:-1] + self.cost_of_a_step * steps
        moved = jnp.where(self.fires_b, moved, jnp.inf)
        least = jnp.minimum(row + 1, jnp.concatenate([jnp.full(1, jnp.inf), moved]))
        # or a spike of `b` put in: the least so far, and all those put in since
        least = jax.lax.cummin(least - self.inserted) + self.inserted
        return jnp.where(fires, least, row), None


def _wide(x: ArrayLike | _NestedNumbers) -> Array:
    x = _as_floating(x)
    return x.astype(_state_dtype(x))


def _operations(network: Network, xs: Array, key: PRNGKeyArray | None):
    zero = jnp.zeros(())
    total = SynapticOperations(zero, zero, zero)
    for layer, k in zip(network, network._split(key), strict=True):
        if isinstance(layer, Network):
            counted, out = _operations(layer, xs, k)
        else:
            out = layer(xs, key=k)
            counted = SynapticOperations(zero, zero, zero)
            if isinstance(layer, OverTime):
                counted = _of_synapses(layer.layer, xs)
            elif isinstance(layer, Recurrent):
                before = jnp.concatenate([jnp.zeros_like(out[:1]), out[:-1]])
                counted = _of_synapses(layer.linear, before)
        total = jtu.tree_map(jnp.add, total, counted)
        xs = out
    return total, xs


def _of_synapses(layer: eqx.Module, xs: Array) -> SynapticOperations:
    zero = jnp.zeros(())
    if not isinstance(layer, eqx.nn.Linear | eqx.nn.Conv):
        return SynapticOperations(zero, zero, zero)
    # with all weights 1, an output is the number of its inputs that are not 0
    ones = eqx.tree_at(lambda m: m.weight, layer, replace_fn=jnp.ones_like)
    if ones.bias is not None:
        ones = eqx.tree_at(lambda m: m.bias, ones, replace_fn=jnp.zeros_like)

    def used(active: Array) -> Array:
        return jnp.sum(jax.vmap(ones)(active.astype(ones.weight.dtype)))

    effective = used(xs != 0)
    spikes = jnp.all((xs == 0) | (jnp.abs(xs) == 1))
    return SynapticOperations(
        jnp.where(spikes, effective, 0),
        jnp.where(spikes, 0, effective),
        used(jnp.ones_like(xs)),
    )
