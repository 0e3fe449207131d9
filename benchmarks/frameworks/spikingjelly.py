"""SpikingJelly (PyTorch): its neurons have a membrane, and no synapse."""

import torch
from spikingjelly.activation_based import encoding, functional, layer, neuron

from common.calls import Call, version_of
from common.case import DT, LEAK, MAX_RATE, PHASE_BITS, SLOPE, V_TH, Case
from common.torch_calls import (
    torch_call,
    torch_device,
    torch_spikes_or_gradient,
    torch_training_step,
)

VERSION, DEVICE = f"{version_of('spikingjelly')} ({version_of('torch')})", torch_device()


class _SuperSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (SLOPE * x.abs() + 1) ** 2


def make_neuron():
    return neuron.LIFNode(
        tau=1 / LEAK,
        v_threshold=V_TH,
        surrogate_function=_SuperSpike.apply,
        step_mode="m",
    ).to(DEVICE)


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32" or case.kind == "yin yang":
        return {}
    steps = case.steps
    if case.kind == "lif":
        neurons = make_neuron()

        def spikes(x):
            functional.reset_net(neurons)
            return neurons(x.expand(steps, *x.shape))

        return {"spikingjelly": torch_spikes_or_gradient(spikes, case, data)}
    x = torch.from_numpy(data["x"]).to(DEVICE)
    if case.kind == "poisson":
        encoder = encoding.PoissonEncoder(step_mode="m")
        p = x * (MAX_RATE * DT)
        return {"spikingjelly": torch_call(lambda: encoder(p.expand(steps, *p.shape)))}
    if case.kind == "latency":
        encoder = encoding.LatencyEncoder(steps)
        return {"spikingjelly": torch_call(lambda: encoder.single_step_encode(x))}
    if case.kind == "phase":
        encoder = encoding.WeightedPhaseEncoder(PHASE_BITS)

        def phase():
            functional.reset_net(encoder)
            return torch.stack([encoder(x) for _ in range(steps)])

        return {"spikingjelly": torch_call(phase)}
    if case.kind == "LIF layer":
        return {"spikingjelly": _layer(data)}
    return {}


def _layer(data) -> Call:
    n = len(data["weight"])
    linear = layer.Linear(n, n, bias=False, step_mode="m").to(DEVICE)
    neurons = make_neuron()

    def spikes(currents):
        functional.reset_net(neurons)
        return neurons(currents)

    return torch_training_step(linear, data["weight"], spikes, data)
