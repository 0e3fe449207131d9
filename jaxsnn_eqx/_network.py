"""Layers in sequence."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from ._chunks import chunk_of, nearest_divisor, split
from ._decode import AbstractDecoder
from ._layer import AbstractLayer, time_steps
from ._over_time import OverTime, WrongInput
from ._platforms import CPU, Platform, by_platform
from ._types import AnyFirst, AnyInput, as_first, as_floating, checked, optional_positive_int


class Network(AbstractLayer):
    """Layers in sequence: an encoder, neurons, and a decoder. It is itself a layer.

    An encoder of values must be the first layer, and a decoder the last. A network streams as
    its layers do: `network.step` takes one sample and returns the output so far, and
    `network.run` takes a chunk of time.

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

    - `layers`: layers of this package; wrap a stateless Equinox layer as `OverTime(layer)`.
    - `checkpoint_every`: steps per chunk of the *whole network* (static), any number >= 1.
        For the reverse pass only the layers' states at the start of each chunk are kept, and
        each chunk is computed again, at the cost of one more forward pass. By default, on a
        CPU, a network that ends in a decoder runs 250 steps and more in chunks of some 25 steps
        (of a divisor of their number where there is one), and 10,000 and more in longer ones.
        Shorter sequences run whole, layer by layer, as do all on GPUs and TPUs, those of
        networks without a decoder, and those with a number not below their length.

    `key` is split over the layers as in `eqx.nn.Sequential`.

    **Raises:** `ValueError` for layers in the wrong place, layers that are not of this package,
    or layers with different `dt`.
    """

    layers: tuple[AbstractLayer, ...]
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )

    def __init__(self, layers: Sequence[AbstractLayer], checkpoint_every: int | None = None):
        if isinstance(layers, AbstractLayer) and not isinstance(layers, Network):
            raise ValueError(
                "`layers` must be a list of layers, `Network([...])`, got "
                f"`{type(layers).__name__}`."
            )
        if not isinstance(layers, Iterable):
            raise ValueError(
                f"`layers` must be a list of layers, `Network([...])`, got {layers!r}."
            )
        self.layers = tuple(layers)
        self.checkpoint_every = checkpoint_every

    def __check_init__(self):
        if not self.layers:
            raise ValueError("`layers` must have at least one layer, got none.")
        for i, layer in enumerate(self.layers):
            name = f"`layers[{i}]` ({type(layer).__name__})"
            if isinstance(layer, type):
                raise ValueError(
                    f"`layers[{i}]` is the class `{layer.__name__}`, and must be a layer: "
                    f"write `{layer.__name__}(...)`."
                )
            if not isinstance(layer, AbstractLayer):
                raise ValueError(
                    f"{name} is not a layer over time: wrap a stateless Equinox layer as "
                    "`OverTime(layer)`, or, in front of an encoder of values, as "
                    "`Preprocessed(layer, encoder)`."
                )
            if i > 0 and layer.seq_length is not None:
                raise ValueError(
                    f"{name} encodes values, so it must come first. To put a function of the "
                    "values in front of it, use `Preprocessed(fn, encoder)`."
                )
            if i < len(self.layers) - 1 and decodes(layer):
                raise ValueError(f"{name} reduces over time, so it must come last.")
        dts = time_steps(self.layers, "layers")
        if len(set(dts.values())) > 1:
            raise ValueError(
                "`dt` must be the same in all layers of a network (in seconds), got "
                + ", ".join(f"{name}: {dt}" for name, dt in dts.items())
                + "."
            )

    @checked
    def init(self, x: AnyFirst) -> tuple:
        """The states of all layers before the first step.

        **Arguments:**

        - `x`: one step's input (for an encoder of values: the values). Only its shape and dtype
            are used.
        """
        x = as_first(x)
        # Stepping the layers once gives the shapes, dtypes and shardings between them. The
        # values are not used, so this fixed key does not affect any random number of a run;
        # a layer that draws would refuse to step without one.
        unused = jr.key(0)
        states = []
        for i, layer in enumerate(self.layers):
            with _place(self, i):
                states.append(layer.init(x))
                _, x = layer.step(states[-1], x, key=unused)
        return tuple(states)

    @checked
    def step(
        self,
        state: tuple,
        x: AnyInput,
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
        inputs = zip(self.layers, state, self._split(key), strict=True)
        for i, (layer, layer_state, k) in enumerate(inputs):
            with _place(self, i):
                layer_state, x = layer.step(layer_state, x, key=k)
            states.append(layer_state)
        return tuple(states), x

    def run_chunk(
        self, state: tuple, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[tuple, Array]:
        """Chunk by chunk of `checkpoint_every` steps; within a chunk, layer by layer."""
        steps = xs.shape[0] if length is None else length
        arrays, static = eqx.partition((self, state, xs, key), eqx.is_array)

        def run(platform: Platform):
            every = self.checkpoint_every
            if every is None:
                in_chunks = platform == CPU and len(self.layers) > 1 and decodes(self)
                every = default_chunk(steps) if in_chunks else steps

            def run_on_platform(arrays):
                network, state, xs, key = eqx.combine(arrays, static)
                if every >= steps:
                    return _run_layers(network, state, xs, length, key)
                return _run_chunks(network, state, xs, length, key, steps, every)

            return run_on_platform

        return by_platform(run, arrays)

    @property
    def seq_length(self) -> int | None:
        """The `seq_length` of the first layer."""
        return self.layers[0].seq_length

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


def default_chunk(steps: int) -> int:
    """How many steps of a network that ends in a decoder are one chunk on a CPU.

    With the batch first, some 25 steps are the fastest there, by up to 1.6 times: their values
    stay in the cache, and memory that is allocated in small pieces is kept between the calls,
    where large ones are returned to the system and cleared again. With time first they are 0.7
    to 1.2 times as fast, with a third of the memory. Networks that return a value for each step
    would save no memory, and be slower. Shorter sequences run whole: their memory is often
    kept anyway, and to compute each chunk again would then take up to 1.4 times as long. For
    10,000 steps and more the chunks grow, since their starts would need more memory than a
    chunk.
    """
    return steps if steps < 250 else nearest_divisor(steps, max(25, math.sqrt(steps) / 2))


def decodes(layer: AbstractLayer) -> bool:
    if isinstance(layer, Network):
        return decodes(layer.layers[-1])
    return isinstance(layer, AbstractDecoder)


@contextlib.contextmanager
def _place(network: Network, i: int):
    """Names the layer in errors about the shape of its input."""
    layer = network.layers[i]
    kind = type(layer).__name__
    if isinstance(layer, OverTime):
        kind = f"{kind}({type(layer.layer).__name__})"
    try:
        yield
    except WrongInput as error:
        raise error.at(f"layers[{i}] ({kind})") from error.__cause__


def _run_chunks(
    network: Network,
    state: tuple,
    xs: Array,
    length: int | None,
    key: PRNGKeyArray | None,
    steps: int,
    every: int,
) -> tuple[tuple, Array]:
    """All layers over one chunk after the other; for the derivative each is computed again.

    `steps` are split into chunks of `every`. `length` is `steps` for values, which are the
    input of every chunk, and `None` for a sequence, which is split too.
    """
    chunks, remainder = divmod(steps, every)
    full = chunks * every
    values = length is not None

    def slice_and_run(network, state, xs, begin, scanned, key, every):
        if values:
            return _run_layers(network, state, xs, every, key)
        return _run_layers(network, state, chunk_of(xs, begin, every, scanned), None, key)

    run_chunk = eqx.filter_checkpoint(slice_and_run, prevent_cse=False)

    def body(state, inputs):
        begin, scanned = inputs
        return run_chunk(network, state, xs, begin, scanned, key, every)

    scanned = None if values else split(xs, steps, every)[0]
    begins = jnp.arange(chunks) * every
    state, out = lax.scan(body, state, (begins, scanned))
    reduces = decodes(network)
    out = out[-1] if reduces else out.reshape(full, *out.shape[2:])
    if remainder:
        tail = None if values else xs[full:]
        state, tail_out = run_chunk(network, state, xs, full, tail, key, remainder)
        out = tail_out if reduces else jnp.concatenate([out, tail_out])
    return state, out


def _run_layers(network: Network, state: tuple, xs: Array, length: int | None, key) -> PyTree:
    states = []
    inputs = zip(network.layers, state, network._split(key), strict=True)
    for i, (layer, layer_state, k) in enumerate(inputs):
        with _place(network, i):
            layer_state, xs = layer.run_chunk(layer_state, xs, length, k)
        length = None  # only the first layer may encode values
        states.append(layer_state)
    return tuple(states), xs
