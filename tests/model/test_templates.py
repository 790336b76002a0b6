"""Kinds of chat templates by kinds of conversations: what the model reads, and what the loss counts of it.

The expected texts are written by hand for each template: ``#`` is an image, ``[[ ]]`` is what counts.
"""

import io
import logging
from itertools import groupby

import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil, LlavaProcessor

from tests.model.tiny_models import characters
from vila2.data.sample import ImagePart, Sample, TextPart, Turn, assistant, user
from vila2.errors import DataError, ModelError
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED

IMAGE = ImagePart(0)
PARTS = (
    "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}"
)
ROLES = "{% for m in messages %}<s>{{ m.role }}\n" + PARTS + "</s>\n{% endfor %}"
TEMPLATES = {
    "plain roles": ROLES,
    "a system prompt of its own": "{% if messages[0].role != 'system' %}<s>system\nYou help.</s>\n{% endif %}"
    + ROLES,
    "USER and ASSISTANT": "{% for m in messages %}{% if m.role == 'user' %}USER: " + PARTS + " "
    "{% elif m.role == 'system' %}"
    + PARTS
    + " {% else %}ASSISTANT: "
    + PARTS
    + "</s>{% endif %}{% endfor %}",
    "trims": ROLES.replace("{{ p.text }}", "{{ p.text | trim }}"),
    "insists on turns": "{% for m in messages %}{% if m.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate') }}{% endif %}<s>" + PARTS + "</s>{% endfor %}",
    "images first": "{% for m in messages %}<s>{{ m.role }}\n"
    "{% for p in m.content if p.type == 'image' %}<image>"
    "{% endfor %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}</s>\n{% endfor %}",
    "drops the system turn": ROLES.replace("<s>{{", "{% if m.role != 'system' %}<s>{{").replace(
        "</s>\n", "</s>\n{% endif %}"
    ),
    "content as a string": "{% for m in messages %}<s>{{ m.role }}\n{{ m.content | trim }}</s>\n{% endfor %}",
    "drops earlier thoughts": ROLES.replace(
        "{{ p.text }}",
        "{{ p.text.split('</think>')[-1] if m.role == 'assistant' and not loop.last else p.text }}",
    ),
}
CONVERSATIONS = {
    "two rounds": (user(IMAGE, "What is it?"), assistant("A cube."), user("Color?"), assistant("Red.")),
    "system": (Turn("system", (TextPart("Be brief."),)), user(IMAGE, "What is it?"), assistant("A cube.")),
    "spaces": (user(IMAGE, "What is it? "), assistant(" A cube. ")),
    "image behind": (user("What is here?\n", IMAGE), assistant("A cube.")),
    "image within": (user("Look: ", IMAGE, " what is it?"), assistant("A cube.")),
    "starts with the assistant": (assistant("Hello."), user(IMAGE, "What?"), assistant("A cube.")),
    "text only": (user("Say hello."), assistant("Hello.")),
    "tokens in text": (user(IMAGE, "Is </s> or <image> text?"), assistant("Yes </s> and <s> are.")),
    "no question": (user(IMAGE), assistant("A cube.")),
    "two users": (user(IMAGE, "What is it?"), user("And its color?"), assistant("A red cube.")),
    "ends with the user": (user(IMAGE, "What is it?"), assistant("A cube."), user("Color?")),
}
#: Of every conversation its turns as the templates get them: role and text.
SAID = {
    "two rounds": [
        ("user", "#What is it?"),
        ("assistant", "A cube."),
        ("user", "Color?"),
        ("assistant", "Red."),
    ],
    "system": [("system", "Be brief."), ("user", "#What is it?"), ("assistant", "A cube.")],
    "spaces": [("user", "#What is it? "), ("assistant", " A cube. ")],
    "image behind": [("user", "What is here?\n#"), ("assistant", "A cube.")],
    "image within": [("user", "Look: # what is it?"), ("assistant", "A cube.")],
    "starts with the assistant": [("assistant", "Hello."), ("user", "#What?"), ("assistant", "A cube.")],
    "text only": [("user", "Say hello."), ("assistant", "Hello.")],
    "tokens in text": [("user", "#Is </s> or <image> text?"), ("assistant", "Yes </s> and <s> are.")],
    "no question": [("user", "#"), ("assistant", "A cube.")],
    "two users": [("user", "#What is it?\nAnd its color?"), ("assistant", "A red cube.")],
    "ends with the user": [("user", "#What is it?"), ("assistant", "A cube."), ("user", "Color?")],
}  # fmt: skip


def expected(template: str, name: str) -> str | tuple[type[Exception], str]:
    """What the model is to read, or the error."""
    turns = SAID[name]
    if template == "content as a string":
        return ModelError, "as one text, not as a list"
    if template == "insists on turns" and turns[0][0] == "assistant":
        return DataError, "Conversation roles must alternate"
    if template in ("insists on turns", "drops the system turn") and turns[0][0] == "system":
        turns = [("user", f"{turns[0][1]}\n\n{turns[1][1]}"), *turns[2:]]
    if template == "images first":
        moved = {"image behind": "#What is here?", "image within": "#Look:  what is it?"}
        turns = [("user", moved[name]), *turns[1:]] if name in moved else turns
    text = "<s>system\nYou help.</s>\n" if template.startswith("a system") and turns[0][0] != "system" else ""
    for role, said in turns:
        counted = f"[[{said}</s>]]" if role == "assistant" else f"{said}</s>"
        match template:
            case "USER and ASSISTANT":
                # The space before an answer is counted with it, since tokenizers join it to the first word.
                begin = {"user": "USER: ", "system": "", "assistant": "ASSISTANT:"}[role]
                text += begin + (f"[[ {said}</s>]]" if role == "assistant" else f"{said} ")
            case "insists on turns":
                text += f"<s>{counted}"
            case _:
                text += f"<s>{role}\n{counted}\n"
    return text


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (42, 42), "red").save(data, "PNG")
    return data.getvalue()


def encoder(template: str) -> ConversationEncoder:
    square = {"height": 42, "width": 42}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size=square, crop_size=square),
        characters("<image>", pad="<unk>"),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )
    return ConversationEncoder(processor)


def sample(name: str) -> Sample:
    turns = CONVERSATIONS[name]
    shown = any(part == IMAGE for turn in turns for part in turn.parts)
    return Sample(name, (picture(),) if shown else (), turns)


def read(own: ConversationEncoder, name: str) -> str:
    """All tokens as text, an image's as one ``#``, with brackets about what the loss counts."""
    encoded = own.encode(sample(name))
    assert own.measure(sample(name)).tokens == len(encoded.input_ids)
    image = own.tokenizer.convert_tokens_to_ids("<image>")
    text = ""
    pairs = zip(encoded.input_ids, encoded.labels, strict=True)
    for counted, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED):
        ids = [token for token, _ in run]
        said = "".join(
            "#" if token == image else own.tokenizer.convert_ids_to_tokens(token)
            for place, token in enumerate(ids)
            if token != image or place == 0 or ids[place - 1] != image
        )
        text += f"[[{said}]]" if counted else said
    return text


@pytest.mark.parametrize("template", TEMPLATES)
def test_only_answers_and_their_ends_are_counted(template):
    own = encoder(TEMPLATES[template])
    for name in CONVERSATIONS:
        wanted = expected(template, name)
        if isinstance(wanted, str):
            assert read(own, name) == wanted, name
        else:
            for look in (own.encode, own.measure):
                with pytest.raises(wanted[0], match=wanted[1]) as caught:
                    look(sample(name))
                assert repr(name) in caught.value.what and caught.value.hint


def test_what_a_template_changes_is_said_once(caplog):
    own = encoder(TEMPLATES["images first"])
    with caplog.at_level(logging.WARNING, "vila2"):
        for name in ("two rounds", "image behind", "image within", "image behind"):
            own.encode(sample(name))
    assert [record.getMessage().partition(". ")[0] for record in caplog.records] == [
        "the chat template has its own place for the images of a turn, such as before its text"
    ]


def test_a_template_that_loses_an_answer_is_refused_and_says_which_turn():
    own = encoder(
        ROLES.replace("<s>{{", "{% if not loop.last %}<s>{{").replace("</s>\n", "</s>\n{% endif %}")
    )
    with pytest.raises(ModelError, match=r"'two rounds': .* drops .*\(what the assistant says\)"):
        own.encode(sample("two rounds"))


def test_a_template_that_fails_is_told_from_one_that_refuses():
    with pytest.raises(ModelError, match=r"'text only': the chat template fails: .*TypeError"):
        encoder("{{ 1 + 'a' }}" + ROLES).encode(sample("text only"))
