"""Every family: what is trained on reads as what is asked, and a sample in a batch as the sample alone."""

import pytest
import torch

from tests.families.tiny import FAMILIES, photo
from vila2.data.sample import ImagePart, Sample, TextPart, assistant, user
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.packing.collate import Collator

TRAINED = [family for family in FAMILIES if family != "florence2"]


def asked(number: int, *photos: int, answer: str = "a red bus") -> Sample:
    images = tuple(photo(n) for n in photos)
    turn = user(*map(ImagePart, range(len(images))), TextPart("What is it?"))
    return Sample(f"{number}", images, (turn, assistant(answer)))


def captioned(number: int, answer: str) -> Sample:
    return Sample(f"{number}", (photo(number),), (user(ImagePart(0)), assistant(answer)))


def samples_for(family: str) -> list[Sample]:
    """Photos of four shapes, two in one sample, and a text; of a family without a template captions."""
    if family == "paligemma":
        return [captioned(n, answer) for n, answer in enumerate(["a bus", "two dogs at a door", "no", "x"])]
    text = Sample("text", (), (user("Say yes."), assistant("yes")))
    return [asked(0, 0), asked(1, 1, answer="no"), text, asked(2, 2, 3, answer="two of them"), asked(3, 3)]


def loss_of(model, encoded) -> torch.Tensor:
    return model(**Collator(0)(encoded), use_cache=False).loss


@pytest.mark.parametrize("family", TRAINED)
def test_the_loss_of_a_batch_is_that_of_its_samples(loaded, family):
    generalist = loaded(family)
    encoder = ConversationEncoder(generalist.processor)
    style = "plain" if family == "paligemma" else "chat"
    samples = samples_for(family)
    encoded = [encoder.encode(sample, style) for sample in samples]
    assert [encoder.length(sample, style) for sample in samples] == [len(one.input_ids) for one in encoded]
    counted = torch.tensor([sum(label != IGNORED for label in one.labels) for one in encoded])
    with torch.no_grad():
        alone = torch.stack([loss_of(generalist.model, [one]) for one in encoded])
        together = loss_of(generalist.model, encoded)
    assert alone.std() > 0.01  # else anything would be equal
    torch.testing.assert_close(together, (alone * counted).sum() / counted.sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", [family for family in TRAINED if family != "paligemma"])
def test_training_reads_what_the_engine_asks(loaded, family):
    """The prompt of a trained sample is, token by token, what the processor makes of the same question."""
    processor = loaded(family).processor
    sample = asked(0, 0)
    encoded = ConversationEncoder(processor).encode(sample, "chat")
    first = next(place for place, label in enumerate(encoded.labels) if label != IGNORED)
    content = [{"type": "image", "image": image(sample.images[0])}, {"type": "text", "text": "What is it?"}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    read = prompt["input_ids"][0].tolist()
    if family == "llava_onevision":  # its template asks with a line where it records a space and a line
        read = read[:-1]
    # Some templates end the prompt before the space that begins an answer.
    assert encoded.input_ids[: len(read)] == read and first - len(read) in (0, 1, 2)
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in prompt:
            assert encoded.media_name == name
            assert encoded.media[: len(read)] == prompt[name][0].tolist()[: len(read)]
    for name, value in encoded.inputs.items():
        torch.testing.assert_close(value, prompt[name])


def image(data: bytes):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


def test_paligemma_reads_a_prefix_in_both_directions_and_writes_a_suffix(loaded):
    processor = loaded("paligemma").processor
    sample = asked(0, 0)
    encoded = ConversationEncoder(processor).encode(sample, "plain")
    prompt = processor(
        text=["<image>What is it?"], images=[[image(sample.images[0])]], suffix=["a red bus"],
        return_tensors="pt",
    )  # fmt: skip
    end = [processor.tokenizer.eos_token_id]  # which the processor leaves out of its suffix
    suffix = prompt["input_ids"][0].tolist()[-1] not in end
    assert encoded.input_ids == prompt["input_ids"][0].tolist() + end * suffix
    assert encoded.media == prompt["token_type_ids"][0].tolist() + [1] * suffix
    assert encoded.labels == prompt["labels"][0].tolist() + end * suffix


def test_several_photos_are_read_as_the_processor_reads_several(loaded):
    """LLaVA-OneVision shows the tiles of a single photo only."""
    processor = loaded("llava_onevision").processor
    encoder = ConversationEncoder(processor)
    one, two = encoder.encode(asked(0, 0)), encoder.encode(asked(1, 0, 2))
    places = [encoded.input_ids.count(processor.image_token_id) for encoded in (one, two)]
    assert places[1] < places[0] and two.inputs["pixel_values"].shape[1] == 1
