"""``vila2 ask``: a question about images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import (
    AsJson,
    Device,
    Dtype,
    EngineOptions,
    ModelEngine,
    RepetitionPenalty,
    Temperature,
    TopP,
    TrustRemoteCode,
    Verbose,
    chosen_engine,
    given,
    quoted,
    results_alone,
)

if TYPE_CHECKING:
    from vila2.api.asked_images import ImageAnswer


def ask(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[IMAGE]... QUESTION", help="Images, and the question.", show_default=False),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Hub id, folder of a model or of a finished run, or builtin:miniature for rendered scenes.",
            show_default=False,
        ),
    ],
    example: Annotated[
        list[str] | None,
        typer.Option(
            "--example",
            metavar="IMAGE=TEXT",
            help="Image with the right answer to the same question, shown before. May be repeated.",
            show_default=False,
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw", metavar="FILE.png", help="Picture to write: the last image with the answer's boxes."
        ),
    ] = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            "--coordinates",
            help="How the model writes boxes and points: unit, thousandths, pixels, resized-pixels, tokens "
            "or paligemma. By default as its folder or name says, else unit.",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Number of tokens of the answer at most.")
    ] = 512,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of sampling.")] = 0,
    device: Device = None,
    dtype: Dtype = None,
    engine_name: ModelEngine = None,
    engine_options: EngineOptions = None,
    trust_remote_code: TrustRemoteCode = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Ask a visual language model a question about images; the answer shows while it is written.

    The last word is the question: `vila2 ask a.jpg b.jpg "What has changed?" -m MODEL`. Boxes and points of
    the answer are of the last image.
    """
    from vila2.api.asked_images import ask as ask_model
    from vila2.engine.protocol import GenerationSettings

    images, question = _split(words)
    shown = [_example(text) for text in example or ()]
    if draw and not images:
        raise typer.BadParameter("there is no image to draw on", param_hint="--draw")
    settings = GenerationSettings(max_new_tokens, temperature, top_p, repetition_penalty, seed)
    stdout = sys.stdout

    def heard(piece: str) -> None:
        stdout.write(piece)
        stdout.flush()

    with results_alone():
        answer = ask_model(
            images,
            question,
            model,
            examples=shown,
            coordinates=coordinates,
            settings=settings,
            heard=None if as_json else heard,
            engine=chosen_engine(engine_name, engine_options),
            **given(device=device, dtype=dtype, trust_remote_code=trust_remote_code),
        )
    if draw:
        answer.draw().save(draw)
    if as_json:
        told = answer.to_json() | ({"drawn": str(draw)} if draw else {})
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    typer.echo()
    for line in _notes(answer, draw):
        typer.echo(line, err=True)


def _split(words: list[str]) -> tuple[list[str], str]:
    """Images and question.

    Raises:
        DataError: the question is missing, or an image is.
    """
    from vila2.errors import DataError
    from vila2.nearest import nearest_path

    *images, question = words
    if Path(question).is_file():
        raise DataError(
            f"{question} is a file, and the question is missing",
            hint=f'write it last: vila2 ask {quoted(question)} "What is this?" -m MODEL',
        )
    for image in images:
        if not Path(image).is_file():
            near = nearest_path(Path(image))
            hint = f"did you mean {near}?" if near else "put the question in quotes, behind the images"
            raise DataError(f"no image {image}", hint=hint)
    return images, question


def _example(text: str) -> tuple[str, str]:
    """The image and the answer of an example; a name may hold "=" too, if such a file is there.

    Raises:
        DataError: there is no "=", or no such image.
    """
    from vila2.errors import DataError

    places = [place for place, letter in enumerate(text) if letter == "="]
    for place in places:
        if Path(text[:place]).is_file() and text[place + 1 :].strip():
            return text[:place], text[place + 1 :].strip()
    wrong = f"no image {text[: places[0]]}" if places and places[0] else "not an image and its answer"
    raise DataError(f"--example {text}: {wrong}", hint="write it as --example 'photo.jpg=a red door'")


def _notes(answer: ImageAnswer, drawn: Path | None) -> list[str]:
    lines = [f"note: the answer is marked {answer.status} ({answer.detail})"] if answer.status != "ok" else []
    if drawn:
        count = len(answer.places)
        lines.append(
            f"{quoted(drawn)}: {count} place{'' if count == 1 else 's'}, read as {answer.coordinates}"
        )
        lines += [f"  {place.number} {place.label}" for place in answer.places]
        if answer.unread:
            lines.append(
                f"  no places in these coordinates: {', '.join(answer.unread)}; --coordinates names others"
            )
    return lines
