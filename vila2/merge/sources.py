"""The layers that a merge reads: who wrote each, how its plugin wants it merged, and what it can find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vila2.claims.names import Name, name_of
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.layers import ReadLayer
from vila2.errors import DataError
from vila2.merge.judging import NamedVerifier
from vila2.merge.known import heads_of
from vila2.plugin.code_version import plugin_facts
from vila2.plugin.contract import MergePolicy
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference
from vila2.plugin.tools import Tool

Role = Literal["original", "base", "specialist"]

#: Number of images from which on a specialist counts as able to find a thing; fewer may be slips of a word.
COMMON = 3
#: The name under which a model's paragraphs are counted.
WRITER = "writer"


@dataclass(frozen=True)
class Source:
    """A layer in a merge.

    Attributes:
        name: name of the layer.
        role: the human text, the best self layer, or a specialist's.
        policy: merge policy of its plugin.
        questions: questions that replace ``prompts`` before its answers; empty keeps the prompts.
        verifiers: verifier of its plugin, where it has one.
        kinds: kinds of claims in the layer.
        labels: heads of names that it gives boxes in :data:`COMMON` images or more.
        names: names that it uses for things in :data:`COMMON` images or more.
        plugin: what :func:`vila2.plugin.code_version.plugin_facts` tells of its plugin; empty where no plugin
            wrote the layer.
        prompts: prompts of its plugin; other questions stay as they were asked.
    """

    name: str
    role: Role
    policy: MergePolicy = field(default_factory=MergePolicy)
    questions: tuple[str, ...] = ()
    verifiers: tuple[NamedVerifier, ...] = ()
    kinds: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    names: frozenset[Name] = frozenset()
    plugin: Mapping[str, Any] = field(default_factory=dict)
    prompts: frozenset[str] = frozenset()

    def looked(self, rows: Iterable[Annotation], kind: str) -> bool:
        """Whether it looked for claims of a kind in an image: it made one, or says that there is nothing."""
        if kind not in self.kinds:
            return False
        return any(
            any(claim.kind == kind for claim in row.claims) if row.status == "ok" else _says_nothing(row)
            for row in rows
        )


def open_sources(layers: Mapping[str, ReadLayer], base: str | None) -> tuple[Source, ...]:
    """The layers of a merge with their roles; reads each specialist's layer once to survey it.

    A layer that ``vila2 annotate`` wrote names its plugin, which must be installed. Any other is taken with
    the default policy and its own questions.

    Args:
        layers: layers by name, in order; "original" among them.
        base: name of the self layer; None for none.

    Raises:
        DataError: no original text, a base that is not among the layers, or a reserved name.
        PluginError: a plugin is not installed, or broken.
    """
    if "original" not in layers:
        raise DataError("a merge begins with the original text", hint="name `original` among the layers")
    if base is not None and (base not in layers or base == "original"):
        raise DataError(
            f"the base {base!r} is none of the layers {', '.join(layers)}", hint="name a self layer, or null"
        )
    if WRITER in layers:
        raise DataError(
            f"a layer called {WRITER!r} cannot be merged",
            hint="rename it: this name stands for a model's paragraphs",
        )
    host = Host()
    return tuple(_open(name, layer, base, host) for name, layer in layers.items())


def _open(name: str, layer: ReadLayer, base: str | None, host: Host) -> Source:
    if name in ("original", base):
        return Source(name, "original" if name == "original" else "base")
    surveyed = _survey(name, layer)
    plugin = dict(getattr(layer, "info", {}).get("plugin") or {})
    if not plugin:
        return surveyed
    installed, described = host.plugin(plugin["name"]), host.described(plugin["name"])
    of = f"{installed}, verifier"
    if isinstance(described, Tool):
        # Its own questions stay, unless they are the one that has other wordings.
        prompts, questions, kinds = described.questions[:1], described.questions, frozenset(described.claims)
    else:
        prompts, questions = described.prompts, described.questions or described.prompts
        kinds = frozenset()
    return replace(
        surveyed,
        policy=described.merge,
        questions=questions,
        kinds=surveyed.kinds | kinds,
        verifiers=(NamedVerifier(of, load_reference(described.verifier, of=of)),)
        if described.verifier
        else (),
        plugin=plugin_facts(installed),
        prompts=frozenset(prompt.strip() for prompt in prompts),
    )


def ranked(sources: Sequence[Source]) -> list[Source]:
    """The specialists by priority, the most believed first; equals in the order in which they are named."""
    return sorted((one for one in sources if one.role == "specialist"), key=lambda one: -one.policy.priority)


def _survey(name: str, layer: ReadLayer) -> Source:
    """A specialist's layer with its kinds of claims, labels and names."""
    kinds: set[str] = set()
    names: Counter[Name] = Counter()
    heads: Counter[str] = Counter()
    for row in layer.rows():
        claims = usable_claims(row)
        kinds |= {claim.kind for claim in claims}
        heads.update(heads_of(claims))
        names.update({name_of(one) for claim in claims for one in (claim.subject, claim.object) if one})
    return Source(
        name,
        "specialist",
        kinds=frozenset(kinds),
        labels=frozenset(head for head, images in heads.items() if images >= COMMON),
        names=frozenset(one for one, images in names.items() if one and images >= COMMON),
    )


def usable_claims(row: Annotation) -> tuple[Claim, ...]:
    """The claims of a usable answer."""
    return row.claims if row.status == "ok" else ()


def _says_nothing(row: Annotation) -> bool:
    """Whether an empty answer says in words that there is nothing of the kind; silence does not count."""
    return row.status == "empty" and bool(row.turns) and bool(row.text.strip())
