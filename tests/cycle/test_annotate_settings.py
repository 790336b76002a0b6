"""How a made specialist is asked: as its recipe said, but for what a user changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.cycle.annotate import MadeSpecialist, annotate_settings
from vila2.errors import RecipeError

#: As a specialist was saved before there were ``prompts``.
MADE = MadeSpecialist("ocr", Path("model"), {"annotate": {"max_new_tokens": 60, "batch_size": 50}})


def test_what_is_not_changed_stays_and_a_setting_newer_than_the_specialist_is_taken():
    spec = annotate_settings(MADE, ['prompts=["What is closest?"]', "batch_size=4"])
    assert (spec.max_new_tokens, spec.batch_size, spec.prompts) == (60, 4, ("What is closest?",))


def test_a_setting_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(RecipeError, match="promts=x: no such setting") as caught:
        annotate_settings(MADE, ["promts=x"])
    assert "prompts" in caught.value.mend
