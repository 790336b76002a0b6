"""A saved model can be read by whom the user lets read files."""

import os

from vila2.model.assemble import assemble
from vila2.model.saving import save_model


def test_all_files_of_a_saved_model_have_the_mode_that_the_user_chose(tmp_path):
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    before = os.umask(0o027)
    try:
        save_model(model, processor, tmp_path / "model")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert modes["model.safetensors"] == 0o640 and set(modes.values()) == {0o640}
