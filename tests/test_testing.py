"""`check_layer` finds a planted fault for each law, and names the law."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn
from jaxsnn_eqx.testing import ContractError, check_layer

SIGNAL = np.random.default_rng(0).uniform(-1.0, 2.0, (12, 4)).astype(np.float32)
VALUES = SIGNAL[0]


def test_the_weights_of_these_tests_are_those_of_equinox():
    """`conftest` draws them by one program for all shapes."""
    linear = eqx.nn.Linear(7, 5, key=jr.key(3))
    key, _ = jr.split(jr.key(3))
    expected = jr.uniform(key, (5, 7), minval=-1 / 7**0.5, maxval=1 / 7**0.5)
    np.testing.assert_array_equal(linear.weight, expected)


class Sum(snn.AbstractSignalEncoder):
    """The sum of the samples so far: a layer without a fault, to subclass in its methods."""

    gain: jax.Array = eqx.field(default_factory=lambda: jnp.array(1.0))
    checkpoint_every: int | None = None

    def init(self, x):
        return jnp.zeros(jnp.shape(x))

    def step(self, state, x, *, key=None):
        return plain_step(self, state, x, key)


def broken(init=None, step=None, run_chunk=None, seq_length=None):
    """A layer like `Sum`, with other methods."""

    class Broken(snn.AbstractEncoder):
        gain: jax.Array

        @property
        def seq_length(self):
            return seq_length

        def init(self, x):
            return jnp.zeros(jnp.shape(x)) if init is None else init(x)

        def step(self, state, x, *, key=None):
            return (
                plain_step(self, state, x, key) if step is None else step(self, state, x, key)
            )

        def run_chunk(self, state, xs, length, key):
            if run_chunk is not None:
                return run_chunk(self, state, xs, length, key)
            if length is None:
                return jax.lax.scan(lambda s, x: self.step(s, x, key=key), state, xs)
            return jax.lax.scan(lambda s, _: self.step(s, xs, key=key), state, None, length)

    return Broken(jnp.array(1.0))


def plain_step(layer, state, x, key):
    state = state + layer.gain * x.astype(state.dtype)
    return state, state.astype(x.dtype)


def run_with(step):
    def run(layer, state, xs, length, key):
        return jax.lax.scan(lambda s, x: step(layer, s, x, key), state, xs)

    return run


TRACES = []


def counts_traces(layer, state, x, key):
    TRACES.append(None)
    return state + x, state + len(TRACES)


def draws_with_a_fixed_key(layer, state, x, key):
    key = jr.key(0) if key is None else key
    return state + x, state + jr.uniform(key, x.shape)


def ignores_its_key(layer, state, x, key):
    if key is None:
        raise ValueError("`key` is missing")
    return plain_step(layer, state, x, key)


def forgets(layer, state, xs, length, key):
    return run_with(plain_step)(layer, jnp.zeros_like(state), xs, length, key)


@jax.custom_batching.custom_vmap
def alone(x):
    return x


@alone.def_vmap
def _(axis_size, in_batched, x):
    return x + jnp.mean(x, axis=0), in_batched[0]


@jax.custom_vjp
def only_reverse(x):
    return x


only_reverse.defvjp(lambda x: (x, None), lambda _, g: (g,))


@jax.custom_batching.custom_vmap
def gain_alone(gain):
    return gain


@gain_alone.def_vmap
def _(axis_size, in_batched, gain):
    return gain[::-1], True


class Sequence(snn.AbstractValueEncoder):
    """A formula with `seq_length` in it."""

    seq_length: int = eqx.field(static=True)
    checkpoint_every: int | None = None

    def init(self, x):
        return jnp.zeros(jnp.shape(x))

    def step(self, state, x, *, key=None):
        state = state + x / self.seq_length
        return state, state


FAULTS = {
    "init": (
        "`init` must use the shape and dtype",
        broken(init=lambda x: jnp.asarray(x) + 1),
    ),
    "structure": (
        "the state must keep its structure",
        broken(
            step=lambda layer, state, x, key: (
                ((state[0],), state[0]) if isinstance(state, tuple) else ((state + x,), state)
            ),
            run_chunk=lambda layer, state, xs, length, key: (state, xs),
        ),
    ),
    "jit": ("`step` inside of `jax.jit`", broken(step=counts_traces)),
    "steps": (
        "a loop of `step` must equal",
        broken(run_chunk=run_with(lambda m, s, x, key: (s + x, s))),
    ),
    "chunks": ("chunks by `run` must equal", broken(run_chunk=forgets)),
    "batch": (
        "`jax.vmap` must equal",
        broken(step=lambda m, s, x, key: plain_step(m, s, alone(x), key)),
    ),
    "longer": ("a longer sequence must begin", Sequence(12)),
    "dtypes": (
        "the output must have the input's floating dtype",
        snn.OverTime(eqx.nn.Lambda(lambda x: x.astype(jnp.float32))),
    ),
    "nan": (
        "NaN must not be lost",
        snn.OverTime(eqx.nn.Lambda(lambda x: jnp.nan_to_num(x))),
    ),
    "derivatives": (
        "forward and reverse mode must agree",
        broken(step=lambda m, s, x, key: plain_step(m, s, only_reverse(x), key)),
    ),
    "ensemble": (
        "an ensemble by `eqx.filter_vmap`",
        broken(
            step=lambda m, s, x, key: plain_step(
                m, s, x * gain_alone(jax.lax.stop_gradient(m.gain)).astype(x.dtype), key
            )
        ),
    ),
}


def two_of_one(x):
    zeros = jnp.zeros(jnp.shape(x))
    return zeros, zeros


FAULTS["donation"] = (
    "the state must be donated",
    broken(
        init=two_of_one,
        step=lambda m, s, x, key: (
            (s[0] + x.astype(s[0].dtype), s[1]),
            (s[0] + x.astype(s[0].dtype)).astype(x.dtype),
        ),
    ),
)


class Keyed(snn.AbstractSignalEncoder):
    """Holds a key, which Equinox does not save."""

    offset_key: jax.Array
    checkpoint_every: int | None = None

    def init(self, x):
        return jnp.zeros(jnp.shape(x))

    def step(self, state, x, *, key=None):
        state = state + x.astype(state.dtype) + jr.uniform(self.offset_key)
        return state, state.astype(x.dtype)


FAULTS["files"] = ("a layer that is saved and loaded", Keyed(jr.key(0)))


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_law(name):
    law, layer = FAULTS[name]
    x = VALUES if layer.seq_length is not None else SIGNAL
    with pytest.raises(ContractError, match=law):
        check_layer(layer, x)


@pytest.mark.parametrize("step", [draws_with_a_fixed_key, ignores_its_key])
def test_a_fault_with_keys_is_found(step):
    with pytest.raises(ContractError, match="draw by `key` only"):
        check_layer(broken(step=step), SIGNAL, key=jr.key(1))


def test_a_layer_without_a_fault_passes():
    check_layer(Sum(), SIGNAL)


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (snn.LIF(), np.zeros((12, 4)), "the whole output is 0.0"),
        (
            broken(step=lambda m, s, x, key: (s, x)),
            SIGNAL,
            "the state does not change",
        ),
        (
            snn.OverTime(eqx.nn.Lambda(jnp.sign)),
            SIGNAL,
            "all derivatives are zero",
        ),
        (snn.LIF(), SIGNAL[:5], "at least 6 steps, got 5"),
    ],
)
def test_an_input_that_shows_nothing_is_no_pass(layer, x, message):
    with pytest.raises(ValueError, match=message):
        check_layer(layer, x)


def test_the_error_has_an_example():
    with pytest.raises(ContractError) as error:
        check_layer(broken(run_chunk=forgets), np.ones((12, 2)))
    assert str(error.value) == (
        "`Broken`, chunks by `run` must equal the whole. At (4, 0), and in 16 of 24 places, "
        "the chunks' output is 1.0, the whole's is 5.0."
    )
