"""Plugins that load and are wrong when they are used: specialists, engines, sources and benchmarks."""

from __future__ import annotations

from tests.plugin.wrong_plugins import (
    HOOK,
    LOADED,
    UPGRADE,
    Wrong,
    benchmark,
    built,
    engine,
    source,
    specialist,
)

#: The faults of what a specialist names, and of a hook that is called later.
CALLED = [
    Wrong(
        "one_subset",
        "build",
        specialist("one_subset").replace('("built",)', '"built"'),
        "the builder's subsets are 'built'",
        '("built",)',
    ),
    Wrong(
        "no_version",
        "build",
        specialist("no_version").replace("    version = 1\n", ""),
        "the builder has no version",
        "vila2.plugin.Builder",
    ),
    Wrong(
        "no_config",
        "build",
        specialist("no_config").replace("class Config(BuilderConfig)", "class Config"),
        "is no BuilderConfig",
        "derive it from BuilderConfig",
    ),
    Wrong(
        "bad_start",
        "build",
        specialist("bad_start").replace("config): ...", "config): raise OSError('no key')"),
        "OSError: no key",
    ),
    Wrong("build_exits", "build", built("build_exits", "import sys; sys.exit(1); yield"), "SystemExit: 1"),
    Wrong(
        "build_gives",
        "build",
        built("build_gives", "yield 'a sample'"),
        "gave 'a sample'",
        "Sample or Reject",
    ),
    Wrong("build_key", "build", built("build_key", "yield Sample(5)"), "key is 5", ""),
    Wrong(
        "build_picture",
        "build",
        built("build_picture", "yield Sample('a', 'b')"),
        "images are 'b'",
        "vila2.plugin.Sample",
    ),
    Wrong(
        "endless",
        "build",
        specialist("endless").replace(
            'return ["all"]', "import itertools; return map(str, itertools.count())"
        ),
        "more than 100,000",
        "end it",
    ),
    Wrong("no_measure", "metrics", specialist("no_measure"), "gives no measure", "Items"),
    Wrong(
        "told_fails", "after", HOOK.format("after_stage(stage)", "raise OSError('no net')"), "OSError: no net"
    ),
    Wrong("told_exits", "after", HOOK.format("after_stage()", "raise SystemExit"), "SystemExit"),
    Wrong(
        "not_told",
        "after",
        HOOK.format("specialists()", "return []"),
        "does not implement vila2_after_stage",
        "leave it out",
    ),
]
#: The faults of engines, sources and benchmarks.
BROUGHT = [
    Wrong(
        "eos",
        "engine",
        engine("return [Answer('a', 'eos', 1) for one in requests]"),
        "finish is 'eos'",
        "Answer",
    ),
    Wrong(
        "few",
        "engine",
        engine("return [Answer('a', 'stop', 1)]"),
        "gave 1 answers to 2",
        "one answer for each",
    ),
    Wrong("silent", "engine", engine("return [Answer(None, 'stop', 1)] * 2"), "text is None", "Answer"),
    Wrong(
        "half", "engine", engine("return [Answer('\\ud83d', 'stop', 1)] * 2"), "half a character", "Answer"
    ),
    Wrong("long", "engine", engine("return [Answer('a', 'stop', 10**6)] * 2"), "tokens is 1000000", "Answer"),
    Wrong("words", "engine", engine("return ['a', 'b']"), "gave 'a'", "give Answer"),
    Wrong("breaks", "engine", engine("raise ConnectionError('refused')"), "ConnectionError: refused"),
    Wrong("quits", "engine", engine("sys.exit('bye')"), "SystemExit: bye"),
    Wrong("refuses", "engine", engine("raise RequestsRefused({7: 'no'})"), "request 7 of 2", "number"),
    Wrong("nameless", "engine", engine("return []", "digest = 'w'"), "engine's name is None", "for a reader"),
    Wrong("nothing", "engine", "def opened(model, **options): ...", "engine's name is None", "for a reader"),
    Wrong("no_function", "engine", "x = 1", "has no 'opened'", "fix the reference"),
    Wrong("a_number", "engine", "opened = 1", "cannot be called", "name a function"),
    Wrong(
        "later_answer", "engine", engine("return [Answer('a', 'stop', 1, mood='x')] * 2"), "'mood'", UPGRADE
    ),
    Wrong("none", "source", source("yield None"), "gave None", "Sample or Reject"),
    Wrong("half_way", "source", source("yield Sample('a', (b'x',), (user('a'),)); {}['b']"), "KeyError: 'b'"),
    Wrong("number", "source", source("return 5"), "gave 5", "Iterable"),
    Wrong("source_core", "source", source("yield None"), "needs vila2>=1", UPGRADE, "vila2>=1"),
    Wrong(
        "nan",
        "benchmark",
        benchmark("return {'m': Items.of_means(keys, [float('nan')] * len(keys))}"),
        "measure 'm': numerators holds nan",
        "Items",
    ),
    Wrong(
        "uneven",
        "benchmark",
        benchmark("return {'m': Items(keys, [1.0], [1.0] * 5)}"),
        "measure 'm': ",
        "Items",
    ),
    Wrong(
        "stranger", "benchmark", benchmark("return {'m': Items(['b'], [1.0], [1.0])}"), "the key 'b'", "Items"
    ),
    Wrong("plain", "benchmark", benchmark("return 0.5"), "no items by measure", "Items"),
    Wrong("divides", "benchmark", benchmark("return 1 / 0"), "ZeroDivisionError"),
]
WRONG = [*LOADED, *CALLED, *BROUGHT]
