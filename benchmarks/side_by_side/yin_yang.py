"""The Yin-Yang epoch of jaxsnn's own example, `jaxsnn.examples.discrete.yinyang`.

Five inputs, 120 recurrent LIF neurons, three leaky integrators, all with synapses; 78 batches
of 64, 60 steps of 0.5 ms; Adam, and a penalty on the number of spikes. Every contestant is
given the same encoded points, the same first weights and the same order of batches.
"""

from dataclasses import dataclass

import numpy as np

INPUTS, HIDDEN, CLASSES, BATCH = 5, 120, 3, 64
STEPS, DT, T_LATE = 60, 5e-4, 1.5e-2
TARGET_SPIKES, PENALTY = 0.8, 1e-5
TEST_SIZE = 2944


@dataclass
class Data:
    """Encoded points `(batches, BATCH, STEPS, INPUTS)`, their classes, and first weights."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    weights: dict[str, np.ndarray]


def data_of(batches: int) -> Data:
    from jaxsnn_eqx.datasets import yin_yang

    rng = np.random.default_rng(0)
    x, y = yin_yang(1, batches * BATCH)
    x_test, y_test = yin_yang(2, TEST_SIZE)

    def normal(deviation, *shape):
        return (deviation * rng.standard_normal(shape)).astype(np.float32)

    return Data(
        x=encode(x).reshape(batches, BATCH, STEPS, INPUTS),
        y=np.asarray(y).reshape(batches, BATCH),
        x_test=encode(x_test),
        y_test=np.asarray(y_test),
        weights={
            "in": normal(0.7, INPUTS, HIDDEN),
            "lateral": normal(0.2, HIDDEN, HIDDEN),
            "out": normal(0.2, HIDDEN, CLASSES),
        },
    )


def encode(points) -> np.ndarray:
    """One spike for each of x, y, 1 - x, 1 - y, and one at the start."""
    points = np.asarray(points)
    times = np.zeros((len(points), INPUTS))
    times[:, : points.shape[1]] = points
    at = np.round(times * T_LATE / DT).astype(int)
    return (np.arange(STEPS)[None, :, None] == at[:, None]).astype(np.float32)


def first_logits(data: Data) -> np.ndarray:
    """The highest potentials for the first batch and weights, by a loop."""
    x, w = data.x[0], data.weights
    leak, decay, v_th = (np.float32(c) for c in (DT / 1e-2, DT / 5e-3, 0.6))
    v, i, z = (np.zeros((BATCH, HIDDEN), np.float32) for _ in range(3))
    v_out, i_out = (np.zeros((BATCH, CLASSES), np.float32) for _ in range(2))
    highest = np.full((BATCH, CLASSES), -np.inf, np.float32)
    for t in range(STEPS):
        currents = x[:, t] @ w["in"] + z @ w["lateral"]
        v = v + leak * (i - v)
        z = (v > v_th).astype(np.float32)
        v = v * (1 - z)
        i = i - decay * i + currents
        i_out = i_out + z @ w["out"]
        v_out = v_out + leak * (i_out - v_out)
        i_out = i_out - decay * i_out
        highest = np.maximum(highest, v_out)
    return highest


def jax_epoch(apply, weights, data: Data, epochs: int):
    """The call: one epoch in one compiled scan, as the example does, whoever `apply` is.

    `apply(weights, x)` gives the highest potentials and each hidden neuron's spikes. The
    result is that of the first batch; the note, the accuracy after `epochs`.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from .calls import jax_call

    learning_rate = optax.exponential_decay(1e-4, len(data.x), 0.98)
    optimizer = optax.adam(learning_rate)

    def loss(weights, x, y):
        logits, spikes = apply(weights, x)
        wrong = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return wrong + PENALTY * jnp.sum((spikes - TARGET_SPIKES) ** 2)

    def update(carry, batch):
        weights, state = carry
        grads = jax.grad(loss)(weights, *batch)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(weights, updates), state), None

    def epoch(carry, x, y):
        return jax.lax.scan(update, carry, (x, y))[0]

    def accuracy(weights):
        logits = jax.jit(apply)(weights, data.x_test)[0]
        return float(jnp.mean(logits.argmax(axis=1) == data.y_test))

    first = (weights, optimizer.init(weights))
    carry, train = first, jax.jit(epoch)
    for _ in range(epochs):
        carry = train(carry, data.x, data.y)
    note = f"{accuracy(carry[0]):.2%} after {epochs} epochs"
    call = jax_call(epoch, first, data.x, data.y, note=note)
    call.result = lambda _: np.asarray(jax.jit(apply)(weights, data.x[0])[0])
    return call
