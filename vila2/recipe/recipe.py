"""The recipe: what a whole run is made of, as one frozen value that every command reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.cycle import CycleSpec
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.evaluate import BenchmarkSpec, ReportSpec
from vila2.recipe.parts.model import ModelSpec
from vila2.recipe.parts.specialists import MergeSpec, SpecialistUse
from vila2.recipe.parts.stage import StageSpec, with_stage_defaults
from vila2.recipe.parts.values import DEFAULT_ENGINE, Count, Name, Part, Text, Whole


class Recipe(Part):
    """A whole run."""

    name: Name = Field(description="of the run")
    seed: Annotated[Whole, Field(ge=0)] = Field(default=0, description="of everything random in the run")
    output: Text = Field(
        default="runs/{name}", description="the run's folder, from where the command is given"
    )
    threads: Count | None = Field(default=None, description="CPU threads; by default torch's choice")
    processes: Literal["auto"] | Count = Field(
        default="auto", description="that train together on this machine; auto: one for each GPU"
    )
    data: Annotated[dict[Name, DatasetSpec], Field(min_length=1)] = Field(description="the datasets, by name")
    model: ModelSpec = Field(description="what the run starts from")
    stages: Annotated[dict[Name, StageSpec], Field(min_length=1)] = Field(
        description="in the order of training"
    )
    cycle: CycleSpec = Field(default_factory=CycleSpec, description="the rounds")
    specialists: dict[Name, SpecialistUse] = Field(
        default_factory=dict, description="made from the best round; plugins by name"
    )
    merge: MergeSpec = Field(default_factory=MergeSpec, description="of what the specialists say")
    specialist_data: Literal["merged", "share", "sft", "more-sft"] = Field(
        default="merged",
        description="merged: what specialists say about the images is merged into their captions; share: a twentieth "
        "of the images that each would annotate stands there once more, with what it says (paper, Table 3); sft: what they were trained on "
        "goes straight into SFT, beside the best round's captions, as much of it as takes the tokens that the merged "
        "captions would have taken (a control); more-sft: SFT goes on for as many tokens, with nothing new (a control)",
    )
    engine: Text = Field(
        default=DEFAULT_ENGINE,
        description="engine that generates captions, answers to benchmarks, annotations of specialists and merged "
        "paragraphs; a plugin may bring others. `cycle.engine` and `merge.engine` override it",
    )
    controls: tuple[Text, ...] = Field(
        default=(),
        description="what else could explain the gain: twice-sft, shuffled-captions, ...; all in docs/controls.md",
    )
    evaluate: tuple[BenchmarkSpec, ...] = Field(default=(), description="the benchmarks")
    keep: Literal["all", "models", "best"] = Field(
        default="all",
        description="which models stay on disk; the others are deleted after the rounds and at the end, as soon as nothing "
        "starts from them any more (their results stay, and a later run that needs one does its step again). models: "
        "those of VILA_0, VILA_1, ..., controls and specialists, without the stages before the last; best: the one that "
        "the run was done for, the best round's and the specialists'",
    )
    plugins: tuple[Text, ...] = Field(default=(), description="plugins that are told of every trained stage")
    report: ReportSpec = Field(default_factory=ReportSpec, description="the page at the end")

    @model_validator(mode="before")
    @classmethod
    def _give_stage_defaults(cls, raw: Any) -> Any:
        return with_stage_defaults(raw)

    @model_validator(mode="before")
    @classmethod
    def _give_engine(cls, raw: Any) -> Any:
        return with_engine(raw, ("cycle", "merge"))

    @model_validator(mode="after")
    def _check_across(self) -> Recipe:
        from vila2.recipe.checks.across import cross_problems

        problems = cross_problems(self.model_dump())
        if problems:
            lines = "; ".join(f"{'.'.join(map(str, p.where))}: {p.what}" for p in problems)
            raise PydanticCustomError("across", "{lines}", {"lines": lines})
        return self

    @property
    def folder(self) -> str:
        """``output`` with the name filled in."""
        return self.output.replace("{name}", self.name)

    @property
    def data_in_use(self) -> dict[str, DatasetSpec]:
        """The datasets that a stage or a benchmark names; of the others nothing is opened."""
        used = {entry.dataset for stage in self.stages.values() for entry in stage.mixture}
        used |= {benchmark.dataset for benchmark in self.evaluate} | {self.recaptioned, self.cycle.captions}
        return {name: spec for name, spec in self.data.items() if name in used}

    @property
    def recaptioned(self) -> str:
        """The name of the dataset whose captions are rewritten."""
        stage = self.stages.get(self.cycle.stage) or next(iter(self.stages.values()))
        return self.cycle.recaption or stage.mixture[0].dataset


def with_engine(raw: Any, parts: Sequence[str]) -> Any:
    """A raw recipe whose parts have the engine of the whole where they name none."""
    if not isinstance(raw, Mapping) or "engine" not in raw:
        return raw
    given = {name: raw.get(name, {}) for name in parts}
    return {
        **raw,
        **{
            name: {"engine": raw["engine"], **part}
            for name, part in given.items()
            if isinstance(part, Mapping)
        },
    }
