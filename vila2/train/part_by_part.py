"""The length of trees whose branches will be samples of their own."""

from __future__ import annotations

from vila2.data.branches import take_apart
from vila2.data.sample import Sample
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import Measured
from vila2.model.pieces import Style


class PartByPart(ConversationEncoder):
    """Measures a tree by the conversations that it stands for.

    Args:
        encoder: encoder of these conversations.
    """

    def __init__(self, encoder: ConversationEncoder) -> None:
        self.__dict__.update(vars(encoder))

    def measure(self, sample: Sample, style: Style = "chat", *, exact: bool = True) -> Measured:
        """The length of the longest part; see :meth:`ConversationEncoder.measure`.

        Raises:
            DataError, ModelError: one of the parts cannot be trained on.
        """
        parts = [super(PartByPart, self).measure(part, style, exact=exact) for part in take_apart(sample)]
        return Measured(max(part.tokens for part in parts), sum(part.truncated for part in parts))
