"""Datasets that are generated, so that nothing is downloaded."""

import math

import numpy as np
from jaxtyping import Float, Int

from ._types import at_least_zero, checked, positive_int, positive_number, real_number


@checked
def yin_yang(
    seed: int,
    size: int,
    *,
    r_big: float = 0.5,
    r_small: float = 0.1,
    mirror: bool = True,
    bias: float | None = None,
) -> tuple[Float[np.ndarray, "size features"], Int[np.ndarray, " size"]]:
    """The Yin-Yang dataset: points in the yin, the yang, or the dots of the symbol.

    There are three classes: 0 (yang), 1 (yin) and 2 (the two dots), with `size / 3` points each
    (one more for the first classes, if `size` is not divisible by 3), in random order.

    ```python
    >>> from jaxsnn_eqx.datasets import yin_yang
    >>> points, classes = yin_yang(0, 6, bias=0.0)
    >>> points.shape, sorted(classes.tolist())
    ((6, 5), [0, 0, 1, 1, 2, 2])

    ```

    **Arguments:**

    - `seed`: for NumPy's generator, an int of at least 0; the same seed gives the same points.
    - `size`: number of points, at least 1.
    - `r_big`: radius of the symbol, which is centred at `(r_big, r_big)`. Positive.
    - `r_small`: radius of the dots. At least `r_big / 100`, and below `r_big / 2`.
    - `mirror`: append `2 · r_big − x` and `2 · r_big − y` (in the paper `1 − x`, `1 − y`), so
        that all points have the same sum, and every large coordinate has a small counterpart.
    - `bias`: append this constant as the last feature; `None` appends none.

    **Returns:**

    `(points, classes)`: float32 of shape `"size features"`, with 2 features, or 4 with
    `mirror`, and one more with `bias`; and int32 of shape `"size"`.

    **Raises:** `ValueError` for sizes and radii outside the ranges above.

    Source: Kriener, Göltz & Petrovici, "The Yin-Yang dataset", NICE (2022; arXiv 2021).
    """
    size = positive_int("size")(size)
    seed = at_least_zero("seed")(seed)
    r_big = positive_number("r_big")(r_big)
    r_small = positive_number("r_small")(r_small)
    if not r_big / 100 <= r_small < r_big / 2:  # points in tiny dots would never be found
        raise ValueError(
            f"`r_small` must be at least `r_big` / 100 = {r_big / 100} and below `r_big` / 2, "
            f"got {r_small}."
        )
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(size) % 3).astype(np.int32)
    points = np.empty((size, 2))
    for class_ in range(3):
        wanted = np.flatnonzero(classes == class_)
        while wanted.size:
            # points outside the class (or the symbol) are drawn again
            drawn = rng.uniform(0, 2 * r_big, (wanted.size, 2))
            points[wanted] = drawn
            wanted = wanted[_class_of(drawn, r_big, r_small) != class_]
    features = [points]
    if mirror:
        features.append(2 * r_big - points)
    if bias is not None:
        features.append(np.full((size, 1), real_number("bias")(bias)))
    return np.concatenate(features, axis=1).astype(np.float32), classes


@checked
def ornstein_uhlenbeck(
    seed: int, size: int, length: int, *, tau: float, dt: float = 1e-3
) -> Float[np.ndarray, "size length"]:
    r"""Ornstein–Uhlenbeck signals: noise with an exponential memory, of variance 1 and mean 0.

    $x_{t+1} = a x_t + \sqrt{1 - a^2}\, \xi_t$ with $a = \exp(-dt / \tau)$ and normal $\xi$.
    This is exact for samples of the continuous process, which starts in its stationary
    distribution.
    What any code of them can reach is known: `information.ornstein_uhlenbeck_snr`.

    ```python
    >>> from jaxsnn_eqx.datasets import ornstein_uhlenbeck
    >>> xs = ornstein_uhlenbeck(0, 100, 1000, tau=0.01)
    >>> xs.shape, xs.std().round(1)
    ((100, 1000), np.float32(1.0))

    ```

    **Arguments:**

    - `seed`: for NumPy's generator, an int of at least 0.
    - `size`, `length`: number of signals, and of samples of each, at least 1.
    - `tau`: the time constant in seconds. Positive. (Keyword only.)
    - `dt`: the time between two samples in seconds. Positive. (Keyword only.)

    **Returns:**

    Float32 of shape `"size length"`.

    **Raises:** `ValueError` for numbers outside the ranges above.

    Source: Uhlenbeck & Ornstein, Physical Review 36 (1930).
    """
    from scipy.signal import lfilter  # takes 0.8 s, as long as most of the package

    seed = at_least_zero("seed")(seed)
    shape = positive_int("size")(size), positive_int("length")(length)
    rate = positive_number("dt")(dt) / positive_number("tau")(tau)
    noise = np.random.default_rng(seed).normal(size=shape)
    noise[:, 1:] *= math.sqrt(-math.expm1(-2 * rate))
    signals = lfilter([1.0], [1.0, -math.exp(-rate)], noise, axis=1)
    return np.asarray(signals, np.float32)


def _class_of(points: np.ndarray, r_big: float, r_small: float) -> np.ndarray:
    """The class of each point, -1 outside the symbol."""
    x, y = points.T
    right = np.hypot(x - 1.5 * r_big, y - r_big)
    left = np.hypot(x - 0.5 * r_big, y - r_big)
    yin = (
        (right <= r_small)
        | ((left > r_small) & (left <= 0.5 * r_big))
        | ((y > r_big) & (right > 0.5 * r_big))
    )
    dots = (right < r_small) | (left < r_small)
    inside = np.hypot(x - r_big, y - r_big) <= r_big
    return np.where(inside, np.where(dots, 2, yin.astype(int)), -1)
