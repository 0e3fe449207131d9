"""Runs the contract of every layer under each of JAX's switches.

Every switch is a process of its own. The layers are those of `tests/conftest.py`, the laws
those of `jaxsnn_eqx.testing.check_layer`, except NaN where a switch forbids it. Writes
`docs/promises/switches.md`.

    python checks/switches.py
"""

import argparse
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "promises" / "switches.md"

# the environment, options of Python, and what the page says
SWITCHES = {
    "none": ({}, (), "no switch"),
    "strict": (
        {"JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"},
        (),
        '`jax_numpy_dtype_promotion="strict"`, `jax_numpy_rank_promotion="raise"`',
    ),
    "debug_nans": ({"JAX_DEBUG_NANS": "1"}, (), "`jax_debug_nans`"),
    "debug_infs": ({"JAX_DEBUG_INFS": "1"}, (), "`jax_debug_infs`"),
    "check_tracer_leaks": ({"JAX_CHECK_TRACER_LEAKS": "1"}, (), "`jax_check_tracer_leaks`"),
    "x64": ({"JAX_ENABLE_X64": "1"}, (), "`jax_enable_x64`"),
    "disable_jit": ({"JAX_DISABLE_JIT": "1"}, (), "`jax_disable_jit`"),
    "transfer_guard": (
        {},
        (),
        '`jax_transfer_guard="disallow"` in compiled calls on device arrays',
    ),
    "jaxtyping": ({"JAXTYPING_DISABLE": "1"}, (), "`JAXTYPING_DISABLE=1`"),
    "optimised": ({}, ("-O",), "`python -O`"),
    "warnings": ({}, ("-W", "error"), "`python -W error`"),
}
FAST = ("debug_infs", "x64", "jaxtyping", "optimised")  # leaks are searched for 200 s


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--short", action="store_true", help="a few layers and switches, and write nothing"
    )
    parser.add_argument("--only", choices=SWITCHES, help="one switch")
    parser.add_argument("--inside", choices=SWITCHES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        run_inside(options.inside, options.short)
        return
    names = (options.only,) if options.only else FAST if options.short else tuple(SWITCHES)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda name: run_apart(name, options.short), names))
    rows = [
        f"| {SWITCHES[name][2]} | {said} |" for name, (said, _) in zip(names, runs, strict=True)
    ]
    if names == tuple(SWITCHES) and not options.short:
        PAGE.write_text("\n".join(["| switch | layers |", "|---|---|", *rows]) + "\n")
    sys.exit(any(failed for _, failed in runs))


def run_apart(name: str, short: bool) -> tuple[str, bool]:
    """A switch in a process of its own: its last line, and whether it failed."""
    environment, python, _ = SWITCHES[name]
    command = [sys.executable, *python, __file__, "--inside", name]
    start = time.monotonic()
    run = subprocess.run(
        command + ["--short"] * short,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    said = run.stdout.strip().splitlines() or ["no output"]
    lines = [f"{name}: {said[-1]} ({time.monotonic() - start:.0f} s)", *said[:-1]]
    print("\n  ".join(lines), flush=True)
    return said[-1], run.returncode != 0


def run_inside(switch: str, short: bool) -> None:
    """Every layer in this process; the last line is the result."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the frameworks, where `-W error` is set
        import jax
        import jax.random as jr
        from conftest import CASES, ONE_OF_EACH_BASE

        from jaxsnn_eqx import testing

    if switch != "strict":  # the settings of the tests
        jax.config.update("jax_numpy_dtype_promotion", "standard")
        jax.config.update("jax_numpy_rank_promotion", "allow")
    laws = testing._LAWS
    if switch in ("debug_nans", "debug_infs"):
        laws = tuple(law for law in laws if law is not testing._nan)
    if switch == "transfer_guard":
        laws = (guarded,)
    testing._LAWS = laws
    cases = {n: CASES[n] for n in ONE_OF_EACH_BASE} if short else CASES
    failures = 0
    for name, case in cases.items():
        try:
            testing.check_layer(case.layer, case.input(), key=jr.key(0) if case.draws else None)
        except Exception as error:
            failures += 1
            print(f"{name}: {str(error)[:400]}")
    print(f"{len(cases) - failures} of {len(cases)}")
    sys.exit(failures > 0)


def guarded(s) -> None:
    """nothing may move between host and device in a compiled call on device arrays."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    call = eqx.filter_jit(lambda layer, x, key: layer(x, key=key))
    grad = eqx.filter_jit(
        eqx.filter_grad(lambda layer_x, key: layer_x[0](layer_x[1], key=key).sum())
    )
    layer = jax.device_put(eqx.filter(s.layer, eqx.is_array))
    layer = eqx.combine(layer, s.layer)
    x = jax.device_put(jnp.asarray(s.x))
    jax.block_until_ready((call(layer, x, s.key), grad((layer, x), s.key)))  # compile
    with jax.transfer_guard("disallow"):
        jax.block_until_ready((call(layer, x, s.key), grad((layer, x), s.key)))


if __name__ == "__main__":
    main()
