"""How likely an engine finds given answers, from the log-probabilities of a prompt's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from vila2.data.sample import Turn
from vila2.engine.protocol import Engine, Unanswered

#: The tokens of a prompt, each with its log-probability after those before it.
ScoredTokens = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """A conversation, and the answers that could come next.

    Attributes:
        key: name of the question.
        images: encoded image files that the turns name.
        turns: conversation before the answer.
        choices: possible answers, two or more.
    """

    key: str
    images: tuple[bytes, ...]
    turns: tuple[Turn, ...]
    choices: tuple[str, ...]


class LikelihoodEngine(Engine, Protocol):
    """An engine that tells how likely given answers are."""

    def choice_likelihoods(self, questions: Sequence[ChoiceQuestion]) -> list[list[float] | Unanswered]:
        """The log-likelihood of each choice of each question, or the reason why there is none.

        What all choices of a question begin with may be left out; the end of the answer counts.

        Raises:
            EngineError: the engine does not tell likelihoods.
        """
        ...


def with_likelihoods(engine: Engine) -> LikelihoodEngine | None:
    """The engine, where it tells likelihoods."""
    found = callable(getattr(engine, "choice_likelihoods", None))
    return cast(LikelihoodEngine, engine) if found else None


def beyond_the_shared(prompts: Sequence[ScoredTokens], after: int) -> list[float]:
    """The log-likelihoods of prompts that differ in their answers.

    Args:
        prompts: tokens of the same conversation with each answer.
        after: number of tokens that a template writes after an answer; the first of them is its end.
    """
    shared = 0
    for tokens in zip(*([token for token, _ in prompt] for prompt in prompts), strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    ends = [len(prompt) - max(after - 1, 0) for prompt in prompts]
    return [sum(score for _, score in prompt[shared:end]) for prompt, end in zip(prompts, ends, strict=True)]
