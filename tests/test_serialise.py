"""Saving and loading: what comes back, what is refused, and what a failure leaves."""

import json
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn


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


def test_every_layer_comes_back_bit_for_bit(case, tmp_path):
    path = tmp_path / "layer.eqx"
    snn.save(path, case.layer)
    # other arrays, as a model that was made anew has
    like = jax.tree.map(lambda a: a + 1 if eqx.is_array(a) else a, case.layer)
    loaded = snn.load(path, like)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(case.layer), strict=True):
        np.testing.assert_array_equal(a, b)
    assert jax.tree.structure(loaded) == jax.tree.structure(case.layer)


def test_a_network_of_another_seed_is_like_enough(tmp_path):
    network = _network()
    snn.save(tmp_path / "n", network)
    loaded = snn.load(str(tmp_path / "n"), like=_network(seed=1))
    x = jr.uniform(jr.key(2), (4,))
    np.testing.assert_array_equal(loaded(x), network(x))
    shapes = eqx.filter_eval_shape(_network)
    np.testing.assert_array_equal(snn.load(tmp_path / "n", like=shapes)(x), network(x))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8, jnp.bool_])
def test_narrow_arrays(dtype, tmp_path):
    array = jnp.array([0, 1, 1], dtype)
    snn.save(tmp_path / "a", {"a": [array, None]})
    loaded = snn.load(tmp_path / "a", like={"a": [jnp.zeros_like(array), None]})
    assert loaded["a"][0].dtype == dtype
    np.testing.assert_array_equal(loaded["a"][0], array)


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
            "`layers[0]` is jaxsnn_eqx._encoder.latency.LatencyEncoder in the file and "
            "jaxsnn_eqx._encoder.spatio_temporal.SpatioTemporalEncoder in `like`",
        ),
        (lambda: _network()[:-1], "`layers` is builtins.tuple of 7 in the file and"),
        (
            lambda: eqx.tree_at(lambda m: m[4].layer.fn, _network(), jax.nn.silu),
            "`layers[4].layer.fn` is jax._src.nn.functions.relu in the file and",
        ),
        (lambda: snn.LIF(), "the model is jaxsnn_eqx._network.Network in the file and"),
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


def _edited(path, **changes):
    head, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(head) | changes
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)


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
    with pytest.raises(ValueError, match="the file format is 99 in the file and 1 in"):
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
    with pytest.raises(ValueError, match="goes on after its arrays"):
        snn.load(path, _network())
    for garbage in (b"", b"\x00\xff" * 50, b"[1, 2]\n", b"{}\n", whole[:20]):
        path.write_bytes(garbage)
        with pytest.raises(ValueError, match="is no file that `save` wrote"):
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

    with open(path, "wb") as file:
        file.write(head + b"\n")
        np.save(file, np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, model)
    path.write_bytes(head + b"\n" + pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is cut off or damaged"):
        snn.load(path, model)
    assert not (tmp_path / "exploded").exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "n"
    snn.save(path, snn.LIF())
    before = path.read_bytes()

    def fail(file, model):
        file.write(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(eqx, "tree_serialise_leaves", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        snn.save(path, snn.LI())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n"]
