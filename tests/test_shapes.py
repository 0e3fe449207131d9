"""Wrong types and shapes get jaxtyping's error: the argument, got and expected."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from jaxtyping import TypeCheckError

import jaxsnn_eqx as snn


class OneSpikeTooMany(snn.AbstractEncoder):
    """An encoder whose output is longer than it says."""

    seq_length: int

    def init(self, x):
        return ()

    def step(self, state, x, *, key=None):
        return (), x

    def run_chunk(self, state, xs, length, key):
        return (), jnp.zeros((length + 1, *xs.shape))


class OneNeuronTooMany(snn.AbstractStatelessEncoder):
    """An encoder whose output has another shape than its input."""

    seq_length: int

    def emit(self, x, t, *, key=None):
        return jnp.zeros(len(x) + 1)


LINEAR = eqx.nn.Linear(3, 2, key=jr.key(0))


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: snn.LIF()(1.0), ["'xs'", "Actual value: 1.0", "time *shape"]),
        (lambda: snn.LIFCurrentEncoder()(jnp.array(1.0)), ["'xs'", "f32[]", "time *shape"]),
        (lambda: snn.MaxOverTime()(jnp.array(1.0)), ["'xs'", "f32[]", "time *shape"]),
        (
            lambda: snn.LIFCurrentEncoder().step(jnp.zeros(3), jnp.zeros(2)),
            ["'x'", "f32[2]", "'state': f32[3]", "*shape"],
        ),
        (
            lambda: snn.LIFCurrentEncoder().step(jnp.zeros(3, int), jnp.zeros(3)),
            ["'state'", "i32[3]", "Float["],
        ),
        (
            lambda: snn.LIF().step(jnp.zeros(3), jnp.zeros(3)),
            ["'state'", "f32[3]", "MembraneState"],
        ),
        (lambda: snn.ConstantCurrentLIFEncoder(3)("1"), ["'x'", "Actual value: '1'", "*shape"]),
        (lambda: snn.ConstantCurrentLIFEncoder(3)(None), ["'x'", "None"]),
        (
            lambda: snn.PoissonEncoder(None)(0.5, key=jr.key(0)),
            ["'xs'", "Actual value: 0.5", "time *shape"],
        ),
        (lambda: snn.Network([snn.LIF()])(jnp.array(1.0)), ["'xs'", "f32[]", "time *shape"]),
        (
            lambda: snn.LIF().run(snn.LIF().init(jnp.zeros(2)), jnp.array(1.0)),
            ["'xs'", "f32[]", "time *shape"],
        ),
        (lambda: OneSpikeTooMany(3)(jnp.zeros(2)), ["return value", "f32[4,2]", "seq_length"]),
        (lambda: OneNeuronTooMany(3)(jnp.zeros(2)), ["return value", "f32[3]", "*shape"]),
        (
            lambda: snn.OverTime(eqx.nn.Dropout())(jnp.ones((2, 2)), key=jr.split(jr.key(0))),
            ["'key'", "key<fry>[2]"],
        ),
        (lambda: snn.OverTime(LINEAR)(jnp.array(1.0)), ["'xs'", "f32[]", "time *shape"]),
        (
            lambda: snn.functional.lif_current_encoder(jnp.zeros(3), jnp.zeros((3, 3))),
            ["'input_current'", "f32[3,3]", "*shape"],
        ),
        (
            lambda: snn.functional.lif_current_encoder(0.0, 0.0, params=0.6),
            ["'params'", "0.6", "LIFParameters"],
        ),
    ],
)
def test_wrong_types_and_shapes(call, parts):
    with pytest.raises(TypeCheckError) as error:
        call()
    for part in parts:
        assert part in str(error.value), part


def test_shapes_are_checked_as_they_are_traced():
    with pytest.raises(TypeCheckError, match=r"Actual value: f32\[2\]"):
        jax.jit(lambda v, x: snn.LIFCurrentEncoder().step(v, x))(jnp.zeros(3), jnp.zeros(2))


def test_the_check_can_be_switched_off():
    code = (
        "import jax.numpy as jnp, jaxsnn_eqx as snn\n"
        "print(snn.LIFCurrentEncoder().step(jnp.zeros((3, 1)), jnp.zeros((1, 2)))[0].shape)\n"
    )
    env = {**os.environ, "JAXTYPING_DISABLE": "1"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.stdout.strip() == "(3, 2)", out.stderr
