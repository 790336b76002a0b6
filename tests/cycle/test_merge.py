"""Merging real layers of the miniature world: what is false goes, what is true stays, the same way every time."""

import re
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
from merge_layers import grounded, reads, relates, said, world, world_layers, write_layer
from packages import install_specialist

from vila2.claims.names import Vocabulary
from vila2.claims.reading import read_claims
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.layers import Layer, original_layer
from vila2.data.sample import BoxPart, TextPart, Turn, assistant, user
from vila2.data.shards import ShardDataset
from vila2.data.views import View, apply_view
from vila2.engine.protocol import Answer
from vila2.errors import DataError, PluginError, RunError
from vila2.merge.answer_sentences import Sentence, sentences_of, with_claims
from vila2.merge.deciding import decided
from vila2.merge.dialogue import Talk
from vila2.merge.fate_counts import tally_merge
from vila2.merge.fates import read_fates
from vila2.merge.hearing import HeardExchange, Spoken
from vila2.merge.known import Known, known_of
from vila2.merge.merge_step import MergeSettings, merge
from vila2.merge.merging import merge_layers
from vila2.merge.repeats import refuted_repeats
from vila2.merge.sources import Source
from vila2.plugin.host import Host
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.board import Board
from vila2.sources.world import PARTS, Scene, caption_scores, check_caption

ALL = ("objects", "texts", "repeats")
LEFT, RIGHT = (0.1, 0.4, 0.3, 0.6), (0.7, 0.4, 0.9, 0.6)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ShardDataset:
    return world(tmp_path_factory.mktemp("merge") / "pairs")


@pytest.fixture(scope="module")
def layers(dataset):
    return world_layers(dataset)


@pytest.fixture
def small(tmp_path) -> ShardDataset:
    return world(tmp_path / "small", count=4)


def merged(dataset, layers, folder, seed=0, engine=None, progress=None, **settings) -> Layer:
    settings = {"base": "self-1" if "self-1" in layers else None, "absence": ALL} | settings
    return merge_layers(
        dataset,
        layers,
        folder=folder,
        spec=MergeSpec(**settings),
        seed=seed,
        engine=engine,
        progress=progress,
    )


def everywhere(dataset, make) -> list:
    """The same about every image, so that the specialist is known to find such things."""
    return [make(key) for key in dataset.keys()]  # noqa: SIM118 - no dict


def fates(folder, source):
    return [one for one in read_fates(folder) if one.source == source and one.sentence >= 0]


def captions(layer, source="self-1"):
    """What is left of one source's caption, by key."""
    return {
        row.key: " ".join(turn.text for turn in row.turns if turn.source == source)
        for row in layer.rows()
        if row.status == "ok" and not row.prompt
    }


def truth(dataset, layer) -> tuple[float, float, Counter]:
    """Share of false claims in the self layer's text, mean object recall of all that is said, and claims by status."""
    statuses, recalls = Counter(), []
    for sample in dataset:
        scene = Scene.from_json(sample.meta["scene"])
        text = captions(layer).get(sample.key, "")
        statuses.update(claim.status for claim in check_caption(scene, text))
        whole = " ".join(row.text for row in layer.get(sample.key))
        recalls.append(caption_scores(scene, whole)["object_recall"])
    judged = statuses["supported"] + statuses["contradicted"]
    return statuses["contradicted"] / judged, sum(recalls) / len(recalls), statuses


def test_with_right_evidence_what_is_false_goes_and_no_object_is_lost(dataset, layers, tmp_path):
    before, recall, said_before = truth(dataset, merged(dataset, layers, tmp_path / "append", arm="append"))
    after, recall_after, said_after = truth(dataset, merged(dataset, layers, tmp_path / "verified"))
    assert before > 0.05
    assert after < before / 3
    assert recall_after >= recall - 1e-9
    assert said_after["supported"] > 0.6 * said_before["supported"]
    numbers = tally_merge(tmp_path / "verified")["sources"]["self-1"]
    assert numbers["before"]["coverage"] > 0.5 and numbers["before"]["contradiction_rate"] > 0.05
    assert numbers["after"]["contradiction_rate"] == 0
    assert numbers["words_after"] < numbers["words_before"]


def test_of_true_sentences_none_is_called_false_by_right_evidence(dataset, layers, tmp_path):
    # Of two that name one thing, evidence without sizes can not say which is the false one: so no repeats here.
    merged(dataset, layers, tmp_path / "m", absence=("objects", "texts"))
    scenes = {sample.key: Scene.from_json(sample.meta["scene"]) for sample in dataset}
    refuted = [one for one in fates(tmp_path / "m", "self-1") if one.verdict == "contradicted"]
    for one in refuted:
        wrong = [
            claim for claim in check_caption(scenes[one.key], one.text) if claim.status == "contradicted"
        ]
        assert wrong, (one.text, one.detail)
    assert len(refuted) > 10 and all(one.detail for one in refuted)


def test_the_merge_is_the_same_twice_and_another_with_another_seed(dataset, layers, tmp_path):
    one, two = merged(dataset, layers, tmp_path / "one"), merged(dataset, layers, tmp_path / "two")
    other = merged(dataset, layers, tmp_path / "other", seed=1)
    assert one.digest == two.digest != other.digest

    def orders(layer):
        found = {}
        for row in layer.rows():
            found.setdefault(row.key, []).append(row.detail)
        return {key: tuple(names) for key, names in found.items()}

    assert orders(one) != orders(other)
    assert len(set(orders(one).values())) > 2
    assert all(names[0] in ("original+self-1", "original") for names in orders(one).values())


class _Killed(Exception):
    pass


class _StopsAfter(Board):
    """A display board on which the second shard is one too many."""

    def changed(self, event):
        if event == "advance":
            raise _Killed


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_merge_goes_on_to_the_same_bytes(dataset, layers, tmp_path):
    merged(dataset, layers, tmp_path / "whole")
    with pytest.raises(_Killed):
        merged(dataset, layers, tmp_path / "killed", progress=_StopsAfter())
    begun = tmp_path / "killed" / "000000.parquet"
    written = begun.stat().st_mtime_ns
    assert not (tmp_path / "killed" / "000001.parquet").exists()
    merged(dataset, layers, tmp_path / "killed")
    assert begun.stat().st_mtime_ns == written
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_other_settings_or_layers_are_not_mixed_into_a_layer(dataset, layers, tmp_path):
    merged(dataset, layers, tmp_path / "m")
    with pytest.raises(DataError, match="unverified"):
        merged(dataset, layers, tmp_path / "m", unverified="drop")
    with pytest.raises(DataError, match="order"):
        merged(dataset, {name: one for name, one in layers.items() if name != "places"}, tmp_path / "m")


CAPTION = (
    "There is a red cube. It is large. The red cube is left of the blue ball. The red cube is right of the blue ball. "
    'The sign on the red cube says "fox". The red cube says "dog". There are two cubes. A green ball is there. '
    "It shines. The weather is fine."
)


def hand_made(dataset, **more):
    found = {
        "self-1": everywhere(dataset, lambda key: said(key, CAPTION)),
        "boxes": everywhere(dataset, lambda key: grounded(key, [("red cube", LEFT), ("blue ball", RIGHT)])),
        "words": everywhere(dataset, lambda key: reads(key, [("fox", "red cube")])),
    } | more
    layers = {name: write_layer(dataset, name, rows) for name, rows in found.items()}
    return {"original": original_layer(dataset)} | layers


def test_without_boxes_a_description_is_a_caption_and_what_only_gives_a_box_is_left_out(small, tmp_path):
    def where(key: str) -> Annotation:
        turns = (user("Where is it?"), Turn("assistant", (BoxPart(LEFT),)))
        return Annotation(key, "Where is it?", "[0.100,0.400,0.300,0.600]", "ok", turns=turns)

    def what(key: str) -> Annotation:
        turns = (
            Turn("user", (TextPart("What is in "), BoxPart(LEFT))),
            assistant("A red cube stands in it."),
        )
        return Annotation(
            key, "What is in [0.100,0.400,0.300,0.600]", "A red cube stands in it.", "ok", turns=turns
        )

    things = [("red cube", LEFT), ("blue ball", RIGHT)]
    rows = [row for key in small.keys() for row in (grounded(key, things), where(key), what(key))]  # noqa: SIM118
    layers = {"original": original_layer(small), "boxes": write_layer(small, "boxes", rows)}
    kept, dropped = (merged(small, layers, tmp_path / way, boxes=way) for way in ("keep", "drop"))
    assert "[0.100,0.400,0.300,0.600]" in " ".join(row.text for row in kept.rows())
    assert "There is a red cube. There is a blue ball." in captions(dropped, "boxes").values()
    for row in dropped.rows():
        assert not any(isinstance(part, BoxPart) for turn in row.turns for part in turn.parts)
        boxed = [row.text[claim.start : claim.end] for claim in row.claims if claim.boxes]
        assert set(boxed) <= {"a red cube", "a blue ball"}, "claims move along, and keep their boxes"
        assert row.prompt not in ("Where is it?", "What is in [0.100,0.400,0.300,0.600]")
    assert {one.reason for one in fates(tmp_path / "drop", "boxes") if not one.kept} <= {"boxes", "duplicate"}


def test_every_sentence_has_its_verdict_its_fate_and_the_reason(small, tmp_path):
    merged(small, hand_made(small), tmp_path / "m")
    found = [(one.text, one.verdict, one.reason) for one in fates(tmp_path / "m", "self-1")][:10]
    assert found == [
        ("There is a red cube.", "supported", ""),
        ("It is large.", "unverified", ""),
        ("The red cube is left of the blue ball.", "supported", ""),
        ("The red cube is right of the blue ball.", "contradicted", "contradicted"),
        ('The sign on the red cube says "fox".', "supported", ""),
        ('The red cube says "dog".', "contradicted", "contradicted"),
        ("There are two cubes.", "contradicted", "contradicted"),
        ("A green ball is there.", "contradicted", "contradicted"),
        ("It shines.", "unverified", "leans"),
        ("The weather is fine.", "unverified", ""),
    ]
    details = {one.text: one.detail for one in fates(tmp_path / "m", "self-1")}
    assert details['The red cube says "dog".'] == "'dog': it says 'fox'"
    assert details["There are two cubes."] == "'two cubes': 1 found"


def test_an_unverified_sentence_obeys_the_policy_and_a_contradicted_one_does_not(small, tmp_path):
    layers = hand_made(small)
    kept = captions(merged(small, layers, tmp_path / "keep"))
    dropped = captions(merged(small, layers, tmp_path / "drop", unverified="drop"))
    assert all(text.endswith("The weather is fine.") and "dog" not in text for text in kept.values())
    expected = (
        'There is a red cube. The red cube is left of the blue ball. The sign on the red cube says "fox".'
    )
    assert set(dropped.values()) == {expected}


def test_absence_proves_only_what_it_is_told_to(small, tmp_path):
    merged(small, hand_made(small), tmp_path / "m", absence=())
    verdicts = {one.text: one.verdict for one in fates(tmp_path / "m", "self-1")}
    assert verdicts["A green ball is there."] == verdicts["There are two cubes."] == "unverified"
    assert verdicts["The red cube is right of the blue ball."] == "contradicted"
    assert verdicts['The red cube says "dog".'] == "contradicted"  # something else was read there


@pytest.mark.parametrize(
    ("caption", "refuted"),
    [
        ("There is a red cube. There is a red cube.", ["There is a red cube."]),
        ("A large red cube and a small red cube.", ["A large red cube and a small red cube."]),
        ("There is a red cube. The red cube is large.", []),
        ("There is a cube. Another red cube.", ["Another red cube."]),
        ("There is a green cone. There is a green cone.", []),  # nobody found one, so nothing is known
        # What the first names can make room for the second: any thing, then the cube.
        ("There is an object. There is a red cube. There is a blue ball.", ["There is a blue ball."]),
        # What goes introduces nothing.
        ("A red cube and a red cube. There is a red cube.", ["A red cube and a red cube."]),
        # "A" may speak of what was named before.
        ("There is a red cube. The ball is smaller than a cube.", []),
        ("A red cube is there. The blue ball stands next to a cube.", []),
        ("The thing looks like a cube. It could be a red cube. It is a cube of great beauty.", []),
    ],
)
def test_a_thing_that_is_there_once_is_introduced_once(small, tmp_path, caption, refuted):
    layers = hand_made(small, **{"self-1": everywhere(small, lambda key: said(key, caption))})
    merged(small, layers, tmp_path / "m", absence=["repeats"])
    own = [one for one in fates(tmp_path / "m", "self-1") if one.key == small.keys()[0]]
    assert [one.text for one in own if one.reason == "contradicted"] == refuted
    assert all("named before" in one.detail for one in own if one.reason == "contradicted")
    merged(small, layers, tmp_path / "off", absence=())
    assert not [one for one in fates(tmp_path / "off", "self-1") if one.reason == "contradicted"]


@pytest.mark.parametrize(
    ("absence", "verdict"), [(("texts", "repeats"), "unverified"), (("objects",), "contradicted")]
)
def test_a_number_that_is_too_high_is_refuted_only_by_objects(small, tmp_path, absence, verdict):
    text = "Three red cubes stand beside a ball."
    layers = hand_made(small, **{"self-1": everywhere(small, lambda key: said(key, text))})
    merged(small, layers, tmp_path / "m", absence=absence)
    assert {one.verdict for one in fates(tmp_path / "m", "self-1")} == {verdict}
    assert MergeSpec().absence == ("texts", "repeats")


def spoken(text, *boxes) -> list[Spoken]:
    """The sentences of a caption with their claims; "#" stands for a box."""
    parts = [TextPart(text.split("#")[0])]
    for box, piece in zip(boxes, text.split("#")[1:], strict=True):
        parts += [BoxPart(box), TextPart(piece)]
    (sentences,) = sentences_of([parts])
    return [Spoken(with_claims(one, read_claims(one.bare, Vocabulary()))) for one in sentences]


def boxed(names) -> Known:
    boxes = [(n / len(names), 0, (n + 1) / len(names), 1) for n in range(len(names))]
    return known_of(
        Claim("object", 0, 1, "unverified", subject=n, boxes=(b,)) for n, b in zip(names, boxes, strict=True)
    )


def test_what_stands_behind_a_box_is_introduced_too():
    told = spoken("There is a red cube. Behind the ball # there is a red cube.", LEFT)
    found = refuted_repeats(told, boxed(["red cube", "ball"]))
    assert [one.verdict for one in found] == ["unverified", "contradicted"]


def test_as_many_are_introduced_as_were_found_however_many():
    # Each "cube" takes a red one, and all of them have to move when the red ones come.
    names = ["blue cube"] * 600 + ["red cube"] * 600
    told = spoken("There is a cube. " * 600 + "There is a red cube. " * 600 + "There is a blue cube.")
    began = time.monotonic()
    found = refuted_repeats(told, boxed(names[::-1]))
    assert [one.verdict for one in found] == ["unverified"] * 1200 + ["contradicted"]
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It has a sign.", "leans"),
        ("This is large.", "leans"),
        ("2. These are large.", "leans"),
        ("This image has a dog in it.", ""),
        ("These dogs are brown.", ""),
    ],
)
def test_what_speaks_of_the_sentence_before_falls_with_it(text, reason):
    before = Spoken(Sentence((TextPart("A cube."),)), "contradicted")
    told = HeardExchange(Source("self-1", "base"), 0, None, (before, Spoken(Sentence((TextPart(text),)))))
    assert [one.reason for one in decided(told, MergeSpec()).spoken] == ["contradicted", reason]


def test_a_caption_of_thousands_of_sentences_is_compared_in_little_time():
    told = tuple(spoken("".join(f"There is a thing{n % 2900} of sort {n}. " for n in range(3000))))
    caption = HeardExchange(Source("self-1", "base"), 0, None, told)
    began = time.monotonic()
    (arranged,) = Talk(MergeSpec(), 0, len).arrange("key", [caption])
    assert len(arranged.spoken) == 3000 and time.monotonic() - began < 60


def test_claims_of_the_merged_layer_carry_their_verdicts(small, tmp_path):
    row = next(merged(small, hand_made(small), tmp_path / "m").rows())
    assert {row.text[one.start : one.end]: one.status for one in row.claims if one.kind == "text"} == {
        "fox": "supported"
    }


def install_ranked(site, name, priority, extra=""):
    """A plugin whose specialist has a priority."""
    install_specialist(site, f"vila2-{name}", entry=name)
    path = site / f"vila2_{name}.py"
    policy = f"merge=__import__('vila2.plugin').plugin.MergePolicy(priority={priority}{extra}), recipe="
    path.write_text(path.read_text().replace("recipe=", policy))


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name in ("vila2_sees", "vila2_guesses")]:
        del sys.modules[name]


def plugin_layer(dataset, name, rows):
    return write_layer(dataset, name, rows, {"plugin": {"name": name}})


@pytest.fixture(params=[(5, False), (20, True)])
def stays(request, site) -> bool:
    """Two specialists, and whether what "guesses" says stays where "sees" contradicts it, for its priority."""
    priority, outranks = request.param
    install_ranked(site, "sees", 10)
    install_ranked(site, "guesses", priority)
    return outranks


def test_of_specialists_that_contradict_each_other_the_one_with_priority_stays(small, tmp_path, stays):
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(
            small, "sees", everywhere(small, lambda k: relates(k, [("cube", "left", "ball")]))
        ),
        "guesses": plugin_layer(
            small, "guesses", everywhere(small, lambda k: relates(k, [("cube", "right", "ball")]))
        ),
    }
    merged(small, layers, tmp_path / "m")
    (fate, *_), (other, *_) = fates(tmp_path / "m", "guesses"), fates(tmp_path / "m", "sees")
    assert (fate.verdict, fate.kept, fate.reason) == (
        "contradicted",
        stays,
        "outranks" if stays else "contradicted",
    )
    assert other.kept is not stays


def test_boxes_refute_what_a_specialist_repeats_only_where_they_rank_above_it(small, tmp_path, stays):
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", everywhere(small, lambda k: grounded(k, [("red cube", LEFT)]))),
        "guesses": plugin_layer(
            small, "guesses", everywhere(small, lambda k: said(k, "A large red cube. A small red cube."))
        ),
    }
    merged(small, layers, tmp_path / "m", absence=["repeats"])
    first, second, *_ = fates(tmp_path / "m", "guesses")
    assert first.kept and second.verdict == "contradicted"
    assert (second.kept, second.reason) == (stays, "outranks" if stays else "contradicted")


def test_a_plugin_asks_its_own_questions_checks_with_its_own_verifier_and_has_its_quota(
    small, tmp_path, site
):
    install_ranked(site, "sees", 10, ", exchanges=1")
    path = site / "vila2_sees.py"
    verifier = "\ndef verify(claims, evidence):\n    from dataclasses import replace\n    return tuple(replace(c, status='contradicted', detail='I say so') if c.subject == 'sky' else c for c in claims)\n"
    told = 'verifier="vila2_sees:verify", questions=("A?", "B?"), prompts=("What is where?", *'
    code = re.sub(r"prompts=(\([^)]*\))", lambda hit: f"{told}{hit[1]})", path.read_text())
    path.write_text(code + verifier)
    rows = everywhere(small, lambda k: grounded(k, [("cube", LEFT)]))
    rows += everywhere(small, lambda k: grounded(k, [("ball", RIGHT)], "And else?"))
    layers = {
        "original": original_layer(small),
        "self-1": write_layer(
            small, "self-1", everywhere(small, lambda k: said(k, "The sky is blue. A cube is there."))
        ),
        "sees": plugin_layer(small, "sees", rows),
    }
    layer = merged(small, layers, tmp_path / "m")
    asked = [row.prompt for row in layer.rows() if row.detail == "sees"]
    assert len(asked) == 4 and set(asked) <= {"A?", "B?"}
    assert set(captions(layer).values()) == {"A cube is there."}
    assert {one.detail for one in fates(tmp_path / "m", "self-1") if not one.kept} == {"'The sky': I say so"}
    assert tally_merge(tmp_path / "m")["sources"]["sees"]["exchanges"] == {"kept": 4, "dropped": {"cap": 4}}


def test_what_a_user_asks_a_plugin_besides_its_prompts_stays_as_it_was_asked(small, tmp_path, site):
    install_specialist(site, "vila2-sees", entry="sees")
    own = Host().specialist("sees").prompts[0]
    rows = everywhere(small, lambda k: grounded(k, [("cube", LEFT)], own))
    rows += everywhere(small, lambda k: grounded(k, [("ball", RIGHT)], "What is closest?"))
    path = site / "vila2_sees.py"
    path.write_text(path.read_text().replace("prompts=", 'questions=("A?",), prompts='))
    sys.modules.pop("vila2_sees")
    layer = merged(
        small, {"original": original_layer(small), "sees": plugin_layer(small, "sees", rows)}, tmp_path / "m"
    )
    assert {row.prompt for row in layer.rows() if row.detail == "sees"} == {"A?", "What is closest?"}


def test_a_layer_of_a_plugin_that_is_not_installed_is_refused(small, tmp_path):
    layers = {
        "original": original_layer(small),
        "gone": plugin_layer(small, "gone", everywhere(small, lambda k: said(k, "x"))),
    }
    with pytest.raises(PluginError, match="gone"):
        merged(small, layers, tmp_path / "m")


def test_a_question_that_the_parser_gave_stays(small, tmp_path, site):
    install_ranked(site, "sees", 10)

    def answer(key):
        turns = (
            user("How many objects are there?"),
            assistant("A cube."),
            user("Is it red?"),
            assistant("Yes."),
        )
        return replace(said(key, "A cube. Yes.", "How many objects are there?"), turns=turns)

    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", everywhere(small, answer)),
    }
    asked = Counter(
        (row.prompt, row.text) for row in merged(small, layers, tmp_path / "m").rows() if row.prompt
    )
    assert asked == {("How many objects are there?", "A cube."): 4, ("Is it red?", "Yes."): 4}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return ()", "gave back 0"),
        ("return None", "gave None"),
        ("return [claim.status for claim in claims]", "gave 'unverified'"),
        ("return claims[::-1]", "gave back 2: .*ball.*cube"),
        ("return [replace(claim, status='true') for claim in claims]", "status='true'"),
        ("yield from (replace(claim, status='supported') for claim in claims)", ""),
    ],
)
def test_a_verifier_gives_back_the_claims_it_was_given(small, tmp_path, site, body, told):
    install_ranked(site, "sees", 10)
    path = site / "vila2_sees.py"
    verifier = f"\nfrom dataclasses import replace\ndef verify(claims, evidence):\n    {body}\n"
    path.write_text(path.read_text().replace("prompts=", 'verifier="vila2_sees:verify", prompts=') + verifier)
    things = everywhere(small, lambda k: grounded(k, [("cube", LEFT), ("ball", RIGHT)]))
    captions = everywhere(small, lambda k: said(k, "There is a cube and a ball."))
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", things),
        "self-1": write_layer(small, "self-1", captions),
    }
    if told:
        with pytest.raises(PluginError, match=rf"'sees' \(vila2-sees 1.0\), verifier.*{told}"):
            merged(small, layers, tmp_path / "m")
    else:
        merged(small, layers, tmp_path / "m")
        assert {one.verdict for one in fates(tmp_path / "m", "self-1")} == {"supported"}


def test_what_is_asked_and_not_answered_is_counted(small, tmp_path):
    one, two, three, four = small.keys()
    turns = {
        one: (),
        two: (user("What is there?"),),
        three: (user("What is there?"), user("And where?"), assistant("A cube on the left.")),
        four: (user("What is there?"), assistant("A cube."), user("And where?")),
    }
    rows = [replace(said(key, "A cube."), turns=own) for key, own in turns.items()]
    layers = {name: write_layer(small, name, rows) for name in ("self-1", "asked")}
    merged(small, {"original": original_layer(small)} | layers, tmp_path / "m")
    found = {
        name: Counter(
            (fate.key, fate.text, fate.reason)
            for fate in read_fates(tmp_path / "m")
            if fate.source == name and fate.sentence < 0
        )
        for name in layers
    }
    assert found["asked"] == Counter([
        (one, "Describe the image in details.", "nothing left"), (two, "What is there?", "nothing left"),
        (three, "What is there?", "nothing left"), (three, "And where?", ""),
        (four, "What is there?", ""), (four, "And where?", "nothing left"),
    ])  # fmt: skip
    assert tally_merge(tmp_path / "m")["sources"]["asked"]["exchanges"] == {
        "kept": 2,
        "dropped": {"nothing left": 4},
    }
    assert found["self-1"] == Counter(
        {(one, "", "nothing left"): 1, (two, "", "nothing left"): 1, (three, "", ""): 1, (four, "", ""): 1}
    )


def test_empty_and_refused_answers_stay_out_and_are_counted(dataset, tmp_path, site):
    install_ranked(site, "sees", 10, ", empty_share=0.5")
    rows = everywhere(dataset, lambda key: reads(key, []))
    refused = rows[0].__class__(rows[0].key, "?", "I am sorry.", "refusal")
    layer = merged(dataset, {"original": original_layer(dataset), "sees": plugin_layer(dataset, "sees", [refused, *rows[1:]])}, tmp_path / "m")  # fmt: skip
    counts = tally_merge(tmp_path / "m")["sources"]["sees"]["exchanges"]
    assert counts["dropped"]["refusal"] == 1
    assert counts["kept"] + counts["dropped"]["empty"] == 39
    assert 8 < counts["kept"] < 32
    assert sum(row.detail == "sees" for row in layer.rows()) == counts["kept"]


def test_a_word_that_answers_two_questions_answers_both_and_one_question_once(small, tmp_path):
    asked = ["Describe it.", "What is closest?", "What is farthest?", "What is closest?"]
    answers = ["There is a red cube on the ground.", "A red cube.", "A red cube.", "A red cube."]
    rows = [
        row
        for question, answer in zip(asked, answers, strict=True)
        for row in everywhere(small, lambda key, a=answer, q=question: said(key, a, q))
    ]
    key = next(iter(small)).key
    layers = hand_made(small, near=[row for row in rows if row.key == key])
    kept = [row.prompt for row in merged(small, layers, tmp_path / "m").get(key) if row.detail == "near"]
    assert sorted(kept) == ["Describe it.", "What is closest?", "What is farthest?"]


def test_what_was_said_is_not_said_again_and_the_budget_holds(small, tmp_path):
    again = everywhere(
        small, lambda key: said(key, "A cube. There is a red cube. There is a red cube.", "Again?")
    )
    layers = hand_made(small, again=again)
    layer = merged(small, layers, tmp_path / "m", absence=("objects", "texts"))
    assert not any(row.detail == "again" for row in layer.rows() if "A cube" not in row.text)
    reasons = Counter(one.reason for one in fates(tmp_path / "m", "again"))
    assert reasons["duplicate"] >= 4
    assert Counter(one.reason for one in fates(tmp_path / "m", "boxes")) == {"": 8}  # boxes are something new
    tight = merged(small, layers, tmp_path / "tight", budget=30)
    for key in small.keys():  # noqa: SIM118
        rows = tight.get(key)
        assert sum(len(f"{row.prompt} {row.text}".split()) for row in rows) <= 30
    dropped = tally_merge(tmp_path / "tight")["all"]["exchanges"]["dropped"]
    assert dropped["budget"] > 0
    tokens = merged(small, layers, tmp_path / "tokens", budget=30, tokenizer=str(PARTS / "language"))
    assert tokens.count < tight.count or tokens.statistics().words_mean < tight.statistics().words_mean


def test_the_papers_arm_appends_everything_and_says_what_it_takes_in(small, tmp_path):
    layer = merged(small, hand_made(small), tmp_path / "m", arm="append")
    assert set(captions(layer).values()) == {CAPTION}
    numbers = tally_merge(tmp_path / "m")["sources"]["self-1"]
    assert numbers["verdicts"]["contradicted"] == 4 * 4
    assert numbers["before"] == numbers["after"] and numbers["before"]["contradiction_rate"] > 0.2


@pytest.mark.parametrize(("caption", "original", "base"), [("both", True, True), ("original", True, False), ("base", False, True)])  # fmt: skip
def test_the_caption_is_what_was_asked_for(small, tmp_path, caption, original, base):
    layer = merged(small, hand_made(small), tmp_path / "m", caption=caption)
    texts = {sample.key: sample.turns[-1].text for sample in small}
    for key, text in texts.items():
        row = layer.get(key)[0]
        assert row.text.startswith(text) is original and ("weather" in row.text) is base


def test_the_original_stays_unless_it_is_to_be_judged(small, tmp_path):
    layers = hand_made(small) | {"original": _Original(small, "a green ball")}
    assert all(
        row.text.startswith("a green ball")
        for row in merged(small, layers, tmp_path / "k").rows()
        if not row.prompt
    )
    judged = merged(small, layers, tmp_path / "v", original="verify")
    assert not any("green" in row.text for row in judged.rows())


class _Original:
    name, digest, info = "original", "d", {}

    def __init__(self, dataset, text):
        self._dataset, self._text = dataset, text

    def shard(self, shard_no):
        return {key: (said(key, self._text, ""),) for key in self._dataset.shard_keys(shard_no)}


def test_both_views_give_conversations_that_train(small, tmp_path):
    from vila2.model.assemble import assemble
    from vila2.model.conversation import IGNORED, ConversationEncoder

    layer = merged(small, hand_made(small), tmp_path / "m")
    sample = small[0]
    rows = layer.get(sample.key)
    assert rows[0].detail == "original+self-1" and len(rows) == 3
    dialogue = apply_view(View.parse("dialogue(merged)"), sample, {"merged": rows})
    tree = apply_view(View.parse("tree(merged)"), sample, {"merged": rows})
    assert [turn.role for turn in dialogue.turns] == [
        "user",
        "assistant",
        "assistant",
        *["user", "assistant"] * 2,
    ]
    assert {turn.branch for turn in tree.turns} == {0, 1, 2, 3}
    assert any(isinstance(part, BoxPart) for turn in dialogue.turns for part in turn.parts)
    _, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    encoder, tokenizer = ConversationEncoder(processor), processor.tokenizer
    for style in ("plain", "chat"):
        for viewed in (dialogue, tree):
            encoded = encoder.encode(viewed, style)
            trained = tokenizer.decode([label for label in encoded.labels if label != IGNORED])
            assert "weather" in trained and "fox" in trained and "What is written?" not in trained
            assert trained.count(tokenizer.eos_token) == 3, style  # every answer is known to end


class _Writer:
    """An engine that puts everything together and adds something that is not there; it may be killed."""

    name, digest = "writer", "w"

    def __init__(self, dies_after=None):
        self.left = dies_after
        self.prompts = []

    def generate(self, requests, settings):
        if self.left is not None:
            if self.left == 0:
                raise _Killed
            self.left -= 1
        self.prompts += [request.prompt for request in requests]
        assert all(not request.images for request in requests)
        return [Answer("There is a red cube. A green ball is there.", "stop", 12) for _ in requests]


def test_a_model_as_the_writer_is_judged_and_what_it_makes_up_is_counted(small, tmp_path):
    engine = _Writer()
    layer = merged(small, hand_made(small), tmp_path / "m", engine=engine, writer="model")
    assert "Question: What is written?" in engine.prompts[0] and "weather" in engine.prompts[0]
    assert [(row.text, row.detail) for row in layer.rows()] == [("There is a red cube.", "writer")] * 4
    numbers = tally_merge(tmp_path / "m")["sources"]
    assert numbers["writer"]["before"]["contradiction_rate"] == 0.5
    assert tally_merge(tmp_path / "m")["all"]["words_after"] == 5  # those of the paragraph that is left
    assert numbers["words"]["exchanges"] == {"kept": 0, "dropped": {"rewritten": 4}}
    kept = merged(
        small, hand_made_again(small), tmp_path / "a", engine=_Writer(), writer="model", arm="append"
    )
    assert {row.text for row in kept.rows()} == {"There is a red cube. A green ball is there."}


def hand_made_again(dataset):
    names = ("self-1", "boxes", "words")
    found = {name: Layer.open(dataset.folder / "layers" / name) for name in names}
    return {"original": original_layer(dataset)} | found


def test_a_killed_writer_goes_on_after_its_last_batch(small, tmp_path):
    layers = hand_made(small)
    options = {"writer": "model", "batch_size": 1}
    merged(small, layers, tmp_path / "whole", engine=_Writer(), **options)
    with pytest.raises(_Killed):
        merged(small, layers, tmp_path / "killed", engine=_Writer(dies_after=3), **options)
    again = _Writer()
    merged(small, layers, tmp_path / "killed", engine=again, **options)
    assert len(again.prompts) == 1
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    with pytest.raises(RunError, match="engine"):
        merged(small, layers, tmp_path / "none", writer="model")


def test_a_run_merges_as_a_step(small, tmp_path):
    hand_made(small)
    settings = MergeSettings(
        base="self-1", layer="merged", layers=("self-1", "boxes", "words"), seed=0, dtype="float32"
    )
    inputs = {"data": small.folder} | {
        f"layer.{name}": small.folder / "layers" / name for name in settings.layers
    }
    results = merge(tmp_path / "step", settings, inputs, Board())
    assert results["images"] == 4 and results["all"]["before"]["coverage"] is not None
    assert Layer.open(tmp_path / "step").name == "merged"


@pytest.mark.slow
@pytest.mark.parametrize("style", ["plain", "chat"])
def test_a_stage_trains_on_merged_dialogues_and_trees(small, tmp_path, style):
    from vila2.model.assemble import assemble
    from vila2.model.saving import save_model
    from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
    from vila2.train.stage import train_stage
    from vila2.train.train_settings import TrainSettings

    merged(small, hand_made(small), small.folder / "layers" / "merged")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, tmp_path / "parts" / "model")
    views = [{"dataset": "pairs", "view": view} for view in ("dialogue(merged)", "tree(merged)")]
    stage = StageSpec.model_validate(
        STAGE_DEFAULTS["pretrain"]
        | {"mixture": views, "style": style, "batch_size": 4, "pack_length": 1024, "learning_rate": 1e-3}
    )
    results = train_stage(
        tmp_path / "stage",
        TrainSettings(name="pretrain", stage=stage, seed=0, dtype="float32"),
        {
            "model": tmp_path / "parts",
            "data.pairs": small.folder,
            "layer.pairs.merged": small.folder / "layers" / "merged",
        },
        Board(),
    )
    assert results["samples"] == 8 and results["loss"]
