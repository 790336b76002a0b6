"""The contract: everything that a specialist's plugin supplies. The host does everything else.

A specialist is a frozen value. Its heavy parts are references ("package.module:name"). The host imports them
when it uses them, so a list of plugins imports none of them. A builder is pure: it yields samples and writes
nothing. Files, resume, progress, preview, held-out data and training are the host's business.

    builder  ->  Builder(config)                     what to train on, from the user's data
    recipe   ->  the stages, as YAML in the package  how to train
    prompts  ->  the questions for every image       what the trained specialist is asked
    parser   ->  parse(said: Said) -> Parsed         its answers as turns and claims
    metrics  ->  score(asked: Sequence[Asked])       how good it is at its own skill, {measure: Items}
    verifier ->  verify(claims, evidence) -> claims  a check of anybody's claims (optional)

Boxes are unit xyxy of the original image on every side of this contract. The host decides how a model writes
a coordinate. It renders the box and point parts of turns, and it reads coordinates back into parts.
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

#: Version of the contract. It rises when a plugin written for an older contract would no longer work.
API_VERSION = 2

Reference = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
Text = Annotated[str, Field(min_length=1)]


class ContractValue(BaseModel):
    """Base of the values that a plugin describes itself with."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class MergePolicy(ContractValue):
    """The way of a specialist's exchanges into the merged conversation of an image (VILA² section 2.2.2).

    Attributes:
        priority: Rank among specialists. Where two contradict each other and nothing else decides, the one
            with the higher priority stays.
        exchanges: Largest number of exchanges of one image, or None for all of them.
        empty_share: Share of the "there is nothing of that kind" answers that stay in the training data.
    """

    priority: int = 0
    exchanges: Annotated[int, Field(ge=1)] | None = None
    empty_share: Annotated[float, Field(ge=0, le=1)] = 0.0


class Specialist(ContractValue):
    """A specialist, as its plugin describes it.

    Attributes:
        name: Name on the command line, equal to the entry point's name.
        summary: One line for ``vila2 plugins list``.
        reads: Data that the builder reads, and the place to get it, for a user who has named no data.
        api_version: Version of the contract that the plugin was written for (:data:`API_VERSION`).
        builder: Reference to a :class:`Builder` class.
        config: Reference to its :class:`BuilderConfig` class.
        recipe: Packaged YAML file with the stages, as "package/file.yaml". Its form is
            :class:`vila2.recipe.specialist_recipe.SpecialistRecipe`.
        prompts: Prompts for ``vila2 annotate``. Each image gets one of them, chosen by a hash of key and
            seed.
        questions: Questions that replace the prompts in the merged conversation, since the paper trains on
            other words than it generates with. By default they are the prompts.
        parser: Reference to ``parse(said: Said) -> Parsed``.
        metrics: Reference to ``score(asked: Sequence[Asked]) -> dict[str, Items]``. ``vila2 specialize``
            compares the specialist with the generalist on its first measure.
        verifier: Reference to ``verify(claims, evidence) -> tuple[Claim, ...]``, or None. With a third
            parameter, ``context``, it also gets a :class:`~vila2.plugin.verifying.VerifierContext`: the
            image, its camera and solids, and what the dataset itself knows.
        tokens: Special tokens that the model must have.
        coordinates: Form in which the model should write coordinates: "text", "tokens", or None where any
            will do.
        merge: Policy for its exchanges in merged conversations.
        licence: Terms of the data that the specialist was made for, where they bind the user, or "".
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
    """Base of a builder's settings. An unknown key is an error.

    ``vila2 specialize --data PATH`` sets ``data``. ``--set KEY=VALUE`` and the recipe's ``build`` set the
    other keys. Most builders read ``vila2.open_evidence(config.data, config.image_root)``. The host keeps
    what a builder built as long as the builder, its settings and the content of every path among them stay
    the same. A path itself may change.

    Attributes:
        data: File or folder that the samples are built from.
        image_root: Folder of the images that ``data`` names, where they do not lie beside it.
        seed: Seed of everything random in the builder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    image_root: Path | None = None
    seed: int = 0


class Builder(Protocol):
    """Maker of training samples from a user's data. It is pure and deterministic, and it writes nothing.

    The host calls ``Builder(config)``. Equal configs give equal samples, in whatever order the shards are
    built.

    Attributes:
        version: Version of the samples. A higher version makes the host build again.
        subsets: Names of the datasets that the builder fills, as the recipe's mixtures use them. A sample's
            ``meta["subset"]`` names the one it belongs to. With only one subset it may be left out.
    """

    version: ClassVar[int]
    subsets: ClassVar[tuple[str, ...]]

    def __init__(self, config: Any) -> None: ...

    def shards(self) -> Iterable[str]:
        """Names of independent pieces of the work, in order. The call must be cheap.

        Raises:
            DataError: The data is missing, or the builder does not know its form.
        """
        ...

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """The samples of one piece.

        A sample has images, turns with box parts, and in ``meta`` what each answer rests on. Keys are unique
        over all shards. Samples of one image with different keys share ``meta["image"]``, so that none of
        them is held out while another is trained on. ``meta["kinds"]`` names the kind of each exchange in
        order ("left", "count", ...). ``meta["kind"]`` names one kind for all of them. The host counts answers
        by kind, so that a user sees a lopsided data set before anything is trained on it. The builder yields
        a ``Reject`` for all data that it has no use for, and never skips it silently.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """A specialist's answer.

    Attributes:
        key: Key of the sample.
        prompt: Question that was asked.
        text: Answer as the model generated it.
        parts: Answer with every well-formed coordinate as a box or point part.
        status: Mark of the host: "ok", or the reason why this is no answer.
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
        turns: Exchange (or exchanges) to train on, empty where there is nothing to keep.
        claims: Claims that the answer makes, each with its span in ``Said.text``.
        status: "ok", "empty" (the answer says that there is nothing of that kind), or the reason why it is no
            answer.
        detail: One line for a reader.
    """

    turns: tuple[Turn, ...]
    claims: tuple[Claim, ...] = ()
    status: Status = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One held-out question with its reference and a model's answer.

    Attributes:
        sample: Sample of the question, with the builder's meta.
        question, reference: User turn and assistant turn of the builder. The question has no image.
        said: Answer of the model. ``said.key`` names the exchange.
        kind: Kind of the question, or "" where the builder does not say.
    """

    sample: Sample
    question: Turn
    reference: Turn
    said: Said
    kind: str = ""
