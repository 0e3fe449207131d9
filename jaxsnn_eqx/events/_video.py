"""Events that a camera with independent pixels would send for a video."""

from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Shaped

from .._types import NestedNumbers, checked, number_of_at_least_zero, to_array
from ._events import Events, padded


@checked
def from_video(
    frames: Shaped[ArrayLike, "time height width"] | NestedNumbers,
    times: Shaped[ArrayLike, " time"] | NestedNumbers,
    *,
    threshold: Any = 0.2,
    threshold_off: Any = None,
    refractory: float = 0.0,
    floor: float = 1e-2,
    capacity: int | None = None,
) -> Events:
    r"""Events of an event camera that sees a video.

    Each pixel remembers the logarithm $L$ of the intensity at its last event (at first, that of
    the first frame), and sends an event of +1 when $L$ has risen by `threshold` since, and of
    −1 when it has fallen by `threshold_off`. With $I$ the frame and $f$ the `floor`,

    $$
    L = \log(I + f)
    $$

    Between two frames $L$ changes linearly, so a large change gives several events at
    different times. For `refractory` seconds after an event a pixel is held in reset: it sends
    nothing, and remembers $L$ at the end of that time.

    This runs on the host, in float64, outside `jax.jit`.

    ```python
    >>> import numpy as np
    >>> from jaxsnn_eqx.events import from_video
    >>> frames = np.exp(np.array([0.0, 1.0, 0.4])).reshape(3, 1, 1)
    >>> events = from_video(frames, times=[0.0, 1.0, 2.0], threshold=0.45, floor=0.0)
    >>> [round(float(t), 3) for t in events.t], events.p
    ([0.45, 0.9, 1.917], Array([ 1.,  1., -1.], dtype=float32))

    ```

    **Arguments:**

    - `frames`: intensities of at least 0, of shape `"time height width"`, such as 0 to 1.
    - `times`: of the frames, in seconds, increasing.
    - `threshold`: change of log intensity for an event, positive; 0.1 to 0.4 in cameras. One
        number, or one for each pixel, of shape `"height width"`: pixels differ by some 0.03.
        (Keyword only.)
    - `threshold_off`: the same for darker; by default `threshold`. (Keyword only.)
    - `refractory`: in seconds, at least 0. (Keyword only.)
    - `floor`: added to intensities, so that black has a logarithm, in their unit; at least 0.
        (Keyword only.)
    - `capacity`: the length to pad to; by default the number of events. (Keyword only.)

    **Returns:**

    An `Events` in order of time; at the same time in order of rows.

    **Raises:** `ValueError` for arguments outside of these ranges, an intensity that has no
    finite logarithm, or more events than `capacity`.

    Source: Lichtsteiner, Posch & Delbruck, "A 128×128 120 dB 15 µs latency asynchronous
    temporal contrast vision sensor", IEEE Journal of Solid-State Circuits 43 (2008); Hu, Liu &
    Delbruck, "v2e: From video frames to realistic DVS events", CVPR Workshops (2021).
    """
    images = np.asarray(to_array(frames), float)
    moments = np.asarray(to_array(times), float)
    refractory = number_of_at_least_zero("refractory")(refractory)
    floor = number_of_at_least_zero("floor")(floor)
    if images.ndim != 3 or moments.shape != images.shape[:1]:
        raise ValueError(
            '`frames` must have the shape "time height width", and `times` one time for each, '
            f"got shapes {images.shape} and {moments.shape}."
        )
    if not np.isfinite(moments).all() or (np.diff(moments) <= 0).any():
        raise ValueError("`times` must be finite and increasing, in seconds.")
    if not np.isfinite(images).all() or (images < 0).any() or (images + floor == 0).any():
        raise ValueError(
            "`frames` must be finite intensities of at least 0, and above 0 if `floor` is 0."
        )
    on = _thresholds("threshold", threshold, images.shape[1:])
    off = on if threshold_off is None else _thresholds("threshold_off", threshold_off, on.shape)
    found = _crossings(np.log(images + floor), moments, on, off, refractory)
    ts, ys, xs, ps = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((xs, ys, ts))
    return padded(xs[order], ys[order], ts[order], ps[order], capacity)


def _thresholds(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(to_array(value), float)
    if values.shape not in ((), shape) or not np.isfinite(values).all() or (values <= 0).any():
        raise ValueError(
            f"`{name}` must be positive, one number or of the shape {shape} of a frame, got "
            f"shape {values.shape}."
        )
    return np.broadcast_to(values, shape)


def _crossings(
    logs: np.ndarray, times: np.ndarray, on: np.ndarray, off: np.ndarray, refractory: float
) -> list[tuple[np.ndarray, ...]]:
    """Lists of times, rows, columns and polarities, from frame to frame."""
    nothing = np.zeros(0)
    found = [(nothing, nothing.astype(int), nothing.astype(int), nothing)]
    memory, ready = logs[0].copy(), np.full(logs.shape[1:], -np.inf)
    for start, end, before, after in zip(times, times[1:], logs, logs[1:], strict=False):
        slope = (after - before) / (end - start)
        while True:
            # reset ends within this interval
            wakes = (ready > start) & (ready <= end)
            awake = before + slope * np.where(wakes, ready - start, 0)
            memory = np.where(wakes, awake, memory)
            ready = np.where(wakes, -np.inf, ready)
            rise = np.where(slope > 0, memory + on, memory - off) - before
            with np.errstate(divide="ignore", invalid="ignore"):
                at = start + rise / slope
            fires = (slope != 0) & (at <= end) & (ready == -np.inf)
            if not fires.any():
                break
            rows, columns = np.nonzero(fires)
            sign = np.sign(slope[fires])
            found.append((at[fires], rows, columns, sign))
            memory = np.where(fires, before + rise, memory)
            if refractory > 0:
                ready = np.where(fires, at + refractory, ready)
    return found
