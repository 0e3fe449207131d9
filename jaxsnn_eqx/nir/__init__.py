"""Networks to and from NIR, the Neuromorphic Intermediate Representation.

`from jaxsnn_eqx import nir`, with the extra `jaxsnn_eqx[nir]`; nothing here imports it. A NIR
graph says in continuous time, in seconds, what a network computes; simulators and
neuromorphic chips read it.

**What maps to what.**

| layer | NIR |
|---|---|
| `LIF`, `LIFCurrentEncoder` | `LIF` |
| `ConstantCurrentLIFEncoder` | `LIF`, whose input is constant |
| `Synapse(LIF(), tau_syn)` | `CubaLIF` |
| `LI` | `LI` with `to_nir(li=nir.LI)`; else as the equal `Synapse(LI(), tau_syn=dt)` |
| `Synapse(LI(), tau_syn)` | `CubaLI`, two `LI` in series, or a `CubaLIF` that never fires |
| `Recurrent(Synapse(LIF()), linear)` | `CubaLIF`, with `Affine` or `Linear` back to it |
| `OverTime` of `eqx.nn.Linear` | `Affine`, or `Linear` without bias |
| `OverTime` of `eqx.nn.Conv1d`, `eqx.nn.Conv2d` | `Conv1d`, `Conv2d` |
| `OverTime(eqx.nn.Lambda(jnp.ravel))` | `Flatten` of all axes |
| `OverTime(Scale(...))` | `Scale` |
| `DirectEncoder`; `eqx.nn.Identity`; `eqx.nn.Dropout` in inference mode | no node |

Everything else is refused. So are decoders: export `network[:-1]`, and reduce what the reader
gives.

**A spike** is a 1 that lasts for one step, as in all readers known, so it moves a synapse by
`w_in · dt / tau_syn`; here it moves it by 1. Hence a graph's weights belong to its step `dt`,
which `to_nir` writes into the graph's metadata.

**Order.** Norse and snnTorch add a step's input to the synapse of a `CubaLIF` before they
integrate its membrane, as `Synapse` does unless it is told `immediate=False`. NIR does not say
which: both are written as the same node, and `from_nir` reads a `CubaLIF` as a `Synapse` with
`immediate=False`. Its output then comes one step later than theirs for every such layer: the
spikes are the same ones (a bias behind such a layer starts with the first step in both, and so
acts one step longer here). Its lateral spikes in a `Recurrent` come one step later than theirs,
in a loop, which no shift undoes. `LIF`, `LI` and `Synapse(LI())` agree with them at every step.
Potentials start at 0 here, and at `v_leak` in Norse.

Source: Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set
for interoperable brain-inspired computing", Nature Communications 15 (2024).
"""

from ._common import NEVER as NEVER
from ._common import Scale as Scale
from ._data import from_nir_data as from_nir_data
from ._data import to_nir_data as to_nir_data
from ._read import from_nir as from_nir
from ._write import to_nir as to_nir
