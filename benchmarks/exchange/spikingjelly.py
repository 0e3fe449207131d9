"""SpikingJelly (PyTorch)."""

from importlib.metadata import version

import nir
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

from exchange import DT, SIZE

VERSION = (
    f"SpikingJelly {version('spikingjelly')} (nirtorch {version('nirtorch')}, "
    f"nir {version('nir')})"
)


def read(path, xs):
    network = import_from_nir(nir.read(path), dt=DT)
    state, outs = None, []
    with torch.no_grad():
        for x in torch.from_numpy(xs)[:, None]:
            out, state = network(x, state)
            outs.append(out[0].numpy())
    return np.stack(outs)


def _write(cell):
    def write(path, xs):
        weight = layer.Linear(SIZE, SIZE, bias=False)
        weight.weight.data = torch.eye(SIZE)
        network = torch.nn.Sequential(weight, cell())
        example = torch.from_numpy(xs[:1])
        nir.write(path, export_to_nir(network, example, dt=DT))
        network = torch.nn.Sequential(weight, cell())
        with torch.no_grad():
            return np.stack([network(x)[0].numpy() for x in torch.from_numpy(xs)[:, None]])

    return write


WRITERS = {
    "IF": _write(lambda: neuron.IFNode(v_threshold=1.5)),
    "LIF": _write(lambda: neuron.LIFNode(tau=5.0, v_threshold=0.3)),
    "LIF, input not decayed": _write(
        lambda: neuron.LIFNode(tau=5.0, v_threshold=1.5, decay_input=False)
    ),
    "LIF, subtract": _write(lambda: neuron.LIFNode(tau=5.0, v_threshold=0.3, v_reset=None)),
    "CubaLIF": _write(
        lambda: neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8, v_threshold=1.5, v_reset=0.0)
    ),
}
