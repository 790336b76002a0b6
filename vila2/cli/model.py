"""``vila2 model``: converts checkpoints of other projects, and puts models on the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vila2.cli.groups import Commands
from vila2.cli.options import AsJson, Private, pushed_line, quoted, results_alone

app = typer.Typer(
    cls=Commands,
    help="Convert checkpoints of other projects, and put models on the hub.",
    no_args_is_help=True,
)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="Folder of a VILA-1.5 or NVILA checkpoint.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder to write the model to; it must not exist.", show_default=False
        ),
    ],
    chat_template: Annotated[
        Path | None,
        typer.Option(help="Jinja file with a chat template, if the checkpoint's tokenizer has none."),
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Type of the weights: float32, bfloat16 or float16.")
    ] = "bfloat16",
    as_json: AsJson = False,
) -> None:
    """Write a VILA-1.5 or NVILA checkpoint as one folder that transformers loads after `import vila2`.

    LLaVA, SmolVLM and other models that transformers knows need no conversion.
    """
    from vila2.errors import ModelError
    from vila2.model.convert_vila import convert_vila
    from vila2.model.saving import save_model

    if out.exists():
        raise ModelError(f"{out} exists already", hint="name a new folder")
    template = chat_template.read_text(encoding="utf-8") if chat_template else None
    with results_alone():
        model, processor = convert_vila(source, dtype=dtype, chat_template=template)
        save_model(model, processor, out)
    count = sum(parameter.numel() for parameter in model.parameters())
    if as_json:
        found = {"folder": str(out), "parameters": count, "tokens_per_tile": processor.tiling.tokens_per_tile}
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        tokens = processor.tiling.tokens_per_tile
        typer.echo(f"{quoted(out)}: {count:,} parameters, {tokens} tokens per tile")


@app.command()
def push(
    model: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_MODEL", help="Folder of a run or of a model.", show_default=False),
    ],
    name: Annotated[
        str, typer.Argument(metavar="USER/NAME", help="Model on the Hugging Face hub.", show_default=False)
    ],
    private: Private = True,
    license: Annotated[str, typer.Option("--license", help="License of the model, for the card.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put a model on the Hugging Face hub, with a card of its recipe and scores where the folder has none.

    The token is that of `hf auth login`, or HF_TOKEN.
    """
    from dataclasses import asdict

    from vila2.api.pushed_model import push_model

    with results_alone():
        pushed = push_model(model, name, private=private, license=license)
    typer.echo(json.dumps(asdict(pushed)) if as_json else pushed_line(pushed))
