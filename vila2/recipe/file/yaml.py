"""Reads YAML into plain values and records the line of every key; writes it back.

The YAML is that of version 1.2: only true and false are truth values, 1e-3 is a number, and a date is
text. A key that occurs twice is a problem, and ``${VAR}`` or ``${VAR:-default}`` in a string is replaced
from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vila2.errors import RecipeError
from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.parts.values import LARGEST

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_MERGE = "tag:yaml.org,2002:merge"
_STRING = "tag:yaml.org,2002:str"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_MOST_DIGITS = len(str(LARGEST))
#: Number of values that a recipe may hold; aliases of aliases could make millions of a few lines.
_MOST_VALUES = 100_000
#: Brackets within brackets.
_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """Composes nodes, with a table of plain scalars that replaces YAML 1.1's."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML sets the name and the form

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        """Refuses brackets within brackets without end, which PyYAML takes quadratic time to read."""
        if self.flow_level >= _DEEPEST:
            mark = self.get_mark()
            raise yaml.scanner.ScannerError(None, None, "brackets are nested too deeply", mark)
        super().fetch_flow_collection_start(TokenClass)

    def tag_of(self, text: str) -> str:
        """The tag of a scalar that is written without quotes."""
        tag: str = self.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return tag


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else, and writes no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _form, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
]:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})\\Z"), list(_first))


@dataclass(slots=True)
class Marked:
    """Plain values with the line of each key, and the problems that the reader found."""

    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_yaml(text: str, *, where: str, environment: Mapping[str, str] | None = None) -> Marked:
    """Reads one YAML document.

    Args:
        text: text of the document.
        where: name of the document in errors.
        environment: values for ``${VAR}``; by default the process's environment.

    Raises:
        RecipeError: the text is not YAML at all; milder problems are in ``problems``.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark, context = error.problem_mark or error.context_mark, error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        begun = f", begun in line {context.line + 1}" if mark and context and context.line < mark.line else ""
        said = f"{error.context or ''} {error.problem or ''}"
        raise RecipeError(
            f"{where}{line}: this is not YAML: {error.problem}{begun}", hint=_hint_of_yaml(said)
        ) from error
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, int(error.position)) + 1
        raise RecipeError(
            f"{where}:{number}: this is not YAML: it holds the character U+{int(error.character):04X}",
            hint="a recipe is a text file; save it as UTF-8 without control characters",
        ) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{where}: this is not YAML: {error}", hint="save it as UTF-8 text") from error
    except RecursionError:
        raise RecipeError(
            f"{where}: this is nested too deeply to be a recipe",
            hint="look for brackets that are not closed",
        ) from None
    marked = Marked()
    if node is not None:
        reader = _Reader(marked, os.environ if environment is None else environment, where)
        marked.value = reader.read(node, (), ())
    return marked


#: Hint for an error of the YAML reader, by words of its message.
_YAML_HINTS = {
    "\\t": "YAML is indented with spaces: replace the tab with spaces",
    "mapping values are not allowed": "put a space after every colon, quotes around a text that holds a "
    "colon, and keys that belong together in one column",
    "another document": "a recipe is one document: remove the line ---, or move the other document to its "
    "own file",
    "nested too deeply": "look for brackets that are not closed",
    "undefined alias": "put quotes around a text that begins with *",
    "quoted scalar": "close the quotes",
    "flow mapping": 'close every {; inside { } a comma ends a value, and a variable needs quotes: "${VAR}"',
    "flow sequence": "close every [; inside [ ] a comma ends a value",
    "cannot start any token": "put quotes around a text that begins with this character",
    "block mapping": "keys that belong together begin in one column: check the indentation of this line "
    "and of those before it",
    "block collection": "entries of one list begin in one column: check the indentation of this line and "
    "of those before it",
}


def _hint_of_yaml(said: str) -> str:
    found = (hint for words, hint in _YAML_HINTS.items() if words in said)
    return next(found, "look at the line and the one before it; a text with a special meaning needs quotes")


def read_setting(text: str, *, where: str, environment: Mapping[str, str] | None = None) -> Marked:
    """Reads a value from a command line: a list, a mapping, a quoted text, or a plain word.

    A plain word may hold characters that have a meaning in a YAML document, as in ``a: b`` or ``# 1``.

    Raises:
        RecipeError: a list, mapping or quoted text that is not closed.
    """
    text = text.strip()
    if text[:1] in tuple("[{'\""):
        return read_yaml(text, where=where, environment=environment)
    marked = Marked()
    reader = _Reader(marked, os.environ if environment is None else environment)
    node = yaml.ScalarNode(reader.resolver.tag_of(text), text)
    marked.value = reader.read_scalar(node, ())
    return marked


def write_yaml(value: Any) -> str:
    """Plain values as YAML that :func:`read_yaml` reads back unchanged, except for ``${VAR}`` in texts."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


@dataclass(slots=True)
class _Reader:
    """Walks the nodes of one document."""

    marked: Marked
    environment: Mapping[str, str]
    name: str = "recipe"
    resolver: _Loader = field(default_factory=lambda: _Loader(""))
    values: int = 0

    def read(self, node: yaml.Node, where: Where, above: tuple[yaml.Node, ...]) -> Any:
        """The plain value of a node.

        Args:
            node: node to read.
            where: keys that lead to it.
            above: nodes that contain it, outermost first.

        Raises:
            RecipeError: it holds more values than any recipe.
        """
        self.values += 1
        if self.values > _MOST_VALUES:
            raise RecipeError(
                f"{self.name}: aliases make more than {_MOST_VALUES:,} values of this, which is no recipe",
                hint="write out what is meant, without aliases of aliases",
            )
        self.marked.lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            return self._unknown_tag(node, where)
        if any(node is other for other in above):
            self._problem(where, "an alias that contains itself")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, where, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            above = (*above, node)
            return [self.read(item, (*where, n), above) for n, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode), "a node is a mapping, a sequence or a scalar"
        return self.read_scalar(node, where)

    def _read_mapping(
        self, node: yaml.MappingNode, where: Where, above: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(where, "a key must be a plain word")
                continue
            if key_node.tag == _MERGE:
                merged |= self._merge(value_node, where, above)
                continue
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in values:
                self.marked.problems.append(
                    Problem(
                        (*where, key),
                        f"this key stands twice, also in line {self.marked.lines[(*where, key)]}",
                    )
                )
                # The report names the second one. It does not matter which value counts.
            self.marked.lines[(*where, key)] = line
            values[key] = self.read(value_node, (*where, key), above)
        return merged | values

    def _merge(self, node: yaml.Node, where: Where, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
        # `<<: *anchor` or `<<: [*a, *b]`; of two equal keys the earlier counts.
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in nodes:
            value = self.read(part, where, above)
            if isinstance(value, dict):
                merged = value | merged
            else:
                self._problem(where, "`<<` takes a mapping")
        return merged

    def read_scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        """The plain value of a scalar, with its variables filled in."""
        text, tag = node.value, node.tag
        if tag == _STRING and "${" in text:
            text = self._fill_in(text, where)
            if node.style is None:  # unquoted: what the variable holds may be a number
                tag = self.resolver.tag_of(text)
        match tag.rpartition(":")[2]:
            case "str":
                return text
            case "int":
                return self._whole_number(text, where)
            case "float":
                return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower())
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
        return self._unknown_tag(node, where)

    def _unknown_tag(self, node: yaml.Node, where: Where) -> None:
        self._problem(where, f"the tag {node.tag} has no meaning in a recipe: leave it out", final=True)

    def _whole_number(self, text: str, where: Where) -> int:
        digits = text.replace("_", "")
        count = len(digits.lstrip("+-"))
        if count > _MOST_DIGITS or abs(int(digits)) > LARGEST:
            self._problem(where, f"a number of {count} digits is too large", final=True)
            return 0
        if _LEADING_ZERO.fullmatch(text):
            octal = f", {int(digits, 8)} where octal was meant" if not set(digits) & set("89") else ""
            self._problem(
                where,
                f"{text} is not plain: write {int(digits)}{octal}, or '{text}' in quotes where it is a text",
                final=True,
            )
        return int(digits)

    def _fill_in(self, text: str, where: Where) -> str:
        def value(match: re.Match[str]) -> str:
            name, default = match.groups()
            found = self.environment.get(name)
            if found or (found is not None and default is None):
                return found
            if default is None:
                self._problem(
                    where,
                    f"the environment variable {name} is not set; set it, or write ${{{name}:-a default}}",
                    final=True,
                )
            return default or ""

        return _VARIABLE.sub(value, text)

    def _problem(self, where: Where, what: str, *, final: bool = False) -> None:
        self.marked.problems.append(Problem(where, what, final))
