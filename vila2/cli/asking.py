"""How ``vila2 recaption`` asks about images: prompts, settings, and which captions to ask for again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import typer

from vila2.caption.caption_job import describe_settings
from vila2.caption.chooser import NO_CHOOSER, Chooser, job_of
from vila2.caption.prompts import DEFAULT_PROMPTS
from vila2.caption.several_samples import Samples
from vila2.data.annotations import STATUSES, Status
from vila2.engine.protocol import GenerationSettings
from vila2.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Asking:
    """How a job asks about images.

    Attributes:
        given: options on the command line; in a redo, the others are as before.
        prompts: names or texts of the prompts.
        settings: settings of the generation.
        seed: seed for the choice of prompts.
        batch_size: number of images to caption at a time.
        limit: number of images at most; None: all.
        redo: marks of the captions to ask again for.
        chooser: chooser of one among several captions; None: an image gets one.
        unchanged: note for the reader if a redo asks exactly as before.
    """

    given: Mapping[str, Any]
    prompts: tuple[str, ...]
    settings: GenerationSettings
    seed: int
    batch_size: int
    limit: int | None
    redo: tuple[Status, ...]
    chooser: Chooser | None = None
    unchanged: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any], batch_size: int, limit: int | None, redo: str | None) -> Asking:
        """Makes an asking of the options, without reading any file.

        Raises:
            EngineError: a setting is outside its range.
            RecipeError: a prompt or mark is unknown.
        """
        prompts, settings, seed = _settings(given, {})
        describe_settings(prompts, settings, seed)  # raises for an unknown prompt
        return cls(given, prompts, settings, seed, batch_size, limit, _marks(redo), _chooser(given, {}))

    def as_before(self, earlier: Mapping[str, Any]) -> Asking:
        """The same, with the options that are not given taken from an earlier job."""
        prompts, settings, seed = _settings(self.given, earlier)
        same = prompts == tuple(earlier.get("prompts", ())) and asdict(settings) == earlier.get("settings")
        told = (
            "this asks as before, so the answers are as before unless the model is another; "
            "give other settings"
        )
        chooser = _chooser(self.given, earlier)
        same = same and job_of(chooser).get("choose") == earlier.get("choose")
        return replace(
            self,
            prompts=prompts,
            settings=settings,
            seed=seed,
            chooser=chooser,
            unchanged=told if same else "",
        )

    def tell(self) -> None:
        """Prints the note, if any, before a model is loaded."""
        if self.unchanged:
            typer.echo(f"note: {self.unchanged}", err=True)

    @property
    def known(self) -> dict[str, Any]:
        """The settings to compare with those of an earlier job, before a model is loaded."""
        asked = describe_settings(self.prompts, self.settings, self.seed)
        return {**asked, **NO_CHOOSER, **job_of(self.chooser)}


def _chooser(given: Mapping[str, Any], earlier: Mapping[str, Any]) -> Chooser | None:
    before = earlier.get("choose") or {"by": "first", "samples": 9, "temperature": 0.7}
    by = given.get("choose", before["by"])
    if by not in ("first", "agreement"):
        raise RecipeError(f"--choose {by}: there is no such way to choose", hint="first or agreement")
    if by == "first":
        if lone := [name for name in ("samples", "sample_temperature") if name in given]:
            raise RecipeError(
                f"--{lone[0].replace('_', '-')} is for choosing among several captions",
                hint="add --choose agreement",
            )
        return None
    temperature = given.get("sample_temperature", before["temperature"])
    if not temperature > 0:
        raise RecipeError(
            f"--sample-temperature {temperature}: all samples would be one", hint="above 0: 0.7"
        )
    return Samples(given.get("samples", before["samples"]), temperature)


def _marks(text: str | None) -> tuple[Status, ...]:
    from vila2.nearest import did_you_mean

    if text is None:
        return ()
    allowed = [status for status in STATUSES if status != "ok"]
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in allowed:
            raise RecipeError(f"--redo {text}: there is no mark {name!r}", hint=did_you_mean(name, allowed))
    if not names:
        raise RecipeError("--redo names no mark", hint=f"give some of {','.join(allowed)}")
    return tuple(status for status in allowed if status in names)


def _settings(
    given: Mapping[str, Any], earlier: Mapping[str, Any]
) -> tuple[tuple[str, ...], GenerationSettings, int]:
    before = dict(earlier.get("settings", {}))
    names = ("max_new_tokens", "temperature", "top_p", "repetition_penalty")
    chosen = before | {name: given[name] for name in names if name in given}
    seed = given.get("seed", earlier.get("seed", 0))
    if "seed" in given or not before:
        chosen["seed"] = seed
    prompts = tuple(given.get("prompt") or earlier.get("prompts") or DEFAULT_PROMPTS)
    return prompts, GenerationSettings(**chosen), seed
