"""Encoders and networks that spend a given rate on data."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import slow

import jaxsnn_eqx as snn

STEPS = 40
RNG = np.random.default_rng(0)
VALUES = RNG.gamma(2.0, 0.15, (200, 6)).clip(0, 1).astype(np.float32)
SIGNALS = np.zeros((80, 100, 3), np.float32)  # of an Ornstein-Uhlenbeck process
for t in range(1, 100):
    SIGNALS[:, t] = 0.9 * SIGNALS[:, t - 1] + RNG.normal(0, 0.3, (80, 3))
TRAIN, TEST = slice(0, None, 2), slice(1, None, 2)

OF_VALUES = {
    "constant_current": (snn.ConstantCurrentLIFEncoder(STEPS), 60.0, snn.Preprocessed),
    "lif_latency": (snn.LIFLatencyEncoder(STEPS), 10.0, snn.Preprocessed),
    "learnable": (snn.LearnableLIFEncoder(6, STEPS), 60.0, "gain"),
    "poisson": (snn.PoissonEncoder(STEPS), 80.0, "max_rate"),
    "regular": (snn.RegularRateEncoder(STEPS), 80.0, "max_rate"),
    "burst": (snn.BurstEncoder(STEPS), 40.0, snn.Preprocessed),
    "latency": (snn.LatencyEncoder(STEPS, 3e-2), 10.0, "threshold"),
    "latency_log": (snn.LatencyEncoder(STEPS, 3e-2, 2e-2, 0.1), 10.0, "threshold"),
    "first_spike": (snn.TimeToFirstSpikeEncoder(STEPS, 2e-2), 10.0, "tau"),
    "spatio_temporal": (snn.SpatioTemporalEncoder(STEPS, 3e-2, 1e-2), 20.0, "seq_length"),
    "rank_order": (snn.RankOrderEncoder(STEPS), 20.0, "seq_length"),
}
OF_SIGNALS = {
    "lif_current": (snn.LIFCurrentEncoder(), 60.0, snn.Network),
    "poisson_signal": (snn.PoissonEncoder(None), 80.0, snn.Network),
    "delta": (snn.DeltaEncoder(0.3), 100.0, "threshold"),
    "threshold": (snn.ThresholdEncoder(0.1, 0.1), 100.0, "factor"),
    "step_forward": (snn.StepForwardEncoder(0.3), 100.0, "threshold"),
    "moving_window": (snn.MovingWindowEncoder(0.3), 100.0, "threshold"),
    "sigma_delta": (snn.SigmaDeltaEncoder(0.3), 100.0, "threshold"),
    "sigma_delta_binary": (snn.SigmaDeltaEncoder(0.3, graded=False), 100.0, "threshold"),
    "level_crossing": (snn.LevelCrossingEncoder((0.0, 1.0, 3.0)), 10.0, "levels"),
    "pulse_width": (snn.PulseWidthEncoder(5e-3), 100.0, "period"),
    "bens_spiker": (snn.BensSpikerEncoder((0.5, 1.0, 0.5), 1.5), 100.0, snn.Network),
}
ALL = {
    **{name: (*case, VALUES) for name, case in OF_VALUES.items()},
    **{name: (*case, SIGNALS) for name, case in OF_SIGNALS.items()},
}


def mean_rate(layer, xs, dt=1e-3):
    xs = jnp.asarray(xs)
    keys = jr.split(jr.key(7), len(xs))
    spikes = eqx.filter_jit(lambda m, x: jax.vmap(lambda x, k: m(x, key=k))(x, keys))(layer, xs)
    return float(jnp.mean(spikes != 0)) / dt


# one for each field by which encoders are calibrated, and for both holders of a scale
FAST = (
    *("constant_current", "learnable", "poisson", "latency", "first_spike", "rank_order"),
    *("lif_current", "delta", "threshold", "level_crossing", "pulse_width"),
)


@pytest.mark.parametrize("name", [*FAST, *slow(*(name for name in ALL if name not in FAST))])
def test_an_encoder_spends_the_rate_also_on_held_out_data(name):
    encoder, rate, changed, data = ALL[name]
    found = snn.calibrate(encoder, data[TRAIN], rate=rate)
    assert mean_rate(found, data[TRAIN]) == pytest.approx(rate, rel=0.05)
    assert mean_rate(found, data[TEST]) == pytest.approx(rate, rel=0.1)
    if isinstance(changed, str):
        assert type(found) is type(encoder)
        before, after = (np.asarray(getattr(e, changed)) for e in (encoder, found))
        assert not np.array_equal(before, after)
    else:
        assert isinstance(found, changed)


def test_the_threshold_is_that_of_a_count_in_numpy():
    found = snn.calibrate(snn.DeltaEncoder(1.0), SIGNALS, rate=100.0)
    changes = np.abs(np.diff(SIGNALS, axis=1)).ravel()
    wanted = round(0.1 * SIGNALS.size)
    expected = np.sort(changes)[-wanted]
    assert found.threshold == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "learnable",
        "poisson",
        "lif_current",
        *slow("regular", "latency", "first_spike", "delta"),
    ],
)
def test_each_feature_has_its_own_scale(name):
    encoder, rate, _, data = ALL[name]
    data = data * np.linspace(0.4, 1.0, data.shape[-1], dtype=np.float32)
    found = snn.calibrate(encoder, data, rate=rate, per_feature=True)
    for i in range(data.shape[-1]):
        keys = jr.split(jr.key(7), len(data))
        spikes = jax.vmap(lambda x, k: found(x, key=k))(jnp.asarray(data), keys)
        got = float(jnp.mean(spikes[..., i] != 0)) / 1e-3
        assert got == pytest.approx(rate, rel=0.06 if "poisson" in name else 0.05)


@pytest.mark.parametrize("name", ["constant_current", "poisson", "delta", "learnable"])
def test_a_dead_feature_stays_dead(name):
    encoder, rate, _, data = ALL[name]
    data = data.copy()
    data[..., 1] = 0.5
    data[..., 2] = 1e-3 * data[..., 2]
    found = snn.calibrate(encoder, data, rate=rate, per_feature=True, floor=0.01)
    keys = jr.split(jr.key(7), len(data))
    spikes = jax.vmap(lambda x, k: found(x, key=k))(jnp.asarray(data), keys)
    each = np.asarray(spikes != 0).mean((0, 1)) / 1e-3
    assert (each[1:3] < 1e-2 * rate).all()
    assert each[0] == pytest.approx(rate, rel=0.06)


def test_fixed_numbers_stay_fixed_and_arrays_stay_trained():
    fixed = snn.calibrate(snn.DeltaEncoder(0.3), SIGNALS, rate=50.0)
    assert isinstance(fixed.threshold, float)
    trained = snn.calibrate(snn.DeltaEncoder(jnp.array(0.3)), SIGNALS, rate=50.0)
    assert trained.threshold.shape == ()
    assert trained.threshold.dtype == jnp.float32
    each = snn.calibrate(snn.DeltaEncoder(jnp.ones(3)), SIGNALS, rate=50.0)
    np.testing.assert_array_equal(each.threshold, np.full(3, trained.threshold))
    own = snn.calibrate(snn.DeltaEncoder(0.3), SIGNALS, rate=50.0, per_feature=True)
    assert isinstance(own.threshold, tuple)
    assert len(own.threshold) == 3
    encoder = snn.ConstantCurrentLIFEncoder(STEPS)
    scale = snn.calibrate(encoder, VALUES, rate=50.0).fn
    assert isinstance(scale.scale, float)
    assert scale.offset == 0.0
    scale = snn.calibrate(encoder, VALUES, rate=50.0, trained=True).fn
    assert isinstance(scale.scale, jax.Array)
    assert isinstance(scale.offset, jax.Array)


def test_negative_data_are_moved_to_zero_and_above():
    found = snn.calibrate(snn.ConstantCurrentLIFEncoder(STEPS), VALUES - 0.5, rate=60.0)
    low = found.fn(VALUES - 0.5).min()
    np.testing.assert_allclose(low, 0, atol=1e-5)
    learned = snn.calibrate(snn.LearnableLIFEncoder(6, STEPS), VALUES - 0.5, rate=60.0)
    np.testing.assert_allclose(learned.bias, 0.5 * learned.gain, rtol=1e-2)


def test_data_are_moved_into_the_range_to_which_an_encoder_clips():
    found = snn.calibrate(snn.RegularRateEncoder(STEPS), 8 * VALUES - 2, rate=80.0)
    inside = np.asarray(found.fn(8 * VALUES - 2))
    np.testing.assert_allclose([inside.min(), inside.max()], [0, 1], atol=1e-6)
    assert isinstance(found.encoder.max_rate, float)
    signed = snn.calibrate(snn.PoissonEncoder(STEPS, signed=True), 5 - 9 * VALUES, rate=80.0)
    assert signed.fn.offset == 0.0
    np.testing.assert_allclose(np.abs(signed.fn(5 - 9 * VALUES)).max(), 1, rtol=1e-6)


def test_a_second_calibration_keeps_one_scale():
    encoder = snn.ConstantCurrentLIFEncoder(STEPS)
    once = snn.calibrate(encoder, VALUES - 0.5, rate=60.0)
    twice = snn.calibrate(once, VALUES - 0.5, rate=20.0)
    assert isinstance(twice.encoder, snn.ConstantCurrentLIFEncoder)
    assert mean_rate(twice, VALUES - 0.5) == pytest.approx(20.0, rel=0.05)
    once = snn.calibrate(snn.LIFCurrentEncoder(), SIGNALS, rate=60.0)
    twice = snn.calibrate(once, SIGNALS, rate=20.0)
    assert len(twice) == 2
    assert isinstance(twice[1], snn.LIFCurrentEncoder)
    assert mean_rate(twice, SIGNALS) == pytest.approx(20.0, rel=0.05)


def test_behind_a_population_the_encoder_is_calibrated():
    fields = snn.GaussianReceptiveFields.evenly(5)
    encoder = snn.Preprocessed(fields, snn.LatencyEncoder(STEPS, 3e-2))
    found = snn.calibrate(encoder, VALUES, rate=5.0)
    assert found.fn == fields
    assert found.encoder.threshold > 0
    assert mean_rate(found, VALUES) == pytest.approx(5.0, rel=0.05)


def test_inside_jit_it_is_the_same_as_outside():
    for encoder, data in (
        (snn.DeltaEncoder(0.3), SIGNALS),
        (snn.ConstantCurrentLIFEncoder(STEPS), VALUES - 0.5),
        (snn.RegularRateEncoder(STEPS), 3 * VALUES),
        (snn.LevelCrossingEncoder((0.0, 1.0)), SIGNALS),
    ):
        outside = snn.calibrate(encoder, data, rate=10.0)
        inside = eqx.filter_jit(lambda e, x: snn.calibrate(e, x, rate=10.0))(
            encoder, jnp.asarray(data)
        )
        a, b = ([np.asarray(x) for x in jax.tree.leaves(e)] for e in (outside, inside))
        if isinstance(encoder, snn.LevelCrossingEncoder):
            a = [np.asarray(outside.levels)]
        numbers = [x for x in b if np.issubdtype(x.dtype, np.floating)]
        kept = [x for x in a if np.issubdtype(x.dtype, np.floating)]
        for x, y in zip(kept, numbers, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3)


def test_it_has_no_derivative():
    def loss(data):
        encoder = snn.calibrate(snn.DeltaEncoder(jnp.array(0.3)), data, rate=50.0)
        return encoder.threshold

    assert not np.asarray(eqx.filter_jit(jax.grad(loss))(jnp.asarray(SIGNALS))).any()


@pytest.mark.parametrize(
    ("layer", "data", "options", "said"),
    [
        (snn.PhaseEncoder(8), VALUES, {}, "`PhaseEncoder` has no rate to calibrate"),
        (snn.DirectEncoder(8), VALUES, {}, "`DirectEncoder` has no rate to calibrate"),
        (snn.LIF(), SIGNALS, {}, "`layer` must be an encoder or a `Network`, got `LIF`"),
        (snn.DeltaEncoder(1.0), SIGNALS, {"rate": 0.0}, "`rate` must be positive, got 0.0"),
        (snn.DeltaEncoder(1.0), SIGNALS, {"rate": 2e3}, "at most 1/dt = 1000 Hz"),
        (snn.DeltaEncoder(1.0), SIGNALS, {"dt": -1.0}, "`dt` must be positive"),
        (snn.LIFCurrentEncoder(), SIGNALS, {"dt": 1e-4}, "`dt` must be that of the encoder"),
        (snn.DeltaEncoder(1.0), SIGNALS[0, :, 0], {}, '"samples time *shape", got (100,)'),
        (snn.DeltaEncoder(1.0), SIGNALS[:0], {}, "got (0, 100, 3)"),
        (snn.DeltaEncoder(1.0), SIGNALS * np.nan, {}, "`data` must be finite"),
        (snn.DeltaEncoder(1.0), 0 * SIGNALS, {}, "must not be constant, got the range [0, 0]"),
        (snn.DeltaEncoder(1.0), SIGNALS, {"floor": 1.0}, "0 without `per_feature`"),
        (
            snn.LevelCrossingEncoder((0.0, 1.0)),
            SIGNALS,
            {"per_feature": True},
            "`per_feature` must be False for `LevelCrossingEncoder`, whose `levels`",
        ),
        (snn.ThresholdEncoder(0.1, 0.0), SIGNALS, {}, "`std_change` must be positive"),
        (
            snn.LatencyEncoder(STEPS, 3e-2),
            VALUES,
            {"rate": 50.0},
            "`rate`=50 Hz is not reached by `LatencyEncoder` within 5%: the most that it can "
            "spend on these data is 25 Hz",
        ),
        (
            snn.PulseWidthEncoder(5e-3),
            SIGNALS,
            {"rate": 400.0},
            "the nearest is 500 Hz. A larger `tolerance` takes the nearest",
        ),
        (
            snn.LatencyEncoder(STEPS, 3e-2),
            np.repeat([[0.0], [0.2], [0.7]], 20, axis=0),
            {"rate": 12.0},
            "the nearest are 8.333 and 16.67 Hz",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(layer, data, options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        snn.calibrate(layer, data, **{"rate": 50.0, **options})


def test_a_larger_tolerance_takes_the_nearest_rate():
    data = np.repeat([[0.0], [0.2], [0.7]], 20, axis=0)
    found = snn.calibrate(snn.LatencyEncoder(STEPS, 3e-2), data, rate=9.0, tolerance=0.5)
    assert mean_rate(found, data) == pytest.approx(8.333, rel=1e-3)


# Networks


def network(*, bias=True, decoder=None, encoder=None, inputs=6, key=0):
    k1, k2 = jr.split(jr.key(key))
    return snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(STEPS) if encoder is None else encoder,
            snn.OverTime(eqx.nn.Linear(inputs, 40, key=k1)),
            snn.LIF(),
            snn.OverTime(eqx.nn.Linear(40, 4, use_bias=bias, key=k2)),
            snn.LI(),
            snn.MeanOverTime() if decoder is None else decoder,
        ]
    )


def outputs(model, xs):
    return np.asarray(eqx.filter_jit(lambda m, x: jax.vmap(lambda x: m(x))(x))(model, xs))


def test_each_layer_of_a_network_spends_its_rate():
    first = network()
    found = snn.calibrate(first, VALUES, rate=[60.0, 20.0])
    assert mean_rate(found[:1], VALUES) == pytest.approx(60.0, rel=0.05)
    assert mean_rate(found[:3], VALUES) == pytest.approx(20.0, rel=0.05)
    assert outputs(found, VALUES).std() == pytest.approx(1.0, rel=0.05)
    for i in (1, 3):
        old, new = first[i].layer, found[i].layer
        ratio = np.asarray(new.weight) / np.asarray(old.weight)
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
        np.testing.assert_array_equal(new.bias, old.bias)


def test_one_rate_is_that_of_all_layers():
    found = snn.calibrate(network(), VALUES, rate=30.0, readout=0.5)
    assert mean_rate(found[:1], VALUES) == pytest.approx(30.0, rel=0.05)
    assert mean_rate(found[:3], VALUES) == pytest.approx(30.0, rel=0.05)
    assert outputs(found, VALUES).std() == pytest.approx(0.5, rel=0.05)


def test_none_leaves_a_layer_as_it_is():
    encoder = snn.calibrate(snn.ConstantCurrentLIFEncoder(STEPS), VALUES, rate=80.0)
    first = network(encoder=encoder)
    found = snn.calibrate(first, VALUES, rate=[None, 20.0], readout=None)
    assert eqx.tree_equal(found[0], encoder)
    assert eqx.tree_equal(found[3:], first[3:])
    assert mean_rate(found[:3], VALUES) == pytest.approx(20.0, rel=0.05)


def test_an_encoder_with_a_fixed_number_of_spikes_is_left_for_one_rate():
    for encoder in (snn.SpatioTemporalEncoder(STEPS, 3e-2), snn.DirectEncoder(STEPS)):
        found = snn.calibrate(network(encoder=encoder), VALUES, rate=20.0)
        assert eqx.tree_equal(found[0], encoder)
        assert mean_rate(found[:3], VALUES) == pytest.approx(20.0, rel=0.05)


def test_deep_recurrent_and_nested_networks():
    keys = jr.split(jr.key(1), 4)
    lateral = eqx.nn.Linear(20, 20, use_bias=False, key=keys[1])
    neurons = snn.Recurrent(snn.Synapse(snn.LIF(refractory=2e-3)), lateral)
    inner = snn.Network([snn.OverTime(eqx.nn.Linear(3, 20, key=keys[0])), neurons])
    dropout = snn.OverTime(eqx.nn.Dropout(0.2))
    model = snn.Network(
        [
            snn.StepForwardEncoder(0.3),
            inner,
            dropout,
            snn.OverTime(eqx.nn.Linear(20, 10, key=keys[2])),
            snn.ALIF(),
            snn.FirstSpikeTime(),
        ]
    )
    key = jr.key(5)
    found = snn.calibrate(model, SIGNALS, rate=[150.0, 30.0, 10.0], key=key)
    assert mean_rate(found[:1], SIGNALS) == pytest.approx(150.0, rel=0.05)
    assert mean_rate(found[:2], SIGNALS) == pytest.approx(30.0, rel=0.05)
    assert mean_rate(found[:5], SIGNALS) == pytest.approx(10.0, rel=0.15)  # another dropout
    assert eqx.tree_equal(found[1][1].linear, lateral)


def test_convolutions_are_weights():
    keys = jr.split(jr.key(2), 2)
    conv = eqx.nn.Conv2d(1, 4, 3, key=keys[0])
    tail = eqx.nn.Sequential(
        [
            eqx.nn.AvgPool2d(2, 2),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(36, 5, key=keys[1]),
        ]
    )
    layers = [snn.ConstantCurrentLIFEncoder(20), snn.OverTime(conv), snn.LIF()]
    model = snn.Network([*layers, snn.OverTime(tail), snn.LIF()])
    images = np.random.default_rng(3).uniform(size=(30, 1, 8, 8))
    found = snn.calibrate(model, images, rate=[100.0, 40.0, 20.0])
    for i, rate in ((1, 100.0), (3, 40.0), (5, 20.0)):
        assert mean_rate(found[:i], images) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (
            network(),
            {"rate": [50.0]},
            "one for each layer that spikes ([0] ConstantCurrentLIFEncoder, [2] LIF), got 1",
        ),
        (network(), {"rate": [50.0, -1.0]}, "`rate` must be positive, got -1.0"),
        (network(), {"rate": [50.0, 900.0]}, "is not reached by layer [2] LIF within 5%"),
        (network(), {"readout": -1.0}, "`readout` must be positive"),
        (
            snn.Network([snn.ConstantCurrentLIFEncoder(5), snn.LIF()]),
            {"rate": 100.0},
            "`rate` must be None for layer [1] LIF, which has no weights in front",
        ),
        (
            network(bias=False),
            {"rate": [None, None]},
            "`readout`=1 is not reached",
        ),
    ],
)
def test_networks_that_cannot_be_calibrated(model, options, said):
    data = 0.2 * VALUES if options.get("rate") == [None, None] else VALUES
    with pytest.raises(ValueError, match=re.escape(said)):
        snn.calibrate(model, data, **{"rate": 50.0, **options})


def test_every_class_learns_without_gains_by_hand():
    """A stranger's network: default weights, biases, and data as they are."""
    xs, classes = snn.datasets.yin_yang(0, 600)
    xs = np.asarray(xs, np.float32)
    model = network(inputs=4, encoder=snn.ConstantCurrentLIFEncoder(30))
    model = snn.calibrate(model, xs, rate=[100.0, 20.0])

    @eqx.filter_jit
    def gradient(model):
        def loss(model):
            logits = jax.vmap(lambda x: model(x))(jnp.asarray(xs))
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(xs)), classes])

        return eqx.filter_grad(loss)(model)

    grads = gradient(model)
    assert (np.abs(grads[3].layer.weight).max(axis=1)[:3] > 0).all()
    assert (np.abs(grads[1].layer.weight).max(axis=1) > 0).mean() > 0.9
