"""The page of file formats, on small files that are written here byte by byte."""

import re
import struct
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "files.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="outside the source tree")


def recording(size, seed, n=400):
    """Columns x, y, t in microseconds, and p."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    return rng.integers(0, size[1], n), rng.integers(0, size[0], n), t, rng.integers(0, 2, n)


def write_raw(path, x, y, t, p):
    words, high = [], -1
    for x_, y_, t_, p_ in zip(x, y, t, p, strict=True):
        if t_ >> 6 != high:
            high = t_ >> 6
            words.append(0x8 << 28 | high)
        words.append(p_ << 28 | (t_ & 0x3F) << 22 | x_ << 11 | y_)
        if t_ % 7 == 0:
            words.append(0xA << 28 | 5 << 8)  # an external trigger
    header = b"% evt 2.0\n% geometry 1280x720\n% end\n"
    path.write_bytes(header + struct.pack(f"<{len(words)}I", *map(int, words)))


def write_aedat(path, x, y, t, p):
    with path.open("wb") as file:
        file.write(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n")
        for x_, y_, t_, p_ in zip(x, y, t, p, strict=True):
            file.write(struct.pack(">II", int(x_ << 8 | y_ << 1 | p_), int(t_)))


def write_bin(path, x, y, t, p):
    """With times that start again after 2^13 microseconds, announced by a y of 240."""
    with path.open("wb") as file:
        base = 0
        for x_, y_, t_, p_ in zip(x, y, t, p, strict=True):
            while t_ - base >= 2**13:
                base += 2**13
                file.write(bytes([0, 240, 0, 0, 0]))
            now = int(t_ - base)
            file.write(bytes([x_, y_, int(p_) << 7 | now >> 16, now >> 8 & 255, now & 255]))


def write_h5(path, x, t):
    with h5py.File(path, "w") as file:
        file["labels"] = np.array([7, 3])
        spikes = file.create_group("spikes")
        times = spikes.create_dataset("times", 2, h5py.vlen_dtype(np.float16))
        units = spikes.create_dataset("units", 2, h5py.vlen_dtype(np.uint16))
        times[0], units[0] = t.astype(np.float16), x
        times[1], units[1] = t[:3].astype(np.float16), x[:3]


def test_the_page_reads_each_file_and_runs_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw, aedat, digit = (
        recording(size, seed) for seed, size in enumerate([(720, 1280), (128, 128), (34, 34)])
    )
    write_raw(tmp_path / "recording.raw", *raw)
    write_aedat(tmp_path / "recording.aedat", *aedat)
    write_bin(tmp_path / "recording.bin", *digit)
    x, _, t, _ = recording((1, 700), seed=3)
    write_h5(tmp_path / "recording.h5", x, t * 1e-6)

    namespace = {}
    with jax.numpy_dtype_promotion("standard"):
        for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S):
            exec(compile(snippet, PAGE.name, "exec"), namespace)

    for name, (x_, y_, t_, p_) in {"raw": raw, "aedat": aedat, "bin": digit}.items():
        array = namespace[f"read_{name}"](f"recording.{name}")
        for field, expected in zip("xytp", (x_, y_, t_, p_), strict=True):
            np.testing.assert_array_equal(array[field], expected, err_msg=f"{name} {field}")
    spoken = namespace["spoken"]
    assert namespace["label"] == 7
    np.testing.assert_array_equal(spoken.x, x)
    np.testing.assert_array_equal(spoken.t, (t * 1e-6).astype(np.float16).astype(np.float32))


def test_evt_3_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recording.raw").write_bytes(b"% evt 3.0\n% end\n" + bytes(8))
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)[:2]
    namespace = {}
    exec(first, namespace)
    with pytest.raises(ValueError, match=r"EVT 3\.0: convert it"):
        exec(second, namespace)
