"""A whole specialist in one module, as a package of its own: it finds things and counts them."""

from __future__ import annotations

from pathlib import Path

from tests.plugin.packages import install

CODE = """
import vila2
from vila2 import BoxPart, Evidence, ImagePart, Items, Reject, Sample
from vila2.data.sample import assistant, user
from vila2.plugin import BuilderConfig, MergePolicy, Parsed, Specialist, hookimpl


@hookimpl
def vila2_specialists():
    return [Specialist(
        name="finding", summary="Finds things and counts them.",
        builder="vila2_finding:Builder", config="vila2_finding:Config", \
recipe="vila2_finding_files/recipe.yaml",
        prompts=("Where is each thing?", "Find all the things."),
        parser="vila2_finding:parse", metrics="vila2_finding:score",
        coordinates=COORDINATES, merge=MergePolicy(priority=1), licence="none",
    )]


class Config(BuilderConfig):
    shard_size: int = 8
    places: bool = True


class Builder:
    version = 1
    subsets = ("where", "howmany")

    def __init__(self, config):
        self.config = config

    def shards(self):
        count = sum(1 for _ in vila2.open_evidence(self.config.data, self.config.image_root))
        return [str(start) for start in range(0, count, self.config.shard_size)]

    def build(self, shard):
        for number, sample in enumerate(vila2.open_evidence(self.config.data, self.config.image_root)):
            if isinstance(sample, Reject):
                if shard == "0":
                    yield sample
            elif int(shard) <= number < int(shard) + self.config.shard_size:
                yield from self.questions(sample)

    def questions(self, sample):
        evidence = Evidence.of(sample)
        if evidence is None:
            yield Reject(sample.key, sample.key, "no-evidence")
            return
        meta = {"image": sample.meta.get("image", sample.key)}
        number = str(len(evidence.objects))
        turns = (user(ImagePart(), "How many things are there?"), assistant(number))
        yield Sample(sample.key + "/count", sample.images, turns, \
meta | {"subset": "howmany", "kind": "count"})
        if not self.config.places:
            return
        turns = [user(ImagePart())]
        for branch, thing in enumerate(evidence.objects, 1):
            turns.append(user(f"Where is the {thing.called}?", branch=branch))
            turns.append(assistant(BoxPart(thing.box), branch=branch))
        yield Sample(sample.key + "/where", sample.images, tuple(turns), \
meta | {"subset": "where", "kind": "where"})


def parse(said):
    boxes = [part.box for part in said.parts if isinstance(part, BoxPart)]
    if not said.text.strip():
        return Parsed((), status="empty")
    claim = vila2.Claim("object", 0, len(said.text), "unverified", subject="thing", boxes=tuple(boxes))
    return Parsed((user(said.prompt), vila2.Turn("assistant", said.parts)), (claim,))


def score(asked):
    counted = [one for one in asked if one.kind == "count"]
    right = [float(one.said.text.strip() == one.reference.text) for one in counted]
    boxes = [float(any(isinstance(part, BoxPart) for part in one.said.parts)) \
for one in asked if one.kind == "where"]
    keys = [one.said.key for one in asked]
    return {
        "box given": Items.of_means([one.said.key for one in asked if one.kind == "where"], boxes),
        "count right": Items.of_means([one.said.key for one in counted], right),
        "words": Items.of_means(keys, [len(one.said.text.split()) for one in asked], "words", None),
    }
"""

RECIPE = """
start: sft
held_out: 0.25
stages:
  tune:
    train: [projector, language]
    mixture:
      - {dataset: where}
      - {dataset: howmany}
      - {dataset: "run:sft", weight: 0.5}
    learning_rate: 3.0e-3
    batch_size: 8
    epochs: 1
    save_steps: 2
evaluate: {max_new_tokens: 12, batch_size: 16}
annotate: {max_new_tokens: 16, batch_size: 4}
"""


def install_finding(site: Path, *, coordinates: str = "text", version: str = "1.0") -> Path:
    """Puts the package ``vila2-finding`` into a folder on Python's path."""
    code = CODE.replace("COORDINATES", repr(coordinates))
    module = install(site, "vila2-finding", code, entry="finding", version=version)
    (site / "vila2_finding_files").mkdir()
    (site / "vila2_finding_files" / "recipe.yaml").write_text(RECIPE)
    return module
