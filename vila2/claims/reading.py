"""Reads free text into claims: things, their number, their places relative to each other, and written text.

A specialist's own parser reads its answers. These rules read captions of any origin, and what a parser leaves
unread. The predicates relate things to each other (left, right, above, below, front, behind) and to the
camera's view (camera_left, _right, _middle, _close, _far, _closest, _farthest).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence

from vila2.claims.denials import Span, denials, lies_in
from vila2.claims.mentions import CARRIERS, Mention, mentions
from vila2.claims.names import DETERMINERS, STOPS, Vocabulary, word_set
from vila2.data.claims import Claim

_OF_THE_IMAGE = r"\s+of\s+the\s+(?:image|picture|photo|scene|frame)"


def _side(word: str) -> str:
    """ "on the left", "at the left side of the image"; not "on the left of the cube"."""
    part = "side|half|part|edge|corner"
    place = rf"(?:(?:far|top|bottom|upper|lower)[\s-]+)?{word}(?:[\s-]+hand)?(?:\s+(?:{part}))?"
    return (
        rf"(?:(?:on|to|at|in)\s+the\s+)?{place}{_OF_THE_IMAGE}"
        rf"|(?:on|to|at)\s+the\s+{place}(?!\s+(?:hand|{part}|of)\b)"
    )


_RELATION = re.compile(
    r"\b(?:"
    rf"(?P<camera_left>{_side('left')})|(?P<camera_right>{_side('right')})"
    rf"|(?P<camera_middle>(?:in|at)\s+the\s+(?:middle|cent(?:er|re))(?:{_OF_THE_IMAGE})?(?!\s+of\b))"
    r"|(?P<camera_closest>(?:closest|nearest)\s+to\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_farthest>(?:farthest|furthest)\s+(?:away\s+)?from\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_close>in\s+the\s+foreground|(?:close|near)\s+to\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_far>in\s+the\s+background|far\s+(?:away\s+)?from\s+the\s+(?:camera|viewer))"
    r"|(?P<left>(?:(?:to|on)\s+the\s+)?left(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<right>(?:(?:to|on)\s+the\s+)?right(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<front>in\s+front\s+of|(?:closer|nearer)\s+(?:to\s+(?:the\s+|us\b\s*)?(?:camera\s+|viewer\s+)?)?than)"
    r"|(?P<behind>behind|(?:farther|further)\s+(?:away\s+)?(?:from\s+(?:the\s+)?(?:camera|viewer)\s+)?than)"
    r"|(?P<above>above|on\s+top\s+of)|(?P<below>below|underneath|beneath|under)"
    r")\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?<!\d)\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”")  # 5" is a measure
#: Without double quotes, a quote is a text in capitals or one that is called a word: "reading books" quotes
#: none.
_SAID = re.compile(
    r"\b(?:says?|saying|reads?|reading|spells?|spelling|labell?ed|titled|(?:the|a)\s+words?)\s*:?\s+"
    r"(?:['‘]((?:[^'’\n]|['’](?=\w)){1,200})['’](?!\w)|((?=[0-9-]*[A-Z])[A-Z0-9][A-Z0-9-]+)\b)|"
    r"\b(?:the|a)\s+word\s+(?!(?:on|is|in|that|at|of|for|and|written|printed|can|may)\b)([a-z]+)\b",
)
#: Words that make a quote a written text, at most three words before it; a "thumbs up" is not written.
_WRITTEN = re.compile(
    rf"\b(?:says?|saying|reads?|reading|spells?|spelling|labell?ed|titled|written|printed|(?:{'|'.join(sorted(CARRIERS))})s?)"
    r"\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:.](?=\s)|\b(?:and|while|but|whereas)\b", re.IGNORECASE)

# A thing's place is read only from sentences of these few forms; all others make no claim.
_BE = r"(?:(?:can\s+)?be|is|are|was|were|stands?|sits?|lies?|lay|appears?|seems?)\s+"
_HOW = r"(?:(?:also|just|still|right|far|much|slightly|partly|up|down|\w+ly)\s+)?"
_LOOKING = r"(?:look|fac|point|turn|lean|head|gazing|star(?:ing|ed)|direct|reach|mov|tilt|bend)"
_DOING = rf"(?:(?!{_LOOKING})[\w-]+(?:ing|ed)|seen|shown|visible)\s+"
_STAYS = (
    "",
    *word_set("standing sitting lying located placed positioned situated parked seen shown visible"),
)
_ON_THE_GROUND = r"(?:on\s+the\s+(?:ground|floor|grass)\s+)?"
_STANDS = (
    rf"\s+{_BE}(?:to\s+be\s+)?(?:[\w-]+,?\s+and\s+(?:{_BE})?)?"
    rf"{_HOW}(?P<doing>{_DOING})?{_HOW}{_ON_THE_GROUND}"
)
#: Words between a thing and its own place: "is", "stands on the ground", ", which is".
_ITS_PLACE = (
    re.compile(rf"(?:,\s+(?:which|who)\s[^,;]{{1,60}},)?{_STANDS}", re.IGNORECASE),
    re.compile(
        rf",?\s+(?:(?:which|that|who)\s+{_BE})?{_HOW}(?P<doing>{_DOING})?{_HOW}{_ON_THE_GROUND}",
        re.IGNORECASE,
    ),
)
#: Words behind a thing whose description names others: "a man with a hat", "a cat sitting on a sofa".
_DESCRIBED = re.compile(r"\s+(?:with|in|of|on|at|near|next|beside|behind|by|under|\w+ing)\s", re.IGNORECASE)
_ANOTHER_CLAUSE = re.compile(
    r"\b(?:is|are|was|were|has|have|that|which|who|where|when|as|if|than)\b", re.IGNORECASE
)
#: Words between the beginning of a later clause and the thing that it is about.
_ABOUT = re.compile(
    r"\s*(?:also\s+|then\s+)?(?:with\s+|there\s+(?:is|are)\s+(?:also\s+)?|(?:we|you)\s+(?:can\s+)?(?:also\s+)?see\s+)?",
    re.IGNORECASE,
)
#: Words between a place that begins a clause and the thing that is there.
_IS_THERE = re.compile(
    r"(?:,?\s+(?:there\s+(?:is|are|stands?|sits?|lies?)|there['’]s|(?:we|you)\s+(?:can\s+)?(?:also\s+)?see)\s+"
    r"|\s+(?:is|are|stands?|sits?|lies?)\s+)(?:also\s+)?(?:[\w-]+(?:,\s+[\w-]+)*,?\s+and\s+)?",
    re.IGNORECASE,
)
_AT_ONCE = re.compile(r",?\s+")
#: Words between two places of one thing; after a place beside another thing, only "and" returns to the first.
_GOES_ON = re.compile(
    r"[\s,]*(?:and\s+|but\s+)?(?:also\s+)?(?:it\s+)?(?:is\s+|stands\s+|are\s+)?", re.IGNORECASE
)
_AND_ALSO = re.compile(r",?\s+(?:and|but)\s+(?:also\s+)?(?:is\s+|stands\s+|are\s+)?", re.IGNORECASE)
_OR_THE_OTHER = re.compile(r"\s+(?:and|or)\s+(?:the\s+)?(?:left|right)\b", re.IGNORECASE)
_NEXT_WORD = re.compile(r"\s+([^\W\d_]+)")
_FAR = 200  # characters that are searched for the subject of a sentence
#: Blanks out coordinates in a sentence, which say nothing about relations.
_COORDINATES = str.maketrans("\ufffc()[]", "     ")


def read_claims(sentence: str, vocabulary: Vocabulary) -> tuple[Claim, ...]:
    """Reads the claims of one sentence, unverified, in order of their first character.

    Args:
        sentence: a single sentence; the things of a relation or a quote stand in the same one.
        vocabulary: words of the specialists' names; see :func:`vila2.claims.mentions.mentions`.
    """
    # A quote is written in the image; it does not name things that are there.
    unquoted, quotes = _without_quotes(sentence)
    denied = denials(unquoted)
    named = mentions(unquoted, vocabulary)
    things = [one for one in named if one.name[-1] not in CARRIERS]
    heads = Counter(one.name[-1] for one in things)
    claims = [
        Claim("object", one.start, one.end, "unverified", subject=one.called)
        if one.number is None
        # Two dogs "and another dog" are three.
        else Claim("count", one.start, one.end, "unverified", subject=one.called, value=str(one.number),
                   predicate="" if one.total and heads[one.name[-1]] == 1 else "at least")
        for one in things
    ]  # fmt: skip
    claims += _relations(unquoted.translate(_COORDINATES), named, denied)
    ends = [one.end for one in things]
    for start, end, value in quotes:
        if not lies_in(denied, start):
            before = bisect_right(ends, start)
            written = _WRITTEN.search(unquoted, max(0, start - _FAR), start) is not None
            claims.append(
                Claim("text", start, end, "unverified", subject=things[before - 1].called if before else "",
                      predicate="" if written else "quoted", value=value.rstrip(".,;"))
            )  # fmt: skip
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def _without_quotes(sentence: str) -> tuple[str, list[tuple[int, int, str]]]:
    """Replaces the quotes of a sentence by blanks; also gives start, end and text of each."""
    quotes: list[tuple[int, int, str]] = []
    unquoted = sentence
    for pattern in (_QUOTED, _SAID):
        pieces, place = [], 0
        for hit in pattern.finditer(unquoted):
            start, end = hit.span(hit.lastindex or 0)
            said = sentence[start:end]
            within_another = said != unquoted[start:end]
            if within_another or not any(map(str.isalnum, said)):
                continue
            quotes.append((start, end, said.strip()))
            pieces += [unquoted[place:start], " " * (end - start)]
            place = end
        unquoted = "".join(pieces) + unquoted[place:]
    return unquoted, quotes


def _relations(sentence: str, things: Sequence[Mention], denied: Sequence[Span]) -> Iterator[Claim]:
    """Reads where things are, as far as it is clear which thing each place belongs to."""
    if "respectively" in sentence.lower():
        return
    clauses = [0, *(hit.end() for hit in _CLAUSE.finditer(sentence))]
    starts, ends = [one.start for one in things], [one.end for one in things]
    subject: Mention | None = None  # of the previous relation, which ends at ``spent``
    other: Mention | None = None
    spent = 0
    for hit in _RELATION.finditer(sentence):
        earlier, (subject, other) = (subject, other), (None, None)
        predicate = str(hit.lastgroup)
        after = bisect_right(starts, hit.end() - 1)
        end = hit.end()
        if not predicate.startswith("camera_"):
            # The object follows at once; anything in between gives the sentence another meaning.
            if after == len(things) or sentence[end : starts[after]].strip():
                continue
            other, end, after = things[after], ends[after], after + 1
        elif not _is_place(sentence, end):
            continue
        if lies_in(denied, hit.start()) or _unplaced(other):
            continue
        opens = clauses[bisect_right(clauses, hit.start()) - 1]
        gap = sentence[end : starts[after]] if after < len(things) else "."
        explicit = _IS_THERE.fullmatch(gap)
        if sentence[opens : hit.start()].strip(" ,").lower() in ("", "also") and (
            explicit or _AT_ONCE.fullmatch(gap)
        ):
            # "Behind the sofa there is a lamp" is clear; "..., on the left, a lamp" is not.
            subject = things[after] if explicit or _begins(sentence, opens) else None
        elif earlier[0] and (_AND_ALSO if earlier[1] else _GOES_ON).fullmatch(sentence, spent, hit.start()):
            subject = earlier[0]
        else:
            number = bisect_right(ends, hit.start()) - 1  # the nearest thing before the place
            if number >= 0 and hit.start() - ends[number] <= _FAR:
                opens = clauses[bisect_right(clauses, starts[number]) - 1]
                if earlier[0] and opens < spent <= starts[number]:
                    opens = spent
                subject = _subject(sentence, things[bisect_left(starts, opens) : number + 1], opens, hit)
        if subject is None or _unplaced(subject):
            subject = None
            continue
        spent = end
        marks = [
            (hit.start(), hit.end()),
            (subject.start, subject.end),
            *([(other.start, other.end)] if other else []),
        ]
        yield Claim(
            "relation", min(a for a, _ in marks), max(b for _, b in marks), "unverified",
            subject=subject.called, predicate=predicate, object=other.called if other else "",
        )  # fmt: skip


def _subject(sentence: str, clause: Sequence[Mention], opens: int, place: re.Match[str]) -> Mention | None:
    """Finds the thing that a place in a clause belongs to: the first before it; None where that is not clear.

    "A cat with a hat is left of" is about the cat; "a man walks a dog left of" may be about either.
    """
    first, last = clause[0], clause[-1]
    if not _begins(sentence, opens) and not _ABOUT.fullmatch(sentence, opens, first.start):
        return None
    plain = next(
        filter(None, (form.fullmatch(sentence, first.end, place.start()) for form in _ITS_PLACE)), None
    )
    if plain is None and last.start - first.end <= _FAR:
        described = sentence[first.end : last.start]
        if _DESCRIBED.match(described) and not _ANOTHER_CLAUSE.search(described):
            plain = _ITS_PLACE[0].fullmatch(sentence, last.end, place.start())
    if plain is None:
        return None
    # "Running to the left" states a direction.
    goes = place.lastgroup in ("camera_left", "camera_right") and place.group()[:2].lower() == "to"
    return None if goes and (plain["doing"] or "").strip().lower() not in _STAYS else first


def _begins(sentence: str, place: int) -> bool:
    """Whether a clause begins the sentence, or begins anew after a colon, a semicolon or a period."""
    return sentence[place - 1 : place] in ("", ";", ":", ".")


def _is_place(sentence: str, end: int) -> bool:
    """Whether a whole place ends here: "on the left", not "on the left arm" or "on the left and right"."""
    word = _NEXT_WORD.match(sentence, end)
    own = word is None or word[1].lower() in STOPS | DETERMINERS or word[1].lower().endswith("ing")
    return own and not _OR_THE_OTHER.match(sentence, end)


def _unplaced(one: Mention | None) -> bool:
    """Whether no place of a thing is read, because it is several things or carries written text."""
    return one is not None and (one.number is not None or one.name[-1] in CARRIERS)
