"""``vila2 browse``: a local page to look at a dataset with all its layers, and to correct what they say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from vila2.cli.options import RunDataset


def browse(
    source: Annotated[
        Path, typer.Argument(metavar="DATASET_OR_RUN", help="Folder of a dataset or of a run.")
    ],
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Layer to show; may be repeated. By default all."),
    ] = None,
    corrections: Annotated[
        str, typer.Option("--corrections", help="Layer that takes your corrections and marks.")
    ] = "human-1",
    dataset: RunDataset = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: any free one.")
    ] = 0,
    host: Annotated[
        str,
        typer.Option("--host", help="Address to listen on; others than 127.0.0.1 let other machines in."),
    ] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in a browser.")] = False,
) -> None:
    """Look at a dataset with all its layers, and correct or mark what they say.

    Corrections become the layer --corrections beside the dataset, for views and merges. Ctrl-C ends it.
    """
    from vila2.browse.browse_server import serve
    from vila2.browse.collection import open_collection
    from vila2.browse.corrections import Corrections

    collection = open_collection(source, layers or [], dataset, without=corrections)
    taking = Corrections(collection, corrections)
    with serve(collection, taking, port=port, host=host) as server:
        typer.echo(f"look at {server.url}\nCtrl-C ends it", err=True)
        if open_page:
            import webbrowser

            if not webbrowser.open(server.url):
                typer.echo("no browser could be started; open the address yourself", err=True)
        try:
            while True:
                time.sleep(0.5)
        except KeyboardInterrupt:
            typer.echo("", err=True)
    told = taking.written_line()
    if told:
        typer.echo(told)
