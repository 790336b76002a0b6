"""A plugin's parser at work: an answer becomes turns and claims, and a fault of the parser a status.

One answer that a parser cannot take costs that answer alone. It stays in the layer with the status "error"
and the reason. A parser that fails on too many of them is broken, and stops the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import Sample, Turn
from vila2.data.shortening import shortened
from vila2.engine.protocol import Request
from vila2.errors import DataError, PluginError, Vila2Error
from vila2.evaluate.held_out import read_answer
from vila2.plugin.contract import Parsed
from vila2.plugin.host import Host
from vila2.plugin.parsed_answers import parsed_fault
from vila2.plugin.references import call, listed, load_reference

#: Share of the answers that a parser may fail on, and number of answers from which on a share says anything.
LARGEST_SHARE = 0.2
_FIRST = 20
#: Opens the detail of a row whose parser failed; other rows with status "error" have no answer.
FAILED = "parser: "


@dataclass
class AnswerReader:
    """Adds turns and claims to answers, by a plugin's parser.

    Attributes:
        plugin: name of the plugin.
        scheme: form in which the model wrote coordinates.
        expected: number of answers that will come; a parser may fail on one of them in any case.
    """

    plugin: str
    scheme: CoordinateScheme
    expected: int = _FIRST
    _parse: Callable[..., object] = field(init=False, repr=False)
    _of: str = field(init=False, repr=False)
    _answers: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._of = f"{Host().plugin(self.plugin)}, parser"
        self._parse = load_reference(Host().specialist(self.plugin).parser, of=self._of)

    def __call__(self, sample: Sample, row: Annotation) -> Annotation:
        """Reads one answer.

        Raises:
            PluginError: the parser has failed on too many answers; the message holds the latest reason.
        """
        if row.status == "error" and not row.text:  # there is no answer
            return row
        self._answers += 1
        try:
            return self._read(sample, row)
        except Vila2Error as error:
            self._failed += 1
            self._check_share(error)
            return replace(row, status="error", detail=shortened(f"{FAILED}{error.what}"), mark=row.status)

    def _read(self, sample: Sample, row: Annotation) -> Annotation:
        request = Request(row.key, sample.images, row.prompt)
        said = read_answer(self.scheme, sample, request, row.text, row.status)
        about = f"{self._of}, on the answer about {row.key}"
        parsed: Parsed = call(self._parse, said, of=about, gives=Parsed)
        turns = tuple(listed(parsed.turns or (), Turn, of=about))
        claims = tuple(listed(parsed.claims or (), Claim, of=about))
        parsed = replace(parsed, turns=turns, claims=claims)
        if fault := parsed_fault(parsed, said, len(sample.images)):
            raise DataError(f"{about}: {fault}")
        detail = parsed.detail or (row.detail if parsed.status == row.status else "")
        mark = None if parsed.status == row.status else row.status
        return replace(
            row, status=parsed.status, detail=detail, turns=turns or None, claims=claims, mark=mark
        )

    def _check_share(self, error: Vila2Error) -> None:
        """Stops a parser that fails on more than one answer, and on too large a share of them."""
        counted = max(self._answers, min(_FIRST, self.expected))
        if self._failed > max(1.0, LARGEST_SHARE * counted):
            raise PluginError(
                f"{self._of} failed on {self._failed} of {self._answers} answers; the last: {error.what}",
                hint=error.hint or "mend the parser; the answers are kept, and the same command goes on",
            ) from error
