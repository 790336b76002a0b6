"""The checks that every specialist passes. A plugin's test class gets all of them from one base class.

    from vila2.testing import SpecialistConformance

    class TestCounting(SpecialistConformance):
        name = "counting"

The data is forty rendered scenes with full evidence; override the fixture ``data`` to check on one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import exchanges_of
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, SpokenPart, TextPart, Turn
from vila2.evaluate.held_out import score_asked
from vila2.plugin.contract import Asked, Said, Specialist
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference
from vila2.testing.installed import InstalledConformance, run_python
from vila2.testing.said_checks import check_parsed, check_spans, check_verifier
from vila2.testing.sample_answers import generated_answers
from vila2.testing.written_checks import check_written


class SpecialistConformance(InstalledConformance):
    """Base of a plugin's test class. The class gives the specialist's ``name``.

    Attributes:
        scheme: Form of coordinates in the answers that the parser's checks use.
    """

    scheme: ClassVar[CoordinateScheme] = CoordinateScheme()

    @pytest.fixture
    def data(self, vila2_world: Path) -> Path:
        """The data that the builder reads."""
        return vila2_world

    @pytest.fixture
    def specialist(self) -> Specialist:
        """The specialist as the command line gets it from the host."""
        return Host().specialist(self.name)

    @pytest.fixture
    def config(self, specialist: Specialist, data: Path) -> Any:
        """The builder's settings."""
        return load_reference(specialist.config, of=self.name)(data=data)

    @pytest.fixture
    def built(self, specialist: Specialist, config: Any) -> list[Sample | Reject]:
        """Everything that the builder makes of the data."""
        return _build(specialist, config)

    @pytest.fixture
    def samples(self, built: list[Sample | Reject]) -> list[Sample]:
        """The samples among everything that was built."""
        return [item for item in built if isinstance(item, Sample)]

    def test_the_builder_makes_samples_that_can_be_trained_on(
        self, built: list[Sample | Reject], samples: list[Sample], specialist: Specialist, tmp_path: Path
    ) -> None:
        check_written(built, tmp_path / "built")
        subsets = load_reference(specialist.builder, of=self.name).subsets
        named = {sample.meta.get("subset", subsets[0]) for sample in samples}
        assert named <= set(subsets), (
            f"samples of the subsets {named - set(subsets)}, which it does not declare"
        )
        assert any(turn.trained for sample in samples for turn in sample.turns), "nothing is trained on"

    def test_the_builder_is_deterministic_whatever_the_order_of_its_shards(
        self, specialist: Specialist, config: Any
    ) -> None:
        assert _build(specialist, config) == _build(specialist, config, backwards=True)

    def test_the_builder_gives_the_same_in_another_process(
        self, specialist: Specialist, config: Any, built: list[Sample | Reject]
    ) -> None:
        code = (
            "import hashlib, sys; from vila2.testing.conformance import fingerprint, _build\n"
            "from vila2.plugin.host import Host; from vila2.plugin.references import load_reference\n"
            f"specialist = Host().specialist({self.name!r})\n"
            f"config = load_reference(specialist.config, of='')"
            f".model_validate_json({config.model_dump_json()!r})\n"
            "print(fingerprint(_build(specialist, config)))"
        )
        other = run_python(code, PYTHONHASHSEED="4711")
        assert other.returncode == 0, other.stderr
        assert other.stdout.strip().splitlines()[-1] == fingerprint(built)

    def test_the_builder_writes_nothing(
        self, specialist: Specialist, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = _listing(config.data)
        _build(specialist, config)
        assert _listing(config.data) == before, "the builder wrote into its data"
        assert not list(tmp_path.iterdir()), "the builder wrote into the current folder"

    def test_text_holds_no_special_token(self, samples: list[Sample], specialist: Specialist) -> None:
        spelled = [token for spec in specialist.tokens for token in spec.tokens]
        for sample in samples:
            for turn in sample.turns:
                found = [token for token in spelled if token in turn.text]
                assert not found, f"{sample.key}: {found[:3]} as plain text; use box and point parts"

    def test_the_parser_keeps_the_builders_own_answers(
        self, samples: list[Sample], specialist: Specialist
    ) -> None:
        parse = load_reference(specialist.parser, of=self.name)
        answered, exchanges = 0, _exchanges(samples)
        for sample, question, answer in exchanges:
            said = _said(self.scheme, question.text, self.scheme.to_text(_spoken(answer)))
            parsed = parse(said)
            check_parsed(parsed, said, len(sample.images))
            check_spans(parsed.claims, said, self.scheme)
            answered += parsed.status == "ok"
        total = len(exchanges)
        assert answered >= 0.9 * total, f"only {answered} of {total} answers of the builder's are understood"

    def test_the_parser_takes_any_answer(self, samples: list[Sample], specialist: Specialist) -> None:
        parse = load_reference(specialist.parser, of=self.name)
        known = [self.scheme.to_text(_spoken(answer)) for _, _, answer in _exchanges(samples)]
        for number, text in enumerate(generated_answers(known, 1000)):
            said = _said(self.scheme, specialist.prompts[number % len(specialist.prompts)], text)
            try:
                check_parsed(parse(said), said)
            except Exception as error:
                error.add_note(f"the answer was {text[:200]!r}")
                raise

    def test_its_verifier_gives_every_claim_back(self, samples: list[Sample], specialist: Specialist) -> None:
        if specialist.verifier is None:
            return
        of = f"{self.name}, verifier"
        parse = load_reference(specialist.parser, of=of)
        claimed: list[tuple[Sample, Sequence[Claim]]] = [
            (sample, parse(_said(self.scheme, question.text, self.scheme.to_text(_spoken(answer)))).claims)
            for sample, question, answer in _exchanges(samples)
        ]
        check_verifier(load_reference(specialist.verifier, of=of), claimed, of=of)

    def test_right_answers_score_better_than_none(
        self, samples: list[Sample], specialist: Specialist
    ) -> None:
        score = load_reference(specialist.metrics, of=self.name)
        right, silent = [], []
        for sample, question, answer in _exchanges(samples)[:200]:
            text = self.scheme.to_text(_spoken(answer))
            right.append(Asked(sample, question, answer, _said(self.scheme, question.text, text)))
            silent.append(Asked(sample, question, answer, _said(self.scheme, question.text, "")))
        best, worst = (score_asked(score, asked, of=f"{self.name}, metrics") for asked in (right, silent))
        measure = next(iter(best))
        assert (best[measure].value or 0.0) > (worst[measure].value or 0.0), (
            f"{measure} does not tell right from nothing"
        )

    def modules(self) -> set[str]:
        """The packages that hold the plugin and what it refers to."""
        specialist = Host().specialist(self.name)
        fields = ("builder", "config", "parser", "metrics")
        return {getattr(specialist, field).partition(":")[0].split(".")[0] for field in fields}


def fingerprint(built: Iterable[Sample | Reject]) -> str:
    """A digest of samples with their images. It is the same in every process."""
    import hashlib
    import json
    from dataclasses import asdict

    digest = hashlib.sha256()
    for item in built:
        if isinstance(item, Reject):
            digest.update(json.dumps(asdict(item), sort_keys=True, default=str).encode())
            continue
        turns = [turn.to_json() for turn in item.turns]
        digest.update(json.dumps([item.key, turns, dict(item.meta)], sort_keys=True, default=str).encode())
        for image in item.images:
            digest.update(hashlib.sha256(image).digest())
    return digest.hexdigest()


def _build(specialist: Specialist, config: Any, *, backwards: bool = False) -> list[Sample | Reject]:
    builder = load_reference(specialist.builder, of=specialist.name)(config)
    shards = list(builder.shards())
    assert len(shards) == len(set(shards)), "two shards have one name"
    built = {shard: list(builder.build(shard)) for shard in (reversed(shards) if backwards else shards)}
    return [item for shard in shards for item in built[shard]]


def _exchanges(samples: list[Sample]) -> list[tuple[Sample, Turn, Turn]]:
    return [
        (sample, one.question, one.answer)
        for sample in samples
        for one in exchanges_of(sample)
        if one.answer.trained
    ]


def _spoken(turn: Turn) -> tuple[SpokenPart, ...]:
    return tuple(part for part in turn.parts if not isinstance(part, ImagePart))


def _said(scheme: CoordinateScheme, prompt: str, text: str) -> Said:
    parts = scheme.to_parts(text)
    return Said("key", prompt, text, parts or (TextPart(text),), "ok" if text.strip() else "empty")


def _listing(path: Path) -> dict[str, tuple[int, int]]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}
