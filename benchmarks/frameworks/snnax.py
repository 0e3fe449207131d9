"""snnax (JAX, Equinox)."""

import sys
import types

# The released 0.0.1 imports two modules that it does not contain.
for _missing in ("snnax.snn.init", "snnax.functional.functional"):
    sys.modules.setdefault(_missing, types.ModuleType(_missing))

import jax
import jax.numpy as jnp
from snnax import snn as snnax

from common.calls import Call, version_of
from common.case import DECAY, LAYERS, LEAK, V_TH, Case
from common.jax_calls import jax_spikes_or_gradient, jax_training_step

from .plain_jax import spike

VERSION, DEVICE = version_of("snnax"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    if case.kind == "lif":
        model, start, key = _model(case.n, synapse=False)

        def spikes(x):
            currents = jnp.broadcast_to(x, (case.steps, *x.shape))
            return model(start, currents, key)[1][0]

        return {"snnax": jax_spikes_or_gradient(spikes, case, data)}
    if case.kind in LAYERS:
        return {"snnax": _layer(case, data)}
    return {}


def _model(n: int, *, synapse: bool):
    key = jax.random.key(0)
    options = {
        "spike_fn": spike,
        "threshold": V_TH,
        "stop_reset_grad": False,
        "shape": (n,),
        "key": key,
    }
    if synapse:
        neurons = snnax.LIF([1 - LEAK, 1 - DECAY], **options)
    else:
        neurons = snnax.SimpleLIF([1 - LEAK], **options)
    # its `Sequential` cannot be constructed
    structure = snnax.GraphStructure(1, [[0]], [0], [[]])
    model = snnax.StatefulModel(structure, [neurons])
    return model, model.init_state((n,), key), key


def _layer(case: Case, data) -> Call:
    synapse = case.kind == "CubaLIF layer"
    model, start, key = _model(case.n, synapse=synapse)
    # its synapse scales what comes in
    weight = data["weight"] / DECAY if synapse else data["weight"]

    def spikes(weight, x):
        return jax.vmap(lambda x: model(start, x, key)[1][0])(x @ weight.T)

    return jax_training_step(spikes, weight, data, batch_axis=0, note="products hoisted")
