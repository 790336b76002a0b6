"""The guard around a plugin's code: whatever it does there becomes an error that names the plugin.

What the code prints goes to standard error, so that standard output holds a command's results alone.
"""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout

from vila2.errors import PluginError, Vila2Error
from vila2.nearest import nearest

#: Advice where the plugin asks for something that a later vila2 may have.
UPGRADE = "upgrade vila2 (pip install -U vila2): the plugin is made for a later version"
_REPORT = "report it to the plugin's author, with --debug"
_UNKNOWN_ARGUMENT = re.compile(r"^(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


@contextmanager
def guarded(of: str, *, hint: str = _REPORT) -> Iterator[None]:
    """Runs a plugin's code.

    Args:
        of: name of the code, for errors: "plugin 'ocr' (vila2-ocr 0.1.0), parser".
        hint: advice where the error itself suggests none.

    Raises:
        PluginError: The code raised an unexpected error, or tried to end the process.
        Vila2Error: The code raised it on purpose. It gets a note that names the plugin.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Vila2Error as error:
        note = f"in {of}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise
    except BaseException as error:
        if _is_ctrl_c(error):
            raise
        raise PluginError(f"{of}: {_said(error)}", hint=_hint(error) or hint) from error


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether the user stopped the process. A signal comes between two steps of the code, and a plugin that
    raises the same exception does so at a ``raise``."""
    if type(error) is not KeyboardInterrupt:
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] != "RAISE_VARARGS"


def _said(error: BaseException) -> str:
    """The error in a few words, with its type."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        found = [f"{'.'.join(map(str, one['loc'])) or error.title}: {one['msg']}" for one in error.errors()]
        return f"{error.title} is not valid: {'; '.join(found)}"
    return f"{type(error).__name__}: {error}"


def _hint(error: BaseException) -> str:
    """Advice for errors that show what is missing: a later vila2, or another package."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return _hint_of_fields(error)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] == "vila2":
        return f"{UPGRADE}, or it imports from a private module: vila2.plugin has all that plugins need"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what it needs: no module {error.name!r} is installed"
    unknown = _UNKNOWN_ARGUMENT.match(str(error)) if isinstance(error, TypeError) else None
    if unknown:
        import vila2.plugin

        return UPGRADE if unknown[1] in vila2.plugin.__all__ else ""
    return ""


def _hint_of_fields(error: BaseException) -> str:
    """Advice where a value of the contract is given fields that this version does not have."""
    from pydantic import ValidationError

    from vila2.plugin import contract

    kind = getattr(contract, error.title, None) if isinstance(error, ValidationError) else None
    fields = getattr(kind, "model_fields", None)
    if not isinstance(error, ValidationError) or fields is None:
        return ""
    return field_hint(
        [str(one["loc"][-1]) for one in error.errors() if one["type"] == "extra_forbidden"], fields
    )


def field_hint(unknown: Iterable[str], known: Collection[str]) -> str:
    """Advice for fields that a value of the contract does not have: a misspelling, or a later vila2."""
    for name in unknown:
        if near := nearest(name, known):
            return f"did you mean {near!r}? Otherwise {UPGRADE}"
        return UPGRADE
    return f"see vila2.plugin: there is {', '.join(known)}"
