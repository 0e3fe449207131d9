"""Norse (PyTorch)."""

import torch
from norse.torch import LIF
from norse.torch.functional import encode
from norse.torch.functional.lif import LIFParameters

from common.calls import Call, version_of
from common.case import DT, MAX_RATE, SLOPE, TAU_MEM, TAU_SYN, V_TH, Case
from common.torch_calls import (
    torch_call,
    torch_device,
    torch_spikes_or_gradient,
    torch_training_step,
)

VERSION, DEVICE = f"{version_of('norse')} ({version_of('torch')})", torch_device()
PARAMS = LIFParameters(
    tau_syn_inv=torch.as_tensor(1 / TAU_SYN, device=DEVICE),
    tau_mem_inv=torch.as_tensor(1 / TAU_MEM, device=DEVICE),
    v_leak=torch.as_tensor(0.0, device=DEVICE),
    v_th=torch.as_tensor(V_TH, device=DEVICE),
    v_reset=torch.as_tensor(0.0, device=DEVICE),
    method="super",
    alpha=torch.as_tensor(SLOPE, device=DEVICE),
)


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    if case.kind == "lif":

        def spikes(x):
            return encode.constant_current_lif_encode(x, case.steps, PARAMS, DT)

        call = torch_spikes_or_gradient(spikes, case, data)
        call.slope = 1.0  # its SuperSpike does not use `alpha`
        if case.mode != "forward":
            call.note = "surrogate of slope 1"
        return {"norse": call}
    if case.kind == "poisson":
        x = torch.from_numpy(data["x"]).to(DEVICE)
        return {"norse": torch_call(lambda: encode.poisson_encode(x, case.steps, MAX_RATE, DT))}
    if case.kind == "CubaLIF layer":
        return {"norse": _layer(data)}
    return {}


def _layer(data) -> Call:
    linear = torch.nn.Linear(*data["weight"].shape[::-1], bias=False, device=DEVICE)
    neurons = LIF(PARAMS, dt=DT)

    def spikes(currents):
        return neurons(currents)[0]

    note = "products hoisted; reset detached"
    return torch_training_step(linear, data["weight"], spikes, data, late=True, note=note)
