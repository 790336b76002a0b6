"""How a made specialist is asked: as its recipe said, but for what a user changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.errors import RecipeError, RunError
from vila2.specialist.annotating import annotate_settings
from vila2.specialist.made import MadeSpecialist

#: As a specialist was saved before there were ``prompts``.
MADE = MadeSpecialist("ocr", Path("model"), {"annotate": {"max_new_tokens": 60, "batch_size": 50}})


def test_what_is_not_changed_stays_and_a_setting_newer_than_the_specialist_is_taken():
    spec = annotate_settings(MADE, ['prompts=["What is closest?"]', "batch_size=4"])
    assert (spec.max_new_tokens, spec.batch_size, spec.prompts) == (60, 4, ("What is closest?",))


def test_a_setting_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(RecipeError, match="promts=x: no such setting") as caught:
        annotate_settings(MADE, ["promts=x"])
    assert "prompts" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"plugin": "ocr"}'])
def test_a_damaged_specialist_names_its_file(tmp_path, text):
    (tmp_path / "specialist.json").write_text(text)
    with pytest.raises(RunError, match=r"specialist\.json is damaged") as caught:
        MadeSpecialist.open(tmp_path)
    assert "vila2 specialize" in caught.value.hint


def test_another_plugins_specialist_is_refused(tmp_path):
    (tmp_path / "specialist.json").write_text('{"plugin": "spatial", "annotate": {}, "dtype": "float32"}')
    assert MadeSpecialist.open(tmp_path, "spatial").plugin == "spatial"
    with pytest.raises(RunError, match=r"'spatial', not of 'ocr'") as caught:
        MadeSpecialist.open(tmp_path, "ocr")
    assert "'spatial'" in caught.value.hint
