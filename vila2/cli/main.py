"""The ``vila2`` command: its sub-commands, its exit codes, and how it reports errors."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from vila2.cli.groups import Commands, NamedCommands
from vila2.cli.options import Stopped
from vila2.errors import Vila2Error

#: Modules of this package: each has a function of its name, or a group of commands as `app`.
_COMMANDS = (
    *("data", "model", "config", "plugins", "run", "status", "plan", "recaption", "ask", "specialize"),
    *("annotate", "judge", "merge", "eval", "export", "browse", "report", "reproduce", "env", "doctor"),
)


class _Commands(Commands):
    """Imports commands when they are named, and turns errors and Ctrl-C into a message and an exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = NamedCommands(_COMMANDS, __package__)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Vila2Error as error:
            if ctx.params.get("debug"):
                raise
            show_error(error)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # the reader of the output has closed it
            raise
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            file = error.filename2 or error.filename
            what = f"{file}: {error.strerror}" if file else str(error)
            hint = (
                "check the path, and that it can be read or written"
                if file
                else "--debug shows where the error came from"
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
    "pretraining images, retrain it on the new captions, and see what changed.",
    cls=_Commands,
    epilog="Exit codes: 0 success; 1 a check found problems (data verify, plugins check, doctor), or vila2 "
    "itself failed; 2 wrong input: standard error says what is wrong and how to fix it; 130 stopped by "
    "Ctrl-C. With --json, standard output holds only JSON.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_error(error: Vila2Error) -> None:
    """Prints what is wrong, where it came from, and how to fix it."""
    from vila2.data.shortening import printable

    typer.echo(printable(f"error: {error.what}"), err=True)
    for note in getattr(error, "__notes__", ()):
        typer.echo(printable(f"  {note}"), err=True)
    if error.hint:
        typer.echo(printable(f"hint: {error.hint}"), err=True)


def _show_version(asked: bool) -> None:
    if asked:
        from vila2 import __version__

        typer.echo(f"vila2 {__version__}")
        raise typer.Exit


def _check_switch(text: str) -> None:
    """Checks that the plugins in --plugins are installed, because a misspelled name would change nothing."""
    from vila2.errors import PluginError
    from vila2.nearest import did_you_mean
    from vila2.plugin.discovery import everything_installed

    known = [name for one in everything_installed() for name in (one.name, one.package)]
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
            help="Plugins to use: `a,b` only these, `-a` all but this one, `none` no plugin.",
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
    # The terminal shows only what needs attention; run.log in a run's folder has everything.
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger().handlers[0].setLevel(logging.DEBUG if debug else logging.WARNING)
    # Progress bars of libraries would break ours; tqdm reads this when it is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # Thread pools of tokenizers do not survive a fork and would warn in every data worker.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads of torch wait for each other by spinning. On a machine with other work that costs ten times the
    # time; after a thousand turns they sleep. Read when torch is imported.
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = "1000"


def main() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):  # closed, or read from already
                stream.reconfigure(errors="backslashreplace")  # a terminal without "±" is no reason to fail
    app()
