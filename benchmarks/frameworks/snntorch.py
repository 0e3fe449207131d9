"""snnTorch (PyTorch)."""

import snntorch
import torch
from snntorch import spikegen, surrogate

from common.calls import Call, version_of
from common.case import (
    DECAY,
    DELTA_THRESHOLD,
    DT,
    LAYERS,
    LEAK,
    MAX_RATE,
    SLOPE,
    V_TH,
    Case,
)
from common.torch_calls import (
    torch_call,
    torch_device,
    torch_spikes_or_gradient,
    torch_training_step,
)

VERSION, DEVICE = f"{version_of('snntorch')} ({version_of('torch')})", torch_device()
# SuperSpike is its fast sigmoid. Its membrane adds the current without `dt / tau_mem`, so
# that the input, or the weights, are scaled by it.
OPTIONS = {
    "threshold": V_TH,
    "spike_grad": surrogate.fast_sigmoid(slope=SLOPE),
    "reset_mechanism": "zero",
    "reset_delay": False,
}


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32" or case.kind == "yin yang":
        return {}
    steps = case.steps
    if case.kind == "lif":
        neuron = snntorch.Leaky(beta=1 - LEAK, **OPTIONS).to(DEVICE)

        def spikes(x):
            current, mem, out = LEAK * x, torch.zeros_like(x), []
            for _ in range(steps):
                spike, mem = neuron(current, mem)
                out.append(spike)
            return torch.stack(out)

        return {"snntorch": torch_spikes_or_gradient(spikes, case, data)}
    x = torch.from_numpy(data["x"]).to(DEVICE)
    if case.kind == "poisson":
        p = MAX_RATE * DT
        return {
            "snntorch": torch_call(lambda: spikegen.rate(x, num_steps=steps, gain=p)),
        }
    if case.kind == "latency":
        return {
            "snntorch": torch_call(
                lambda: spikegen.latency(x, num_steps=steps, linear=True, normalize=True)
            )
        }
    if case.kind == "delta":
        return {
            "snntorch": torch_call(
                lambda: spikegen.delta(
                    x, threshold=DELTA_THRESHOLD, padding=True, off_spike=True
                )
            )
        }
    if case.kind in LAYERS:
        return {"snntorch": _layer(case, data)}
    return {}


def _layer(case: Case, data) -> Call:
    linear = torch.nn.Linear(*data["weight"].shape[::-1], bias=False, device=DEVICE)
    synapse = case.kind == "CubaLIF layer"
    if synapse:
        neuron = snntorch.Synaptic(alpha=1 - DECAY, beta=1 - LEAK, **OPTIONS).to(DEVICE)
    else:
        neuron = snntorch.Leaky(beta=1 - LEAK, **OPTIONS).to(DEVICE)

    def spikes(currents):
        zeros = torch.zeros_like(currents[0])
        state = (zeros, zeros) if synapse else (zeros,)
        out = []
        for current in currents:
            spike, *state = neuron(current, *state)
            out.append(spike)
        return torch.stack(out)

    weight, note = LEAK * data["weight"], "products hoisted"
    return torch_training_step(linear, weight, spikes, data, late=synapse, note=note)
