"""Saving and loading: equality, differences that are refused, and failures."""

import contextlib
import errno
import functools as ft
import hashlib
import importlib.metadata
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import cases, draw, free_port

import jaxsnn_eqx as snn
from jaxsnn_eqx import _files


def _network(v_th=0.6, hidden=6, seed=0, encoder=None):
    k1, k2 = jr.split(jr.key(seed))
    return snn.Network(
        [
            encoder or snn.LatencyEncoder(10, 8e-3, threshold=jnp.array(0.1)),
            snn.OverTime(eqx.nn.Linear(4, hidden, key=k1)),
            snn.LIF(snn.LIFParameters(v_th=v_th), surrogate=snn.SuperSpike(5.0).smooth),
            snn.OverTime(eqx.nn.Linear(hidden, 3, use_bias=False, key=k2)),
            snn.OverTime(eqx.nn.Lambda(jax.nn.relu)),
            snn.LI(),
            snn.MaxOverTime(),
        ]
    )


@cases(lambda case: True)
def test_every_layer_is_loaded_bit_for_bit(case, tmp_path):
    path = tmp_path / "layer.eqx"
    snn.save(path, case.layer)
    # other arrays, as in a newly constructed model
    like = jax.tree.map(lambda a: a + 1 if eqx.is_array(a) else a, case.layer)
    loaded = snn.load(path, like)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(case.layer), strict=True):
        np.testing.assert_array_equal(a, b)
    assert jax.tree.structure(loaded) == jax.tree.structure(case.layer)


def test_like_may_be_a_network_of_another_seed(tmp_path):
    network = _network()
    snn.save(tmp_path / "n", network)
    loaded = snn.load(str(tmp_path / "n"), like=_network(seed=1))
    x = draw.uniform(jr.key(2), (4,))
    np.testing.assert_array_equal(loaded(x), network(x))
    shapes = eqx.filter_eval_shape(_network)
    np.testing.assert_array_equal(snn.load(tmp_path / "n", like=shapes)(x), network(x))


@pytest.mark.parametrize(
    "dtype",
    [
        jnp.bfloat16,
        jnp.float16,
        jnp.float8_e4m3fn,
        jnp.float8_e5m2,
        jnp.int4,
        jnp.int8,
        jnp.bool_,
    ],
)
def test_narrow_arrays(dtype, tmp_path):
    array = jnp.array([0, 1, 1], dtype)
    model = {"a": [array, None], "b": np.asarray(array)}
    snn.save(tmp_path / "a", model)
    zeros = {"a": [jnp.zeros_like(array), None], "b": np.zeros_like(model["b"])}
    for like in (zeros, eqx.filter_eval_shape(lambda: model)):
        loaded = snn.load(tmp_path / "a", like=like)
        assert isinstance(loaded["a"][0], jax.Array)
        assert isinstance(loaded["b"], type(like["b"]) | jax.Array)
        for ours in (loaded["a"][0], loaded["b"]):
            assert ours.dtype == dtype
            np.testing.assert_array_equal(ours, array)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys(impl, tmp_path):
    make = lambda seed: {"keys": jr.split(jr.key(seed, impl=impl), 3), "x": jnp.full(2, seed)}  # noqa: E731
    snn.save(tmp_path / "k", make(1))
    for like in (make(2), eqx.filter_eval_shape(make, 2)):
        loaded = snn.load(tmp_path / "k", like)
        assert loaded["keys"].dtype == make(1)["keys"].dtype
        np.testing.assert_array_equal(jr.key_data(loaded["keys"]), jr.key_data(make(1)["keys"]))
    other = {"keys": jr.split(jr.key(0, impl="unsafe_rbg"), 3), "x": jnp.zeros(2, int)}
    with pytest.raises(ValueError, match=r"`\['keys'\]` is array of key<"):
        snn.load(tmp_path / "k", other)


def test_equinox_itself_reads_the_file(tmp_path):
    network = _network()
    snn.save(tmp_path / "n", network)
    with open(tmp_path / "n", "rb") as file:
        file.readline()
        loaded = eqx.tree_deserialise_leaves(file, _network(seed=1))
    assert eqx.tree_equal(loaded, network)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (lambda: _network(v_th=0.7), "`layers[2].params.v_th` is 0.6 in the file and 0.7 in"),
        (
            lambda: _network(hidden=7),
            "`layers[1].layer.weight` is array of float32, 6x4 in the file and array of "
            "float32, 7x4 in `like`",
        ),
        (
            lambda: _network(encoder=snn.LatencyEncoder(10, 8e-3, threshold=0.1)),
            "`layers[0].threshold` is array of float32, scalar in the file and 0.1 in `like`",
        ),
        (
            lambda: _network(encoder=snn.SpatioTemporalEncoder(10, 8e-3)),
            "`layers[0]` is jaxsnn_eqx.LatencyEncoder in the file and "
            "jaxsnn_eqx.SpatioTemporalEncoder in `like`",
        ),
        (lambda: _network()[:-1], "`layers` is builtins.tuple of 7 in the file and"),
        (
            lambda: eqx.tree_at(lambda m: m[4].layer.fn, _network(), jax.nn.silu),
            "`layers[4].layer.fn` is jax.relu in the file and jax.silu in `like`",
        ),
        (
            lambda: snn.LIF(),
            "the model is jaxsnn_eqx.Network in the file and jaxsnn_eqx.LIF in `like`",
        ),
    ],
)
def test_a_difference_is_refused_by_name(like, message, tmp_path):
    snn.save(tmp_path / "n", _network())
    with pytest.raises(ValueError) as error:  # noqa: PT011
        snn.load(tmp_path / "n", like())
    assert message in str(error.value)


def test_a_surrogates_slope_is_compared(tmp_path):
    snn.save(tmp_path / "n", snn.LIF(surrogate=snn.SuperSpike(5.0).smooth))
    with pytest.raises(
        ValueError, match=r"`surrogate.__self__.slope` is 5.0 in the file and 6"
    ):
        snn.load(tmp_path / "n", snn.LIF(surrogate=snn.SuperSpike(6.0).smooth))
    with pytest.raises(ValueError, match=r"`surrogate` is .* in the file and .*ATan in"):
        snn.load(tmp_path / "n", snn.LIF(surrogate=snn.ATan()))


class _Fields(eqx.Module):
    array: jax.Array
    static: object = eqx.field(static=True)


class _NotAModule:
    pass


@dataclass(eq=False)
class _NotAPyTree:
    array: np.ndarray


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.1, 0.2),
        (1, 1.0),
        (1, True),
        ("a", "b"),
        (jnp.float32, jnp.float16),
        (np.dtype("float32"), np.dtype("float16")),
        (frozenset({"a", "b"}), frozenset({"a", "c"})),
        (jnp.add, jnp.multiply),
        (jnp.ravel, jnp.sum),
        (ft.partial(jnp.sum, axis=0), ft.partial(jnp.sum, axis=1)),
        (snn.LIFParameters(), snn.LIFParameters(v_leak=0.1)),
        ({"a": 1}, {"b": 1}),
        (_NotAPyTree(np.zeros(2)), _NotAPyTree(np.ones(2))),
    ],
)
def test_static_fields_are_compared(one, other, tmp_path):
    path = tmp_path / "saved"
    snn.save(path, _Fields(jnp.ones(2), one))
    np.testing.assert_array_equal(snn.load(path, _Fields(jnp.zeros(2), one)).array, 1)
    with pytest.raises(ValueError, match=r"`static.*` is .* in the file and .* in `like`"):
        snn.load(path, _Fields(jnp.ones(2), other))


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_the_values_of_static_arrays_are_compared(tmp_path):
    snn.save(tmp_path / "saved", _Fields(jnp.ones(2), np.zeros(2)))
    snn.load(tmp_path / "saved", _Fields(jnp.ones(2), np.zeros(2)))
    with pytest.raises(ValueError, match=r"`static` is array of float64, 2: \[0.0, 0.0\] in"):
        snn.load(tmp_path / "saved", _Fields(jnp.ones(2), np.ones(2)))


def test_addresses_which_differ_between_processes_are_not_compared(tmp_path):
    snn.save(tmp_path / "saved", _Fields(jnp.ones(2), _NotAModule()))
    assert b"0x" not in (tmp_path / "saved").read_bytes()
    loaded = snn.load(tmp_path / "saved", _Fields(jnp.zeros(2), _NotAModule()))
    np.testing.assert_array_equal(loaded.array, 1)


def test_the_order_of_leaves_is_compared(tmp_path):
    model = OrderedDict(a=jnp.zeros(2), b=jnp.ones(2))
    snn.save(tmp_path / "n", model)
    with pytest.raises(ValueError, match=r"the model is .* in the file"):
        snn.load(tmp_path / "n", OrderedDict(b=jnp.zeros(2), a=jnp.zeros(2)))
    # but JAX sorts those of a dict
    snn.save(tmp_path / "n", dict(model))
    loaded = snn.load(tmp_path / "n", {"b": jnp.zeros(2), "a": jnp.zeros(2)})
    assert eqx.tree_equal(loaded, dict(model))


def test_other_pytrees(tmp_path):
    model = (jax.tree_util.Partial(jnp.dot, jnp.ones(3)), snn.spike_trains.pack([1, 0, 1]))
    snn.save(tmp_path / "n", model)
    loaded = snn.load(tmp_path / "n", jax.tree.map(jnp.zeros_like, model))
    assert eqx.tree_equal(loaded, model)
    with pytest.raises(ValueError, match=r"`\[0\].func` is jax.numpy.dot in the file and"):
        snn.load(tmp_path / "n", (jax.tree_util.Partial(jnp.vdot, jnp.ones(3)), model[1]))


def test_leaves_that_cannot_be_stored_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`layers\[0\].threshold` has no values to store"):
        snn.save(tmp_path / "n", eqx.filter_eval_shape(_network))
    with pytest.raises(ValueError, match=r"`\['a'\]` is an array of objects"):
        snn.save(tmp_path / "n", {"a": np.array([{}], object)})
    with pytest.raises(FileNotFoundError):
        snn.save(tmp_path / "missing" / "n", snn.LIF())
    for call in (lambda: snn.save(3, snn.LIF()), lambda: snn.load(0, snn.LIF())):
        with pytest.raises(TypeError):  # not a file descriptor
            call()
    with pytest.raises(IsADirectoryError):
        snn.save(tmp_path, snn.LIF())
    assert list(tmp_path.iterdir()) == []


def test_many_threads_save_to_one_file(tmp_path):
    models = [_network(seed=i) for i in range(4)]

    def save_often(model):
        for _ in range(10):
            snn.save(tmp_path / "n", model)

    with ThreadPoolExecutor() as pool:
        list(pool.map(save_often, models))
    assert [p.name for p in tmp_path.iterdir()] == ["n"]
    loaded = snn.load(tmp_path / "n", models[0])
    assert any(eqx.tree_equal(loaded, model) for model in models)


def test_a_source_tree_without_a_version_saves_too(tmp_path, monkeypatch):
    path, version = tmp_path / "n", importlib.metadata.version

    def not_installed(name):
        if name == "jaxsnn_eqx":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    snn.save(path, snn.LIF())
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", not_installed)
        assert eqx.tree_equal(snn.load(path, snn.LIF()), snn.LIF())
        snn.save(path, snn.LIF())
    assert eqx.tree_equal(snn.load(path, snn.LIF()), snn.LIF())


def _edited(path, **changes):
    head, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(head) | changes
    _write_signed(path, json.dumps(header).encode() + b"\n" + rest[:-TRAILER])


TRAILER = len(b"\nsha256 ") + 64 + 1


def _write_signed(path, data):
    path.write_bytes(data + f"\nsha256 {hashlib.sha256(data).hexdigest()}\n".encode())


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "n"
    snn.save(path, snn.LIF())
    header = json.loads(path.read_bytes().split(b"\n", 1)[0])
    assert set(header["versions"]) == {"jaxsnn_eqx", "equinox", "jax"}
    # the patch version, and those of the libraries, are only recorded
    own = header["versions"]["jaxsnn_eqx"].split(".")
    patched = header["versions"] | {"jaxsnn_eqx": f"{own[0]}.{own[1]}.999", "jax": "0.0.1"}
    _edited(path, versions=patched)
    snn.load(path, snn.LIF())
    _edited(path, versions=header["versions"] | {"jaxsnn_eqx": "77.1.0"})
    with pytest.raises(ValueError, match=r"the version of jaxsnn_eqx is 77.1 in the file"):
        snn.load(path, snn.LIF())
    _edited(path, **{"jaxsnn_eqx file format": 99})
    with pytest.raises(ValueError, match="the file format is 99 in the file and 3 in"):
        snn.load(path, snn.LIF())


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "n"
    snn.save(path, _network())
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for cut in (len(whole) - 1, (head + len(whole)) // 2, head):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="is cut off or damaged"):
            snn.load(path, _network())
    path.write_bytes(whole + b"x")
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, _network())
    no_model = b'{"jaxsnn_eqx file format": 3}\n'
    for garbage in (b"", b"\x00\xff" * 50, b"[1, 2]\n", b"{}\n", whole[:20], no_model):
        path.write_bytes(garbage)
        with pytest.raises(ValueError, match="was not written by `save`"):
            snn.load(path, _network())
    with pytest.raises(FileNotFoundError):
        snn.load(tmp_path / "missing", _network())


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "n"
    model = {"a": jnp.ones(2)}
    snn.save(path, model)
    head = path.read_bytes().split(b"\n", 1)[0]

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    body = io.BytesIO()
    np.save(body, np.array([Bomb()], object), allow_pickle=True)
    _write_signed(path, head + b"\n" + body.getvalue())
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, model)
    _write_signed(path, head + b"\n" + pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, model)
    assert not (tmp_path / "exploded").exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "n"
    snn.save(path, snn.LIF())
    before = path.read_bytes()

    def fail(file, model, filter_spec):
        file.write(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(eqx, "tree_serialise_leaves", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        snn.save(path, snn.LI())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


def test_every_flipped_bit_is_found(tmp_path):
    path, layer = tmp_path / "n", snn.LearnableLIFEncoder(30, 10)
    snn.save(path, layer)
    whole = bytearray(path.read_bytes())
    version = range(whole.index(b'"versions"'), whole.index(b'"model"'))
    places = np.random.default_rng(0).choice(8 * len(whole), 600, replace=False)
    for place in map(int, places):
        whole[place // 8] ^= 1 << place % 8
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=r"damaged|not written|in the file and"):
            snn.load(path, layer)
        whole[place // 8] ^= 1 << place % 8
    assert any(place // 8 in version for place in places)


def _peak(call):
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_foreign_file_is_refused_before_it_takes_memory(tmp_path):
    path, model = tmp_path / "n", {"a": jnp.ones(2)}
    snn.save(path, model)
    head = path.read_bytes().split(b"\n", 1)[0]
    body = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        body, {"descr": "<f4", "fortran_order": False, "shape": (2**30,)}
    )
    with open(path, "wb") as file:  # 4 GB of zeros that take no place on the disk
        file.write(head + b"\n" + body.getvalue())
        file.truncate(file.tell() + 2**32)
    assert _peak(lambda: snn.load(path, model)) < 2**21
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, model)

    with open(path, "wb") as file:  # one line of 300 MB
        file.write(b'{"jaxsnn_eqx file format": 3')
        file.truncate(300 * 2**20)
    assert _peak(lambda: snn.load(path, model)) < 2**27
    path.write_bytes(b'{"jaxsnn_eqx file format": ' + b"[" * 200_000 + b"\n")
    with pytest.raises(ValueError, match="was not written by `save`"):
        snn.load(path, model)


def test_arrays_that_do_not_keep_what_their_description_says(tmp_path):
    path, model = tmp_path / "n", {"a": jnp.ones((2, 3)), "b": 1.0}
    snn.save(path, model)
    head = path.read_bytes().split(b"\n", 1)[0]
    for wrong in (np.ones((3, 2), np.float32), np.ones((2, 3)), np.ones((2, 3), np.int32)):
        body = io.BytesIO()
        np.save(body, wrong)
        np.save(body, 1.0)
        _write_signed(path, head + b"\n" + body.getvalue())
        with pytest.raises(ValueError, match="is cut off or damaged"):
            snn.load(path, model)


def test_arrays_of_64_bits_are_not_cut_in_half(tmp_path):
    path = tmp_path / "n"
    with jax.enable_x64(True):
        snn.save(path, {"a": jnp.ones(2), "b": np.ones(2)})
        shapes = eqx.filter_eval_shape(lambda: {"a": jnp.ones(2), "b": jnp.ones(2)})
        assert snn.load(path, shapes)["a"].dtype == jnp.float64
    with pytest.raises(
        ValueError, match=r"`\['a'\]` is array of float64, 2 in the.*32-bit mode"
    ):
        snn.load(path, {"a": jnp.ones(2), "b": np.ones(2)})
    with pytest.raises(ValueError, match=r"`like` has .*float64.*32-bit mode"):
        snn.load(path, shapes)
    snn.save(path, {"b": np.ones(2)})  # NumPy's arrays have 64 bits in both modes
    assert snn.load(path, {"b": np.zeros(2)})["b"].dtype == np.float64


def test_wide_integers_would_need_pickle(tmp_path):
    with pytest.raises(ValueError, match=r"`\[0\]` has more than 64 bits"):
        snn.save(tmp_path / "n", [2**70])
    snn.save(tmp_path / "n", [2**40, True, 1.5, 1j])
    assert snn.load(tmp_path / "n", [2**40, True, 1.5, 1j]) == [2**40, True, 1.5, 1j]


@pytest.mark.parametrize("when", ["in the arrays", "at the end"])
def test_a_full_disk_is_an_error_that_names_the_space(when, tmp_path, monkeypatch):
    path = tmp_path / "n"
    snn.save(path, {"a": jnp.zeros(1000)})
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((np, "save") if when == "in the arrays" else (os, "fsync")), full)
    monkeypatch.setattr(jnp, "save", full)
    with pytest.raises(
        OSError, match=r"needs [45],\d\d\d bytes.*, and [\d,]+ are free"
    ) as error:
        snn.save(path, {"a": jnp.ones(1000)})
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


def test_other_errors_of_the_system_stay_what_they_are(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(jnp, "save", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as error:
        snn.save(tmp_path / "n", {"a": jnp.ones(1000)})
    assert error.value.errno == errno.EIO


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "n", tmp_path / "link"
    snn.save(path, {"a": jnp.zeros(2)})
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    link.symlink_to("n")
    for mode in (0o600, 0o664):
        path.chmod(mode)
        snn.save(link, {"a": jnp.full(2, mode)})
        assert path.stat().st_mode & 0o777 == mode
        assert link.is_symlink()
        np.testing.assert_array_equal(snn.load(path, {"a": jnp.zeros(2, int)})["a"], mode)
    (tmp_path / "dangling").symlink_to("new")
    snn.save(tmp_path / "dangling", {"a": jnp.zeros(2)})
    assert (tmp_path / "new").is_file()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        snn.save(tmp_path / "pipe", {"a": jnp.zeros(2)})
    assert {p.name for p in tmp_path.iterdir()} == {"n", "link", "dangling", "new", "pipe"}


def test_what_a_killed_process_left_is_removed_and_no_other_file(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "a[1]*"
    left = tmp_path / f".{path.name}.{'0a' * 16}.tmp"
    others = [
        tmp_path / f".a1x.{'0a' * 16}.tmp",  # which the name would match as a pattern
        tmp_path / f".{path.name}.{'0g' * 16}.tmp",
        tmp_path / f".{path.name}.tmp",
    ]
    alive = tmp_path / f".{path.name}.{'1b' * 16}.tmp"
    for file in (left, alive, *others):
        file.write_bytes(b"half")
    with open(alive, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        snn.save(path, {"a": jnp.zeros(2)})
        assert set(tmp_path.iterdir()) == {path, alive, *others}
    snn.save(path, {"a": jnp.zeros(2)})
    assert set(tmp_path.iterdir()) == {path, *others}


def test_a_file_that_another_takes_for_left_over_is_not_written(tmp_path, monkeypatch):
    lock, names = _files._lock, []

    def locked_by_another_at_first(file):
        names.append(file.name)
        return lock(file) if len(names) > 1 else False

    monkeypatch.setattr(_files, "_lock", locked_by_another_at_first)
    snn.save(tmp_path / "n", {"a": jnp.ones(2)})
    assert len(set(names)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["n"]
    np.testing.assert_array_equal(snn.load(tmp_path / "n", {"a": jnp.zeros(2)})["a"], 1)


SAVES_FOR_EVER = """
import sys, numpy as np, jaxsnn_eqx as snn
model = {"a": np.zeros(2**25, np.uint8)}
while True:
    model["a"] += 1
    snn.save(sys.argv[1], model)
    print("saved", flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_whole_file_and_nothing_for_good(tmp_path):
    pytest.importorskip("fcntl")
    path, random, left = tmp_path / "n", np.random.default_rng(0), 0
    zeros = {"a": np.zeros(2**25, np.uint8)}
    for _ in range(8):
        command = [sys.executable, "-c", SAVES_FOR_EVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        left += len(list(tmp_path.iterdir())) - 1
        loaded = snn.load(path, zeros)["a"]
        assert (loaded == loaded[0]).all()
    snn.save(path, zeros)
    assert left
    assert list(tmp_path.iterdir()) == [path]


SAVES_IN_TWO_PROCESSES = """
import sys, jax, jaxsnn_eqx as snn, numpy as np
port, process, folder = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
mesh = jax.make_mesh((2,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
for spec in ((), ("b",)):
    sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))
    whole = np.arange(2.0, dtype="f4")
    array = jax.make_array_from_callback((2,), sharding, lambda i: whole[i])
    try:
        snn.save(f"{folder}/{process}{len(spec)}", {"a": array})
        print("saved")
    except ValueError as error:
        print(error)
"""


@pytest.mark.slow
def test_an_array_that_is_spread_over_processes_is_refused(tmp_path):
    port = str(free_port())
    environment = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SAVES_IN_TWO_PROCESSES, port, process, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for process in "01"
    ]
    for i, process in enumerate(processes):
        said = process.communicate(timeout=120)[0].strip().splitlines()
        assert said[0] == "saved"  # every process has the whole array
        assert re.match(r"`\['a'\]` is spread over .*process_allgather", said[1])
        loaded = snn.load(tmp_path / f"{i}0", {"a": jnp.zeros(2)})["a"]
        np.testing.assert_array_equal(loaded, [0, 1])
