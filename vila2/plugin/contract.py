"""The contract: what a specialist's plugin supplies. The host does everything else.

A specialist is a frozen value. Its heavy parts are references ("package.module:name") that are imported when they
are used, so that listing plugins imports none of them. A builder is pure: it yields samples and writes nothing;
files, resume, progress, preview, held-out data and training are the host's.

    builder  ->  Builder(config)                     what to train on, from the user's data
    recipe   ->  the stages, as YAML in the package  how to train
    prompts  ->  what the trained specialist is asked about every image
    parser   ->  parse(said: Said) -> Parsed         its answers as turns and claims
    metrics  ->  score(asked: Sequence[Asked])       how good it is at its own skill, {measure: Items}
    verifier ->  verify(claims, evidence) -> claims  what can be checked of anybody's claims (optional)

Boxes are unit xyxy of the original image on every side of this contract. How a model writes a coordinate is the
host's business: it renders the box and point parts of turns, and reads coordinates back into parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from vila2.data.annotations import Status
from vila2.data.claims import Claim
from vila2.data.sample import Part, Sample, Turn
from vila2.data.tokens import TokenSpec

if TYPE_CHECKING:
    from vila2.data.shards import Reject

#: Raised when a plugin written for an older contract would no longer work.
API_VERSION = 1

Reference = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
Text = Annotated[str, Field(min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class MergePolicy(_Value):
    """How a specialist's exchanges enter the merged conversation of an image (VILA² section 2.2.2).

    Attributes:
        priority: where two specialists contradict each other and nothing else decides, the higher one stays.
        exchanges: of one image at the most; None: all.
        empty_share: share of images whose "there is nothing of that kind" answer is trained on all the same.
    """

    priority: int = 0
    exchanges: Annotated[int, Field(ge=1)] | None = None
    empty_share: Annotated[float, Field(ge=0, le=1)] = 0.0


class Specialist(_Value):
    """A specialist, as its plugin describes it.

    Attributes:
        name: as on the command line; equal to the entry point's name.
        summary: one line for ``vila2 plugins list``.
        reads: the data that the builder reads, for a user who has named none: what, and where to get it.
        api_version: :data:`API_VERSION` of the contract it was written for.
        builder: reference to a :class:`Builder` class.
        config: reference to its :class:`BuilderConfig` class.
        recipe: the packaged YAML file with its stages, as "package/file.yaml"; its form is
            :class:`vila2.recipe.specialist_recipe.SpecialistRecipe`.
        prompts: asked of every image by ``vila2 annotate``; one by hash of key and seed for each image.
        questions: in the merged conversation, in place of the prompts (the paper trains on other words than it
            generates with); by default the prompts.
        parser: reference to ``parse(said: Said) -> Parsed``.
        metrics: reference to ``score(asked: Sequence[Asked]) -> dict[str, Items]``; its first measure is the one
            that ``vila2 specialize`` compares with the generalist.
        verifier: reference to ``verify(claims, evidence) -> tuple[Claim, ...]``, where it has one.
        tokens: special tokens that the model must have.
        coordinates: how the model should write coordinates: "text", "tokens", or None where it does not matter.
        merge: how its exchanges enter merged conversations.
        licence: of the data it was made for, where that binds the user ("" where nothing does).
    """

    name: Name
    summary: Text
    reads: str = ""
    api_version: int = API_VERSION
    builder: Reference
    config: Reference
    recipe: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(/[\w.-]+)+\.ya?ml$")]
    prompts: Annotated[tuple[Text, ...], Field(min_length=1)]
    questions: tuple[Text, ...] = ()
    parser: Reference
    metrics: Reference
    verifier: Reference | None = None
    tokens: tuple[TokenSpec, ...] = ()
    coordinates: Literal["text", "tokens"] | None = None
    merge: MergePolicy = MergePolicy()
    licence: str = ""


class BuilderConfig(BaseModel):
    """Base of a builder's settings: a key that does not exist is an error.

    ``vila2 specialize --data PATH`` sets ``data``, ``--set KEY=VALUE`` or the recipe's ``build`` everything else.
    Most builders read ``vila2.open_evidence(config.data, config.image_root)``. What is built is kept as long as
    builder, settings and the content of every path among them stay the same; where they lie does not matter.

    Attributes:
        data: file or folder that the samples are built from.
        image_root: folder of the images that ``data`` names, where they do not lie beside it.
        seed: of everything random in building.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    image_root: Path | None = None
    seed: int = 0


class Builder(Protocol):
    """Makes training samples from a user's data: pure, deterministic, writing nothing.

    Made as ``Builder(config)``. Equal configs give equal samples, whatever order the shards are built in.

    Attributes:
        version: of what it builds; a higher one makes the host build again.
        subsets: the datasets it fills, by the names that the recipe's mixtures use. A sample says in
            ``meta["subset"]`` which it belongs to; with one subset it need not.
    """

    version: ClassVar[int]
    subsets: ClassVar[tuple[str, ...]]

    def __init__(self, config: Any) -> None: ...

    def shards(self) -> Iterable[str]:
        """Names of independent pieces of the work, in order; cheap.

        Raises:
            DataError: the data is not there, or in no form that the builder knows.
        """
        ...

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """The samples of one piece: images, turns with box parts, and in ``meta`` what each answer rests on.

        Keys are unique over all shards. Samples of one image share ``meta["image"]`` where their keys differ, so
        that none of them is held out while another is trained on. ``meta["kinds"]`` names the kind of each
        exchange in order ("left", "count", ...), or ``meta["kind"]`` that of all: the host counts answers by
        kind, so that a lopsided data set is seen before anything is trained on it. What the user's data holds
        and the builder has no use for is a ``Reject``, never passed over.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a specialist answered.

    Attributes:
        key: of the sample.
        prompt: what was asked.
        text: as generated.
        parts: the same with every well-formed coordinate as a box or point part.
        status: the host's own mark: "ok", or why this is no answer.
    """

    key: str
    prompt: str
    text: str
    parts: tuple[Part, ...]
    status: Status = "ok"


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer as the host keeps it.

    Attributes:
        turns: the exchange (or exchanges) to train on; empty where there is nothing to keep.
        claims: what it states, each with its span in ``Said.text``.
        status: "ok", "empty" (it says that there is nothing of that kind), or why it is no answer.
        detail: one line for a reader.
    """

    turns: tuple[Turn, ...]
    claims: tuple[Claim, ...] = ()
    status: Status = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One held-out question with its reference and what a model said.

    Attributes:
        sample: it belongs to, with the builder's meta.
        question, reference: the builder's user and assistant turn; the question without the image.
        said: the model's answer. ``said.key`` names the exchange.
        kind: of the question, "" where the builder does not say.
    """

    sample: Sample
    question: Turn
    reference: Turn
    said: Said
    kind: str = ""
