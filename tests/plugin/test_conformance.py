"""The checks of each kind of plugin: what is wrong is caught, by a message that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.plugin.scaffolded import changed, installed, run_tests
from vila2.plugin.scaffolding import new_plugin

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Misbehaving:
    """A new plugin with one piece of its code replaced.

    Attributes:
        name: name of the plugin, which begins with its kind.
        file: file of the package that is changed.
        old, new: the piece, and what stands in its place.
        caught_by: part of the name of the check that must fail.
        says: part of its message.
    """

    name: str
    file: str
    old: str
    new: str
    caught_by: str
    says: str

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


def tool(name: str, old: str, new: str, caught_by: str, says: str) -> Misbehaving:
    return Misbehaving(f"tool-{name}", "looking.py", old, new, caught_by, says)


def verifying(name: str, body: str, says: str) -> Misbehaving:
    """A tool with a verifier, which stands in the module of the description."""
    code = f'TOOL = Tool(\n    verifier="vila2_tool_{name}:verify",'
    return Misbehaving(
        f"tool-{name}",
        "__init__.py",
        "TOOL = Tool(",
        f"def verify(claims, evidence):\n    {body}\n\n\n{code}",
        "its_verifier",
        says,
    )


def engine(name: str, old: str, new: str, caught_by: str, says: str) -> Misbehaving:
    return Misbehaving(f"engine-{name}", "__init__.py", old, new, caught_by, says)


def source(name: str, old: str, new: str, caught_by: str, says: str) -> Misbehaving:
    return Misbehaving(f"source-{name}", "__init__.py", old, new, caught_by, says)


def benchmark(name: str, old: str, new: str, caught_by: str, says: str) -> Misbehaving:
    return Misbehaving(f"benchmark-{name}", "__init__.py", old, new, caught_by, says)


_BOXED = (
    "from vila2.plugin import BoxPart, Claim, assistant, user\n"
    "        return Parsed((user('Where?'), assistant('Here ', BoxPart((0.1, 0.1, 0.5, 0.5)))),\n"
    "            (Claim('attribute', 0, 9, 'unverified', subject='it', value='red'),))\n"
    "        return reply("
)
_ANSWERS = "[_cut(describe(request), settings.max_new_tokens) for request in requests]"
_SAMPLE = "Sample(key, (image,), (user(ImagePart()), assistant(caption.strip())))"
_SAID = "assistant(caption.strip())"
_NAMED = '", ".join(names) + "."'
_SHARE = "float(len(right & set(words)))"

WRONG = [
    tool("pixels", "value=name)", "value=name, boxes=((0, 0, 90, 90),))", "contract", "divide pixels by"),
    tool("swapped", "value=name)", "value=name, boxes=((0.9, 0, 0.1, 1),))", "contract", "left, top, right"),
    tool("span", "return reply(", _BOXED, "contract", "lies in the coordinates"),
    tool("beyond", "return reply(", _BOXED.replace("0, 9,", "0, 99,"), "contract", "`reply` does it"),
    tool("other", 'kind="attribute"', 'kind="object"', "contract", "not among its `claims`"),
    tool("fails", "seen.decoded()", "seen.picture", "contract", "'picture'"),
    tool("mute", "[said,", '["Gray",', "finds_something", "claim something of attribute"),
    tool("chance", "value=name)", "value=str(id(look)))", "the_same_again", "on the image and the settings"),
    verifying("drops", "return claims[1:]", "keep the order"),
    verifying(
        "refutes",
        "from dataclasses import replace; return [replace(one, status='contradicted') for one in claims]",
        "contradict only what the evidence rules out",
    ),
    verifying("breaks", "return claims[9].subject", "IndexError"),
    engine("eos", '"stop"', '"eos"', "every_request", "finish is 'eos', not one of stop, length"),
    engine("few", _ANSWERS, f"{_ANSWERS}[1:]", "every_request", "give one answer for each request"),
    engine("none", '" ".join(kept), ', "None, ", "every_request", "text is None, not a text"),
    engine("long", "len(kept))", "len(words))", "end_at_the_limit", "not a number from 0 to 1"),
    engine("mixed", _ANSWERS, f"{_ANSWERS}[::-1]", "neither_order", "answer each request by itself"),
    engine("new", '-1-{model}"', '-{id(self)}"', "same_engine", "make it of the model and its weights"),
    source("pixels", _SAID, "assistant(BoxPart((0, 0, 9, 9)))", "can_be_written", "divide pixels by"),
    source("letters", f"return {_SAMPLE}", "return caption", "can_be_written", "give Sample or Reject"),
    source("whole", ", start, None", ", 0, None", "start_and_count", "read at most `count`"),
    source("chance", 'f"{number:06d}"', "str(__import__('random').random())", "same_again", "neither chance"),
    source("twice", 'f"{number:06d}"', '"a"', "keys_are_unique", "make keys of the input's place"),
    benchmark("nan", _SHARE, 'float("nan")', "items_are_sound", "no finite number"),
    benchmark("short", "            keys,\n", "            keys[1:],\n", "items_are_sound", "one of each"),
    benchmark("divides", "len(words) for", "1 / len(words) for", "items_are_sound", "ZeroDivisionError"),
    benchmark("worse", "in there],", "in there], higher_is_better=False,", "tells_right", "correct `higher"),
    benchmark("same", "one.said.text", "one.reference.text", "tells_right", "score `said` against"),
    benchmark("order", _SHARE, "float(said.index(words))", "neither_order", "score each answer by itself"),
    Misbehaving("specialist-nan", "answers.py", "(len(there & named), len(there))", '(float("nan"), 1)',
                "score_better", "no finite number"),
    Misbehaving("specialist-pixels", "answers.py", "subject=name.group())", "boxes=((0, 0, 9, 9),))",
                "builders_own", "divide pixels by"),
    Misbehaving("specialist-swapped", "builder.py", _NAMED, "BoxPart((0.9, 0, 0.1, 1))",
                "trained_on", "left, top, right"),
    Misbehaving("specialist-span", "builder.py", _NAMED, '"Here ", BoxPart((0, 0, 0.5, 0.5))',
                "builders_own", "lies in the coordinates"),
    Misbehaving("specialist-drops", "__init__.py", "SPECIALIST = Specialist(",
                "def verify(claims, evidence):\n    return claims[1:]\n\n\nSPECIALIST = Specialist(\n"
                '    verifier="vila2_specialist_drops:verify",', "its_verifier", "keep the order"),
]  # fmt: skip


@pytest.fixture(scope="module")
def failures(tmp_path_factory) -> dict[str, str]:
    """The failed checks of all of them: the message by the plugin and the check."""
    parent = tmp_path_factory.mktemp("wrong")
    folders = []
    for one in WRONG:
        folder = new_plugin(one.name, parent, kind=one.kind)[0].parent
        changed(folder, one.file, one.old, one.new)
        if "BoxPart" in one.new and "import" not in one.new:
            changed(folder, one.file, "ImagePart, ", "BoxPart, ImagePart, ")
        installed(folder, parent / "site")
        folders.append(folder)
    done = run_tests(folders, parent / "site", "--tb=short", "-k", "not listing and not another_process")
    found = re.findall(r"^_+ .*?Test(\w+)\.(\w+) _+$(.*?)(?=^_+ .*Test|^={3,} )", done.stdout, re.M | re.S)
    assert found, done.stdout[-3000:]
    return {f"{name}.{check}": message for name, check, message in found}


@pytest.mark.parametrize("one", WRONG, ids=lambda one: one.name)
def test_what_is_wrong_is_caught_by_a_message_that_says_what_to_do(failures, one):
    name = "".join(word.capitalize() for word in one.name.split("-"))
    own = {check: message for check, message in failures.items() if check.startswith(f"{name}.")}
    caught = [message for check, message in own.items() if one.caught_by in check]
    assert caught, f"only {list(own)} failed"
    assert any(one.says in " ".join(message.split()) for message in caught), caught[0][-1500:]
