"""Reconstruction quality and number of spikes of every encoder, on three real signals.

    pip install "jaxsnn_eqx[examples]"
    python examples/signals.py               # writes signals.md and signals.png
    python examples/signals.py --only Delta  # encoders with "Delta" in their names, no files
    python examples/signals.py --short       # the ECG and few updates, to see that it runs

The signals are PyWavelets' electrocardiogram (ECG, 360 samples/s), and statsmodels' yearly
sunspots and weekly CO2 (with gaps interpolated linearly). Each encoder is fitted on the first
half of a signal, so that the decoded signal is close to it at a given spike rate: by gradients
through its surrogate and `decode`, and by a search over static parameters. It is tested on the
second half, where

    SNR = 10 log10(variance of the signal / mean square of (decoded − signal)).

Every encoder has a target, computed from the error of its formula with the fitted parameters
(q is the threshold, d the distance of levels, h the filter's largest tap):

- `StepForwardEncoder`, `SigmaDeltaEncoder`: the difference of signal and baseline is uniform in
  (−q, q): mean square q²/3.
- `LevelCrossingEncoder`: the error of the middle of two levels is at most d/2: d²/12.
- `PulseWidthEncoder`: at a spike d²/12, with d the rise of the carrier in a step. Between
    spikes,
  three times the error of linear interpolation between samples one period apart, on the first
  half: a spike is anywhere in its period, so that the gaps are 1 + δ periods with δ triangular
  on (−1, 1); the error grows with the fifth power of the gap, and E[(1 + δ)⁵] = 3.
- `BensSpikerEncoder`: a spike more or less changes the decoded signal by the taps, an error of
    at
  most half of the largest tap, h²/12; plus the error of the filter as a low-pass, on the first
  half.
- `DeltaEncoder`, `ThresholdEncoder`, `MovingWindowEncoder` encode a change (or a difference
    from
  a mean) above the threshold as one threshold, and a smaller one as nothing. These errors add
  up, so the decoded signal drifts without a bound, and the target is that of the changes. If
  their sizes are exponentially distributed and a fraction r fires, so that the threshold is
  u = −ln r mean sizes, the error is 1 − r (u²/2 + u) of their mean square: at best 3.8 dB, for
  u = √2 and r = 0.24.

These formulas are expectations for uniform errors. The mean over n samples has a standard
deviation of √0.8 / √n of that, and the targets allow for two standard deviations.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import pywt
from jaxtyping import Array, Float
from scipy.signal import firwin
from statsmodels.datasets import co2, sunspots
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

UPDATES, SHORT_UPDATES = 150, 10
LEARNING_RATE = 0.01
RATE_WEIGHT = 30.0  # in the loss, of the squared logarithm of rate over given rate
RATE, SPIKER_RATE = 0.5, 1.0  # given rates, in spikes per sample
# Signals are in units of the first half's standard deviation, and thresholds about 0.1.
SURROGATE = snn.SuperSpike(slope=10.0)


class Signal(NamedTuple):
    """A signal in units of its first half's standard deviation; its range starts at 0."""

    name: str
    samples: Float[np.ndarray, " time"]
    top: float  # of the range
    sample_rate: float | None  # in Hz; `None` for years and weeks
    steps: int  # steps per sample, for encoders with at most one spike per step
    change_rate: float  # given rate for encoders of changes, in spikes per sample

    @property
    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        half = len(self.samples) // 2
        return self.samples[:half], self.samples[half:]


def load() -> list[Signal]:
    years: Any = sunspots.load_pandas()
    weeks: Any = co2.load_pandas()
    # The ranges are those of an instrument; they do not depend on the second half. With 16
    # steps per sample a baseline can follow the ECG. Its peaks are the only large changes: at a
    # rate of 0.25, encoders of changes would mostly encode noise.
    return [
        _scaled("ECG", pywt.data.ecg(), (-150, 300), 360.0, 16, 0.03),
        _scaled("Sunspots", years.data["SUNACTIVITY"], (0, 250), None, 8, 0.25),
        _scaled("CO2", weeks.data["co2"].interpolate(), (300, 400), None, 8, 0.25),
    ]


def _scaled(name: str, samples: Any, limits: tuple[float, float], *rest: Any) -> Signal:
    samples = np.asarray(samples, np.float64)
    unit = samples[: len(samples) // 2].std()
    scaled = (samples - limits[0]) / unit
    return Signal(name, scaled.astype(np.float32), (limits[1] - limits[0]) / unit, *rest)


class Setup(NamedTuple):
    """An encoder, how it is fitted, and the error of its formula."""

    name: str
    # from the signal, the parameters that gradients fit, and the choice that is searched
    make: Callable[[Signal, Any, Any], Any]
    start: Callable[[Signal, Any], Any]  # the initial parameters
    choices: tuple = (None,)
    # the mean square error of the formula; `None` for encoders of changes
    error: Callable[[Any, Signal], float] | None = None
    rate: float | None = RATE  # given rate; `None` for the signal's `change_rate`
    fine: bool = False  # whether it takes `Signal.steps` steps per sample instead of one

    def steps(self, signal: Signal) -> int:
        return signal.steps if self.fine else 1

    def given_rate(self, signal: Signal) -> float:
        return signal.change_rate if self.rate is None else self.rate


class Result(NamedTuple):
    """One encoder on the second half of one signal; rates in spikes per sample, SNR in dB."""

    setup: Setup
    signal: Signal
    fitted: str
    first_rate: float
    rate: float
    snr: float  # of the decoded signal
    target: float
    reached: float  # `snr`; for encoders of changes, that of the changes
    decoded: np.ndarray
    spikes: np.ndarray


# -- the encoders


def number(parameter: Any) -> float:
    """A fitted parameter as a float, whereas its field may be a tuple."""
    return float(parameter)


def mean_change(signal: Signal) -> float:
    return float(np.abs(np.diff(signal.halves[0])).mean())


def log_step(signal: Signal, _: None = None) -> Array:
    """The logarithm of the threshold at which the mean change gives the given rate."""
    return jnp.log(mean_change(signal) / RATE)


def differences(samples: np.ndarray, window: int) -> np.ndarray:
    """Each sample minus the mean of the `window` before it; with `window=1`, the changes."""
    sums = np.concatenate([[0.0], np.cumsum(samples, dtype=float)])
    stop = np.arange(1, len(samples))
    begin = np.maximum(stop - window, 0)
    means = (sums[stop] - sums[begin]) / (stop - begin)
    return np.concatenate([[0.0], samples[1:] - means])


def log_change(signal: Signal, window: int | None) -> Array:
    sizes = np.abs(differences(signal.halves[0], window or 1))
    return jnp.log(jnp.asarray(np.quantile(sizes, 1 - signal.change_rate), jnp.float32))


def first_factor(signal: Signal, _: None) -> Array:
    sizes = np.abs(np.diff(signal.halves[0]))
    wanted = np.quantile(sizes, 1 - signal.change_rate)
    return jnp.asarray((wanted - sizes.mean()) / sizes.std(), jnp.float32)


def make_levels(signal: Signal, params: Any, _: None) -> snn.LevelCrossingEncoder:
    log_distance, lowest = params
    # enough levels to cover the range with half of the initial distance
    count = math.ceil(2 * signal.top * RATE / mean_change(signal))
    levels = lowest + jnp.exp(log_distance) * jnp.arange(count)
    return snn.LevelCrossingEncoder(levels, surrogate=SURROGATE)


def make_pulses(signal: Signal, _: tuple, period: int) -> snn.PulseWidthEncoder:
    # in units of a step, not of a second
    return snn.PulseWidthEncoder(float(period * signal.steps), 0.0, signal.top, dt=1.0)


def pulse_error(encoder: snn.PulseWidthEncoder, signal: Signal) -> float:
    first, period = signal.halves[0], encoder.period_steps // signal.steps
    lost = []
    for begin in range(period):
        knots = np.arange(begin, len(first), period)
        t = np.arange(knots[0], knots[-1] + 1)
        lost.append(np.mean((np.interp(t, knots, first[knots]) - first[t]) ** 2))
    rise = signal.top / (encoder.period_steps - 1)
    return rise**2 / 12 + 3 * float(np.mean(lost))


def spike_sum(signal: Signal) -> float:
    """The sum of the taps for which the given rate decodes to the mean of the signal."""
    return float(signal.halves[0].mean()) * signal.steps / SPIKER_RATE


def make_spiker(signal: Signal, params: Any, _: int) -> snn.BensSpikerEncoder:
    log_taps, log_threshold = params
    # Errors are summed over the taps, up to about `spike_sum`, so the surrogate is that wide.
    surrogate = snn.Sigmoid(slope=8.0 / spike_sum(signal))
    return snn.BensSpikerEncoder(jnp.exp(log_taps), jnp.exp(log_threshold), surrogate=surrogate)


def first_filter(signal: Signal, taps: int) -> tuple[Array, Array]:
    total = spike_sum(signal)
    filter_ = np.asarray(firwin(taps, 0.02), float) * total
    # A spike that is too many now still reduces the error at later samples, which have no
    # spikes yet. Only a threshold near the taps' sum prevents it.
    log_taps = jnp.log(jnp.asarray(filter_, jnp.float32))
    return log_taps, jnp.log(jnp.asarray(0.9 * total, jnp.float32))


def spiker_error(encoder: snn.BensSpikerEncoder, signal: Signal) -> float:
    filter_ = np.asarray(encoder.filter)
    xs = np.asarray(interpolated(signal.halves[0], signal.steps))
    smooth = np.convolve(xs, filter_ / filter_.sum(), "valid")
    begin = encoder.delay // 2
    lost = np.mean((smooth - xs[begin : begin + len(smooth)]) ** 2)
    return float(filter_.max() ** 2 / 12 + lost)


SETUPS = [
    Setup(
        "StepForwardEncoder",
        lambda _, log, __: snn.StepForwardEncoder(jnp.exp(log), surrogate=SURROGATE),
        log_step,
        error=lambda encoder, _: number(encoder.threshold) ** 2 / 3,
        fine=True,
    ),
    Setup(
        "SigmaDeltaEncoder",
        lambda _, log, __: snn.SigmaDeltaEncoder(jnp.exp(log), surrogate=SURROGATE),
        log_step,
        error=lambda encoder, _: number(encoder.threshold) ** 2 / 3,
    ),
    Setup(
        "LevelCrossingEncoder",
        make_levels,
        lambda signal, _: (log_step(signal), jnp.zeros(())),
        error=lambda encoder, _: number(encoder.levels[1] - encoder.levels[0]) ** 2 / 12,
    ),
    Setup(
        "PulseWidthEncoder",
        make_pulses,
        lambda *_: (),
        choices=(1, 2, 3, 4),  # samples per period
        error=pulse_error,
        fine=True,
    ),
    Setup(
        "BensSpikerEncoder",
        make_spiker,
        first_filter,
        choices=(35, 71),  # taps
        error=spiker_error,
        rate=SPIKER_RATE,
        fine=True,
    ),
    Setup(
        "DeltaEncoder",
        lambda _, log, __: snn.DeltaEncoder(jnp.exp(log), surrogate=SURROGATE),
        log_change,
        rate=None,
    ),
    Setup(
        "ThresholdEncoder",
        lambda signal, factor, _: snn.ThresholdEncoder.fit(
            signal.halves[0], factor, surrogate=SURROGATE
        ),
        first_factor,
        rate=None,
    ),
    Setup(
        "MovingWindowEncoder",
        lambda _, log, window: snn.MovingWindowEncoder(
            jnp.exp(log), window, surrogate=SURROGATE
        ),
        log_change,
        choices=(2, 4, 8, 16),  # samples
        rate=None,
    ),
]


# -- fitting and testing


def interpolated(samples: np.ndarray, steps: int) -> Array:
    """The signal, interpolated linearly to `steps` steps per sample."""
    t = np.arange((len(samples) - 1) * steps + 1) / steps
    return jnp.asarray(np.interp(t, np.arange(len(samples)), samples), jnp.float32)


def encode_decode(encoder: Any, xs: Array) -> tuple[Array, Array]:
    """The spikes of a signal, and the decoded signal."""
    match encoder:
        case snn.SigmaDeltaEncoder():  # starts at 0, and the others at the first sample
            spikes = encoder(xs - xs[0])
            return spikes, encoder.decode(spikes) + xs[0]
        case snn.PulseWidthEncoder() | snn.BensSpikerEncoder():
            spikes = encoder(xs)
            return spikes, encoder.decode(spikes)
        case _:
            spikes = encoder(xs)
            return spikes, encoder.decode(spikes, xs[0])


def spike_rate(spikes: Any, length: int) -> Any:
    return abs(spikes).sum() / length  # a graded spike of n counts as n


def tested(encoder: Any, steps: int, length: int) -> slice:
    """The samples to test: all, except those at either end where the filter is incomplete."""
    is_filter = isinstance(encoder, snn.BensSpikerEncoder)
    margin = math.ceil(encoder.delay / steps) if is_filter else 0
    return slice(margin, length - margin)


def loss_of(encoder: Any, samples: np.ndarray, steps: int, given_rate: float) -> Array:
    """The error of the decoded signal, and the difference from the given rate."""
    counted = tested(encoder, steps, len(samples))
    spikes, decoded = encode_decode(encoder, interpolated(samples, steps))
    error = decoded[::steps][counted] - samples[counted]
    lost = jnp.mean(error**2) / samples[counted].var()
    excess = jnp.log((spike_rate(spikes, len(samples)) + 1e-3) / given_rate)
    return jnp.log(lost) + RATE_WEIGHT * excess**2


def fit(setup: Setup, signal: Signal, updates: int) -> Any:
    """The encoder with the lowest loss on the first half, of all choices and updates."""
    tried = [fit_choice(setup, signal, choice, updates) for choice in setup.choices]
    return min(tried, key=lambda pair: pair[0])[1]


def fit_choice(setup: Setup, signal: Signal, choice: Any, updates: int) -> tuple[float, Any]:
    samples, steps, rate = signal.halves[0], setup.steps(signal), setup.given_rate(signal)
    optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, updates))

    def loss(params):
        return loss_of(setup.make(signal, params, choice), samples, steps, rate)

    def update(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params)
        change, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, change), state), (value, params)

    @jax.jit
    def descend(params):
        carry = params, optimiser.init(params)
        return jax.lax.scan(update, carry, length=updates)[1]

    params = setup.start(signal, choice)
    if not jax.tree.leaves(params):  # no parameters to fit
        return float(jax.jit(loss)(params)), setup.make(signal, params, choice)
    losses, history = descend(params)
    best = int(jnp.nanargmin(losses))
    params = jax.tree.map(lambda leaf: leaf[best], history)
    return float(losses[best]), setup.make(signal, params, choice)


def decibels(signal: np.ndarray, error: np.ndarray) -> float:
    return float(10 * np.log10(np.var(signal) / np.mean(np.square(error))))


def evaluate(setup: Setup, signal: Signal, encoder: Any) -> Result:
    """The fitted encoder on the second half."""
    (first, samples), steps = signal.halves, setup.steps(signal)
    first_spikes, _ = encode_decode(encoder, interpolated(first, steps))
    spikes, decoded = map(np.asarray, encode_decode(encoder, interpolated(samples, steps)))
    decoded = decoded[::steps]
    counted = tested(encoder, steps, len(samples))
    snr = reached = decibels(samples[counted], (decoded - samples)[counted])
    if setup.error is not None:
        error = setup.error(encoder, signal) * (1 + 2 * math.sqrt(0.8 / len(samples[counted])))
        target = 10 * math.log10(samples[counted].var() / error)
    else:
        window = encoder.window if isinstance(encoder, snn.MovingWindowEncoder) else 1
        changes = differences(samples, window)
        reached = decibels(changes, changes - number(encoder.threshold) * spikes)
        rate = setup.given_rate(signal)
        u = -math.log(rate)
        target = -10 * math.log10(1 - rate * (u**2 / 2 + u))
    return Result(
        setup,
        signal,
        describe(encoder, signal),
        float(spike_rate(first_spikes, len(first))),
        float(spike_rate(spikes, len(samples))),
        snr,
        target,
        reached,
        decoded,
        spikes,
    )


def describe(encoder: Any, signal: Signal) -> str:
    match encoder:
        case snn.LevelCrossingEncoder():
            return f"distance {number(encoder.levels[1] - encoder.levels[0]):.3f}"
        case snn.PulseWidthEncoder():
            return f"period {encoder.period_steps // signal.steps} samples"
        case snn.BensSpikerEncoder():
            return f"{len(encoder.filter)} taps, at most {np.max(encoder.filter):.2f}"
        case snn.ThresholdEncoder():
            return f"factor {number(encoder.factor):.2f}"
        case snn.MovingWindowEncoder():
            return f"threshold {number(encoder.threshold):.3f}, window {encoder.window}"
        case _:
            return f"threshold {number(encoder.threshold):.3f}"


# -- the table and the picture


def table(results: list[Result]) -> str:
    """All results in Markdown."""
    lines = [
        "| Signal | Encoder | Fitted | Spikes per sample: given | first half | second half | "
        "Spikes/s | Target (dB) | Result (dB) | Reached | Decoded signal (dB) |",
        "| --- | --- | --- | --: | --: | --: | --: | --: | --: | --- | --: |",
    ]
    for r in results:
        hertz = r.signal.sample_rate
        seconds = "" if hertz is None else f"{r.rate * hertz:.0f}"
        verdict = "yes" if r.reached >= r.target else "no"
        lines.append(
            f"| {r.signal.name} | `{r.setup.name}` | {r.fitted} "
            f"| {r.setup.given_rate(r.signal):.2f} | {r.first_rate:.2f} | {r.rate:.2f} "
            f"| {seconds} | {r.target:.1f} | {r.reached:.1f} | {verdict} "
            f"| {r.snr:.1f} |".replace("-", "−")
        )
    return "\n".join([*lines, "", NOTE, ""])


NOTE = """\
The encoders are fitted on the first half of each signal, in units of its standard
deviation. The dB are those of the second half, which varies more than the first, so most
encoders spike more than the given rate. The targets follow from each encoder's formula and the
fitted parameters (see `examples/signals.py`). `DeltaEncoder`, `ThresholdEncoder` and
`MovingWindowEncoder` do not correct the error of earlier changes, so their decoded signals
drift without a bound; their target and result are those of the changes. `BensSpikerEncoder`
encodes the level, so its rate increases with CO2. `StepForwardEncoder`, `PulseWidthEncoder` and
`BensSpikerEncoder` take 16 (ECG) or 8 steps per sample, with linear interpolation between
samples; the error is measured at the samples. Spikes per second are given for the ECG only."""


def draw(path: Path, results: list[Result]) -> None:
    """The second half of the ECG by every encoder, and all targets."""
    shown = [r for r in results if r.signal.name == results[0].signal.name]
    rows = (len(shown) + 1) // 2
    figure = plt.figure(figsize=(13, 2.1 * rows + 4.2), layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[2.1 * rows, 4.2])
    top, bottom = panels
    axes = top.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    for ax, result in zip(axes.T.ravel(), shown, strict=False):
        draw_signal(ax, result)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(0.08, 1), ncols=2, frameon=False)
    top.suptitle(
        f"The {shown[0].signal.name}'s second half, and its reconstruction "
        "(green: up, red: down)"
    )
    top.supylabel("signal (standard deviations of its first half)", fontsize="medium")
    draw_targets(bottom.subplots(), results)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_signal(ax: Any, result: Result) -> None:
    samples, hertz = result.signal.halves[1], result.signal.sample_rate or 1.0
    t = np.arange(len(samples)) / hertz
    ax.plot(t, samples, color="0.7", linewidth=4, label="signal")
    ax.plot(t, result.decoded, color="tab:blue", linewidth=1.2, label="decoded")
    spikes = result.spikes
    if spikes.ndim > 1:  # channels: up of every level, then down
        up, down = np.split(spikes, 2, axis=1)
        rises, falls = up.sum(axis=1), down.sum(axis=1)
    else:
        rises, falls = np.maximum(spikes, 0), np.maximum(-spikes, 0)
    for count, height, color in ((rises, -1.6, "tab:green"), (falls, -3.0, "tab:red")):
        at = np.flatnonzero(count) / result.setup.steps(result.signal) / hertz
        ax.vlines(at, height - 0.55, height + 0.55, color=color, linewidth=0.7)
    ax.set(ylim=(-4, 12.5), xlim=(0, t[-1]), yticks=[0, 5, 10])
    snr = f"{result.snr:.1f}".replace("-", "−")
    ax.set_title(f"{result.setup.name}: {snr} dB at {result.rate * hertz:.0f} spikes/s")


def draw_targets(ax: Any, results: list[Result]) -> None:
    names = list(dict.fromkeys(r.setup.name for r in results))
    signals = list(dict.fromkeys(r.signal.name for r in results))
    for r in results:
        index = signals.index(r.signal.name)
        x = names.index(r.setup.name) + 0.22 * (index - (len(signals) - 1) / 2)
        ax.hlines(r.target, x - 0.1, x + 0.1, color="black", linewidth=2.5, zorder=3)
        ax.vlines(x, r.target, r.reached, color=f"C{index}", linewidth=2)
        ax.scatter(x, r.reached, s=45, color=f"C{index}")
    for index, name in enumerate(signals):
        ax.scatter([], [], s=45, color=f"C{index}", label=f"{name}, reached")
    ax.hlines([], 0, 1, color="black", linewidth=2.5, label="target")
    ax.set_xticks(range(len(names)), [name.removesuffix("Encoder") for name in names])
    ax.set(ylabel="SNR (dB)", title="Targets from the formulas, and results")
    ax.set_xlabel(
        "Delta, Threshold and MovingWindow: of the changes that they send, not the signal"
    )
    ax.grid(axis="y", alpha=0.4)
    ax.legend(loc="upper right")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="only the ECG, few updates")
    parser.add_argument("--only", default="", help="part of the names of encoders to run")
    parser.add_argument("--out", type=Path, default=Path("signals.png"), help="the picture")
    args = parser.parse_args()

    start = time.perf_counter()
    signals = load()[: 1 if args.short else None]
    pairs = [(s, setup) for s in signals for setup in SETUPS if args.only in setup.name]
    results = []
    with tqdm(pairs, unit="fit") as progress:
        for signal, setup in progress:
            progress.set_postfix_str(f"{signal.name}, {setup.name}")
            encoder = fit(setup, signal, SHORT_UPDATES if args.short else UPDATES)
            results.append(evaluate(setup, signal, encoder))

    print(table(results))
    print(f"{time.perf_counter() - start:.0f} s")
    if not args.only:
        args.out.with_suffix(".md").write_text(table(results))
        draw(args.out, results)
        print(f"wrote {args.out.with_suffix('.md')} and {args.out}")


if __name__ == "__main__":
    main()
