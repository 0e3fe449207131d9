"""jaxsnn, whose documented encoders this package re-imagines."""

import jax
import jax.numpy as jnp
from jaxsnn.discrete import encode, modules
from jaxsnn.discrete.functional.lif import LIFParameters, LIFState, lif_step
from jaxsnn.discrete.functional.threshold import superspike
from jaxsnn.discrete.topology import Topology

from common import yin_yang
from common.calls import Call, version_of
from common.case import DT, Case
from common.jax_calls import jax_spikes_or_gradient, jax_training_step, jax_yin_yang_epoch

VERSION, DEVICE = version_of("jaxsnn"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    if case.kind == "lif":

        def spikes(x):
            return encode.constant_current_lif_encode(x, case.steps)[1]

        return {"jaxsnn": jax_spikes_or_gradient(spikes, case, data)}
    if case.kind == "CubaLIF layer":
        return {"jaxsnn": _layer(data)}
    if case.kind == "yin yang":
        return {"jaxsnn": _yin_yang(data["yin yang"], case.epochs)}
    return {}


def _layer(data) -> Call:
    params = LIFParameters()

    def spikes(weight, x):
        def step(state, current):
            return lif_step(
                {"in": current},
                state,
                None,
                superspike,
                v_leak=params.v_leak,
                v_th=params.v_th,
                v_reset=params.v_reset,
                tau_mem=params.tau_mem,
                tau_syn=params.tau_syn,
                dt=DT,
            )

        zeros = jnp.zeros(x.shape[1:])
        return jax.lax.scan(step, LIFState(zeros, zeros), x @ weight.T)[1]

    return jax_training_step(spikes, data["weight"], data, note="products hoisted")


def _yin_yang(data: yin_yang.Data, epochs: int) -> Call:
    builder = Topology(dt=yin_yang.DT)
    builder.add(
        {
            "inp": modules.Input(yin_yang.INPUTS),
            "lif": modules.LIF(yin_yang.HIDDEN),
            "li": modules.LI(yin_yang.CLASSES),
            "syn_ih": modules.Linear(pre_weights=jnp.asarray(data.weights["in"])),
            "syn_hh": modules.Linear(pre_weights=jnp.asarray(data.weights["lateral"])),
            "syn_ho": modules.Linear(pre_weights=jnp.asarray(data.weights["out"])),
        }
    )
    builder.connect(
        [
            ("inp", "syn_ih"),
            ("syn_ih", "lif"),
            ("lif", "syn_hh"),
            ("syn_hh", "lif"),
            ("lif", "syn_ho"),
            ("syn_ho", "li"),
        ]
    )
    init, apply_one = builder.done()

    def apply(weights, x):
        outputs = jax.vmap(apply_one, in_axes=(0, None))({"inp": x}, weights)[1]
        return outputs["li"].max(axis=1), outputs["lif"].sum(axis=1)

    return jax_yin_yang_epoch(apply, init(jax.random.PRNGKey(0)), data, epochs)
