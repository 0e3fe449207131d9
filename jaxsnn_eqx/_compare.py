"""Encoders at the same number of spikes: bits, reconstruction, classification."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from ._comparison import Comparison
from ._layer import AbstractLayer, AbstractTimed
from ._linear import Window
from ._measure import Parts, Shared, accuracy, measure
from ._types import (
    AnyInput,
    at_least_zero,
    checked,
    flag,
    positive_int,
    positive_number,
    real_number,
)
from ._walk import as_finite_samples, behind_functions, encodes, steps_and_encoder


@checked
def compare(
    encoders: Mapping[str, AbstractLayer] | Sequence[AbstractLayer],
    data: AnyInput,
    *,
    rates: float | Sequence[float],
    labels: AnyInput | None = None,
    key: PRNGKeyArray | None = None,
    dt: float | None = None,
    tolerance: float = 0.2,
    test: float | AnyInput = 0.3,
    taps: int = 50,
    delay: int = 10,
    bins: int | Sequence[int] = (5, 10, 20),
    progress: bool = True,
) -> Comparison:
    r"""Compares encoders on data, each at the same rates.

    Each encoder is calibrated for each rate on one part of the data (on 500 samples of it, if
    there are more), and measured on the other.
    One whose number of spikes is fixed is measured once, as it is. Every other number is fitted
    on the first part too, so that nothing is tuned on what is measured.

    ```python
    >>> import jaxsnn_eqx as snn
    >>> xs = snn.datasets.ornstein_uhlenbeck(0, 1, 20_000, tau=0.1)
    >>> encoders = [snn.StepForwardEncoder(1.0), snn.DeltaEncoder(1.0)]
    >>> found = snn.compare(encoders, xs, rates=50.0, progress=False)
    >>> [round(result.spikes) for result in found.results]
    [47, 46]
    >>> found.results[0].linear_snr > found.results[1].linear_snr
    True

    ```

    **What is measured:**

    - *Spikes*: per value, or per channel of a signal and second, whatever the number of outputs
        that an encoder has for each.
    - *Bits*: the most that trains of these rates can carry (`information.spike_bits`). Equal
        spikes are not equal bits: signs and a finer `dt` add bits, further outputs too.
    - *Own dB*: $10 \log_{10}$ of the variance of the data over the mean square error of the
        encoder's own `decode`. The mean is no part of the variance. With several features, the
        mean of their relative errors.
    - *Linear dB*: the same of one linear decoder, the same kernel for all features. It
        reads the whole train of a value. Of a signal it reads the `taps` steps up to `delay`
        later, and leaky sums of all spikes until then, with time constants of 1, 4 and 16 times
        `taps`. Unlike `decode` of an encoder of changes, it does not know the first sample.
    - *Accuracy*: of a linear classifier of the spikes in 5, 10 and 20 equal parts of the time,
        all at once.
    - *Milliseconds*: to encode the test data.

    Decoder and classifier are fitted by least squares, with the shrinkage of the least
    generalised cross-validation error.

    **Arguments:**

    - `encoders`: encoders by name, or a sequence of them; all of values, or all of signals. A
        function may stand in front of one: `Preprocessed`, or for signals a `Network` that ends
        in the encoder, of `OverTime`, `FilterBank`, `LI` and `Delay`.
    - `data`: values of shape `"samples *shape"`, or signals of shape `"samples time *shape"`,
        with features of similar scale.
    - `rates`: in hertz, per input: an encoder with several outputs for each value divides it
        among them. (Keyword only.)
    - `labels`: the class of each sample, whole numbers from 0. (Keyword only.)
    - `key`: for encoders that draw, and for the split; by default `jax.random.key(0)`. The same
        key gives the same comparison, but for the milliseconds. (Keyword only.)
    - `dt`: length of a step in seconds, for encoders without a `dt`; by default that of the
        others, or 1 ms. (Keyword only.)
    - `tolerance`: the largest relative deviation from a rate on the first part. What an encoder
        spends is measured, so it may be large: of data with few different values not every
        rate can be reached. (Keyword only.)
    - `test`: share of the samples that is measured, the same of each class; of one signal, its
        last part. Or the numbers of these samples. (Keyword only.)
    - `taps`, `delay`: of the linear decoder of signals, in steps, `delay` below `taps`.
        (Keyword only.)
    - `bins`: into how many parts the classifier divides the time, a number or several. (Keyword
        only.)
    - `progress`: whether to show a progress bar, if `tqdm` is installed. (Keyword only.)

    **Returns:**

    A `Comparison`, which prints as a table. Rates that an encoder does not reach are in its
    notes; if it reaches none, it is measured as it is.

    **Raises:** `ValueError` for encoders of both kinds, data that are constant or not finite,
    labels of another length, and numbers out of range.
    """
    named = _by_name(encoders)
    values = next(iter(named.values())).seq_length is not None
    xs = _data_of(named, data)
    split_key, draw_key = jr.split(jr.key(0) if key is None else key)
    dt = _time_step(named, dt)
    tolerance = positive_number("tolerance")(tolerance)
    window = Window(None, 0) if values else _window(taps, delay)
    counts = tuple(positive_int("bins")(n) for n in ([bins] if isinstance(bins, int) else bins))
    rates = [rates] if isinstance(rates, float | int) else list(rates)
    rates = [positive_number("rates")(rate) for rate in rates]
    if not rates:
        raise ValueError("`rates` must not be empty.")
    classes = None if labels is None else _labels(labels, len(xs))
    parts = _split(xs, classes, test, split_key, values=values)
    shared = Shared(parts, rates, draw_key, dt, tolerance, window, counts)
    results, notes = [], []
    with _bar(len(named) * len(rates), flag("progress")(progress)) as advance:
        for name, encoder in named.items():
            found, missed = measure(name, encoder, shared, advance)
            results += found
            notes += missed
    reference = None
    if classes is not None:
        reference = accuracy(np.asarray(parts.train), np.asarray(parts.test), parts=parts)
    return Comparison(tuple(results), tuple(notes), reference, "value" if values else "second")


# -- the arguments


def _by_name(encoders: Any) -> dict[str, AbstractLayer]:
    if not isinstance(encoders, Mapping):
        names = [type(_innermost(encoder)).__name__ for encoder in encoders]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"`encoders` must be a dict of names if a class is in it twice, got {twice}."
            )
        encoders = dict(zip(names, encoders, strict=True))
    if not encoders:
        raise ValueError("`encoders` must not be empty.")
    for name, encoder in encoders.items():
        if not encodes(steps_and_encoder(encoder)[1]):
            raise ValueError(
                f"`encoders` must be encoders, got `{type(encoder).__name__}` as {name!r}."
            )
    kinds = {name: encoder.seq_length is None for name, encoder in encoders.items()}
    if len(set(kinds.values())) > 1:
        signals = [name for name, is_signal in kinds.items() if is_signal]
        raise ValueError(
            "`encoders` must be all of values, or all of signals, got of signals: "
            f"{', '.join(signals)}."
        )
    return dict(encoders)


def _innermost(encoder: AbstractLayer) -> AbstractLayer:
    """The encoder behind all functions in front of it."""
    return behind_functions(steps_and_encoder(encoder)[1])


def _data_of(encoders: dict[str, AbstractLayer], data: AnyInput) -> Array:
    xs = as_finite_samples("data", next(iter(encoders.values())), data)
    xs = xs.astype(jnp.promote_types(xs.dtype, jnp.float32))
    if float(jnp.ptp(xs)) == 0:
        raise ValueError(f"`data` must not be constant, got {float(xs.ravel()[0]):g} alone.")
    return xs


def _time_step(encoders: dict[str, AbstractLayer], dt: float | None) -> float:
    own = {name: _innermost(encoder) for name, encoder in encoders.items()}
    steps = {name: e.dt for name, e in own.items() if isinstance(e, AbstractTimed)}
    if dt is not None:
        steps["dt"] = positive_number("dt")(dt)
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{name} {step:g}" for name, step in steps.items())
        raise ValueError(f"`dt` must be the same for all encoders, got {listed}.")
    return next(iter(steps.values()), 1e-3)


def _window(taps: int, delay: int) -> Window:
    taps, delay = positive_int("taps")(taps), at_least_zero("delay")(delay)
    if delay >= taps:
        raise ValueError(f"`delay` must be below `taps` = {taps}, got {delay}.")
    return Window(taps, delay)


def _share(test: Any) -> float:
    share = real_number("test")(test)
    if not 0 < share < 1:
        raise ValueError(f"`test` must be above 0 and below 1, got {share}.")
    return share


def _chosen(test: Any, samples: int) -> np.ndarray | None:
    """Which samples are measured, if their numbers are given."""
    numbers = np.asarray(test)
    if numbers.ndim == 0:
        return None
    whole = numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.integer)
    if not whole or numbers.min() < 0 or numbers.max() >= samples:
        raise ValueError(
            f"`test` must be a share, or whole numbers from 0 to {samples - 1}, got "
            f"{numbers.dtype} of shape {numbers.shape}."
        )
    measured = np.zeros(samples, bool)
    measured[numbers] = True
    return measured


def _labels(labels: AnyInput, samples: int) -> Int[np.ndarray, " samples"]:
    classes = np.asarray(labels)
    if classes.shape != (samples,):
        raise ValueError(
            f"`labels` must have one number for each of the {samples} samples, got shape "
            f"{classes.shape}."
        )
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
        raise ValueError(
            "`labels` must be whole numbers of at least 0, got "
            f"{classes.dtype} from {classes.min()} to {classes.max()}."
        )
    return classes


def _split(xs: Array, labels: Any, test: Any, key: PRNGKeyArray, *, values: bool) -> Parts:
    measured = _chosen(test, len(xs))
    if measured is None and len(xs) == 1 and not values:
        if labels is not None:
            raise ValueError("`labels` must be left out for one signal.")
        cut = round(xs.shape[1] * (1 - _share(test)))
        if not 0 < cut < xs.shape[1]:
            raise ValueError(f"`data` must be longer than {xs.shape[1]} steps to be split.")
        return Parts(xs[:, :cut], xs[:, cut:], None, None)
    if measured is None:
        measured = _drawn(np.zeros(len(xs), int) if labels is None else labels, test, key)
    if measured.all() or not measured.any():
        raise ValueError(f"`data` must have more than {len(xs)} samples to be split.")
    train, held = np.flatnonzero(~measured), np.flatnonzero(measured)
    if labels is None:
        return Parts(xs[train], xs[held], None, None)
    return Parts(xs[train], xs[held], labels[train], labels[held])


def _drawn(groups: np.ndarray, test: Any, key: PRNGKeyArray) -> np.ndarray:
    """The same share of each group."""
    share, order = _share(test), np.asarray(jr.permutation(key, len(groups)))
    measured = np.zeros(len(groups), bool)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        measured[members[: round(len(members) * share)]] = True
    return measured


@contextlib.contextmanager
def _bar(total: int, shown: bool) -> Iterator[Any]:
    """What moves the progress bar on, with the name of what comes next."""
    if not shown or importlib.util.find_spec("tqdm") is None:
        yield lambda text, n=1: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="rate") as bar:

        def advance(text: str, n: int = 1) -> None:
            bar.update(n)
            bar.set_postfix_str(text)

        yield advance
