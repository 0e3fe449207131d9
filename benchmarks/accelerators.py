"""What compilers for a GPU and a TPU make of encoders and layers, counted without a device.

    pip install -e . -r benchmarks/requirements.txt
    pip install --no-deps -r benchmarks/requirements-accelerators.txt
    python benchmarks/accelerators.py           # counts all; writes docs/accelerators.md
    python benchmarks/accelerators.py --report  # writes it again from the last counts
    python benchmarks/accelerators.py --short   # two small programs; says what is missing

Each framework is compiled in its own process. The counts are kept in `benchmarks/results/`,
which Git ignores.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from common import compilers
from common.accelerators_report import write_page
from common.case import Case
from common.workers import ROOT

FRAMEWORKS = ("ours", "jaxsnn", "jaxpike", "spyx", "snnax", "braintools", "plain_jax")
DOCS = ROOT.parent / "docs"
RESULTS = ROOT / "results" / "accelerators.json"
LIF_SIZES = ((784, 100), (50_176, 100), (4_096, 1_000), (4_096, 4_000), (1_000_000, 50))


def cases() -> list[Case]:
    return [
        *(Case("lif", *size, mode) for size in LIF_SIZES for mode in ("forward", "gradient")),
        Case("LIF layer", 512, 500, "step", batch=16),
        Case("CubaLIF layer", 512, 500, "step", batch=16),
        Case("poisson", 50_176, 100),
        Case("README", 64, 100, "step", batch=16),
    ]


PODS = {"v5e:2x2": 4, "v5e:4x4": 16, "v5e:8x8": 64, "v5e:16x16": 256}  # chips
EXAMPLES = 16  # on each chip


class Compiler:
    """A framework in a process of its own, which compiles its programs."""

    def __init__(self, framework: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "common.compilers", framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # plugins complain that there is no device
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        )
        self.hello = self._answer()

    def rows(self, case: Case, target: str, *, parallel: bool = False) -> dict[str, dict]:
        assert self.process.stdin is not None
        request = {"case": vars(case), "target": {"name": target, "parallel": parallel}}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def counted(frameworks: tuple[str, ...], chosen: list[Case], pod: bool) -> dict:
    found: dict = {"rows": [], "versions": []}
    for framework in frameworks:
        compiler = Compiler(framework)
        if "version" not in compiler.hello:
            print(f"{framework} is left out: {compiler.hello.get('error')}", flush=True)
            continue
        found["versions"].append(compiler.hello["version"])
        for target in ("h100", "v5e:2x2"):
            for case in chosen:
                for name, row in compiler.rows(case, target).items():
                    found["rows"].append(
                        {"case": vars(case), "target": target, "name": name, **row}
                    )
                    shown = {k: row.get(k) for k in ("launches", "cycles", "error") if k in row}
                    print(f"{target} {case.name} {name}: {shown}", flush=True)
        if pod and framework == "ours":
            found["pods"] = []
            for topology, chips in PODS.items():
                case = Case("README", 64, 100, "step", batch=EXAMPLES * chips)
                [row] = compiler.rows(case, topology, parallel=True).values()
                found["pods"].append({"chips": chips, **row})
        compiler.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="two small programs")
    parser.add_argument("--report", action="store_true", help="write the page again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to keep")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the page")
    args = parser.parse_args()
    if not args.report and not compilers.installed():
        print(compilers.MISSING)
        sys.exit(0 if args.short else 1)
    if args.short:
        found = counted(
            ("ours",), [Case("lif", 64, 20), Case("lif", 64, 20, "gradient")], False
        )
        sys.exit(any("error" in row for row in found["rows"]) or len(found["rows"]) < 4)
    if args.report:
        found = json.loads(args.results.read_text())
    else:
        found = counted(FRAMEWORKS, cases(), True)
        args.results.parent.mkdir(exist_ok=True)
        args.results.write_text(json.dumps(found, indent=1) + "\n")
    write_page(found, args.out)
    print(f"wrote {args.out}/accelerators.md")


if __name__ == "__main__":
    main()
