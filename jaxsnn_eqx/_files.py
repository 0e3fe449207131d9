"""Files that are replaced as a whole, and that know whether they are whole."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None

_DIGEST = hashlib.sha256
_PREFIX = b"\nsha256 "
_TRAILER = len(_PREFIX) + 2 * _DIGEST().digest_size + 1
_BLOCK = 2**20


@contextlib.contextmanager
def replacing(path: Path, size: int) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` once it is written, with a checksum behind it.

    Until then it has a name of its own, which no other thread or process uses. Such files of
    processes that were killed are removed. A symbolic link stays, and permissions stay; `size`
    is the expected number of bytes, for the error of a full disk.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
    _remove_left_over(path)
    temporary, file = _temporary(path)
    try:
        with file:
            if path.is_file() and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            hashed = _Hashed(file)
            yield hashed  # type: ignore
            file.write(_PREFIX + hashed.digest.hexdigest().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # replaced while it is locked, so that no one removes it
                os.replace(temporary, path)
        if fcntl is None:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise
        temporary.unlink(missing_ok=True)  # so that its space is free
        free = shutil.disk_usage(path.parent).free
        words = f"the file needs {size:,} bytes beside the old one, and {free:,} are free"
        raise OSError(error.errno, f"{error.strerror}: {words}", os.fspath(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def is_whole(file: IO[bytes]) -> bool:
    """Whether the checksum behind a file is that of its bytes. Keeps the position."""
    position = file.tell()
    body = file.seek(0, os.SEEK_END) - _TRAILER
    file.seek(0)
    digest = _DIGEST()
    while body > 0 and (block := file.read(min(_BLOCK, body))):
        digest.update(block)
        body -= len(block)
    whole = file.read() == _PREFIX + digest.hexdigest().encode() + b"\n"
    file.seek(position)
    return whole


def bytes_left(file: IO[bytes]) -> int:
    """How many bytes follow, without the checksum."""
    return os.fstat(file.fileno()).st_size - _TRAILER - file.tell()


class _Hashed:
    """What NumPy needs of a file that it writes to, with the digest of all that is written."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.digest = _DIGEST()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)


def _temporary(path: Path) -> tuple[Path, IO[bytes]]:
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        file = open(temporary, "xb")  # noqa: SIM115
        locked = _lock(file)
        if locked is None or (locked and temporary.exists()):
            return temporary, file
        # another process took it for left over, before it was locked
        file.close()
        temporary.unlink(missing_ok=True)


def _remove_left_over(path: Path) -> None:
    """Removes the temporary files of `path` that no living process writes."""
    for left in path.parent.glob(f".{_literally(path.name)}.{'[0-9a-f]' * 32}.tmp"):
        with contextlib.suppress(OSError):
            if fcntl is None:
                left.unlink()  # an error, if it is open
            else:
                with open(left, "r+b") as file:
                    if _lock(file):
                        left.unlink()


def _literally(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _lock(file: IO[bytes]) -> bool | None:
    """Locks a file until it is closed. False: another has it. None: there are no locks here.

    The system ends a lock with its process, however that ends.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
