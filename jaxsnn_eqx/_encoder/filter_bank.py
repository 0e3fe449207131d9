"""A bank of band-pass filters, in front of encoders of signals."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from .._layer import AbstractStatefulLayer, AbstractTimed
from .._types import (
    Constant,
    First,
    Sample,
    as_first,
    as_floating,
    broadcast_like,
    checked,
    constant,
    fixed,
    flag,
    optional_positive_int,
    positive_int,
    positive_number,
    zero_state,
)


class FilterState(NamedTuple):
    """The last input and the last output of each section, and each output's increment."""

    last: Float[Array, "sections+1 *shape channels"]
    increment: Float[Array, "sections *shape channels"]


class FilterBank(AbstractStatefulLayer, AbstractTimed):
    r"""Filters a signal into channels, on a new last axis: a cochlea, or bands of frequencies.

    Not an encoder: it stands between a raw signal and any encoder of signals. Each channel is a
    cascade of second-order sections. With $x_t$ the input of a section and $y_t$ its output,
    which is the input of the next, and 0 before the first step:

    $$
    y_t = b_0 x_t + b_1 x_{t-1} + b_2 x_{t-2} - a_1 y_{t-1} - a_2 y_{t-2}
    $$

    A filter whose band is far below the sampling rate has $a_1$ near −2 and $a_2$ near 1, where
    float32 has few digits left. So each step computes the same output from its increments
    $v$ (a delta-operator form), whose coefficients $k = 1 + a_1 + a_2$, $c = 1 - a_2$ and
    $B = b_0 + b_1 + b_2$ are computed in float64:

    $$
    \begin{split}
    y_t &= y_{t-1} + v + b_0 x_t \\
    v &\leftarrow v + B x_t - b_2 (x_t - x_{t-1}) - k y_t - c (y_t - y_{t-1})
    \end{split}
    $$

    A gammatone filter of 50 Hz at 16 kHz is so right to some 1e-6 of its largest output in
    float32, where `scipy.signal.sosfilt` in float32 is to 5e-4.

    `FilterBank.gammatone` and `FilterBank.butterworth` design the sections.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import FilterBank, LIFCurrentEncoder, Network, OverTime
    >>> bank = FilterBank.gammatone(3, 100.0, 1000.0, dt=1 / 8000)
    >>> [round(centre) for centre in bank.centres]
    [100, 407, 1000]
    >>> t = jnp.linspace(0.0, 0.1, 800)
    >>> tone = jnp.sin(2 * jnp.pi * 407 * t)
    >>> bank(tone).std(axis=0).round(1)
    Array([0. , 0.7, 0. ], dtype=float32)
    >>> rectify = OverTime(lambda x: 10 * jnp.maximum(x, 0))
    >>> ear = Network([bank, rectify, LIFCurrentEncoder(dt=1 / 8000)])
    >>> ear(tone).sum(axis=0)
    Array([ 0., 41.,  0.], dtype=float32)

    ```

    **Arguments:**

    - `sos`: the sections as SciPy gives them, `[b0, b1, b2, a0, a1, a2]`, of shape `"channels
        sections 6"`; divided by `a0`.
    - `dt`, `checkpoint_every`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `dt` is one over
        the sampling rate: a bank for 16 kHz has `dt=1 / 16000`, and so has what is behind it.
    - `centres`: for plots, the centre of each channel in hertz (static).
    - `trained`: whether the coefficients are trained; by default if `sos` is a JAX array.

    `coefficients` holds $b_0, b_2, B, k$ and $c$, of shape `"channels sections 5"`; `sos()`
    gives the sections back.

    **Derivative:** exact, with respect to the signal and trained coefficients. Nothing keeps
    trained sections stable: with $c$ in (0, 2) and $k$ in (0, $4 - 2c$) they are. A **NaN** or
    an **infinity** gives NaN from that sample or the next on.

    **Raises:** `ValueError` for sections of another shape, an `a0` of 0, or frequencies from
    half the sampling rate on.

    Source: Slaney, "An Efficient Implementation of the Patterson-Holdsworth Auditory Filter
    Bank", Apple Technical Report 35 (1993); Middleton & Goodwin, "Improved finite word length
    characteristics in digital control using delta operators", IEEE Transactions on Automatic
    Control 31 (1986).
    """

    coefficients: Constant = eqx.field(converter=constant("coefficients"))
    dt: float = eqx.field(static=True, converter=positive_number("dt"))
    checkpoint_every: int | None = eqx.field(
        static=True, converter=optional_positive_int("checkpoint_every")
    )
    centres: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        sos: tuple | ArrayLike,
        dt: float = 1e-3,
        checkpoint_every: int | None = None,
        centres: tuple[float, ...] | None = None,
        trained: bool | None = None,
    ):
        if trained is None:
            trained = isinstance(sos, jax.Array)
        self.coefficients = _as_increments(_as_sections(sos), flag("trained")(trained))
        self.dt = dt
        self.checkpoint_every = checkpoint_every
        self.centres = None if centres is None else fixed("centres")(centres)
        channels = np.shape(self.coefficients)[0]
        if self.centres is not None and np.shape(self.centres) != (channels,):
            raise ValueError(
                f"`centres` must have one frequency for each of {channels} channels, got "
                f"{centres}."
            )

    @classmethod
    def gammatone(
        cls,
        channels: int,
        low: float,
        high: float,
        *,
        dt: float,
        spacing: str = "erb",
        trained: bool = False,
    ) -> "FilterBank":
        r"""Gammatone filters of order 4, of the bandwidths of human hearing.

        The impulse response of a channel with the centre $f$ is that of Slaney's four sections:

        $$
        t^3 e^{-2 \pi \cdot 1.019 \cdot \text{erb}(f) t} \cos(2 \pi f t), \quad
        \text{erb}(f) = 24.7 (1 + 4.37 \cdot 10^{-3} f)
        $$

        A tone at the centre has the gain 1.

        **Arguments:**

        - `channels`: how many, at least 1.
        - `low`, `high`: the first and the last centre in hertz, below half the sampling rate.
        - `dt`: one over the sampling rate, in seconds. (Keyword only.)
        - `spacing`: "erb", equally many critical bands between two centres (Glasberg & Moore,
            1990), or "log". (Keyword only.)
        - `trained`: whether the coefficients are trained. (Keyword only.)
        """
        centres = _spaced(positive_int("channels")(channels), low, high, spacing)
        _check_below_half(centres[-1], dt)
        return cls._designed([_gammatone(f, dt) for f in centres], centres, dt, trained)

    @classmethod
    def butterworth(
        cls,
        channels: int,
        low: float,
        high: float,
        *,
        dt: float,
        order: int = 2,
        spacing: str = "log",
        trained: bool = False,
    ) -> "FilterBank":
        """Butterworth band-pass filters of adjacent bands, from `low` to `high`.

        **Arguments:** as `gammatone`, but

        - `low`, `high`: the lower edge of the first band and the upper edge of the last.
        - `order`: the slope of each edge is `6 * order` decibels an octave; a channel has as
            many sections. (Keyword only.)
        """
        from scipy.signal import butter  # slow to import, and not always needed

        channels, order = positive_int("channels")(channels), positive_int("order")(order)
        edges = _spaced(2 * channels + 1, low, high, spacing)
        _check_below_half(edges[-1], dt)
        bands = zip(edges[:-2:2], edges[2::2], strict=True)
        sections = [butter(order, band, "bandpass", fs=1 / dt, output="sos") for band in bands]
        return cls._designed(sections, edges[1::2], dt, trained)

    @classmethod
    def _designed(cls, sections: list, centres: np.ndarray, dt: float, trained: bool):
        sos = np.stack(sections)
        return cls(sos, dt, centres=tuple(centres.tolist()), trained=trained)

    def sos(self) -> np.ndarray:
        """The sections as SciPy's functions take them, of shape `"channels sections 6"`."""
        b0, b2, total, k, c = np.moveaxis(np.asarray(self.coefficients, float), -1, 0)
        ones = np.ones_like(b0)
        return np.stack([b0, total - b0 - b2, b2, ones, k + c - 2, 1 - c], axis=-1)

    @property
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @checked
    def init(self, x: First) -> FilterState:
        """Zeros, for a signal of samples like `x`."""
        channels, sections, _ = np.shape(self.coefficients)
        x = as_first(x)
        before = zero_state(x, before=(sections + 1,), after=(channels,))
        return FilterState(before, before[1:])

    @checked
    def step(
        self, state: FilterState, x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[FilterState, Float[Array, "*shape channels"]]:
        """One sample: `(state, out)`, the channels on a new last axis; `key` is ignored."""
        x = as_floating(x)
        dtype = state.last.dtype
        channels, sections, _ = np.shape(self.coefficients)
        rows = jnp.moveaxis(jnp.asarray(self.coefficients, dtype), 0, -1)
        signals = [broadcast_like(x.astype(dtype)[..., None], x, after=(channels,))]
        increments = []
        for i in range(sections):
            b0, b2, total, k, c = (broadcast_like(row, x, after=(channels,)) for row in rows[i])
            x_in, v = signals[i], state.increment[i]
            y = state.last[i + 1] + v + b0 * x_in
            v = v + total * x_in - b2 * (x_in - state.last[i])
            increments.append(v - k * y - c * (y - state.last[i + 1]))
            signals.append(y)
        state = FilterState(jnp.stack(signals), jnp.stack(increments))
        return state, signals[-1].astype(x.dtype)


def _as_sections(sos: Any) -> Any:
    """In float64, unless it is a JAX array; divided by `a0`."""
    if not isinstance(sos, jax.Array):
        sos = np.asarray(constant("sos")(sos))
    if sos.ndim != 3 or sos.shape[2] != 6 or 0 in sos.shape:
        raise ValueError(
            '`sos` must have the shape "channels sections 6", as of `scipy.signal.butter(..., '
            f'output="sos")` for each channel, got shape {sos.shape}.'
        )
    if not isinstance(sos, Tracer) and (sos[:, :, 3] == 0).any():
        raise ValueError("`sos` must have no `a0` (column 3) of 0.")
    return sos / sos[:, :, 3:4]


def _as_increments(sos: Any, trained: bool) -> Any:
    """The coefficients of the delta-operator form, as a tuple or as a JAX array."""
    b0, b1, b2, _, a1, a2 = (sos[:, :, i] for i in range(6))
    stack = jnp.stack if isinstance(sos, jax.Array) else np.stack
    found = stack([b0, b2, b0 + b1 + b2, 1 + a1 + a2, 1 - a2], axis=-1)
    return jnp.asarray(found) if trained else np.asarray(found)


def _spaced(n: int, low: Any, high: Any, spacing: str) -> np.ndarray:
    """`n` frequencies from `low` to `high`."""
    low, high = positive_number("low")(low), positive_number("high")(high)
    if low > high or (low == high and n > 1):
        raise ValueError(f"`low` must be below `high`, in hertz, got {low} and {high}.")
    if spacing == "log":
        return np.geomspace(low, high, n)
    if spacing != "erb":
        raise ValueError(f'`spacing` must be "erb" or "log", got {spacing!r}.')
    first, last = np.log1p(4.37e-3 * np.array([low, high]))
    bands = np.linspace(first, last, n)
    return np.expm1(bands) / 4.37e-3


def _check_below_half(highest: float, dt: float) -> None:
    dt = positive_number("dt")(dt)
    if highest * dt >= 0.5:
        raise ValueError(
            f"`high` must be below half the sampling rate, {0.5 / dt:g} Hz at dt={dt:g} s, got "
            f"{highest:g} Hz. For a signal of 16 kHz, pass dt=1 / 16000."
        )


def _gammatone(centre: float, dt: float) -> np.ndarray:
    """Slaney's four sections: the same poles, and each a zero of its own."""
    erb = 24.7 * (1 + 4.37e-3 * centre)
    radius, angle = np.exp(-2 * np.pi * 1.019 * erb * dt), 2 * np.pi * centre * dt
    shifts = np.array([1, -1, 1, -1]) * (np.sqrt(2) + np.array([1, 1, -1, -1]))
    zeros = radius * (np.cos(angle) + shifts * np.sin(angle))
    at = np.exp(-1j * angle)
    below = 1 - 2 * radius * np.cos(angle) * at + radius**2 * at**2
    gains = np.abs((1 - zeros * at) / below)
    sections = np.zeros((4, 6))
    sections[:, 0], sections[:, 1] = 1 / gains, -zeros / gains
    sections[:, 3:] = 1, -2 * radius * np.cos(angle), radius**2
    return sections
