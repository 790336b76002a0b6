"""Models on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from vila2.errors import ModelError
from vila2.exports.hub_push import check_push, push_folder
from vila2.exports.model_card import model_card
from vila2.exports.pushed import Pushed
from vila2.model.loading import locate
from vila2.run.run_model import is_run


def push_model(place: Path | str, name: str, *, private: bool = True, license: str = "") -> Pushed:
    """Puts a model on the hub, with a card where its folder has none.

    Args:
        place: folder of a run or of a model.
        name: USER/NAME of the model on the hub.
        private: whether nobody else may see it there.
        license: license of the model, for the card.

    Returns:
        Where it is.

    Raises:
        DataError: the hub cannot be reached, refuses, or shows such a repository to others.
        ModelError: there is no such model.
    """
    check_push(name)
    found = locate(place)
    folder = Path(found.path)
    if not found.is_local:
        raise ModelError(f"{place} is no folder here", hint="name the folder of a run or of a model")
    run = Path(place) if is_run(Path(place)) else None
    has_card = (folder / "README.md").is_file()
    card = {} if has_card else {"README.md": model_card(folder, run, name, license)}
    return push_folder(folder, name, kind="model", private=private, message="vila2 model push", instead=card)
