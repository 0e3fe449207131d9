"""Our networks, one a node of NIR, in steps of `DT`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxsnn_eqx as snn

from . import DT, SIZE

GAINS = {
    "norse": 50.0,
    "jaxpike": 5.0,
    "rockpool": 50.0,
}  # of the inputs to the framework's own networks


def inputs_of(shape: tuple[int, ...]) -> np.ndarray:
    """Random inputs for 100 steps: 0, or 1.3."""
    draws = np.random.default_rng(0).random((100, *shape))
    return np.where(draws < 0.3, 1.3, 0.0).astype(np.float32)


def _linear(inputs: int, outputs: int, bias: bool) -> eqx.nn.Linear:
    made = eqx.nn.Linear(inputs, outputs, use_bias=bias, key=jax.random.key(1))
    return eqx.tree_at(lambda m: m.weight, made, 3 * made.weight)


def cases() -> dict[str, tuple[snn.AbstractLayer, tuple[int, ...], np.ndarray]]:
    """The network, the shape of one step's input, and inputs, by name."""
    mem = snn.LIFParameters(tau_mem=5e-4, v_th=0.3)
    unit = snn.LIFParameters(tau_mem=5e-4, v_th=1.5, r=5.0)
    flat, image = (SIZE,), (2, 10, 10)
    lif, synapse = snn.LIF(mem, dt=DT), snn.Synapse(snn.LIF(mem, dt=DT), 3e-4)
    conv = snn.OverTime(eqx.nn.Conv2d(2, 4, 3, padding=1, key=jax.random.key(0)))
    networks = {
        "LIF": (lif, flat),
        "LIF, r = tau over dt": (snn.LIF(unit, dt=DT), flat),
        "CubaLIF": (synapse, flat),
        "CubaLIF, lateral Linear": (
            snn.Recurrent(synapse, _linear(SIZE, SIZE, False)),
            flat,
        ),
        "CubaLIF, lateral Affine": (snn.Recurrent(synapse, _linear(SIZE, SIZE, True)), flat),
        "LI": (snn.LI(mem, dt=DT), flat),
        "CubaLI": (snn.Synapse(snn.LI(mem, dt=DT), 3e-4), flat),
        "IF": (snn.IF(dt=DT), flat),
        "I": (snn.Integrator(dt=DT), flat),
        "Delay": (snn.Delay(3e-4, DT), flat),
        "Linear, CubaLIF, Affine, CubaLIF": (
            snn.Network(
                [
                    snn.OverTime(_linear(SIZE, 60, False)),
                    synapse,
                    snn.OverTime(_linear(60, SIZE, True)),
                    synapse,
                ]
            ),
            flat,
        ),
        "Conv2d, CubaLIF": (snn.Network([conv, synapse]), image),
        "Conv2d, IF, Flatten": (
            snn.Network(
                [conv, snn.IF(dt=DT), snn.OverTime(eqx.nn.Lambda(jnp.ravel))],
            ),
            image,
        ),
        "SumPool2d": (snn.OverTime(eqx.nn.Pool(0, lax.add, 2, 2, 2)), image),
        "AvgPool2d": (snn.OverTime(eqx.nn.AvgPool2d(2, 2)), image),
    }
    return {name: (*made, inputs_of(made[1])) for name, made in networks.items()}
