"""Encoders and networks that spend a given number of spikes on data."""

from collections.abc import Sequence
from typing import Any, overload

import jax.random as jr
from jaxtyping import PRNGKeyArray

from ._bisect import Options
from ._calibrate_encoder import calibrate_encoder
from ._calibrate_network import calibrate_network
from ._layer import AbstractEncoder, AbstractLayer
from ._network import Network
from ._types import AnyInput, checked, flag, positive_number, real_number
from ._walk import as_finite_samples, split_scale


@overload
def calibrate(
    layer: Network,
    data: AnyInput,
    *,
    rate: float | Sequence[float | None],
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Network: ...


@overload
def calibrate(
    layer: AbstractEncoder,
    data: AnyInput,
    *,
    rate: float,
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Any: ...


@checked
def calibrate(
    layer: AbstractLayer,
    data: AnyInput,
    *,
    rate: Any,
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Any:
    r"""Sets the scale of an encoder, or of each layer of a network, so that it spends `rate`.

    The rate is the mean over samples, steps and outputs, in hertz; signed and graded spikes
    count as 1. Use training data: a few hundred samples are enough.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    >>> images = jax.random.uniform(k1, (50, 64))
    >>> encoder = snn.calibrate(snn.ConstantCurrentLIFEncoder(100), images, rate=50.0)
    >>> spikes = jax.vmap(encoder)(images)
    >>> round(float(spikes.mean() / 1e-3), 1)
    50.0
    >>> model = snn.Network([
    ...     snn.ConstantCurrentLIFEncoder(100),
    ...     snn.OverTime(eqx.nn.Linear(64, 256, key=k2)),
    ...     snn.LIF(),
    ...     snn.OverTime(eqx.nn.Linear(256, 10, key=k3)),
    ...     snn.LI(),
    ...     snn.MeanOverTime(),
    ... ])
    >>> model = snn.calibrate(model, images, rate=[50.0, 20.0])
    >>> round(float(jax.vmap(model[:3])(images).mean() / 1e-3), 1)
    20.0

    ```

    **An encoder** is returned with another number in the field that sets its rate:

    - the changes of `DeltaEncoder`, `StepForwardEncoder`, `MovingWindowEncoder` and
        `SigmaDeltaEncoder`: `threshold`; `ThresholdEncoder`: `factor`.
    - `LevelCrossingEncoder`: the distance of the `levels`, whose mean moves to the median of
        the data.
    - `BensSpikerEncoder`: the sum of `filter`, with `threshold` in proportion.
    - `PoissonEncoder`, `RegularRateEncoder`: `max_rate`.
    - `LearnableLIFEncoder`: `gain`, and `bias` if data are negative.
    - `LatencyEncoder`: `threshold`; `TimeToFirstSpikeEncoder`: `tau`. With one spike a value,
        this sets the share of silent values.
    - `SpatioTemporalEncoder`, `RankOrderEncoder`: the window, `seq_length`.
    - `PulseWidthEncoder`: `period`; `low` and `high` become the range of the data.
    - all others, such as `ConstantCurrentLIFEncoder`, `LIFCurrentEncoder`,
        `LIFLatencyEncoder` and `BurstEncoder`: a `Scale` in front, which also moves negative
        data to 0 and above.
    - `PhaseEncoder` and `DirectEncoder` are refused.

    A fixed number stays fixed, and an array stays trained. A `Scale` is put in front by
    `Preprocessed`, or for signals by `OverTime` in a `Network`. Encoders that clip to [0, 1]
    get one too, if the data are not within [0, 1].

    **A network** is returned with its encoder calibrated (for one `rate`, only if the encoder's
    number of spikes depends on a scale), and with the weights in front of each layer of
    neurons (of the last `Linear` or convolution before it) times a number. Biases become
    smaller with the weights, and never larger; lateral weights stay. The weights of the readout
    are multiplied too, so that the outputs have the standard deviation `readout`. Larger
    weights need a larger learning rate, in proportion: a few percent of the spread of the
    weights, which `summary` shows, for Adam.

    **Arguments:**

    - `layer`: an encoder, or a `Network`.
    - `data`: values of shape `"samples *shape"`, or signals of shape `"samples time *shape"`.
    - `rate`: in hertz, per output. Positive. For a network also a list with one for each layer
        that spikes, the encoder included; `None` leaves a layer as it is. (Keyword only.)
    - `readout`: the standard deviation of a network's outputs over samples and outputs; `None`
        leaves the readout as it is. (Keyword only.)
    - `dt`: length of a step in seconds, for encoders without a `dt`; by default 1 ms. (Keyword
        only.)
    - `per_feature`: whether each feature of an encoder gets its own scale, so that each spends
        `rate`, and not all alike. (Keyword only.)
    - `floor`: with `per_feature`, a feature whose range is at most this, in units of the data,
        is dead: it stays silent, and its noise is not encoded. By default constant features
        are. (Keyword only.)
    - `trained`: whether a `Scale` is trained. (Keyword only.)
    - `tolerance`: the largest relative deviation from `rate`. (Keyword only.)
    - `key`: for layers that draw random numbers. (Keyword only.)

    **Returns:**

    The calibrated layer. Inside `jax.jit` its numbers are arrays, and so trained, and a rate
    that is not reached is not refused. **Derivative:** none.

    **Raises:** `ValueError` for an encoder that cannot be calibrated, for data that are
    constant or not finite, and for a rate that is not reached within `tolerance`, with the
    rates that can be.

    Source: the search is a bisection. For networks, layer by layer: Mishkin & Matas, "All you
    need is a good init", ICLR (2016), with the rates that Rossbroich, Gygax & Zenke,
    Neuromorphic Computing and Engineering 2 (2022), aim at by fluctuations.
    """
    options = Options(
        None if dt is None else positive_number("dt")(dt),
        flag("per_feature")(per_feature),
        real_number("floor")(floor),
        flag("trained")(trained),
        positive_number("tolerance")(tolerance),
    )
    if options.floor < 0 or (options.floor > 0 and not per_feature):
        raise ValueError(
            "`floor` must be at least 0, and 0 without `per_feature`, got "
            f"{options.floor} and per_feature={per_feature}."
        )
    xs = as_finite_samples("data", layer, data)
    keys = None if key is None else jr.split(key, len(xs))
    if isinstance(layer, Network) and split_scale(layer)[0] is None:
        readout = None if readout is None else positive_number("readout")(readout)
        return calibrate_network(layer, xs, keys, rate, readout, options)
    if not isinstance(split_scale(layer)[1], AbstractEncoder):
        raise ValueError(
            f"`layer` must be an encoder or a `Network`, got `{type(layer).__name__}`."
        )
    return calibrate_encoder(layer, xs, keys, positive_number("rate")(rate), options)
