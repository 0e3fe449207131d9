"""Pictures of spikes, potentials and encoders, with matplotlib.

Install the extra `jaxsnn_eqx[plot]`, and use `from jaxsnn_eqx import plotting`: the package
does not import it by itself. Each function draws into the given axes, or into a new figure, and
returns the axes.
"""

import itertools
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import ArrayLike, PRNGKeyArray, Shaped

from ._comparison import Comparison, Cost
from ._layer import AbstractEncoder, time_steps
from ._summary import Summary
from ._types import AnyInput, NestedNumbers, Signal, as_floating, checked, positive_number

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
except ModuleNotFoundError as error:
    raise ImportError(
        "`jaxsnn_eqx.plotting` needs matplotlib: install `jaxsnn_eqx[plot]`."
    ) from error

INPUT, SPIKE, NEGATIVE, NOT_FINITE = "tab:blue", "black", "tab:red", "tab:gray"
_MARKERS = "osD^vP*X"
_LOWEST_DECIBELS, _HIGHEST_DECIBELS = -3.0, 60.0
MARK = 0.8  # height of the largest spike, as a fraction of a row


@checked
def raster(
    spikes: Signal,
    *,
    dt: float = 1e-3,
    ax: Axes | None = None,
) -> Axes:
    """Draws spikes as marks: a row for each neuron, time to the right.

    The mark of step t, counted from 0, is at `t · dt`. Its height is proportional to the spike,
    so only graded spikes differ. Positive spikes are black, negative ones red, and values that
    are not finite are grey crosses.

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
    - `ax`: the axes to draw into, by default those of a new figure. (Keyword only.)

    **Returns:**

    The axes.

    **Raises:** `ValueError` for a `dt` that is not positive, or for spikes without a time axis.
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
    """Draws potentials over time, the threshold, and marks for the spikes above them.

    There is a line for each neuron. The value of step t, counted from 0, is at `t · dt`. The
    potentials of `trace` are those after the reset, so at a spike they are `v_reset`, and do
    not cross the threshold. The spikes of each neuron are a row above all potentials, in its
    colour; the first neuron's row is the lowest.

    ```python
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, plotting, trace
    >>> encoder = ConstantCurrentLIFEncoder(seq_length=50)
    >>> potentials, spikes = trace(encoder, [1.0, 2.0])
    >>> ax = plotting.potential_trace(potentials, spikes, v_th=encoder.params.v_th)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('time (ms)', 'potential')

    ```

    **Arguments:**

    - `potentials`: of shape `"time *shape"`; values that are not finite leave a gap.
    - `spikes`: of the same shape, as `trace` returns them; values other than 0 are marked. By
        default there are no marks.
    - `dt`: length of a step in seconds. Positive. (Keyword only.)
    - `v_th`: the threshold, or an array of thresholds, drawn as dashed lines. (Keyword only.)
    - `ax`: the axes to draw into, by default those of a new figure. (Keyword only.)

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
        # each row has a twelfth of the height of the potentials, all rows at most a third
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
    """Draws an input and its spikes, as an encoder returns them.

    Values are bars to the left of their spikes, in the same rows; a signal is a line above its
    spikes, with the same time axis. The spikes are a `raster`.

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

    - `encoder`: any encoder.
    - `x`: its input: values of shape `"*shape"`, or a signal of shape `"time *shape"`. If the
        encoder returns several channels for a value, its bar is as high as their rows.
    - `key`: for encoders that draw random numbers. (Keyword only.)
    - `dt`: length of a step in seconds, for the time axis; by default the encoder's `dt`, or
        1 ms if it has none. (Keyword only.)
    - `axes`: two axes to draw into, for the input and for the spikes; by default those of a new
        figure. (Keyword only.)

    **Returns:**

    `(of_input, of_spikes)`, the two axes.

    **Raises:** `ValueError` for a `dt` that is not positive, or for a signal without a time
    axis.
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


@checked
def activity(summary: Summary, *, ax: Axes | None = None) -> Axes:
    """Draws the layers that spike: the shares of silent, firing and saturated neurons.

    There is a bar for each layer, first to last from the top, with its rate beside it.

    ```python
    >>> import jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import plotting
    >>> values = jnp.linspace(0.0, 3.0, 40).reshape(10, 4)
    >>> found = snn.summary(snn.ConstantCurrentLIFEncoder(seq_length=50), values)
    >>> plotting.activity(found).get_xlabel()
    'share of neurons (%)'

    ```

    **Arguments:**

    - `summary`: from `jaxsnn_eqx.summary`.
    - `ax`: the axes to draw into, by default those of a new figure. (Keyword only.)

    **Returns:**

    The axes.

    **Raises:** `ValueError` if no layer spikes.
    """
    layers = [layer for layer in summary.layers if layer.rate is not None]
    if not layers:
        raise ValueError("`summary` must have a layer that spikes, got none.")
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    silent = 100 * np.array([layer.silent for layer in layers], float)
    saturated = 100 * np.array([layer.saturated for layer in layers], float)
    parts = (
        ("silent", silent, "lightgray"),
        ("firing", 100 - silent - saturated, INPUT),
        ("saturated", saturated, NEGATIVE),
    )
    rows, left = np.arange(len(layers)), np.zeros(len(layers))
    for name, share, colour in parts:
        ax.barh(rows, share, left=left, height=0.6, color=colour, label=name)
        left = left + share
    for row, layer in enumerate(layers):
        ax.text(102, row, f"{layer.rate:.3g} Hz", va="center")
    ax.set_yticks(rows, labels=[layer.name for layer in layers])
    ax.set(xlabel="share of neurons (%)", xlim=(0, 100), ylim=(len(layers) - 0.5, -0.5))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return ax


@checked
def comparison(
    comparison: Comparison,
    *,
    cost: Cost = "bits",
    limits: Mapping[str, Callable[[float], float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a comparison of encoders: decibels over spikes or bits.

    Each encoder is a line through its rates, or one mark. The Pareto front is shaded: no result
    is better at its cost or less. Results without a reconstruction (below -3 dB) and without a
    finite number of bits are left out; 60 dB and more are drawn at 60.

    ```python
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import plotting
    >>> xs = snn.datasets.ornstein_uhlenbeck(0, 1, 20_000, tau=0.1)
    >>> encoders = [snn.StepForwardEncoder(1.0), snn.DeltaEncoder(1.0)]
    >>> found = snn.compare(encoders, xs, rates=[10.0, 50.0], progress=False)
    >>> plotting.comparison(found).get_xlabel()
    'bits per second'

    ```

    **Arguments:**

    - `comparison`: from `jaxsnn_eqx.compare`.
    - `cost`: the horizontal axis, `"spikes"` or `"bits"`. (Keyword only.)
    - `limits`: curves by name, each a function of the cost that gives decibels, such as
        `information.ornstein_uhlenbeck_snr` of the bits a step. (Keyword only.)
    - `ax`: the axes to draw into, by default those of a new figure. (Keyword only.)

    **Returns:**

    The axes.

    **Raises:** `ValueError` if there is nothing to draw.
    """
    drawn = [
        r
        for r in comparison.results
        if 0 < getattr(r, cost) < np.inf and r.snr > _LOWEST_DECIBELS
    ]
    if not drawn:
        raise ValueError(f"`comparison` must have a result of finite {cost}, got none.")
    ax = plt.subplots(figsize=(8, 5), layout="constrained")[1] if ax is None else ax
    names = list(dict.fromkeys(r.name for r in drawn))
    colours = plt.get_cmap("tab10" if len(names) <= 10 else "tab20")
    for i, name in enumerate(names):
        points = sorted((getattr(r, cost), r.snr) for r in drawn if r.name == name)
        costs, decibels = np.array(points).T
        ax.plot(
            costs,
            np.minimum(decibels, _HIGHEST_DECIBELS),
            marker=_MARKERS[i % len(_MARKERS)],
            color=colours(i % 20),
            label=name,
        )
    least, most = (f([getattr(r, cost) for r in drawn]) for f in (min, max))
    front = [(getattr(r, cost), r.snr) for r in comparison.front(cost)]
    steps = np.array([p for p in front if p[1] > _LOWEST_DECIBELS])
    ax.fill_between(
        [*steps[:, 0], 1.2 * most],
        np.minimum([*steps[:, 1], steps[-1, 1]], _HIGHEST_DECIBELS),
        _LOWEST_DECIBELS,
        step="post",
        color="0.93",
        zorder=0,
        label="reached",
    )
    at = np.geomspace(least / 1.2, 1.2 * most, 50)
    styles = itertools.cycle(("-", "--", ":", "-."))
    for (name, limit), style in zip((limits or {}).items(), styles, strict=False):
        ax.plot(at, [limit(float(x)) for x in at], style, color=SPIKE, linewidth=1, label=name)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=f"{cost} per {comparison.per}", ylabel="SNR (dB)")
    ax.set_xlim(least / 1.2, 1.2 * most)
    ax.set_ylim(bottom=_LOWEST_DECIBELS)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax
