"""An export is refused where the terms of its layers forbid it."""

from __future__ import annotations

import json

import pytest

from vila2.errors import DataError


@pytest.fixture
def under(dataset):
    """``under(layer, terms)``: has a layer state its terms."""

    def state(layer: str, terms: str) -> None:
        file = dataset.folder / "layers" / layer / "layer.json"
        content = json.loads(file.read_text())
        content["info"]["license"] = terms
        file.write_text(json.dumps(content))

    return state


@pytest.mark.parametrize(
    ("terms", "license", "said"),
    [
        ("CC BY-ND 4.0", "", "forbids changed copies"),
        ("CC BY-NC 4.0", "apache-2.0", "forbids commercial use; --license apache-2.0 does not"),
        ("KITTI CC BY-NC-SA 3.0", "cc-by-nc-4.0", "asks for the same license"),
        ("for non-commercial research", "mit", "forbids commercial use"),
    ],
)
def test_what_a_layers_terms_forbid_is_refused_unless_told(
    export, under, terms: str, license: str, said: str
):
    under("boxes", terms)
    with pytest.raises(DataError, match=said) as refused:
        export("llava", "boxes", license=license)
    assert "'boxes'" in str(refused.value) and "--despite-licenses" in str(refused.value)
    folder, _ = export("llava", "boxes", license=license, despite_licenses=True)
    assert terms in (folder / "README.md").read_text()


def test_two_layers_that_each_bind_the_whole_do_not_mix(export, under):
    under("boxes", "CC BY-SA 4.0")
    under("outlines", "CC-BY-NC-SA-4.0")
    with pytest.raises(DataError, match="different licenses of the whole"):
        export("llava", "boxes", "outlines", license="cc-by-nc-sa-4.0")


@pytest.mark.parametrize(
    ("terms", "license"),
    [
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("CC BY-NC 4.0", ""),
        ("MIT", "apache-2.0"),
        ("see the table of sources", "mit"),
    ],
)
def test_what_the_terms_allow_is_written(export, under, terms: str, license: str):
    under("boxes", terms)
    _, made = export("llava", "boxes", license=license)
    assert made.rows
