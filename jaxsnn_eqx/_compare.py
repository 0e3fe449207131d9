"""Encoders at the same number of spikes: bits, reconstruction, classification."""

import contextlib
import importlib.util
import inspect
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from ._bisect import Options, RateNotReachedError
from ._calibrate import calibrate
from ._calibrate_encoder import calibrate_encoder
from ._comparison import Comparison, EncoderResult
from ._encoder.preprocessed import Preprocessed
from ._layer import AbstractLayer, AbstractTimed
from ._linear import Classifier, Decoder, Window, binned, snr
from ._network import Network
from ._over_time import OverTime
from ._types import (
    AnyInput,
    at_least_zero,
    checked,
    flag,
    positive_int,
    positive_number,
    real_number,
)
from ._walk import as_samples, encodes, has_fixed_count, run_all, run_on, split_scale
from .information import spike_bits

_TIMED = 3  # calls; the median counts
_CALIBRATED_ON = 500  # samples at most, which are enough for a rate


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
        function may stand in front of one: `Preprocessed`, or for signals a `Network` of
        `OverTime` and the encoder.
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
    xs = _data_of(named, data)
    if key is None:
        key = jr.key(0)
    split_key, draw_key = jr.split(key)
    settings = _Settings(
        _time_step(named, dt),
        positive_number("tolerance")(tolerance),
        Window(None, 0) if _of_values(named) else _window(taps, delay),
        tuple(positive_int("bins")(n) for n in ([bins] if isinstance(bins, int) else bins)),
    )
    rates = [rates] if isinstance(rates, float | int) else list(rates)
    rates = [positive_number("rates")(rate) for rate in rates]
    if not rates:
        raise ValueError("`rates` must not be empty.")
    classes = None if labels is None else _labels(labels, len(xs))
    parts = _split(xs, classes, test, split_key, values=_of_values(named))
    with _bar(len(named) * len(rates), flag("progress")(progress)) as advance:
        results, notes = [], []
        for name, encoder in named.items():
            found = _at_rates(name, encoder, parts, rates, draw_key, settings, notes, advance)
            results += found
    reference = None
    if classes is not None:
        reference = _accuracy(np.asarray(parts.train), np.asarray(parts.test), parts=parts)
    per = "value" if _of_values(named) else "second"
    return Comparison(tuple(results), tuple(notes), reference, per)


class _Settings(NamedTuple):
    dt: float
    tolerance: float
    window: Window
    bins: tuple[int, ...]


class _Parts(NamedTuple):
    """What is fitted on, and what is measured."""

    train: Array
    test: Array
    train_labels: Any
    test_labels: Any


# -- the arguments


def _by_name(encoders: Any) -> dict[str, AbstractLayer]:
    if not isinstance(encoders, Mapping):
        names = [type(_inner(encoder)).__name__ for encoder in encoders]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"`encoders` must be a dict of names if a class is in it twice, got {twice}."
            )
        encoders = dict(zip(names, encoders, strict=True))
    if not encoders:
        raise ValueError("`encoders` must not be empty.")
    for name, encoder in encoders.items():
        if not encodes(_behind(encoder)[1]):
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


def _inner(encoder: AbstractLayer) -> AbstractLayer:
    """The encoder behind the functions in front of it."""
    inner = split_scale(_behind(encoder)[1])[1]
    return _inner(inner.encoder) if isinstance(inner, Preprocessed) else inner


def _behind(encoder: AbstractLayer) -> tuple[tuple[AbstractLayer, ...], AbstractLayer]:
    """The functions of each step in front of an encoder of signals, and the encoder."""
    if isinstance(encoder, Network) and not encodes(encoder):
        *front, last = encoder
        if all(isinstance(layer, OverTime) for layer in front):
            return tuple(front), last
    return (), encoder


def _of_values(encoders: dict[str, AbstractLayer]) -> bool:
    return next(iter(encoders.values())).seq_length is not None


def _data_of(encoders: dict[str, AbstractLayer], data: AnyInput) -> Array:
    xs = as_samples("data", next(iter(encoders.values())), data)
    xs = xs.astype(jnp.promote_types(xs.dtype, jnp.float32))
    if not bool(jnp.isfinite(xs).all()):
        raise ValueError("`data` must be finite, got NaN or infinity.")
    if float(jnp.ptp(xs)) == 0:
        raise ValueError(f"`data` must not be constant, got {float(xs.ravel()[0]):g} alone.")
    return xs


def _time_step(encoders: dict[str, AbstractLayer], dt: float | None) -> float:
    own = {name: _inner(encoder) for name, encoder in encoders.items()}
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


def _split(xs: Array, labels: Any, test: Any, key: PRNGKeyArray, *, values: bool) -> _Parts:
    measured = _chosen(test, len(xs))
    if measured is None and len(xs) == 1 and not values:
        if labels is not None:
            raise ValueError("`labels` must be left out for one signal.")
        cut = round(xs.shape[1] * (1 - _share(test)))
        if not 0 < cut < xs.shape[1]:
            raise ValueError(f"`data` must be longer than {xs.shape[1]} steps to be split.")
        return _Parts(xs[:, :cut], xs[:, cut:], None, None)
    if measured is None:
        measured = _drawn(np.zeros(len(xs), int) if labels is None else labels, test, key)
    if measured.all() or not measured.any():
        raise ValueError(f"`data` must have more than {len(xs)} samples to be split.")
    train, held = np.flatnonzero(~measured), np.flatnonzero(measured)
    if labels is None:
        return _Parts(xs[train], xs[held], None, None)
    return _Parts(xs[train], xs[held], labels[train], labels[held])


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


# -- one encoder


def _at_rates(
    name: str,
    encoder: AbstractLayer,
    parts: _Parts,
    rates: list[float],
    key: PRNGKeyArray,
    settings: _Settings,
    notes: list[str],
    advance: Any,
) -> list[EncoderResult]:
    inputs, outputs = _per_input(encoder, parts.train)
    front, inner = _behind(encoder)
    some = parts.train[:: -(-len(parts.train) // _CALIBRATED_ON)]
    shown = run_all(front, some, None)
    found, refused = [], {}
    # `PulseWidthEncoder` has a period that can be any; a window of values is the user's
    own = has_fixed_count(inner) and inner.seq_length is not None
    for rate in [] if own else rates:
        advance(f"{name}, {rate:g} Hz", 0)
        if rate * settings.dt > outputs:
            most = f"at most one spike a step, {1 / settings.dt:g} Hz"
            refused.setdefault(most, []).append(f"{rate:g}")
            advance(name)
            continue
        try:
            calibrated = _calibrated(inner, shown, rate / outputs, key, settings)
        except RateNotReachedError as error:
            refused.setdefault(error.reached, []).append(f"{rate:g}")
        else:
            whole = Network([*front, calibrated]) if front else calibrated
            found.append(_measured(name, whole, rate, parts, inputs, key, settings))
        advance(name)
    for reached, missed in refused.items():
        shared = f", divided among {outputs} outputs" if outputs > 1 else ""
        notes.append(f"{name} does not spend {', '.join(missed)} Hz{shared}: {reached}.")
    if found:
        return found
    options = Options(None, False, 0.0, False, 0.05)
    ranged = calibrate_encoder(inner, shown, None, None, options)
    if own:
        advance(name, len(rates))
    whole = Network([*front, ranged]) if front else ranged
    return [_measured(name, whole, None, parts, inputs, key, settings)]


def _per_input(encoder: AbstractLayer, xs: Array) -> tuple[int, int]:
    """How many inputs there are, and how many outputs for each."""
    values = encoder.seq_length is not None
    shape = xs.shape[1:] if values else xs.shape[2:]
    out = jax.eval_shape(lambda x, key: encoder(x, key=key), xs[0], jr.key(0))
    if out.shape[1 : 1 + len(shape)] != shape:
        raise ValueError(
            f"`encoders` must have outputs for each input, got {out.shape[1:]} for {shape} "
            f"from `{type(_inner(encoder)).__name__}`."
        )
    inputs = math.prod(shape)
    return inputs, math.prod(out.shape[1:]) // inputs


def _calibrated(
    encoder: AbstractLayer, xs: Array, rate: float, key: PRNGKeyArray, settings: _Settings
) -> AbstractLayer:
    layer: Any = encoder
    dt = None if isinstance(_inner(encoder), AbstractTimed) else settings.dt
    return calibrate(layer, xs, rate=rate, dt=dt, tolerance=settings.tolerance, key=key)


def _measured(
    name: str,
    encoder: AbstractLayer,
    rate: float | None,
    parts: _Parts,
    inputs: int,
    key: PRNGKeyArray,
    settings: _Settings,
) -> EncoderResult:
    train_key, test_key = jr.split(key)
    trains = _trains(encoder, parts.train, train_key, inputs)
    measured, seconds = _timed(encoder, parts.test, test_key, inputs)
    values = encoder.seq_length is not None
    # of each input: a value, or a second of a signal
    units = len(measured) * inputs * (1 if values else measured.shape[1] * settings.dt)
    decoder = Decoder.fit(trains, _signals(parts.train, values), settings.window)
    signals = _signals(parts.test, values)
    accuracy = None
    if parts.train_labels is not None:
        counts = [binned(z, settings.bins) for z in (trains, measured)]
        accuracy = _accuracy(*counts, parts=parts)
    return EncoderResult(
        name,
        encoder,
        rate,
        spikes=float((measured != 0).sum() / units),
        bits=spike_bits(measured) * len(measured) / units,
        own_snr=_own_snr(encoder, measured, parts.test),
        linear_snr=snr(signals, decoder.decode(measured)),
        accuracy=accuracy,
        seconds=seconds,
    )


def _trains(encoder: AbstractLayer, xs: Array, key: PRNGKeyArray, inputs: int) -> np.ndarray:
    """The spikes, of shape `"samples time features channels"`."""
    spikes = np.asarray(run_on(encoder, xs, jr.split(key, len(xs))), np.float64)
    return spikes.reshape(*spikes.shape[:2], inputs, -1)


def _timed(encoder: AbstractLayer, xs: Array, key: PRNGKeyArray, inputs: int):
    trains = _trains(encoder, xs, key, inputs)  # compiles
    keys, seconds = jr.split(key, len(xs)), []
    for _ in range(_TIMED):
        start = time.perf_counter()
        jax.block_until_ready(run_on(encoder, xs, keys))
        seconds.append(time.perf_counter() - start)
    return trains, float(np.median(seconds))


def _signals(xs: Array, values: bool) -> np.ndarray:
    """The data, of shape `"samples time features"`; values have one step."""
    signals = np.asarray(xs, np.float64)
    return signals.reshape(len(signals), 1 if values else signals.shape[1], -1)


def _accuracy(train: np.ndarray, test: np.ndarray, *, parts: _Parts) -> float:
    train, test = (x.reshape(len(x), -1) for x in (train, test))
    return Classifier.fit(train, parts.train_labels).accuracy(test, parts.test_labels)


def _own_snr(encoder: AbstractLayer, trains: np.ndarray, xs: Array) -> float | None:
    """Of the encoder's own `decode`, with the true first sample where it takes one."""
    scale, inner = split_scale(encoder)
    decode = getattr(inner, "decode", None)
    if decode is None:
        return None
    scaled = xs if scale is None else jax.vmap(jax.vmap(scale))(xs)
    shape = xs.shape if trains.shape[-1] == 1 else (*xs.shape, trains.shape[-1])
    spikes = jnp.asarray(trains, xs.dtype).reshape(shape)
    if "start" in inspect.signature(decode).parameters:
        decoded = jax.vmap(decode)(spikes, scaled[:, 0])
    else:
        decoded = jax.vmap(decode)(spikes)
    return snr(_signals(scaled, False), _signals(decoded, False))
