"""The checks that every engine passes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.engine.registry import open_engine
from vila2.errors import DataError
from vila2.plugin.discovery import Kind
from vila2.recipe.parts.engine import EngineSpec
from vila2.testing.installed import InstalledConformance

_PROMPTS = ("Describe the image.", "What is in the picture?", "Is there a cube? Answer yes or no.", "Hello!")


class EngineConformance(InstalledConformance):
    """Base of an engine's test class. The class gives the engine's ``name`` and a ``model``.

        class TestServer(EngineConformance):
            name = "server"
            model = "some/model"

    Attributes:
        model: Model that it opens, as small as there is.
        options: Options of the engine that differ from their defaults.
        settings: Settings of generation.
    """

    brings: ClassVar[Kind] = "engine"
    model: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    settings: ClassVar[GenerationSettings] = GenerationSettings(max_new_tokens=32)

    @pytest.fixture
    def engine(self) -> Engine:
        """The engine as a recipe or ``--engine`` opens it: its answers are checked where they come in."""
        return open_engine(EngineSpec(name=self.name, options=dict(self.options)), self.model)

    @pytest.fixture
    def requests(self, vila2_world: Path) -> list[Request]:
        """Requests of all forms that the host makes: with an image, with several, with none."""
        dataset = ShardDataset.open(vila2_world)
        images = [dataset[number].images[0] for number in range(4)]
        shown = [images[:1], images[1:2], images[2:4], []]
        return [
            Request(f"request-{number}", tuple(several), prompt)
            for number, (several, prompt) in enumerate(zip(shown, _PROMPTS, strict=True))
        ]

    def test_every_request_gets_an_answer_in_the_form_of_the_contract(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        engine.generate(requests, self.settings)

    def test_answers_end_at_the_limit(self, engine: Engine, requests: list[Request]) -> None:
        for answer in engine.generate(requests, replace(self.settings, max_new_tokens=1)):
            assert answer.tokens <= 1, f"{answer}: stop at `settings.max_new_tokens`, with finish='length'"

    def test_neither_order_nor_company_change_an_answer(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        together = engine.generate(requests, self.settings)
        backwards = engine.generate(requests[::-1], self.settings)[::-1]
        alone = [engine.generate([request], self.settings)[0] for request in requests]
        for request, *answers in zip(requests, together, backwards, alone, strict=True):
            assert len({answer.text for answer in answers}) == 1, (
                f"{request.key} is answered by {answers[0].text!r} in a batch, {answers[1].text!r} in the "
                f"batch backwards, {answers[2].text!r} alone: answer each request by itself, in their order"
            )

    def test_opened_again_it_is_the_same_engine(self, engine: Engine, requests: list[Request]) -> None:
        again = open_engine(EngineSpec(name=self.name, options=dict(self.options)), self.model)
        assert again.digest == engine.digest, (
            f"the digest is {engine.digest!r}, then {again.digest!r}: make it of the model and its weights, "
            "or every run begins anew"
        )
        first, second = (one.generate(requests, self.settings) for one in (engine, again))
        assert [one.text for one in first] == [one.text for one in second], (
            "opened again, it gives other answers at temperature 0: take chance from the settings' seed alone"
        )

    def test_a_damaged_image_is_refused_or_answered(self, engine: Engine, requests: list[Request]) -> None:
        damaged = replace(requests[0], images=(requests[0].images[0][:100],))
        with suppress(DataError):  # RequestsRefused is one: the job asks the others again
            engine.generate([damaged], self.settings)
        assert engine.generate(requests[:1], self.settings), "after a damaged image it answers no more"

    def test_its_stream_answers_what_generate_answers(self, engine: Engine, requests: list[Request]) -> None:
        stream = getattr(engine, "stream", None)
        if stream is None:
            return
        streamed = dict(stream(iter(requests), self.settings))
        whole = engine.generate(requests, self.settings)
        for number, answer in enumerate(whole):
            assert streamed[number] == answer, (
                f"stream() answers {requests[number].key} by {streamed[number]}, generate() by {answer}: "
                "give the number of each request with its own answer"
            )
