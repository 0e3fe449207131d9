"""`examples/data_parallel.py` in one process and in two, killed and resumed."""

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import free_port

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = 57  # of `--short`

# Runs the example, and ends by SIGKILL before the given step.
KILLED = f"""
import os, signal, sys
sys.path.insert(0, {str(EXAMPLES)!r})
import data_parallel
step, get_batch = int(sys.argv.pop(1)), data_parallel.get_batch
def get_batch_or_end(data, now, **named):
    if now == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return get_batch(data, now, **named)
data_parallel.get_batch = get_batch_or_end
data_parallel.main()
"""


def run(*arguments, processes=1, devices=2, killed_at=None):
    """The exit statuses of the processes, what they printed, and what they showed."""
    command = [str(EXAMPLES / "data_parallel.py")]
    if killed_at is not None:
        command = ["-c", KILLED, str(killed_at)]
    command = [sys.executable, *command, "--short", *map(str, arguments)]
    if processes > 1:
        command += [
            "--coordinator",
            f"127.0.0.1:{free_port()}",
            "--processes",
            str(processes),
            "--process",
        ]
    count = f"--xla_force_host_platform_device_count={devices // processes}"
    started = [
        subprocess.Popen(
            command + [str(i)] * (processes > 1),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XLA_FLAGS": count, "JAX_PLATFORMS": "cpu"},
        )
        for i in range(processes)
    ]
    if killed_at is not None:
        started[-1].wait(timeout=300)
        for process in started:  # those that wait for the killed one
            process.kill()
    ends = [process.communicate(timeout=300) for process in started]
    printed = [re.sub(r"\[Gloo\].*\n", "", out) for out, _ in ends]
    shown = [err for _, err in ends]
    return [process.returncode for process in started], printed, shown


def last_of_bar(shown):
    return re.findall(r"accuracy=.*loss=[0-9.]+", shown)[-1]


@pytest.mark.slow
def test_two_processes_continue_a_killed_one_and_give_its_bits(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    [status], [printed], [shown] = run("--out", one)
    assert not status, shown
    options = ("--out", two, "--checkpoints", tmp_path / "checkpoints", "--save-every", 10)
    [status], _, [killed] = run(*options, killed_at=35)
    assert status == -signal.SIGKILL, killed
    statuses, all_printed, all_shown = run(*options, processes=2)
    assert statuses == [0, 0], all_shown
    assert one.read_bytes() == two.read_bytes()
    # the first process alone prints and shows
    assert f"{STEPS}/{STEPS}" in all_shown[0]
    assert "step/s" not in all_shown[1]
    assert last_of_bar(all_shown[0]) == last_of_bar(shown)
    devices, accuracy, _ = printed.splitlines()
    assert devices == "2 devices in 1 processes"
    assert re.fullmatch(r"9\d\.\d\d% test accuracy", accuracy)
    devices, first, same_accuracy, _ = all_printed[0].splitlines()
    assert devices == "2 devices in 2 processes"
    assert re.fullmatch(rf"starts at step [23]0 of {STEPS}", first)
    assert accuracy == same_accuracy
    assert not all_printed[1]


@pytest.mark.slow
def test_a_run_killed_at_ten_random_steps_ends_with_the_same_bits(tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    [status], _, [shown] = run("--out", whole)
    assert not status, shown
    options = ("--out", resumed, "--checkpoints", tmp_path / "checkpoints", "--save-every", 3)
    steps = np.random.default_rng(0).choice(np.arange(3, STEPS), 10, replace=False)
    for kill, step in enumerate(np.sort(steps)):
        # What two processes saved is read by one, and the other way round.
        statuses, _, shown = run(*options, processes=2 - kill % 2, killed_at=step)
        assert statuses[-1] == -signal.SIGKILL, shown
        assert not resumed.exists()
    [status], [printed], [shown] = run(*options)
    assert not status, shown
    first = int(re.search(rf"starts at step (\d+) of {STEPS}", printed)[1])
    assert 0 < first <= max(steps)
    assert whole.read_bytes() == resumed.read_bytes()
    # A finished run has nothing left to do, and another one is not continued by mistake.
    [status], [printed], _ = run(*options)
    assert f"starts at step {STEPS} of {STEPS}" in printed
    [status], _, [shown] = run(*options, "--seed", 1)
    assert status == 1
    assert re.search(r"are of a run with .*'seed': 0.*, got .*'seed': 1", shown)


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("data_parallel")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--process", "1"], "--coordinator, --processes and --process belong together"),
        (["--save-every", "0"], "--save-every must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused(example, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["data_parallel.py", *arguments])
    with pytest.raises(SystemExit):
        example.main()
    assert message in capsys.readouterr().err


def test_a_batch_that_devices_cannot_share_is_refused(example, monkeypatch):
    monkeypatch.setattr(example, "BATCH_SIZE", 60)
    with pytest.raises(SystemExit, match="60 samples cannot be divided equally over 8 devices"):
        example.make_shardings()
