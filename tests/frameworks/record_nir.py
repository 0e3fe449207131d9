"""Records NIR graphs that other frameworks write, and their outputs for these graphs.

    pip install -r tests/frameworks/requirements.txt
    python tests/frameworks/record_nir.py

Writes `norse.nir`, `snntorch.nir`, `snntorch_recurrent.nir` and `recorded_nir.npz`, which
`tests/test_nir.py` reads. The tests do not need the frameworks.
"""

from pathlib import Path

import nir
import norse.torch as norse
import numpy as np
import snntorch
import torch
from snntorch.export_nir import export_to_nir

STEPS, INPUTS, HIDDEN, OUTPUTS = 40, 6, 8, 3
HERE = Path(__file__).parent

torch.manual_seed(0)
xs = (torch.rand(STEPS, 1, INPUTS) < 0.4).float()
recorded = {"xs": xs[:, 0].numpy()}


def linear(inputs, outputs, gain, bias=True):
    made = torch.nn.Linear(inputs, outputs, bias)
    made.weight.data *= gain
    return made


# Norse: the time constants come out multiplied by `dt`, whose default is 1e-3.
box = norse.LIFBoxParameters(
    tau_mem_inv=torch.full((HIDDEN,), 1 / 8e-3),
    v_leak=torch.zeros(HIDDEN),
    v_th=torch.full((HIDDEN,), 0.4),
)
readout = norse.LIBoxParameters(
    tau_mem_inv=torch.full((OUTPUTS,), 1 / 1.2e-2), v_leak=torch.full((OUTPUTS,), -0.2)
)
network = norse.SequentialState(
    linear(INPUTS, HIDDEN, 5.0),
    norse.LIFBoxCell(box),
    linear(HIDDEN, OUTPUTS, 1.0),
    norse.LIBoxCell(readout),
)
graph = norse.to_nir(network, xs[0, 0], dt=1.0)
nir.write(HERE / "norse.nir", graph)
with torch.no_grad():
    state, outs = None, []
    for x in xs:
        out, state = network(x, state)
        outs.append(out[0].numpy())
recorded["norse"] = np.stack(outs)

# snnTorch writes graphs for a step of 1e-4 s, in which its `beta` is 1 - 1e-4 / tau. Resets
# to zero without delay are what it reads from NIR, though not its defaults.
options = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
synaptic = {"alpha": torch.full((HIDDEN,), 0.8), "beta": torch.full((HIDDEN,), 0.9)}
leaky = snntorch.Leaky(beta=torch.full((OUTPUTS,), 0.7), threshold=0.3, **options)
chain = torch.nn.Sequential(
    linear(INPUTS, HIDDEN, 1.0),
    snntorch.Synaptic(threshold=1.5, **synaptic, **options),
    linear(HIDDEN, OUTPUTS, 2.0, bias=False),
    leaky,
)
# `RSynaptic` without delay fails in snnTorch 1.0.0: this one is read, and not compared.
options = {"linear_features": HIDDEN, "reset_mechanism": "zero", "init_hidden": True}
recurrent = torch.nn.Sequential(
    linear(INPUTS, HIDDEN, 1.0),
    snntorch.RSynaptic(alpha=0.8, beta=0.9, threshold=1.5, **options),
)
for name, network in {"snntorch": chain, "snntorch_recurrent": recurrent}.items():
    for module in network:
        if hasattr(module, "threshold"):
            module.threshold = torch.full((module.beta.numel(),), float(module.threshold))
    if network is chain:
        with torch.no_grad():
            recorded[name] = np.stack([network(x)[0].numpy() for x in xs])
    graph = export_to_nir(network, xs[0], ignore_dims=[0])
    nir.write(HERE / f"{name}.nir", graph)

np.savez_compressed(HERE / "recorded_nir.npz", **recorded)
