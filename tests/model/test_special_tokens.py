"""Numbered tokens in models of every family: added once, kept when saved, and never made from text."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from tests.model.tiny_families import FAMILIES
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import BoxPart, PointPart, PolygonPart, Sample, TextPart, assistant, user
from vila2.data.tokens import LOCATION_TOKENS, TokenSpec
from vila2.errors import ModelError
from vila2.model.conversation import ConversationEncoder
from vila2.model.coordinate_scheme import scheme_of, set_coordinates
from vila2.model.encoded import IGNORED
from vila2.model.generalist import load_generalist
from vila2.model.special_tokens import add_token_groups, token_groups

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{{ p.text }}{% endfor %}</s>{% endfor %}"
)
SMALL = TokenSpec("loc", "<loc_{:03d}>", 10, loss="soft")
families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for family, (save, _) in FAMILIES.items():
        save(folder / family / "model")
    return {family: folder / family / "model" for family in FAMILIES}


@families
def test_tokens_are_added_once_and_kept_when_saved(folders, family, tmp_path):
    found = load_generalist(folders[family])
    model, tokenizer = found.model, found.processor.tokenizer
    before = model.get_input_embeddings().weight.detach().clone()
    (group,) = add_token_groups(model, found.processor, [LOCATION_TOKENS])
    assert tokenizer.convert_tokens_to_ids(["<loc_000>", "<loc_999>"]) == [group.first, group.first + 999]
    rows = model.get_input_embeddings().weight
    assert torch.equal(rows[: len(before)], before), "the model reads its own tokens as ever"
    assert len(rows) == len(model.get_output_embeddings().weight) == group.first + 1000
    assert add_token_groups(model, found.processor, [LOCATION_TOKENS]) == (group,)
    assert len(model.get_input_embeddings().weight) == len(rows)

    model.save_pretrained(tmp_path / "model")
    found.processor.save_pretrained(tmp_path / "model")
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    text = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert token_groups(plain.config) == token_groups(text) == (group,)
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        assert torch.equal(getattr(plain, layer)().weight, getattr(model, layer)().weight)
    ids = text("at <loc_005><loc_999>")["input_ids"]
    assert ids[-2:] == [group.first + 5, group.first + 999]
    assert text.decode(ids, skip_special_tokens=True).replace(" ", "").endswith("<loc_005><loc_999>")
    assert plain(input_ids=torch.tensor([ids])).logits.shape[-1] == len(rows)


@pytest.mark.parametrize("init, ordered", [("mean", False), ("sinusoidal", True), ("numeric", True)])
@pytest.mark.parametrize("family", ["ours", "llava"])  # tied, and with an output layer of its own
def test_what_embeddings_start_as(folders, family, init, ordered):
    found = load_generalist(folders[family])
    spec = TokenSpec("loc", "<loc_{:03d}>", 100, init=init)
    (group,) = add_token_groups(found.model, found.processor, [spec])
    for layer in (found.model.get_input_embeddings(), found.model.get_output_embeddings()):
        rows = layer.weight[group.first :].detach()
        near = (rows[1:] - rows[:-1]).norm(dim=1).mean()
        far = (rows[50:] - rows[:50]).norm(dim=1).mean()
        assert torch.isfinite(rows).all()
        assert (near < 0.5 * far) if ordered else bool(far == 0)
        if init == "numeric":
            ids = found.processor.tokenizer.convert_tokens_to_ids(["0", "9"])
            assert torch.allclose(rows[[0, -1]], layer.weight[ids], atol=1e-6)


def test_spare_rows_are_used_before_the_embeddings_grow(folders):
    found = load_generalist(folders["llava"])
    found.model.resize_token_embeddings(500, mean_resizing=False)
    (group,) = add_token_groups(found.model, found.processor, [SMALL])
    assert len(found.model.get_input_embeddings().weight) == 500
    ids = found.processor.tokenizer.convert_tokens_to_ids(["0", "9"])
    rows = found.model.get_input_embeddings().weight
    assert torch.allclose(rows[[group.first, group.first + 9]], rows[ids], atol=1e-6)


def test_tokens_that_a_model_was_pretrained_with_are_taken_as_they_are(folders):
    found = load_generalist(folders["llava"])
    add_token_groups(found.model, found.processor, [SMALL])
    found.model.config.token_groups = None
    found.processor.tokenizer.init_kwargs.pop("token_groups")
    with torch.no_grad():
        found.model.get_input_embeddings().weight.normal_()
    before = found.model.get_input_embeddings().weight.clone()
    add_token_groups(found.model, found.processor, [SMALL])
    assert torch.equal(found.model.get_input_embeddings().weight, before)


@pytest.mark.parametrize(
    "second, says",
    [
        (TokenSpec("loc", "<loc_{:03d}>", 10, loss="ce"), "with other settings"),
        (TokenSpec("place", "<loc_{:03d}>", 5), "both have the token '<loc_000>'"),
    ],
)
def test_conflicts_are_named(folders, second, says):
    found = load_generalist(folders["llava"])
    add_token_groups(found.model, found.processor, [SMALL])
    with pytest.raises(ModelError, match=says):
        add_token_groups(found.model, found.processor, [second])


def test_a_tokenizer_with_some_of_the_tokens_is_refused(folders):
    found = load_generalist(folders["llava"])
    found.processor.tokenizer.add_tokens(["<loc_003>"])
    with pytest.raises(ModelError, match="1 of the 10 tokens"):
        add_token_groups(found.model, found.processor, [SMALL])


@families
@pytest.mark.parametrize("style", ["chat", "plain"])
def test_a_box_becomes_its_tokens_and_text_that_looks_like_them_does_not(folders, family, style):
    found = load_generalist(folders[family])
    set_coordinates(found.model, found.processor, "tokens")
    found.processor.chat_template = TEMPLATE
    tokenizer = found.processor.tokenizer
    box, point = BoxPart((0.1, 0.2, 0.5, 1.0)), PointPart((0.0, 0.25))
    turns = (user("where is <loc_005>? ", point), assistant(box, " and <loc_006>, ", box))
    encoded = ConversationEncoder(found.processor).encode(Sample("k", (), turns), style)
    (group,) = token_groups(tokenizer)
    located = [
        (t - group.first, label != IGNORED)
        for t, label in zip(encoded.input_ids, encoded.labels, strict=True)
        if t >= group.first
    ]
    one = [(number, True) for number in (100, 200, 500, 999)]
    assert located == [(0, False), (250, False), *one, *one]
    assert encoded.labels[-1] != IGNORED, "the end after a box is learned too"
    text = tokenizer.decode(encoded.input_ids).replace(" ", "")
    assert "<loc_005>" in text and "<loc_006>" in text, "what was written is still there, as text"
    said = scheme_of(found.processor).to_parts(tokenizer.decode([t for t in encoded.labels if t != IGNORED]))
    read = [part.box for part in said if isinstance(part, BoxPart)]
    assert read == [pytest.approx(box.box, abs=0.0005 + 1e-9)] * 2


@families
def test_a_polygon_becomes_its_corners_and_is_read_back(folders, family):
    found = load_generalist(folders[family])
    set_coordinates(found.model, found.processor, "tokens")
    found.processor.chat_template = TEMPLATE
    roof = PolygonPart(((0.0, 0.5), (0.5, 0.0), (0.999, 0.5)))
    turns = (user("outline it"), assistant("a roof ", roof, PointPart((0.1, 0.1)), " and ", roof))
    encoded = ConversationEncoder(found.processor).encode(Sample("k", (), turns))
    text = found.processor.tokenizer.decode([t for t in encoded.labels if t != IGNORED])
    places = [part for part in scheme_of(found.processor).to_parts(text) if not isinstance(part, TextPart)]
    assert [type(part) for part in places] == [PolygonPart, PointPart, PolygonPart], text
    for corner, read in zip(roof.polygon, places[0].polygon, strict=True):
        assert read == pytest.approx(corner, abs=0.0005 + 1e-9)


@pytest.mark.parametrize("style", ["chat", "plain"])
def test_a_box_in_text_stands_in_the_line_that_it_is_part_of(folders, style):
    found = load_generalist(folders["ours"])
    turns = (user("where? "), assistant("a ball ", BoxPart((0.0, 0.5, 0.25, 1.0)), " and"))
    encoded = ConversationEncoder(found.processor).encode(Sample("k", (), turns), style)
    text = "".join(found.processor.tokenizer.convert_ids_to_tokens(encoded.input_ids))
    assert "aball[0.000,0.500,0.250,1.000]and" in text.replace(" ", ""), "no line break around it"


def test_a_scheme_goes_where_the_processor_goes(folders, tmp_path):
    found = load_generalist(folders["ours"])
    assert scheme_of(found.processor) == CoordinateScheme()
    scheme = CoordinateScheme(decimals=None, bins=512, order="yxyx", frame="padded")
    set_coordinates(found.model, found.processor, scheme)
    found.model.save_pretrained(tmp_path / "m")
    found.processor.save_pretrained(tmp_path / "m")
    again = load_generalist(tmp_path / "m").processor
    assert scheme_of(again) == scheme
    again.tokenizer.init_kwargs["coordinates"] = CoordinateScheme("tokens").to_json()
    with pytest.raises(ModelError, match="has no '<loc_999>'"):
        ConversationEncoder(again)
