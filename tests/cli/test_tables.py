"""Tables on the terminal."""

from rich.console import Console

from vila2.cli.tables import table


def test_in_a_narrow_terminal_names_wrap_and_every_number_stands_whole():
    columns = [
        "arm",
        "all questions (%)",
        "object precision (%)",
        "object recall (%)",
        "hallucinated objects",
    ]
    rows = [
        ["two more epochs on the original captions", "63.6 ±12.4", "63.3 ±18.8", "67.2 ±30.6", "1.35 ±1.72"],
        ["[red]true[/red] captions", "73.8 ±3.5", "78.0 ±1.6", "78.3 ±16.8", "0.76 ±0.24"],
    ]
    console = Console(width=72)
    with console.capture() as capture:
        console.print(table(columns, rows))
    shown = capture.get()
    assert all(cell in shown for row in rows for cell in row[1:])
    assert all(word in shown for column in columns for word in column.split())
    assert "[red]true[/red]" in shown and max(map(len, shown.splitlines())) <= 72
