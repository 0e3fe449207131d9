"""Encoders, layers and training loops of several frameworks, side by side.

    pip install -e . -r benchmarks/requirements.txt
    python benchmarks/run.py             # measures all; writes docs/benchmarks.md, its
                                         # pictures, and the table in docs/measured.md
    python benchmarks/run.py --report    # writes them again from the last measurements
    python benchmarks/run.py --short     # checks only, on small sizes and without other
                                         # frameworks where they are not installed

Each framework runs in its own process, on the same data, which are arguments of the timed
function. Its output is checked before it is timed (`common/workloads.py`). It is compiled and
called before, and the processes take turns. The command runs unchanged on a GPU where JAX and
PyTorch find one. The measurements are kept in `benchmarks/results/`, which Git ignores.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from common.case import LAYERS, Case
from common.report import write_report, write_summary
from common.results import FRAMEWORKS
from common.workers import ROOT, Worker, measure

MODULES = [name.lower().replace(" ", "_") for name in FRAMEWORKS]
NEEDED = ["ours", "jaxsnn", "plain_jax", "floor"]  # by `--short` too
DOCS = ROOT.parent / "docs"
RESULTS = ROOT / "results" / "run.json"
LAYER_SIZES = [(512, 500, 16), (128, 1_000, 16), (128, 250, 256)]  # width, steps, batch
LIF_SIZES = [(784, 100), (50_176, 100), (4_096, 1_000), (1_000_000, 50)]


def cases(short: bool) -> list[Case]:
    if short:
        return [
            *(Case("lif", 300, 101, mode) for mode in MODES),
            *(Case("lif", 300, 20, dtype=dtype) for dtype in NARROW),
            *(Case(kind, 500, 40) for kind in ("poisson", "latency", "delta", "phase")),
            *(Case(kind, 32, 50, "step", batch=4) for kind in LAYERS),
            Case("yin yang", 2, 60, "epoch", epochs=1),
        ]
    return [
        *(Case("lif", n, steps, mode) for n, steps in LIF_SIZES for mode in MODES),
        *(Case("lif", n, t, dtype=d) for n, t in LIF_SIZES[1:] for d in NARROW),
        Case("poisson", 50_176, 100),
        Case("poisson", 200_704, 100),
        *(Case(kind, 50_176, 100) for kind in ("latency", "delta", "phase")),
        *(Case(kind, n, t, "step", batch=b) for kind in LAYERS for n, t, b in LAYER_SIZES),
        Case("yin yang", 78, 60, "epoch", epochs=40),
    ]


PARTS = ("forms", "growth", "overheads")
NARROW = ("bool", "uint8", "bfloat16")
MODES = ("forward", "gradient", "value and gradient")


def accelerator_cases() -> list[Case]:
    """SpikingJelly's published sizes, for its CuPy kernel."""
    return [
        Case("lif", 2**20, t, mode, dtype)
        for t in (8, 16, 32, 64, 128)
        for dtype in ("float32", "bfloat16")
        for mode in ("forward", "value and gradient")
    ]


def part(name: str, short: bool) -> dict:
    """A module of `common` that measures on its own, in its own process."""
    command = [sys.executable, "-m", f"common.{name}", *(["--short"] if short else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(out.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="check only, on small sizes")
    parser.add_argument(
        "--only",
        choices=[*dict.fromkeys(case.kind for case in cases(False)), *PARTS],
        help="measure rows of one kind again, and keep the others",
    )
    parser.add_argument("--report", action="store_true", help="write the report again")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to keep")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the report")
    args = parser.parse_args()
    if args.short:
        with tempfile.TemporaryDirectory() as folder:
            write_report(measured(args, {"rows": {}}), Path(folder))
        return
    found: dict = {"rows": {}}
    if (args.only or args.report) and args.results.exists():
        found = json.loads(args.results.read_text())
    elif args.report:
        sys.exit(f"{args.results} is missing: run without --report first")
    if not args.report:
        measured(args, found)
        args.results.parent.mkdir(exist_ok=True)
        args.results.write_text(json.dumps(found, indent=1) + "\n")
    args.out.mkdir(exist_ok=True)
    write_report(found, args.out)
    if args.out == DOCS:
        write_summary(found, DOCS / "measured.md")
    print(f"wrote {args.out}/benchmarks.md")


def measured(args, found: dict) -> dict:
    """`found`, with the rows and parts that were asked for measured again."""
    found["rows"] |= rows(args, found)
    for name in PARTS:
        if args.only in (None, name):
            print(name, flush=True)
            found[name] = part(name, args.short)
    return found


def rows(args, found: dict) -> dict[str, dict]:
    chosen = [c for c in cases(args.short) if args.only in (None, c.kind)]
    if not chosen:
        return {}
    workers, versions = [], {}
    for framework in MODULES:
        worker = Worker(framework)
        if "error" in worker.hello:
            print(f"{framework} is left out: {worker.hello['error']}", flush=True)
            if framework in NEEDED or not args.short:
                sys.exit(f"{framework} must be installed")
            continue
        versions[framework] = worker.hello["version"]
        workers.append(worker)
    found["versions"] = versions
    found["machine"] = {
        "device": workers[0].hello["device"],
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "repeats": args.repeats,
    }
    if found["machine"]["device"] != "cpu" and not args.short:
        chosen += accelerator_cases()
    all_rows, wrong = {}, []
    for case in chosen:
        print(
            f"{case.kind}, {case.n:,} x {case.steps:,}, {case.mode}, {case.dtype}", flush=True
        )
        repeats = 1 if args.short else args.repeats
        rows = measure(case, workers, repeats, lambda line: print(line, flush=True))
        wrong += [(case.name, name) for name, row in rows.items() if "error" in row]
        for name, row in rows.items():
            if row.get("ms"):
                median = sorted(row["ms"])[len(row["ms"]) // 2]
                print(f"    {name:20s} {median:10.2f} ms", flush=True)
        all_rows[case.name] = {"case": vars(case), "frameworks": rows}
    for worker in workers:
        worker.close()
    if args.short and wrong:
        sys.exit(f"errors, or wrong outputs: {wrong}")
    return all_rows


if __name__ == "__main__":
    main()
