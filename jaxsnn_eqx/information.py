"""Bits of spike trains, and what Gaussian signals allow at so many bits."""

import math

import numpy as np
from jaxtyping import ArrayLike, Shaped

from ._types import NestedNumbers as _NestedNumbers
from ._types import checked as _checked
from ._types import flag as _flag
from ._types import number_of_at_least_zero as _number_of_at_least_zero
from ._types import positive_number as _positive_number
from ._types import to_array as _to_array

_FREQUENCIES = 2**16  # of a spectrum that is known as a formula
_HALVINGS = 200


@_checked
def spike_bits(spikes: Shaped[ArrayLike, "samples time *shape"] | _NestedNumbers) -> float:
    r"""The most information that trains of these rates can carry, in bits per sample.

    No train of an output that fires at a share $p_+$ of the steps, and at $p_-$ with sign
    $-1$, carries more than if all its steps were independent (Shannon 1948):

    $$
    h = -p_+ \log_2 p_+ - p_- \log_2 p_- - p_0 \log_2 p_0, \quad p_0 = 1 - p_+ - p_-
    $$

    Bits are those of all steps and outputs together. For graded spikes (whole numbers above 1)
    of the mean size $m$, the most is that of the geometric distribution,
    $(1 + m) \log_2 (1 + m) - m \log_2 m$, or of the two-sided one, if they have signs. Other
    numbers have no such limit: the result is infinite.

    ```python
    >>> from jaxsnn_eqx.information import spike_bits
    >>> spike_bits([[0, 1, 0, 1]])  # one sample, 4 steps of at most 1 bit
    4.0
    >>> round(spike_bits([[0, 1, 0, 0]]), 2)
    3.25

    ```

    **Arguments:**

    - `spikes`: trains of shape `"samples time *shape"`, each output with one rate.

    **Returns:**

    A Python float. An encoder with a finer `dt` has more bits at the same rate: its spike times
    are finer.

    **Raises:** `ValueError` for trains that are empty or not finite.
    """
    trains = np.asarray(_to_array(spikes), np.float64)
    if trains.ndim < 2 or trains.size == 0:
        raise ValueError(
            f'`spikes` must be of shape "samples time *shape", got {trains.shape}.'
        )
    if not np.isfinite(trains).all():
        raise ValueError("`spikes` must be finite, got NaN or infinity.")
    steps = trains.shape[1]
    trains = trains.reshape(trains.shape[0] * steps, -1)
    if (trains != np.round(trains)).any():
        return math.inf
    if np.abs(trains).max() > 1:
        signed = bool((trains < 0).any())
        return steps * float(_of_whole_numbers(np.abs(trains).mean(axis=0), signed).sum())
    ups, downs = (trains > 0).mean(axis=0), (trains < 0).mean(axis=0)
    shares = np.stack([ups, downs, 1 - ups - downs])
    return steps * float(-_x_log2_x(shares).sum())


@_checked
def gaussian_snr(
    bits: float, power: Shaped[ArrayLike, " frequencies"] | _NestedNumbers
) -> float:
    r"""The best signal-to-noise ratio of a Gaussian signal at so many bits, in decibels.

    The rate-distortion function of a stationary Gaussian process of spectrum $S$, by reverse
    water-filling (Kolmogorov 1956; Cover & Thomas, "Elements of Information Theory", 2006,
    section 10.3): the $\theta$ of which the mean of
    $\max(0, \tfrac12 \log_2 S / \theta)$ over frequencies is `bits` gives the least mean square
    error, the mean of $\min(\theta, S)$. No code reaches more, whatever its delay.

    For a signal that is not Gaussian, the curve of its spectrum is a reference and no limit: it
    is the best of the worst signal of that spectrum, and a simpler signal can be sent with
    fewer bits.

    ```python
    >>> from jaxsnn_eqx.information import gaussian_snr
    >>> round(gaussian_snr(1.0, [1.0, 1.0]), 2)  # white: 6 dB a bit
    6.02
    >>> round(gaussian_snr(1.0, [1.9, 0.1]), 2)  # most of it is slow
    9.61

    ```

    **Arguments:**

    - `bits`: per sample of the signal. At least 0.
    - `power`: the spectrum at equally spaced frequencies from 0 to half the sampling rate, in
        any unit, of shape `"frequencies"`. Positive somewhere, and nowhere negative.

    **Returns:**

    Variance over mean square error, in decibels, a Python float.

    **Raises:** `ValueError` for a negative `bits`, and for another `power`.
    """
    bits = _number_of_at_least_zero("bits")(bits)
    spectrum = np.asarray(_to_array(power), np.float64)
    if spectrum.ndim != 1 or not np.isfinite(spectrum).all() or (spectrum < 0).any():
        raise ValueError("`power` must be a series of finite numbers of at least 0.")
    if not (spectrum > 0).any():
        raise ValueError("`power` must be positive somewhere, got zeros.")
    return _water_filling(bits, spectrum, np.full(spectrum.size, 1 / spectrum.size))


@_checked
def ornstein_uhlenbeck_snr(
    bits: float, *, tau: float, dt: float = 1e-3, causal: bool = False
) -> float:
    r"""The best signal-to-noise ratio of a sampled Ornstein–Uhlenbeck signal, in decibels.

    Its samples are $x_{t+1} = a x_t + \sqrt{1 - a^2}\, \xi_t$ with $a = \exp(-dt / \tau)$, as
    `datasets.ornstein_uhlenbeck` draws them. Without a limit on the delay it is `gaussian_snr`
    of their spectrum. A `causal` code, of which each sample is reconstructed from the spikes up
    to it, reaches at most (Gorbunov & Pinsker 1973; Derpich & Østergaard, IEEE Transactions on
    Information Theory 58, 2012)

    $$
    10 \log_{10} \frac{2^{2 R} - a^2}{1 - a^2}
    $$

    ```python
    >>> from jaxsnn_eqx.information import ornstein_uhlenbeck_snr
    >>> round(ornstein_uhlenbeck_snr(0.1, tau=0.1), 1)
    12.6
    >>> round(ornstein_uhlenbeck_snr(0.1, tau=0.1, causal=True), 1)
    9.3

    ```

    **Arguments:**

    - `bits`: per sample of the signal. At least 0.
    - `tau`: the time constant of the signal in seconds. Positive. (Keyword only.)
    - `dt`: the time between two samples in seconds. Positive. (Keyword only.)
    - `causal`: whether the decoder may not wait for later spikes. (Keyword only.)

    **Returns:**

    Variance over mean square error, in decibels, a Python float.

    **Raises:** `ValueError` for numbers outside the ranges above.
    """
    bits = _number_of_at_least_zero("bits")(bits)
    tau, dt = _positive_number("tau")(tau), _positive_number("dt")(dt)
    kept = math.exp(-2 * dt / tau)  # a²
    lost = -math.expm1(-2 * dt / tau)
    if _flag("causal")(causal):
        return 10 * math.log10(1 + (2.0 ** (2 * bits) - 1) / lost)
    # frequencies up to π, close to each other below 1 / tau, where most of the power is
    a, knee = math.sqrt(kept), dt / tau
    end = math.asinh(math.pi / knee)
    at = (np.arange(_FREQUENCIES) + 0.5) * end / _FREQUENCIES
    phases = knee * np.sinh(at)
    weights = knee * np.cosh(at) * end / (_FREQUENCIES * math.pi)
    power = lost / ((1 - a) ** 2 + 4 * a * np.sin(phases / 2) ** 2)
    return _water_filling(bits, power, weights)


def _water_filling(bits: float, power: np.ndarray, weights: np.ndarray) -> float:
    """Decibels of a Gaussian process; the weights of the frequencies add up to 1."""
    if bits == 0:
        return 0.0
    weights, share = weights[power > 0], power[power > 0] / power.max()
    logs = np.log2(share)

    # at the lower level even one frequency would spend enough
    low, high = logs.min() - 2 * bits / weights.max() - 1, 0.0
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        spent = (weights * np.maximum(logs - level, 0)).sum() / 2
        low, high = (low, level) if spent < bits else (level, high)
    error = (weights * share * np.exp2(np.minimum(low - logs, 0))).sum()
    return 10 * math.log10((weights * share).sum() / error)


def _x_log2_x(x: np.ndarray) -> np.ndarray:
    return x * np.log2(np.where(x > 0, x, 1))


def _of_whole_numbers(mean: np.ndarray, signed: bool) -> np.ndarray:
    """The largest entropy of whole numbers whose size has the given mean."""
    if not signed:
        return _x_log2_x(1 + mean) - _x_log2_x(mean)
    # p(n) = (1 - q) / (1 + q) q^|n|, with the mean size 2 q / (1 - q²)
    q = mean / (1 + np.sqrt(1 + mean**2))
    return np.log2((1 + q) / (1 - q)) - mean * np.log2(np.where(q > 0, q, 1))
