"""The settings of all tests, and the list of layers on which the contract is tested.

One line in CASES tests the whole contract (`test_contract.py`) for a new layer.
"""

import copy
import gc
import importlib.util
import math
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

# Set before JAX starts: eight devices, for the tests of sharding, and a cache of compiled
# programs, since tests spend most of their time in compilation.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")

import equinox as eqx
import equinox.nn._misc
import hypothesis
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn

hypothesis.settings.register_profile("same_cases", derandomize=True, deadline=None)
hypothesis.settings.register_profile("long", max_examples=60, deadline=None)
hypothesis.settings.load_profile("same_cases")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(50_000)  # tracing allocates much, and little of it is garbage


class draw:
    """`uniform` and `normal` of `jax.random`, computed by NumPy, which need not compile."""

    @staticmethod
    def uniform(key, shape=(), dtype=None, minval=0.0, maxval=1.0):
        numbers = np.asarray(_generator(key).uniform(minval, maxval, shape))
        return jnp.asarray(numbers.astype(dtype or jnp.result_type(float)))

    @staticmethod
    def normal(key, shape=(), dtype=None):
        numbers = np.asarray(_generator(key).normal(size=shape))
        return jnp.asarray(numbers.astype(dtype or jnp.result_type(float)))


class _Weights:
    """`jax.random` for Equinox's weights, of which every shape would compile for 0.2 s.

    One program draws 4,096 numbers, of which the first are those of any smaller shape
    (`test_testing.py` compares them).
    """

    DRAWN = 4096

    def __getattr__(self, name):
        return getattr(jr, name)

    def uniform(self, key, shape=(), dtype=float, minval=0.0, maxval=1.0):
        size = math.prod(shape)
        if isinstance(key, jax.core.Tracer) or size > self.DRAWN or jax.config.jax_enable_x64:
            return jr.uniform(key, shape, dtype, minval, maxval)
        numbers = jr.uniform(key, (self.DRAWN,), dtype, minval, maxval)
        return jnp.asarray(np.asarray(numbers)[:size].reshape(shape))


equinox.nn._misc.jrandom = _Weights()


def free_port() -> int:
    """A port of this machine that nobody uses, for processes that find each other by it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _generator(key) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jr.key_data(key)).ravel())


LENGTH = 12
VALUES = (5,)  # one sample of values; a signal has (LENGTH, 5)


@dataclass(frozen=True)
class Case:
    """A layer, and what the contract guarantees for it."""

    layer: snn.AbstractLayer
    low: float = 0.0  # inputs are drawn from [low, high)
    high: float = 4.0
    elementwise: bool = True  # takes any shape, and gives the same bits for all chunks
    draws: bool = False  # needs a key
    # the values of an encoder's output; None: any whole number; (): it does not spike
    spikes: tuple[float, ...] | None = (0.0, 1.0)
    channels: int | None = None  # size of a last axis that the output has in addition
    nan_stays: int = LENGTH  # how many steps after its own a NaN sample affects
    variant: bool = False  # a layer that is also there with its usual arguments

    @property
    def takes_values(self) -> bool:
        return self.layer.seq_length is not None

    @property
    def encodes(self) -> bool:
        return isinstance(self.layer, snn.AbstractEncoder)

    @property
    def has_dtype(self) -> bool:
        return hasattr(self.layer, "dtype")

    @property
    def reduces(self) -> bool:
        if isinstance(self.layer, snn.Network):
            return isinstance(self.layer[-1], snn.AbstractDecoder)
        return isinstance(self.layer, snn.AbstractDecoder)

    def input(self, shape=VALUES, dtype=jnp.float32, seed=1, length=LENGTH):
        """Values of `shape`, or a signal with time in front: a NumPy array."""
        shape = shape if self.takes_values else (length, *shape)
        return np.random.default_rng(seed).uniform(self.low, self.high, shape).astype(dtype)

    def first(self, x):
        return x if self.takes_values else x[0]

    def run(self, state, x, start, stop, key):
        """The chunk from `start` to `stop`."""
        if self.takes_values:
            return self.layer.run(state, x, length=stop - start, key=key)
        return self.layer.run(state, x[start:stop], key=key)


def _network(*layers, checkpoint_every=None):
    return snn.Network(layers, checkpoint_every)


@eqx.filter_jit  # one program, not one for each operation
def _linear(n_in, n_out, bias, seed):
    linear = eqx.nn.Linear(n_in, n_out, use_bias=bias, key=jr.key(seed))
    return eqx.tree_at(lambda m: m.weight, linear, 3 * linear.weight)


def slow(*values):
    """Values of a parameter that only `pytest -m slow` tests."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def cases(which: Callable[[Case], bool], *, fast: Callable[[Case], bool] = lambda case: True):
    """Parametrises a test with the cases of CASES that it applies to.

    Only `pytest -m slow` tests those that are not `fast`.
    """
    params = [
        pytest.param(case, id=name, marks=[] if fast(case) else [pytest.mark.slow])
        for name, case in CASES.items()
        if which(case)
    ]
    return pytest.mark.parametrize("case", params)


def usual(case: Case) -> bool:
    """Whether the case is a layer with its usual arguments."""
    return not case.variant


def of_each_base(case: Case) -> bool:
    """One or two layers of each base class, for behaviour that the base classes define."""
    return any(case is CASES[name] for name in ONE_OF_EACH_BASE)


ONE_OF_EACH_BASE = (
    "constant_current_lif",
    "learnable_lif",
    "lif_current",
    "poisson",
    "poisson_signal",
    "fields_trained",
    "delta",
    "lif",
    "delay",
    "synapse",
    "recurrent",
    "first_spike_time",
    "over_time_linear",
    "over_time_dropout",
    "network",
    "network_chunked",
)


def module_at(path: Path) -> ModuleType:
    """A module from a file outside of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collectives(compiled) -> list[str]:
    """The communication between devices in a compiled program."""
    names = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
    return re.findall(rf"(?:{names}|collective-broadcast)(?:-start)?\(", compiled.as_text())


def with_static(layer, **fields):
    """The layer with other static fields, which `eqx.tree_at` cannot replace."""
    if isinstance(layer, snn.Preprocessed):
        return snn.Preprocessed(layer.fn, with_static(layer.encoder, **fields))
    layer = copy.copy(layer)
    for name, value in fields.items():
        object.__setattr__(layer, name, value)
    return layer


_LAYERS = (
    snn.OverTime(_linear(5, 8, True, 0)),
    snn.Synapse(snn.LIF(), immediate=False),
    snn.OverTime(_linear(8, 3, False, 1)),
    snn.Synapse(snn.LI()),
)
_SIGNED = (-1.0, 0.0, 1.0)
_FAST = snn.LIFParameters(tau_mem=4e-3, v_th=0.7, v_leak=0.1, v_reset=-0.2)

CASES = {
    "constant_current_lif": Case(snn.ConstantCurrentLIFEncoder(LENGTH)),
    "constant_current_lif_fast": Case(
        snn.ConstantCurrentLIFEncoder(LENGTH, _FAST), variant=True
    ),
    "lif_current": Case(snn.LIFCurrentEncoder()),
    "spatio_temporal": Case(snn.SpatioTemporalEncoder(LENGTH, 1.1e-2), high=1.0),
    "spatio_temporal_early": Case(
        snn.SpatioTemporalEncoder(LENGTH, 1e-2, 2.5e-3, 1e-3), high=1.0, variant=True
    ),
    "learnable_lif": Case(snn.LearnableLIFEncoder(VALUES, LENGTH), elementwise=False),
    "lif_latency": Case(snn.LIFLatencyEncoder(LENGTH, _FAST)),
    "latency": Case(snn.LatencyEncoder(LENGTH, 1.1e-2), high=1.0),
    "latency_log": Case(
        snn.LatencyEncoder(LENGTH, 1e-2, tau=8e-3, threshold=0.2),
        low=0.1,
        high=1.0,
        variant=True,
    ),
    "first_spike": Case(snn.TimeToFirstSpikeEncoder(LENGTH, 6e-3), high=1.0),
    "first_spike_trained": Case(
        snn.TimeToFirstSpikeEncoder(LENGTH, jnp.array(6e-3)), high=1.0, variant=True
    ),
    "scaled": Case(
        snn.Preprocessed(snn.Scale(2.0, jnp.array(0.1)), snn.ConstantCurrentLIFEncoder(LENGTH)),
        variant=True,
    ),
    "poisson": Case(snn.PoissonEncoder(LENGTH, 500.0), high=1.0, draws=True),
    "poisson_signed": Case(
        snn.PoissonEncoder(LENGTH, 1e3, signed=True),
        low=-1.0,
        high=1.0,
        draws=True,
        spikes=_SIGNED,
        variant=True,
    ),
    "poisson_signal": Case(snn.PoissonEncoder(None, 500.0), high=1.0, draws=True),
    "poisson_trained": Case(
        snn.PoissonEncoder(LENGTH, jnp.array(500.0)), high=1.0, draws=True, variant=True
    ),
    "regular_rate": Case(snn.RegularRateEncoder(LENGTH, 700.0), high=1.0),
    "regular_rate_trained": Case(
        snn.RegularRateEncoder(LENGTH, jnp.array(700.0)), high=1.0, variant=True
    ),
    "phase": Case(snn.PhaseEncoder(LENGTH, 4), high=1.0),
    "burst": Case(snn.BurstEncoder(LENGTH, 4, t_max=6e-3), high=1.0),
    "rank_order": Case(snn.RankOrderEncoder(LENGTH), high=1.0, elementwise=False),
    "direct": Case(snn.DirectEncoder(LENGTH), spikes=()),
    "fields": Case(
        snn.Preprocessed(
            snn.GaussianReceptiveFields((0.0, 1.0), 0.5), snn.PhaseEncoder(LENGTH, 4)
        ),
        high=1.0,
        elementwise=False,
        variant=True,
    ),
    "fields_trained": Case(
        snn.Preprocessed(
            snn.GaussianReceptiveFields.evenly(4, shape=VALUES),
            snn.LatencyEncoder(LENGTH, 1e-2, threshold=jnp.array(0.1)),
        ),
        high=1.0,
        elementwise=False,
    ),
    "delta": Case(snn.DeltaEncoder(1.0), spikes=_SIGNED, nan_stays=1),
    "delta_rises": Case(snn.DeltaEncoder(1.0, signed=False), nan_stays=1, variant=True),
    "delta_trained": Case(
        snn.DeltaEncoder(jnp.array(1.0)), spikes=_SIGNED, nan_stays=1, variant=True
    ),
    "threshold": Case(snn.ThresholdEncoder(0.5, 0.5), spikes=_SIGNED, nan_stays=1),
    "step_forward": Case(snn.StepForwardEncoder(1.0), spikes=_SIGNED),
    "moving_window": Case(snn.MovingWindowEncoder(1.0), spikes=_SIGNED, nan_stays=3),
    "sigma_delta": Case(snn.SigmaDeltaEncoder(0.7), spikes=None),
    "sigma_delta_binary": Case(
        snn.SigmaDeltaEncoder(0.7, graded=False), spikes=_SIGNED, variant=True
    ),
    "pulse_width": Case(snn.PulseWidthEncoder(4e-3), high=1.0, nan_stays=3),
    "level_crossing": Case(snn.LevelCrossingEncoder((1.0, 2.0, 3.0)), channels=6, nan_stays=1),
    "bens_spiker": Case(snn.BensSpikerEncoder((0.5, 1.0, 0.5), 0.2), high=2.0),
    "lif": Case(snn.LIF()),
    "lif_fast": Case(snn.LIF(_FAST, checkpoint_every=5), variant=True),
    "lif_soft": Case(snn.LIF(_FAST, soft_reset=True, detach_reset=True), variant=True),
    "lif_refractory": Case(snn.LIF(_FAST, refractory=2e-3)),
    "alif": Case(snn.ALIF(_FAST, 2e-2, 0.5)),
    "alif_trained": Case(snn.ALIF(_FAST, 2e-2, jnp.array(0.5), refractory=1e-3), variant=True),
    "lif_learnable": Case(
        snn.LIF(snn.LearnableLIFParameters((), _FAST)), elementwise=False, variant=True
    ),
    "lif_learnable_each": Case(
        snn.LIF(snn.LearnableLIFParameters(VALUES, _FAST), refractory=2e-3), elementwise=False
    ),
    "alif_learnable": Case(
        snn.ALIF(snn.LearnableLIFParameters(VALUES, _FAST), 2e-2, jnp.array(0.5)),
        elementwise=False,
        variant=True,
    ),
    "li_learnable": Case(
        snn.LI(snn.LearnableLIFParameters(VALUES)), low=-2.0, elementwise=False, variant=True
    ),
    "synapse": Case(snn.Synapse(snn.LIF())),
    "synapse_later": Case(snn.Synapse(snn.LIF(_FAST), 2e-3, immediate=False)),
    "synapse_trained": Case(
        snn.Synapse(snn.LIF(), jnp.array(3e-3)), elementwise=False, variant=True
    ),
    "synapse_alif": Case(
        snn.Synapse(snn.ALIF(_FAST, 2e-2, 0.5), 2e-3, immediate=False), variant=True
    ),
    "synapse_li": Case(snn.Synapse(snn.LI()), low=-2.0),
    "recurrent": Case(
        snn.Recurrent(
            snn.Synapse(snn.LIF(_FAST, refractory=1e-3), 2e-3, immediate=False),
            _linear(5, 5, True, 4),
        ),
        elementwise=False,
    ),
    "recurrent_alif": Case(
        snn.Recurrent(
            snn.ALIF(_FAST, beta=jnp.array(0.3), checkpoint_every=4), _linear(5, 5, False, 4)
        ),
        elementwise=False,
        variant=True,
    ),
    "li": Case(snn.LI(), low=-2.0),
    "lif_resistance": Case(
        snn.LIF(snn.LIFParameters(tau_mem=4e-3, v_th=0.7, r=-2.0)), low=-4.0, variant=True
    ),
    "synapse_weighted": Case(
        snn.Synapse(snn.LIF(snn.LIFParameters(r=10.0)), 2e-3, w_in=[1.0, 2.0, 0.5, -1.0, 3.0]),
        elementwise=False,
        variant=True,
    ),
    "if": Case(snn.IF(snn.LIFParameters(v_th=3.0, v_reset=0.5, r=0.8), soft_reset=True)),
    "if_learnable": Case(
        snn.IF(
            snn.LearnableLIFParameters(VALUES, r=[0.5, 1.0, 1.5, 2.0, -1.0]), refractory=2e-3
        ),
        elementwise=False,
        variant=True,
    ),
    "integrator": Case(snn.Integrator(snn.LIFParameters(r=0.5)), low=-2.0),
    "resonate_and_fire": Case(snn.ResonateAndFire(120.0, 1e-2), low=-12.0, high=12.0),
    "resonate_and_fire_balanced": Case(
        snn.ResonateAndFire(
            jnp.linspace(50.0, 200.0, 5), jnp.array(1e-2), balanced=True, v_th=0.5
        ),
        low=-12.0,
        high=12.0,
        elementwise=False,
    ),
    "delay": Case(snn.Delay(2e-3)),
    "delay_each": Case(
        snn.Delay([0.0, 1e-3, 3e-3, 2e-3, 2e-2]), elementwise=False, variant=True
    ),
    "delay_trained": Case(
        snn.Delay(jnp.array([0.0, 1.3e-3, 2.5e-3, 3e-3, 9e-3]), longest=4e-3),
        elementwise=False,
    ),
    "filter_bank": Case(
        snn.FilterBank.butterworth(3, 50.0, 400.0, dt=1e-3), low=-2.0, channels=3
    ),
    "filter_bank_trained": Case(
        snn.FilterBank.gammatone(2, 60.0, 300.0, dt=1e-3, trained=True),
        low=-2.0,
        channels=2,
        elementwise=False,
        variant=True,
    ),
    "max_over_time": Case(snn.MaxOverTime(), low=-2.0),
    "mean_over_time": Case(snn.MeanOverTime(), elementwise=False),
    "first_spike_time": Case(snn.FirstSpikeTime(), high=1.0, elementwise=False),
    "spike_count": Case(snn.SpikeCount(), elementwise=False),
    "over_time_linear": Case(snn.OverTime(_linear(5, 3, True, 2)), elementwise=False),
    "over_time_scale": Case(
        snn.OverTime(snn.Scale(jnp.linspace(0.5, 2.0, 5), -1.0)),
        elementwise=False,
        variant=True,
    ),
    "over_time_dropout": Case(snn.OverTime(eqx.nn.Dropout()), draws=True),
    "network": Case(
        _network(snn.ConstantCurrentLIFEncoder(LENGTH), *_LAYERS, snn.MaxOverTime()),
        elementwise=False,
    ),
    "network_chunked": Case(_network(*_LAYERS, checkpoint_every=5), elementwise=False),
}


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    yield
    jax.clear_caches()  # a compiled program takes about a megabyte


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def lowered():
    """A list with one item for everything that JAX lowers, and so compiles, from now on."""
    events = []

    def listen(event, duration, **_):
        if event.endswith("jaxpr_to_mlir_module_duration"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)
