"""A band-limited signal back from the spike times of a LIF neuron."""

import numpy as np

from .._parameters import LIFParameters


def decode_spike_times(
    spikes: np.ndarray, params: LIFParameters, dt: float, bandwidth: float
) -> np.ndarray:
    """The signals of shape `"time channels"` that `bandwidth` hertz and the spikes leave over.

    Each interval between spikes is one linear equation in the signal: driven by it from
    `v_reset`, the membrane reached `v_th` during the step of the spike, so that the mean of the
    potentials before and after this step is `v_th` up to half a step. The signal is a sum of
    sines up to `bandwidth`, whose amplitudes are the least-squares solution.
    """
    time = len(spikes)
    basis = _sines(time, dt, bandwidth)
    decay = 1 - dt / params.tau_mem
    driven = _leaky_sums(basis, decay)  # the potential that each sine alone gives from 0
    decoded = [
        basis @ _amplitudes(np.flatnonzero(train), driven, params, decay) for train in spikes.T
    ]
    return np.stack(decoded, axis=1)


def check_density(spikes: np.ndarray, dt: float, bandwidth: float) -> None:
    """Refuses trains with an interval of `1 / (2 bandwidth)` or more; the ends count too."""
    for channel, train in enumerate(spikes.T):
        ends = np.r_[-1, np.flatnonzero(train), len(train)]
        longest = float(np.diff(ends).max()) * dt
        if longest * 2 * bandwidth >= 1:
            raise ValueError(
                f"`spikes` must have no interval of 1 / (2 bandwidth) = {0.5 / bandwidth:g} s "
                f"or more (start and end included) for `bandwidth`={bandwidth:g} Hz, got "
                f"{longest:g} s in channel {channel}: encode a stronger current, or one with "
                "an offset, or lower `bandwidth`."
            )


def _sines(time: int, dt: float, bandwidth: float) -> np.ndarray:
    """Cosines and sines up to `bandwidth`, over a period longer than the signal."""
    length = time * dt + 4 / bandwidth  # else the end would be next to the start
    frequencies = np.arange(int(bandwidth * length) + 1) / length
    phase = 2 * np.pi * frequencies * (np.arange(time)[:, None] * dt)
    return np.concatenate([np.cos(phase), np.sin(phase[:, 1:])], axis=1)


def _leaky_sums(xs: np.ndarray, decay: float) -> np.ndarray:
    from scipy.signal import lfilter  # slow to import, and not always needed

    return np.asarray(lfilter([1 - decay], [1, -decay], xs, axis=0))


def _amplitudes(
    steps: np.ndarray, driven: np.ndarray, params: LIFParameters, decay: float
) -> np.ndarray:
    rows, sides = [], []
    # the potentials of the sines alone, and the rest of it, at the spike before
    before, rest = np.zeros(driven.shape[1]), 0.0
    last = -1
    for step in steps:
        row, side = 0.0, 0.0
        for at in (step - 1, step):
            kept = decay ** (at - last)
            potential = driven[at] if at >= 0 else 0.0
            row = row + (potential - kept * before) / 2
            side += (kept * rest + (1 - kept) * params.v_leak) / 2
        rows.append(params.r * row)
        sides.append(params.v_th - side)
        before, rest, last = driven[step], params.v_reset, step
    # spikes are sharp to a step: combinations of sines that they hardly tell are left out
    found, *_ = np.linalg.lstsq(np.stack(rows), np.array(sides), rcond=1e-3)
    return found
