"""Layers in sequence."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, ArrayLike, PRNGKeyArray, PyTree, Shaped

from ._chunks import chunk_of, split
from ._decode import AbstractDecoder
from ._encoder.base import AbstractEncoder, AbstractValueMap
from ._fields import checkpoint_field
from ._layer import AbstractLayer, AbstractTimed
from ._types import NestedNumbers, as_floating, checked, first_step, positive_int


class Network(AbstractLayer):
    """Layers in sequence: an encoder, neurons, and a decoder; itself a layer.

    An encoder of values may only stand first (behind what maps values to values, such as
    `GaussianReceptiveFields`), a decoder only last. Everything that streams
    on its own streams together: `network.step` takes one sample and returns the output so
    far, `network.run` a chunk of time.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> k1, k2 = jax.random.split(jax.random.key(0))
    >>> network = snn.Network([
    ...     snn.ConstantCurrentLIFEncoder(seq_length=100),
    ...     snn.OverTime(eqx.nn.Linear(64, 32, key=k1)),
    ...     snn.LIF(),
    ...     snn.OverTime(eqx.nn.Linear(32, 10, use_bias=False, key=k2)),
    ...     snn.LI(),
    ...     snn.MaxOverTime(),
    ... ])
    >>> images = jax.numpy.ones((8, 64))
    >>> jax.vmap(network)(images).shape
    (8, 10)

    ```

    **Arguments:**

    - `layers`: this package's layers; a stateless Equinox layer goes in as
        `OverTime(layer)`.
    - `checkpoint_every`: steps per chunk of the *whole network* (static), any number >= 1.
        For the reverse pass only the layers' states at the start of each chunk are kept, and
        everything within one is computed again: memory for long sequences at the cost of one
        more forward pass. By default the network runs layer by layer over the whole
        sequence, which is faster while it fits.

    `key` is split over the layers as in `eqx.nn.Sequential`.

    **Raises:** `ValueError` for layers that are out of place or not of this package, or that
    disagree on `dt`.
    """

    layers: tuple[AbstractLayer, ...]
    checkpoint_every: int | None = checkpoint_field()

    def __init__(self, layers: Sequence[AbstractLayer], checkpoint_every: int | None = None):
        self.layers = tuple(layers)
        self.checkpoint_every = checkpoint_every

    def __check_init__(self):
        if not self.layers:
            raise ValueError("`layers` must hold at least one layer, got none.")
        for i, layer in enumerate(self.layers):
            name = f"`layers[{i}]` ({type(layer).__name__})"
            if not isinstance(layer, AbstractLayer):
                raise ValueError(
                    f"{name} is not a layer over time: wrap a stateless Equinox layer as "
                    "`OverTime(layer)`."
                )
            if _encodes_values(layer) and not all(map(_maps_values, self.layers[:i])):
                raise ValueError(f"{name} encodes values, so it must come first.")
            if i < len(self.layers) - 1 and _decodes(layer):
                raise ValueError(f"{name} reduces over time, so it must come last.")
        dts = _time_steps(self.layers)
        if len(set(dts.values())) > 1:
            raise ValueError(
                "`dt` must be the same in all layers of a network (in seconds), got "
                + ", ".join(f"{name}: {dt}" for name, dt in dts.items())
                + "."
            )

    @checked
    def init(self, x: Shaped[ArrayLike, "..."] | NestedNumbers) -> tuple:
        """The states of all layers before the first step.

        **Arguments:**

        - `x`: one step's input (for an encoder of values: the values). Shape and dtype only.
        """
        x = as_floating(x)
        # The layers are stepped once, to find the shapes, dtypes and shardings between
        # them; what they return, and so this key, goes no further.
        unused = jr.key(0)
        states = []
        for layer in self.layers:
            states.append(layer.init(x))
            _, x = layer.step(states[-1], x, key=unused)
        return tuple(states)

    @checked
    def step(
        self,
        state: tuple,
        x: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple, Shaped[Array, "..."]]:
        """One step through all layers: `(state, out)`.

        **Arguments:**

        - `state`: from `init`, or from the step before.
        - `x`: one step's input (for an encoder of values: the values, at each step).
        - `key`: the sequence's key, unchanged from step to step. (Keyword only.)
        """
        x = as_floating(x)
        states = []
        for layer, layer_state, k in zip(self.layers, state, self._split(key), strict=True):
            layer_state, x = layer.step(layer_state, x, key=k)
            states.append(layer_state)
        return tuple(states), x

    @checked
    def run(
        self,
        state: tuple,
        xs: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        length: int | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple, Shaped[Array, "..."]]:
        """A chunk of time through all layers, with the states carried.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the input over time, with time on axis 0. For an encoder of values: the
            values, the same for every chunk.
        - `length`: the number of steps; needed with an encoder of values, and only there.
        - `key`: the sequence's key, unchanged from chunk to chunk. (Keyword only.)

        **Returns:**

        `(state, out)`: the output over time, or a decoder's value so far.
        """
        xs = as_floating(xs)
        if _encodes_values(self) != (length is not None):
            raise ValueError(
                "`length` must be given to `run` if the first layer encodes values, and "
                f"only then; got length={length} and `{type(self.layers[0]).__name__}` first."
            )
        if length is not None:
            length = positive_int("length")(length)
        else:  # what maps values has no steps to cut into chunks
            length = 1 if _maps_values(self) else xs.shape[0]
        return _run(self, state, xs, length, key)

    @checked
    def __call__(
        self,
        xs: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Shaped[Array, "..."]:
        """The whole, from `init`.

        **Arguments:**

        - `xs`: the input over time, with time on axis 0, or an encoder's values.
        - `key`: for layers that draw. (Keyword only.)

        **Returns:**

        The last layer's output.
        """
        xs = as_floating(xs)
        if _encodes_values(self):
            state, length = self.init(xs), self.seq_length
        elif _maps_values(self):
            state, length = self.init(xs), None
        else:
            state, length = self.init(first_step(xs)), None
        return self.run(state, xs, length=length, key=key)[1]

    @property
    def seq_length(self) -> int:
        """The number of steps of the encoder of values in front."""
        encoder: Any = next(layer for layer in self.layers if not _maps_values(layer))
        return encoder.seq_length

    @overload
    def __getitem__(self, i: int) -> Any: ...

    @overload
    def __getitem__(self, i: slice) -> "Network": ...

    def __getitem__(self, i: int | slice) -> Any:
        """A layer; or, for a slice, the `Network` of those layers."""
        if isinstance(i, slice):
            return Network(self.layers[i], self.checkpoint_every)
        return self.layers[i]

    def __iter__(self) -> Iterator[AbstractLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def _split(self, key: PRNGKeyArray | None):
        if key is None:
            return [None] * len(self.layers)
        return jr.split(key, len(self.layers))


def _encodes_values(layer: AbstractLayer) -> bool:
    if isinstance(layer, Network):
        # the one behind what maps values to values
        return any(_encodes_values(inner) for inner in layer.layers)
    return isinstance(layer, AbstractEncoder) and layer.takes_values


def _maps_values(layer: AbstractLayer) -> bool:
    if isinstance(layer, Network):
        return all(map(_maps_values, layer.layers))
    return isinstance(layer, AbstractValueMap)


def _decodes(layer: AbstractLayer) -> bool:
    if isinstance(layer, Network):
        return _decodes(layer.layers[-1])
    return isinstance(layer, AbstractDecoder)


def _time_steps(layers: Sequence[AbstractLayer], prefix: str = "layers") -> dict:
    dts = {}
    for i, layer in enumerate(layers):
        name = f"{prefix}[{i}]"
        if isinstance(layer, Network):
            dts |= _time_steps(layer.layers, f"{name}.layers")
        elif isinstance(layer, AbstractTimed):
            dts[f"{name} ({type(layer).__name__})"] = layer.dt
    return dts


@eqx.filter_jit
def _run(network: Network, state: tuple, xs: Array, length: int, key) -> PyTree:
    every = network.checkpoint_every
    if every is None or every >= length:
        return _run_layers(network, state, xs, length, key)

    chunks, remainder = divmod(length, every)
    full = chunks * every
    holds = _encodes_values(network)

    def slice_and_run(network, state, xs, begin, scanned, key, length):
        chunk = xs if holds else chunk_of(xs, begin, length, scanned)
        return _run_layers(network, state, chunk, length, key)

    run_chunk = eqx.filter_checkpoint(slice_and_run, prevent_cse=False)

    def body(state, inputs):
        begin, scanned = inputs
        return run_chunk(network, state, xs, begin, scanned, key, every)

    scanned = None if holds else split(xs, length, every)[0]
    begins = jnp.arange(chunks) * every
    state, out = lax.scan(body, state, (begins, scanned))
    reduces = _decodes(network)
    out = out[-1] if reduces else out.reshape(full, *out.shape[2:])
    if remainder:
        tail = None if holds else xs[full:]
        state, tail_out = run_chunk(network, state, xs, full, tail, key, remainder)
        out = tail_out if reduces else jnp.concatenate([out, tail_out])
    return state, out


def _run_layers(network: Network, state: tuple, xs: Array, length: int, key) -> PyTree:
    states = []
    for layer, layer_state, k in zip(network.layers, state, network._split(key), strict=True):
        if _encodes_values(layer):
            layer_state, xs = layer.run(layer_state, xs, length=length, key=k)  # pyright: ignore[reportCallIssue]
        else:
            layer_state, xs = layer.run(layer_state, xs, key=k)
        states.append(layer_state)
    return tuple(states), xs
