"""Whether a plugin's package fits this vila2, as the package's metadata say."""

from __future__ import annotations

from importlib.metadata import Distribution

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vila2.errors import PluginError
from vila2.plugin.discovery import Installed


def stated_range(plugin: Installed) -> SpecifierSet | None:
    """The versions of vila2 that a plugin's package requires; None where it requires none.

    Raises:
        PluginError: The requirement cannot be read.
    """
    dist: Distribution | None = plugin.entry_point.dist
    for text in (dist.requires if dist else None) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise PluginError(
                f"{plugin} requires {text!r}, which cannot be read: {error}",
                hint=f"install {plugin.package} again, or report it to its author",
            ) from error
        if requirement.name.lower() == "vila2" and requirement.marker is None:
            return requirement.specifier
    return None


def check_range(plugin: Installed) -> None:
    """Checks that the package was made for this vila2.

    Raises:
        PluginError: It requires another version of vila2.
    """
    from vila2 import __version__

    wanted = stated_range(plugin)
    if wanted is None or wanted.contains(__version__, prereleases=True):
        return
    raise PluginError(
        f"{plugin} needs vila2{wanted}, this is vila2 {__version__}",
        hint=f"upgrade vila2 (pip install -U 'vila2{wanted}')"
        if _lies_above(wanted, Version(__version__))
        else f"upgrade {plugin.package} (pip install -U {plugin.package}), or install 'vila2{wanted}'",
    )


def has_ceiling(wanted: SpecifierSet) -> bool:
    """Whether a range ends below the versions that nobody has tried yet."""
    return any(one.operator in ("<", "<=", "==", "===", "~=") for one in wanted)


def _lies_above(wanted: SpecifierSet, version: Version) -> bool:
    lower = [one for one in wanted if one.operator in (">=", ">", "~=", "==") and "*" not in one.version]
    return any(Version(one.version) >= version for one in lower)
