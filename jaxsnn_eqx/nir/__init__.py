"""Networks to and from NIR, the Neuromorphic Intermediate Representation.

`from jaxsnn_eqx import nir`, with the extra `jaxsnn_eqx[nir]`; nothing here imports it. A NIR
graph says in continuous time, in seconds, what a network computes; simulators and
neuromorphic chips read it.

**What maps to what.**

| layer | NIR |
|---|---|
| `LIF`, `LIFCurrentEncoder` | `LIF` |
| `ConstantCurrentLIFEncoder` | `LIF`, whose input is constant |
| `IF` | `IF` |
| `LI` | `LI`, or as `to_nir(li=...)` says |
| `Integrator` | `I` |
| `Synapse(LIF(), tau_syn)` | `CubaLIF` |
| `Synapse(LI(), tau_syn)` | `CubaLI`, or as `to_nir(li=...)` says |
| `Recurrent(neuron, linear)` | one of these, with `Affine` or `Linear` back to it |
| `Delay` | `Delay` |
| `OverTime` of `eqx.nn.Linear` | `Affine`, or `Linear` without bias |
| `OverTime` of `eqx.nn.Conv1d`, `eqx.nn.Conv2d` | `Conv1d`, `Conv2d` |
| `OverTime` of `eqx.nn.AvgPool2d` | `AvgPool2d` |
| `OverTime(eqx.nn.Pool(0, jax.lax.add, 2, ...))` | `SumPool2d` |
| `OverTime(eqx.nn.Lambda(jnp.ravel))` | `Flatten` of all axes |
| `OverTime(nir.Flatten(...))` | `Flatten` of some axes |
| `OverTime(Scale(...))`, `Preprocessed(Scale(...), ...)` | `Scale`; with an offset `Affine` |
| `OverTime(nir.Threshold(...))` | `Threshold` |
| `DirectEncoder`; `eqx.nn.Identity`; `eqx.nn.Dropout` in inference mode | no node |

Everything else is refused. So are decoders: export `network[:-1]`, and reduce what the reader
gives. A layer that is written comes back as it was, constants to the bit, and so does a node
that is read; but `Preprocessed(Scale(...), encoder)` as `DirectEncoder`, `OverTime(Scale(...))`
and neurons, which do the same. Surrogates are an argument of `from_nir`.

**A spike** is a 1 that lasts for one step, as in all readers known, so it moves a synapse by
`w_in · dt / tau_syn`, and a membrane by `r · dt / tau_mem`. An `IF` or `I` is moved by `r`,
without `dt`, as in sinabs and Norse. Hence a graph's weights belong to its step `dt`, which NIR
does not have. `to_nir` writes it into the graph's metadata. snnTorch does not, but adds weights
as they are and writes `r = tau_mem / dt` and `w_in = tau_syn / dt`, from which `from_nir`
infers it.

**What NIR does not say** is written into the metadata of the nodes, which `from_nir` reads, and
`to_nir` warns of what other readers run in another way.

- *Order.* Norse and snnTorch add a step's input to the synapse of a `CubaLIF` before they
  integrate its membrane, and so does `Synapse`, unless it is told `immediate=False`. `from_nir`
  reads every `CubaLIF` and `CubaLI` in this order, unless the metadata says otherwise.
- *Reset.* NIR's neurons are set to `v_reset`. snnTorch, spyx and sinabs write the same nodes
  for neurons that subtract the threshold: read them with `soft_reset=True`. snnTorch 1.0 runs
  recurrent neurons with a reset that comes one step late, as `LIF(refractory=dt)` does.
- *Lateral connections.* `to_nir` writes the cycle of a neuron and its lateral map as a graph of
  its own. Where it is part of the whole graph, snnTorch 1.0 sends the input, too, through
  the lateral map. The bias of that map acts from the first step on; in Norse, and in what
  nirtorch makes of a file for snnTorch and SpikingJelly, from the second.
- *Start.* Potentials start at 0 here, and at `v_leak` in Norse.

Source: Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set
for interoperable brain-inspired computing", Nature Communications 15 (2024).
"""

from ._common import NEVER as NEVER
from ._common import Flatten as Flatten
from ._common import Threshold as Threshold
from ._data import from_nir_data as from_nir_data
from ._data import to_nir_data as to_nir_data
from ._read import from_nir as from_nir
from ._write import to_nir as to_nir
