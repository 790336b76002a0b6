"""``requirements-hashed.txt`` holds what vila2 needs, in the versions that are tested, with hashes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.supply.dependencies import brought_along
from tests.supply.test_licenses import OF_NVIDIA

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(
    r"^([\w.-]+)==([^\s;]+)((?:.*\\\n)(?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)?", re.MULTILINE
)
#: torch differs from index to index, and setuptools comes with it.
WITHOUT_HASH = {"torch", "setuptools"}


def _named(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_has_a_hash_and_the_version_that_is_tested():
    tested = {
        _named(name): version for name, version, _ in _PINNED.findall((ROOT / "constraints.txt").read_text())
    }
    hashed = _PINNED.findall((ROOT / "requirements-hashed.txt").read_text())
    assert all(hashes for _, _, hashes in hashed), [name for name, _, hashes in hashed if not hashes]
    other = {name: version for name, version, _ in hashed if tested.get(_named(name), version) != version}
    assert not other, f"{other}: run `make hashes`"

    missing = {name for name in brought_along() if not OF_NVIDIA.match(name)} - {
        _named(name) for name, _, _ in hashed
    }
    assert missing - WITHOUT_HASH == set(), "run `make hashes`"
