"""A folder on this machine that stands for a dataset at a URL.

It holds the dataset's small files (``dataset.json``, and the offset indexes once they are used) and
``remote.json``, which names the URL. The shards stay where they are. Layers that lie beside them are listed,
and their files are fetched when a layer is opened; new layers are written here::

    link_dataset("s3://bucket/data/pretrain", "data/pretrain")
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vila2.data.atomic import write_bytes_atomic, write_json_atomic
from vila2.data.block_cache import cache_folder
from vila2.data.parsing import parsing, read_json
from vila2.data.remote import MissingRemoteFile, fetch, names_in, read_whole, remote_url
from vila2.errors import DataError

REMOTE = "remote.json"
_AT_ONCE = 16  # files of a layer


def link_dataset(url: str, folder: Path) -> None:
    """Makes a folder stand for a dataset at a URL; done again, it looks for new layers there.

    Raises:
        DataError: there is no dataset at the URL, or the folder holds something else.
    """
    _link(url, folder, _description(url))


def local_folder(place: Path | str) -> Path:
    """The folder on this machine that stands for a place: itself, or a link to the dataset at a URL.

    Raises:
        DataError: there is no dataset at the URL.
    """
    url = remote_url(place)
    if url is None:
        return Path(place)
    content = _description(url)
    version = hashlib.sha256(url.encode() + content).hexdigest()[:16]
    folder = cache_folder() / "datasets" / f"{url.rpartition('/')[2]}-{version}"
    _link(url, folder, content)
    return folder


def must_be_here(place: Path | str) -> None:
    """Refuses a URL where layers are to be written.

    Raises:
        DataError: the place is a URL.
    """
    if (url := remote_url(place)) is not None:
        raise DataError(
            f"{url}: layers are written to a folder of this machine",
            hint=f"`vila2 data link {url} FOLDER` makes one that stands for it; then name FOLDER",
        )


def url_of(folder: Path) -> str | None:
    """The URL that a folder stands for; None for any other folder."""
    file = folder / REMOTE
    if not file.is_file():
        return None
    with parsing(file, hint="link the dataset again"):
        return str(read_json(file, hint="link the dataset again")["url"])


def fetch_layer(folder: Path, files: Mapping[Path, str]) -> None:
    """Fetches the files of a linked layer that are not here yet, each checked by its digest.

    Args:
        folder: folder of the layer.
        files: sha256 of each file.

    Raises:
        DataError: a file cannot be read, or came otherwise than layer.json says.
    """
    url = url_of(folder)
    if url is None:
        return
    missing = [path for path in files if not path.is_file()]

    def take(path: Path) -> None:
        content = read_whole(f"{url}/{path.name}")
        if hashlib.sha256(content).hexdigest() != files[path]:
            raise DataError(
                f"{url}/{path.name}: the content differs from what layer.json says",
                hint="copy the layer to its place again",
            )
        write_bytes_atomic(path, content)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(take, missing))


def fetch_index(url: str, file: Path) -> None:
    """Fetches the offset index of a shard.

    Raises:
        DataError: it is missing, or cannot be read.
    """
    try:
        fetch(url, file)
    except DataError as error:
        raise DataError(
            error.what,
            hint=f"{error.hint}; `vila2 data verify`, where the dataset lies, makes indexes anew",
        ) from error


def _description(url: str) -> bytes:
    """The content of dataset.json."""
    try:
        return read_whole(f"{url}/dataset.json")
    except MissingRemoteFile as error:
        raise DataError(
            f"{url}: no dataset.json there",
            hint="name the folder of a dataset that `vila2 data import` wrote",
        ) from error


def _link(url: str, folder: Path, content: bytes) -> None:
    """Links a dataset whose dataset.json has been read."""
    file = folder / "dataset.json"
    if file.exists() and (url_of(folder) != url or file.read_bytes() != content):
        raise DataError(
            f"{folder} holds another dataset than {url}",
            hint="name another folder; layers of another dataset do not fit this one",
        )
    for name in names_in(f"{url}/layers"):
        _link_layer(f"{url}/layers/{name}", folder / "layers" / name)
    write_json_atomic(folder / REMOTE, {"url": url})
    write_bytes_atomic(file, content)


def _link_layer(url: str, folder: Path) -> None:
    if (folder / "layer.json").is_file():
        return  # linked before, or a layer of one's own
    try:
        content = read_whole(f"{url}/layer.json")
    except MissingRemoteFile:
        return  # not finished
    write_json_atomic(folder / REMOTE, {"url": url})
    write_bytes_atomic(folder / "layer.json", content)
