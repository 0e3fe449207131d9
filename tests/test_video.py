"""Events of a video against a loop over one pixel."""

import numpy as np
import pytest

from jaxsnn_eqx.events import from_video, to_frames

TIMES = np.array([0.0, 0.01, 0.03, 0.04, 0.05, 0.08])


def video(height=3, width=4, seed=0):
    return np.random.default_rng(seed).uniform(0.0, 1.0, (len(TIMES), height, width))


def of_one_pixel(logs, times, on, off, refractory):
    """In small steps of time: `[(time, polarity)]`, sharp to one of them."""
    fine = np.linspace(times[0], times[-1], 160_001)
    found, memory, until = [], logs[0], -np.inf
    for t, level in zip(fine, np.interp(fine, times, logs), strict=True):
        if t < until:
            memory = level
        elif level >= memory + on - 1e-12:
            memory += on
            found.append((t, 1.0))
        elif level <= memory - off + 1e-12:
            memory -= off
            found.append((t, -1.0))
        else:
            continue
        if t >= until and refractory:
            until = t + refractory
            memory = level
    return found


@pytest.mark.parametrize("refractory", [0.0, 3e-3, 2e-2])
def test_it_is_the_loop(refractory, x64):
    frames = video()
    on = np.random.default_rng(1).uniform(0.2, 0.4, (3, 4))
    events = from_video(
        frames, TIMES, threshold=on, threshold_off=0.35, refractory=refractory, floor=0.05
    )
    assert events.mask.all()
    assert (np.diff(events.t) >= 0).all()
    for row in range(3):
        for column in range(4):
            logs = np.log(frames[:, row, column] + 0.05)
            expected = of_one_pixel(logs, TIMES, on[row, column], 0.35, refractory)
            here = (events.y == row) & (events.x == column)
            assert len(expected) > (1 if refractory < 1e-2 else 0)
            np.testing.assert_array_equal(events.p[here], [p for _, p in expected])
            np.testing.assert_allclose(events.t[here], [t for t, _ in expected], atol=1e-5)


def test_the_events_add_up_to_the_change(x64):
    frames = video(8, 9, seed=2)
    events = from_video(frames, TIMES, threshold=0.05, floor=0.1)
    change = np.log(frames[-1] + 0.1) - np.log(frames[0] + 0.1)
    counts = np.asarray(to_frames(events, 1, (8, 9), dt=1.0))[0]
    np.testing.assert_allclose(0.05 * (counts[1] - counts[0]), change, atol=0.05 + 1e-9)


def test_brightness_does_not_matter_without_a_floor(x64):
    frames = video() + 0.1
    plain, brighter = (from_video(f, TIMES, floor=0.0) for f in (frames, 7 * frames))
    np.testing.assert_allclose(plain.t, brighter.t, atol=1e-12)
    np.testing.assert_array_equal(plain.p, brighter.p)


def test_a_still_video_has_no_events_and_capacity_pads():
    none = from_video(np.ones((4, 2, 2)), [0.0, 1.0, 2.0, 3.0])
    assert none.mask.tolist() == [False]
    one = from_video(np.array([1.0, 1.3]).reshape(2, 1, 1), [0.0, 1.0], capacity=3)
    assert one.mask.tolist() == [True, False, False]


def test_a_threshold_that_is_reached_at_a_frame_gives_an_event_there():
    then_still = np.array([1.0, 2.0, 2.0]).reshape(3, 1, 1)
    events = from_video(then_still, [0.0, 1.0, 2.0], threshold=np.log(2.0), floor=0.0)
    assert events.t.tolist() == [1.0]
    assert events.mask.tolist() == [True]


BAD = {
    "shape": ((np.ones((3, 2)), [0.0, 1.0, 2.0]), {}, None),
    "times": ((np.ones((3, 2, 2)), [0.0, 1.0, 1.0]), {}, "`times` must be finite and increas"),
    "number of times": ((np.ones((3, 2, 2)), [0.0, 1.0]), {}, None),
    "negative": ((-np.ones((2, 2, 2)), [0.0, 1.0]), {}, "`frames` must be finite intensities"),
    "black": ((np.zeros((2, 2, 2)), [0.0, 1.0]), {"floor": 0.0}, "above 0 if `floor` is 0"),
    "threshold": (
        (np.ones((2, 2, 2)), [0.0, 1.0]),
        {"threshold": np.ones(3)},
        r"`threshold` must be positive, one number or of the shape \(2, 2\)",
    ),
    "off": (
        (np.ones((2, 2, 2)), [0.0, 1.0]),
        {"threshold_off": 0.0},
        "`threshold_off` must be",
    ),
    "refractory": ((np.ones((2, 2, 2)), [0.0, 1.0]), {"refractory": -1.0}, "`refractory` must"),
    "capacity": (
        (np.array([1.0, 9.0]).reshape(2, 1, 1), [0.0, 1.0]),
        {"capacity": 2},
        "`capacity` must be at least the number of events, 10, got 2",
    ),
}


@pytest.mark.parametrize(("args", "kwargs", "match"), BAD.values(), ids=BAD)
def test_bad_videos_are_refused(args, kwargs, match):
    with pytest.raises((ValueError, TypeError), match=match):
        from_video(*args, **kwargs)
