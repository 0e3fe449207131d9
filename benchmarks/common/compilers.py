"""XLA's compilers for an H100 and for TPUs v5e, on a machine that has neither.

`python -m common.compilers FRAMEWORK` reads cases and answers with counts, each a line of
JSON.
"""

import glob
import importlib
import importlib.util
import json
import os
import sys
import time
import traceback
from typing import Any

from .case import Case
from .hlo import Program
from .workloads import data_of

MISSING = (
    "XLA's compilers for GPUs and TPUs are not installed: "
    "pip install --no-deps -r benchmarks/requirements-accelerators.txt"
)
# XLA's description of the device to compile for
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132
  fpus_per_core: 128 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84978434048
  shared_memory_per_block_optin: 232448 cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def installed() -> bool:
    names = ("jax_cuda12_plugin", "libtpu")
    return all(map(importlib.util.find_spec, names)) and _nvcc() is not None


def _nvcc() -> str | None:
    folders = (f"{path}/nvidia/cuda_nvcc" for path in sys.path)
    return next((folder for folder in folders if glob.glob(f"{folder}/bin/ptxas")), None)


def set_up() -> None:
    """Sets what XLA reads when it starts: call it before JAX is imported."""
    nvcc = _nvcc()
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_cuda_data_dir={nvcc}"
    os.environ["PATH"] = f"{nvcc}/bin:{os.environ['PATH']}"


def devices(target: str) -> list[Any]:
    """The devices of `target`: "h100", or a topology of TPUs such as "v5e:2x2"."""
    from jax._src import xla_bridge  # no public function loads plugins that lack a device
    from jax.experimental import topologies

    if target == "h100":
        xla_bridge.discover_pjrt_plugins()
        topology = topologies.get_topology_desc(
            "h100", platform="cuda", topology="1x1x1", target_config=H100
        )
    else:
        topology = topologies.get_topology_desc(platform="tpu", topology_name=target)
    return topology.devices


def count(function, arguments: tuple, name: str, parallel: bool = False) -> dict:
    """Compiles `function` for the target `name`, and counts what the program does.

    With `parallel`, the first argument is on all devices, and the others are split over them.
    """
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

    found = devices(name)
    if parallel:
        mesh = Mesh(np.array(found), ("data",))
        same, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",)))
        shardings = [same, *[split] * (len(arguments) - 1)]
    else:
        shardings = [SingleDeviceSharding(found[0])] * len(arguments)
    shapes = [
        jax.tree.map(
            lambda a, s=s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), argument
        )
        for argument, s in zip(arguments, shardings, strict=True)
    ]
    lowered = jax.jit(function).lower(*shapes)
    start = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    program = Program(compiled.as_text() or "")
    analysis = compiled.memory_analysis()
    return {
        "launches": program.launches,
        "traffic": program.traffic,
        "cycles": program.cycles,
        "collectives": program.collectives,
        "arguments": None if analysis is None else analysis.argument_size_in_bytes,
        "exchanged": program.exchanged,
        "temporary": None if analysis is None else analysis.temp_size_in_bytes,
        "seconds": seconds,
        "program": program,
    }


def main(framework: str) -> None:
    set_up()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**fields):
        print(json.dumps(fields), file=answers, flush=True)

    try:
        module = importlib.import_module(f"frameworks.{framework}")
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(version=module.VERSION)
    for line in sys.stdin:
        request = json.loads(line)
        case = Case(**request["case"])
        rows = {}
        try:
            calls = module.prepare(case, data_of(case))
        except Exception:
            calls, rows = {}, {framework: {"error": traceback.format_exc(limit=-1)}}
        for name, call in calls.items():
            if call.function is None:
                continue
            try:
                row = count(call.function, call.arguments, **request["target"])
                row["moved"] = row.pop("program").moved(case.train_bytes)
                row["note"] = call.note
            except Exception as error:
                row = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
            rows[name] = row
        answer(**rows)


if __name__ == "__main__":
    main(sys.argv[1])
