"""Every check that a specialist must pass, on scenes and on drawn documents."""

import pytest
from vila2.data.shards import write_dataset
from vila2.testing import SpecialistConformance

from vila2_ocr.documents import read


class TestOcr(SpecialistConformance):
    name = "ocr"


class TestOcrOnDocuments(SpecialistConformance):
    name = "ocr"

    @pytest.fixture
    def data(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("ocr") / "documents"
        write_dataset(folder, read(count=12), name="documents", shard_size=16)
        return folder
