"""Scores of published benchmarks, which lie beside a run's results, in the run's report."""

from __future__ import annotations

from pathlib import Path

from vila2.report.results_page import Results, read_results

#: Folder within a run, with a folder for each suite.
SUITES = "suites"


def with_published(results: Results, run: Path) -> Results:
    """Adds the models of the suites that were run on a run's model.

    Args:
        results: results of the run.
        run: folder of the run.

    Raises:
        DataError: the results of a suite cannot be read.
    """
    files = sorted(run.glob(f"{SUITES}/*/results.json"))
    models = [model for file in files for model in read_results(file).models]
    return results.model_copy(update={"published": tuple(models)})
