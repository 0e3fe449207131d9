"""Firing rates, operations, and distances between spike trains."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, Shaped

from ._encoder.scale import Scale as _Scale
from ._integrate import integrate as _integrate
from ._network import Network
from ._neuron.recurrent import Recurrent
from ._over_time import WITH_WEIGHTS as _WITH_WEIGHTS
from ._over_time import OverTime
from ._types import NestedNumbers as _NestedNumbers
from ._types import as_floating as _as_floating
from ._types import as_mask as _as_mask
from ._types import as_wide as _as_wide
from ._types import checked as _checked
from ._types import positive_number as _positive_number
from ._types import real_number as _real_number
from ._types import unsigned as _unsigned


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

    Signed and graded spikes count as 1. **Derivative:** exact. **NaN** gives NaN.

    **Raises:** `ValueError` for a `dt` that is not positive.
    """
    spikes = _unsigned(_as_wide(spikes))
    duration = spikes.shape[0] * _positive_number("dt")(dt)
    return spikes.sum(axis=0) / duration


@_checked
def sparsity(spikes: Shaped[ArrayLike, "..."] | _NestedNumbers) -> Float[Array, ""]:
    """The fraction of steps and neurons without a spike: 1 if there is none.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import sparsity
    >>> float(sparsity(jnp.array([[1, 0], [-1, 0], [0, 0], [0, 0]])))
    0.75

    ```

    **Arguments:**

    - `spikes`: of any shape; every value other than 0 is a spike.

    **Derivative:** zero. **NaN** gives NaN.

    Source: activation sparsity of Yik et al., "The neurobench framework for benchmarking
    neuromorphic computing algorithms and systems", Nature Communications 16 (2025).
    """
    return _mean_of_zeros(_as_wide(spikes))


@_checked
def silent_neurons(
    spikes: Shaped[ArrayLike, "*samples time neurons"] | _NestedNumbers,
) -> Float[Array, ""]:
    """The fraction of neurons that never spike; with a narrow surrogate they learn little.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import silent_neurons
    >>> float(silent_neurons(jnp.array([[[1, 0], [0, 0]], [[0, 0], [1, 0]]])))
    0.5

    ```

    **Arguments:**

    - `spikes`: of shape `"*samples time neurons"`: one sequence, or a batch in front. A neuron
        is counted if it is silent in all of them.

    **Derivative:** zero. **NaN** gives NaN.
    """
    spikes = _as_wide(spikes)
    over = tuple(range(spikes.ndim - 1))
    return _mean_of_zeros(jnp.max(jnp.abs(spikes), axis=over, initial=0))


class SynapticOperations(NamedTuple):
    """Operations of one inference, over all steps and synapses."""

    accumulates: Float[Array, ""]
    """Those for inputs of −1, 0 and 1, which need only additions."""
    multiplies: Float[Array, ""]
    """Those for other inputs, which need multiplications too."""
    dense: Float[Array, ""]
    """The number of operations if no input were 0."""


@_checked
def synaptic_operations(
    network: Network,
    x: Shaped[ArrayLike, "..."] | _NestedNumbers,
    *,
    key: PRNGKeyArray | None = None,
) -> SynapticOperations:
    """How many synapses are used in one inference: every input that is not 0 uses its fan-out.

    The fan-out of an input is the number of its weights that are not 0; at the borders of a
    convolution it is smaller. The count includes `OverTime` of a `Linear`, `Conv` or
    `ConvTranspose`, and the lateral connections of `Recurrent`. It does not include biases,
    normalisation, pooling and neurons.

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
    - `x`: the input of the network.
    - `key`: for layers that draw random numbers. (Keyword only.)

    **Returns:**

    A `SynapticOperations`; use `jax.vmap` for a batch. The operations of a layer are
    accumulates if all its inputs are −1, 0 or 1, and multiplies otherwise (also for NaN). In
    float32 the counts are exact up to 2^24, and have seven digits above. Derivatives are zero.

    **Raises:** `ValueError` for other layers with weights, such as an `eqx.nn.MLP`: make its
    parts layers of the network to count them.

    Source: effective and dense operations of Yik et al. (2025), as above.
    """
    return _counted(network, _as_floating(x), key)


@_checked
def van_rossum_distance(
    a: Shaped[ArrayLike, "time *shape"] | _NestedNumbers,
    b: Shaped[ArrayLike, "time *shape"] | _NestedNumbers,
    *,
    tau: float,
    dt: float = 1e-3,
) -> Float[Array, "*shape"]:
    r"""The distance between spike trains that are filtered with an exponential.

    With $f(t)$ the sum of $e^{-(t - t_i) / \tau}$ over all spikes before $t$,

    $$
    D^2 = \frac{1}{\tau} \int_0^\infty (f_a(t) - f_b(t))^2 \, dt
    $$

    The integral is exact: it does not depend on a grid. One additional spike gives $D^2 = 1/2$;
    two spikes that are far apart give $D^2 = 1$.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import van_rossum_distance
    >>> a, b = jnp.zeros((2, 100)).at[0, 0].set(1.0)
    >>> round(float(van_rossum_distance(a, b, tau=1e-2) ** 2), 6)
    0.5

    ```

    **Arguments:**

    - `a`, `b`: spike trains of the same shape, `"time *shape"`, compared neuron by neuron.
        Signed and graded spikes are filtered with their value.
    - `tau`: time constant, in seconds. A short one compares the times of single spikes, a long
        one their number. Positive. (Keyword only.)
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Returns:**

    A distance for each neuron, dimensionless. **Derivative:** exact, with respect to both
    trains; 0 where they are equal. **NaN** gives NaN.

    Source: van Rossum, "A Novel Spike Distance", Neural Computation 13 (2001).
    """
    tau, dt = _positive_number("tau")(tau), _positive_number("dt")(dt)
    a, b = _as_wide(a), _as_wide(b)
    if a.shape != b.shape:
        raise ValueError(f"`a` and `b` must have the same shape, got {a.shape} and {b.shape}.")
    a, b = _same_dtype(a, b)
    # 1 − exp(−dt / tau), which a trace loses in a step. For a long `tau` it is small, and
    # float32 has all its digits. exp(−dt / tau) itself is then close to 1, where float32 keeps
    # few of those digits, and the error would add up over the steps.
    leak = -math.expm1(-dt / tau)
    # The integral over each step, in which the trace decays, and over the time after the last
    # step. All terms are squares, so that no digits are lost by cancellation.
    within = -math.expm1(-2 * dt / tau)
    return _van_rossum(a, b, *np.asarray([leak, within, 1 - within], a.dtype))


@jax.jit
def _van_rossum(a: Array, b: Array, leak: Array, within: Array, after: Array) -> Array:
    def step(state: Array, x: Array) -> tuple[Array, Array]:
        state = state + (x - leak * state)
        return state, state

    last, traces = _integrate(step, jnp.zeros_like(a, shape=a.shape[1:]), a - b)
    squared = (within * jnp.sum(traces**2, axis=0) + after * last**2) / 2
    different = squared != 0  # at 0, for equal trains, the root has no derivative
    return jnp.where(different, jnp.sqrt(jnp.where(different, squared, 1)), 0)


@_checked
def victor_purpura_distance(
    a: Shaped[ArrayLike, " time"] | _NestedNumbers,
    b: Shaped[ArrayLike, " times"] | _NestedNumbers,
    *,
    cost: float,
    dt: float = 1e-3,
) -> Float[Array, ""]:
    """The lowest cost of turning one spike train into another.

    Adding or removing a spike costs 1; moving it by t seconds costs `cost · t`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import victor_purpura_distance
    >>> a, b = jnp.zeros((2, 50)).at[0, 10].set(1.0).at[1, 15].set(1.0)
    >>> float(victor_purpura_distance(a, b, cost=100.0))  # moved by 5 ms
    0.5
    >>> float(victor_purpura_distance(a, b, cost=1000.0))  # removed and added
    2.0

    ```

    **Arguments:**

    - `a`, `b`: spike trains of shape `"time"`: every value other than 0 is one spike. Use
        `jax.vmap` for several neurons.
    - `cost`: cost per second, in hertz; at 0 only the numbers of spikes matter. At least 0.
        (Keyword only.)
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Returns:**

    The distance. The time to compute it grows with the product of the lengths: for few spikes
    in long trains, use `victor_purpura_of_times`. **Derivative:** zero, since the times are
    those of steps. **NaN** gives NaN.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Victor & Purpura, "Nature and precision of temporal coding in visual cortex: a
    metric-space analysis", Journal of Neurophysiology 76 (1996).
    """
    dt, cost = _positive_number("dt")(dt), _cost(cost)
    a, b = _same_dtype(_as_wide(a), _as_wide(b))
    return _victor_purpura(a, b, np.asarray(cost * dt, a.dtype))


@jax.jit
def _victor_purpura(a: Array, b: Array, cost: Array) -> Array:
    # in steps, which are whole numbers and so exact
    steps_a, steps_b = (jnp.arange(x.size, dtype=x.dtype) for x in (a, b))
    distance = _least_cost(steps_a, a != 0, steps_b, b != 0, cost)
    return jnp.where(jnp.isnan(a).any() | jnp.isnan(b).any(), jnp.nan, distance)


@_checked
def victor_purpura_of_times(
    a: Shaped[ArrayLike, " spikes_a"] | _NestedNumbers,
    b: Shaped[ArrayLike, " spikes_b"] | _NestedNumbers,
    *,
    cost: float,
    a_mask: Bool[ArrayLike, " spikes_a"] | _NestedNumbers | None = None,
    b_mask: Bool[ArrayLike, " spikes_b"] | _NestedNumbers | None = None,
) -> Float[Array, ""]:
    """`victor_purpura_distance` of two lists of spike times, which need not be on a grid.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.metrics import victor_purpura_of_times
    >>> from jaxsnn_eqx.spike_trains import to_events
    >>> float(victor_purpura_of_times([0.010, 0.030], [0.015], cost=100.0))
    1.5
    >>> events = to_events(jnp.zeros(50).at[15].set(1.0), capacity=3)
    >>> a, b = jnp.array([0.010, 0.030]), events.t.astype(float) * 1e-3
    >>> float(victor_purpura_of_times(a, b, cost=100.0, b_mask=events.mask))
    1.5

    ```

    **Arguments:**

    - `a`, `b`: times in seconds, in any order. In float32 they have seven digits.
    - `cost`: cost per second, in hertz. At least 0. (Keyword only.)
    - `a_mask`, `b_mask`: False for padding, whose times are ignored; by default all True.
        (Keyword only.)

    **Returns:**

    The distance. The time to compute it grows with the product of the lengths. **Derivative:**
    exact: ±`cost` for a spike that is moved, 0 for one that is removed or added. **NaN** gives
    NaN.

    **Raises:** `ValueError` for an argument outside the range above.

    Source: Victor & Purpura (1996), as above.
    """
    cost = _cost(cost)
    a, b = _same_dtype(_as_wide(a), _as_wide(b))
    for name, times in (("a", a), ("b", b)):
        if times.ndim != 1:  # the annotation does not check the shape of a list
            raise ValueError(f"`{name}` must have one axis, got shape {times.shape}.")
    masks = [_mask_of("a", a, a_mask), _mask_of("b", b, b_mask)]
    return _victor_purpura_of_times(a, masks[0], b, masks[1], np.asarray(cost, a.dtype))


@jax.jit
def _victor_purpura_of_times(
    a: Array, a_mask: Array, b: Array, b_mask: Array, cost: Array
) -> Array:
    a, a_mask = _in_order(a, a_mask)
    b, b_mask = _in_order(b, b_mask)
    distance = _least_cost(a, a_mask, b, b_mask, cost)
    return jnp.where(jnp.isnan(a).any() | jnp.isnan(b).any(), jnp.nan, distance)


def _cost(cost: float) -> float:
    cost = _real_number("cost")(cost)
    if cost < 0:
        raise ValueError(f"`cost` must be at least 0, in hertz, got {cost}.")
    return cost


def _mask_of(name: str, times: Array, mask: Any) -> Array:
    if mask is None:
        return jnp.ones(times.shape, bool)
    mask = _as_mask(f"{name}_mask", mask)
    if mask.shape != times.shape:
        raise ValueError(
            f"`{name}_mask` must have the shape of `{name}`, {times.shape}, got {mask.shape}."
        )
    return mask


def _in_order(times: Array, mask: Array) -> tuple[Array, Array]:
    times = jnp.where(mask, times, 0)
    order = jnp.argsort(jnp.where(mask, times, jnp.inf))
    return times[order], mask[order]


def _least_cost(
    a: Array, counts_a: Array, b: Array, counts_b: Array, cost: Array
) -> Float[Array, ""]:
    """The recursion over the spikes of `a`, run by `integrate`."""
    # A row has the lowest costs for the spikes of `a` so far, and the first 0, 1, 2, ... of
    # `b`.
    zero = jnp.zeros(1, a.dtype)
    inserted = jnp.concatenate([zero, jnp.cumsum(counts_b.astype(a.dtype))])

    def step(row: Array, x: tuple[Array, Array]) -> tuple[Array, None]:
        time, counts = x
        moved = jnp.where(counts_b, row[:-1] + cost * jnp.abs(b - time), jnp.inf)
        never = jnp.full(1, jnp.inf, row.dtype)
        least = jnp.minimum(row + 1, jnp.concatenate([never, moved]))
        # or by adding spikes of `b`: the lowest cost so far, plus one for each added since
        least = jax.lax.cummin(least - inserted) + inserted
        return jnp.where(counts, least, row), None

    row, _ = _integrate(step, inserted, (a, counts_a))
    return row[-1]


def _same_dtype(a: Array, b: Array) -> tuple[Array, Array]:
    dtype = max(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)  # both floating
    return a.astype(dtype), b.astype(dtype)


@jax.jit
def _mean_of_zeros(x: Array) -> Array:
    """The fraction of zeros, and NaN for NaN."""
    return jnp.mean(jnp.where(jnp.isnan(x), x, (x == 0).astype(x.dtype)))


_ELEMENTWISE = (eqx.nn.LayerNorm, eqx.nn.RMSNorm, eqx.nn.GroupNorm, eqx.nn.PReLU, _Scale)


@eqx.filter_jit
def _counted(network: Network, x: Array, key: PRNGKeyArray | None) -> SynapticOperations:
    return _operations(network, "layers", x, key)[0]


def _operations(network: Network, name: str, xs: Array, key: PRNGKeyArray | None):
    total = _no_operations()
    for i, (layer, k) in enumerate(zip(network, network._split(key), strict=True)):
        counted, here = _no_operations(), f"{name}[{i}]"
        if isinstance(layer, Network):
            counted, out = _operations(layer, f"{here}.layers", xs, k)
        else:
            out = layer(xs, key=k)
            if isinstance(layer, OverTime):
                counted = _of_synapses(layer.layer, f"{here}.layer", xs)
            elif isinstance(layer, Recurrent):
                before = jnp.concatenate([jnp.zeros_like(out[:1]), out[:-1]])
                counted = _of_synapses(layer.linear, f"{here}.linear", before)
        total = jtu.tree_map(jnp.add, total, counted)
        xs = out
    return total, xs


def _no_operations() -> SynapticOperations:
    zero = jnp.zeros((), jnp.result_type(float))
    return SynapticOperations(zero, zero, zero)


def _of_synapses(layer: Any, name: str, xs: Array) -> SynapticOperations:
    if not isinstance(layer, _WITH_WEIGHTS):
        weights = jtu.tree_leaves(eqx.filter(layer, eqx.is_inexact_array))
        if weights and not isinstance(layer, _ELEMENTWISE):
            raise ValueError(
                f"the synapses of `{name}` (`{type(layer).__name__}`) cannot be counted: make "
                "its parts layers of the network, each in an `OverTime`."
            )
        return _no_operations()

    def used(weight: Array, active: Array) -> Array:
        fan_out = _fan_out(layer, weight, active.shape[1:])
        return jnp.sum(jnp.sum(active.astype(fan_out.dtype), axis=0) * fan_out)

    xs = _as_floating(xs)  # of boolean or integer spikes
    active = xs != 0
    effective = used(layer.weight != 0, active)
    spikes = jnp.all((xs == 0) | (xs == 1) | (xs == -1))
    return SynapticOperations(
        jnp.where(spikes, effective, 0),
        jnp.where(spikes, 0, effective),
        used(jnp.ones_like(layer.weight), jnp.ones_like(active)),
    )


def _fan_out(layer: Any, weight: Array, shape: tuple) -> Array:
    # With all weights 0 or 1, the derivative of the sum of the outputs with respect to an input
    # is the number of outputs that it reaches.
    dtype = jnp.result_type(float)
    layer = eqx.tree_at(lambda m: m.weight, layer, weight)
    layer = jtu.tree_map(lambda a: a.astype(dtype) if eqx.is_array(a) else a, layer)
    return jax.grad(lambda x: jnp.sum(layer(x)))(jnp.zeros(shape, dtype))
