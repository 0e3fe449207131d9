"""The Yin-Yang epoch of jaxsnn's own example, `jaxsnn.examples.discrete.yinyang`.

Five inputs, 120 recurrent LIF neurons, three leaky integrators, all with synapses; 78 batches
of 64, 60 steps of 0.5 ms; Adam, and a penalty on the number of spikes. Every framework is
given the same encoded points, the same initial weights and the same order of batches.
"""

from dataclasses import dataclass

import numpy as np

INPUTS, HIDDEN, CLASSES, BATCH = 5, 120, 3, 64
STEPS, DT, T_LATE = 60, 5e-4, 1.5e-2
TARGET_SPIKES, PENALTY = 0.8, 1e-5
TEST_SIZE = 2944


@dataclass
class Data:
    """Encoded points `(batches, BATCH, STEPS, INPUTS)`, their classes, initial weights."""

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
    """The highest potentials for the first batch and the initial weights, by a loop."""
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
