"""The checks that every specialist passes. A plugin's test class gets all of them from one base class.

    from vila2.testing import SpecialistConformance

    class TestCounting(SpecialistConformance):
        name = "counting"

The data is forty rendered scenes with full evidence; override the fixture ``data`` to check on one's own.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.annotations import STATUSES
from vila2.data.coordinates import CoordinateScheme
from vila2.data.importing import write_dataset
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, SpokenPart, TextPart, Turn
from vila2.plugin.checks import check_plugin
from vila2.plugin.contract import Asked, Parsed, Said, Specialist
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference
from vila2.testing.sample_answers import generated_answers

_FORBIDDEN = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


class SpecialistConformance:
    """Base of a plugin's test class. The class gives the specialist's ``name``.

    Attributes:
        name: Name of the specialist, equal to its entry point's name.
        scheme: Form of coordinates in the answers that the parser's checks use.
    """

    name: ClassVar[str]
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

    def test_it_is_installed_and_every_reference_resolves(self) -> None:
        failed = [check for check in check_plugin(Host(), self.name) if not check.passed]
        assert not failed, "\n".join(f"{check.what}: {check.detail}" for check in failed)

    def test_listing_it_imports_neither_it_nor_torch(self) -> None:
        module = Host().plugin(self.name).module.partition(":")[0]
        listed = _python(
            "import sys; from vila2.plugin.discovery import installed_plugins\n"
            f"assert any(plugin.name == {self.name!r} for plugin in installed_plugins())\n"
            f"assert {module!r} not in sys.modules, 'the list imported the plugin'\n"
            "assert 'torch' not in sys.modules, 'the list imported torch'\n"
            f"from vila2.plugin.host import Host; Host().specialist({self.name!r})\n"
            "assert 'torch' not in sys.modules, 'describing the specialist imports torch: use references'"
        )
        assert listed.returncode == 0, listed.stderr

    def test_the_builder_makes_samples_that_can_be_trained_on(
        self, built: list[Sample | Reject], samples: list[Sample], specialist: Specialist, tmp_path: Path
    ) -> None:
        assert samples, f"of {len(built)} inputs none became a sample: {built[:3]}"
        info = write_dataset(tmp_path / "built", iter(built), name="built")
        refused = {reason for reason in info.rejected} - {r.reason for r in built if isinstance(r, Reject)}
        assert not refused, (
            f"the host refuses samples: {(tmp_path / 'built' / 'rejected.jsonl').read_text()[:500]}"
        )
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
        other = _python(code, PYTHONHASHSEED="4711")
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
        answered = 0
        for _, question, answer in _exchanges(samples):
            said = _said(self.scheme, question.text, self.scheme.to_text(_spoken(answer)))
            parsed = parse(said)
            self._check_parsed(parsed, said)
            answered += parsed.status == "ok"
        total = len(_exchanges(samples))
        assert answered >= 0.9 * total, f"only {answered} of {total} answers of the builder's are understood"

    def test_the_parser_takes_any_answer(self, samples: list[Sample], specialist: Specialist) -> None:
        parse = load_reference(specialist.parser, of=self.name)
        known = [self.scheme.to_text(_spoken(answer)) for _, _, answer in _exchanges(samples)]
        for number, text in enumerate(generated_answers(known, 1000)):
            said = _said(self.scheme, specialist.prompts[number % len(specialist.prompts)], text)
            try:
                self._check_parsed(parse(said), said)
            except Exception as error:
                error.add_note(f"the answer was {text[:200]!r}")
                raise

    def test_right_answers_score_better_than_none(
        self, samples: list[Sample], specialist: Specialist
    ) -> None:
        score = load_reference(specialist.metrics, of=self.name)
        right, silent = [], []
        for sample, question, answer in _exchanges(samples)[:200]:
            text = self.scheme.to_text(_spoken(answer))
            right.append(Asked(sample, question, answer, _said(self.scheme, question.text, text)))
            silent.append(Asked(sample, question, answer, _said(self.scheme, question.text, "")))
        best, worst = score(right), score(silent)
        assert best, "no measure"
        measure = next(iter(best))
        assert _value(best[measure]) > _value(worst[measure]), f"{measure} does not tell right from nothing"
        for items in best.values():
            assert len(items.keys) == len(items.numerators) == len(items.denominators)

    def test_it_does_not_unpickle(self, specialist: Specialist) -> None:
        modules = {getattr(specialist, field).partition(":")[0].split(".")[0]
                   for field in ("builder", "config", "parser", "metrics")}  # fmt: skip
        for module in modules:
            for file in _files(module):
                found = _unpickles(ast.parse(file.read_text(encoding="utf-8")))
                assert not found, f"{file}, line {found[0]}: unpickling runs whatever a file says"

    def _check_parsed(self, parsed: Any, said: Said) -> None:
        assert isinstance(parsed, Parsed), f"the parser gave {parsed!r}"
        assert parsed.status in STATUSES, f"unknown status {parsed.status!r}"
        assert bool(parsed.turns) or parsed.status != "ok", "an answer that is ok has turns"
        for claim in parsed.claims:
            assert 0 <= claim.start <= claim.end <= len(said.text), f"{claim} spans more than the answer"
        for turn in parsed.turns:
            assert turn.role in ("user", "assistant")


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
        (sample, one, two)
        for sample in samples
        for one, two in zip(sample.turns, sample.turns[1:], strict=False)
        if (one.role, two.role) == ("user", "assistant") and two.trained
    ]


def _spoken(turn: Turn) -> tuple[SpokenPart, ...]:
    return tuple(part for part in turn.parts if not isinstance(part, ImagePart))


def _said(scheme: CoordinateScheme, prompt: str, text: str) -> Said:
    parts = scheme.to_parts(text)
    return Said("key", prompt, text, parts or (TextPart(text),), "ok" if text.strip() else "empty")


def _value(items: Any) -> float:
    return float(sum(items.numerators) / (sum(items.denominators) or 1.0))


def _listing(path: Path) -> dict[str, tuple[int, int]]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    if spec.submodule_search_locations:
        return [
            file for place in spec.submodule_search_locations for file in sorted(Path(place).rglob("*.py"))
        ]
    return [Path(str(spec.origin))]


def _unpickles(tree: ast.AST) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [node.lineno for name in node.names if name.name.split(".")[0] in _FORBIDDEN]
        elif (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _FORBIDDEN) or (
            isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
        ):
            found.append(node.lineno)
    return found


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, sys.path))  # the other process needs what pytest put on the path
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        check=False,
    )
