"""The layers that a merge reads: who wrote each, how its plugin wants it merged, and what it can tell of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vila2.claims.names import Name, name_of
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.layers import ReadLayer
from vila2.errors import DataError
from vila2.merge.judging import NamedVerifier
from vila2.merge.known import heads_of
from vila2.plugin.contract import MergePolicy
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference

Role = Literal["original", "base", "specialist"]

#: A specialist can find what it found in so many images; fewer may be slips of a word.
COMMON = 3
#: The name under which a model's paragraphs are counted.
WRITER = "writer"


@dataclass(frozen=True)
class Source:
    """A layer in a merge.

    Attributes:
        name: of the layer.
        role: the human text, the best self layer, or a specialist's.
        layer: its annotations; None for a model's paragraphs.
        policy: of its plugin.
        questions: that stand before its answers to ``prompts``; empty keeps those that were asked.
        verifiers: its plugin's, where it has one.
        kinds: of claims that it makes anywhere.
        labels: heads of names that it gives boxes in :data:`COMMON` images or more.
        names: that it uses of things.
        plugin: name, package and version, empty where no plugin wrote the layer.
        prompts: of its plugin; what else it was asked stays as it was asked.
    """

    name: str
    role: Role
    layer: ReadLayer | None = None
    policy: MergePolicy = field(default_factory=MergePolicy)
    questions: tuple[str, ...] = ()
    verifiers: tuple[NamedVerifier, ...] = ()
    kinds: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    names: frozenset[Name] = frozenset()
    plugin: Mapping[str, Any] = field(default_factory=dict)
    prompts: frozenset[str] = frozenset()

    def looked(self, rows: Iterable[Annotation], kind: str) -> bool:
        """Whether it looked for claims of a kind in an image: it found some there, or says that there is nothing."""
        if kind not in self.kinds:
            return False
        return any(
            any(claim.kind == kind for claim in row.claims) if row.status == "ok" else _says_nothing(row)
            for row in rows
        )


def open_sources(layers: Mapping[str, ReadLayer], base: str | None) -> tuple[Source, ...]:
    """The layers of a merge by their roles, specialists surveyed (one pass over what they say).

    A layer that ``vila2 annotate`` wrote names its plugin, which must be installed; another is taken with the
    default policy and its own questions.

    Args:
        layers: by name, in order; "original" among them.
        base: the name of the self layer, None for none.

    Raises:
        DataError: no original text, a base that is not among them, or a name that is taken.
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
            f"a layer called {WRITER!r} can not be merged",
            hint="that is what a model's paragraphs are called",
        )
    host = Host()
    return tuple(_open(name, layer, base, host) for name, layer in layers.items())


def _open(name: str, layer: ReadLayer, base: str | None, host: Host) -> Source:
    if name in ("original", base):
        return Source(name, "original" if name == "original" else "base", layer)
    plugin = dict(getattr(layer, "info", {}).get("plugin") or {})
    found = _survey(layer)
    if not plugin:
        return Source(name, "specialist", layer, **found)
    installed, described = host.plugin(plugin["name"]), host.specialist(plugin["name"])
    of = f"{installed}, verifier"
    verifiers = (NamedVerifier(of, load_reference(described.verifier, of=of)),) if described.verifier else ()
    about = {"name": installed.name, "package": installed.package, "version": installed.version}
    questions = described.questions or described.prompts
    found["prompts"] = frozenset(prompt.strip() for prompt in described.prompts)
    return Source(name, "specialist", layer, described.merge, questions, verifiers, **found, plugin=about)


def ranked(sources: Sequence[Source]) -> list[Source]:
    """The specialists, the one that is believed most first: by priority, of equals the one named first."""
    return sorted((one for one in sources if one.role == "specialist"), key=lambda one: -one.policy.priority)


def _survey(layer: ReadLayer) -> dict[str, Any]:
    """Kinds of claims, labels and names of a specialist's layer."""
    kinds: set[str] = set()
    names: Counter[Name] = Counter()
    heads: Counter[str] = Counter()
    for row in layer.rows():
        claims = usable_claims(row)
        kinds |= {claim.kind for claim in claims}
        heads.update(heads_of(claims))
        names.update({name_of(name) for claim in claims for name in (claim.subject, claim.object) if name})
    return {
        "kinds": frozenset(kinds),
        "labels": frozenset(head for head, images in heads.items() if images >= COMMON),
        "names": frozenset(name for name, images in names.items() if name and images >= COMMON),
    }


def usable_claims(row: Annotation) -> tuple[Claim, ...]:
    """The claims of an answer that is one."""
    return row.claims if row.status == "ok" else ()


def _says_nothing(row: Annotation) -> bool:
    """Whether an empty answer says in words that there is nothing of the kind; silence says nothing."""
    return row.status == "empty" and bool(row.turns) and bool(row.text.strip())
