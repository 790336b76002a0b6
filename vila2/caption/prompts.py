"""The paper's four captioning prompts, and the choice of one for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from vila2.data.chance import drawn
from vila2.errors import RecipeError
from vila2.nearest import did_you_mean

#: VILA² section 2.1.1, word for word; the image comes first.
PROMPTS = {
    "simple": "Describe the image briefly.",
    "long-v1": "Describe the image in details.",
    "long-v2": "Elaborate on the visual and narrative elements of the image in detail.",
    "long-v3": (
        "Instead of describing the imaginary content, only describing the content one can determine "
        "confidently from the image. Do not describe the contents by itemizing them in list form. "
        "Minimize aesthetic descriptions as much as possible."
    ),
}

#: "a mixture of these prompts by randomly selecting from versions v1 to v3" (section 2.1.1).
DEFAULT_PROMPTS = ("long-v1", "long-v2", "long-v3")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt; one that is not from the paper has its text as its name."""

    name: str
    text: str


@lru_cache(maxsize=1024)
def find_prompt(name_or_text: str) -> Prompt:
    """The paper's prompt of this name, or a prompt of the user.

    Args:
        name_or_text: a key of :data:`PROMPTS`, or any text of more than one word.

    Raises:
        RecipeError: a single word that is no known name, so most likely a typo.
    """
    if name_or_text in PROMPTS:
        return Prompt(name_or_text, PROMPTS[name_or_text])
    text = name_or_text.strip()
    if len(text.split()) > 1:
        return Prompt(text, text)
    raise RecipeError(
        f"unknown prompt {name_or_text!r}",
        hint=f"{did_you_mean(text, PROMPTS)} (a prompt of your own has two words or more)",
    )


def choose_prompt(names: Sequence[str], key: str, seed: int) -> Prompt:
    """The prompt for one image: random over images, always the same for one image and seed.

    Args:
        names: names or texts to choose from.
        key: key of the sample.
        seed: seed of the choice.

    Raises:
        RecipeError: no names, or an unknown one.
    """
    if not names:
        raise RecipeError("no prompts are given", hint=f"name at least one of {', '.join(PROMPTS)}")
    return find_prompt(names[drawn(seed, key) % len(names)])
