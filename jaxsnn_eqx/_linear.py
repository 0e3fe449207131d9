"""Linear readouts of spikes, fitted by least squares with shrinkage, in NumPy's float64."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

TRACES = (1, 4, 16)  # time constants, in units of the steps that a decoder reads
_SHRINKAGES = np.logspace(-8, 2, 41)  # in units of the inputs' mean power
_RANK = 1e-10  # of the largest power: what is below is rounding

Trains = Float[np.ndarray, "samples time features channels"]
Signals = Float[np.ndarray, "samples time features"]


class Moments(NamedTuple):
    """Sums of products of centred inputs and outputs, over `rows` rows."""

    inputs: Float[np.ndarray, "inputs inputs"]
    both: Float[np.ndarray, "inputs outputs"]
    outputs: float
    rows: int

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "rows inputs"], y: Float[np.ndarray, "rows outputs"]
    ) -> "Moments":
        return cls(x.T @ x, x.T @ y, float((y**2).sum()), len(x))


def ridge(moments: Moments) -> Float[np.ndarray, "inputs outputs"]:
    """The weights whose shrinkage has the least generalised cross-validation error.

    Source: Golub, Heath & Wahba, Technometrics 21 (1979).
    """
    powers, axes = np.linalg.eigh(moments.inputs)
    live = powers > _RANK * max(powers[-1], 0)
    if not live.any():
        return np.zeros_like(moments.both)
    powers, axes = powers[live], axes[:, live]
    along = axes.T @ moments.both
    explained = (along**2).sum(axis=1) / powers  # without shrinkage, along each axis
    free = max(moments.rows - 1 - len(powers), 0)  # the mean takes one
    rest = max(moments.outputs - explained.sum(), 0.0) if free else 0.0

    def error(shrinkage: float) -> float:
        lost = shrinkage / (powers + shrinkage)
        return (rest + (lost**2 * explained).sum()) / (free + lost.sum()) ** 2

    shrinkage = min(_SHRINKAGES * powers.mean(), key=error)
    return axes @ (along / (powers + shrinkage)[:, None])


# -- reconstruction


class Window(NamedTuple):
    """What a linear decoder reads: `taps` steps, the last `delay` steps later, and slow traces.

    The traces are leaky sums of the spikes up to the last step. `None` in place of `taps` is
    the whole train, for encoders of values.
    """

    taps: int | None
    delay: int

    def of(self, train: Shaped[np.ndarray, "time features channels"]) -> np.ndarray:
        """What the decoder reads at each step, of shape `"time features inputs"`."""
        from scipy.signal import lfilter  # takes 0.8 s, as long as most of the package

        steps, features, channels = train.shape
        if self.taps is None:
            return np.moveaxis(train, 0, 1).reshape(1, features, steps * channels)
        front, back = self.taps - 1 - self.delay, self.delay
        padded = np.pad(train, ((front, back), (0, 0), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.taps, axis=0)
        inputs = [windows.reshape(steps, features, channels * self.taps)]
        for times in TRACES:
            leak = math.exp(-1 / (times * self.taps))
            sums = np.asarray(lfilter([1 - leak], [1.0, -leak], padded[front:], axis=0))
            inputs.append(sums[back:])
        return np.concatenate(inputs, axis=-1)


class Decoder(NamedTuple):
    """One kernel for all features, and the means of each."""

    window: Window
    kernel: Float[np.ndarray, " inputs"]
    input_means: Float[np.ndarray, "features inputs"]
    output_means: Float[np.ndarray, " features"]

    @classmethod
    def fit(cls, trains: Trains, signals: Signals, window: Window) -> "Decoder":
        products, both, rows = 0.0, 0.0, 0
        sums, totals, squares = 0.0, 0.0, 0.0
        for train, signal in zip(trains, signals, strict=True):
            read = window.of(train)
            flat = read.reshape(-1, read.shape[-1])
            products = products + flat.T @ flat
            both = both + flat.T @ signal.ravel()
            sums, totals = sums + read.sum(axis=0), totals + signal.sum(axis=0)
            squares += float((signal**2).sum())
            rows += len(signal)
        input_means, output_means = np.asarray(sums) / rows, np.asarray(totals) / rows
        moments = Moments(
            products - rows * input_means.T @ input_means,
            (both - rows * input_means.T @ output_means)[:, None],
            squares - rows * float((output_means**2).sum()),
            rows * len(output_means),
        )
        return cls(window, ridge(moments)[:, 0], input_means, output_means)

    def decode(self, trains: Trains) -> Signals:
        offset = self.output_means - self.input_means @ self.kernel
        return np.stack([self.window.of(train) @ self.kernel + offset for train in trains])


def snr(signals: Signals, decoded: Signals) -> float:
    """Variance over mean square error in decibels, each feature in units of its variance."""
    variances = signals.var(axis=(0, 1))
    errors = np.square(decoded - signals).mean(axis=(0, 1))
    live = variances > 0
    lost = np.mean(errors[live] / variances[live])
    return float(-10 * np.log10(np.maximum(lost, np.finfo(float).tiny)))


# -- classification


class Classifier(NamedTuple):
    """The class is that of the largest output; inputs are in units of their spread."""

    weights: Float[np.ndarray, "inputs classes"]
    input_means: Float[np.ndarray, " inputs"]
    spreads: Float[np.ndarray, " inputs"]
    output_means: Float[np.ndarray, " classes"]

    @classmethod
    def fit(
        cls, inputs: Float[np.ndarray, "samples inputs"], labels: Int[np.ndarray, " samples"]
    ):
        classes = np.arange(labels.max() + 1)
        targets = (labels[:, None] == classes).astype(float)
        means, spreads = inputs.mean(axis=0), inputs.std(axis=0)
        spreads = np.where(spreads > 0, spreads, 1)
        x, y = (inputs - means) / spreads, targets - targets.mean(axis=0)
        if x.shape[0] >= x.shape[1]:
            weights = ridge(Moments.of(x, y))
        else:  # in the space that the samples span, which is smaller
            u, sizes, v = np.linalg.svd(x, full_matrices=False)
            weights = v.T @ ridge(Moments.of(u * sizes, y))
        return cls(weights, means, spreads, targets.mean(axis=0))

    def accuracy(
        self, inputs: Float[np.ndarray, "samples inputs"], labels: Int[np.ndarray, " samples"]
    ) -> float:
        outputs = (inputs - self.input_means) / self.spreads @ self.weights + self.output_means
        return float((outputs.argmax(axis=1) == labels).mean())


def binned(trains: Trains, counts: tuple[int, ...]) -> Float[np.ndarray, "samples inputs"]:
    """The spikes in each so many equal parts of the time, of both signs if there are two."""
    if (trains < 0).any():
        trains = np.concatenate([np.maximum(trains, 0), np.maximum(-trains, 0)], axis=-1)
    steps = trains.shape[1]
    found = []
    for parts in sorted({min(count, steps) for count in counts}):
        edges = np.arange(parts) * steps // parts
        found.append(np.add.reduceat(trains, edges, axis=1).reshape(len(trains), -1))
    return np.concatenate(found, axis=1)
