"""What the model reads and what the loss counts, on a real processor with a tiny tokenizer."""

import io

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from vila2.data.sample import BoxPart, ImagePart, Sample, TextPart, Turn, assistant, user
from vila2.errors import DataError
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.packing.collate import Collator

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}<image>"
    "{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = [
    "a",
    "an",
    "the",
    "red",
    "blue",
    "cube",
    "ball",
    "is",
    "there",
    "yes",
    "no",
    "what",
    "color",
    "describe",
    "nice",
    "<",
    ">",
    "|",
    "image",
    "end",
    ".",
    "?",
]
SPECIAL = ["<pad>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<image>"]


@pytest.fixture(scope="module")
def processor():
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<|end|>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[3:],
    )
    images = SiglipImageProcessorPil(size={"height": 16, "width": 16})
    return LlavaProcessor(
        images, fast, patch_size=8, vision_feature_select_strategy="full", chat_template=TEMPLATE
    )


def picture(color="red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (20, 20), color).save(data, "PNG")
    return data.getvalue()


def trained(processor, encoded) -> str:
    return processor.tokenizer.decode(
        [t for t, label in zip(encoded.input_ids, encoded.labels, strict=True) if label != IGNORED]
    )


def test_only_what_the_assistant_says_is_trained_with_its_end_of_turn(processor):
    sample = Sample(
        "k",
        (picture(),),
        (
            user(ImagePart(), "is there a red cube ?"),
            assistant("yes"),
            user("what color ?"),
            assistant("red"),
        ),
    )
    encoded = ConversationEncoder(processor).encode(sample)
    text = processor.tokenizer.decode(encoded.input_ids)
    assert text == (
        "<|user|> <image> <image> <image> <image> is there a red cube ? <|end|> <|assistant|> yes <|end|> "
        "<|user|> what color ? <|end|> <|assistant|> red <|end|>"
    )
    assert trained(processor, encoded) == "yes <|end|> red <|end|>"
    assert encoded.inputs["pixel_values"].shape == (1, 3, 16, 16)


def test_the_mask_is_right_where_the_answer_repeats_the_question(processor):
    # Searching for the answer's text would train on the question.
    sample = Sample("k", (), (user("red cube"), assistant("red cube")))
    encoded = ConversationEncoder(processor).encode(sample)
    assert [label != IGNORED for label in encoded.labels] == [False] * 5 + [True] * 3


def test_tokens_equal_those_of_the_chat_template_as_a_whole(processor):
    turns = (user(ImagePart(), "is there a blue ball ?"), assistant("no"))
    encoded = ConversationEncoder(processor).encode(Sample("k", (picture(),), turns))
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is there a blue ball ?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "no"}]},
    ]
    text = processor.apply_chat_template(messages, tokenize=False)
    whole = processor(text=[text], images=[Image.new("RGB", (20, 20))], add_special_tokens=False)[
        "input_ids"
    ][0]
    assert encoded.input_ids == list(whole)


@pytest.mark.parametrize("style", ["chat", "plain"])
def test_text_never_becomes_a_special_token(processor, style):
    sample = Sample("k", (picture(),), (user(ImagePart()), assistant("a <image> <|end|> <|user|> nice")))
    encoded = ConversationEncoder(processor).encode(sample, style)
    specials = [t for t in encoded.input_ids if t in processor.tokenizer.all_special_ids and t != 7]
    expected = {"plain": ["<image>"] * 4 + ["<|end|>"]}
    expected["chat"] = ["<|user|>", *["<image>"] * 4, "<|end|>", "<|assistant|>", "<|end|>"]
    assert processor.tokenizer.convert_ids_to_tokens(specials) == expected[style]


def test_plain_style_is_image_text_end(processor):
    turns = (user(ImagePart()), assistant("a nice ball"), assistant("the ball is red .", source="self-1"))
    encoded = ConversationEncoder(processor).encode(Sample("k", (picture(),), turns), "plain")
    assert trained(processor, encoded) == "a nice ball the ball is red . <|end|>"
    assert encoded.input_ids[:4] == [processor.tokenizer.convert_tokens_to_ids("<image>")] * 4


def test_branches_share_the_trunk_and_restart_their_positions(processor):
    turns = [user(ImagePart())]
    for branch, (question, answer) in enumerate([("is there a cube ?", "yes"), ("what color ?", "red")], 1):
        turns += [user(question, branch=branch), assistant(answer, branch=branch)]
    encoded = ConversationEncoder(processor).encode(Sample("k", (picture(),), tuple(turns)))
    trunk = encoded.branches.count(0)
    assert trunk == 5  # <|user|> and four image tokens
    for branch, (question, answer) in enumerate([("is there a cube ?", "yes"), ("what color ?", "red")], 1):
        alone = ConversationEncoder(processor).encode(
            Sample("k", (picture(),), (user(ImagePart(), question), assistant(answer)))
        )
        own = [n for n, b in enumerate(encoded.branches) if b in (0, branch)]
        assert [encoded.input_ids[n] for n in own] == alone.input_ids
        assert [encoded.labels[n] for n in own] == alone.labels
        assert [encoded.position_ids[n] for n in own] == alone.position_ids


def test_a_branch_sees_the_trunk_and_itself_only(processor):
    turns = (
        user(ImagePart()),
        user("what ?", branch=1),
        assistant("red", branch=1),
        user("is ?", branch=2),
        assistant("no", branch=2),
    )
    encoded = ConversationEncoder(processor).encode(Sample("k", (picture(),), turns))
    short = ConversationEncoder(processor).encode(
        Sample("s", (picture(),), (user(ImagePart()), assistant("no")))
    )
    batch = Collator(0)([encoded, short])
    mask, tree = batch["attention_mask"], len(encoded.input_ids)
    length = tree + len(short.input_ids)
    assert mask.dtype == torch.bool and mask.shape == (1, 1, length, length)
    owners = [("tree", branch) for branch in encoded.branches] + [("short", 0)] * len(short.input_ids)
    for place, (name, branch) in enumerate(owners):
        seen = {owners[n] for n in range(length) if mask[0, 0, place, n]}
        assert seen == {(name, 0), (name, branch)}
    assert batch["position_ids"][0, tree:].tolist() == short.position_ids


def test_padding_is_neither_attended_to_nor_trained(processor):
    encoder = ConversationEncoder(processor)
    long = encoder.encode(Sample("a", (), (user("what color is the cube ?"), assistant("red"))))
    short = encoder.encode(Sample("b", (), (user("what ?"), assistant("no"))))
    batch = Collator(0)([long, short])
    assert batch["attention_mask"].sum(1).tolist() == [len(long.input_ids), len(short.input_ids)]
    assert (batch["labels"][1, len(short.input_ids) :] == IGNORED).all()


@pytest.mark.parametrize(
    "sample, words",
    [
        (Sample("lost", (), (user(ImagePart()), assistant("no"))), "lost"),
        (Sample("twice", (picture(),), (user(ImagePart(), ImagePart()), assistant("no"))), "twice"),
        (Sample("silent", (), (user("what ?"),)), "silent"),
        (Sample("cut", (), (user("what " * 60), assistant("no"))), "cut"),
    ],
)
def test_bad_samples_are_named(processor, sample, words):
    with pytest.raises(DataError, match=words):
        ConversationEncoder(processor, max_length=50).encode(sample)


def test_a_turn_can_be_kept_out_of_the_loss(processor):
    turns = (
        user("what ?"),
        Turn("assistant", (TextPart("nice"),), train=False),
        user("what color ?"),
        assistant("red"),
    )
    assert trained(processor, ConversationEncoder(processor).encode(Sample("k", (), turns))) == "red <|end|>"


@pytest.mark.parametrize("style", ["chat", "plain"])
def test_a_masked_sentence_is_read_within_its_answer_and_not_trained(processor, style):
    answer = (
        assistant("a red cube ."),
        Turn("assistant", (TextPart(" a blue ball ."),), train=False),
        assistant(" nice ."),
    )
    whole = (assistant("a red cube . a blue ball . nice ."),)
    encoder = ConversationEncoder(processor)
    masked, plain = (
        encoder.encode(Sample("k", (picture(),), (user(ImagePart(), "what ?"), *said)), style)
        for said in (answer, whole)
    )
    assert masked.input_ids == plain.input_ids, "the answer is one text, as without a mask"
    end = processor.tokenizer.eos_token
    assert trained(processor, masked) == f"a red cube . nice . {end}"
    assert trained(processor, plain) == f"a red cube . a blue ball . nice . {end}"


def test_a_box_outside_of_its_image_is_an_error_that_names_the_sample(processor):
    turns = (user(ImagePart()), assistant(BoxPart((12, 40, 300, 200))))
    with pytest.raises(DataError, match=r"sample 'k': .* not within the image"):
        ConversationEncoder(processor).encode(Sample("k", (picture(),), turns))


@pytest.mark.parametrize("style", ["chat", "plain"])
@pytest.mark.parametrize("max_length", [4096, 12])
def test_the_length_is_known_without_decoding(processor, style, max_length):
    branches = (
        user(ImagePart()),
        user("what color ?", branch=1),
        assistant("red", branch=1),
        user("is there a ball ?", branch=2),
        assistant("no", branch=2),
    )
    for turns in (
        branches,
        (user(ImagePart(), "what ?"), assistant("a red cube"), assistant("nice .", source="o")),
    ):
        encoder = ConversationEncoder(processor, max_length=max_length)
        sample = Sample("k", (picture(),), turns)
        length = len(encoder.encode(sample, style).input_ids)
        cut_off = Sample("k", (picture()[:60],), turns)  # the head of the file is all that is read
        assert encoder.length(cut_off, style) == length


def page(*colors: str) -> Sample:
    """An interleaved document: text, then every image with its text."""
    turns = [assistant("the cube is nice .")]
    for number, _ in enumerate(colors):
        turns += [user(ImagePart(number)), assistant("a ball . a cube .")]
    return Sample("page", tuple(picture(color) for color in colors), tuple(turns))


def test_an_interleaved_document_is_read_in_its_order_and_all_its_text_is_trained(processor):
    encoded = ConversationEncoder(processor).encode(page("red", "blue"), "plain")
    image = "<image> <image> <image> <image>"
    assert processor.tokenizer.decode(encoded.input_ids) == (
        f"the cube is nice . {image} a ball . a cube . {image} a ball . a cube . <|end|>"
    )
    assert trained(processor, encoded) == "the cube is nice . a ball . a cube . a ball . a cube . <|end|>"
    red, blue = (
        ConversationEncoder(processor).encode(page(color), "plain").inputs for color in ("red", "blue")
    )
    assert torch.equal(
        encoded.inputs["pixel_values"], torch.cat([red["pixel_values"], blue["pixel_values"]])
    ), "in the order of the text"


def test_a_document_becomes_a_conversation_in_chat_style(processor):
    text = processor.tokenizer.decode(ConversationEncoder(processor).encode(page("red"), "chat").input_ids)
    assert text.startswith("<|assistant|> the cube is nice . <|end|> <|user|> <image>")


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_a_cut_keeps_whole_images_with_their_pixels(processor, style):
    sample, token = page("red", "blue", "red"), processor.tokenizer.convert_tokens_to_ids("<image>")
    whole = ConversationEncoder(processor).encode(sample, style)
    for length in range(6, len(whole.input_ids) + 1):
        encoded = ConversationEncoder(processor, max_length=length).encode(sample, style)
        assert encoded.input_ids == whole.input_ids[: len(encoded.input_ids)]
        assert encoded.truncated == len(whole.input_ids) - len(encoded.input_ids)
        assert length - len(encoded.input_ids) < 4, "no more is cut than the image that does not fit"
        pixels = encoded.inputs.get("pixel_values", torch.empty(0, 3, 16, 16))
        assert encoded.input_ids.count(token) == 4 * len(pixels)
        assert torch.equal(pixels, whole.inputs["pixel_values"][: len(pixels)])


def test_documents_texts_and_pairs_make_one_batch(processor):
    encoder = ConversationEncoder(processor)
    pair = Sample("pair", (picture(),), (user(ImagePart()), assistant("red")))
    text = Sample("text", (), (user("what ?"), assistant("no")))
    batch = Collator(0)([encoder.encode(sample, "plain") for sample in (page("red", "blue"), text, pair)])
    assert batch["pixel_values"].shape[0] == 3
    token = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert (batch["input_ids"] == token).sum(1).tolist() == [8, 0, 4]
