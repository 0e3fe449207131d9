"""Events of an event camera: frames, voxel grids and time surfaces."""

from fractions import Fraction
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from numpy.lib.recfunctions import rename_fields

from jaxsnn_eqx.events import (
    Events,
    count_left_out,
    to_averaged_time_surface,
    to_frames,
    to_frames_by_count,
    to_time_surface,
    to_voxel_grid,
)
from jaxsnn_eqx.events._common import count_at_or_before
from jaxsnn_eqx.events._times import multiples

FIELDS = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
SIZE = (4, 5)
LENGTH = 9
MICRO = 1e-6

TRANSFORMS = {
    "frames": partial(to_frames, seq_length=LENGTH, sensor_size=SIZE),
    "frames_by_count": partial(
        to_frames_by_count, seq_length=LENGTH, sensor_size=SIZE, event_count=7
    ),
    "voxel_grid": partial(to_voxel_grid, n_bins=6, sensor_size=SIZE),
    "time_surface": partial(to_time_surface, seq_length=LENGTH, sensor_size=SIZE, tau=3e-3),
    "averaged": partial(
        to_averaged_time_surface,
        sensor_size=SIZE,
        cell_size=3,
        surface_size=3,
        time_window=3.1e-3,
        tau=2e-3,
    ),
}


@pytest.fixture(params=TRANSFORMS.values(), ids=TRANSFORMS.keys())
def transform(request):
    return request.param


def _array(n=80, seed=0, start=10**12, stop=10_000):
    """A recording in microseconds, each tenth event on the edge of a millisecond."""
    rng = np.random.default_rng(seed)
    array = np.zeros(n, FIELDS)
    array["x"], array["y"] = rng.integers(0, SIZE[1], n), rng.integers(0, SIZE[0], n)
    array["p"] = rng.integers(0, 2, n)
    ticks = rng.integers(0, stop, n)
    ticks[::10] -= ticks[::10] % 1000
    ticks[0] = 0
    array["t"] = start + np.sort(ticks)
    return array


# The formulas, event by event, in integers and float64.


def _in_order(array):
    # `np.sort(array, order="t")` would order events at the same time by their other fields
    return array[np.argsort(array["t"], kind="stable")]


def _frames(array, seq_length, dt):
    frames = np.zeros((seq_length, 2, *SIZE))
    for x, y, t, p in array:
        k = (int(t) - int(array["t"].min())) // dt
        if 0 <= k < seq_length:
            frames[k, int(p > 0), y, x] += 1
    return frames


def _frames_by_count(array, seq_length, event_count):
    frames = np.zeros((seq_length, 2, *SIZE))
    for i, (x, y, _, p) in enumerate(_in_order(array)):
        if i // event_count < seq_length:
            frames[i // event_count, int(p > 0), y, x] += 1
    return frames


def _voxel_grid(array, n_bins):
    grid = np.zeros((n_bins, *SIZE))
    first, last = int(array["t"].min()), int(array["t"].max())
    for x, y, t, p in array:
        s = (n_bins - 1) * (int(t) - first) / (last - first)
        for b in range(n_bins):
            grid[b, y, x] += (1 if p > 0 else -1) * max(0.0, 1 - abs(b - s))
    return grid


def _time_surface(array, seq_length, dt, tau):
    surface = np.zeros((seq_length, 2, *SIZE))
    for k in range(seq_length):
        for x, y, t, p in array:
            age = (k + 1) * dt - (int(t) - int(array["t"].min()))
            if age > 0:
                at = (k, int(p > 0), y, x)
                surface[at] = max(surface[at], np.exp(-age / tau))
    return surface


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dt", [1000, 700])
def test_frames_equal_the_formula(seed, dt):
    array = _array(seed=seed)
    frames = to_frames(Events.from_structured(array), LENGTH, SIZE, dt * MICRO)
    assert frames.shape == (LENGTH, 2, *SIZE)
    np.testing.assert_array_equal(frames, _frames(array, LENGTH, dt))


@pytest.mark.parametrize("event_count", [1, 7, 100])
def test_frames_by_count_equal_the_formula(event_count):
    array = _array()
    np.random.default_rng(0).shuffle(array)
    events = Events.from_structured(array)
    np.testing.assert_array_equal(
        to_frames_by_count(events, LENGTH, SIZE, event_count),
        _frames_by_count(array, LENGTH, event_count),
    )


@pytest.mark.parametrize("n_bins", [2, 5, 10])
def test_the_voxel_grid_equals_the_formula(n_bins):
    array = _array()
    grid = to_voxel_grid(Events.from_structured(array), n_bins, SIZE)
    np.testing.assert_allclose(grid, _voxel_grid(array, n_bins), atol=2e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_time_surface_equals_the_formula(seed):
    array = _array(seed=seed)
    np.random.default_rng(seed).shuffle(array)  # in any order
    surface = to_time_surface(Events.from_structured(array), LENGTH, SIZE, 3e-3, 1e-3)
    expected = _time_surface(array, LENGTH, 1000, 3000)
    np.testing.assert_allclose(surface, expected, atol=1e-6)
    np.testing.assert_array_equal(surface == 0, expected == 0)


def test_float64_times_give_float64_and_the_formula_more_closely(x64):
    array = _array()
    events = Events.from_structured(array)
    assert events.t.dtype == jnp.float64
    surface = to_time_surface(events, LENGTH, SIZE, 3e-3)
    assert surface.dtype == jnp.float64
    np.testing.assert_allclose(surface, _time_surface(array, LENGTH, 1000, 3000), atol=1e-13)
    np.testing.assert_array_equal(to_frames(events, LENGTH, SIZE), _frames(array, LENGTH, 1000))


# Six events, whose images are computed by hand, and equal those of Tonic 1.7.0 where it is
# right.

SMALL = np.array(
    [
        (0, 0, 0, 1),
        (1, 0, 500, 0),
        (0, 1, 1000, 1),
        (0, 0, 2500, 1),
        (1, 0, 2999, 1),
        (1, 1, 4000, 0),
    ],
    FIELDS,
)


def test_frames_equal_tonics_except_for_its_last_event():
    # Tonic's `to_frame_numpy(..., time_window=1000, include_incomplete=True)` returns the first
    # four of these frames, and drops the last event, which is on an edge.
    frames = to_frames(Events.from_structured(SMALL), 5, (2, 2))
    np.testing.assert_array_equal(
        frames,
        [
            [[[0, 1], [0, 0]], [[1, 0], [0, 0]]],
            [[[0, 0], [0, 0]], [[0, 0], [1, 0]]],
            [[[0, 0], [0, 0]], [[1, 1], [0, 0]]],
            [[[0, 0], [0, 0]], [[0, 0], [0, 0]]],
            [[[0, 0], [0, 1]], [[0, 0], [0, 0]]],
        ],
    )


def test_frames_by_count_equal_tonics():
    frames = to_frames_by_count(Events.from_structured(SMALL), 3, (2, 2), 2)
    np.testing.assert_array_equal(
        frames,
        [
            [[[0, 1], [0, 0]], [[1, 0], [0, 0]]],
            [[[0, 0], [0, 0]], [[1, 0], [1, 0]]],
            [[[0, 0], [0, 1]], [[0, 1], [0, 0]]],
        ],
    )


def test_the_time_surface_equals_tonics():
    surface = to_time_surface(Events.from_structured(SMALL), 4, (2, 2), tau=2e-3)
    tonic_1_7_0 = [
        [[[0.0, 0.7788007830714049], [0.0, 0.0]], [[0.6065306597126334, 0.0], [0.0, 0.0]]],
        [
            [[0.0, 0.4723665527410147], [0.0, 0.0]],
            [[0.36787944117144233, 0.0], [0.6065306597126334, 0.0]],
        ],
        [
            [[0.0, 0.2865047968601901], [0.0, 0.0]],
            [[0.7788007830714049, 0.9995001249791693], [0.36787944117144233, 0.0]],
        ],
        [
            [[0.0, 0.17377394345044514], [0.0, 0.0]],
            [[0.4723665527410147, 0.6062274701864752], [0.22313016014842982, 0.0]],
        ],
    ]
    np.testing.assert_allclose(surface, tonic_1_7_0, rtol=1e-6)


def test_the_voxel_grid_keeps_the_last_event_which_tonic_drops():
    # s = 2·t/4000: 0, 0.25, 0.5, 1.25, 1.4995, 2. Tonic scales by the number of bins
    # instead of that minus one: the last event (pixel 1, 1) is then after the last bin.
    grid = to_voxel_grid(Events.from_structured(SMALL), 3, (2, 2))
    np.testing.assert_allclose(
        grid,
        [
            [[1, -0.75], [0.5, 0]],
            [[0.75, -0.25 + 0.5005], [0.5, 0]],
            [[0.25, 0.4995], [0, -1]],
        ],
        atol=1e-6,
    )
    tonic_1_7_0 = [
        [[1.0, -0.625], [0.25, 0.0]],
        [[0.125, -0.375], [0.75, 0.0]],
        [[0.875, 0.75075], [0.0, 0.0]],
    ]
    grid = to_voxel_grid(Events.from_structured(SMALL), 3, (2, 2), scaling="tonic")
    np.testing.assert_allclose(grid, tonic_1_7_0, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 2, 3, 8]), st.integers(0, 2**32 - 1))
def test_the_voxel_grid_sums_to_the_polarities(n_bins, seed):
    events = Events.from_structured(_array(50, seed))
    grid = np.asarray(to_voxel_grid(events, n_bins, SIZE))
    np.testing.assert_allclose(grid.sum(), np.sum(events.p), atol=1e-4)


def test_the_voxel_grid_of_one_bin_or_one_instant_is_in_the_first_bin():
    events = Events(x=[0, 1, 1], y=[0, 0, 0], t=[0.0, 1.0, 3.0], p=[1, 1, -1])
    np.testing.assert_array_equal(to_voxel_grid(events, 1, (1, 2)), [[[1, 0]]])
    once = Events(x=[0, 1, 1], y=[0, 0, 0], t=[2.0, 2.0, 2.0], p=[1, 1, 1])
    np.testing.assert_array_equal(to_voxel_grid(once, 2, (1, 2)), [[[1, 2]], [[0, 0]]])


def _frames_of_edges(dt):
    # `floor(t / dt)` puts half of these one frame too early or late, at 1 ms in float32
    array = np.zeros(10_000, FIELDS)
    array["t"] = dt * np.arange(array.size)
    events = Events.from_structured(array)
    return to_frames(events, array.size, (1, 1), dt * MICRO)[:, 0, 0, 0]


@pytest.mark.parametrize("dt", [300, 700, 1000])
def test_events_on_edges_are_in_the_later_frame(dt):
    np.testing.assert_array_equal(_frames_of_edges(dt), 1)


@pytest.mark.parametrize("dt", [300, 700, 1000])
def test_events_on_edges_are_in_the_later_frame_in_float64(x64, dt):
    np.testing.assert_array_equal(_frames_of_edges(dt), 1)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 10**16), st.integers(0, 7 * 10**6))
def test_large_time_stamps_keep_their_microseconds(start, tick):
    array = np.zeros(2, FIELDS)
    array["t"] = [start, start + tick]
    t = Events.from_structured(array).t
    assert float(t[0]) == 0
    assert round(float(t[1]) / MICRO) == tick


def test_origin_and_time_unit():
    array = _array(5, start=500)
    t = np.asarray(Events.from_structured(array, origin=400).t)
    np.testing.assert_allclose(t, (array["t"] - 400) * 1e-6, rtol=1e-6)
    first = array["t"][1]
    t = np.asarray(Events.from_structured(array, origin=first, time_unit=1e-3).t)
    np.testing.assert_allclose(t, (array["t"] - first) * 1e-3, rtol=1e-6)
    assert t[0] < 0
    t = np.asarray(Events.from_structured(array, origin=400.5).t)
    np.testing.assert_allclose(t, (array["t"] - 400.5) * 1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["u8", "u4", "i4", "f8"])
def test_times_of_any_type(kind):
    array = _array(start=0).astype([("x", "u2"), ("y", "u2"), ("t", kind), ("p", "?")])
    events = Events.from_structured(array, time_unit=1e-6 if kind == "f8" else None)
    np.testing.assert_array_equal(to_frames(events, LENGTH, SIZE), _frames(array, LENGTH, 1000))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floating_times_need_their_unit(kind):
    array = np.zeros(3, [("x", "u2"), ("t", kind), ("p", "?")])
    array["t"] = [0.25, 0.5, 1.0]  # seconds, as in SHD's files, which have float16
    with pytest.raises(ValueError, match=r"`time_unit` must be given .*: 1.0 if they are sec"):
        Events.from_structured(array)
    events = Events.from_structured(array, time_unit=1.0, origin=0)
    np.testing.assert_array_equal(events.t, [0.25, 0.5, 1.0])


def test_ticks_beyond_those_of_signed_integers():
    array = np.zeros(3, [("x", "u2"), ("t", "u8"), ("p", "?")])
    array["t"] = np.array([2**64 - 3, 2**64 - 2, 2**64 - 1], np.uint64)
    np.testing.assert_allclose(Events.from_structured(array).t, [0, 1e-6, 2e-6])
    late = Events.from_structured(array, origin=array["t"][2])
    np.testing.assert_allclose(late.t, [-2e-6, -1e-6, 0])


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (("x", "y", "t", "p"), None),
        (("x", "y", "timestamp", "polarity"), None),  # dv
        (("x", "y", "t", "on"), None),  # Event Stream files
        (("column", "row", "time", "sign"), dict(x="column", y="row", t="time", p="sign")),
        (("x", "y", "when", "p"), {"t": "when"}),
    ],
)
def test_names_of_fields(names, fields):
    array = _array()
    usual = Events.from_structured(array)
    array = rename_fields(array, dict(zip("xytp", names, strict=True)))
    found = Events.from_structured(array, fields=fields)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(usual), strict=True):
        np.testing.assert_array_equal(one, other)


def test_names_of_fields_that_are_not_there_are_refused():
    with pytest.raises(
        ValueError, match=r"fields x, y, t, p, or others .*fields=\{'t': 'time'"
    ):
        Events.from_structured(_array(), fields={"t": "time"})
    with pytest.raises(ValueError, match=r"`fields` must name x, y, t or p, got \['time'\]"):
        Events.from_structured(_array(), fields={"time": "t"})


def test_ticks_are_refused_where_seconds_are_expected():
    with pytest.raises(ValueError, match="`t` must be seconds, of a floating dtype, got int"):
        Events(x=[0, 1], y=[0, 0], t=[1000, 2000], p=[1, 1])


def test_unsigned_times_before_the_origin_are_negative():
    array = np.zeros(2, [("x", "u2"), ("y", "u2"), ("t", "u4"), ("p", "?")])
    array["t"] = [5, 3]
    np.testing.assert_allclose(Events.from_structured(array, origin=5).t, [0, -2e-6])
    np.testing.assert_allclose(Events.from_structured(array).t, [2e-6, 0])


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "f4"])
def test_polarities_of_any_type_are_signs(dtype):
    array = _array()
    signed = array.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", dtype)])
    expected = np.where(array["p"] > 0, 1, -1)
    np.testing.assert_array_equal(Events.from_structured(signed).p, expected)
    if dtype in ("i1", "f4"):
        signed["p"] = expected
        np.testing.assert_array_equal(Events.from_structured(signed).p, expected)


def test_data_without_y_has_one_row():
    # as Tonic's audio data: x, t, p
    array = _array()[["x", "t", "p"]]
    events = Events.from_structured(array)
    np.testing.assert_array_equal(events.y, 0)
    assert float(to_frames(events, 10, (1, 5)).sum()) == array.size


def test_the_input_array_is_not_changed(transform):
    # Tonic's voxel grid turns the 0 of the caller's polarities into -1
    array = _array()
    copy = array.copy()
    array.setflags(write=False)
    transform(Events.from_structured(array, 100))
    np.testing.assert_array_equal(array, copy)


def test_vmap_equals_a_loop(transform):
    recordings = [Events.from_structured(_array(n, n), 80) for n in (80, 33, 1)]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *recordings)
    out = np.asarray(jax.jit(jax.vmap(transform))(batch))
    for k, events in enumerate(recordings):
        np.testing.assert_allclose(out[k], transform(events), rtol=1e-6)


def test_padding_has_no_effect(transform):
    array = _array()
    plain = transform(Events.from_structured(array))
    np.testing.assert_array_equal(transform(Events.from_structured(array, 137)), plain)
    # padding of any content, in front and in between
    events = Events.from_structured(array)
    at = np.sort(np.random.default_rng(0).choice(180, 80, replace=False))

    def spread(values, filler):
        out = np.full(180, filler, np.asarray(values).dtype)
        out[at] = values
        return out

    for fillers in [(0, 0, 0.0, 1.0), (-1, 99, np.nan, np.nan), (2, 2, -np.inf, 5.0)]:
        fields = (events.x, events.y, _exact_times(events), events.p)
        x, y, t, p = (spread(v, f) for v, f in zip(fields, fillers, strict=True))
        padded = Events(x, y, t, p, spread(np.ones(80, bool), False))
        np.testing.assert_array_equal(transform(padded), plain)


@pytest.mark.parametrize(
    ("x", "y", "t"),
    [
        (-1, 0, 1e-3),
        (5, 0, 1e-3),
        (0, -1, 1e-3),
        (0, 4, 1e-3),
        (0, 0, np.nan),
        (0, 0, np.inf),
        (0, 0, -np.inf),
    ],
)
def test_events_off_the_sensor_or_without_a_finite_time_are_left_out(transform, x, y, t):
    events = Events.from_structured(_array())
    fields = (events.x, events.y, _exact_times(events), events.p)
    added = (x, y, t, 1.0)
    more = Events(
        *(np.append(f, np.asarray(a, f.dtype)) for f, a in zip(fields, added, strict=True))
    )
    np.testing.assert_array_equal(transform(more), transform(events))


def test_frames_sum_to_the_number_of_events_that_count():
    t = [-1e-3, 0.0, 1.999e-3, 2e-3, np.nan, 1e-3]
    events = Events(x=[0] * 6, y=[0] * 6, t=t, p=[1, 1, 1, 1, 1, 0], mask=[True] * 6)
    frames = to_frames(events, 2, (1, 1))
    np.testing.assert_array_equal(frames[..., 0, 0], [[0, 1], [1, 1]])
    assert int(events.mask.sum()) - int(frames.sum()) == 3


def test_floating_polarities_are_weights_and_zero_and_nan_are_left_out():
    events = Events(x=[0, 1, 2], y=[0] * 3, t=[0.0, 1e-3, 2e-3], p=[0.5, 0.0, np.nan])
    assert float(to_frames(events, 3, (1, 3)).sum()) == 1
    assert float((to_time_surface(events, 3, (1, 3), 1e-3) > 0).sum()) == 3
    grid = to_voxel_grid(events, 3, (1, 3))
    np.testing.assert_array_equal(grid[:, 0, 0], [0.5, 0, 0])
    np.testing.assert_array_equal(grid[:, 0, 1], 0)
    assert np.isnan(grid[2, 0, 2])


HOURS = 5 * 3600 * 10**6  # in microseconds, where float32 resolves 2 ms


@pytest.mark.parametrize("overlap", [0, 300])
@pytest.mark.parametrize("dt", [1000, 700])
def test_microseconds_are_exact_after_hours(dt, overlap):
    array = _array(400, seed=3, start=HOURS)
    stride = dt - overlap
    first = HOURS // stride
    late = Events.from_structured(array, origin=0)
    # the frames around the recording only: those before it would be millions
    ticks = array["t"].astype(np.int64)
    numbers = first - 2 + np.arange(LENGTH + 2)
    seconds = Fraction(stride, 10**6)
    begun = np.asarray(count_at_or_before(late, multiples(numbers, seconds)))
    ends = multiples(numbers, seconds, Fraction(dt, 10**6))
    ended = np.asarray(count_at_or_before(late, ends))
    for k, start in enumerate(numbers * stride):
        expected = np.sum((ticks >= start) & (ticks < start + dt))
        assert np.sum((begun > k) & (ended <= k)) == expected
    assert len(np.unique(np.asarray(late.t))) < 10  # what float32 alone would tell apart


def test_frames_of_a_recording_of_hours():
    rng = np.random.default_rng(0)
    array = np.zeros(20_000, FIELDS)
    array["t"] = rng.integers(0, 7200 * 10**6, array.size)
    array["t"][::2] -= array["t"][::2] % 10**6 - rng.integers(-1, 2, 10_000)  # around edges
    events = Events.from_structured(array, origin=0)
    frames = to_frames(events, 7200, (1, 1), dt=1.0, polarities=1)[:, 0, 0, 0]
    expected = np.bincount(array["t"][array["t"] >= 0] // 10**6, minlength=7200)
    np.testing.assert_array_equal(frames, expected[:7200])
    rounded = Events(events.x, events.y, events.t, events.p)
    assert np.any(to_frames(rounded, 7200, (1, 1), dt=1.0, polarities=1)[:, 0, 0, 0] != frames)


@pytest.mark.parametrize("name", ["frames_by_count", "voxel_grid", "averaged"])
def test_what_is_relative_is_the_same_after_hours(name):
    transform = TRANSFORMS[name]
    array = _array()
    early = Events.from_structured(array)
    late = Events.from_structured(array, origin=int(array["t"].min()) - HOURS)
    np.testing.assert_allclose(transform(late), transform(early), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("overlap", [100, 500, 900])
def test_frames_that_overlap(overlap):
    array = _array()
    frames = to_frames(
        Events.from_structured(array), LENGTH, SIZE, 1e-3, overlap=overlap * MICRO
    )
    ticks = array["t"] - array["t"].min()
    for k, frame in enumerate(frames):
        start = k * (1000 - overlap)
        now = array[(ticks >= start) & (ticks < start + 1000)]
        expected = np.zeros((2, *SIZE))
        np.add.at(expected, (now["p"], now["y"], now["x"]), 1)
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize(("count", "overlap"), [(7, 1), (10, 5), (10, 9)])
def test_frames_by_count_that_overlap(count, overlap):
    array = _array()
    frames = to_frames_by_count(
        Events.from_structured(array), LENGTH, SIZE, count, overlap=overlap, polarities=1
    )
    for k, frame in enumerate(frames):
        now = _in_order(array)[k * (count - overlap) :][:count]
        expected = np.zeros((1, *SIZE))
        np.add.at(expected, (0, now["y"], now["x"]), 1)
        np.testing.assert_array_equal(frame, expected)


def test_the_program_does_not_grow_with_the_overlap():
    events = Events.from_structured(_array())

    def scatters(call):
        return str(jax.make_jaxpr(call)(events)).count("scatter-add[")

    for transform in (
        lambda overlap: lambda e: to_frames(e, LENGTH, SIZE, 1.0, overlap=overlap / 100),
        lambda overlap: lambda e: to_frames_by_count(e, LENGTH, SIZE, 100, overlap=overlap),
    ):
        assert scatters(transform(50)) == scatters(transform(99)) == 2


def test_one_and_three_polarities():
    array = _array()
    array["p"] = np.random.default_rng(1).integers(0, 3, array.size)
    events = Events.from_structured(array, polarities=3)
    three, two, one = (to_frames(events, 12, SIZE, polarities=n) for n in (3, 2, 1))
    expected = np.zeros((3, *SIZE))
    np.add.at(expected, (array["p"], array["y"], array["x"]), 1)
    np.testing.assert_array_equal(three.sum(0), expected)
    np.testing.assert_array_equal(two, three[:, ::2])
    np.testing.assert_array_equal(one[:, 0], three.sum(1))
    surface = to_time_surface(events, 12, SIZE, 1e-3, polarities=3)
    np.testing.assert_array_equal(surface[-1] > 0, expected > 0)
    merged = to_time_surface(events, 12, SIZE, 1e-3, polarities=1)
    np.testing.assert_array_equal(merged[:, 0], surface.max(1))


def test_the_size_of_the_sensor_is_inferred_outside_of_jit():
    events = Events([0, 4, 9], [2, 1, 9], [0.0, 0.0, 0.0], [1, 1, 1], [True, True, False])
    assert events.sensor_size == (3, 5)
    assert Events.from_structured(np.zeros(0, FIELDS), 3).sensor_size == (1, 1)
    assert to_frames(events, 1, events.sensor_size).shape == (1, 2, 3, 5)
    with pytest.raises(ValueError, match="`sensor_size` must be known outside of `jit`"):
        jax.jit(lambda e: to_frames(e, 1, e.sensor_size))(events)


def test_events_that_are_left_out_are_counted():
    events = Events(
        x=[0, 5, 0, 0, 0, 0, 0, 0],
        y=[0, 0, 0, 0, 0, 0, 0, -1],
        t=[0.0, 0.0, np.nan, 0.0, -1e-3, 2e-3, 0.5e-3, np.inf],
        p=[1.0, 1.0, 1.0, 0.0, 1.0, 1.0, np.nan, 1.0],
        mask=[True] * 8,
    )
    counted = count_left_out(events, 2, SIZE)
    assert tuple(map(int, counted)) == (2, 1, 2, 1, 1)
    assert counted._fields == ("off_sensor", "no_time", "no_polarity", "before", "after")
    assert int(to_frames(events, 2, SIZE).sum()) + sum(map(int, counted)) == 8
    assert int(count_left_out(events, 2, SIZE, polarities=1).no_polarity) == 1
    # with overlap, the last frame ends earlier
    assert int(count_left_out(events, 2, SIZE, overlap=0.9e-3).after) == 1
    assert sum(map(int, count_left_out(Events.from_structured(_array(), 200), 10, SIZE))) == 0


def _averaged_time_surface(array, cell, surface, time_window, tau):
    """Event by event, in ticks."""
    rows, columns = -(-SIZE[0] // cell), -(-SIZE[1] // cell)
    sums = np.zeros((rows * columns, 2, surface, surface))
    counts = np.zeros((rows * columns, 2, 1, 1))
    half = surface // 2
    ordered = _in_order(array)
    for i, event in enumerate(ordered):
        place = (event["y"] // cell * columns + event["x"] // cell, event["p"])
        counts[place] += 1
        sums[place][half, half] += 1
        for other in ordered[:i]:
            dy, dx = int(other["y"]) - int(event["y"]), int(other["x"]) - int(event["x"])
            age = int(event["t"]) - int(other["t"])
            its = (other["y"] // cell * columns + other["x"] // cell, other["p"])
            if its == place and max(abs(dy), abs(dx)) <= half and age <= time_window:
                sums[place][half + dy, half + dx] += np.exp(-age / tau)
    return sums / np.maximum(counts, 1)


@pytest.mark.parametrize(
    ("cell", "surface", "window", "tau"),
    [(3, 3, 3000, 2000), (2, 5, 500, 2000), (10, 1, 10**6, 100)],
)
def test_the_averaged_time_surface_equals_the_formula(cell, surface, window, tau):
    # equal to Tonic 1.7.0's in float64; it compares ticks in float32
    array = _array(200, seed=5)
    np.random.default_rng(5).shuffle(array)
    averaged = to_averaged_time_surface(
        Events.from_structured(array, 230),
        SIZE,
        cell_size=cell,
        surface_size=surface,
        time_window=window * MICRO,
        tau=tau * MICRO,
    )
    expected = _averaged_time_surface(array, cell, surface, window, tau)
    np.testing.assert_allclose(averaged, expected, rtol=1e-5, atol=1e-6)


def _gradient(transform, events):
    return eqx.filter_jit(eqx.filter_grad(lambda e: transform(e).sum()))(events)


@pytest.mark.parametrize("capacity", [1, 6])
def test_no_events_give_zeros(transform, capacity):
    empty = Events.from_structured(np.zeros(0, FIELDS), capacity)
    out = transform(empty)
    np.testing.assert_array_equal(out, 0)
    np.testing.assert_array_equal(out, transform(Events.from_structured(np.zeros(0, FIELDS))))
    nothing = np.zeros(0, np.float32)
    none = Events(nothing.astype(int), nothing.astype(int), nothing, nothing)
    np.testing.assert_array_equal(transform(none), 0)
    gradient = _gradient(transform, empty)
    np.testing.assert_array_equal(gradient.t, 0)
    np.testing.assert_array_equal(gradient.p, 0)


def _exact_times(events):
    return np.asarray(events.t, float) + np.asarray(events.rest)


def _numerical_gradient(f, x, h):
    gradient = np.zeros(x.size)
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = h
        gradient[i] = (float(f(x + e)) - float(f(x - e))) / (2 * h)
    return gradient


def _with(events, **fields):
    names = list(fields)
    return eqx.tree_at(lambda e: [getattr(e, n) for n in names], events, list(fields.values()))


@pytest.mark.parametrize("name", ["voxel_grid", "time_surface", "averaged"])
@pytest.mark.parametrize("field", ["t", "p"])
def test_derivatives_equal_finite_differences(x64, name, field):
    rng = np.random.default_rng(0)
    # away from bins and edges, and at different times
    array = _array(40)
    array["t"] = rng.permutation(np.arange(40) * 200 + 37)
    events = Events.from_structured(array, 45, origin=0)

    def loss(values):
        out = TRANSFORMS[name](_with(events, **{field: values}))
        return jnp.sum(weights * out)

    weights = rng.normal(size=TRANSFORMS[name](events).shape)
    values = np.asarray(getattr(events, field))
    expected = _numerical_gradient(jax.jit(loss), values, 1e-7)
    both = jax.jit(lambda values: (jax.grad(loss)(values), jax.jacfwd(loss)(values)))
    reverse, forward = both(values)
    np.testing.assert_allclose(reverse, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(reverse[40:], 0)  # the padding
    assert np.any(np.asarray(reverse) != 0) == (field == "t" or name == "voxel_grid")


def test_the_voxel_grids_derivative_at_the_ends_and_instants():
    # three bins over one second: ds/dt = 2 per second; at s = 1 that of the interval after
    def grid(t):
        times = jnp.stack([jnp.array(0.0), t, jnp.array(1.0)])
        events = Events(x=[0, 1, 0], y=[0, 0, 0], t=times, p=[1, 1, 1])
        return to_voxel_grid(events, 3, (1, 2))[:, 0, 1]

    derivative = jax.jit(jax.jacfwd(grid))
    np.testing.assert_allclose(derivative(0.25), [-2, 2, 0])
    np.testing.assert_allclose(derivative(0.5), [0, -2, 2])
    # at the end that of the interval before, minus the half through `t_last`
    np.testing.assert_allclose(derivative(1.0), [0, -1, 1])


def test_the_time_surfaces_derivative_is_the_surface_over_tau_of_the_last_event_only():
    def surface(t):
        events = Events(x=[0, 0], y=[0, 0], t=t, p=[1, 1])
        return to_time_surface(events, 2, (1, 1), tau=2e-3)[:, 1, 0, 0]

    t = jnp.array([0.4e-3, 1.5e-3])
    value = np.exp([-0.3, -0.25])
    jacobian = jax.jit(jax.jacrev(surface))
    np.testing.assert_allclose(jax.jit(surface)(t), value, rtol=1e-6)
    np.testing.assert_allclose(
        jacobian(t), [[value[0] / 2e-3, 0], [0, value[1] / 2e-3]], rtol=1e-6
    )
    together = jnp.array([0.4e-3, 0.4e-3])
    np.testing.assert_array_equal(np.asarray(jacobian(together))[:, 0], 0)


def test_events_that_are_left_out_give_no_nan_derivatives(transform):
    events = Events([0, 1, 0], [0, 0, 9], [jnp.nan, 1e-3, 5e-4], [1.0, -1.0, jnp.nan])
    gradient = _gradient(transform, events)
    assert np.isfinite(gradient.t).all()
    assert np.isfinite(gradient.p).all()


def test_gradient_of_frames_is_zero():
    events = Events.from_structured(_array())
    gradient = _gradient(TRANSFORMS["frames"], events)
    np.testing.assert_array_equal(gradient.t, 0)


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        ({}, {"capacity": 79}, r"`capacity` must be at least the number of events, 80, got 79"),
        ({}, {"capacity": 0}, "`capacity` must be at least 1, got 0"),
        ({}, {"time_unit": 0.0}, "`time_unit` must be positive, got 0.0"),
        ({}, {"origin": float("nan")}, "`origin` must be finite, got nan"),
        ({"p": 2}, {}, r"`p` must be 0 and 1, or -1 and 1, got \[0.0, 1.0, 2.0\]"),
        ({"p": -1}, {}, r"`p` must be 0 and 1, or -1 and 1, got \[-1.0, 0.0, 1.0\]"),
        ({"p": 3}, {"polarities": 3}, r"`p` must be 0, 1 and 2, got \[0.0, 1.0, 3.0\]"),
        ({}, {"polarities": 1}, "`polarities` must be 2 or 3, got 1"),
    ],
)
def test_bad_recordings_are_refused(change, kwargs, message):
    array = _array()
    for name, value in change.items():
        array[name][0] = value
    with pytest.raises(ValueError, match=message):
        Events.from_structured(array, **kwargs)


def test_arrays_of_another_kind_are_refused():
    for array in (np.zeros((3, 4)), _array()[["x", "y", "t"]], _array()[:, None]):
        with pytest.raises(ValueError, match="`array` must be a 1-D structured array"):
            Events.from_structured(array)
    array = _array().astype([("x", "i2"), ("y", "i2"), ("t", "f8"), ("p", "i1")])
    array["t"][3] = np.nan
    with pytest.raises(ValueError, match="`t` must be finite"):
        Events.from_structured(array, time_unit=1e-6)


def test_fields_of_different_lengths_are_refused():
    with pytest.raises(TypeCheckError, match="'y'"):
        Events(jnp.zeros(3, int), jnp.zeros(2, int), jnp.zeros(3), jnp.zeros(3))
    with pytest.raises(ValueError, match="must be 1-D and of one length"):
        Events([0, 0], [0], [0.0, 0.0], [1, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: to_frames(e, 0, SIZE), "`seq_length` must be at least 1, got 0"),
        (lambda e: to_frames(e, 3, (0, 5)), "`sensor_size` must be at least 1, got 0"),
        (lambda e: to_frames(e, 3, SIZE, 0.0), "`dt` must be positive, got 0.0"),
        (lambda e: to_frames_by_count(e, 3, SIZE, 0), "`event_count` must be at least 1"),
        (lambda e: to_voxel_grid(e, 0, SIZE), "`n_bins` must be at least 1, got 0"),
        (lambda e: to_time_surface(e, 3, SIZE, -1.0), "`tau` must be positive, got -1.0"),
        (
            lambda e: to_frames(e, 3, SIZE, overlap=1e-3),
            "`overlap` must be less than `dt`",
        ),
        (lambda e: to_frames(e, 3, SIZE, overlap=-1e-3), "`overlap` must be at least 0, got"),
        (lambda e: to_frames(e, 3, SIZE, polarities=4), r"`polarities` must be 1 \(all in one"),
        (
            lambda e: to_frames_by_count(e, 3, SIZE, 5, overlap=5),
            "`overlap` must be less than `event_count`, 5, got 5",
        ),
        (
            lambda e: to_voxel_grid(e, 3, SIZE, scaling="x"),
            '`scaling` must be "zhu" or "tonic"',
        ),
        (
            lambda e: TRANSFORMS["averaged"](e, surface_size=4),
            "`surface_size` must be odd, got 4",
        ),
        (lambda e: TRANSFORMS["averaged"](e, tau=0.0), "`tau` must be positive, got 0.0"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(Events.from_structured(_array()))


def test_tonics_sensor_size_is_refused():
    with pytest.raises(TypeCheckError, match="sensor_size"):
        to_frames(Events.from_structured(_array()), 3, (5, 4, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda events: to_frames_by_count(events, 3, SIZE, 20),
        lambda events: to_time_surface(events, 3, SIZE, 3e-3, 1e-3),
    ],
)
def test_events_that_a_program_closes_over_are_sorted_when_it_runs(call):
    """XLA's sort at compile time took half a minute for 60,000 events."""
    events = Events.from_structured(_array())
    compiled = jax.jit(lambda: call(events)).lower().compile()
    assert "sort(" in compiled.as_text()
    np.testing.assert_array_equal(compiled(), call(events))
