"""Measured lengths equal encoded ones, with image tokens that are fixed, framed, or depend on size."""

import io

import pytest
from PIL import Image

from tests.model.tiny_families import FAMILIES
from vila2.data import atomic
from vila2.data.images import image_size
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import DataError
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import load_processor
from vila2.packing.lengths import measure_lengths
from vila2.run.board import Board


def picture(width: int, height: int, orientation: int | None = None, kind: str = "JPEG") -> bytes:
    data, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(data, kind, exif=exif)
    return data.getvalue()


@pytest.mark.parametrize("family", FAMILIES)
def test_lengths_are_those_of_encoding(tmp_path, family):
    FAMILIES[family][0](tmp_path / "model")
    processor = load_processor(tmp_path / "model")
    sizes = [(60, 50), (30, 90), (200, 40), (60, 50)]
    samples = [
        Sample(str(n), (picture(*size, orientation=6 if n == 1 else None),),
               (user(ImagePart(), "a" * n), assistant("b")))
        for n, size in enumerate(sizes)
    ]  # fmt: skip
    samples.append(Sample("text", (), (assistant("abc"),)))
    encoder = ConversationEncoder(processor)
    file = tmp_path / "lengths.npz"
    lengths = measure_lengths(samples, encoder, "plain", file, Board())
    assert lengths.tokens.tolist() == [len(encoder.encode(sample, "plain").input_ids) for sample in samples]
    assert lengths.images.tolist() == [1, 1, 1, 1, 0]
    # In a process of its own, as after a kill: a process looks once for what dead writers left.
    left = tmp_path / ".lengths.abcdefgh.tmp.npz"
    left.write_bytes(b"half of it")
    atomic._leftovers.clear()
    kept = measure_lengths([], encoder, "plain", file, Board())
    assert kept.tokens.tolist() == lengths.tokens.tolist()
    assert not left.exists(), "what a killed process left is gone"


@pytest.mark.parametrize("family", FAMILIES)
def test_lengths_that_are_not_measured_one_by_one_are_right_too(tmp_path, family):
    FAMILIES[family][0](tmp_path / "model")
    encoder = ConversationEncoder(load_processor(tmp_path / "model"))
    processed = []
    reader = encoder._pictures
    process = reader._process
    reader._process = lambda pictures: processed.append(len(pictures)) or process(pictures)
    sizes = [(64 + 7 * n, 64 + 5 * (n * n % 13)) for n in range(60)]
    samples = [
        Sample(str(n), (picture(*size),), (user(ImagePart()), assistant("b"))) for n, size in enumerate(sizes)
    ]
    lengths = measure_lengths(samples, encoder, "plain", None, Board(), exact=False)
    own = encoder.processor
    told = 60 if getattr(own, "counts_by_size", False) else 28 * hasattr(own, "_get_num_multimodal_tokens")
    assert len(processed) == 60 - told, "the rest was told"
    assert lengths.tokens.tolist() == [len(encoder.encode(sample, "plain").input_ids) for sample in samples]


def test_the_size_is_that_of_the_image_turned_upright():
    assert image_size(picture(30, 20), where="k") == (30, 20)
    assert image_size(picture(30, 20, orientation=6), where="k") == (20, 30)
    assert image_size(picture(30, 20, orientation=8, kind="PNG"), where="k") == (20, 30)
    with pytest.raises(DataError, match="k: the size"):
        image_size(b"\xff\xd8\xff no more", where="k")
