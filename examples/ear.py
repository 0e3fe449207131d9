"""Vowels, from a sound to spikes to a class: an ear in five lines.

    pip install "jaxsnn_eqx[examples]"
    python examples/ear.py           # encode, classify, and write ear.png
    python examples/ear.py --short   # few vowels, to see that it runs

The sounds are synthesised: five vowels by their formants (Peterson & Barney, 1952), spoken by
speakers of random pitch and vocal-tract length, in noise. A gammatone filter bank divides a
sound into the bands of the ear; each is rectified, smoothed and compressed, and is the current
of a LIF neuron. Beside it, resonate-and-fire neurons of the same frequencies, which take the
sound as it is.

A linear classifier of the numbers of spikes names the vowel, trained on sounds in as much noise
as it is tested on. The yardstick is the same classifier of the waveform, and of the bands
without spikes.
"""

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.signal import lfilter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RATE = 8_000  # samples a second
DT = 1 / RATE
SAMPLES = 1_600  # of a vowel: 0.2 s
VOWELS = {
    "heed": (270, 2290, 3010),
    "head": (530, 1840, 2480),
    "hod": (730, 1090, 2440),
    "hawed": (570, 840, 2410),
    "who'd": (300, 870, 2240),
}  # formants in hertz
BANDWIDTHS = (60, 90, 120)  # of the formants
CHANNELS, LOW, HIGH = 24, 100.0, 3_600.0
SPIKE_RATE = 60.0  # hertz, for each channel
NOISE = (20, 10, 0)  # signal-to-noise ratios in decibels
SIZE, SHORT_SIZE = 600, 60  # vowels for training, and for each test


def speak(vowel: int, rng: np.random.Generator) -> Float[np.ndarray, " time"]:
    """A vowel by a random speaker: glottal pulses through the resonances of the vocal tract."""
    pitch, tract = rng.uniform(90, 260), rng.uniform(0.85, 1.18)
    phase = rng.uniform() + pitch * np.arange(SAMPLES) * DT
    sound = np.diff(np.floor(phase), prepend=0.0)  # pulses
    sound = lfilter([1.0], [1.0, -1.8, 0.81], sound)  # the glottis: 12 dB an octave less
    sound = lfilter([1.0, -0.97], [1.0], sound)  # the lips: 6 dB an octave more
    for formant, bandwidth in zip(list(VOWELS.values())[vowel], BANDWIDTHS, strict=True):
        radius, angle = np.exp(-np.pi * bandwidth * DT), 2 * np.pi * formant * tract * DT
        sound = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], sound)
    sound = np.asarray(sound) - np.mean(sound)
    return sound / sound.std()


def sounds(
    size: int, noise: tuple[int, ...], seed: int
) -> tuple[Float[np.ndarray, "size time"], Int[np.ndarray, " size"]]:
    rng = np.random.default_rng(seed)
    classes = np.arange(size) % len(VOWELS)
    clean = np.stack([speak(int(vowel), rng) for vowel in classes])
    decibels = rng.choice(noise, (size, 1))
    noisy = clean + 10 ** (-decibels / 20) * rng.normal(size=clean.shape)
    return noisy.astype(np.float32), classes


# -- the ears


def bands() -> list[snn.AbstractLayer]:
    """The currents of the bank: rectified, smoothed, compressed."""
    return [
        snn.FilterBank.gammatone(CHANNELS, LOW, HIGH, dt=DT),
        snn.OverTime(lambda x: jnp.maximum(x, 0)),
        snn.LI(snn.LIFParameters(tau_mem=5e-3), dt=DT),
        snn.OverTime(snn.PowerCompression(0.3)),
    ]


def cochlea(train: Array) -> snn.Network:
    """Bands, each the current of a LIF neuron."""
    network = snn.Network([*bands(), snn.LIFCurrentEncoder(dt=DT)])
    return snn.calibrate(network, train, rate=SPIKE_RATE)


def resonators(train: Array) -> snn.Network:
    """Resonate-and-fire neurons, with the bandwidths of the same gammatone filters."""
    frequencies = np.array(snn.FilterBank.gammatone(CHANNELS, LOW, HIGH, dt=DT).centres)
    tau = 1 / (2 * np.pi * 1.019 * 24.7 * (1 + 4.37e-3 * frequencies))
    each = snn.OverTime(lambda x: jnp.repeat(x[..., None], CHANNELS, axis=-1))
    network = snn.Network([each, snn.ResonateAndFire(frequencies, tau, dt=DT)])
    return snn.calibrate(network, train, rate=SPIKE_RATE)


def counted(network: snn.Network) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers of spikes (or sums of currents) of each channel, for a batch of sounds."""
    total = jax.jit(lambda xs: jax.lax.map(lambda x: network(x).sum(axis=0), xs, batch_size=50))
    return lambda xs: np.asarray(total(xs))


def accuracies(count: Callable, train: tuple, tests: list[tuple]) -> list[float]:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(count(train[0]), train[1])
    return [100 * float(model.score(count(xs), classes)) for xs, classes in tests]


# -- the picture


def draw(ear: snn.Network, other: snn.Network, out: str) -> None:
    rng = np.random.default_rng(5)
    centres = np.array(snn.FilterBank.gammatone(CHANNELS, LOW, HIGH, dt=DT).centres)
    figure, axes = plt.subplots(3, len(VOWELS), figsize=(11, 6), sharex=True, sharey="row")
    ends = (0, 1e3 * SAMPLES * DT)
    for column, name in zip(axes.T, VOWELS, strict=True):
        sound = speak(list(VOWELS).index(name), rng).astype(np.float32)
        image = np.asarray(ear[:4](sound)).T
        column[0].imshow(image, aspect="auto", origin="lower", extent=(*ends, -0.5, 23.5))
        for ax, network in zip(column[1:], (ear, other), strict=True):
            steps, channels = np.nonzero(np.asarray(network(sound)))
            ax.plot(1e3 * steps * DT, channels, "|", ms=4, c="k")
            ax.set_xlim(*ends)
            ax.set_ylim(-0.5, CHANNELS - 0.5)
        column[0].set_title(name)
        column[-1].set_xlabel("time (ms)")
    ticks = np.arange(0, CHANNELS, 6)
    labels = ("bands", "LIF", "resonators")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_yticks(ticks, [f"{centre:.0f}" for centre in centres[ticks]])
        ax.set_ylabel(f"{label}\ncentre (Hz)")
    figure.tight_layout()
    figure.savefig(out, dpi=120)
    print(f"wrote {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Encodes and classifies vowels.")
    parser.add_argument("--short", action="store_true", help="few vowels")
    parser.add_argument("--out", default="ear.png", help="the picture (ear.png)")
    args = parser.parse_args()
    size = SHORT_SIZE if args.short else SIZE
    train = sounds(size, NOISE, seed=1)
    tests = [sounds(size, (decibels,), seed=2 + i) for i, decibels in enumerate(NOISE)]
    for_scales = jnp.asarray(train[0][:50])
    ear, other = cochlea(for_scales), resonators(for_scales)
    ways = {
        "the waveform": lambda xs: xs,
        "the bands, no spikes": counted(snn.Network(bands())),
        "LIF neurons behind them": counted(ear),
        "resonate-and-fire neurons": counted(other),
    }
    head = "  ".join(f"{decibels:>4} dB" for decibels in NOISE)
    rows = [f"accuracy (%)               {head}"]
    with tqdm(ways.items(), desc="vowels", unit="way", leave=False) as progress:
        for name, count in progress:
            found = accuracies(count, train, tests)
            rows.append(f"{name:<27}" + "  ".join(f"{a:>7.1f}" for a in found))
    print("\n".join(rows))
    draw(ear, other, args.out)


if __name__ == "__main__":
    main()
