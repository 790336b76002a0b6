"""Checks once that a model can be had from the hub, before any library tries again and again."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from vila2.errors import ModelError

log = logging.getLogger("vila2.model")

_PATIENCE = 10.0  # seconds
_LOCAL = "give a local folder, or set HF_HOME to the cache that holds it"


@cache
def check_hub(name: str) -> None:
    """Checks that a model can be had from the hub or from the cache.

    If the hub cannot be reached and the cache has the model, this process goes offline. Otherwise each file
    would cost half a minute of retries.

    Args:
        name: model id.

    Raises:
        ModelError: no such id, no access to it, or neither a connection nor a copy in the cache.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if constants.is_offline_mode():
        if not in_cache(name):
            raise ModelError(
                f"{name} is no folder here and not in the cache ({constants.HF_HUB_CACHE}),"
                " and this process is offline",
                hint=f"unset HF_HUB_OFFLINE to download it, {_LOCAL}",
            )
        return
    try:
        HfApi().model_info(name, timeout=_PATIENCE)
    except GatedRepoError as error:
        raise ModelError(
            f"{name} requires that you accept its license first",
            hint=f"accept it at {constants.ENDPOINT}/{name} and log in (hf auth login)",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"the hub has no model {name!r} that you may read, and there is no folder of that name",
            hint="check the spelling; a private model needs a token (hf auth login)",
        ) from error
    except Exception as error:  # from sockets, TLS, proxies and servers, in many libraries
        _go_offline(name, error)


def in_cache(name: str) -> bool:
    """Whether the cache has files of a model."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    kept = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots"
    return any(kept.glob("*/*"))


def _go_offline(name: str, error: Exception) -> None:
    """Takes this process offline if the cache has the model; otherwise raises a ModelError."""
    from huggingface_hub import constants

    why = str(error).strip().partition("\n")[0] or type(error).__name__
    if not in_cache(name):
        raise ModelError(
            f"{name} is no folder here and not in the cache ({constants.HF_HUB_CACHE}), and the hub"
            f" ({constants.ENDPOINT}) cannot be reached: {why}",
            hint=f"check the network, {_LOCAL}",
        ) from error
    log.warning("the hub cannot be reached (%s): using the files of %s in the cache", why, name)
    constants.HF_HUB_OFFLINE = True
