"""Chat templates that write what those of the families' own checkpoints write.

They differ in what is hard to parse: images before all text (LLaVA), a space or a line after each text
(LLaVA, LLaVA-OneVision), trimmed texts and roles that must alternate (Gemma), only the first text of an
answer (GLM), a system turn of the template's own (Qwen2-VL), no end after an answer (GLM).
"""

_IMAGES = "{% for part in message.content if part.type == 'image' %}"
_TEXTS = "{% for part in message.content if part.type == 'text' %}"
_END = "{% endfor %}"


def _chatml(image: str, opening: str = "", role_end: str = "\n") -> str:
    return (
        opening + "{% for message in messages %}{{ '<|im_start|>' + message.role + '" + role_end + "' }}"
        "{% for part in message.content %}{% if part.type == 'image' %}" + image + "{% else %}{{ part.text }}"
        "{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


def _alternating(rest: str) -> str:
    return (
        "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
        "{% endif %}" + rest + "{% endfor %}"
    )


_QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN = _chatml(
    _QWEN_IMAGE,
    "{% if messages[0].role != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}",
)
QWEN3 = _chatml(_QWEN_IMAGE)
INTERNVL = _chatml("{{ '<IMG_CONTEXT>\n' }}")
LLAVA = (
    "{% for message in messages %}{% if message.role != 'system' %}"
    "{{ message.role.upper() + ': ' }}{% endif %}"
    + _IMAGES + "{{ '<image>\n' }}" + _END + _TEXTS + "{{ part.text + ' ' }}" + _END
    + "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)  # fmt: skip
LLAVA_NEXT = (
    "{% for message in messages %}{% if message.role == 'user' %}{{ '[INST] ' }}"
    + _IMAGES + "{{ '<image>\n' }}" + _END + _TEXTS + "{{ part.text }}" + _END
    + "{{ ' [/INST]' }}{% elif message.role == 'assistant' %}{{ ' ' }}" + _TEXTS + "{{ part.text }}" + _END
    + "{{ '</s> ' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)  # fmt: skip
LLAVA_ONEVISION = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + ' ' }}"
    + _IMAGES + "{{ '<image>' }}" + _END + _TEXTS + "{{ '\n' + part.text }}" + _END
    + "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)  # fmt: skip
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content[0].type == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% elif part.type == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
IDEFICS3 = SMOLVLM.replace("<|im_start|>", "<|begin_of_text|>", 1)
GEMMA3 = "{{ bos_token }}" + _alternating(
    "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}{{ '<start_of_image>' }}"
    "{% else %}{{ part.text | trim }}{% endif %}{% endfor %}{{ '<end_of_turn>\n' }}"
) + "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"  # fmt: skip
_PIXTRAL_PARTS = (
    "{% for part in message.content %}{% if part.type == 'image' %}{{ '[IMG]' }}"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}"
)
PIXTRAL = "{{ bos_token }}" + _alternating(
    "{% if message.role == 'user' %}{{ '[INST]' }}" + _PIXTRAL_PARTS + "{{ '[/INST]' }}"
    "{% else %}" + _PIXTRAL_PARTS + "{{ eos_token }}{% endif %}"
)  # fmt: skip
GLM4V = (
    "[gMASK]<sop>{% for message in messages %}{% if message.role == 'user' %}{{ '<|user|>\n' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|begin_of_image|><|image|><|end_of_image|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% elif message.role == 'assistant' %}{{ '<|assistant|>\n' + message.content[0].text }}"
    "{% else %}{{ '<|system|>\n' + message.content[0].text }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
