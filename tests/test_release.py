"""What a release consists of: the citation names this version, and the workflow publishes every package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def version_of(package: Path) -> str:
    return tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_citation_is_of_this_version_and_names_the_paper():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(cited["version"]) == version_of(ROOT) and cited["license"] == "Apache-2.0"
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"] and cited["authors"]
    assert cited["references"][0]["url"] == "https://arxiv.org/abs/2407.17453"


def test_the_workflow_builds_every_package_and_only_its_last_job_may_publish():
    flow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    build, publish = flow["jobs"]["build"], flow["jobs"]["publish"]
    script = "\n".join(step.get("run", "") for step in build["steps"])
    (listed,) = re.findall(r"for package in (.*?);", script)
    assert sorted(listed.split()) == sorted(
        [".", *(f"plugins/{path.name}" for path in (ROOT / "plugins").iterdir())]
    )
    assert flow[True] == {"release": {"types": ["published"]}}  # YAML reads the key `on` as true
    assert flow["permissions"] == {"contents": "read"} and "permissions" not in build
    assert publish["permissions"] == {"id-token": "write"} and publish["needs"] == "build"
    assert "constraints.txt" in script and (ROOT / "constraints.txt").is_file()
