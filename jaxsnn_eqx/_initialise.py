"""Weight initialisation."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, PRNGKeyArray

from ._neuron.alif import ALIF
from ._neuron.base import AbstractNeuron
from ._neuron.lif import LIF
from ._neuron.synapse import Synapse
from ._parameters import LIFParameters
from ._types import checked, positive_number


@checked
def fluctuation_driven(
    linear: eqx.nn.Linear,
    rate: float,
    neuron: AbstractNeuron = LIF(),
    *,
    xi: float = 1.0,
    key: PRNGKeyArray,
) -> eqx.nn.Linear:
    r"""Draws weights with which neurons fire occasionally, for inputs of a known rate.

    The weights are normal with mean 0. Their variance is chosen so that the membrane potential,
    without a threshold, has the standard deviation $(v_\text{th} - v_\text{leak}) / \xi$. The
    neurons are then driven by fluctuations, and their rate depends little on the size and the
    sparseness of the input. For $n$ inputs that spike independently with probability
    $p = \text{rate} \cdot dt$ per step,

    $$
    \operatorname{Var}[w]
    = \frac{(v_\text{th} - v_\text{leak})^2}{\xi^2 \, n \, p (1 - p) \sum_t k_t^2}
    $$

    where $k_t$ is the response of the membrane, $t$ steps after a spike of weight 1. With
    $a = dt / \tau_\text{mem}$ it is $k_t = a (1 - a)^t$, so that

    $$
    \sum_t k_t^2 = \frac{a}{2 - a}
    $$

    and behind a synapse, with $r = 1 - a$ and $q = 1 - dt / \tau_\text{syn}$,

    $$
    \sum_t k_t^2 = \frac{a^2 (1 + r q)}{(1 - r q) (1 - r^2) (1 - q^2)}
    $$

    Biases are set to 0.

    ```python
    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    >>> spikes = snn.PoissonEncoder(500, max_rate=20.0)(jnp.ones(300), key=k1)
    >>> linear = eqx.nn.Linear(300, 100, key=k2)
    >>> silent = snn.LIF()(snn.OverTime(linear)(spikes))
    >>> linear = snn.fluctuation_driven(linear, rate=20.0, neuron=snn.LIF(), key=k3)
    >>> firing = snn.LIF()(snn.OverTime(linear)(spikes))
    >>> [round(float(jnp.mean(z.any(axis=0))), 2) for z in (silent, firing)]
    [0.0, 0.98]

    ```

    **Arguments:**

    - `linear`: the `eqx.nn.Linear` in front of the neurons.
    - `rate`: mean rate of its inputs in hertz, over all inputs, silent ones included.
        Positive, below `1 / dt`.
    - `neuron`: the neurons behind it: a `LIF` or `ALIF`, or a `Synapse` of one. If each neuron
        has its own constants, the weights of each have their own variance.
    - `xi`: distance of the threshold in standard deviations; 1 to 3 in the source. A smaller
        one gives more spikes. Positive. (Keyword only.)
    - `key`: the key to draw the weights with. (Keyword only.)

    **Returns:**

    `linear` with new weights, and a bias of 0 if it had one.

    **Raises:** `ValueError` for an argument outside the ranges above, or a neuron without a
    threshold.

    Source: Rossbroich, Gygax & Zenke, "Fluctuation-driven initialization for spiking neural
    network training", Neuromorphic Computing and Engineering 2 (2022), equations 8 to 14 for a
    mean of 0.
    """
    rate, xi = positive_number("rate")(rate), positive_number("xi")(xi)
    membrane = neuron.neuron if isinstance(neuron, Synapse) else neuron
    if not isinstance(membrane, LIF | ALIF):
        raise ValueError(
            "`neuron` must be a `LIF` or an `ALIF`, or a `Synapse` of one, got "
            f"`{type(neuron).__name__}`."
        )
    params, dt = membrane.params, membrane.dt
    if rate * dt >= 1:
        raise ValueError(
            f"`rate` must be below 1/dt = {1 / dt:g} Hz, at which the input is constant, got "
            f"{rate:g}."
        )
    if isinstance(params, LIFParameters) and params.v_th <= params.v_leak:
        raise ValueError(
            "`neuron` must have `v_leak` below `v_th`, else it fires without input; got "
            f"v_leak={params.v_leak} and v_th={params.v_th}."
        )
    chance = rate * dt
    tau_syn = neuron.tau_syn if isinstance(neuron, Synapse) else None
    power = _power_of_response(params.tau_mem, tau_syn, dt) * params.r**2
    if isinstance(neuron, Synapse) and neuron.w_in is not None:
        power = power * (neuron.w_in * dt / neuron.tau_syn) ** 2
    inputs = linear.weight.shape[1]
    distance = jnp.asarray(params.v_th - params.v_leak, linear.weight.dtype)
    deviation = distance / xi / jnp.sqrt(inputs * chance * (1 - chance) * power)
    # one for all neurons, or one for each row
    deviation = jnp.broadcast_to(deviation.ravel()[:, None], linear.weight.shape)
    weight = deviation * jr.normal(key, linear.weight.shape, linear.weight.dtype)
    linear = eqx.tree_at(lambda m: m.weight, linear, weight)
    if linear.bias is None:
        return linear
    return eqx.tree_at(lambda m: m.bias, linear, jnp.zeros_like(linear.bias))


def _power_of_response(
    tau_mem: float | Array, tau_syn: float | Array | None, dt: float
) -> float | Array:
    """The sum of the squares of a membrane's response to a spike of weight 1."""
    a = dt / tau_mem
    if tau_syn is None:
        return a / (2 - a)
    p, q = 1 - a, 1 - dt / tau_syn
    return a**2 * (1 + p * q) / ((1 - p * q) * (1 - p**2) * (1 - q**2))
