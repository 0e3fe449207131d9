"""Models to files and back: a header that describes them, and their arrays."""

import json
import math
import os
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
from ._header import (
    IN_32_BITS,
    LONGEST,
    compare_headers,
    header,
    is_array,
    narrowed,
    read_header,
)

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
    described = json.dumps(header(model)).encode() + b"\n"
    if len(described) > LONGEST:
        raise ValueError(
            f"The description of `model` takes {len(described):,} bytes, at most "
            f"{LONGEST:,}: it contains the values of arrays in static fields."
        )
    size = len(described)
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
            if stored[1].kind == "O":
                raise ValueError(f"`{name}` has more than 64 bits, got {leaf}.")
            size += _bytes(*stored) + 128  # and the header of an array
    with replacing(Path(path), size) as file:
        file.write(described)
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
        compare_headers(read_header(file, path), header(like), path)
        for leaf in jtu.tree_leaves(like):
            if isinstance(leaf, jax.ShapeDtypeStruct) and narrowed(leaf.dtype):
                raise ValueError(f"`like` has {leaf}. {IN_32_BITS}")
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


def _has_the_arrays_of(file: IO[bytes], like: Any) -> bool:
    """Whether the headers of the arrays are those that `like` needs. Reads no array."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    for leaf in jtu.tree_leaves(like):
        if (stored := _stored(leaf)) is None:
            continue
        try:
            shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
        except Exception:  # of many kinds, for bytes that are no header
            return False
        size = _bytes(*stored)
        if (shape, dtype) != stored or bytes_left(file) < size:
            return False
        file.seek(size, os.SEEK_CUR)
    return bytes_left(file) == 0


def _stored(leaf: Any) -> tuple[tuple[int, ...], np.dtype] | None:
    """The shape and dtype that a leaf has in the file; None, if it is not stored."""
    if _is_key(leaf):
        leaf = jax.eval_shape(jr.key_data, leaf)
    elif not is_array(leaf):
        if not eqx.is_array_like(leaf):
            return None
        leaf = np.asarray(leaf)
    return leaf.shape, _on_disk(leaf.dtype)


def _on_disk(dtype: np.dtype) -> np.dtype:
    """The dtype in NumPy's file: its bits, for one that NumPy lacks, such as bfloat16."""
    return np.dtype(f"V{dtype.itemsize}") if dtype.isbuiltin == 2 else dtype


def _bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


# Equinox writes and reads all leaves, except typed keys and the dtypes that NumPy lacks.


def _write(file: Any, leaf: Any) -> None:
    if _is_key(leaf):
        np.save(file, np.asarray(jr.key_data(leaf)))
    elif is_array(leaf) and _on_disk(leaf.dtype) != leaf.dtype:
        np.save(file, np.asarray(leaf).view(_on_disk(leaf.dtype)))
    else:
        eqx.default_serialise_filter_spec(file, leaf)


def _read(file: Any, leaf: Any) -> Any:
    if _is_key(leaf):
        return jr.wrap_key_data(np.load(file, allow_pickle=False), impl=jr.key_impl(leaf))
    if not is_array(leaf) or _on_disk(leaf.dtype) == leaf.dtype:
        return eqx.default_deserialise_filter_spec(file, leaf)
    array = np.load(file, allow_pickle=False).view(leaf.dtype)
    return array if isinstance(leaf, np.ndarray) else jnp.asarray(array)


def _with_key(leaf: Any) -> Any:
    # Equinox reads a leaf by its type, for which the shape of a key is not enough
    if isinstance(leaf, jax.ShapeDtypeStruct) and _is_key(leaf):
        return lax.full(leaf.shape, 0, leaf.dtype)
    return leaf


def _is_spread(array: jax.Array) -> bool:
    return not (array.is_fully_addressable or array.is_fully_replicated)


def _is_key(leaf: Any) -> bool:
    return is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
