"""Puts a folder on the Hugging Face hub: an export as a dataset, or a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi, constants, errors, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # __all__ is made at run time

from vila2.errors import DataError, one_line
from vila2.exports.pushed import Pushed

Kind = Literal["dataset", "model"]

#: What its HTTP library raises, which differs between versions of huggingface_hub.
_UNREACHABLE: tuple[type[Exception], ...] = (getattr(errors, "HTTPError", OSError), OSError)
_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def check_push(name: str) -> None:
    """Checks what can be known before any work: the name, the connection, a token.

    Raises:
        DataError: the name is no USER/NAME, this process is offline, or there is no token.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise DataError(f"--push {name}: {one_line(error)}", hint="write it as USER/NAME") from error
    if "/" not in name:
        raise DataError(f"--push {name}: whose is it?", hint="write it as USER/NAME")
    if constants.is_offline_mode():
        raise DataError("this process is offline, so nothing can be pushed", hint="unset HF_HUB_OFFLINE")
    if not get_token():
        raise DataError("there is no token of the hub", hint=_LOG_IN)


def push_folder(
    folder: Path,
    name: str,
    *,
    kind: Kind,
    private: bool,
    message: str,
    instead: Mapping[str, bytes] | None = None,
) -> Pushed:
    """Creates a repository where it is missing, and puts all files of a folder into it with one commit.

    Args:
        folder: folder with the files.
        name: USER/NAME.
        kind: kind of the repository.
        private: whether nobody else may see it.
        message: message of the commit.
        instead: content of files by name, which is put there in place of the folder's.

    Raises:
        DataError: the hub cannot be reached, refuses, or has such a repository that others see, although
            ``private`` is asked for.
    """
    check_push(name)
    given = dict(instead or {})
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    operations = [
        CommitOperationAdd(inside, given[inside] if inside in given else str(paths[inside]))
        for inside in sorted({*paths, *given})
    ]
    api = HfApi(library_name="vila2")
    try:
        _create(api, name, kind, private)
        commit = api.create_commit(name, operations, commit_message=message, repo_type=kind)
    except HfHubHTTPError as error:
        raise _refused(name, error) from error
    except _UNREACHABLE as error:
        raise DataError(
            f"the hub ({constants.ENDPOINT}) cannot be reached: {one_line(error)}", hint="check the network"
        ) from error
    prefix = "" if kind == "model" else "datasets/"
    return Pushed(f"{constants.ENDPOINT}/{prefix}{name}", commit.oid, len(operations), private)


def _create(api: HfApi, name: str, kind: Kind, private: bool) -> None:
    try:
        api.create_repo(name, private=private, repo_type=kind)
        return
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
    if private and not api.repo_info(name, repo_type=kind).private:
        raise DataError(
            f"{name} is there already, and everyone can see it",
            hint="push to another name, or say that all may see it with --public",
        )


def _refused(name: str, error: HfHubHTTPError) -> DataError:
    status = error.response.status_code
    hint = _LOG_IN if status in (401, 403) else "try again; what is there already is not sent twice"
    return DataError(f"the hub refuses {name} (HTTP {status}): {one_line(error)}", hint=hint)
