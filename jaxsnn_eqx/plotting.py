"""Pictures of spikes, potentials and encoders; needs matplotlib, and nothing here imports it.

`from jaxsnn_eqx import plotting`, with the extra `jaxsnn_eqx[plot]`. Each function draws into
the axes that it is given and returns them; without, it makes a figure with `pyplot`.
"""

import numpy as np
from jaxtyping import ArrayLike, PRNGKeyArray, Shaped

from ._layer import AbstractEncoder, time_steps
from ._types import AnyInput, NestedNumbers, Signal, as_floating, checked, positive_number

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise ImportError(
        "`jaxsnn_eqx.plotting` needs matplotlib: install `jaxsnn_eqx[plot]`."
    ) from error

INPUT, SPIKE, NEGATIVE, NOT_FINITE = "tab:blue", "black", "tab:red", "tab:gray"
MARK = 0.8  # height of the largest spike, in rows


@checked
def raster(
    spikes: Signal,
    *,
    dt: float = 1e-3,
    ax: Axes | None = None,
) -> Axes:
    """Draws spikes as marks: a row for each neuron, time to the right.

    The mark of step t, counted from 0, is at `t · dt`, and its height is that of its spike
    beside the largest of all: only graded spikes differ. Positive ones are black, negative
    ones red. What is not finite is a grey cross, and never left out.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LatencyEncoder, plotting
    >>> spikes = LatencyEncoder(seq_length=40, t_late=3e-2)(jnp.linspace(0.0, 1.0, 20))
    >>> ax = plotting.raster(spikes)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (ms)', 'neuron')

    ```

    **Arguments:**

    - `spikes`: of shape `"time *shape"`. Row i, from the bottom, is neuron i of the flattened
        `shape`.
    - `dt`: length of a step in seconds. Positive. (Keyword only.)
    - `ax`: the axes to draw into; by default those of a new figure. (Keyword only.)

    **Returns:**

    The axes.

    **Raises:** `ValueError` for a `dt` that is not positive, or spikes without a time axis.
    """
    dt = positive_number("dt")(dt)
    rows = _rows("spikes", spikes)
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    length, neurons = rows.shape
    finite = np.isfinite(rows)
    sizes = np.where(finite, np.abs(rows), 0)
    heights = MARK / 2 * sizes / max(sizes.max(initial=0), np.finfo(float).tiny)
    for sign, colour in ((1, SPIKE), (-1, NEGATIVE)):
        t, neuron = np.nonzero(finite & (np.sign(rows) == sign))
        height = heights[t, neuron]
        ax.vlines(1e3 * dt * t, neuron - height, neuron + height, colour, linewidth=1.2)
    t, neuron = np.nonzero(~finite)
    if t.size:
        ax.plot(1e3 * dt * t, neuron, "x", color=NOT_FINITE, markersize=3)
    _time_axis(ax, length, dt)
    ax.set(ylabel="neuron", ylim=(-0.6, max(neurons, 1) - 0.4))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return ax


@checked
def potential_trace(
    potentials: Signal,
    spikes: Signal | None = None,
    *,
    dt: float = 1e-3,
    v_th: Shaped[ArrayLike, "..."] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws potentials over time, the threshold, and marks above them where spikes came.

    A line for each neuron. The value of step t, counted from 0, is at `t · dt`; those of
    `trace` are after the reset, so that at a spike the potential is `v_reset` and its way
    through the threshold is not seen. Each neuron's spikes are a row of their own above all
    potentials, in its colour, the first neuron's lowest.

    ```python
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, plotting, trace
    >>> encoder = ConstantCurrentLIFEncoder(seq_length=50)
    >>> potentials, spikes = trace(encoder, [1.0, 2.0])
    >>> ax = plotting.potential_trace(potentials, spikes, v_th=encoder.params.v_th)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (ms)', 'potential')

    ```

    **Arguments:**

    - `potentials`: of shape `"time *shape"`; what is not finite leaves a gap.
    - `spikes`: of the same shape, such as `trace` returns beside them; what is not zero is
        marked. `None` marks none.
    - `dt`: length of a step in seconds. Positive. (Keyword only.)
    - `v_th`: the threshold, or an array of them; each a dashed line. (Keyword only.)
    - `ax`: the axes to draw into; by default those of a new figure. (Keyword only.)

    **Returns:**

    The axes.

    **Raises:** `ValueError` for a `dt` that is not positive, for potentials without a time
    axis, or for spikes of another shape.
    """
    dt = positive_number("dt")(dt)
    rows = _rows("potentials", potentials)
    fired = None
    if spikes is not None:
        fired, wanted, got = _rows("spikes", spikes), np.shape(potentials), np.shape(spikes)
        if wanted != got:
            raise ValueError(
                f"`spikes` must have the shape of `potentials`, {wanted}, got {got}."
            )
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    length, neurons = rows.shape
    ms = 1e3 * dt * np.arange(length)
    for i in range(neurons):
        ax.plot(ms, np.where(np.isfinite(rows[:, i]), rows[:, i], np.nan), color=f"C{i % 10}")
    thresholds = np.empty(0) if v_th is None else np.unique(np.asarray(v_th, float))
    for threshold in thresholds:
        ax.axhline(threshold, color="gray", linestyle="--", linewidth=1)
    if fired is not None:
        shown = np.concatenate([rows[np.isfinite(rows)], thresholds, [0.0]])
        span = (shown.max() - shown.min()) or 1.0
        # the rows take a twelfth of the potentials' range each, and at most a third together
        row = span / max(12, 3 * neurons)
        for i in range(neurons):
            middle = shown.max() + (i + 1) * row
            t = np.flatnonzero(fired[:, i] != 0)
            low, high = middle - MARK / 2 * row, middle + MARK / 2 * row
            ax.vlines(1e3 * dt * t, low, high, f"C{i % 10}", linewidth=1.2)
    _time_axis(ax, length, dt)
    ax.set_ylabel("potential")
    return ax


@checked
def encoding(
    encoder: AbstractEncoder,
    x: AnyInput,
    *,
    key: PRNGKeyArray | None = None,
    dt: float | None = None,
    axes: tuple[Axes, Axes] | None = None,
) -> tuple[Axes, Axes]:
    """Draws an input beside the spikes that an encoder makes of it.

    Values are steps at the left, in the rows of their spikes; a signal is a line above, over
    the time of its spikes. The spikes are a `raster`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import DeltaEncoder, plotting
    >>> signal = jnp.sin(jnp.linspace(0.0, 6.0, 100))
    >>> above, below = plotting.encoding(DeltaEncoder(threshold=0.05), signal)
    >>> above.get_ylabel(), below.get_xlabel()
    ('signal', 'time (ms)')
    >>> above.figure.savefig("delta.png")  # doctest: +SKIP

    ```

    **Arguments:**

    - `encoder`: any encoder; with a function in front of it, a `Preprocessed`.
    - `x`: its input: values of shape `"*shape"`, or a signal `"time *shape"`. Where it makes
        several channels of a value, the value is as high as their rows.
    - `key`: for encoders that draw. (Keyword only.)
    - `dt`: length of a step in seconds, for the axis alone; by default the encoder's own, or
        1 ms where it has none. (Keyword only.)
    - `axes`: two axes to draw into, the input's and the spikes'; by default those of a new
        figure. (Keyword only.)

    **Returns:**

    `(of_input, of_spikes)`, the two axes.

    **Raises:** `ValueError` for a `dt` that is not positive, or a signal without a time axis.
    """
    if dt is None:
        dt = next(iter(time_steps(encoder).values()), 1e-3)
    dt = positive_number("dt")(dt)
    x = as_floating(x)
    signal = None if encoder.seq_length is not None else _rows("x", x)
    spikes = encoder(x, key=key)
    if axes is None and signal is None:
        _, axes = plt.subplots(1, 2, sharey=True, width_ratios=(1, 3), layout="constrained")
    elif axes is None:
        _, axes = plt.subplots(2, 1, sharex=True, height_ratios=(1, 2), layout="constrained")
    assert axes is not None
    of_input, of_spikes = axes
    if signal is None:
        values = np.asarray(x, float).ravel()
        rows = _rows("spikes", spikes).shape[1]
        edges = np.linspace(0, rows, values.size + 1) - 0.5
        of_input.stairs(values, edges, orientation="horizontal", fill=True, color=INPUT)
        of_input.set(xlabel="value", ylabel="neuron")
        raster(spikes, dt=dt, ax=of_spikes).set_ylabel("")
        of_input.set_ylim(of_spikes.get_ylim())
    else:
        of_input.plot(1e3 * dt * np.arange(len(signal)), signal, color=INPUT, linewidth=1)
        of_input.set_ylabel("signal")
        raster(spikes, dt=dt, ax=of_spikes)
        of_input.set_xlim(of_spikes.get_xlim())
    return of_input, of_spikes


def _rows(name: str, x: ArrayLike | NestedNumbers) -> np.ndarray:
    """`x` as float64 of shape `"time neurons"`."""
    array = np.asarray(as_floating(x)).astype(float)
    if array.ndim == 0:
        raise ValueError(f"`{name}` must have a time axis, got shape ().")
    return array.reshape(array.shape[0], int(np.prod(array.shape[1:])))


def _time_axis(ax: Axes, length: int, dt: float) -> None:
    ax.set(xlabel="time (ms)", xlim=(-0.5e3 * dt, 1e3 * dt * (max(length, 1) - 0.5)))
