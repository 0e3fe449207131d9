"""What `summary` says of models that are wrong, each in its way, and of good ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn

STEPS = 60
RNG = np.random.default_rng(0)
VALUES = RNG.uniform(size=(40, 6)).astype(np.float32)


def network(*, gain=6.0, bias=False, decoder=None, encoder=None, steps=STEPS):
    k1, k2 = jr.split(jr.key(0))
    hidden = eqx.nn.Linear(6, 40, key=k1)
    hidden = eqx.tree_at(lambda m: m.weight, hidden, gain * hidden.weight)
    return snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(steps) if encoder is None else encoder,
            snn.OverTime(hidden),
            snn.LIF(),
            snn.OverTime(eqx.nn.Linear(40, 4, use_bias=bias, key=k2)),
            snn.LI(),
            snn.MaxOverTime() if decoder is None else decoder,
        ]
    )


def test_a_good_model_has_nothing_wrong():
    found = snn.summary(network(), 4 * VALUES)
    assert found.advice == ()
    assert repr(found).endswith("Nothing is wrong.")
    calibrated = snn.calibrate(network(gain=1.0, bias=True), VALUES, rate=50.0)
    assert snn.summary(calibrated, VALUES).advice == ()


def test_the_figures_of_each_layer():
    model, xs = network(), jnp.asarray(4 * VALUES)
    found = snn.summary(model, xs)
    names = [layer.name for layer in found.layers]
    assert names == [
        "[0] ConstantCurrentLIFEncoder",
        "[1] OverTime(Linear)",
        "[2] LIF",
        "[3] OverTime(Linear)",
        "[4] LI",
        "[5] MaxOverTime",
    ]
    assert [layer.shape for layer in found.layers] == [(6,), (40,), (40,), (4,), (4,), (4,)]
    assert [layer.parameters for layer in found.layers] == [0, 280, 0, 160, 0, 0]
    spikes = np.asarray(jax.vmap(lambda x: model[:3](x))(xs))
    hidden = found.layers[2]
    assert hidden.rate == pytest.approx(spikes.mean() / 1e-3)
    assert hidden.silent == pytest.approx((spikes.max((0, 1)) == 0).mean())
    assert hidden.saturated == 0.0
    assert hidden.empty == pytest.approx((spikes.max((1, 2)) == 0).mean())
    assert found.layers[0].outside == pytest.approx((4 * VALUES <= 0.6).mean())
    assert "tau_mem 10 ms, v_th 0.6" in found.layers[2].constants
    assert "weights ±" in found.layers[1].constants


def test_the_table_has_a_line_for_each_layer():
    lines = repr(snn.summary(network(), 4 * VALUES)).splitlines()
    assert lines[0].split() == [
        "layer",
        "output",
        "parameters",
        "spikes/s",
        "silent",
        "saturated",
        "outside",
        "idle",
        "constants",
    ]
    assert [line.split()[0] for line in lines[2:8]] == [f"[{i}]" for i in range(6)]
    assert lines[8] == "440 parameters"


SERIES = np.cumsum(RNG.normal(size=(40, 24, 6)), axis=1).astype(np.float32)
WRONG = {
    # the first of the traps of the README: input too small for the threshold
    "small_input": (
        network(),
        0.7 * VALUES,
        "[0] ConstantCurrentLIFEncoder: 80 % of the inputs that are not 0 are at most 0.6, "
        "where nothing can fire: `calibrate`, or scale the inputs by",
    ),
    "small_weights": (
        network(gain=0.5),
        4 * VALUES,
        "[2] LIF: for 100 % of the samples nothing fires: `calibrate`.",
    ),
    # the second: a bias in front of a maximum
    "bias_before_a_maximum": (
        eqx.tree_at(
            lambda m: m.layers[3].layer.bias,
            network(bias=True),
            jnp.array([0.0, 0.0, -9.0, 0.0]),
        ),
        4 * VALUES,
        "[5] MaxOverTime: the potential of 1 of 4 outputs (2) stays at or below 0",
    ),
    "clipped": (
        snn.RegularRateEncoder(STEPS),
        2 * VALUES,
        "of the inputs are clipped to [0, 1]; they go from",
    ),
    "outside": (
        snn.LevelCrossingEncoder((-0.1, 0.0, 0.1)),
        SERIES,
        "of the inputs are outside of its range [-0.1, 0.1]",
    ),
    "saturated": (
        network(),
        100 * VALUES,
        "[0] ConstantCurrentLIFEncoder: ",
    ),
    "time_base": (
        network(encoder=snn.LIFCurrentEncoder()),
        4 * np.abs(SERIES),
        "24 steps of 1 ms against time constants of 10 ms: hold each sample for 5 steps, "
        "`jnp.repeat(xs, 5, axis=0)`.",
    ),
    "idle": (
        snn.LatencyEncoder(200, 1e-2),
        VALUES,
        "nothing changes after step 12 of 200: a `seq_length` of 12 gives the same",
    ),
    "not_finite": (
        network(),
        np.where(VALUES > 0.9, np.nan, 4 * VALUES),
        "[0] ConstantCurrentLIFEncoder: its output is not finite",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name):
    model, batch, said = WRONG[name]
    advice = snn.summary(model, batch).advice
    assert any(said in line for line in advice), advice
    assert all(
        line.startswith("!")
        for line in repr(snn.summary(model, batch)).splitlines()[-len(advice) :]
    )


@pytest.mark.parametrize("name", ["small_input", "small_weights", "saturated"])
def test_calibration_mends_it(name):
    model, batch, _ = WRONG[name]
    model = snn.calibrate(model, batch, rate=50.0)
    assert snn.summary(model, batch).advice == ()


def test_holding_the_samples_mends_the_time_base():
    model, batch, _ = WRONG["time_base"]
    held = np.repeat(batch, 5, axis=1)
    assert not any("hold each" in line for line in snn.summary(model, held).advice)


def test_it_is_refused_inside_of_jit():
    model = network()
    with pytest.raises(ValueError, match=r"must be called outside of `jax\.jit`"):
        jax.jit(lambda x: snn.summary(model, x).advice)(VALUES)
    with pytest.raises(ValueError, match=r"must be called outside of `jax\.jit`"):
        eqx.filter_jit(lambda m: snn.summary(m, VALUES).advice)(model)


@pytest.mark.parametrize("batch", [np.float32(1), np.zeros((0, 6))])
def test_a_batch_that_is_none_is_refused(batch):
    with pytest.raises(ValueError, match=r'`batch` must be of shape "samples \*shape"'):
        snn.summary(network(), batch)


def test_layers_that_draw_need_a_key():
    found = snn.summary(snn.PoissonEncoder(STEPS, 500.0), VALUES, key=jr.key(0))
    assert found.layers[0].rate == pytest.approx(500 * VALUES.mean(), rel=0.1)
    assert found.layers[0].constants == "max_rate 500 Hz"
