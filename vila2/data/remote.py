"""Files that lie at a URL, read through fsspec: whole, or in ranges that a bounded cache on disk keeps.

What comes is checked for its length; a cut transfer is tried again. Credentials are the file system's own
business: s3fs, gcsfs and huggingface_hub find them in the environment.

The cache lies in ``$VILA2_CACHE`` (by default ``~/.cache/vila2``) and holds at most ``$VILA2_CACHE_GB``
gigabytes of ranges, 20 by default; 0 keeps none.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vila2.data.atomic import atomic_path
from vila2.data.block_cache import BlockCache, cache_folder
from vila2.errors import DataError

T = TypeVar("T")

_URL = re.compile(r"(s3|gs|gcs|hf|https?):/{1,2}(?=[^/])")  # a Path has one slash of the two
_BLOCK = 1 << 19  # bytes that are fetched at once for a sample anywhere
_AHEAD = 16  # blocks that are fetched at once where a file is read in its order
_WHOLE = 1 << 24  # bytes of one range of a file that is fetched whole
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts
_EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hub", "http": "http", "https": "http"}
#: What file systems call that which changes with a file's content.
_VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "blob_id")
_REFUSED = (400, 401, 403, 404, 405, 410, 416)
_NETWORK = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("httpx", "HTTPError"),
    ("httpcore", "NetworkError"),
)


class MissingRemoteFile(DataError):
    """There is no file at a URL."""


def remote_url(place: Path | str) -> str | None:
    """The URL that a text or a path names; None for a place on this machine."""
    text = str(place)
    found = _URL.match(text)
    return f"{found[1]}://{text[found.end() :]}".rstrip("/") if found else None


class RemoteFile:
    """A file at a URL, read in ranges.

    Args:
        url: its URL.
        size: its size in bytes.
        version: text that is another if its content is; by it the cache knows the file.
    """

    def __init__(self, url: str, size: int, version: str) -> None:
        self.url, self.size = url, size
        self._cache = BlockCache.of(url, version)
        self._span: tuple[int, bytes] = (0, b"")  # what was fetched or read last, and where it begins

    def pread(self, size: int, offset: int) -> bytes:
        """Reads a range; less comes only where the file ends, as with :func:`os.pread`.

        Raises:
            DataError: it cannot be read.
        """
        end = min(offset + size, self.size)
        start, span = self._span
        if not start <= offset <= end <= start + len(span):
            start, span = self._span = self._fetched(offset, end)
        return span[offset - start : end - start]

    def _fetched(self, offset: int, end: int) -> tuple[int, bytes]:
        """The blocks of a range, of the cache or of the file; more of them where it is read in its order."""
        before, span = self._span
        first, last = offset // _BLOCK, max(offset, end - 1) // _BLOCK
        blocks: list[bytes] = []
        while first + len(blocks) <= last and (block := self._cache.read(first + len(blocks))) is not None:
            blocks.append(block)
        missing = first + len(blocks)
        if missing <= last:
            in_order = bool(span) and 0 <= offset - before <= len(span)
            until = min(max(last + 1, missing + _AHEAD if in_order else 0) * _BLOCK, self.size)
            data = read_range(self.url, missing * _BLOCK, until)
            blocks.append(data)
            for number, place in enumerate(range(0, len(data), _BLOCK), start=missing):
                self._cache.write(number, data[place : place + _BLOCK])
        return first * _BLOCK, b"".join(blocks)


def read_range(url: str, start: int, end: int) -> bytes:
    """Reads the bytes from ``start`` to ``end`` of a file at a URL.

    Raises:
        DataError: it cannot be read.
    """

    def attempt() -> bytes:
        system, path = _file_system(url)
        data: bytes = system.cat_file(path, start=start, end=end)
        if len(data) > end - start:
            raise DataError(
                f"{url}: asked for bytes {start} to {end}, the server sent {len(data)} bytes",
                hint="this server does not serve parts of files: put the dataset on one that does",
            )
        if len(data) < end - start:
            raise EOFError(f"{len(data)} of {end - start} bytes came")
        return data

    return _tried(url, f"bytes {start} to {end}", attempt) if end > start else b""


def read_whole(url: str) -> bytes:
    """Reads a small file at a URL.

    Raises:
        DataError: it is missing, or cannot be read.
    """

    def attempt() -> bytes:
        system, path = _file_system(url)
        data: bytes = system.cat_file(path)
        return data

    return _tried(url, "the file", attempt)


def fetch(url: str, file: Path) -> None:
    """Copies a file at a URL to a path on this machine; it is whole under its name, or missing.

    Raises:
        DataError: it is missing, cannot be read, or its size is not told.
    """
    _copy(url, file, _facts(url))


def fetched_copy(url: str) -> Path:
    """The path of a copy of a file at a URL; it is fetched where the file is another than the copy.

    Raises:
        DataError: it is missing, cannot be read, or its size is not told.
    """
    facts = _facts(url)
    if facts.get("type") == "directory":
        raise DataError(f"{url} is a folder", hint="name a file in it, or fetch the folder")
    version = repr([str(facts.get(name)) for name in ("size", *_VERSIONS)])
    name = hashlib.sha256(f"{url} {version}".encode()).hexdigest()[:16]
    copy = cache_folder() / "files" / name / url.rpartition("/")[2]
    if not copy.is_file():
        _copy(url, copy, facts)
    return copy


def names_in(url: str) -> list[str]:
    """The names in a folder at a URL, sorted; none where it is missing, or its server lists no folders."""

    def attempt() -> list[str]:
        system, path = _file_system(url)
        try:
            rows = system.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({str(row["name"]).rstrip("/").rpartition("/")[2] for row in rows} - {""})

    return _tried(url, "the folder", attempt)


def _facts(url: str) -> Mapping[str, Any]:
    """What the file system of a URL tells of the file there."""

    def attempt() -> Mapping[str, Any]:
        system, path = _file_system(url)
        return dict(system.info(path))

    return _tried(url, "the file", attempt)


def _copy(url: str, file: Path, facts: Mapping[str, Any]) -> None:
    size = facts.get("size")
    if not isinstance(size, int):
        raise DataError(f"{url}: the server does not tell its size", hint="fetch the file, and name the copy")
    with atomic_path(file, durable=False) as temporary, temporary.open("wb") as copy:
        for start in range(0, size, _WHOLE):
            copy.write(read_range(url, start, min(start + _WHOLE, size)))


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the file's path there."""
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(url.partition(":")[0], "http")
        raise DataError(
            f"{url}: a package that reads from there is missing", hint=f"pip install 'vila2[{extra}]'"
        ) from error
    return system, str(path)


def _tried(url: str, what: str, attempt: Callable[[], T]) -> T:
    """Does something over the network; tries it again where that may help."""
    reason = ""
    for pause in (*_PAUSES, None):
        try:
            return attempt()
        except DataError:
            raise
        except FileNotFoundError as error:
            raise MissingRemoteFile(f"{url}: no such file", hint="check the URL") from error
        except _network_errors() as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if _is_refusal(error):
                raise DataError(
                    f"{url}: {what} cannot be read: {reason}",
                    hint="check the URL, and the credentials in the environment of this process",
                ) from error
            if pause is None:
                raise DataError(
                    f"{url}: {what} could not be read in {len(_PAUSES) + 1} attempts: {reason}",
                    hint="check the network, and give the same command again",
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.5))
    raise AssertionError("the last attempt returns or raises")


def _network_errors() -> tuple[type[Exception], ...]:
    """What a cut transfer raises: errors of the system, of ours, and of the libraries that are in use."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in _NETWORK]
    theirs = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]
    return (OSError, EOFError, *theirs)


def _is_refusal(error: Exception) -> bool:
    """Whether another attempt would fail as well."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return (
        isinstance(error, PermissionError)
        or status in _REFUSED
        or type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "NoSuchBucket")
    )
