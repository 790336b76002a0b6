"""``python -m tests.kill JOB|all``: breaks jobs at their file operations and prints what came of it.

With ``--results FOLDER`` a job's counts are kept after each trial, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tests.kill.faults import KINDS
from tests.kill.file_jobs import FILE_JOBS
from tests.kill.trials import Found, Job, as_json, run_trials

COLUMNS = ("operations", "trials", "faults", "kills", "lost", "different", "refused", "left_over", "unnamed")

#: Jobs that load torch; not among "all".
TRAINING = ("training", "run", "run-two-parent", "run-two-first", "run-two-second")
_MEMORY = Path("/dev/shm")


def jobs(asked: str) -> dict[str, Job]:
    """The jobs that were asked for, by name."""
    if asked in TRAINING:
        from tests.kill.runs import RUN_JOBS
        from tests.kill.training import TRAINING_JOB

        return {job.name: job for job in (TRAINING_JOB, *RUN_JOBS) if job.name == asked}
    return {job.name: job for job in FILE_JOBS if asked in ("all", job.name)}


def earlier(file: Path | None) -> Found | None:
    """What the trials before found, where that was kept."""
    return Found(**json.loads(file.read_text())) if file and file.exists() else None


def keep(file: Path | None, found: Found) -> None:
    """Keeps what was found so far, at once or not at all."""
    if file:
        beside = file.with_suffix(".tmp")
        beside.write_text(json.dumps(asdict(found), indent=2))
        beside.replace(file)


def main() -> int:
    """Returns the exit code: 1 where a trial went wrong."""
    names = [*(job.name for job in FILE_JOBS), *TRAINING, "all"]
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("job", choices=names, help="job to break; all: all jobs on files")
    parser.add_argument("--trials", type=int, help="trials of each job; by default every operation and fault")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of trials")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="faults to try")
    parser.add_argument("--folder", type=Path, help="folder to work in, on the disk to test; else in memory")
    parser.add_argument("--results", type=Path, help="folder for counts, from which the same command goes on")
    parser.add_argument("--json", action="store_true", help="print JSON, with examples of what went wrong")
    asked = parser.parse_args()
    results: dict[str, Found] = {}
    if not asked.json:
        print(f"{'job':<20}", *(f"{column.replace('_', ' '):>10}" for column in COLUMNS))
    if asked.results:
        asked.results.mkdir(parents=True, exist_ok=True)
    for name, job in jobs(asked.job).items():
        chosen = "every" if asked.trials is None else str(asked.trials)
        kinds = () if tuple(asked.kinds) == KINDS else asked.kinds
        file = asked.results and asked.results / (
            "-".join([name, chosen, f"seed{asked.seed}", *kinds]) + ".json"
        )
        with tempfile.TemporaryDirectory(dir=asked.folder or (_MEMORY if _MEMORY.is_dir() else None)) as work:
            found = results[name] = run_trials(
                replace(job, kinds=tuple(asked.kinds)),
                Path(work) / "work",
                asked.trials,
                asked.seed,
                kept=earlier(file),
                keep=partial(keep, file),
            )
        if not asked.json:
            print(f"{name:<20}", *(f"{getattr(found, column):>10}" for column in COLUMNS), flush=True)
            for example in found.examples:
                print(f"  {example}", flush=True)
    if asked.json:
        print(as_json(results))
    return 0 if all(found.is_clean for found in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
