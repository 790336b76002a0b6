"""``vila2 config``: the schema and the reference of recipes, and a recipe with everything filled in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vila2.cli.groups import Commands
from vila2.cli.options import AsJson, quoted

app = typer.Typer(
    cls=Commands, help="Show what recipes may hold, and what a recipe amounts to.", no_args_is_help=True
)


@app.command()
def show(
    recipe: Annotated[Path, typer.Argument(help="Recipe, a YAML file.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, for example stages.sft.epochs=2."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every default filled in, after `extends` and --set.

    The output is a recipe itself, which does the same run.
    """
    from vila2.api.recipes import read_recipe
    from vila2.recipe.file.recipe_file import recipe_to_yaml

    found = read_recipe(recipe, overrides or [])
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    else:
        typer.echo(recipe_to_yaml(found), nl=False)


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that vila2 ships. `vila2 run NAME` runs one, and `extends: NAME` starts from one."""
    from vila2.recipe.file.shipped_recipes import shipped_recipes, summary_of

    found = {name: summary_of(file) for name, file in shipped_recipes().items()}
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    width = max(map(len, found))
    for name, summary in found.items():
        typer.echo(f"{name:<{width}}  {summary}")


@app.command()
def schema(
    specialist: Annotated[
        bool, typer.Option("--specialist", help="Print the schema of a specialist's recipe instead.")
    ] = False,
) -> None:
    """Print the JSON schema of a recipe, with which an editor completes and checks recipes.

    Write it to a file, and begin a recipe with `# yaml-language-server: $schema=FILE`.
    """
    from vila2.recipe.recipe_schema import recipe_schema, specialist_schema

    found = specialist_schema() if specialist else recipe_schema()
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def reference(
    sources: Annotated[
        bool, typer.Option("--sources", help="Describe the sources and their options instead.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FOLDER",
            help="Write recipes.md and sources.md into this folder, without the sources of plugins.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print every key of a recipe as Markdown: its type, its default and its meaning."""
    from vila2.cli.source_reference import source_reference
    from vila2.data.atomic import write_text_atomic
    from vila2.recipe.key_reference import recipe_reference
    from vila2.sources import SOURCES, source_names

    if write is None:
        typer.echo(source_reference(source_names()) if sources else recipe_reference(), nl=False)
        return
    for name, text in (("recipes.md", recipe_reference()), ("sources.md", source_reference(SOURCES))):
        write.mkdir(parents=True, exist_ok=True)
        write_text_atomic(write / name, text)
        typer.echo(quoted(write / name))
