"""The public faces: what an author imports is there, light to import, and has its types."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vila2
import vila2.plugin

FACES = [vila2, vila2.plugin]


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_name_of_a_face_is_there_and_has_its_type(face):
    (block,) = (node for node in ast.parse(inspect.getsource(face)).body if isinstance(node, ast.If))
    typed = {one.asname: node.module for node in block.body for one in node.names}
    assert typed == face._HOMES, "what a type checker sees is what is there"
    for name in face.__all__:
        assert getattr(face, name) is not None
    for name, home in face._HOMES.items():
        assert getattr(face, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_a_face_says_what_it_does_not_have(face):
    with pytest.raises(AttributeError, match="'Smaple'"):
        _ = face.Smaple


def test_types_reach_who_installs_the_package():
    assert (Path(vila2.__file__).parent / "py.typed").exists()


def test_a_plugin_that_only_registers_itself_loads_neither_torch_nor_pictures():
    code = "import sys; from vila2.plugin import Specialist, hookimpl; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "PIL", "pyarrow"} & set(loaded.split())
