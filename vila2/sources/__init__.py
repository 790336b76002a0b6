"""Sources: readers that turn other people's data into samples, and the table of their names."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, cast

from vila2.errors import DataError
from vila2.plugin.references import call, load_reference
from vila2.sources.outside import allowing

if TYPE_CHECKING:
    from vila2.data.rejects import Reject
    from vila2.data.sample import Sample

    Reader = Callable[..., Iterator[Sample | Reject]]

#: The sources of the core: names, and the functions ``read(path, **options)`` that read them.
SOURCES: dict[str, str] = {
    "captions": "vila2.sources.caption_rows:read",
    "evidence": "vila2.sources.evidence.evidence_source:read",
    "folder": "vila2.sources.folder:read",
    "huggingface": "vila2.sources.huggingface:read",
    "img2dataset": "vila2.sources.img2dataset:read",
    "instructions": "vila2.sources.instructions:read",
    "llava": "vila2.sources.llava:read",
    "mmc4": "vila2.sources.mmc4:read",
    "world": "vila2.sources.world.world_source:read",
}


def open_source(name: str, *, allow_outside: bool = False, **options: object) -> Iterator[Sample | Reject]:
    """Reads a source by its name.

    Args:
        name: name of the source, of the core (:data:`SOURCES`) or of a plugin.
        allow_outside: whether images may be read that lie outside the source's folder or ``image_root``.
        options: options of the source, ``path`` among them. All sources have ``start`` and ``count``.

    Returns:
        Samples, and a ``Reject`` for each input that cannot become one.

    Raises:
        DataError: the source or an option is unknown, or an option is missing.
        PluginError: the plugin that brings the source is broken.
    """
    read = find_source(name)
    parameters = inspect.signature(read).parameters
    for option in options:
        if option not in parameters:
            raise DataError(f"source {name!r} has no option {option!r}", hint=_nearest(option, parameters))
    for option, parameter in parameters.items():
        needed = parameter.default is inspect.Parameter.empty
        if needed and options.get(option) is None:
            hint = "give the file or folder to read" if option == "path" else _summary(read)
            raise DataError(f"source {name!r} needs the option {option!r}", hint=hint)
    items = read(**_here(options, parameters))
    return allowing(iter(items)) if allow_outside else items


def _here(options: dict[str, object], parameters: Mapping[str, inspect.Parameter]) -> dict[str, object]:
    """Options with a copy of the file in place of its URL; its images are those beside the URL."""
    from vila2.data.remote import fetched_copy, remote_url

    url = remote_url(str(options.get("path") or ""))
    if url is None:
        return options
    beside = {"image_root": url.rpartition("/")[0]} if "image_root" in parameters else {}
    given = {name: value for name, value in options.items() if value is not None}
    return {**beside, **given, "path": fetched_copy(url)}


def source_names() -> list[str]:
    """Lists the names of all sources, including those of plugins."""
    from vila2.plugin.host import Host

    return list(dict.fromkeys([*SOURCES, *Host().names("source")]))


def source_options(name: str) -> dict[str, inspect.Parameter]:
    """Lists the options of a source, by name.

    Raises:
        DataError: the source is unknown.
    """
    return dict(inspect.signature(find_source(name)).parameters)


def find_source(name: str) -> Reader:
    """The function that reads a source. Of the plugins, only the one that brings it is imported.

    Raises:
        DataError: the source is unknown.
        PluginError: the plugin that brings it is broken, or two bring it.
    """
    if name in SOURCES:
        return cast("Reader", load_reference(SOURCES[name], of=f"source {name!r}"))
    from vila2.plugin.host import Host
    from vila2.plugin.newly_named import newly_named

    host = Host()
    brought = host.brought("source", name)
    if brought is None:
        hint = newly_named("source", name) or _nearest(name, source_names())
        raise DataError(f"unknown source {name!r}", hint=hint)
    return _guarded(host.load_function(brought), str(brought))


def _guarded(read: Callable[..., object], of: str) -> Reader:
    """A plugin's function, so that whatever goes wrong in it names the plugin."""

    @functools.wraps(read)
    def guarded(**options: object) -> Iterator[Sample | Reject]:
        from vila2.plugin.samples import samples_from

        return samples_from(call(functools.partial(read, **options), of=of), of=of)

    call(inspect.signature, read, of=of)
    return guarded


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(sorted(known))}"


def _summary(read: Reader) -> str:
    return next(iter((inspect.getdoc(read) or "").splitlines()), "")
