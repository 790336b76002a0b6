"""Notices that a plugin under development has changed since its data were built."""

from __future__ import annotations

import logging

from vila2.data.atomic import write_text_atomic
from vila2.plugin.code_version import code_version, is_editable
from vila2.plugin.discovery import Installed
from vila2.run.step_files import StepResult

log = logging.getLogger("vila2.plugin")

#: File in the folder of a build with the version of the code that built it.
_BUILT_BY = "built_by.txt"


def notice_changed_code(plugin: Installed, built: StepResult, *, dry: bool) -> None:
    """Warns where the data were built by other code. They are kept: training on new ones takes long.

    Args:
        plugin: plugin whose builder built the data.
        built: step of the build.
        dry: whether nothing may be written.
    """
    if not built.done or not is_editable(plugin):
        return
    file, version = built.folder / _BUILT_BY, code_version(plugin)
    if not file.exists():
        if not dry:
            write_text_atomic(file, version)
    elif file.read_text(encoding="utf-8") != version:
        log.warning(
            "the code of %s has changed since its data were built, and they are used as they are; raise the "
            "builder's version if it makes other samples now",
            plugin,
        )
