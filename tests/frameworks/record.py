"""Records the spikes of encoders in other frameworks, for `tests/test_frameworks.py`.

    pip install -r tests/frameworks/requirements.txt
    python tests/frameworks/record.py

Writes `tests/frameworks/recorded.npz`. The tests do not need the frameworks.
"""

from pathlib import Path

import brainstate
import braintools
import brainunit as u
import norse.torch as norse
import norse.torch.functional.encode as norse_encode
import numpy as np
import torch
from snntorch import spikegen
from spikingjelly.activation_based import encoding as spikingjelly

rng = np.random.default_rng(0)
unit = rng.uniform(0, 1, 300).astype(np.float32)
unit[:2] = 0.02, 1.0  # no values at 0, where the frameworks differ
currents = rng.uniform(0, 6, 300).astype(np.float32)
signal = (np.cumsum(rng.integers(-3, 4, (80, 5)), axis=0) / 4).astype(np.float32)
recorded = {"unit": unit, "currents": currents, "signal": signal}


def record(name, spikes):
    recorded[name] = np.asarray(spikes).astype(np.float32)


params = norse.LIFParameters(
    tau_syn_inv=torch.as_tensor(1 / 5e-3),
    tau_mem_inv=torch.as_tensor(1 / 1e-2),
    v_th=torch.as_tensor(0.6),
    v_leak=torch.as_tensor(0.0),
    v_reset=torch.as_tensor(0.0),
)
tensor = torch.from_numpy
record(
    "norse.constant_current_lif_encode",
    norse_encode.constant_current_lif_encode(tensor(currents), 40, params),
)
record(
    "norse.spike_latency_lif_encode",
    norse_encode.spike_latency_lif_encode(tensor(currents), 40, params),
)
record("norse.population_encode", norse_encode.population_encode(tensor(unit), 7))
torch.manual_seed(0)
rates = torch.linspace(0, 1, 11)
spikes = norse_encode.poisson_encode(rates, 100_000, f_max=400)
record("norse.poisson_encode.rate", spikes.mean(axis=0) / 1e-3)

options = {"num_steps": 21, "clip": True, "threshold": 0.01, "tau": 20}
record(
    "snntorch.latency.linear",
    spikegen.latency(tensor(unit), linear=True, normalize=True, **options),
)
options |= {"threshold": 0.2, "tau": 6}
record("snntorch.latency.log", spikegen.latency(tensor(unit), bypass=True, **options))
record(
    "snntorch.delta",
    spikegen.delta(tensor(signal), threshold=0.5, padding=True, off_spike=True),
)

phase = spikingjelly.WeightedPhaseEncoder(8)
record("spikingjelly.phase", phase.single_step_encode(tensor(np.minimum(unit, 1 - 2**-8))))
latency = spikingjelly.LatencyEncoder(21)
record("spikingjelly.latency", latency.single_step_encode(tensor(unit)))

with brainstate.environ.context(dt=1.0 * u.ms):
    rank = braintools.RankOrderEncoder(use_values=False)(np.asarray(unit), 301)
    delta = braintools.DeltaEncoder(threshold=0.5, normalize=False)(np.asarray(signal))
record("braintools.rank_order", np.argmax(rank, axis=0))  # the step of each spike
record("braintools.delta", delta)

np.savez_compressed(Path(__file__).parent / "recorded.npz", **recorded)
for name, value in recorded.items():
    print(f"{name}: {value.shape}, mean {value.mean():.4f}")
