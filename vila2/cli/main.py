"""The ``vila2`` command: its sub-commands, and what a reader sees when something is wrong."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from vila2.cli import (
    annotate,
    config,
    data,
    env,
    judge,
    merge,
    model,
    plugins,
    recaption,
    report,
    reproduce,
    run,
    specialize,
    status,
)
from vila2.cli.groups import Commands
from vila2.cli.options import Stopped
from vila2.errors import Vila2Error


class _Commands(Commands):
    """Turns deliberate errors and Ctrl-C into a message and an exit code, for every command alike."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Vila2Error as error:
            if ctx.params.get("debug"):
                raise
            show_error(error)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            raise
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            file = error.filename2 or error.filename
            what = f"{file}: {error.strerror}" if file else str(error)
            hint = (
                "check the path, and that it can be read or written"
                if file
                else "--debug shows where it came from"
            )
            show_error(Vila2Error(what, hint=hint))
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            told = stop.told if isinstance(stop, Stopped) else "the same command goes on where this one was"
            typer.echo(f"\nstopped; {told}", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="vila2",
    help="A visual language model that improves itself: train it, let it rewrite the captions of its own "
    "pretraining images, retrain it on them, and see what changed.",
    cls=_Commands,
    epilog="Exit codes: 0 done; 1 a check found something (data verify, plugins check), or a fault of vila2 "
    "itself; 2 wrong input: what is wrong and how to fix it is on standard error; 130 stopped by Ctrl-C. "
    "With --json standard output holds JSON alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.add_typer(config.app, name="config")
app.add_typer(plugins.app, name="plugins")
app.command()(run.run)
app.command()(status.status)
app.command()(recaption.recaption)
app.command()(specialize.specialize)
app.command()(annotate.annotate)
app.command()(judge.judge)
app.command()(merge.merge)
app.command()(report.report)
app.command()(reproduce.reproduce)
app.command()(env.env)


def show_error(error: Vila2Error) -> None:
    """Prints what is wrong, where it came from, and how to fix it."""
    typer.echo(f"error: {error.what}", err=True)
    for note in getattr(error, "__notes__", ()):
        typer.echo(f"  {note}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)


def _show_version(asked: bool) -> None:
    if asked:
        from vila2 import __version__

        typer.echo(f"vila2 {__version__}")
        raise typer.Exit


def _check_switch(text: str) -> None:
    """Whether the plugins that --plugins names are installed: a slip would switch off another one than is meant."""
    from vila2.errors import PluginError
    from vila2.nearest import did_you_mean
    from vila2.plugin.discovery import installed_plugins

    known = [plugin.name for plugin in installed_plugins()]
    for name in filter(None, (part.strip().removeprefix("-") for part in text.split(","))):
        if name not in (*known, "none"):
            raise PluginError(
                f"--plugins {text}: no plugin {name!r} is installed", hint=did_you_mean(name, known)
            )


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="VILA2_DEBUG", help="Show where an error came from.")
    ] = False,
    plugins: Annotated[
        str | None,
        typer.Option(
            "--plugins",
            envvar="VILA2_PLUGINS",
            help="Which plugins may be used: `a,b` only these, `-a` all but that one, `none`.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    if plugins is not None:
        if plugins != os.environ.get("VILA2_PLUGINS"):
            _check_switch(plugins)
        os.environ["VILA2_PLUGINS"] = plugins  # processes that this one starts keep to it as well
    # On the terminal only what needs attention; a run's folder has all of it in run.log.
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger().handlers[0].setLevel(logging.DEBUG if debug else logging.WARNING)
    # The bars of libraries for loading and saving weights would tear our own apart; tqdm reads this on
    # import.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # Fork-unsafe thread pools of tokenizers would warn in every data worker.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):  # closed, or read from already
                stream.reconfigure(errors="backslashreplace")  # a terminal without "±" is no reason to fail
    app()
