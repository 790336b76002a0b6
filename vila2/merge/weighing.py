"""Weighs the layers against each other, for a verdict on every sentence.

The specialists are evidence for each other and for the captions. Any other specialist can support a
specialist's claim, but only one that ranks higher can refute it: where two contradict each other, the one
with the higher priority stays. A refuted claim is no evidence any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.merge.hearing import HeardExchange, Spoken
from vila2.merge.judging import NamedVerifier, judged, verdict_of
from vila2.merge.known import Known, known_of
from vila2.merge.repeats import refuted_repeats
from vila2.merge.sources import Source, ranked
from vila2.plugin.verifying import NO_CONTEXT, VerifierContext


def weigh(
    heard: Sequence[HeardExchange],
    sources: Sequence[Source],
    rows: Mapping[str, Sequence[Annotation]],
    *,
    absence: Collection[str],
    context: VerifierContext = NO_CONTEXT,
) -> tuple[list[HeardExchange], Known]:
    """Judges every sentence.

    Args:
        heard: exchanges about one image.
        sources: all layers.
        rows: annotations of the image, by layer.
        absence: kinds of claims that are refuted where a specialist looked and found nothing: any of
            "objects", "texts" and "repeats", which docs/architecture.md explains.
        context: the image, for verifiers that look at it, and the dataset's own evidence, which ranks above
            all layers.

    Returns:
        The exchanges with verdicts, in the same order, and what is known of the image in the end.

    Raises:
        PluginError: a verifier fails.
    """
    order = ranked(sources)
    verifiers = [verifier for source in order for verifier in source.verifiers]
    testimony = {source.name: _testimony(heard, source) for source in order}
    found = frozenset[str]().union(*(one.labels for one in order))

    def known(among: Sequence[Source]) -> Known:
        looked = [one.labels for one in among if one.looked(rows.get(one.name, ()), "object")]
        return known_of(
            (claim for one in among for claim in testimony[one.name]),
            labels=frozenset[str]().union(*looked) if "objects" in absence else frozenset(),
            found=found,
            all_texts="texts" in absence and any(one.looked(rows.get(one.name, ()), "text") for one in among),
            all_counted="repeats" in absence,
            context=context,
        )

    weighed: dict[tuple[str, int], HeardExchange] = {}
    for place, source in enumerate(order):
        others, above = known([one for one in order if one is not source]), known(order[:place])
        own = [_judged(one, others, above, verifiers) for one in heard if one.source is source]
        weighed |= {(source.name, one.number): one for one in own}
        testimony[source.name] = _testimony(own, source)
    everything = known(order)
    return [
        weighed.get((one.source.name, one.number)) or judge_by(one, everything, verifiers) for one in heard
    ], everything


def judge_by(exchange: HeardExchange, known: Known, verifiers: Sequence[NamedVerifier]) -> HeardExchange:
    """An exchange with verdicts by all that is known.

    Raises:
        PluginError: a verifier fails.
    """
    return _judged(exchange, known, known, verifiers)


def _judged(
    exchange: HeardExchange, others: Known, above: Known, verifiers: Sequence[NamedVerifier]
) -> HeardExchange:
    spoken = [_sentence(one, others, above, verifiers) for one in exchange.spoken]
    if others.all_counted:
        by_others = refuted_repeats(spoken, others)
        by_higher = by_others if above is others else refuted_repeats(spoken, above)
        spoken = [
            after if after is before else replace(after, outranks=higher.verdict != "contradicted")
            for before, after, higher in zip(spoken, by_others, by_higher, strict=True)
        ]
    return replace(exchange, spoken=tuple(spoken))


def _sentence(one: Spoken, others: Known, above: Known, verifiers: Sequence[NamedVerifier]) -> Spoken:
    claims = judged(one.sentence.claims, others, verifiers)
    verdict = verdict_of(claims, others)
    outranks = False
    if verdict == "contradicted" and above is not others:
        refuted = judged(one.sentence.claims, above, verifiers)
        outranks = not any(claim.status == "contradicted" for claim in refuted)
    return replace(
        one, sentence=replace(one.sentence, claims=tuple(claims)), verdict=verdict, outranks=outranks
    )


def _testimony(exchanges: Sequence[HeardExchange], source: Source) -> list[Claim]:
    """The claims that a specialist's parser read in its answers, without those that were refuted."""
    return [
        claim
        for exchange in exchanges
        if exchange.source is source and exchange.status == "ok"
        for one in exchange.spoken
        for claim in one.sentence.claims
        if claim.kind in source.kinds and (claim.status != "contradicted" or one.outranks)
    ]
