"""The tokenizer of the miniature language model: whole words of the world, letters for everything else."""

from __future__ import annotations

import re
import string

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from vila2.data.chance import generator
from vila2.sources.world.scene import sample_scene
from vila2.sources.world.scene_captions import alt_text, detailed_caption
from vila2.sources.world.scene_questions import questions
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES, SIGN_WORDS, SIZES

PAD, BOS, END, USER, ASSISTANT, SYSTEM, IMAGE, UNKNOWN = SPECIAL = (
    "<pad>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<image>", "<unk>",
)  # fmt: skip

#: The prompts that ask for a description: brief, long (three wordings), spatial (two), located, textual.
PROMPTS: dict[str, tuple[str, ...]] = {
    "brief": ("Describe the image briefly.",),
    "long": (
        "Describe the image in details.",
        "Elaborate on the visual and narrative elements of the image in detail.",
        "Instead of describing the imaginary content, only describing the content one can determine "
        "confidently from the image. Do not describe the contents by itemizing them in list form. Minimize "
        "aesthetic descriptions as much as possible.",
    ),
    "spatial": (
        "Elaborate on the visual and narrative elements of the image in detail, with a focus on spatial "
        "relations.",
        "Can you explain the content of the image and their spatial relations in detail?",
    ),
    "located": (
        "Elaborate on the visual and narrative elements in the image, and specify their location with "
        "[xmin,ymin,xmax,ymax].",
    ),
    "text": (
        "Your task is to recognize and describe the text in the image. Please provide a brief description "
        "that focuses on the textual content.",
    ),
}

_MORE_WORDS = (
    "\nthe a an is are was of to in on at and or not no yes with from that this it its there which what "
    "where who how many\nmost only one two three near far close closer closest farther farthest nearest "
    "away above below beside between next\nfront behind left right middle center side top bottom corner "
    "foreground background camera ground floor image picture\nphoto scene object objects text word words "
    "letter letters sign signs says say reads read written color shape size\nnumber count located location "
    "visible shown seems appears has have does do can you please describe briefly same\ndifferent other "
    "another both than its stands sits lies distance depth position background answer question true false\n"
)

_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def _world_words() -> set[str]:
    """Every word that the world's templates and the prompts use, without the words on signs."""
    texts = [
        _MORE_WORDS,
        *COLOURS,
        *SHAPES,
        *SIZES,
        *NUMBERS,
        *(p for group in PROMPTS.values() for p in group),
    ]
    for index in range(1500):
        scene, rng = sample_scene("language", 0, index), generator("words", index)
        texts += [alt_text(scene, rng), detailed_caption(scene, rng)]
        texts += [f"{one.question} {one.answer}" for one in questions(scene, rng)]
    return set(re.findall(r"[a-z]+", " ".join(texts).lower())) - set(SIGN_WORDS)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer with its chat template.

    Raises:
        ValueError: if a sign word would not be spelled letter by letter.
    """
    letters = list(string.ascii_lowercase)
    words = sorted(word for word in _world_words() if len(word) > 1)
    pieces = [*SPECIAL, *letters, *("##" + letter for letter in letters), *string.digits]
    pieces += [*("##" + digit for digit in string.digits), *string.punctuation, *words]
    inner = Tokenizer(models.WordPiece(vocab={p: i for i, p in enumerate(pieces)}, unk_token=UNKNOWN))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    inner.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, bos_token=BOS, eos_token=END, unk_token=UNKNOWN,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM, IMAGE], model_max_length=1024,
        padding_side="right", clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    tokenizer.chat_template = _TEMPLATE
    unspelled = [word for word in SIGN_WORDS if len(tokenizer.tokenize(word)) != len(word)]
    if unspelled:
        raise ValueError(f"sign words that are not spelled letter by letter: {' '.join(unspelled)}")
    return tokenizer
