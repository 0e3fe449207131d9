"""Strict promotion for every test, and the list of layers that the contract is tested on.

A new layer joins the whole parametrised suite (`test_contract.py`) by one line in CASES.
"""

import copy
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

import jaxsnn_eqx as snn

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

LENGTH = 12
VALUES = (5,)  # one sample of values; a signal has (LENGTH, 5)


@dataclass(frozen=True)
class Case:
    """A layer, and what the contract promises of it."""

    layer: snn.AbstractLayer
    low: float = 0.0  # inputs are drawn from [low, high)
    high: float = 4.0
    elementwise: bool = True  # any shape, and the same bits however it is chunked
    draws: bool = False  # needs a key
    # the values of an encoder's output; None: any whole number; (): it does not spike
    spikes: tuple[float, ...] | None = (0.0, 1.0)
    channels: int | None = None  # a last axis that the output has besides the input's

    @property
    def takes_values(self) -> bool:
        layers = self.layer if isinstance(self.layer, snn.Network) else [self.layer]
        return any(isinstance(x, snn.AbstractEncoder) and x.takes_values for x in layers)

    @property
    def reduces(self) -> bool:
        if isinstance(self.layer, snn.Network):
            return isinstance(self.layer[-1], snn.AbstractDecoder)
        return isinstance(self.layer, snn.AbstractDecoder)

    def input(self, shape=VALUES, dtype=jnp.float32, seed=1, length=LENGTH):
        """Values of `shape`, or a signal with time in front."""
        shape = shape if self.takes_values else (length, *shape)
        x = jr.uniform(jr.key(seed), shape, minval=self.low, maxval=self.high)
        return x.astype(dtype)

    def first(self, x):
        return x if self.takes_values else x[0]

    def run(self, state, x, start, stop, key):
        """The chunk from `start` to `stop`."""
        if self.takes_values:
            return self.layer.run(state, x, length=stop - start, key=key)
        return self.layer.run(state, x[start:stop], key=key)


def _network(*layers, checkpoint_every=None):
    return snn.Network(layers, checkpoint_every)


def _linear(n_in, n_out, bias, seed):
    linear = eqx.nn.Linear(n_in, n_out, use_bias=bias, key=jr.key(seed))
    return eqx.tree_at(lambda m: m.weight, linear, 3 * linear.weight)


def with_static(layer, **fields):
    """The layer with static fields replaced, which `eqx.tree_at` cannot do."""
    layer = copy.copy(layer)
    for name, value in fields.items():
        object.__setattr__(layer, name, value)
    return layer


_LAYERS = (
    snn.OverTime(_linear(5, 8, True, 0)),
    snn.LIF(),
    snn.OverTime(_linear(8, 3, False, 1)),
    snn.LI(),
)
_SIGNED = (-1.0, 0.0, 1.0)
_FAST = snn.LIFParameters(tau_syn=2e-3, tau_mem=4e-3, v_th=0.7, v_leak=0.1, v_reset=-0.2)

CASES = {
    "constant_current_lif": Case(snn.ConstantCurrentLIFEncoder(LENGTH)),
    "constant_current_lif_fast": Case(snn.ConstantCurrentLIFEncoder(LENGTH, _FAST)),
    "lif_current": Case(snn.LIFCurrentEncoder()),
    "spatio_temporal": Case(snn.SpatioTemporalEncoder(LENGTH, 1.1e-2), high=1.0),
    "spatio_temporal_early": Case(
        snn.SpatioTemporalEncoder(LENGTH, 1e-2, 2.5e-3, 1e-3), high=1.0
    ),
    "learnable_lif": Case(snn.LearnableLIFEncoder(VALUES, LENGTH), elementwise=False),
    "lif_latency": Case(snn.LIFLatencyEncoder(LENGTH, _FAST)),
    "latency": Case(snn.LatencyEncoder(LENGTH, 1.1e-2), high=1.0),
    "latency_log": Case(
        snn.LatencyEncoder(LENGTH, 1e-2, tau=8e-3, threshold=0.2), low=0.1, high=1.0
    ),
    "first_spike": Case(snn.TimeToFirstSpikeEncoder(LENGTH, 6e-3), high=1.0),
    "poisson": Case(snn.PoissonEncoder(LENGTH, 500.0), high=1.0, draws=True),
    "poisson_signed": Case(
        snn.PoissonEncoder(LENGTH, 1e3, signed=True),
        low=-1.0,
        high=1.0,
        draws=True,
        spikes=_SIGNED,
    ),
    "poisson_signal": Case(snn.PoissonEncoder(None, 500.0), high=1.0, draws=True),
    "regular_rate": Case(snn.RegularRateEncoder(LENGTH, 700.0), high=1.0),
    "phase": Case(snn.PhaseEncoder(LENGTH, 4), high=1.0),
    "burst": Case(snn.BurstEncoder(LENGTH, 4, t_max=6e-3), high=1.0),
    "rank_order": Case(snn.RankOrderEncoder(LENGTH), high=1.0, elementwise=False),
    "direct": Case(snn.DirectEncoder(LENGTH), spikes=()),
    "fields": Case(
        _network(snn.GaussianReceptiveFields((0.0, 1.0), 0.5), snn.PhaseEncoder(LENGTH, 4)),
        high=1.0,
        elementwise=False,
    ),
    "fields_trained": Case(
        _network(
            snn.GaussianReceptiveFields.evenly(4, shape=VALUES),
            snn.LatencyEncoder(LENGTH, 1e-2, threshold=jnp.array(0.1)),
        ),
        high=1.0,
        elementwise=False,
    ),
    "delta": Case(snn.DeltaEncoder(1.0), spikes=_SIGNED),
    "delta_rises": Case(snn.DeltaEncoder(1.0, signed=False)),
    "delta_trained": Case(snn.DeltaEncoder(jnp.array(1.0)), spikes=_SIGNED),
    "threshold": Case(snn.ThresholdEncoder(0.5, 0.5), spikes=_SIGNED),
    "step_forward": Case(snn.StepForwardEncoder(1.0), spikes=_SIGNED),
    "moving_window": Case(snn.MovingWindowEncoder(1.0), spikes=_SIGNED),
    "sigma_delta": Case(snn.SigmaDeltaEncoder(0.7), spikes=None),
    "sigma_delta_binary": Case(snn.SigmaDeltaEncoder(0.7, graded=False), spikes=_SIGNED),
    "pulse_width": Case(snn.PulseWidthEncoder(4e-3), high=1.0),
    "level_crossing": Case(snn.LevelCrossingEncoder((1.0, 2.0, 3.0)), channels=6),
    "bens_spiker": Case(snn.BensSpikerEncoder((0.5, 1.0, 0.5), 0.2), high=2.0),
    "lif": Case(snn.LIF()),
    "lif_fast": Case(snn.LIF(_FAST, checkpoint_every=5)),
    "lif_soft": Case(snn.LIF(_FAST, soft_reset=True)),
    "lif_refractory": Case(snn.LIF(_FAST, refractory=2e-3)),
    "alif": Case(snn.ALIF(_FAST, 2e-2, 0.5)),
    "alif_trained": Case(snn.ALIF(_FAST, 2e-2, jnp.array(0.5))),
    "parametric_lif": Case(snn.ParametricLIF((), _FAST), elementwise=False),
    "parametric_lif_each": Case(snn.ParametricLIF(VALUES, _FAST), elementwise=False),
    "recurrent": Case(
        snn.Recurrent(snn.LIF(_FAST, refractory=1e-3), _linear(5, 5, True, 4)),
        elementwise=False,
    ),
    "recurrent_alif": Case(
        snn.Recurrent(
            snn.ALIF(_FAST, beta=jnp.array(0.3), checkpoint_every=4), _linear(5, 5, False, 4)
        ),
        elementwise=False,
    ),
    "li": Case(snn.LI(), low=-2.0),
    "max_over_time": Case(snn.MaxOverTime(), low=-2.0),
    "mean_over_time": Case(snn.MeanOverTime(), elementwise=False),
    "first_spike_time": Case(snn.FirstSpikeTime(), high=1.0, elementwise=False),
    "spike_count": Case(snn.SpikeCount(), elementwise=False),
    "over_time_linear": Case(snn.OverTime(_linear(5, 3, True, 2)), elementwise=False),
    "over_time_dropout": Case(snn.OverTime(eqx.nn.Dropout()), draws=True),
    "network": Case(
        _network(snn.ConstantCurrentLIFEncoder(LENGTH), *_LAYERS, snn.MaxOverTime()),
        elementwise=False,
    ),
    "network_chunked": Case(_network(*_LAYERS, checkpoint_every=5), elementwise=False),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request) -> Case:
    return request.param


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
