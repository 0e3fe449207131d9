"""Models to files and back: a header that describes them, and their arrays."""

import dataclasses
import functools as ft
import importlib.metadata
import json
import math
import os
import re
import types
from pathlib import Path
from typing import IO, Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np
from jax import lax

from ._files import bytes_left, is_whole, replacing

_FORMAT = 3  # 1: `LIF`, `LI` and `ALIF` had their own synapse; 2: no checksum
_BEGINS = b'{"jaxsnn_eqx file format": '
_LONGEST_HEADER = 2**24  # bytes; a network of a thousand layers has one of 2**20
_Model = TypeVar("_Model")


def save(path: str | os.PathLike, model: Any) -> None:
    """Writes a model to a file: its arrays, and a description of the model.

    The first line is JSON: the class of every module, every static parameter and fixed number,
    the shape and dtype of every array, and the versions of this package, Equinox and JAX. The
    leaves follow, as `equinox.tree_serialise_leaves` writes them (for a typed key, its data),
    and a SHA-256 checksum of it all.

    The file is replaced only once it is written completely. Its permissions stay, and a
    symbolic link still points to it. What a killed process left of a file beside it, the next
    `save` to the same path removes.

    ```python
    >>> import pathlib, tempfile
    >>> import jaxsnn_eqx as snn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "encoder.eqx"
    >>> snn.save(path, snn.LearnableLIFEncoder(3, seq_length=10))
    >>> snn.load(path, like=snn.LearnableLIFEncoder(3, seq_length=10)).gain
    Array([1., 1., 1.], dtype=float32)
    >>> snn.load(path, like=snn.LearnableLIFEncoder(3, seq_length=20))
    Traceback (most recent call last):
        ...
    ValueError: `seq_length` is 10 in the file and 20 in `like`.

    ```

    **Arguments:**

    - `path`: path of the file, in an existing folder.
    - `model`: an `eqx.Module`, or any PyTree of them.

    Functions and classes are recorded by their names, without private modules, so that two
    `lambda`s of the same function count as equal.

    Nothing is pickled. **Raises:** `OSError` if the file cannot be written, on a full disk
    with the space that it needs; `ValueError` for leaves without values
    (`jax.ShapeDtypeStruct`), for arrays that are spread over several processes, and for what
    would need pickle: arrays of objects, and integers of more than 64 bits.
    """
    header = json.dumps(_header(model)).encode() + b"\n"
    if len(header) > _LONGEST_HEADER:
        raise ValueError(
            f"The description of `model` takes {len(header):,} bytes, at most "
            f"{_LONGEST_HEADER:,}: it contains the values of arrays in static fields."
        )
    size = len(header)
    for where, leaf in jtu.tree_leaves_with_path(model):
        name = jtu.keystr(where).lstrip(".") or "model"
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise ValueError(f"`{name}` has no values to store, got {leaf}.")
        if isinstance(leaf, jax.Array) and _is_spread(leaf):
            raise ValueError(
                f"`{name}` is spread over several processes, got {leaf.sharding}: gather it "
                "first, by `jax.experimental.multihost_utils.process_allgather(model, "
                "tiled=True)` in every process, and save in one of them; or save with Orbax."
            )
        if (stored := _stored(leaf)) is not None:
            if stored.dtype == object:
                raise ValueError(f"`{name}` has more than 64 bits, got {leaf}.")
            size += _bytes(stored) + 128
    with replacing(Path(path), size) as file:
        file.write(header)
        try:
            eqx.tree_serialise_leaves(file, model, _write)
        except RuntimeError as error:
            cause = error  # Equinox puts the path of the leaf around it
            while isinstance(cause, RuntimeError) and cause.__cause__ is not None:
                cause = cause.__cause__
            if isinstance(cause, OSError):
                raise cause from None
            raise


def load(path: str | os.PathLike, like: _Model) -> _Model:
    """Reads a model that `save` wrote.

    **Arguments:**

    - `path`: path of the file.
    - `like`: a model with the same classes and parameters as the saved one; its arrays are
        replaced (`equinox.filter_eval_shape` makes a model without arrays).

    **Returns:**

    `like`, with the arrays of the file, on the default device. See `save` for an example.

    Nothing is unpickled, and no array is read before its shape and dtype are known to be those
    of `like`, and the checksum to be that of the file. **Raises:** `ValueError` if the file and
    `like` differ in a class, a parameter, a fixed number, or an array's shape or dtype, naming
    the field; if it has arrays of 64 bits and JAX is in its 32-bit mode; if the file has
    another format, or was written by another minor version of this package, in which the same
    parameters may have another meaning; or if it is damaged or was not written by `save`. The
    versions of JAX and Equinox may differ.
    """
    path = Path(path)
    with open(path, "rb") as file:
        header = _read_header(file, path)
        _compare_headers(header, _header(like), path)
        for leaf in jtu.tree_leaves(like):
            if isinstance(leaf, jax.ShapeDtypeStruct) and _narrowed(leaf.dtype):
                raise ValueError(f"`like` has {leaf}. {_32_BITS}")
        like = jtu.tree_map(_with_key, like)
        start = file.tell()
        damaged = ValueError(f"{os.fspath(path)!r} is cut off or damaged.")
        if not _has_the_arrays_of(file, like) or not is_whole(file):
            raise damaged
        file.seek(start)
        try:
            return eqx.tree_deserialise_leaves(file, like, _read)
        except (ValueError, EOFError, RuntimeError, OSError) as error:
            raise damaged from error


def _read_header(file: IO[bytes], path: Path) -> dict:
    foreign = ValueError(f"{os.fspath(path)!r} was not written by `save`.")
    if file.read(len(_BEGINS)) != _BEGINS:
        raise foreign
    file.seek(0)
    try:
        header = json.loads(file.readline(_LONGEST_HEADER))
        header["jaxsnn_eqx file format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise foreign from error
    return header


def _compare_headers(header: dict, expected: dict, path: Path) -> None:
    name = "jaxsnn_eqx file format"
    _compare("the file format", header[name], expected[name])
    try:
        version, saved = str(header["versions"]["jaxsnn_eqx"]), dict(header["model"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)!r} was not written by `save`.") from error
    versions = version, expected["versions"]["jaxsnn_eqx"]
    if _UNKNOWN not in versions:
        minor = [".".join(v.split(".")[:2]) for v in versions]
        _compare("the version of jaxsnn_eqx", *minor)
    for name in saved | expected["model"]:
        values = [described.get(name, "absent") for described in (saved, expected["model"])]
        what = f"`{name}`" if name else "the model"
        narrow = re.sub(r"^(array of \D+)64,", r"\g<1>32,", str(values[0]))
        if narrow == values[1] != values[0] and _narrowed(np.dtype(float)):
            raise ValueError(f"{what} is {values[0]} in the file. {_32_BITS}")
        _compare(what, *values)


_32_BITS = (
    "JAX is in its 32-bit mode, in which it would lose half of the bits: call "
    '`jax.config.update("jax_enable_x64", True)` first, and build `like` after it.'
)


def _narrowed(dtype: Any) -> bool:
    """Whether JAX, in its 32-bit mode, makes other arrays of this dtype."""
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return False
    return jax.dtypes.canonicalize_dtype(dtype) != dtype


def _has_the_arrays_of(file: IO[bytes], like: Any) -> bool:
    """Whether the headers of the arrays are those that `like` needs. Reads no array."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    for leaf in jtu.tree_leaves(like):
        if (expected := _stored(leaf)) is None:
            continue
        try:
            shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
        except Exception:  # of many kinds, for bytes that are no header
            return False
        bits = np.dtype(f"V{expected.dtype.itemsize}")
        same = dtype == (bits if expected.dtype.isbuiltin == 2 else expected.dtype)
        if not same or shape != expected.shape or bytes_left(file) < _bytes(expected):
            return False
        file.seek(_bytes(expected), os.SEEK_CUR)
    return bytes_left(file) == 0


def _stored(leaf: Any) -> Any:
    """The shape and dtype that a leaf has in the file; None, if it is not stored."""
    if _is_key(leaf):
        return jax.eval_shape(jr.key_data, leaf)
    if _is_array(leaf):
        return leaf
    return np.asarray(leaf) if eqx.is_array_like(leaf) else None


def _bytes(stored: Any) -> int:
    return math.prod(stored.shape) * stored.dtype.itemsize


# Equinox writes and reads all leaves, except typed keys and the dtypes that NumPy lacks.


def _write(file: Any, leaf: Any) -> None:
    if _is_key(leaf):
        np.save(file, np.asarray(jr.key_data(leaf)))
    elif _is_array(leaf) and leaf.dtype.isbuiltin == 2:
        np.save(file, np.asarray(leaf).view(f"V{leaf.dtype.itemsize}"))  # its bits
    else:
        eqx.default_serialise_filter_spec(file, leaf)


def _read(file: Any, leaf: Any) -> Any:
    if _is_key(leaf):
        return jr.wrap_key_data(np.load(file, allow_pickle=False), impl=jr.key_impl(leaf))
    if not _is_array(leaf) or leaf.dtype.isbuiltin != 2:
        return eqx.default_deserialise_filter_spec(file, leaf)
    array = np.load(file, allow_pickle=False).view(leaf.dtype)
    return array if isinstance(leaf, np.ndarray) else jnp.asarray(array)


def _with_key(leaf: Any) -> Any:
    # Equinox reads a leaf by its type, for which the shape of a key is not enough
    if isinstance(leaf, jax.ShapeDtypeStruct) and _is_key(leaf):
        return lax.full(leaf.shape, 0, leaf.dtype)
    return leaf


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _is_spread(array: jax.Array) -> bool:
    return not (array.is_fully_addressable or array.is_fully_replicated)


def _is_key(leaf: Any) -> bool:
    return _is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _compare(what: str, in_file: Any, in_like: Any) -> None:
    if in_file != in_like:
        raise ValueError(f"{what} is {in_file} in the file and {in_like} in `like`.")


_UNKNOWN = "unknown"


def _header(model: Any) -> dict:
    names = ("jaxsnn_eqx", "equinox", "jax")
    return {
        "jaxsnn_eqx file format": _FORMAT,
        "versions": {name: _version(name) for name in names},
        "model": dict(_describe(model, "", stored=True)),
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from its source tree
        return _UNKNOWN


def _describe(node: Any, name: str, stored: bool):
    """Describes every part of a PyTree by its path, without the values that are `stored`.

    The values of arrays in static fields, and inside other leaves, are not stored, so they are
    part of the description.
    """
    if _is_array(node):
        if node.dtype == object:
            raise ValueError(f"`{name}` is an array of objects, which cannot be stored.")
        shape = "x".join(map(str, node.shape)) or "scalar"
        values = "" if stored else f": {np.asarray(node).tolist()}"
        yield name, f"array of {node.dtype}, {shape}{values}"
        return
    stored = stored and not jtu.all_leaves([node])
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        yield name, _qualified(type(node))
        for field in dataclasses.fields(node):
            inner = getattr(node, field.name)
            path = f"{name}.{field.name}" if name else field.name
            yield from _describe(inner, path, stored and not field.metadata.get("static"))
    elif isinstance(node, list | tuple):
        yield name, f"{_qualified(type(node))} of {len(node)}"
        for i, inner in enumerate(node):
            yield from _describe(inner, f"{name}[{i}]", stored)
    elif isinstance(node, dict):
        # JAX sorts the keys of a `dict`, and keeps the order of its subclasses
        keys = f"{len(node)}" if type(node) is dict else f"{list(node)}"
        yield name, f"{_qualified(type(node))} of {keys}"
        for key, inner in node.items():
            yield from _describe(inner, f"{name}[{key!r}]", stored)
    elif isinstance(node, set | frozenset):
        yield name, f"{_qualified(type(node))} of {sorted(map(repr, node))}"
    elif isinstance(node, bool | int | float | complex | str | bytes | None | np.dtype):
        yield name, repr(node)
    elif isinstance(node, types.MethodType):
        yield name, _qualified(node.__func__)
        yield from _describe(node.__self__, f"{name}.__self__", stored)
    elif isinstance(node, ft.partial):
        yield name, _qualified(type(node))
        for part in ("func", "args", "keywords"):
            yield from _describe(getattr(node, part), f"{name}.{part}", stored)
    elif not jtu.all_leaves([node]):
        yield name, _qualified(type(node))
        for i, inner in enumerate(eqx.tree_flatten_one_level(node)[0]):
            yield from _describe(inner, f"{name}[{i}]", stored)
    elif isinstance(getattr(node, "__qualname__", None), str):
        yield name, _qualified(node)
    else:
        # addresses differ from process to process
        yield name, re.sub(r" at 0x[0-9a-fA-F]+", "", f"{_qualified(type(node))} {node!r}")


def _qualified(thing: Any) -> str:
    """The name of a class or function, without private modules, which may be renamed."""
    public = re.sub(r"\._.*", "", str(thing.__module__))
    return f"{public}.{thing.__qualname__}"
