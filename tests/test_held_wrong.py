"""What people pass: whole numbers where floats are meant, wide integers, signed spikes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxsnn_eqx as snn

TRAIN = np.array([0.0, 1.0, 0.0, 1.0, 0.0], np.float32)


def test_a_whole_number_is_a_float_in_functions():
    assert float(snn.metrics.victor_purpura_distance(TRAIN, TRAIN[::-1], cost=0)) == 0
    assert float(snn.rate_penalty(TRAIN[:, None], low=20)) == 0
    assert float(snn.metrics.firing_rate(TRAIN, dt=1)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: snn.metrics.firing_rate(TRAIN, dt=True),
        lambda: snn.rate_penalty(TRAIN[:, None], low=False),
    ],
)
def test_a_boolean_is_no_number(call):
    with pytest.raises(ValueError, match="must be a Python number, got"):
        call()


def test_wide_integers_are_converted_before_jax_narrows_them():
    wide = np.array([3_000_000_000, 2**40])
    for x in (wide, wide.tolist(), wide.astype(np.uint64)):
        np.testing.assert_array_equal(snn.DirectEncoder(1)(x)[0], wide.astype(np.float32))
    rising = np.array([2_147_483_000, 2_147_484_000, 2_147_485_000])
    np.testing.assert_array_equal(snn.DeltaEncoder(1.0)(rising), [0, 1, 1])


def test_lists_of_traced_numbers_are_inputs():
    out = jax.jit(lambda a: snn.DirectEncoder(1)([a, 2 * a]))(jnp.float32(3.0))
    np.testing.assert_array_equal(out, [[3.0, 6.0]])


@pytest.mark.parametrize("spike", [1.0, 2.0, -1.0, -3.0])
def test_signed_and_graded_spikes_count_as_one(spike):
    train = np.array([[0.0], [spike], [0.0], [spike]], np.float32)
    assert float(snn.FirstSpikeTime()(train)[0]) == pytest.approx(1e-3)
    assert float(snn.activity_penalty(train)) == 2


def test_the_first_spike_has_its_derivative_also_where_there_is_none():
    train = jnp.array([[0.0], [1.0], [0.0]])
    grad = jax.grad(lambda z: snn.FirstSpikeTime()(z)[0])(train)
    # a spike at step 0 would be a step earlier; without that at step 1, two later
    np.testing.assert_allclose(grad.ravel(), [-1e-3, -2e-3, 0.0], atol=1e-9)


@pytest.mark.parametrize("fn", [jnp.ravel, jax.nn.relu, lambda x: x])
def test_a_function_of_one_argument_runs_over_time(fn):
    signal = np.arange(-6.0, 6.0, dtype=np.float32).reshape(2, 3, 2)
    expected = np.stack([np.asarray(fn(jnp.asarray(x))) for x in signal])
    np.testing.assert_array_equal(snn.OverTime(fn)(signal), expected)


def test_a_function_with_a_key_gets_one():
    layer = snn.OverTime(lambda x, key: jax.random.uniform(key, x.shape))
    out = np.asarray(layer(np.zeros((3, 2), np.float32), key=jax.random.key(0)))
    assert len(np.unique(out)) == 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.Network(snn.LIF(), snn.LIF()), "`layers` must be a list of layers"),
        (lambda: snn.Network([snn.LIF]), r"is the class `LIF`.*write `LIF\(\.\.\.\)`"),
    ],
)
def test_a_network_that_is_built_wrong_says_how(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("five", [np.int64(5), np.uint8(5)])
def test_a_size_may_be_any_integer(five):
    events = snn.events.Events([0], [0], [0.0], [1])
    currents = np.ones(2, np.float32)
    assert snn.functional.constant_current_lif_encode(currents, five)[1].shape == (5, 2)
    assert snn.functional.spatio_temporal_encode(currents, five, 4e-3, 1e-3).shape == (5, 2)
    assert snn.functional.one_hot([0], five).shape == (1, 5)
    assert snn.events.to_frames(events, five, [five, five]).shape == (5, 2, 5, 5)
    assert snn.datasets.yin_yang(five, five)[0].shape == (5, 4)
    assert snn.spike_trains.to_events(TRAIN, five).t.shape == (5,)
    words = jnp.zeros((1,), jnp.uint8)
    packed = snn.spike_trains.PackedSpikes(words, five)
    assert type(packed.length) is int
    encoder = snn.DirectEncoder(7)
    state = encoder.init(currents)
    assert encoder.run(state, currents, length=five)[1].shape == (5, 2)


@pytest.mark.parametrize("size", [5.0, np.float32(5), True])
def test_a_size_that_is_no_integer_is_refused_in_words(size):
    events = snn.events.Events([0], [0], [0.0], [1])
    calls = {
        "seq_length": lambda: snn.functional.constant_current_lif_encode([1.0], size),
        "k": lambda: snn.functional.one_hot([0], size),
        "sensor_size": lambda: snn.events.to_frames(events, 5, [size, 5]),
        "size": lambda: snn.datasets.yin_yang(0, size),
        "seed": lambda: snn.datasets.yin_yang(size, 3),
        "capacity": lambda: snn.spike_trains.to_events(TRAIN, size),
        "length": lambda: snn.DirectEncoder(7).run(jnp.int32(0), TRAIN, length=size),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"`{name}` must be an int of at least"):
            call()


@pytest.mark.parametrize("one", [1, np.int64(1), np.float32(1)])
def test_a_number_may_be_of_any_type(one):
    assert float(snn.metrics.firing_rate(TRAIN, dt=one)) == pytest.approx(0.4)
    assert snn.functional.spatio_temporal_encode([1.0], 2, one, one).shape == (2, 1)
    assert float(snn.spike_time_loss([0.0, 1.0], 0, tau=one)) == pytest.approx(
        np.log1p(np.exp(-1)), rel=1e-6
    )


def test_events_of_unsigned_integers_and_lists_of_masks():
    at = np.array([1, 0], "u2")
    events = snn.events.Events(at, at, [0.0, 1.0], np.array([1, 0], "u1"), [True, False])
    assert (events.x.dtype, events.p.tolist()) == (jnp.int32, [1.0, -1.0])
    frames = snn.events.to_frames(events, 2, [2, 2], dt=1)
    np.testing.assert_array_equal(np.argwhere(np.asarray(frames)), [[0, 1, 1, 1]])
    distance = snn.metrics.victor_purpura_of_times([0.1, 0.2], [], cost=1, a_mask=[True, False])
    assert float(distance) == 1
    layer = snn.SpikeCount()
    out = snn.run_masked(layer, layer.init(0.0), [1.0, 1.0, 1.0], [True, False, True])[1]
    assert out.tolist() == [1.0, 1.0, 2.0]


def test_masks_and_pixels_of_another_type_or_shape_are_refused():
    layer = snn.SpikeCount()
    with pytest.raises(ValueError, match="`mask` must be booleans, got int"):
        snn.run_masked(layer, layer.init(0.0), [1.0, 1.0], [1, 0])
    with pytest.raises(ValueError, match=r"each of the 2 steps of `xs`, got shape \(1,\)"):
        snn.run_masked(layer, layer.init(0.0), [1.0, 1.0], [True])
    with pytest.raises(ValueError, match="`x` must be integers, got float64"):
        snn.events.Events([0.5], [0], [0.0], [1])
    with pytest.raises(ValueError, match=r"`sensor_size` must be \(height, width\)"):
        snn.events.to_frames(snn.events.Events([0], [0], [0.0], [1]), 5, [3])


def test_pixels_beyond_32_bits_are_off_the_sensor():
    events = snn.events.Events([2**32, 0], np.array([0, 0], "u8"), [0.0, 0.0], [1, 1])
    assert float(snn.events.to_frames(events, 1, (1, 1)).sum()) == 1


@pytest.mark.parametrize("index", [2**32, -(2**40), -1, 3, 1.5])
def test_one_hot_of_no_class_is_zero(index):
    np.testing.assert_array_equal(snn.functional.one_hot([index, 1], 3), [[0] * 3, [0, 1, 0]])


def test_spikes_that_32_bits_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="`spikes` must fit into int32, got 4294967296"):
        snn.spike_trains.to_events(np.array([0, 2**32]), 2)


def test_every_value_but_zero_is_a_spike_in_metrics_losses_and_decoders():
    signed = np.array([[0.0], [-1.0], [2.0], [0.0]], np.float32)
    assert float(snn.metrics.firing_rate(signed)[0]) == pytest.approx(500)
    assert float(snn.rate_penalty(signed, high=499.0)) == pytest.approx(1e-6, rel=1e-3)
    assert float(snn.SpikeCount()(signed)[0]) == 2
    plain = np.abs(signed) > 0
    distance = snn.metrics.victor_purpura_distance
    assert float(distance(signed[:, 0], plain[:, 0], cost=10.0)) == 0


@pytest.mark.parametrize("label", [3, -1, -4, np.uint8(7)])
def test_a_label_of_no_class_is_refused(label):
    times = jnp.array([1e-3, 2e-3, 3e-3])
    with pytest.raises(ValueError, match=f"`label` must be from 0 to 2, got {label}"):
        snn.spike_time_loss(times, label, tau=1e-3)
    loss = jax.jit(lambda label: snn.spike_time_loss(times, label, tau=1e-3))
    assert np.isnan(loss(label))


def test_labels_of_narrow_integers_are_labels():
    times = jnp.array([1e-3, 2e-3, 3e-3])
    expected = [float(snn.spike_time_loss(times, label, tau=1e-3)) for label in range(3)]
    labels = np.arange(3, dtype=np.uint8)
    found = jax.vmap(lambda label: snn.spike_time_loss(times, label, tau=1e-3))(labels)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="`label` must be integers, got bool"):
        snn.spike_time_loss(times, np.bool_(True), tau=1e-3)


LAYERS = {
    "encoder": snn.ConstantCurrentLIFEncoder(3),
    "time index": snn.DirectEncoder(3),
    "signal": snn.StepForwardEncoder(1.0),
    "neuron": snn.LIF(),
    "synapse": snn.Synapse(snn.ALIF()),
    "decoder": snn.MaxOverTime(),
    "function": snn.OverTime(jax.nn.relu),
    "network": snn.Network([snn.LIF(), snn.SpikeCount()]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_init_takes_a_shape_as_a_struct_and_refuses_a_tuple(name):
    layer = LAYERS[name]
    like = jax.ShapeDtypeStruct((3, 2), jnp.float32)
    expected = layer.init(np.zeros((3, 2), np.float32))
    assert eqx.tree_equal(layer.init(like), expected)
    for shape in ((3, 2), ()):
        with pytest.raises(ValueError, match=r"for a shape, pass `jax\.ShapeDtypeStruct"):
            layer.init(shape)


def test_a_threshold_is_fitted_to_samples_without_their_borders():
    samples = np.array([[[0.0, 9.0], [1.0, 8.0]], [[50.0, 7.0], [53.0, 4.0]]])  # jumps of 49
    fitted = snn.ThresholdEncoder.fit(samples, axis=0)
    assert fitted.mean_change == (2.0, 2.0)  # of 1 and 3, and of 1 and 3
    assert fitted.std_change == (1.0, 1.0)
    last = snn.ThresholdEncoder.fit(np.moveaxis(samples, 0, -1), axis=-1)
    assert last.mean_change == fitted.mean_change
    with pytest.raises(ValueError, match="`axis` must be an axis of `xs` beside time, got 3"):
        snn.ThresholdEncoder.fit(samples, axis=3)


def test_a_channel_without_a_threshold_is_named():
    signal = np.array([[0.0, 5.0], [1.0, 5.0]])
    with pytest.raises(ValueError, match=r"got 0.0 in channel \(1,\), which may be constant"):
        snn.ThresholdEncoder.fit(signal)
    signal[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"got NaN or infinity in channel \(1,\)"):
        snn.ThresholdEncoder.fit(signal)


class Trained(snn.AbstractSurrogate):
    """A triangle, and its antiderivative, with a slope that is an array."""

    slope: jax.Array

    def derivative(self, x):
        return jnp.maximum(1 - jnp.abs(self.slope * x), 0)

    def smooth(self, x):
        inside = jnp.clip(x, -1 / self.slope, 1 / self.slope)
        return 0.5 + inside - self.slope * inside * jnp.abs(inside) / 2


@pytest.mark.parametrize("shape", [(), (3,)])
def test_the_slope_of_a_surrogate_is_trained(shape):
    x, surrogate = jnp.array([-0.2, 0.1, 0.3]), Trained(jnp.full(shape, 2.0))
    np.testing.assert_array_equal(surrogate(x), [0, 1, 1])
    slopes = jax.grad(lambda x: surrogate(x).sum())(x)
    np.testing.assert_allclose(slopes, [0.6, 0.8, 0.4], rtol=1e-6)
    # d/d(slope) of the smooth spike inside of the triangle: -x |x| / 2
    expected = -x * np.abs(x) / 2
    forward = jax.jvp(lambda a: Trained(a)(x), (surrogate.slope,), (jnp.ones(shape),))[1]
    np.testing.assert_allclose(forward, expected, rtol=1e-6)
    grad = eqx.filter_grad(lambda s: s(x).sum())(surrogate).slope
    np.testing.assert_allclose(grad, expected if shape else expected.sum(), rtol=1e-6)


def test_a_network_trains_the_slope_of_its_surrogate():
    currents = jnp.linspace(0.0, 3.0, 40).reshape(20, 2)

    def count(slope, smooth=False):
        surrogate = Trained(slope)
        layer = snn.LIF(surrogate=surrogate.smooth if smooth else surrogate)
        return layer(currents).sum()

    slope, step = jnp.array(1.5), 1e-2
    reverse, forward = jax.jit(jax.grad(count))(slope), jax.jit(jax.jacfwd(count))(slope)
    assert float(reverse) != 0
    assert float(reverse) == pytest.approx(float(forward), rel=1e-4)
    # the same rule through the smooth spike, whose derivative is exact
    exact = jax.jit(jax.grad(lambda slope: count(slope, smooth=True)))(slope)
    values = [float(count(slope + d, smooth=True)) for d in (-step, step)]
    assert float(exact) == pytest.approx((values[1] - values[0]) / (2 * step), rel=1e-2)


def test_signed_codes_refuse_every_unsigned_dtype():
    for dtype in (ml_dtypes.uint4, np.uint8, bool):
        with pytest.raises(ValueError, match="must be floating or a signed integer"):
            snn.DeltaEncoder(1.0, dtype=dtype)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize(
    "surrogate",
    [
        snn.SuperSpike(),
        snn.Sigmoid(),
        snn.ATan(),
        snn.Triangle(),
        snn.Gaussian(),
        snn.MultiGaussian(),
        snn.Rectangle(),
        snn.StraightThrough(),
    ],
)
def test_surrogates_of_narrow_types(surrogate, dtype):
    x = jnp.array([-0.25, 0.0, 0.5], dtype)
    for fn in (surrogate.smooth, surrogate.derivative):
        assert fn(x).dtype == dtype
        np.testing.assert_allclose(
            fn(x).astype(np.float32), fn(x.astype(np.float32)), rtol=3e-2, atol=1e-2
        )


def test_the_gradient_of_lateral_weights_is_not_rounded_to_the_inputs():
    linear = eqx.nn.Linear(3, 3, key=jax.random.key(0))
    xs = np.linspace(0.0, 4.0, 60, dtype=np.float16).reshape(20, 3)

    def grad(xs):
        layer = snn.Recurrent(snn.LIF(dtype=jnp.float32), linear)
        assert layer(xs).dtype == jnp.float32
        # float16 holds nothing below 6e-8
        return eqx.filter_grad(lambda m: 1e-9 * m(xs).sum())(layer).linear.weight

    expected = grad(xs.astype(np.float32))
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(grad(xs), expected, rtol=1e-5)


LINEAR = eqx.nn.Linear(64, 10, key=jax.random.key(0))
NETWORK = snn.Network(
    [snn.ConstantCurrentLIFEncoder(5), snn.OverTime(LINEAR), snn.LI(), snn.MaxOverTime()]
)


@pytest.mark.parametrize("shape", [(16, 64), (8, 8)])
def test_a_batch_or_an_image_where_one_input_is_meant_says_what_to_do(shape):
    message = (
        r"^in layers\[1\] \(OverTime\(Linear\)\): one step's input has shape "
        rf"\({shape[0]}, {shape[1]}\), expected \(64,\); a batch\? `jax.vmap\(network\)\(x\)`; "
        r"an image\? ravel it\."
    )
    for call in (NETWORK, NETWORK.init):
        with pytest.raises(ValueError, match=message):
            call(np.ones(shape, np.float32))


def test_the_place_of_a_layer_in_a_network_in_a_network_is_named():
    network = snn.Network([snn.LIF(), snn.Network([snn.OverTime(LINEAR)])])
    with pytest.raises(ValueError, match=r"in layers\[1\] \(Network\)\.layers\[0\] \(OverTime"):
        network(np.ones((5, 3), np.float32))


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (
            snn.OverTime(eqx.nn.Conv2d(1, 2, 3, key=jax.random.key(0))),
            np.ones((5, 8, 8), np.float32),
            r"input has shape \(8, 8\), `Conv2d` does not take it",
        ),
        (
            snn.Recurrent(snn.LIF(), eqx.nn.Linear(4, 4, key=jax.random.key(0))),
            np.ones((5, 3), np.float32),
            r"`linear` must map the neurons' output, of shape \(3,\), to that shape: ",
        ),
        (
            snn.Recurrent(snn.LIF(), eqx.nn.Linear(3, 4, key=jax.random.key(0))),
            np.ones((5, 3), np.float32),
            r"output, of shape \(3,\), to that shape, got \(4,\)",
        ),
        (
            snn.Preprocessed(LINEAR, snn.DirectEncoder(3)),
            np.ones(3, np.float32),
            r"`fn` \(`Linear`\) does not take values of shape \(3,\)",
        ),
        (snn.DirectEncoder(3), [[1, 2], [1]], "a nested list must have rows of one length"),
        (snn.DirectEncoder(3), ["a"], "the input must be numbers, got an array of dtype <U1"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_in_words(layer, x, message):
    with pytest.raises(ValueError, match=message):
        layer(x)


def test_a_cell_with_a_state_is_refused_over_time():
    cell = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
    with pytest.raises(ValueError, match="got `GRUCell`, which needs 'hidden' too"):
        snn.OverTime(cell)


def test_a_linear_over_a_batch_within_a_step():
    layer = snn.OverTime(eqx.filter_vmap(LINEAR))
    xs = np.ones((5, 3, 64), np.float32)
    expected = xs @ np.asarray(LINEAR.weight).T + np.asarray(LINEAR.bias)
    np.testing.assert_allclose(layer(xs), expected, rtol=1e-4)


class Tensor:
    """Stands for a tensor of PyTorch, or a table of pandas."""

    def __array__(self, dtype=None, copy=None):
        return np.arange(6, dtype=np.float64).reshape(3, 2)


def test_whatever_numpy_converts_is_an_input():
    expected = np.asarray(Tensor())
    for out in (snn.DirectEncoder(1)(Tensor())[0], snn.OverTime(lambda x: x)(Tensor())):
        np.testing.assert_array_equal(out, expected.astype(np.float32))
    assert float(snn.metrics.sparsity(Tensor())) == pytest.approx(1 / 6)


def test_an_infinity_stays_in_its_place_in_shared_receptive_fields():
    fields = snn.GaussianReceptiveFields(jnp.array([0.2, 0.8]), jnp.array(0.3))
    x, grads = np.array([0.1, 0.9], np.float32), []
    for values in (x, np.array([0.1, np.inf, 0.9, -np.inf], np.float32)):
        grads.append(eqx.filter_grad(lambda m, v=values: m(v).sum())(fields))
    np.testing.assert_array_equal(fields(np.array([np.inf])), [[0, 0]])
    for a, b in zip(*map(jax.tree.leaves, grads), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)


def test_a_nan_stays_in_its_place_in_the_derivative_of_a_rank():
    encoder = snn.RankOrderEncoder(3)
    weights = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4)

    def value(x):
        spikes = encoder(x)
        return jnp.sum(jnp.where(jnp.isnan(spikes), 0, spikes) * weights[:, : x.size])

    grad = jax.grad(value)(jnp.array([0.1, 0.12, 0.11, np.nan]))
    expected = jax.grad(value)(jnp.array([0.1, 0.12, 0.11]))
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(grad[:3], expected, rtol=1e-5)


def test_an_infinity_in_a_window_fires_and_leaves_with_it():
    out = snn.MovingWindowEncoder(1.0, window=2)([0.0, np.inf, 0.0, 0.0, 0.0, 2.0])
    np.testing.assert_array_equal(out, [0, 1, -1, -1, 0, 1])


NEAR_THE_END = 2**31 - 3


@pytest.mark.parametrize(
    ("layer", "largest"),
    [
        (snn.MovingWindowEncoder(0.5), 3),
        (snn.BensSpikerEncoder([0.5, 0.25], 0.2), 2),
        (snn.PulseWidthEncoder(7e-3), 6),
    ],
)
def test_the_counters_of_streams_stay_small(layer, largest):
    state = layer.init(0.0)
    for _ in range(3):
        state, _ = layer.run(state, np.full(9, 0.5, np.float32))
    [counter] = [a for a in state if a.dtype == jnp.int32]
    assert int(counter) <= largest


def test_phases_go_on_past_2_to_the_31_steps():
    layer, x = snn.PhaseEncoder(8, bits=4), np.full(1, 0.3, np.float32)
    late, expected = (layer.run(jnp.int32(t), x, length=8)[1] for t in (2**31 - 4, 0))
    np.testing.assert_array_equal(late, expected)


def test_a_mean_over_more_than_2_to_the_31_steps_keeps_its_sign():
    layer = snn.MeanOverTime()
    state = layer.init(0.0)._replace(total=jnp.float32(2**30), steps=jnp.int32(NEAR_THE_END))
    state, out = layer.run(state, np.ones(8, np.float32))
    assert float(out) == pytest.approx(0.5)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_streamed_draws_equal_those_of_the_whole(impl):
    encoder, key = snn.PoissonEncoder(20, max_rate=500.0), jax.random.key(0, impl=impl)
    x = np.linspace(0.0, 1.0, 30, dtype=np.float32)
    state, outs = encoder.init(x), []
    for length in (1, 7, 12):
        state, out = encoder.run(state, x, length=length, key=key)
        outs.append(out)
    np.testing.assert_array_equal(np.concatenate(outs), encoder(x, key=key))


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_arrays_in_static_fields_are_refused():
    class Static(snn.AbstractSurrogate):
        slope: jax.Array = eqx.field(static=True)

        def derivative(self, x):
            return self.slope * x

        def smooth(self, x):
            return self.slope * x

    with pytest.raises(ValueError, match="`slope` of `Static` is a static field"):
        jax.grad(lambda slope: Static(slope)(0.5))(jnp.array(2.0))


def make(key):
    linear = eqx.nn.Linear(4, 3, key=key)
    return (
        snn.fluctuation_driven(linear, rate=250.0, key=key),
        snn.GaussianReceptiveFields.evenly(4, shape=(2,)),
        snn.LearnableLIFEncoder(3, 5),
        snn.LIF(snn.LearnableLIFParameters(3, tau_mem=[5e-3, 1e-2, 2e-2])),
        snn.Synapse(snn.ALIF(), jnp.array(5e-3)),
        snn.Recurrent(snn.LIF(), eqx.nn.Linear(3, 3, key=key)),
        snn.Network([snn.DirectEncoder(3), snn.OverTime(linear), snn.LI()]),
    )


def test_what_builds_models_runs_under_transformations():
    key = jax.random.key(0)
    expected = make(key)
    shapes = eqx.filter_eval_shape(make, key)
    batch = eqx.filter_jit(eqx.filter_vmap(make))(jax.random.split(key, 2))
    compiled = eqx.filter_jit(make)(key)
    leaves = [jax.tree.leaves(tree) for tree in (expected, shapes, batch, compiled)]
    for right, shape, two, one in zip(*leaves, strict=True):
        if eqx.is_array(right):
            assert shape.shape == one.shape == right.shape
            assert two.shape == (2, *right.shape)
            if jnp.issubdtype(right.dtype, jnp.floating):
                np.testing.assert_allclose(one, right, rtol=1e-5, atol=1e-7)


def test_statistics_of_a_traced_signal_are_refused_in_words():
    with pytest.raises(ValueError, match="`xs` must be concrete"):
        jax.jit(lambda xs: snn.ThresholdEncoder.fit(xs)(xs))(jnp.arange(5.0))


def test_the_state_of_every_neuron_can_be_donated():
    x = jnp.ones(3)
    for layer in (snn.LIF(), snn.ALIF(), snn.Synapse(snn.LIF()), snn.Network([snn.LIF()])):
        step = jax.jit(layer.step, donate_argnums=0)
        assert step(layer.init(x), x)[1].shape == (3,)
