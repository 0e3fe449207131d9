"""The process of one framework: prepares a workload, and runs it once at a time.

It reads requests and writes answers, each a line of JSON. What the framework prints goes to
stderr.
"""

import importlib
import json
import os
import sys
import time
import traceback

import numpy as np

from .calls import Call, peak_growth
from .case import Case
from .workloads import data_of

LEAST_SECONDS = 1e-2  # shorter calls are repeated, and their time is divided


def main(framework: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    try:
        module = importlib.import_module(f"frameworks.{framework}")
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(version=module.VERSION, device=module.DEVICE)

    calls: dict[str, Call] = {}
    loops: dict[str, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                calls.clear()
                case = Case(**request["case"])
                calls.update(module.prepare(case, data_of(case)))
                answer(names=list(calls))
            elif request["do"] == "check":
                call = calls[request["name"]]
                call.run()  # compiles
                out, peak = peak_growth(call.run)
                result = call.result(out)
                if result.dtype.name == "bfloat16":
                    result = result.astype(np.float32)  # for NumPy's files
                np.save(request["path"], result)
                del out
                start = time.perf_counter()
                call.run()
                took = time.perf_counter() - start
                loops[request["name"]] = max(1, min(200, round(LEAST_SECONDS / took)))
                answer(
                    temporary=call.temporary_bytes(),
                    peak=peak,
                    note=call.note,
                    slope=call.slope,
                    reset=call.reset,
                )
            elif request["do"] == "forget":
                calls.clear()
                answer()
            elif request["do"] == "run":
                call, repeats = calls[request["name"]], loops[request["name"]]
                call.run()  # the caches hold another framework's work
                start = time.perf_counter()
                for _ in range(repeats):
                    call.run()
                answer(ms=1e3 * (time.perf_counter() - start) / repeats)
        except Exception:
            answer(error=traceback.format_exc(limit=-3))


if __name__ == "__main__":
    main(sys.argv[1])
