"""Trains the digits' network on all devices, of one process or of several, and resumes.

    pip install "jaxsnn_eqx[examples,distributed]"
    python examples/data_parallel.py                          # all devices of this machine
    python examples/data_parallel.py --checkpoints runs/one   # save; resume if there is a file
    python examples/data_parallel.py --short                  # three epochs

With several processes, start the same command in each, with a number of its own. All of them
need the address of process 0, and the same directory of checkpoints, on a disk that all of them
see:

    python examples/data_parallel.py --coordinator 10.0.0.1:9876 --processes 2 --process 0
    python examples/data_parallel.py --coordinator 10.0.0.1:9876 --processes 2 --process 1

On a Cloud TPU, with Slurm, Open MPI or Kubernetes, `--cluster` finds the three by itself.

Each device has the whole network and an equal part of each batch. The update is that of the
whole batch, so the number of devices changes the speed and, by rounding, the last digits. What
a step uses depends on the seed and the number of the step alone, so a resumed run ends with the
bits of one that was never stopped.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import digits
import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax
import orbax.checkpoint as ocp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from tqdm import tqdm

import jaxsnn_eqx as snn

BATCH_SIZE = digits.BATCH_SIZE  # of all devices together
SAVE_EVERY = 100  # steps
KEEP = 2  # checkpoints
SHOW_EVERY = 10  # steps; to show a loss waits for its step


class Shardings(NamedTuple):
    """Where arrays lie: in parts by samples, or whole on each device."""

    by_sample: NamedSharding
    whole: NamedSharding


class Batch(NamedTuple):
    images: Float[Array, "batch side side"]
    classes: Int[Array, " batch"]


class Training(NamedTuple):
    """All that changes from step to step, and so all that a checkpoint holds."""

    network: snn.Network
    optimiser_state: PyTree


def connect(args: argparse.Namespace) -> None:
    """Makes the devices of all processes known to each. Comes before any other use of JAX."""
    if args.cluster:
        jax.distributed.initialize()
    elif args.coordinator is not None:
        jax.distributed.initialize(args.coordinator, args.processes, args.process)


def is_first() -> bool:
    """Whether this is the process that shows progress and writes the result."""
    return jax.process_index() == 0


def say(text: str) -> None:
    if is_first():
        print(text, flush=True)


def make_shardings() -> Shardings:
    devices = jax.device_count()  # of all processes
    if BATCH_SIZE % devices:
        raise SystemExit(
            f"a batch of {BATCH_SIZE} samples cannot be divided equally over {devices} "
            "devices: use a number of devices that divides it"
        )
    mesh = jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,))
    return Shardings(
        NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())
    )


def rows_of(step: int, *, size: int, seed: int) -> Int[np.ndarray, " batch"]:
    """The rows of the data in the batch of a step. Each epoch shuffles them anew."""
    epoch, batch = divmod(step, size // BATCH_SIZE)
    order = np.random.default_rng([seed, epoch]).permutation(size)
    return order[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE]


def get_batch(data: digits.Digits, step: int, *, seed: int, by_sample: NamedSharding) -> Batch:
    """The batch of a step as global arrays, of which a process reads its own devices' rows."""
    rows = rows_of(step, size=len(data.classes), seed=seed)

    def to_global(source: np.ndarray) -> Array:
        def read(part: tuple[slice, ...] | None) -> np.ndarray:
            assert part is not None
            return source[rows[part[0]]]

        shape = (BATCH_SIZE, *source.shape[1:])
        return jax.make_array_from_callback(shape, by_sample, read)

    return Batch(to_global(data.images), to_global(data.classes))


def make_training(
    seed: int, optimiser: optax.GradientTransformation, whole: NamedSharding
) -> Training:
    """The first state: each device computes its own copy."""

    @eqx.filter_jit
    def make():
        network = digits.make_network(jr.fold_in(jr.key(seed), 0))
        optimiser_state = optimiser.init(eqx.filter(network, eqx.is_inexact_array))
        return eqx.filter_shard(Training(network, optimiser_state), whole)

    return make()


@eqx.filter_jit
def update(
    training: Training,
    batch: Batch,
    key: PRNGKeyArray,
    optimiser: optax.GradientTransformation,
) -> tuple[Training, Array, Array]:
    """One step, as for one device: the compiler sees the shardings and adds the exchange."""
    network, optimiser_state = training
    distorted = jax.vmap(digits.distort)(batch.images, jr.split(key, BATCH_SIZE))
    (loss, accuracy), gradient = digits.loss_and_gradient(network, distorted, batch.classes)
    weights = eqx.filter(network, eqx.is_inexact_array)
    change, optimiser_state = optimiser.update(gradient, optimiser_state, weights)
    return Training(eqx.apply_updates(network, change), optimiser_state), loss, accuracy


class Checkpoints:
    """The directory of checkpoints: each is written beside the training, and whole or not at
    all. `settings` are those that a resumed run must share."""

    def __init__(self, directory: str, settings: dict[str, Any], *, save_every: int):
        self.settings = settings
        self.manager = ocp.CheckpointManager(
            Path(directory).absolute(),
            options=ocp.CheckpointManagerOptions(
                save_interval_steps=save_every, max_to_keep=KEEP
            ),
        )

    def restore(self, training: Training) -> tuple[Training, int]:
        """The newest checkpoint and its number of steps; as it was, if there is none."""
        step = self.manager.latest_step()
        if step is None:
            return training, 0
        settings = self._read(step, settings=ocp.args.JsonRestore()).settings
        if settings != self.settings:
            raise SystemExit(
                f"the checkpoints in {self.manager.directory} are of a run with {settings}, "
                f"got {self.settings}: use another directory, or the same settings"
            )
        arrays, rest = eqx.partition(training, eqx.is_array)
        # Shapes, dtypes and shardings: what was saved from four devices is read into two.
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, arrays)
        found = self._read(step, arrays=ocp.args.StandardRestore(like))
        return eqx.combine(found.arrays, rest), step

    def _read(self, step: int, **items: Any) -> Any:
        return self.manager.restore(step, args=ocp.args.Composite(**items))

    def save(self, training: Training, step: int, *, last: bool) -> None:
        """Saves if the step is one to be saved. Training goes on while files are written."""
        arrays = eqx.filter(training, eqx.is_array)
        self.manager.save(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(arrays), settings=ocp.args.JsonSave(self.settings)
            ),
            force=last,
        )

    def close(self) -> None:
        self.manager.wait_until_finished()
        self.manager.close()


def train(
    data: digits.Digits,
    *,
    epochs: int,
    seed: int,
    shardings: Shardings,
    directory: str | None,
    save_every: int,
) -> snn.Network:
    steps = epochs * (len(data.classes) // BATCH_SIZE)
    optimiser = digits.make_optimiser(steps)
    training, first = make_training(seed, optimiser, shardings.whole), 0
    checkpoints = None
    if directory is not None:
        settings = {"seed": seed, "epochs": epochs}
        checkpoints = Checkpoints(directory, settings, save_every=save_every)
        training, first = checkpoints.restore(training)
        say(f"starts at step {first} of {steps}")
    key = jr.fold_in(jr.key(seed), 1)
    # One bar, of process 0, which starts where the resumed run stopped.
    progress = tqdm(
        range(first, steps),
        unit="step",
        initial=first,
        total=steps,
        disable=not is_first(),
    )
    for step in progress:
        batch = get_batch(data, step, seed=seed, by_sample=shardings.by_sample)
        training, loss, accuracy = update(training, batch, jr.fold_in(key, step), optimiser)
        if step % SHOW_EVERY == 0:
            progress.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.1%}")
        if checkpoints is not None:
            checkpoints.save(training, step + 1, last=step + 1 == steps)
    if checkpoints is not None:
        checkpoints.close()
    return training.network


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the digits' network on all devices.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=digits.EPOCHS)
    parser.add_argument("--short", action="store_true", help=f"{digits.SHORT_EPOCHS} epochs")
    parser.add_argument("--checkpoints", help="directory of checkpoints, to resume from")
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="steps")
    parser.add_argument("--out", help="file of the trained network, for `snn.load`")
    parser.add_argument("--coordinator", help="address:port of process 0")
    parser.add_argument("--processes", type=int, help="how many there are")
    parser.add_argument("--process", type=int, help="number of this one, from 0")
    parser.add_argument("--cluster", action="store_true", help="let JAX find those three")
    args = parser.parse_args()
    missing = [given is None for given in (args.coordinator, args.processes, args.process)]
    if any(missing) != all(missing):
        parser.error("--coordinator, --processes and --process belong together")
    if args.save_every < 1:
        parser.error(f"--save-every must be at least 1, got {args.save_every}")

    connect(args)
    shardings = make_shardings()
    say(f"{jax.device_count()} devices in {jax.process_count()} processes")
    train_digits, test_digits = digits.load(validate=False, seed=args.seed)
    network = train(
        train_digits,
        epochs=digits.SHORT_EPOCHS if args.short else args.epochs,
        seed=args.seed,
        shardings=shardings,
        directory=args.checkpoints,
        save_every=args.save_every,
    )
    # All processes compute it, for all devices have a part of the network's arrays.
    accuracy = float(digits.accuracy_of(network, test_digits))
    say(f"{accuracy:.2%} test accuracy")
    if args.out is not None and is_first():
        snn.save(args.out, network)  # whole on each device, so one process has all of it
        say(f"wrote {args.out}")


if __name__ == "__main__":
    main()
