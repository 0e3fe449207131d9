"""Starts the processes of the frameworks, and times them in alternation."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .case import Case
from .workloads import data_of, disagreement, expected_of

ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """One framework, in a process of its own."""

    def __init__(self, framework: str):
        self.framework = framework
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "common.worker", framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.hello = self._answer()

    def ask(self, **request) -> dict:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process died"}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(case: Case, workers: list[Worker], repeats: int, say) -> dict[str, dict]:
    """Every framework's times in ms, in alternation; each output is checked before.

    A framework may have several forms, each with a name and a row of its own.
    """
    request = vars(case)
    data = data_of(case)
    expectations = {}
    rows: dict[str, dict] = {}
    for worker in workers:
        prepared = worker.ask(do="prepare", case=request)
        if "error" in prepared:
            rows[worker.framework] = {"error": prepared["error"]}
            say(f"    {worker.framework}: {prepared['error']}")
            continue
        for name in prepared["names"]:
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/result.npy"
                row = worker.ask(do="check", name=name, path=path)
                if "error" not in row and name != "floor":
                    options = (row["slope"], row["reset"])
                    if options not in expectations:
                        expectations[options] = expected_of(case, data, *options)
                    wrong = disagreement(case, data, expectations[options], np.load(path))
                    if wrong is not None:
                        row["error"] = f"not timed: {wrong}"
            row["worker"] = worker
            row["ms"] = []
            rows[name] = row
            if "error" in row:
                say(f"    {name}: {row['error']}")
    timed = {name: row for name, row in rows.items() if "error" not in row}
    for repeat in range(repeats):
        order = list(timed)
        order = order[repeat % len(order) :] + order[: repeat % len(order)]
        for name in order:
            answer = timed[name]["worker"].ask(do="run", name=name)
            timed[name]["ms"].append(answer["ms"])
    for row in rows.values():
        row.pop("worker", None)
    for worker in workers:
        worker.ask(do="forget")
    return rows
