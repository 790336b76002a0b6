"""A row of several samples gives each the logits, the loss and the gradients that it has alone."""

import io

import pytest
import torch

from tests.model.tiny_families import FAMILIES
from tests.model.tiny_models import SIZE, language_config, lively, picture, tower_config
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import TrainingError
from vila2.model.configuration import Vila2Config
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.generalist import load_generalist
from vila2.model.modeling import Vila2ForConditionalGeneration
from vila2.packing.collate import Collator, PackCollator, collate_row
from vila2.packing.isolation import Isolation
from vila2.packing.trial import isolate

IMAGE = 98
PLACES = [IMAGE] * 4
CPU = torch.device("cpu")


def model_of(language="qwen2", **text) -> Vila2ForConditionalGeneration:
    torch.set_num_threads(1)
    config = Vila2Config(
        vision_config=tower_config("siglip_vision_model"),
        text_config=language_config(language, **text),
        image_token_id=IMAGE,
    )
    return lively(Vila2ForConditionalGeneration(config))


def pixels(number: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(number))}


def conversation(*words: int, image: int | None = None, counted: int = 3) -> Encoded:
    ids = [1, *(PLACES if image is not None else []), *words]
    labels = [IGNORED] * (len(ids) - counted) + ids[-counted:]
    return Encoded(ids, labels, inputs={} if image is None else pixels(image))


def tree(trunk: list[int], *branches: list[int], image: int) -> Encoded:
    """Branches of which every token is trained, as of a caption without a question."""
    ids = [1, *PLACES, *trunk]
    labels, numbers = [IGNORED] * len(ids), [0] * len(ids)
    for number, branch in enumerate(branches, start=1):
        ids, labels, numbers = ids + branch, labels + branch, numbers + [number] * len(branch)
    return Encoded(ids, labels, numbers, pixels(image))


def unfolded(sample: Encoded) -> list[Encoded]:
    """The conversations that a tree stands for, each by itself."""
    if sample.branches is None:
        return [sample]
    result = []
    for number in range(1, max(sample.branches) + 1):
        kept = [n for n, branch in enumerate(sample.branches) if branch in (0, number)]
        ids, labels = ([row[n] for n in kept] for row in (sample.input_ids, sample.labels))
        result.append(Encoded(ids, labels, inputs=sample.inputs))
    return result


SAMPLES = {
    "pack": [
        conversation(5, 6, 7, 8, 9, image=0),
        conversation(11, 12, 13, 14),
        conversation(15, 4, 3, image=1),
    ],
    "tree": [tree([5], [7, 8, 9], [11, 12], [13, 14, 15, 16], image=2)],
    "trees in a pack": [
        tree([], [7, 8, 9], [11], image=2),  # the last token of the trunk is an image's
        conversation(11, 12, 13, 14),
        tree([5, 6], [21, 22], [23, 24, 25], image=3),
        conversation(15, 4, 3, image=1),
    ],
}


def outcome(model, batch) -> dict[str, torch.Tensor]:
    """Logits, loss and gradients of a training step."""
    model.zero_grad()
    output = model.train()(**batch, use_cache=False)
    output.loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"logits": output.logits.detach().flatten(0, -2), "loss": output.loss.detach(), **gradients}


@pytest.mark.parametrize("kind", ["segments", "mask"])
@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("language", ["qwen2", "llama", "gpt_neox"])
def test_logits_loss_and_gradients_are_those_of_separate_samples(language, samples, kind):
    samples = SAMPLES[samples]
    # Double precision; norms and positions are in single precision even there.
    model = model_of(language).double()
    padded = outcome(model, Collator(0)([one for sample in samples for one in unfolded(sample)]))
    isolation = isolate(model, max_length=64, device=CPU)
    assert isolation.kind == "segments"
    if kind == "mask":
        model.set_attn_implementation({"text_config": "sdpa"})
        isolation = Isolation("mask")
    packed = outcome(model, PackCollator(isolation)([samples]))
    assert packed.keys() == padded.keys()
    for name, expected in padded.items():
        torch.testing.assert_close(packed[name], expected, rtol=1e-6, atol=1e-6)


def test_single_precision_keeps_to_rounding():
    model = model_of()
    samples = SAMPLES["trees in a pack"]
    padded = outcome(model, Collator(0)([one for sample in samples for one in unfolded(sample)]))["logits"]
    packed = outcome(model, PackCollator(isolate(model, max_length=64, device=CPU))([samples]))["logits"]
    assert (packed - padded).abs().max() < 1e-5 * padded.abs().max()


def test_a_cache_or_a_change_of_a_neighbor_changes_nothing():
    model = model_of()
    isolation = isolate(model, max_length=64, device=CPU)
    first, second, other = (
        conversation(5, 6, 7, image=0),
        conversation(8, 9, 3),
        conversation(21, 22, 23, image=5),
    )
    after = model(**collate_row([first, second], isolation), use_cache=True).logits[0, -3:]
    assert torch.equal(after, model(**collate_row([other, second], isolation)).logits[0, -3:])


def test_a_prepared_model_reads_ordinary_batches_and_writes_as_before():
    model = model_of()
    batch = Collator(0)([conversation(5, 6, 7, 8, image=0), conversation(9, 3, 4)])
    left = {
        "input_ids": torch.tensor([[0, 0, 1, 5, 6], [1, 7, 8, 9, 4]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1] * 5]),
        "max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "pad_token_id": 0,
    }  # fmt: skip
    before, written = model(**batch).logits, model.generate(**left)
    isolate(model, max_length=64, device=CPU)
    torch.testing.assert_close(model(**batch).logits, before, rtol=1e-5, atol=1e-5)
    assert torch.equal(model.generate(**left), written)


@pytest.mark.parametrize(
    "language, changes, said",
    [
        ("mistral", {"sliding_window": 8, "num_key_value_heads": 2}, "looks back only 8 tokens"),
        (
            "gemma3_text",
            {"head_dim": 12, "num_key_value_heads": 2, "sliding_window": 8},
            "looks back only 8 tokens",
        ),
        ("qwen3_next", {}, "linear_attention"),
        (
            "gpt_oss",
            {
                "head_dim": 12,
                "num_key_value_heads": 2,
                "num_local_experts": 4,
                "num_experts_per_tok": 2,
                "sliding_window": 64,
            },
            "differed by",
        ),
    ],
)
def test_a_model_that_cannot_keep_samples_apart_says_so(language, changes, said):
    with pytest.raises(TrainingError, match=f"(?s)share a row.*({said}).*pack_length"):
        isolate(model_of(language, **changes), max_length=64, device=CPU)


def test_a_window_longer_than_every_sample_is_no_obstacle():
    assert (
        isolate(model_of("mistral", sliding_window=64, num_key_value_heads=2), max_length=64, device=CPU).kind
        == "segments"
    )


@pytest.mark.parametrize("family", sorted({"llava", "idefics3"} & FAMILIES.keys()))
def test_other_families_keep_samples_apart(tmp_path, family):
    FAMILIES[family][0](tmp_path / "model")
    generalist = load_generalist(tmp_path / "model", device="cpu")
    model = lively(generalist.model)
    encoder = ConversationEncoder(generalist.processor)
    branches = [assistant(text, branch=number) for number, text in enumerate(("b", "cab", "ca"), start=1)]
    samples = [
        encoder.encode(Sample(str(number), images, turns), "plain")
        for number, (images, turns) in enumerate(
            [
                ((image_file(1),), (user(ImagePart()), assistant("abc"))),
                ((), (assistant("cab"),)),
                ((image_file(2),), (user(ImagePart()), *branches)),
            ]
        )
    ]
    separate = [one for sample in samples for one in unfolded(sample)]
    expected = model(**Collator(0)(separate), use_cache=False).loss
    found = model(**collate_row(samples, isolate(model, max_length=64, device=CPU)), use_cache=False).loss
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def image_file(number: int) -> bytes:
    data = io.BytesIO()
    picture(number).save(data, "PNG")
    return data.getvalue()


def test_a_model_whose_positions_count_rows_and_columns_is_refused(tmp_path):
    FAMILIES["qwen2_vl"][0](tmp_path / "model")
    model = load_generalist(tmp_path / "model", device="cpu").model
    with pytest.raises(TrainingError, match="rows and columns"):
        isolate(model, max_length=64, device=CPU)
    batch = Collator(0, isolation=Isolation.of(model, max_length=64))
    with pytest.raises(TrainingError, match="rows and columns"):
        batch([Encoded([5, 6, 7], [5, 6, 7], [0, 1, 2])])
