"""The reference of every source and its options, in Markdown, made from signatures and docstrings."""

from __future__ import annotations

import inspect
import logging
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vila2.errors import PluginError
from vila2.sources import find_source

log = logging.getLogger("vila2.plugin")

_HEAD = """\
<!-- `vila2 config reference --write docs` makes this file from the docstrings in vila2/sources. -->
# Sources: every option

A source reads data as it lies on disk or on the hub. A recipe names it under `data.NAME.source`, gives
`path`, and everything else under `options`. `vila2 data import SOURCE PATH --option KEY=VALUE` writes the
same data as a dataset folder. [rows.md](rows.md) describes the forms of rows that are read,
[annotations.md](annotations.md) those of annotated images. Plugins bring more sources: `vila2 config
reference --sources` lists them too.

Two names stand for no source: `shards` reads a dataset folder that vila2 wrote, and `path`, in the data of a
specialist, passes the file or folder to the specialist's builder as it is.
"""
#: `:func:`name`` and the like, with and without the module before the name.
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")


@dataclass(frozen=True, slots=True)
class SourceText:
    """The parts of a source's docstring.

    Attributes:
        summary: what the source reads, as paragraphs.
        options: description of each option, or of several options that share one.
    """

    summary: str
    options: Mapping[tuple[str, ...], str]


def source_reference(names: Iterable[str]) -> str:
    """The given sources and their options, as Markdown. A plugin's source that is broken is a warning."""
    sections = [_HEAD]
    for name in names:
        try:
            sections.append(_section(name))
        except PluginError as error:
            log.warning("source %r is left out: %s", name, error)
    return "\n".join(sections)


def _section(name: str) -> str:
    read = find_source(name)
    parameters, kinds = inspect.signature(read).parameters, _kinds(read)
    text = read_docstring(inspect.getdoc(read) or "")
    lines = [f"## {name}", "", text.summary, "", "| option | type | default | meaning |", "|---|---|---|---|"]
    told = {option: names for names in text.options for option in names}
    for names in dict.fromkeys(told.get(option, (option,)) for option in parameters):
        known = [option for option in names if option in parameters]
        shown = ", ".join(f"`{option}`" for option in known)
        types_ = _joined(kinds[option] for option in known)
        defaults = _joined(_default(parameters[option]) for option in known)
        lines.append(f"| {shown} | {types_} | {defaults} | {_cell(text.options.get(names, ''))} |")
    return "\n".join([*lines, ""])


def read_docstring(text: str) -> SourceText:
    """Splits a docstring into its summary and the descriptions of its arguments."""
    summary, _, rest = text.partition("\nArgs:\n")
    arguments = rest.partition("\n\n")[0]
    options: dict[tuple[str, ...], str] = {}
    names: tuple[str, ...] = ()
    for line in arguments.splitlines():
        begins = re.match(r" {4}(\w[\w, ]*): (.*)", line)
        if begins:
            names = tuple(name.strip() for name in begins[1].split(","))
            options[names] = _markdown(begins[2])
        elif names:
            options[names] += " " + _markdown(line.strip())
    return SourceText(_markdown(summary.strip()), options)


def _markdown(text: str) -> str:
    """Text of a docstring as Markdown: single backticks, and only the last part of a reference's name."""
    text = _ROLE.sub(lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return (text[:1].upper() + text[1:]).removesuffix(".").replace("|", "\\|")


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _default(parameter: inspect.Parameter) -> str:
    match parameter.default:
        case inspect.Parameter.empty:
            return "required"
        case None | "":
            return "none"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case tuple() as values:
            return f"`[{', '.join(map(str, values))}]`"
        case value:
            return f"`{value}`"


def _kinds(read: Callable[..., Any]) -> dict[str, str]:
    """The type of each option, in words."""
    kinds = {}
    for option, parameter in inspect.signature(read).parameters.items():
        holder = types.SimpleNamespace(__annotations__={option: parameter.annotation})
        try:
            kind = get_type_hints(holder, vars(inspect.getmodule(read)))[option]
        except NameError:  # a type that only a type checker imports
            kind = parameter.annotation
        kinds[option] = _kind(kind)
    return kinds


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def _kind(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        choices = [choice for choice in get_args(kind) if choice is not types.NoneType]
        return "path" if Path in choices else " or ".join(map(_kind, choices))
    if get_args(kind):
        return f"list of: {_kind(get_args(kind)[0])}"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
