"""One image's conversation: the caption, then exchanges, whose order and questions are chosen by hash."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from vila2.claims.names import word_set
from vila2.data.annotations import Annotation
from vila2.data.chance import drawn
from vila2.data.claims import Claim
from vila2.data.mixtures import select_share
from vila2.data.sample import Part, PlacePart, TextPart, Turn, user
from vila2.merge.answer_sentences import Sentence, joined, without_coordinates
from vila2.merge.hearing import HeardExchange, Spoken
from vila2.recipe.parts.specialists import MergeSpec

#: Number of words from which an answer makes sense without its question.
_A_STATEMENT = 5
_WORD = re.compile(r"[^\W_]+")
_EMPTY_WORDS = word_set(
    "a an the is are was were there it its this that of in on at and to we can see image picture shows"
)


@dataclass(frozen=True, slots=True)
class Talk:
    """How conversations are put together.

    Attributes:
        spec: settings of the merge.
        seed: seed of the order, the questions, and the choice of empty answers that are trained on.
        count: function that counts the words, or tokens, of a text.
    """

    spec: MergeSpec
    seed: int
    count: Callable[[str], int]

    def arrange(self, key: str, exchanges: Sequence[HeardExchange]) -> list[HeardExchange]:
        """The exchanges in the order of the conversation, captions first, each with its fate.

        Exchanges are dropped if no sentence of theirs is left, if the answer is unusable, if they exceed the
        plugin's number, if they repeat what was said, or if the budget has no room for them.
        """
        spent = _Spent(self.spec, self.count)
        if self.spec.boxes == "drop":
            exchanges = [_without_boxes(one) for one in exchanges]
        captions = [one for one in exchanges if one.question is None]
        asked = [one for one in exchanges if one.question is not None]
        asked.sort(key=lambda one: drawn(self.seed, key, "order", one.source.name, one.number))
        arranged = [spent.caption(one) for one in _chosen(captions, self.spec)]
        numbers: Counter[str] = Counter()
        for one in asked:
            one = self._considered(one, key, numbers[one.source.name]) if one.kept else one
            one = spent.exchange(one) if one.kept else one
            numbers[one.source.name] += one.kept
            arranged.append(one)
        return arranged

    def _considered(self, one: HeardExchange, key: str, kept_before: int) -> HeardExchange:
        """An exchange with its question; dropped if its answer is unusable or the plugin has enough."""
        policy, name = one.source.policy, one.source.name
        share = policy.empty_share if one.source.role == "specialist" else 0.0
        talks = one.status == "ok" or (
            one.status == "empty" and one.spoken and select_share(f"{name}\0{key}", share, self.seed)
        )
        if not talks:
            return replace(one, kept=False, reason=one.status)
        if policy.exchanges is not None and kept_before >= policy.exchanges:
            return replace(one, kept=False, reason="cap")
        questions = one.source.questions
        if questions and one.prompted:
            chosen = drawn(self.seed, key, "question", name, 0) + one.number
            one = replace(one, question=user(questions[chosen % len(questions)]))
        return one


def _without_boxes(one: HeardExchange) -> HeardExchange:
    """Turns an answer with coordinates into a caption without them.

    Questions with coordinates, and sentences that hold nothing else, are dropped.
    """
    if one.question is not None and _has_places(one.question.parts):
        return replace(one, kept=False, reason="boxes")
    if not any(_has_places(each.sentence.parts) for each in one.spoken):
        return one
    spoken = []
    for each in one.spoken:
        each = replace(each, sentence=without_coordinates(each.sentence))
        if each.kept and not _WORD.search(each.sentence.text):
            each = replace(each, kept=False, reason="boxes")
        spoken.append(each)
    return replace(one, question=None, spoken=tuple(spoken))


def _has_places(parts: Sequence[Part]) -> bool:
    return any(isinstance(part, PlacePart) for part in parts)


def rows_of(key: str, arranged: Sequence[HeardExchange]) -> list[Annotation]:
    """The conversation as annotations: the caption as the first row, then one row for each exchange.

    A row names its layer in ``detail`` and in the source of its turns; the caption may have two, one after
    the other.
    """
    captions = [one for one in arranged if one.kept and one.question is None]
    rows = [_caption_row(key, captions)] if captions else []
    rows += [
        _exchange_row(key, one, one.question) for one in arranged if one.kept and one.question is not None
    ]
    return rows or [Annotation(key, "", "", "empty", "nothing is left of what the layers say")]


def _caption_row(key: str, captions: Sequence[HeardExchange]) -> Annotation:
    answers = [_answer(one) for one in captions]
    claims: list[Claim] = []
    text = ""
    for answer in answers:
        text += "\n" if text else ""
        claims += [replace(c, start=c.start + len(text), end=c.end + len(text)) for c in answer.claims]
        text += answer.text
    turns = tuple(turn for one in captions for turn in _said_turns(one))
    names = "+".join(dict.fromkeys(one.source.name for one in captions))
    return Annotation(key, "", text, "ok", names, turns=turns, claims=tuple(claims))


def _exchange_row(key: str, one: HeardExchange, question: Turn) -> Annotation:
    answer, name = _answer(one), one.source.name
    turns = (replace(question, source=name, branch=0), *_said_turns(one))
    return Annotation(key, question.text, answer.text, "ok", name, turns=turns, claims=answer.claims)


def _answer(one: HeardExchange) -> Sentence:
    return joined([spoken.sentence for spoken in one.spoken if spoken.kept])


def _said_turns(one: HeardExchange) -> Iterator[Turn]:
    """The answer as turns of the assistant: one, or several where masked sentences part what is learned.

    Masked sentences at the end are left out, since nothing follows them that could need them.
    """
    said = [spoken for spoken in one.spoken if spoken.kept or spoken.masked]
    while said and not said[-1].kept:
        said.pop()
    for number, (kept, group) in enumerate(groupby(said, key=lambda spoken: spoken.kept)):
        sentences = [spoken.sentence for spoken in group]
        lead = (TextPart(sentences[0].lead),) if number else ()
        parts = (*lead, *joined(sentences).parts)
        yield Turn("assistant", parts, None if kept else False, source=one.source.name)


class _Spent:
    """What a conversation holds already: sentences, to find repetitions, and words of its budget.

    Captions are compared with captions, and answers with answers: what a caption says in passing is worth
    asking about.
    """

    def __init__(self, spec: MergeSpec, count: Callable[[str], int]) -> None:
        self._once = spec.arm != "append"
        self._budget = spec.budget
        self._count = count
        self._used = 0
        self._captions: list[_Gist] = []
        self._answers: list[_Gist] = []
        self._exchanges: set[str] = set()

    def caption(self, one: HeardExchange) -> HeardExchange:
        """A caption without its repetitions and, except for the original, without what exceeds the budget."""
        if one.status != "ok" or not one.kept:
            return replace(one, kept=False, reason=one.reason or one.status)
        spoken = []
        for sentence in self._each_once(one, self._captions):
            if sentence.kept and one.source.role != "original" and not self._fits(sentence.sentence.text):
                sentence = replace(sentence, kept=False, reason="budget")
            if sentence.kept:
                self._used += self._count(sentence.sentence.text)
            spoken.append(sentence)
        self._captions += [_Gist.of(each.sentence) for each in spoken if each.kept]
        return _if_anything(replace(one, spoken=tuple(spoken)))

    def exchange(self, one: HeardExchange) -> HeardExchange:
        """An exchange, kept whole or dropped, apart from sentences that it says twice."""
        one = _if_anything(replace(one, spoken=tuple(self._each_once(one, []))))
        if not one.kept:
            return one
        said = [each.sentence for each in one.spoken if each.kept]
        asked = one.question.text if one.question else ""
        text = f"{asked} {joined(said).text}"
        is_new = _leans_on_its_question(said) and text not in self._exchanges
        gists = [_Gist.of(sentence) for sentence in said]
        if self._once and not is_new and all(_held(gist, self._answers) for gist in gists):
            return replace(one, kept=False, reason="duplicate")
        if not self._fits(text):
            return replace(one, kept=False, reason="budget")
        self._used += self._count(text)
        self._answers += gists
        self._exchanges.add(text)
        return one

    def _each_once(self, one: HeardExchange, earlier: Sequence[_Gist]) -> list[Spoken]:
        """The sentences, without those that repeat the same answer or an earlier one."""
        if not self._once:
            return list(one.spoken)
        said = list(earlier)
        spoken = []
        for each in one.spoken:
            gist = _Gist.of(each.sentence) if each.kept else None
            # A receipt may hold the same line twice, and what was read keeps both.
            read = one.source.role == "specialist" and "\n" in each.sentence.lead
            if gist and _held(gist, said) and not read:
                each = replace(each, kept=False, reason="duplicate")
            elif gist:
                said.append(gist)
            spoken.append(each)
        return spoken

    def _fits(self, text: str) -> bool:
        return self._budget is None or self._used + self._count(text) <= self._budget


def _chosen(captions: Sequence[HeardExchange], spec: MergeSpec) -> list[HeardExchange]:
    """The captions that the settings ask for, the original first.

    Of the base only the first is taken, as a view does. A specialist may have as many captions as exchanges.
    """
    captions = sorted(captions, key=lambda one: one.source.role != "original")
    usable = {
        one.source.role
        for one in captions
        if one.status == "ok" and any(spoken.kept for spoken in one.spoken)
    }
    found: list[HeardExchange] = []
    for one in captions:
        role = one.source.role
        # Where the wanted caption says nothing, the other one takes its place.
        unwanted = role != "specialist" and spec.caption not in ("both", role) and spec.caption in usable
        most = {"original": None, "base": 1}.get(role, one.source.policy.exchanges)
        before = sum(other.source is one.source and other.status == "ok" for other in found)
        later = most is not None and before >= most
        if one.status == "ok" and (unwanted or later):
            one = replace(one, kept=False, reason="policy" if unwanted else "cap")
        found.append(one)
    return found


def _if_anything(one: HeardExchange) -> HeardExchange:
    if any(spoken.kept for spoken in one.spoken):
        return one
    return replace(one, kept=False, reason="nothing left")


def _leans_on_its_question(said: Sequence[Sentence]) -> bool:
    """Whether an answer, such as "red cube", needs its question, so that it may also answer another one."""
    return sum(len(_WORD.findall(sentence.text)) for sentence in said) < _A_STATEMENT


@dataclass(frozen=True, slots=True)
class _Gist:
    """What is compared of a sentence, computed once: its words, its claims, whether it holds coordinates."""

    words: tuple[str, ...]
    content: frozenset[str]
    stated: frozenset[tuple[str, ...]]
    placed: bool

    @classmethod
    def of(cls, sentence: Sentence) -> _Gist:
        return cls(
            words=tuple(_WORD.findall(sentence.text.lower())),
            content=frozenset(_WORD.findall(sentence.bare.lower())) - _EMPTY_WORDS,
            stated=frozenset(
                (one.kind, one.subject, one.predicate, one.object, one.value) for one in sentence.claims
            ),
            placed=_has_places(sentence.parts),
        )

    def is_said_in(self, earlier: _Gist) -> bool:
        """Whether an earlier sentence says as much: the same words, or more words and all of its claims."""
        if self.words == earlier.words:
            return True
        says_less = self.stated <= earlier.stated and self.content <= earlier.content
        return bool(self.stated) and not self.placed and says_less


def _held(gist: _Gist, said: Sequence[_Gist]) -> bool:
    return any(gist.is_said_in(earlier) for earlier in said)
