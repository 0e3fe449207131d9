"""A trained spiking network that follows a heartbeat, one sample at a time.

    pip install "jaxsnn_eqx[examples]"
    python examples/streaming.py           # train, stream, and write streaming.png
    python examples/streaming.py --short   # a few epochs, to see that it runs

The input is an electrocardiogram (PyWavelets' `ecg`, at 360 samples a second), encoded as
crossings of levels. The output is the potential of a leaky integrator behind recurrent LIF
neurons. The network is trained on the first half by truncated backpropagation through time:
chunk by chunk, where the state is carried on and the gradient is not. The second half is
streamed sample by sample, and the time of each step is measured.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
import pywt
from jaxtyping import Float, PRNGKeyArray
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DT = 1 / 360  # seconds
LEVELS = 12
HIDDEN = 64
CHUNK = 64  # samples between which the gradient is stopped
EPOCHS, SHORT_EPOCHS = 1000, 5
LEARNING_RATE = 5e-3
TAU_SYN, TAU_OUT = 5e-3, 5e-2  # seconds


def load() -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Both halves, scaled by the mean and the standard deviation of the first."""
    ecg = pywt.data.ecg().astype(np.float32)
    first, second = np.split(ecg, 2)
    return (first - first.mean()) / first.std(), (second - first.mean()) / first.std()


def make_network(signal: np.ndarray, key: PRNGKeyArray) -> snn.Network:
    in_key, lateral_key, out_key = jr.split(key, 3)
    # levels at quantiles of the signal: the same number of samples between any two
    levels = np.unique(np.quantile(signal, np.linspace(0.02, 0.98, LEVELS)))
    into = eqx.nn.Linear(2 * len(levels), HIDDEN, key=in_key)
    into = eqx.tree_at(lambda m: m.weight, into, replace_fn=lambda w: 10 * w)
    lateral = eqx.nn.Linear(HIDDEN, HIDDEN, use_bias=False, key=lateral_key)
    out = eqx.nn.Linear(HIDDEN, 1, use_bias=False, key=out_key)
    neurons = snn.LIF(dt=DT, surrogate=snn.SuperSpike(10.0))
    neurons = snn.Synapse(neurons, TAU_SYN, immediate=False)
    readout = snn.Synapse(snn.LI(snn.LIFParameters(tau_mem=TAU_OUT), DT), TAU_SYN)
    return snn.Network(
        [
            snn.LevelCrossingEncoder(levels),  # signal   -> spikes
            snn.OverTime(into),  # spikes   -> currents
            snn.Recurrent(neurons, lateral),  # currents -> spikes
            snn.OverTime(out),  # spikes   -> currents
            readout,  # currents -> potential
        ]
    )


def train(
    network: snn.Network, signal: np.ndarray, *, epochs: int, key: PRNGKeyArray
) -> snn.Network:
    weights, rest = eqx.partition(network, eqx.is_inexact_array)
    schedule = optax.cosine_decay_schedule(LEARNING_RATE, epochs * len(signal) // CHUNK)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def chunk_loss(weights, state, chunk):
        # the state contains the past, and is not differentiated
        state = jax.lax.stop_gradient(state)
        state, out = eqx.combine(weights, rest).run(state, chunk)
        return jnp.mean((out[:, 0] - chunk) ** 2), state

    @jax.jit
    def train_epoch(weights, optimiser_state, key):
        # The signal has only two beats. Random scales and offsets prevent overfitting.
        gain_key, shift_key = jr.split(key)
        gain = jnp.exp(0.2 * jr.normal(gain_key))
        varied = gain * signal + 0.3 * jr.normal(shift_key)
        chunks = jnp.asarray(varied).reshape(-1, CHUNK)

        def update(carry, chunk):
            weights, optimiser_state, state = carry
            (loss, state), gradient = jax.value_and_grad(chunk_loss, has_aux=True)(
                weights, state, chunk
            )
            change, optimiser_state = optimiser.update(gradient, optimiser_state)
            return (eqx.apply_updates(weights, change), optimiser_state, state), loss

        carry = (weights, optimiser_state, network.init(signal[0]))
        (weights, optimiser_state, _), losses = jax.lax.scan(update, carry, chunks)
        return weights, optimiser_state, losses.mean()

    optimiser_state = optimiser.init(weights)
    with tqdm(jr.split(key, epochs), unit="epoch") as progress:
        for epoch_key in progress:
            weights, optimiser_state, loss = train_epoch(weights, optimiser_state, epoch_key)
            progress.set_postfix(loss=f"{loss:.4f}")
    return eqx.combine(weights, rest)


def stream(network: snn.Network, signal: np.ndarray):
    """The output of the network for each sample, and the seconds for each."""
    step = eqx.filter_jit(lambda network, state, x: network.step(state, x))
    state = network.init(signal[0])
    step(network, state, signal[0])[1].block_until_ready()  # compiles
    out, seconds = [], []
    for sample in signal:
        start = time.perf_counter()
        state, value = step(network, state, sample)
        value.block_until_ready()
        seconds.append(time.perf_counter() - start)
        out.append(float(value[0]))
    return np.array(out), np.array(seconds)


def signal_to_noise(signal: np.ndarray, estimate: np.ndarray) -> float:
    """In dB: the signal's variance over the mean squared error."""
    return float(10 * np.log10(signal.var() / np.mean((signal - estimate) ** 2)))


def draw(network: snn.Network, signal: np.ndarray, out: np.ndarray, path: str) -> None:
    crossings = np.asarray(network[0](signal))
    hidden = np.asarray(network[:3](signal))
    t = np.arange(len(signal)) * DT
    figure, axes = plt.subplots(
        3, 1, figsize=(10, 6.5), layout="constrained", sharex=True, height_ratios=(3, 2, 2)
    )
    axes[0].plot(t, signal, color="grey", linewidth=2.5, label="electrocardiogram")
    axes[0].plot(t, out, color="tab:red", linewidth=1, label="network's output")
    axes[0].set(ylabel="deviations", title="The second half, streamed sample by sample")
    axes[0].legend(loc="upper right", frameon=False)
    for ax, spikes, title in (
        (axes[1], crossings, "What comes in: crossings of levels"),
        (axes[2], hidden, "Hidden spikes"),
    ):
        steps, row = np.nonzero(spikes)
        ax.scatter(steps * DT, row, s=4, color="black", linewidths=0)
        ax.set(ylabel="neuron", title=title)
    half = crossings.shape[1] / 2
    axes[1].axhline(half - 0.5, color="grey", linewidth=0.5)
    axes[1].set_yticks([half / 2, 1.5 * half], labels=["up", "down"])
    axes[1].set_ylabel("level")
    axes[2].set_xlabel("time (s)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Follows a heartbeat, one sample at a time.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_EPOCHS} epochs")
    parser.add_argument("--out", default="streaming.png", help="the picture")
    args = parser.parse_args()

    first, second = load()
    network_key, train_key = jr.split(jr.key(args.seed))
    network = make_network(first, network_key)
    epochs = SHORT_EPOCHS if args.short else args.epochs
    network = train(network, first, epochs=epochs, key=train_key)
    out, seconds = stream(network, second)
    whole = np.asarray(network(second))[:, 0]
    learned = signal_to_noise(first, np.asarray(network(first))[:, 0])
    spikes = [float(network[:n](second).sum()) / len(second) / DT for n in (1, 3)]
    print(
        f"second half: {signal_to_noise(second, out):.1f} dB (first half: {learned:.1f} dB), "
        f"from {spikes[0]:.0f} crossings and {spikes[1]:.0f} hidden spikes a second"
    )
    median, slow = 1e6 * np.quantile(seconds, [0.5, 0.99])
    print(
        f"a step took {median:.0f} us (median; 99 in 100 under {slow:.0f} us), "
        f"of the {1e6 * DT:.0f} us between two samples"
    )
    print(f"streamed and whole differ by at most {np.abs(out - whole).max():.1e}")
    draw(network, second, out, args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
