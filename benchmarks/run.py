"""Every encoder, layer and training loop of the field that can be compared, side by side.

    pip install -e . -r benchmarks/requirements.txt
    python benchmarks/run.py             # measures all; writes docs/benchmarks.{json,md,png}
                                         # and the table in docs/measured.md
    python benchmarks/run.py --short     # small sizes, no peers needed, writes nothing

One process a framework; the same data from the same seed, as arguments of the timed function;
compiled and warmed up before, waited for after; run in alternation, in an order that moves on.
Each framework's output is checked before it is timed (`side_by_side/workloads.py`). Runs
unchanged on a GPU where JAX and PyTorch find one. `--help` lists the options.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from side_by_side.report import write_report, write_summary
from side_by_side.workers import ROOT, Worker, measure
from side_by_side.workloads import LAYERS, Case

FRAMEWORKS = [
    "ours",
    "jaxsnn",
    "norse",
    "snntorch",
    "spikingjelly",
    "spyx",
    "snnax",
    "braintools",
    "plain_jax",
    "floor",
]
WITHOUT_PEERS = ["ours", "jaxsnn", "plain_jax", "floor"]
DOCS = ROOT.parent / "docs"
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
        *(Case(kind, 512, 500, "step", batch=16) for kind in LAYERS),
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
    """A module of `side_by_side` that measures on its own, in its own process."""
    command = [sys.executable, "-m", f"side_by_side.{name}", *(["--short"] if short else [])]
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
    parser.add_argument("--out", type=Path, default=DOCS, help="folder to write to")
    args = parser.parse_args()
    path = args.out / "benchmarks.json"
    found: dict = {"rows": {}}
    if (args.only or args.report) and path.exists():
        found = json.loads(path.read_text())
    if not args.report:
        found["rows"] |= rows(args, found)
        for name in PARTS:
            if args.only in (None, name):
                print(name, flush=True)
                found[name] = part(name, args.short)
    if not args.short:
        args.out.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
        write_report(found, args.out)
        if args.out == DOCS:
            write_summary(found, DOCS / "measured.md")
        print(f"wrote {args.out}/benchmarks.md")


def rows(args, found: dict) -> dict[str, dict]:
    chosen = [c for c in cases(args.short) if args.only in (None, c.kind)]
    if not chosen:
        return {}
    workers, versions = [], {}
    for framework in FRAMEWORKS:
        worker = Worker(framework)
        if "error" in worker.hello:
            print(f"{framework} is left out: {worker.hello['error']}", flush=True)
            if framework in WITHOUT_PEERS or not args.short:
                sys.exit(f"{framework} must be there")
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
    measured, wrong = {}, []
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
        measured[case.name] = {"case": vars(case), "contestants": rows}
    for worker in workers:
        worker.close()
    if args.short and wrong:
        sys.exit(f"not right: {wrong}")
    return measured


if __name__ == "__main__":
    main()
