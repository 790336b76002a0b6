"""Plugins that keep to the contract, each in a way of its own."""

from __future__ import annotations

from tests.plugin.wrong_plugins import HOOK, Wrong, benchmark, built, engine, source, specialist

ANSWERS = "return [Answer('right', 'stop', 1) for one in requests]"
YIELD = "yield Sample('a', (b'x',), (user('a'),))"
ITEMS = "Items.of_means(keys, [1.0] * len(keys))"
SAMPLE = "Sample('a', (b'x',), (user('a'),))"
OPTIONAL = "\n\n@hookimpl(optionalhook=True)\ndef vila2_dreams():\n    return []\n"


def _right(name: str, kind: str, code: str, **more: str) -> Wrong:
    return Wrong(name, kind, code, "", **more)


RIGHT = [
    _right("good_plain", "plugin", specialist("good_plain")),
    _right("good_loud", "plugin", "print('hello')\n" + specialist("good_loud")),
    _right("good_contract", "plugin", specialist("good_contract", api_version=2)),
    _right("good_rangeless", "plugin", specialist("good_rangeless"), requires=""),
    _right("good_pinned", "plugin", specialist("good_pinned"), requires="vila2~=0.1.0"),
    _right("good_optional", "plugin", specialist("good_optional") + OPTIONAL),
    _right("good_licence", "plugin", specialist("good_licence", licence="for research")),
    _right("good_build", "build", built("good_build", YIELD)),
    _right("good_reject", "build", built("good_reject", "yield Reject('a', 'a', 'b')")),
    _right("good_told", "after", HOOK.format("after_stage(folder, stage, results)", "print(stage)")),
    _right("good_partly_told", "after", HOOK.format("after_stage(stage)", "return 5")),
    _right("good_engine", "engine", engine(ANSWERS)),
    _right("good_loud_engine", "engine", engine("print('on'); " + ANSWERS)),
    _right(
        "good_counts",  # with another tokenizer than the one that ends the answer
        "engine",
        engine("return [Answer('right', 'length', settings.max_new_tokens + 3) for one in requests]"),
    ),
    _right("good_tuple", "engine", engine("return tuple(Answer('right', 'length', 3) for one in requests)")),
    _right("good_generator", "engine", engine("return (Answer('', 'stop', 0) for one in requests)")),
    _right(
        "good_class",
        "engine",
        engine(ANSWERS).replace("def opened", "def unused") + "\n\nclass opened(Engine):\n"
        "    def __init__(self, model, **options): ...\n",
    ),
    _right("good_source", "source", source(YIELD)),
    _right("good_loud_source", "source", source(f"print('on'); yield {SAMPLE}")),
    _right("good_list", "source", source(f"return [{SAMPLE}]")),
    _right("good_rejects", "source", source(f"yield Reject('a', 'b', 'c'); yield {SAMPLE}")),
    _right(
        "good_class_source",
        "source",
        source("...").replace("def read", "def unused") + "\n\nclass read:\n"
        f"    def __init__(self, *, start=0, count=3): ...\n    def __iter__(self): yield {SAMPLE}\n",
    ),
    _right("good_benchmark", "benchmark", benchmark(f"return {{'m': {ITEMS}}}")),
    _right("good_two", "benchmark", benchmark(f"return {{'m': {ITEMS}, 'n': {ITEMS}}}")),
    _right(
        "good_ratios",
        "benchmark",
        benchmark("return {'m': Items.of_ratios((a.sample.key, 1, 2) for a in asked)}"),
    ),
    _right(
        "good_words",
        "benchmark",
        benchmark("return {'m': Items.of_means(keys, [3] * len(keys), 'words', None)}"),
    ),
]
