"""sinabs (PyTorch): its time constants count steps."""

from importlib.metadata import version

import nir
import sinabs.layers as layers
import torch
from sinabs.nir import from_nir, to_nir

from exchange import SIZE

VERSION = f"sinabs {version('sinabs')} (nirtorch {version('nirtorch')}, nir {version('nir')})"


def read(path, xs):
    network = from_nir(nir.read(path), batch_size=1)
    with torch.no_grad():
        out = network(torch.from_numpy(xs))
    return (out[0] if isinstance(out, tuple) else out).numpy()


def _write(cell):
    def write(path, xs):
        weight = torch.nn.Linear(SIZE, SIZE, bias=False)
        weight.weight.data = torch.eye(SIZE)
        network = torch.nn.Sequential(weight, cell())
        nir.write(path, to_nir(network, torch.from_numpy(xs)))
        network = torch.nn.Sequential(weight, cell())
        with torch.no_grad():
            return network(torch.from_numpy(xs)).numpy()

    return write


WRITERS = {
    "IF": _write(
        lambda: layers.IAFSqueeze(batch_size=1, spike_threshold=torch.full((SIZE,), 1.5))
    ),
    "LIF": _write(
        lambda: layers.LIFSqueeze(
            tau_mem=torch.full((SIZE,), 20.0),
            batch_size=1,
            spike_threshold=torch.full((SIZE,), 0.3),
        )
    ),
    "LI": _write(
        lambda: layers.ExpLeakSqueeze(tau_mem=torch.full((SIZE,), 20.0), batch_size=1)
    ),
}
