"""Writes `held_wrong.md`: what constructors, layers and functions do with what they get.

python docs/held_wrong.py
"""

import functools as ft
import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsnn_eqx as snn
from jaxsnn_eqx import datasets, events, functional, information, metrics, spike_trains

PAGE = Path(__file__).with_name("held_wrong.md")
STEPS = 3
LINEAR = eqx.nn.Linear(2, 2, key=jax.random.key(0))
NETWORK = snn.Network([snn.OverTime(LINEAR), snn.LIF()])
# a layer of each class, with arguments that are right
LAYERS: dict[type, dict[str, Any]] = {
    snn.ConstantCurrentLIFEncoder: {"seq_length": STEPS},
    snn.LIFLatencyEncoder: {"seq_length": STEPS},
    snn.LearnableLIFEncoder: {"shape": 2, "seq_length": STEPS},
    snn.LatencyEncoder: {"seq_length": STEPS, "t_late": 2e-3},
    snn.TimeToFirstSpikeEncoder: {"seq_length": STEPS, "tau": 1e-3},
    snn.SpatioTemporalEncoder: {"seq_length": STEPS, "t_late": 2e-3},
    snn.PoissonEncoder: {"seq_length": STEPS},
    snn.RegularRateEncoder: {"seq_length": STEPS},
    snn.PhaseEncoder: {"seq_length": STEPS},
    snn.BurstEncoder: {"seq_length": 20},
    snn.RankOrderEncoder: {"seq_length": STEPS},
    snn.DirectEncoder: {"seq_length": STEPS},
    snn.Preprocessed: {"fn": LINEAR, "encoder": snn.DirectEncoder(STEPS)},
    snn.GaussianReceptiveFields: {"centres": [0.0, 1.0], "widths": 0.5},
    snn.Scale: {"scale": 2.0},
    snn.OnOff: {},
    snn.LogCompression: {},
    snn.PowerCompression: {},
    snn.LIFCurrentEncoder: {},
    snn.DeltaEncoder: {"threshold": 0.5},
    snn.ThresholdEncoder: {"mean_change": 0.5, "std_change": 0.1},
    snn.StepForwardEncoder: {"threshold": 0.5},
    snn.MovingWindowEncoder: {"threshold": 0.5},
    snn.SigmaDeltaEncoder: {"threshold": 0.5},
    snn.PulseWidthEncoder: {"period": 3e-3},
    snn.LevelCrossingEncoder: {"levels": [0.0, 1.0]},
    snn.BensSpikerEncoder: {"filter": [0.5, 0.25], "threshold": 0.1},
    snn.LIF: {},
    snn.ALIF: {},
    snn.IF: {},
    snn.LI: {},
    snn.Integrator: {},
    snn.Synapse: {"neuron": snn.LIF()},
    snn.Recurrent: {"layer": snn.LIF(), "linear": LINEAR},
    snn.Delay: {"delays": 1e-3},
    snn.ResonateAndFire: {"frequency": 100.0},
    snn.FilterBank: {"sos": [[[0.1, 0.2, 0.1, 1.0, -0.5, 0.2]]]},
    snn.OverTime: {"layer": LINEAR},
    snn.MaxOverTime: {},
    snn.MeanOverTime: {},
    snn.SpikeCount: {},
    snn.FirstSpikeTime: {},
    snn.Network: {"layers": [snn.OverTime(LINEAR), snn.LIF()]},
}
OTHERS: dict[type, dict[str, Any]] = {
    snn.LIFParameters: {},
    snn.LearnableLIFParameters: {},
    **{
        kind: {}
        for kind in (
            snn.SuperSpike,
            snn.Sigmoid,
            snn.ATan,
            snn.Triangle,
            snn.Gaussian,
            snn.MultiGaussian,
            snn.Rectangle,
        )
    },
}
ARGUMENTS: dict[str, Any] = {
    "a string": "a",
    "`None`": None,
    "a JAX array": jnp.ones(2),
    "a NumPy array": np.ones(2),
    "`True`": True,
    "0": 0,
    "-1": -1,
    "NaN": np.nan,
    "infinity": np.inf,
    "1e300": 1e300,
    "`np.float32(0.5)`": np.float32(0.5),
    "`np.int64(2)`": np.int64(2),
}
VALUES = np.array([0.25, 0.75], np.float32)
INPUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "a string": lambda x: "a",
    "`None`": lambda x: None,
    "complex numbers": lambda x: x.astype(complex),
    "text": lambda x: x.astype(str),
    "a ragged list": lambda x: [[1.0, 2.0], [1.0]],
    "a scalar": lambda x: 0.5,
    "an axis more": lambda x: np.stack([x, x]),
    "nothing (no elements)": lambda x: x[..., :0],
    "int8": lambda x: (2 * x).astype(np.int8),
    "int64": lambda x: (2 * x).astype(np.int64),
    "booleans": lambda x: x > 0.5,
    "float16": lambda x: x.astype(np.float16),
    "float64": lambda x: x.astype(np.float64),
    "NaN": lambda x: _with(x, np.nan),
    "infinity": lambda x: _with(x, np.inf),
    "-infinity": lambda x: _with(x, -np.inf),
    "zeros": lambda x: 0 * x,
    "negative": lambda x: -x,
    "1e38": lambda x: x * 1e38,
    "read-only": lambda x: _read_only(x),
    "not contiguous": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "a list": lambda x: x.tolist(),
}
TRAIN = np.array([[0, 1], [1, 0], [0, 1]], np.float32)
EVENTS = events.Events([0, 1], [0, 0], [0.0, 1e-3], [1, -1])
FUNCTIONS: dict[Callable, dict[str, Any]] = {
    functional.constant_current_lif_encode: {"input_current": VALUES, "seq_length": STEPS},
    functional.lif_current_encoder: {"voltage": VALUES, "input_current": VALUES},
    functional.one_hot: {"x": np.array([0, 1]), "k": 2},
    functional.spatio_temporal_encode: {
        "input_values": VALUES,
        "seq_length": STEPS,
        "t_late": 2e-3,
        "dt": 1e-3,
    },
    snn.spike_time_loss: {"times": VALUES, "label": 0, "tau": 1e-3},
    snn.rate_penalty: {"spikes": TRAIN, "low": 0.0, "high": 100.0, "dt": 1e-3},
    snn.activity_penalty: {"spikes": TRAIN},
    snn.trace: {"layer": snn.LIF(), "x": TRAIN, "record": None, "key": None},
    snn.integrate: {"step": lambda s, x: (s, x), "length": None},
    snn.fluctuation_driven: {"linear": LINEAR, "rate": 100.0, "neuron": snn.LIF(), "xi": 2.0},
    snn.filter_spec: {"model": snn.LIF(), "frozen": lambda model: model},
    metrics.synaptic_operations: {"network": NETWORK, "x": TRAIN},
    snn.run_masked: {
        "layer": snn.SpikeCount(),
        "state": snn.SpikeCount().init(VALUES),
        "xs": TRAIN,
        "mask": np.array([True, False, True]),
        "checkpoint_every": None,
    },
    information.spike_bits: {"spikes": TRAIN[None]},
    information.gaussian_snr: {"bits": 1.0, "power": VALUES},
    information.ornstein_uhlenbeck_snr: {"bits": 1.0, "tau": 0.1, "dt": 1e-3, "causal": False},
    metrics.firing_rate: {"spikes": TRAIN, "dt": 1e-3},
    metrics.sparsity: {"spikes": TRAIN},
    metrics.silent_neurons: {"spikes": TRAIN},
    metrics.van_rossum_distance: {"a": TRAIN, "b": TRAIN, "tau": 1e-2, "dt": 1e-3},
    metrics.victor_purpura_distance: {
        "a": TRAIN[:, 0],
        "b": TRAIN[:, 1],
        "cost": 10.0,
        "dt": 1e-3,
    },
    metrics.victor_purpura_of_times: {"a": VALUES, "b": VALUES, "cost": 10.0, "a_mask": None},
    events.Events: {"x": [0], "y": [0], "t": [0.0], "p": [1], "mask": None},
    events.from_video: {
        "frames": np.ones((2, 1, 2)),
        "times": [0.0, 1.0],
        "threshold": 0.2,
        "refractory": 0.0,
        "floor": 0.01,
        "capacity": None,
    },
    events.to_frames: {
        "events": EVENTS,
        "seq_length": 2,
        "sensor_size": (1, 2),
        "dt": 1e-3,
        "overlap": 0.0,
        "polarities": 2,
    },
    events.to_frames_by_count: {
        "events": EVENTS,
        "seq_length": 2,
        "sensor_size": (1, 2),
        "event_count": 1,
        "overlap": 0,
    },
    events.count_left_out: {"events": EVENTS, "seq_length": 2, "sensor_size": (1, 2)},
    events.to_voxel_grid: {
        "events": EVENTS,
        "n_bins": 2,
        "sensor_size": (1, 2),
        "scaling": "zhu",
    },
    events.to_averaged_time_surface: {
        "events": EVENTS,
        "sensor_size": (1, 2),
        "cell_size": 2,
        "surface_size": 3,
        "time_window": 0.1,
        "tau": 0.1,
    },
    events.to_time_surface: {
        "events": EVENTS,
        "seq_length": 2,
        "sensor_size": (1, 2),
        "tau": 1e-3,
        "dt": 1e-3,
    },
    spike_trains.pack: {"spikes": TRAIN},
    spike_trains.unpack: {"dtype": None},
    spike_trains.to_events: {"spikes": TRAIN, "capacity": 4},
    datasets.yin_yang: {"seed": 0, "size": 3, "r_big": 0.5, "r_small": 0.1, "bias": None},
    datasets.ornstein_uhlenbeck: {"seed": 0, "size": 1, "length": 3, "tau": 0.1, "dt": 1e-3},
}


# arguments that are always right
ALWAYS: dict[Callable, dict[str, Any]] = {
    spike_trains.unpack: {"packed": spike_trains.pack(TRAIN)},
    snn.integrate: {"state": VALUES, "xs": TRAIN},
    snn.fluctuation_driven: {"key": jax.random.key(0)},
}


def _with(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x[..., 0] = value
    return x


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def outcome(call: Callable[[], Any]) -> tuple[str, Exception | None]:
    """What happens, in a few words, and the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
    except Exception as error:
        return f"`{_class_of(error)}`: {_words(error)}", error
    leaves = [np.asarray(a) for a in jax.tree.leaves(result) if isinstance(a, jax.Array)]
    numbers = [a.astype(np.float32) for a in leaves if a.dtype.kind in "fV"]
    if any(np.isnan(a).any() for a in numbers):
        return "NaN in the result", None
    if any(np.isinf(a).any() for a in numbers):
        return "infinity in the result", None
    return "taken", None


def _class_of(error: Exception) -> str:
    public = (c for c in type(error).__mro__ if not c.__module__.startswith("jaxsnn_eqx"))
    return next(public).__name__


def _words(error: Exception) -> str:
    text = str(error).split("\n--------------------")[0].strip()
    checked = re.search(r"parameter '(\w+)'\.\s+Actual value: (.*?)\s+Expected type: ", text)
    if checked:
        return f"parameter '{checked[1]}', got {checked[2]}"
    return " ".join(text.split())


def is_in_words(error: Exception) -> bool:
    """Whether an error names an argument, or the input, and not something within JAX."""
    text = str(error)
    if "Type-check error" in text:
        return "typechecking parameter" in text
    words = ("`", "a nested list", "the input", "one step's input", "the values", "in layers[")
    return isinstance(error, ValueError | TypeError) and text.startswith(words)


def of_constructors() -> dict:
    """Outcomes by class, argument and value."""
    found = {}
    for kind, right in (LAYERS | OTHERS).items():
        for name in inspect.signature(kind).parameters:
            for said, value in ARGUMENTS.items():
                arguments = {**right, name: value}
                found[kind.__name__, name, said] = outcome(ft.partial(kind, **arguments))
    return found


def of_layers() -> dict:
    """Outcomes by class, and input or key."""
    found = {}
    for kind, right in LAYERS.items():
        layer = kind(**right)
        values = getattr(layer, "seq_length", 0) is not None
        x = VALUES if values else np.stack([VALUES] * STEPS)
        needs = {"key": jax.random.key(0)} if kind is snn.PoissonEncoder else {}
        for said, change in INPUTS.items():
            given = change(x)
            found[kind.__name__, "x", said] = outcome(ft.partial(layer, given, **needs))
        for said, key in {
            "missing": None,
            "a legacy key": jax.random.PRNGKey(0),
            "an int": 0,
            "several keys": jax.random.split(jax.random.key(0), 2),
        }.items():
            found[kind.__name__, "key", said] = outcome(ft.partial(layer, x, key=key))
    return found


def of_functions() -> dict:
    """Outcomes by function, argument and value."""
    found = {}
    for fn, varied in FUNCTIONS.items():
        right = {**ALWAYS.get(fn, {}), **varied}
        for name, usual in varied.items():
            if name in ("state", "events", "model"):
                continue
            array = isinstance(usual, np.ndarray | list)
            changes = INPUTS if array else {k: lambda _, v=v: v for k, v in ARGUMENTS.items()}
            for said, change in changes.items():
                given = change(np.asarray(usual, np.float32) if array else None)
                arguments = {**right, name: given}
                found[fn.__name__, name, said] = outcome(ft.partial(fn, **arguments))
    return found


def page() -> tuple[str, list[str]]:
    """The page, and the cells whose error is not in words."""
    parts = {
        "Constructors": of_constructors(),
        "Layers": of_layers(),
        "Functions": of_functions(),
    }
    lines = [
        "# Held wrong",
        "",
        "Written by `python docs/held_wrong.py`; do not edit.",
        "",
        "What constructors, calls of layers, and functions do with each kind of argument: take "
        "it, or refuse it, in these words. Arguments that have the same outcome share a row.",
        "",
    ]
    wrong = []
    for title, found in parts.items():
        lines += [f"## {title}", "", f"{len(found):,} cases.", ""]
        lines += ["| | argument | got | outcome |", "|---|---|---|---|"]
        rows: dict[tuple, list[str]] = {}
        for (owner, name, said), (words, error) in found.items():
            if error is not None and not is_in_words(error):
                wrong.append(f"{owner}({name}={said}): {words}")
            key = (owner, name, re.sub(r",? ?;? got .*", ", got ...", words))
            rows.setdefault(key, []).append(said)
        last = None
        for (owner, name, words), saids in rows.items():
            shown = f"`{owner}`" if owner != last else ""
            last = owner
            cells = (shown, f"`{name}`", ", ".join(saids), words.replace("|", "\\|"))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n", wrong


if __name__ == "__main__":
    text, wrong = page()
    PAGE.write_text(text)
    print(f"wrote {PAGE.name}; {len(wrong)} errors are not in words", *wrong, sep="\n")
