"""Records the spikes of LIF neurons in other frameworks, for the same currents.

    pip install -r tests/frameworks/requirements.txt spyx==1.0.0
    python tests/frameworks/record_membranes.py

Writes `tests/frameworks/membranes.npz`, recorded with snntorch 1.0.0, spikingjelly 2.0.0, norse
1.1.0, spyx 1.0.0, torch 2.13.0, jax 0.10.2 and numpy 2.4.6. The tests do not need the
frameworks.

Every neuron has `dt / tau_mem = 0.1`, with a synapse also `dt / tau_syn = 0.2`, and `v_th = 1`,
and its input is a multiple of `currents`, so that all membranes get a similar current:

- membranes alone: `currents`, or a tenth of it where the framework adds the input undivided;
- with a synapse, a fifth of that, since it sums over five steps.

For each `name`, `name.spikes` has the shape `(time, neurons)`, and `name.v` is the potential of
every fifth neuron, as the framework returns it. `name.gradient`, of the same neurons, is the
gradient of `(weights * spikes).sum()` with respect to `currents`, the multiple above included.
`name.at_threshold` says whether a potential of exactly `v_th` gives a spike.
"""

from pathlib import Path

import flax.nnx as nnx
import jax.numpy as jnp
import norse.torch as norse
import numpy as np
import snntorch
import spyx.nn
import torch
from norse.torch.functional.lsnn import LSNNParameters
from norse.torch.module.lsnn import LSNNCell
from snntorch.surrogate import fast_sigmoid
from spikingjelly.activation_based import neuron as spikingjelly
from spikingjelly.activation_based.surrogate import Sigmoid

STEPS, NEURONS, KEPT = 200, 50, slice(None, None, 5)
rng = np.random.default_rng(0)
noise = rng.uniform(-0.5, 3.0, (STEPS, NEURONS)) / 1.25  # of mean 1
currents = (np.geomspace(0.4, 12, NEURONS) * noise).astype(np.float32)
weights = np.random.default_rng(1).normal(size=(STEPS, NEURONS)).astype(np.float32)
recorded = {"currents": currents, "weights": weights[:, KEPT]}


def in_snntorch(neuron, **options):
    def run(xs):
        made = neuron(beta=0.9, threshold=1.0, **options)
        outs = [made(x) for x in xs]
        return torch.stack([out[0] for out in outs]), torch.stack([out[-1] for out in outs])

    return run


def in_spikingjelly(**options):
    def run(xs):
        made = spikingjelly.LIFNode(
            tau=10.0, v_threshold=1.0, step_mode="m", store_v_seq=True, **options
        )
        return made(xs), made.v_seq

    return run


def in_norse(cell, params):
    def run(xs):
        made, state, spikes, potentials = cell(params), None, [], []
        for x in xs:
            z, state = made(x, state)
            spikes.append(z)
            potentials.append(state.v)
        return torch.stack(spikes), torch.stack(potentials)

    return run


def in_spyx(neuron, **options):
    def run(xs):
        made = neuron(xs.shape[1:], beta=0.9, threshold=1.0, rngs=nnx.Rngs(0), **options)
        state, spikes, potentials = made.initial_state(1), [], []
        for x in jnp.asarray(xs.numpy()):
            z, state = made(x[None], state)
            spikes.append(z[0])
            potentials.append(state[0, : len(x)])
        return torch.tensor(np.stack(spikes)), torch.tensor(np.stack(potentials))

    return run


def record(name, run, gain):
    with torch.no_grad():
        spikes, potentials = run(gain * torch.from_numpy(currents))
        # one step that takes the membrane from 0 to exactly 1, then well below
        at_threshold = torch.tensor([[1.0], [-10.0]]) * (1 if gain in (0.1, 0.02) else 10)
        tie, _ = run(at_threshold)
    recorded[f"{name}.spikes"] = spikes.numpy().astype(np.uint8)
    recorded[f"{name}.v"] = potentials.numpy()[:, KEPT].astype(np.float32)
    recorded[f"{name}.at_threshold"] = tie.numpy().any().astype(np.uint8)


def record_gradient(name, run, gain):
    xs = torch.tensor(currents[:, KEPT], requires_grad=True)
    spikes, _ = run(gain * xs)
    (torch.from_numpy(weights[:, KEPT]) * spikes).sum().backward()
    recorded[f"{name}.gradient"] = xs.grad.numpy()


for name, options in {
    "subtract": {"reset_mechanism": "subtract"},
    "zero": {"reset_mechanism": "zero"},
    "subtract.no_delay": {"reset_mechanism": "subtract", "reset_delay": False},
    "zero.no_delay": {"reset_mechanism": "zero", "reset_delay": False},
}.items():
    leaky = in_snntorch(snntorch.Leaky, spike_grad=fast_sigmoid(slope=25), **options)
    record(f"snntorch.leaky.{name}", leaky, 0.1)
    record_gradient(f"snntorch.leaky.{name}", leaky, 0.1)
    synaptic = in_snntorch(snntorch.Synaptic, alpha=0.8, **options)
    record(f"snntorch.synaptic.{name}", synaptic, 0.02)
leaky = in_snntorch(snntorch.Leaky, reset_mechanism="none")
record("snntorch.leaky.none", leaky, 0.1)

for name, gain, options in [
    ("hard", 1.0, {"v_reset": 0.0, "decay_input": True}),
    ("hard.input_undecayed", 0.1, {"v_reset": 0.0, "decay_input": False}),
    ("soft", 1.0, {"v_reset": None, "decay_input": True}),
]:
    options |= {"surrogate_function": Sigmoid(alpha=4.0)}
    attached = in_spikingjelly(detach_reset=False, **options)
    record(f"spikingjelly.lif.{name}", attached, gain)
    record_gradient(f"spikingjelly.lif.{name}", attached, gain)
    detached = in_spikingjelly(detach_reset=True, **options)
    record_gradient(f"spikingjelly.lif.{name}.detach_reset", detached, gain)

constants = {"tau_mem_inv": 100.0, "v_th": 1.0, "v_leak": 0.0, "v_reset": 0.0}
membrane = {name: torch.as_tensor(value) for name, value in constants.items()}
synapse = {"tau_syn_inv": torch.as_tensor(200.0)}
record("norse.lif_box", in_norse(norse.LIFBoxCell, norse.LIFBoxParameters(**membrane)), 1.0)
lif = norse.LIFParameters(**membrane, **synapse)
record("norse.lif", in_norse(norse.LIFCell, lif), 0.2)
# `record_neurons.py` records the LSNN with adaptation; without, it is a LIF in another order
lsnn = LSNNParameters(**membrane, **synapse, beta=torch.as_tensor(0.0))
record("norse.lsnn", in_norse(LSNNCell, lsnn), 0.2)

record("spyx.lif", in_spyx(spyx.nn.LIF), 0.1)
record("spyx.cuba_lif", in_spyx(spyx.nn.CuBaLIF, alpha=0.8), 0.02)

np.savez_compressed(Path(__file__).parent / "membranes.npz", **recorded)
for name, value in recorded.items():
    print(f"{name}: {value.shape}, mean {value.mean():.4f}")
