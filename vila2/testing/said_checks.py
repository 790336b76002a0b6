"""Checks of what a parser or a tool makes of an answer, with messages that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.plugin.contract import Parsed, Said
from vila2.plugin.parsed_answers import parsed_fault
from vila2.plugin.verifying import VerifierContext, call_verifier

#: What to do about a fault, by words of its message.
_ADVICE = {
    "within the image": "give places from 0 to 1: divide pixels by the image's width and height",
    "swapped corners": "give a box as (left, top, right, bottom), from 0 to 1",
    "numbers": "a box is (left, top, right, bottom), a point (x, y), both from 0 to 1",
    "span": "count a claim's start and end in the characters of the answer's text, coordinates included; "
    "`reply` does it for a tool",
    "kind": "name in a claim's `kind` what it states",
}
#: Of the claims of true answers, the largest share that a verifier may contradict.
_MOST_REFUTED = 0.5


def check_parsed(parsed: Any, said: Said, images: int = 1) -> None:
    """Checks what became of an answer.

    Raises:
        AssertionError: The contract does not allow it; the message says what to do.
    """
    assert isinstance(parsed, Parsed), f"{parsed!r} is no vila2.plugin.Parsed: return one for every answer"
    turns, claims = tuple(parsed.turns or ()), tuple(parsed.claims or ())
    fault = parsed_fault(replace(parsed, turns=turns, claims=claims), said, images)
    assert not fault, f"of the answer {said.text[:200]!r}: {fault}{advice(fault)}"
    assert turns or parsed.status != "ok", "an answer that is ok has turns: give them, or another status"


def check_spans(claims: Sequence[Claim], said: Said, scheme: CoordinateScheme) -> None:
    """Checks that no claim about a whole answer begins or ends inside coordinates.

    Raises:
        AssertionError: One does.
    """
    places = {(one.start, one.end) for one in scheme.parse(said.text)}
    places |= {(one.start, one.end) for one in scheme.parse_points(said.text)}
    for claim in claims:
        cut = [place for place in places if _cuts(claim, place)]
        assert not cut, (
            f"of the answer {said.text[:200]!r}: the span {claim.start, claim.end} of a claim lies in the "
            f"coordinates {said.text[slice(*cut[0])]!r}{advice('span')}"
        )


def advice(fault: str) -> str:
    """What to do about a fault, as the end of a message; "" where the fault says it itself."""
    return next((f"; {told}" for words, told in _ADVICE.items() if words in fault), "")


def check_verifier(
    verify: Callable[..., Any], claimed: Sequence[tuple[Sample, Sequence[Claim]]], *, of: str
) -> None:
    """Calls a verifier with the claims of true answers and the evidence of their images.

    Raises:
        AssertionError: It contradicts what is true.
        PluginError: It fails, or gives other claims than it was given.
    """
    statuses: list[str] = []
    for sample, claims in claimed:
        evidence = Evidence.of(sample) or Evidence()
        given = [replace(claim, status="unverified", detail="") for claim in claims]
        context = VerifierContext(sample.key, evidence, lambda sample=sample: sample)  # type: ignore[misc]
        answers = call_verifier(verify, given, evidence, context, of=of)
        statuses += [one.status for one in answers]
    refuted = statuses.count("contradicted")
    assert refuted <= _MOST_REFUTED * len(statuses), (
        f"the verifier contradicts {refuted} of {len(statuses)} claims of true answers, with the truth as "
        "evidence: contradict only what the evidence rules out, and leave the rest unverified"
    )


def _cuts(claim: Claim, place: tuple[int, int]) -> bool:
    """Whether a claim begins or ends inside coordinates, or is nothing but a piece of them."""
    start, end = place
    inside = start <= claim.start and claim.end <= end
    return claim.start < claim.end and (inside or start < claim.start < end or start < claim.end < end)
