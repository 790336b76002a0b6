"""``python -m tests.kill JOB|all``: breaks jobs at their file operations and prints what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.kill.file_jobs import FILE_JOBS
from tests.kill.trials import Found, Job, as_json, run_trials

COLUMNS = ("operations", "trials", "faults", "lost", "different", "refused", "left_over", "unnamed")


TRAINING = "training"


def jobs(asked: str) -> dict[str, Job]:
    """The jobs that were asked for, by name."""
    if asked == TRAINING:
        from tests.kill.training import TRAINING_JOB  # loads torch

        return {TRAINING: TRAINING_JOB}
    return {job.name: job for job in FILE_JOBS if asked in ("all", job.name)}


def main() -> int:
    """Returns the exit code: 1 where a trial went wrong."""
    names = [*(job.name for job in FILE_JOBS), TRAINING, "all"]
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("job", choices=names, help="job to break; all: all but training")
    parser.add_argument("--trials", type=int, help="trials of each job; by default every operation and fault")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of trials")
    parser.add_argument("--folder", type=Path, help="folder to work in, on the disk to test")
    parser.add_argument("--json", action="store_true", help="print JSON, with examples of what went wrong")
    asked = parser.parse_args()
    results: dict[str, Found] = {}
    if not asked.json:
        print(f"{'job':<20}", *(f"{column.replace('_', ' '):>10}" for column in COLUMNS))
    for name, job in jobs(asked.job).items():
        with tempfile.TemporaryDirectory(dir=asked.folder) as work:
            found = results[name] = run_trials(job, Path(work) / "work", asked.trials, asked.seed)
        if not asked.json:
            print(f"{name:<20}", *(f"{getattr(found, column):>10}" for column in COLUMNS), flush=True)
            for example in found.examples:
                print(f"  {example}", flush=True)
    if asked.json:
        print(as_json(results))
    return 0 if all(found.is_clean for found in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
