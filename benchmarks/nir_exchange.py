"""NIR files between this package and other frameworks, both ways: spikes that differ.

    pip install -e ".[examples]" -r benchmarks/requirements.txt nir nirtorch==2.6
    python benchmarks/nir_exchange.py            # measures; writes docs/nir_exchange.md
    python benchmarks/nir_exchange.py --report   # writes it again from the last measurements
    python benchmarks/nir_exchange.py --short    # our own files only, no other framework
    python benchmarks/nir_exchange.py --data FOLDER   # the files of the NIR paper

Each framework runs in a process of its own, by default of this Python; `--python sinabs=PATH`
names another, for a framework whose requirements conflict (`exchange/`). One that is not
installed keeps its last measurements. These are in `benchmarks/results/`, which Git ignores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from exchange.cases import GAINS, cases, inputs_of
from exchange.paper import print_paper
from exchange.reasons import differing, reason
from exchange.report import write_report

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "nir_exchange.json"
PAGE = ROOT.parent / "docs" / "nir_exchange.md"
FRAMEWORKS = ["norse", "snntorch", "spyx", "spikingjelly", "sinabs", "jaxpike", "rockpool"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="our own files only")
    parser.add_argument("--report", action="store_true", help="write the page again")
    parser.add_argument("--data", type=Path, help="folder of the NIR paper's files")
    parser.add_argument("--only", choices=FRAMEWORKS, help="measure one framework again")
    parser.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="its interpreter"
    )
    args = parser.parse_args()
    if args.data:
        print_paper(args.data)
        return
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if args.report and not found:
        sys.exit(f"{RESULTS} is missing: run without --report first")
    if not args.report:
        with tempfile.TemporaryDirectory() as folder:
            measure(args, Path(folder), found)
    if args.short:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    write_report(found, PAGE)
    print(f"wrote {PAGE}")


def measure(args, folder: Path, found: dict) -> None:
    """Puts each framework's rows into `found`."""
    import nir

    from jaxsnn_eqx.nir import from_nir, to_nir

    ours = {}
    for name, (network, shape, xs) in cases().items():
        nir.write(folder / f"ours_{name}.nir", to_nir(network, shape))
        np.save(folder / f"{name}_xs.npy", xs)
        ours[name] = np.asarray(network(xs))
        again = from_nir(nir.read(folder / f"ours_{name}.nir"))
        wrong = differing(np.asarray(again(xs)), ours[name])
        print(f"ours, {name}: {wrong:,} of {ours[name].size:,} differ", flush=True)
        if wrong:
            sys.exit(f"our own file of {name} came back as another network")
    if args.short:
        return
    np.save(folder / "neurons_xs.npy", inputs_of((40,)))
    pythons = dict(pair.split("=", 1) for pair in args.python)
    for framework in [args.only] if args.only else FRAMEWORKS:
        subprocess.run(
            [
                pythons.get(framework, sys.executable),
                "-m",
                "exchange.worker",
                framework,
                folder,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        answer = json.loads((folder / f"{framework}.json").read_text())
        if "missing" in answer:
            print(f"{framework} is left out: {answer['missing']}", flush=True)
            continue
        rows = []
        for name, error in answer["read"].items():
            row = {"direction": "reads ours", "node": name, "error": error}
            if not error:
                theirs = np.load(folder / f"{framework}_{name}_read.npy")
                row |= compared(
                    folder / f"ours_{name}.nir", cases()[name][2], ours[name], theirs
                )
            rows.append(row)
        for name, error in answer["written"].items():
            row = {"direction": "is read by us", "node": name, "error": error}
            if not error:
                path = folder / f"{framework}_{name}.nir"
                xs = GAINS.get(framework, 1.0) * inputs_of((40,))
                theirs = np.load(folder / f"{framework}_{name}_written.npy")
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always")
                    try:
                        network = from_nir(nir.read(path), dt=1e-4)
                        row |= compared(path, xs, np.asarray(network(xs)), theirs)
                        if row.get("differ") and "v_th" in str(network[-1]):
                            network = from_nir(nir.read(path), dt=1e-4, soft_reset=True)
                            soft = np.asarray(network(xs))
                            row["soft"] = differing(soft, theirs.reshape(soft.shape))
                    except ValueError as refused:
                        row["error"] = str(refused).splitlines()[0]
                row["said"] = [str(s.message) for s in said]
            rows.append(row)
        for row in rows:
            what = row["error"] or f"{row['differ']:,} of {row['of']:,} {row['reason']}"
            print(f"{framework} {row['direction']}, {row['node']}: {what}", flush=True)
        found[framework] = {"version": answer["version"], "rows": rows}


def compared(path: Path, xs, ours, theirs) -> dict:
    if theirs.size != ours.size:
        return {"error": f"its output is of shape {theirs.shape}, ours of {ours.shape}"}
    theirs = theirs.reshape(ours.shape)
    differ = differing(ours, theirs)
    said = reason(path, xs, theirs) if differ else ""
    return {
        "differ": differ,
        "of": ours.size,
        "spikes": int((theirs == 1).sum()),
        "reason": said,
    }


if __name__ == "__main__":
    main()
