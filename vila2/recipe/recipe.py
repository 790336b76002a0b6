"""The recipe: the settings of a whole run, as one frozen value that every command reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.compute import ComputeSpec
from vila2.recipe.parts.cycle import CycleSpec
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.engine import EngineChoice, EngineSpec
from vila2.recipe.parts.evaluate import BenchmarkSpec, ReportSpec
from vila2.recipe.parts.model import ModelSpec
from vila2.recipe.parts.specialists import INTO_SFT, MergeSpec, SpecialistData, SpecialistUse
from vila2.recipe.parts.stage import StageSpec, with_stage_defaults
from vila2.recipe.parts.values import Count, Name, Part, Text, Whole

#: Context in which a recipe checks its types only. The reader of recipe files checks the raw values across
#: parts itself, so that one wrong key does not hide other problems.
CHECKED_ACROSS = "checked across parts"


class Recipe(Part):
    """A whole run."""

    name: Name = Field(description="Name of the run", examples=["miniature"])
    seed: Annotated[Whole, Field(ge=0)] = Field(
        default=0, description="Seed for everything random in the run"
    )
    output: Text = Field(
        default="runs/{name}",
        description="Folder of the run, relative to the working folder; `{name}` is the name of the run",
    )
    threads: Count | None = Field(default=None, description="Number of CPU threads; by default torch decides")
    processes: Literal["auto"] | Count = Field(
        default="auto",
        description="Number of processes that train on each machine; `auto`: one for each GPU",
    )
    compute: ComputeSpec = Field(
        default_factory=ComputeSpec,
        description="Cluster that does the work. It is no part of what a step depends on",
        examples=[{"ray": "auto"}],
    )
    data: Annotated[dict[Name, DatasetSpec], Field(min_length=1)] = Field(
        description="Datasets, each by a name"
    )
    model: ModelSpec = Field(description="Model that the run starts from")
    stages: Annotated[dict[Name, StageSpec], Field(min_length=1)] = Field(
        description="Training stages by name, in the order of training. The names `align`, `pretrain` and "
        "`sft` have the paper's settings as defaults"
    )
    cycle: CycleSpec = Field(default_factory=CycleSpec, description="Rounds of self-augmentation")
    specialists: dict[Name, SpecialistUse] = Field(
        default_factory=dict,
        description="Specialists to make from the best round's model, each by the name of its plugin",
        examples=[{"ocr": {}}],
    )
    merge: MergeSpec = Field(
        default_factory=MergeSpec, description="Merge of the specialists' answers into the captions"
    )
    specialist_data: SpecialistData = Field(
        default="merged",
        description="Use of the specialists. `merged`: their answers are merged into the captions. `share`: "
        "a twentieth of the images that each would annotate is trained on once more, with its answers "
        "(paper, Table 3). `sft`: no answers; the specialists' own training data joins the last stage, as "
        "many tokens of it as the merged captions would have (a control). `sft-equal-passes`: the same, as "
        "often as the specialists read it. `sft-equal-total`: the same, for as many tokens as the merged "
        "captions, the specialists' trainings and their answers take together. `more-sft`: no answers; the "
        "last stage trains on as many more tokens of its own mixture (a control)",
    )
    engine: EngineChoice = Field(
        default=EngineSpec(),
        description="Engine, by name or as `{name: NAME, OPTION: VALUE}`, that generates "
        "captions, answers to benchmarks, annotations of "
        "specialists and merged paragraphs. A plugin may bring more engines. `cycle.engine` and "
        "`merge.engine` override it",
    )
    controls: tuple[Text, ...] = Field(
        default=(),
        description="Controls to train as well: other things that could explain the gain. docs/controls.md "
        "lists them",
        examples=[["twice-sft", "shuffled-captions"]],
    )
    evaluate: tuple[BenchmarkSpec, ...] = Field(default=(), description="Benchmarks that measure every model")
    keep: Literal["all", "models", "best"] = Field(
        default="all",
        description="Models that stay on disk. `all`: every model. `models`: VILA_0, VILA_1, ..., the "
        "controls and the specialists, but not the stages before the last. `best`: the final model, the best "
        "round's and the specialists'. The others are deleted when nothing starts from them any more; their "
        "results stay, and a later run that needs one does its step again",
    )
    plugins: tuple[Text, ...] = Field(
        default=(), description="Plugins that are told about every trained stage"
    )
    report: ReportSpec = Field(default_factory=ReportSpec, description="Page at the end of the run")

    @model_validator(mode="before")
    @classmethod
    def _give_stage_defaults(cls, raw: Any) -> Any:
        return with_stage_defaults(raw)

    @model_validator(mode="before")
    @classmethod
    def _give_engine(cls, raw: Any) -> Any:
        return with_engine(raw, ("cycle", "merge"))

    @model_validator(mode="after")
    def _check_across(self, info: ValidationInfo) -> Recipe:
        if info.context == CHECKED_ACROSS:
            return self
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
        """The datasets that a stage, a benchmark or the cycle names; the run opens no others."""
        used = {entry.dataset for stage in self.stages.values() for entry in stage.mixture}
        used |= {benchmark.dataset for benchmark in self.evaluate} | {self.recaptioned, self.cycle.captions}
        return {name: spec for name, spec in self.data.items() if name in used}

    @property
    def specialists_in_sft(self) -> bool:
        """Whether the specialists' own training data goes into SFT."""
        return self.specialist_data in INTO_SFT

    @property
    def recaptioned(self) -> str:
        """The name of the dataset to recaption."""
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
