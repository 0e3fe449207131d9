"""Draws every encoder of the package on the same input, in one picture, gallery.png.

    pip install "jaxsnn_eqx[plot]"
    python examples/gallery.py
    python examples/gallery.py --out elsewhere.png

The upper part shows the encoders of values. All get the same 24 values, at the left, and each
row of marks is the spikes of the value in that row. The lower part shows the encoders of
signals. All get the same signal, and the decoded signal is drawn over it. A missing encoder is
an error.
"""

import argparse
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
from jaxtyping import Array, Float

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from jaxsnn_eqx import plotting

VALUES = jnp.linspace(0.0, 1.0, 24)
FIELDS = 4  # neurons for each value of a population
STEPS = 50  # of 1 ms, for the values
LENGTH = 200  # of 1 ms, for the signal
CURRENT = 4.0  # gain for the LIF encoders, which need currents above 0.6
VALUE_COLUMNS, SIGNAL_COLUMNS = 4, 3
DECODED = "tab:orange"
MARK: Any = {"linestyle": "", "marker": "|", "markersize": 9, "markeredgewidth": 1.2}


class Panel(NamedTuple):
    """An encoder, a short description of it, and how it is used."""

    encoder: Any
    description: str
    gain: float = 1.0  # of its input
    every: int = 1  # this many neighbouring values are drawn as their mean
    decode: Callable[[Array], Array] | None = None

    @property
    def names(self) -> list[str]:
        parts = [self.encoder]
        if isinstance(self.encoder, snn.Preprocessed):
            parts = [self.encoder.fn, self.encoder.encoder, self.encoder]
        elif isinstance(self.encoder, snn.Network):
            parts = self.encoder.layers
        return [type(part).__name__ for part in parts]


def make_signal() -> Float[Array, " time"]:
    """In [0, 1]: a slow drift, oscillations that grow faster, and a jump."""
    t = jnp.arange(LENGTH) / LENGTH
    chirp = 0.13 * jnp.sin(2 * jnp.pi * (1.0 * t + 4.5 * t**2))
    return 0.2 + 0.25 * t + chirp + jnp.where(t < 0.7, 0.0, 0.3)


def of_values() -> list[Panel]:
    learnable = snn.LearnableLIFEncoder(VALUES.shape, STEPS)
    # a different gain for each neuron, as after training
    gains = jnp.exp(0.5 * jr.normal(jr.key(1), VALUES.shape))
    learnable = eqx.tree_at(lambda encoder: encoder.gain, learnable, gains)
    latency = snn.LatencyEncoder(STEPS, t_late=4.5e-2)
    # Without a threshold, neurons far from the value would all fire at the end of the window.
    responses = snn.LatencyEncoder(STEPS, t_late=4.5e-2, threshold=0.1)
    population = snn.Preprocessed(snn.GaussianReceptiveFields.evenly(FIELDS), responses)
    return [
        Panel(snn.RegularRateEncoder(STEPS, max_rate=400.0), "rate: evenly spaced"),
        Panel(snn.PoissonEncoder(STEPS, max_rate=400.0), "rate: random"),
        Panel(snn.ConstantCurrentLIFEncoder(STEPS), "rate of a LIF neuron", CURRENT),
        Panel(learnable, "the same, each neuron trained", CURRENT),
        Panel(latency, "one spike, earlier for large values"),
        Panel(snn.TimeToFirstSpikeEncoder(STEPS, tau=1.5e-2), "one spike, at equal ratios"),
        Panel(snn.LIFLatencyEncoder(STEPS), "a LIF neuron's first spike", CURRENT),
        Panel(
            snn.SpatioTemporalEncoder(STEPS, t_late=4.5e-2), "one spike, later for large values"
        ),
        Panel(snn.RankOrderEncoder(STEPS), "the order, one spike per step"),
        Panel(snn.PhaseEncoder(STEPS, bits=8), "binary digits, repeated"),
        Panel(snn.BurstEncoder(STEPS), "a burst, longer and faster"),
        Panel(snn.DirectEncoder(STEPS), "the value itself at each step"),
        Panel(population, "4 neurons per value, latency", every=FIELDS),
    ]


def of_signals(signal: Float[Array, " time"]) -> list[Panel]:
    delta = snn.DeltaEncoder(threshold=0.02)
    threshold = snn.ThresholdEncoder.fit(signal, factor=0.5)
    step_forward = snn.StepForwardEncoder(threshold=0.05)
    window = snn.MovingWindowEncoder(threshold=0.08, window=8)
    sigma_delta = snn.SigmaDeltaEncoder(threshold=0.05)
    width = snn.PulseWidthEncoder(period=1e-2)
    levels = snn.LevelCrossingEncoder(levels=tuple(np.arange(1, 8) / 8))
    taps = np.hanning(17)[1:-1]
    # The threshold is nine tenths of the filter's sum. With a lower one the decoded signal is
    # too large, and with a higher one a signal below the highest tap is silent.
    spiker = snn.BensSpikerEncoder(filter=1.3 * taps / taps.sum(), threshold=0.9 * 1.3)
    start = signal[0]
    bank = snn.FilterBank.butterworth(FIELDS, 4.0, 64.0, dt=1e-3)
    loud = snn.Scale(20.0)
    bands = snn.Network(
        [bank, snn.OverTime(jnp.abs), snn.OverTime(loud), snn.LIFCurrentEncoder()]
    )
    return [
        Panel(snn.LIFCurrentEncoder(), "a LIF neuron with the signal as input", CURRENT),
        Panel(snn.ResonateAndFire(20.0, 3e-2, v_th=0.1), "oscillations near 20 Hz"),
        Panel(bands, "in 4 octaves from 4 Hz, each to a LIF neuron"),
        Panel(delta, "fast changes", decode=lambda z: delta.decode(z, start)),
        Panel(
            threshold,
            "unusually fast changes",
            decode=lambda z: threshold.decode(z, start),
        ),
        Panel(
            step_forward,
            "steps of a baseline that follows it",
            decode=lambda z: step_forward.decode(z, start),
        ),
        Panel(sigma_delta, "changes and residuals, graded", decode=sigma_delta.decode),
        Panel(
            window,
            "differences from the recent mean",
            decode=lambda z: window.decode(z, start),
        ),
        Panel(
            levels,
            "crossings of 7 levels: up, and above them down",
            decode=lambda z: levels.decode(z, start),
        ),
        Panel(width, "when a sawtooth reaches it", decode=width.decode),
        Panel(spiker, "a filter of the spikes, 14 steps late", decode=spiker.decode),
    ]


def check_complete(panels: Sequence[Panel]) -> None:
    """Raises an error if an encoder of the package is missing."""
    drawn = {name for panel in panels for name in panel.names}
    wanted = {
        name
        for name, value in vars(snn).items()
        if inspect.isclass(value)
        and issubclass(value, snn.AbstractEncoder)
        and not name.startswith("Abstract")
    }
    if missing := sorted(wanted - drawn):
        raise ValueError(f"the gallery must draw {', '.join(missing)}: add a panel for each.")


def draw_values(figure: SubFigure, panels: Sequence[Panel]) -> None:
    """Rows of panels, each row with the values at its left."""
    figure.suptitle("Values to spikes", x=0.005, ha="left", fontweight="bold")
    rows = -(-len(panels) // VALUE_COLUMNS)
    widths = (0.4, *(1,) * VALUE_COLUMNS)
    grid = figure.add_gridspec(rows, VALUE_COLUMNS + 1, width_ratios=widths)
    for i, panel in enumerate(panels):
        row, column = divmod(i, VALUE_COLUMNS)
        if column == 0:
            values = figure.add_subplot(grid[row, 0])
            values.stairs(VALUES, orientation="horizontal", fill=True, color=plotting.INPUT)
            values.set(ylim=(-0.1, VALUES.size + 0.1), xticks=[0, 1], xlabel="value")
            label(values, "24 values", "the input", last=row == rows - 1)
        ax = figure.add_subplot(grid[row, column + 1])
        x = panel.gain * VALUES.reshape(-1, panel.every).mean(axis=1)
        plotting.raster(panel.encoder(x, key=jr.key(0)), ax=ax)
        for edge in range(panel.every, VALUES.size, panel.every) if panel.every > 1 else ():
            ax.axhline(edge - 0.5, color="lightgray", linewidth=0.6, zorder=0)
        label(ax, panel.names[0], panel.description, last=row == rows - 1)


def draw_signals(
    figure: SubFigure, panels: Sequence[Panel], signal: Float[Array, " time"]
) -> None:
    """Panels of the signal and the decoded signal, above the spikes."""
    figure.suptitle("Signals to spikes", x=0.005, ha="left", fontweight="bold")
    rows = -(-len(panels) // SIGNAL_COLUMNS)
    grid = figure.add_gridspec(2 * rows, SIGNAL_COLUMNS, height_ratios=(1.5, 1) * rows)
    for i, panel in enumerate(panels):
        row, column = divmod(i, SIGNAL_COLUMNS)
        of_signal = figure.add_subplot(grid[2 * row, column])
        of_spikes = figure.add_subplot(grid[2 * row + 1, column])
        if isinstance(panel.encoder, snn.Network):
            of_signal.plot(np.arange(LENGTH), signal, color=plotting.INPUT, linewidth=1)
            plotting.raster(panel.encoder(signal), ax=of_spikes)
            of_signal.set_xlim(of_spikes.get_xlim())
        else:
            plotting.encoding(panel.encoder, panel.gain * signal, axes=(of_signal, of_spikes))
        if panel.decode is not None:
            decoded = np.array(panel.decode(panel.encoder(signal)))
            # the last spikes of an encoder with a delay come after the end
            decoded[LENGTH - getattr(panel.encoder, "delay", 0) :] = np.nan
            of_signal.plot(np.arange(LENGTH), decoded, color=DECODED, linewidth=1)
        of_signal.set(ylim=(0, panel.gain), xticks=[])
        label(of_signal, panel.names[0], panel.description, last=False)
        label(of_spikes, "", "", last=row == rows - 1)
    figure.legend(
        handles=[
            Line2D([], [], color=plotting.INPUT, label="signal"),
            Line2D([], [], color=DECODED, label="decode(spikes)"),
            Line2D([], [], color=plotting.SPIKE, **MARK, label="spike (height: its size)"),
            Line2D([], [], color=plotting.NEGATIVE, **MARK, label="spike of −1"),
        ],
        loc="upper right",
        ncols=4,
        fontsize=8,
        frameon=False,
    )


def label(ax: Axes, name: str, description: str, *, last: bool) -> None:
    """A title of two lines; the time axis has labels in the last row of panels."""
    ax.set(ylabel="", yticks=[])
    if name:
        ax.set_title(name, loc="left", fontsize=8.5, fontweight="bold", pad=15)
        place: Any = {"xycoords": "axes fraction", "textcoords": "offset points"}
        ax.annotate(description, (0, 1), (0, 4), fontsize=8, **place)
    ax.tick_params(labelsize=7.5, length=2, labelbottom=last)
    ax.set_xlabel(ax.get_xlabel() if last else "", fontsize=8)


def draw(path: str) -> None:
    signal = make_signal()
    value_panels, signal_panels = of_values(), of_signals(signal)
    check_complete(value_panels + signal_panels)
    figure = plt.figure(figsize=(10, 12), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.035)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    above, below = parts
    draw_values(above, value_panels)
    draw_signals(below, signal_panels, signal)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws every encoder on the same input.")
    parser.add_argument("--out", default="gallery.png", help="the picture")
    parser.add_argument("--short", action="store_true", help="no effect, since it is quick")
    args = parser.parse_args()
    draw(args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
