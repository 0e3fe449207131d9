"""What `compare` found: a table, and its Pareto front."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ._layer import AbstractLayer

Cost = Literal["spikes", "bits"]
_EXACT = 100.0  # decibels


@dataclass(frozen=True)
class EncoderResult:
    """One encoder at one rate, measured on the data that it was not calibrated on.

    ```python
    >>> import jaxsnn_eqx as snn
    >>> xs = snn.datasets.ornstein_uhlenbeck(0, 1, 20_000, tau=0.1)
    >>> encoder = snn.PulseWidthEncoder(2e-2, -3.0, 3.0)
    >>> [result] = snn.compare([encoder], xs, rates=50.0, progress=False).results
    >>> round(result.spikes), round(result.bits), round(result.own_snr)
    (50, 286, 12)

    ```

    - `name`: of the encoder.
    - `encoder`: as `calibrate` returned it.
    - `given_rate`: in hertz, per input; `None` for an encoder at its own rate.
    - `spikes`, `bits`: per value; of signals, per channel of the input and second. Signed and
        graded spikes count as 1. Bits are those of `information.spike_bits`.
    - `own_snr`: of the encoder's own `decode`, in decibels, or `None`.
    - `linear_snr`: of the linear decoder, in decibels.
    - `accuracy`: of the linear classifier, or `None` without labels.
    - `seconds`: to encode the test data, compiled, the median of three.
    """

    name: str
    encoder: AbstractLayer
    given_rate: float | None
    spikes: float
    bits: float
    own_snr: float | None
    linear_snr: float
    accuracy: float | None
    seconds: float

    @property
    def snr(self) -> float:
        """The better of the two, in decibels."""
        return max(self.linear_snr, -math.inf if self.own_snr is None else self.own_snr)


@dataclass(frozen=True, repr=False)
class Comparison:
    """The table of `compare`; `plotting.comparison` draws it.

    ```python
    >>> import jax
    >>> import jaxsnn_eqx as snn
    >>> values = jax.random.uniform(jax.random.key(0), (200, 3))
    >>> encoders = [snn.RegularRateEncoder(50), snn.LatencyEncoder(50, t_late=4.9e-2)]
    >>> found = snn.compare(encoders, values, rates=[20.0, 100.0], progress=False)
    >>> [result.name for result in found.front("spikes")]
    ['LatencyEncoder']
    >>> print(found.notes[0])
    LatencyEncoder does not spend 100 Hz: the most that it can spend on these data is 20 Hz.

    ```

    - `results`: an `EncoderResult` for each encoder and rate.
    - `notes`: which encoders do not reach a rate, and why.
    - `data_accuracy`: of the same classifier on the data themselves, or `None` without labels.
    - `per`: what spikes and bits are counted per, `"value"` or `"second"`.
    """

    results: tuple[EncoderResult, ...]
    notes: tuple[str, ...]
    data_accuracy: float | None
    per: str

    def front(self, cost: Cost = "bits") -> tuple[EncoderResult, ...]:
        """The Pareto front: results with a higher `snr` than all that cost less.

        In order of the cost, `"spikes"` or `"bits"`.
        """
        if cost not in ("spikes", "bits"):
            raise ValueError(f'`cost` must be "spikes" or "bits", got {cost!r}.')
        found: list[EncoderResult] = []
        for result in sorted(self.results, key=lambda r: (getattr(r, cost), -r.snr)):
            finite = math.isfinite(getattr(result, cost))
            if finite and (not found or result.snr > found[-1].snr):
                found.append(result)
        return tuple(found)

    def __repr__(self) -> str:
        columns: dict[str, Callable[[EncoderResult], str]] = {
            "encoder": lambda r: r.name,
            "given Hz": lambda r: "own" if r.given_rate is None else f"{r.given_rate:g}",
            f"spikes/{self.per}": lambda r: f"{r.spikes:.3g}",
            f"bits/{self.per}": lambda r: f"{r.bits:.3g}",
            "own dB": lambda r: _or_empty(r.own_snr, decibels),
            "linear dB": lambda r: decibels(r.linear_snr),
            "accuracy": lambda r: _or_empty(r.accuracy, "{:.1%}".format),
            "ms": lambda r: f"{1e3 * r.seconds:.2g}",
        }
        table = [[cell(result) for result in self.results] for cell in columns.values()]
        shown = [
            (name, cells) for name, cells in zip(columns, table, strict=True) if any(cells)
        ]
        padded = []
        for name, cells in shown:
            width = max(map(len, [name, *cells]))
            pad = str.rjust if padded else str.ljust
            padded.append([pad(name, width), "-" * width, *(pad(c, width) for c in cells)])
        lines = ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
        lines[1] = lines[1].replace(" ", "-")
        if self.data_accuracy is not None:
            lines.append(f"The same classifier on the data: {self.data_accuracy:.1%}")
        return "\n".join([*lines, *(f"! {note}" for note in self.notes)])


def _or_empty(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


def decibels(value: float) -> str:
    """In words, where only rounding is left."""
    return f"{value:.1f}" if value < _EXACT else "exact"
