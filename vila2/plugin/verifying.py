"""What a plugin's verifier may look at, besides the claims and the evidence of the layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from vila2.data.claims import Claim, ClaimStatus
from vila2.data.evidence import Camera, Evidence, SceneObject
from vila2.data.images import decode_image
from vila2.data.sample import Sample
from vila2.errors import PluginError
from vila2.plugin.references import call, listed

if TYPE_CHECKING:
    from PIL.Image import Image

#: ``verify(claims, evidence)``, or ``verify(claims, evidence, context)``.
Verifier = Callable[..., Sequence[Claim]]


@dataclass(frozen=True)
class VerifierContext:
    """The image that claims are about, and what its dataset knows of it.

    A verifier gets it as a parameter called ``context``, if it has one. The image is read when it is asked
    for, so verifiers that do not look at it cost nothing.

    Attributes:
        key: key of the sample.
        evidence: the dataset's own evidence; None where it has none, or where a merge may not use it.
    """

    key: str = ""
    evidence: Evidence | None = None
    _open: Callable[[], Sample] | None = field(default=None, repr=False, compare=False)

    @property
    def camera(self) -> Camera | None:
        """The camera that took the image; None where unknown."""
        return self.evidence.camera if self.evidence else None

    @property
    def solids(self) -> tuple[SceneObject, ...]:
        """The things whose place in space is known."""
        return tuple(one for one in self.evidence.objects if one.solid) if self.evidence else ()

    @property
    def images(self) -> tuple[bytes, ...]:
        """The image files of the sample."""
        return self._open().images if self._open else ()

    def image(self, number: int = 0) -> Image:
        """One image, decoded and upright.

        Raises:
            DataError: it cannot be decoded.
            IndexError: the sample has no such image.
        """
        return decode_image(self.images[number], where=f"{self.key}, image {number}")


#: The context of claims about no image in particular.
NO_CONTEXT = VerifierContext()


def call_verifier(
    verify: Verifier, claims: Sequence[Claim], evidence: Evidence, context: VerifierContext, *, of: str
) -> list[Claim]:
    """Calls a plugin's verifier with as much as it takes.

    Args:
        verify: the verifier.
        claims: claims that nothing was said about yet.
        evidence: what is known of their image.
        context: what else the verifier may look at.
        of: name of the verifier, for errors.

    Returns:
        The claims in their order, with its verdicts.

    Raises:
        PluginError: it fails, or gives other claims than it was given.
    """
    function: Callable[..., Any] = partial(verify, context=context) if _takes_context(verify) else verify
    answers = listed(call(function, claims, evidence, of=of), Claim, of=of)
    same = [replace(one, status="unverified", detail="") for one in answers] == list(claims)
    known = get_args(ClaimStatus)
    if not same or not {one.status for one in answers} <= set(known):
        raise PluginError(
            f"{of} was given {len(claims)} claims and gave back {len(answers)}: {answers}",
            hint="change nothing but `status` and `detail`, and keep the order; the status is one of "
            + ", ".join(known),
        )
    return answers


def _takes_context(verify: Verifier) -> bool:
    try:
        return "context" in inspect.signature(verify).parameters
    except (TypeError, ValueError):  # a function that is not written in Python
        return False
