"""First weights with which a layer fires."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from ._neuron.li import LI
from ._parameters import LIFParameters
from ._types import positive_number


def fluctuation_driven(
    linear: eqx.nn.Linear,
    rate: float,
    params: LIFParameters = LIFParameters(),
    *,
    dt: float = 1e-3,
    xi: float = 1.0,
    key: PRNGKeyArray,
) -> eqx.nn.Linear:
    """Draws weights with which inputs of a known rate make `LIF` neurons fire now and then.

    The weights are normal with mean 0 and the variance for which the membrane potential,
    without a threshold, has a standard deviation of `(v_th − v_leak) / xi`: the neuron is
    driven by fluctuations, and its rate depends little on size and sparseness of the input.
    Inputs are taken as independent Bernoulli draws with `p = rate · dt` per step, so that

        variance of a weight = ((v_th − v_leak) / xi)² / (in_features · p · (1 − p) · Σ_t k_t²)

    with k the response of the membrane to one spike of weight 1, stepped as `LIF` steps it.
    Biases become 0.

    ```python
    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    >>> spikes = snn.PoissonEncoder(500, max_rate=20.0)(jnp.ones(300), key=k1)
    >>> linear = eqx.nn.Linear(300, 100, key=k2)
    >>> silent = snn.LIF()(snn.OverTime(linear)(spikes))
    >>> linear = snn.fluctuation_driven(linear, rate=20.0, key=k3)
    >>> firing = snn.LIF()(snn.OverTime(linear)(spikes))
    >>> [round(float(jnp.mean(z.any(axis=0))), 2) for z in (silent, firing)]
    [0.0, 0.96]

    ```

    **Arguments:**

    - `linear`: the `eqx.nn.Linear` in front of the neurons.
    - `rate`: mean rate of its inputs in hertz, over all of them, silent ones included.
        Positive, below `1 / dt`.
    - `params`: the neurons' `LIFParameters`.
    - `dt`: length of a step in seconds. (Keyword only.)
    - `xi`: distance of the threshold in standard deviations; 1 to 3 in the source, the less the
        more spikes. Positive. (Keyword only.)
    - `key`: what the weights are drawn from. (Keyword only.)

    **Returns:**

    `linear` with new weights, and a bias of 0 if it had one.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Rossbroich, Gygax & Zenke, "Fluctuation-driven initialization for spiking neural
    network training", Neuromorphic Computing and Engineering 2 (2022), equations 8 to 14 for a
    mean of 0.
    """
    rate, dt = positive_number("rate")(rate), positive_number("dt")(dt)
    xi = positive_number("xi")(xi)
    p = rate * dt
    if p >= 1:
        raise ValueError(
            f"`rate` must be below 1/dt = {1 / dt:g} Hz, where nothing fluctuates, got "
            f"{rate:g}."
        )
    distance = params.v_th - params.v_leak
    if distance <= 0:
        raise ValueError(
            "`params` must have `v_leak` below `v_th`, or the neurons fire without input; got "
            f"v_leak={params.v_leak} and v_th={params.v_th}."
        )
    # LI steps the same membrane without the threshold; 20 time constants are all of it
    length = int(np.ceil(20 * max(params.tau_mem, params.tau_syn) / dt)) + 1
    at_rest = LIFParameters(tau_syn=params.tau_syn, tau_mem=params.tau_mem)
    response = LI(at_rest, dt)(jnp.zeros(length).at[0].set(1.0))
    power = float(jnp.sum(response**2))
    inputs = linear.weight.shape[1]
    deviation = distance / xi / np.sqrt(inputs * p * (1 - p) * power)
    weight = deviation * jr.normal(key, linear.weight.shape, linear.weight.dtype)
    linear = eqx.tree_at(lambda m: m.weight, linear, weight)
    if linear.bias is None:
        return linear
    return eqx.tree_at(lambda m: m.bias, linear, jnp.zeros_like(linear.bias))
