"""The process of one framework: reads our files, and writes its own."""

import importlib
import json
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np


def main(framework: str, folder: Path) -> None:
    warnings.simplefilter("ignore")
    try:
        module = importlib.import_module(f"exchange.{framework}")
    except Exception as error:
        answer = {"missing": f"{type(error).__name__}: {error}"}
        (folder / f"{framework}.json").write_text(json.dumps(answer))
        return
    answer = {"version": module.VERSION, "read": {}, "written": {}}
    for path in sorted(folder.glob("ours_*.nir")):
        name = path.stem.removeprefix("ours_")
        xs = np.load(folder / f"{name}_xs.npy")
        out = folder / f"{framework}_{name}_read.npy"
        answer["read"][name] = _outcome(module.read, path, xs, out)
    for name, write in module.WRITERS.items():
        xs = np.load(folder / "neurons_xs.npy")
        path = folder / f"{framework}_{name}.nir"
        out = folder / f"{framework}_{name}_written.npy"
        answer["written"][name] = _outcome(write, path, xs, out)
    (folder / f"{framework}.json").write_text(json.dumps(answer))


def _outcome(call, path: Path, xs, out: Path) -> str:
    """The error, or nothing: the output is in the file `out`."""
    try:
        np.save(out, np.asarray(call(path, xs)))
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"
    return ""


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
