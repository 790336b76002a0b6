"""Layers about the miniature world for tests of merging: a self layer with errors, specialists without."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.evidence import Evidence
from vila2.data.layers import Layer, LayerWriter, ReadLayer, original_layer
from vila2.data.sample import BoxPart, Part, Sample, TextPart, Turn, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.sources import open_source
from vila2.sources.world import Scene, detailed_caption, generator
from vila2.sources.world.vocabulary import COLOURS, SIGN_WORDS

_SCHEME = CoordinateScheme()
_SWAPS = {"left": "right", "right": "left", "two": "four", "three": "five", "four": "six", "five": "three"}


def world(folder: Path, count: int = 40) -> ShardDataset:
    """Scenes with noisy alt-text, in shards of 16."""
    write_dataset(folder, open_source("world", split="pretrain", count=count), name="pairs", shard_size=16)
    return ShardDataset.open(folder)


def grounded(key: str, things: Sequence[tuple[str, tuple]], prompt: str = "What is where?") -> Annotation:
    """An answer with a box behind each thing, and its claims, as a parser makes them."""
    parts: list[Part] = []
    claims = []
    for number, (name, box) in enumerate(things):
        before = "" if number == 0 else " "
        start = len(_SCHEME.to_text(parts)) + len(before)
        parts += [TextPart(f"{before}There is a {name} "), BoxPart(box), TextPart(".")]
        end = len(_SCHEME.to_text(parts)) - 1
        claims.append(Claim("object", start + 9, end, "unverified", subject=name, boxes=(box,)))
    text = _SCHEME.to_text(parts)
    turns = (user(prompt), Turn("assistant", tuple(parts)))
    return Annotation(key, prompt, text, "ok", turns=turns, claims=tuple(claims))


def reads(key: str, words: Sequence[tuple[str, str]], prompt: str = "What is written?") -> Annotation:
    """An answer that quotes the words on things, or says that there are none."""
    if not words:
        text = "There is no text in the image."
        return Annotation(key, prompt, text, "empty", turns=_turns(prompt, text))
    text, claims = "", []
    for word, on in words:
        text += (" " if text else "") + f'The sign on the {on} says "'
        claims.append(
            Claim("text", len(text) - 1, len(text) + len(word) + 1, "unverified", subject=on, value=word)
        )
        text += f'{word}".'
    return Annotation(key, prompt, text, "ok", turns=_turns(prompt, text), claims=tuple(claims))


def relates(
    key: str, facts: Sequence[tuple[str, str, str]], prompt: str = "How is it arranged?"
) -> Annotation:
    """An answer that states relations: subject, "left" or "right", object."""
    text, claims = "", []
    for subject, predicate, other in facts:
        sentence = f"The {subject} is {predicate} of the {other}."
        start = len(text) + bool(text)
        text += (" " if text else "") + sentence
        claims.append(
            Claim(
                "relation",
                start,
                start + len(sentence) - 1,
                "unverified",
                subject=subject,
                predicate=predicate,
                object=other,
            )
        )
    return Annotation(
        key, prompt, text, "ok" if text else "empty", turns=_turns(prompt, text), claims=tuple(claims)
    )


def said(key: str, text: str, prompt: str = "Describe the image in details.") -> Annotation:
    """A caption of a self layer."""
    return Annotation(key, prompt, text, "ok")


def write_layer(
    dataset: ShardDataset, name: str, rows: Iterable[Annotation], info: Mapping | None = None
) -> Layer:
    """Writes a layer beside a dataset, a file for each shard."""
    by_key: dict[str, list[Annotation]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    writer = LayerWriter(dataset.folder / "layers" / name, name)
    for shard_no in range(len(dataset.shards)):
        writer.write_shard(
            shard_no, [row for key in dataset.shard_keys(shard_no) for row in by_key.get(key, ())]
        )
    return writer.finish(info or {})


def world_layers(dataset: ShardDataset, wrong: float = 0.3) -> dict[str, ReadLayer]:
    """original; self-1, with a share of its sentences made wrong; boxes, words and places, all right."""
    samples = list(dataset)
    evidence = {sample.key: Evidence.of(sample) for sample in samples}
    found = {
        "self-1": [said(sample.key, _corrupted(sample, wrong)) for sample in samples],
        "boxes": [grounded(k, [(one.called, one.box) for one in e.objects]) for k, e in evidence.items()],
        "words": [reads(k, [(one.text, one.on) for one in e.texts]) for k, e in evidence.items()],
        "places": [relates(k, _facts(e)) for k, e in evidence.items()],
    }
    layers = {name: write_layer(dataset, name, rows) for name, rows in found.items()}
    return {"original": original_layer(dataset)} | layers


def _turns(question: str, answer: str) -> tuple[Turn, ...]:
    return user(question), Turn("assistant", (TextPart(answer),))


def _facts(evidence: Evidence) -> list[tuple[str, str, str]]:
    ordered = sorted(evidence.objects, key=lambda one: one.box[0] + one.box[2])
    names = [one.called for one in ordered]
    if len(set(names)) < len(names):
        return []
    first, last = ordered[0], ordered[-1]
    apart = last.box[0] + last.box[2] - first.box[0] - first.box[2]
    return [(first.called, "left", last.called)] if apart > 0.3 else []


def _corrupted(sample: Sample, share: float) -> str:
    """A true caption, some of whose sentences got another color, side, number or word."""
    scene = Scene.from_json(sample.meta["scene"])
    rng = random.Random(sample.key)
    sentences = detailed_caption(scene, generator("self", sample.key), spatial=1.0, words=1.0).split(". ")
    return ". ".join(_wrong(one, rng) if rng.random() < share else one for one in sentences)


def _wrong(sentence: str, rng: random.Random) -> str:
    words = sentence.split(" ")
    places = [n for n, word in enumerate(words) if word in COLOURS or word in _SWAPS or word.startswith('"')]
    if not places:
        return sentence
    place = rng.choice(places)
    word = words[place]
    if word in COLOURS:
        words[place] = rng.choice([one for one in COLOURS if one != word])
    elif word in _SWAPS:
        words[place] = _SWAPS[word]
    else:
        words[place] = word.replace(word.strip('".'), rng.choice(SIGN_WORDS))
    return " ".join(words)
