"""Requests as the chat completions API has them, and its answers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vila2.data.chance import drawn
from vila2.data.images import decode_image, image_extension, is_plain_image
from vila2.data.parsing import MISSHAPEN
from vila2.data.sample import ImagePart, Part, TextPart
from vila2.engine.choice_likelihoods import ChoiceQuestion, ScoredTokens
from vila2.engine.protocol import Answer, GenerationSettings, Request, Unanswered
from vila2.errors import DataError


class WrongReply(Exception):
    """A reply that is no chat completion; another try may give one."""


def chat_body(
    request: Request, settings: GenerationSettings, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a request.

    Raises:
        DataError: an image cannot be decoded.
    """
    messages: list[dict[str, Any]] = []
    for example in request.examples:
        messages.append({"role": "user", "content": _asked(request, [example.image])})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": example.text}]})
    body: dict[str, Any] = {
        "model": model,
        "messages": [*messages, {"role": "user", "content": _asked(request, request.images)}],
        "max_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "stream": False,
    }
    if settings.temperature > 0:
        body |= {"top_p": settings.top_p, "seed": drawn(settings.seed, request.key, size=4) >> 1}
    if settings.repetition_penalty != 1:
        body["repetition_penalty"] = (
            settings.repetition_penalty
        )  # not in OpenAI's API, but in vLLM and SGLang
    return body | dict(extra)


def _asked(request: Request, images: Sequence[bytes]) -> list[dict[str, Any]]:
    """The prompt of a request behind images."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image, where=request.key)}} for image in images
    ]
    return [*content, {"type": "text", "text": request.prompt}]


def scored_body(
    question: ChoiceQuestion, choice: str, *, finished: bool, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a request for the log-probabilities of a conversation with one answer, as vLLM has it.

    Args:
        question: question with its conversation.
        choice: answer that ends the conversation.
        finished: whether the template ends the answer.
        model: name of the model.
        extra: further fields.

    Raises:
        DataError: an image cannot be decoded, or a turn holds a place, whose form only the model knows.
    """
    messages: list[dict[str, Any]] = [
        {"role": turn.role, "content": [_content(part, question) for part in turn.parts]}
        for turn in question.turns
    ]
    messages.append({"role": "assistant", "content": [{"type": "text", "text": choice}]})
    return {
        "model": model,
        "messages": messages,
        "max_tokens": 1,
        "temperature": 0.0,
        "stream": False,
        "add_generation_prompt": False,
        "continue_final_message": not finished,
        "prompt_logprobs": 0,
        **extra,
    }


def _content(part: Part, question: ChoiceQuestion) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        url = _data_url(question.images[part.index], where=question.key)
        return {"type": "image_url", "image_url": {"url": url}}
    raise DataError(
        f"{question.key}: a turn holds a place, and servers do not say how their model writes places",
        hint="use the engine `transformers`",
    )


def read_scored_tokens(content: bytes) -> ScoredTokens | Unanswered:
    """The tokens of a prompt with their log-probabilities; Unanswered where the server tells none.

    Raises:
        WrongReply: it is no chat completion.
    """
    try:
        reply = json.loads(content)
        reply["choices"][0]
        told = reply.get("prompt_logprobs")
        if told is None:
            return Unanswered("the server tells no log-probabilities of prompts (prompt_logprobs)")
        tokens = [next(iter(one.items())) if one else ("", {"logprob": 0.0}) for one in told]
        return tuple((str(token), float(found["logprob"])) for token, found in tokens)
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise WrongReply(f"no log-probabilities of a prompt: {_short(content)}") from error


def _data_url(image: bytes, *, where: str) -> str:
    """An image as a data URL, so that the server sees what we see: upright, and without transparency."""
    picture = decode_image(image, where=where)  # what is broken is found here, not by the server
    if is_plain_image(image):
        kind = image_extension(image).replace("jpg", "jpeg")
    else:
        file = io.BytesIO()
        picture.save(file, "PNG")
        kind, image = "png", file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def read_completion(content: bytes) -> Answer | Unanswered:
    """The answer in a reply.

    Raises:
        WrongReply: it is no chat completion.
    """
    try:
        reply = json.loads(content)
        choice = reply["choices"][0]
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
        tokens = (reply.get("usage") or {}).get("completion_tokens", 0)
    except MISSHAPEN as error:
        raise WrongReply(f"no chat completion: {_short(content)}") from error
    if finish == "content_filter":
        return Unanswered("the server withheld the answer (content_filter)")
    if not isinstance(text, str) or not isinstance(tokens, int):
        raise WrongReply(f"a chat completion without text: {_short(content)}")
    return Answer(text.strip(), "length" if finish == "length" else "stop", tokens)


def told(content: bytes) -> str:
    """What the reply of an error says."""
    try:
        reply = json.loads(content)
        error = reply.get("error", reply.get("detail", reply)) if isinstance(reply, dict) else reply
        message = error.get("message", error) if isinstance(error, dict) else error
        return " ".join(str(message).split())[:300]
    except (ValueError, RecursionError):
        return _short(content)


def _short(content: bytes) -> str:
    text = " ".join(content.decode("utf-8", "replace").split())
    return repr(text[:120]) if text else "it is empty"
