"""A run and its steps. A step is done once for its kind, settings and inputs.

RUN/steps/NAME-DIGEST/     output of a step; it stays when the step is killed, so that the step goes on
RUN/steps/.../done.json    written last; from then on the step is never done again
RUN/steps/.../error.txt    what went wrong, until the step is tried again
"""

from __future__ import annotations

import logging
import os
import re
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from vila2.data.atomic import sync_tree, write_json_atomic, write_text_atomic
from vila2.errors import RunError, Vila2Error
from vila2.run.board import Board, StepState
from vila2.run.digests import digest_path, digest_value
from vila2.run.displays import FileDisplay
from vila2.run.lock import RunLock
from vila2.run.pruning import is_pruned
from vila2.run.step_files import (
    PRUNED,
    DoneRecord,
    PlannedState,
    PlannedStep,
    StepRecord,
    StepResult,
    plain,
    read_done,
    step_folder,
)
from vila2.run.step_kinds import Executor, S, StepKind, do_here

if TYPE_CHECKING:
    from vila2.recipe.recipe import Recipe

#: What a step works on, by name: another step, a path from outside the run, or a name such as a hub id.
StepInputs = Mapping[str, StepResult | str | Path]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Run:
    """A run's folder, held by this process. :meth:`open` makes it; it is a context manager.

    Attributes:
        folder: folder of the run.
        dry: whether this is a dry walk: steps are planned, and nothing is done or written.
        board: what shows the steps, and what their work reports to.
        plan: steps met so far, in order.
    """

    def __init__(self, folder: Path, *, dry: bool, board: Board, do: Executor = do_here) -> None:
        self.folder = folder
        self.dry = dry
        self.board = board
        self.plan: list[PlannedStep] = []
        self._do_work = do
        self._met: dict[Path, StepResult] = {}
        self._pruned: dict[str, Callable[[], None]] = {}
        self._outside: dict[str, str] = {}
        self._lock: RunLock | None = None
        self._file: FileDisplay | None = None
        self._log: logging.Handler | None = None

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        dry: bool = False,
        progress: Board | None = None,
        planned: Sequence[PlannedStep] = (),
        do: Executor = do_here,
    ) -> Run:
        """Opens a run's folder, new or begun before.

        Args:
            folder: folder of the run.
            dry: whether this is a dry walk. It does and writes nothing, not even the folder; ``plan`` tells
                what a run would do.
            progress: board that shows the run; by default nothing shows it.
            planned: ``plan`` of a dry walk over the same steps. From it the board knows how many steps there
                are.
            do: what does the steps' work.

        Raises:
            RunError: another process runs it, or the folder cannot be written.
        """
        folder = Path(folder)
        run = cls(folder, dry=dry, board=progress or Board(), do=do)
        if dry:
            return run
        try:
            (folder / "steps").mkdir(parents=True, exist_ok=True)
            run._lock = RunLock(folder)
        except OSError as error:
            raise RunError(
                f"{folder}: {error.strerror or error}", hint="name a folder that can be written, with --out"
            ) from error
        run.board.steps = [StepState(step.name, step.digest, _standing(step)) for step in planned]
        run._file = FileDisplay(folder / "progress.json")
        run.board.displays.append(run._file)
        run._log = _log_to(folder / "run.log")
        run._file.write(run.board)
        return run

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            # Steps that were planned and not needed after all, such as rounds after saturation, will not
            # come.
            self.board.steps = [step for step in self.board.steps if step.state in ("done", "kept")]
            self.close("finished")
        elif issubclass(kind, Exception):
            self.close("failed", str(error) or kind.__name__)
        else:
            self.close("stopped")

    def close(self, state: str = "stopped", error: str = "") -> None:
        """Releases the folder.

        Args:
            state: standing of the run that ``vila2 status`` will show.
            error: text of the error that ended the run.
        """
        if self._file is not None:
            self._file.state, self._file.error = state, error
            self._file.write(self.board)
            self.board.displays.remove(self._file)
            self._file = None
        if self._log is not None:
            logging.getLogger("vila2").removeHandler(self._log)
            self._log.close()
            self._log = None
        if self._lock is not None:
            self._lock.release()

    def step(
        self,
        name: str,
        kind: StepKind[S],
        *,
        settings: S,
        inputs: StepInputs,
        version: int | None = None,
    ) -> StepResult:
        """Returns a step's result: that of an earlier run where the step is done, else it does the step now.

        Args:
            name: name of the step; letters, digits, ``.``, ``_`` and ``-``.
            kind: what the step does.
            settings: everything that the output depends on, besides the inputs.
            inputs: what the step works on. A text that is not a path on this machine (a hub id) counts as a
                text.
            version: version of the code that does the work, where that is not the kind's own (a plugin's
                builder).

        Raises:
            RunError: a name, setting or result cannot be kept, or ``done.json`` is damaged.
            Exception: whatever the work raises; its text is left in ``error.txt``.
        """
        record = self._record(name, kind, settings, inputs, version or kind.version)
        digest = _digest_of(record)
        folder = step_folder(self.folder, name, digest)
        if folder not in self._met:

            def work() -> Mapping[str, Any]:
                return self._do(kind, settings, folder, record, digest, _paths(inputs))

            self._met[folder] = self._meet(record, digest, folder, inputs, work)
        return self._met[folder]

    def _meet(
        self,
        record: StepRecord,
        digest: str,
        folder: Path,
        inputs: StepInputs,
        work: Callable[[], Mapping[str, Any]],
    ) -> StepResult:
        """Plans a step; does it where it is not done and this is no dry walk."""
        name, done = record["name"], read_done(folder, digest)
        state: PlannedState = "done" if done else "partial" if folder.is_dir() else "pending"
        step = PlannedStep(
            name, digest, folder, state, record["function"], frozenset(record["inputs"].values())
        )
        self.plan.append(step)
        if done:
            if is_pruned(folder):
                self._pruned[digest] = lambda: self._do_again(step, inputs, work)
            if not self.dry:
                self.board.stand(self._standing_of(name, digest), "kept")
            return StepResult(name, digest, folder, done["results"], True)
        self._need(inputs)
        if self.dry:
            return StepResult(name, digest, folder, {}, False)
        return StepResult(name, digest, folder, work(), True)

    def need(self, step: StepResult) -> None:
        """Makes sure that a step's model is there. Where it was pruned, the step is done again."""
        self._need({"": step})

    def _need(self, inputs: StepInputs) -> None:
        for value in inputs.values():
            if isinstance(value, StepResult) and value.digest in self._pruned:
                self._pruned.pop(value.digest)()

    def _do_again(self, step: PlannedStep, inputs: StepInputs, work: Callable[[], Mapping[str, Any]]) -> None:
        """Does a step again whose model was pruned, and before it the steps whose models it starts from."""
        self._need(inputs)
        if self.dry:
            self.plan[self.plan.index(step)] = replace(step, state="again")
            return
        logging.getLogger(__name__).info("%s is done again: its model was pruned and is needed", step.name)
        work()
        (step.folder / PRUNED).unlink(missing_ok=True)

    def existing(self, name: str, path: str | os.PathLike[str]) -> StepResult:
        """Returns something made outside the run in the form of a step's result.

        Raises:
            RunError: there is nothing at ``path``.
        """
        return StepResult(name, self._digest_outside(path), Path(path), {}, True)

    def keep_recipe(self, recipe: Recipe) -> None:
        """Writes the recipe, as it is run, to ``recipe.yaml``; a dry walk writes nothing."""
        from vila2.recipe.file.recipe_file import recipe_to_yaml

        if not self.dry:
            write_text_atomic(self.folder / "recipe.yaml", recipe_to_yaml(recipe))

    def _record(
        self, name: str, kind: StepKind[S], settings: S, inputs: StepInputs, version: int
    ) -> StepRecord:
        if not _NAME.fullmatch(name):
            raise RunError(f"{name!r} cannot name a step", hint="use letters, digits, `.`, `_` and `-`")
        digests = {
            key: value.digest if isinstance(value, StepResult) else self._digest_input(value)
            for key, value in inputs.items()
        }
        return {
            "name": name,
            "function": kind.digested_as,
            "version": version,
            "settings": plain(settings.digested(), f"the settings of step {name!r}"),
            "inputs": digests,
        }

    def _do(
        self,
        kind: StepKind[S],
        settings: S,
        folder: Path,
        record: StepRecord,
        digest: str,
        inputs: Mapping[str, Path],
    ) -> Mapping[str, Any]:
        """Does a step's work, and keeps its results and its standing."""
        standing = self._standing_of(record["name"], digest)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").unlink(missing_ok=True)  # of an earlier attempt
        started = time.time()
        self.board.stand(standing, "running")
        try:
            # The settings go through JSON, so that the work sees the same however they were made.
            plain_settings = kind.settings.model_validate(settings.model_dump(mode="json"))
            returned = self._do_work(kind, folder, plain_settings, inputs, self.board)
            results = plain(returned, f"the results of step {record['name']!r}")
            sync_tree(folder)
            seconds = time.time() - started
            done: DoneRecord = {
                **record,
                "digest": digest,
                "results": results,
                "seconds": round(seconds, 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            }
            write_json_atomic(folder / "done.json", done)
        except Exception as error:
            standing.error = _error_text(error)
            write_text_atomic(folder / "error.txt", standing.error + "\n")
            error.add_note(f"in step {record['name']} ({folder})")
            self.board.stand(standing, "failed")
            raise
        except BaseException:  # stopped from outside: the step goes on when the run is started again
            self.board.stand(standing, "partial")
            raise
        standing.seconds, standing.error = seconds, ""
        self.board.stand(standing, "done")
        return results

    def _standing_of(self, name: str, digest: str) -> StepState:
        for standing in self.board.steps:
            if (standing.name, standing.digest) == (name, digest):
                return standing
        self.board.steps.append(StepState(name, digest))
        return self.board.steps[-1]

    def _digest_input(self, value: str | Path) -> str:
        return self._digest_outside(value) if os.path.exists(value) else digest_value({"named": str(value)})

    def _digest_outside(self, path: str | os.PathLike[str]) -> str:
        # One digest for the whole run. The next run notices what changes meanwhile.
        key = os.path.abspath(path)
        if key not in self._outside:
            self._outside[key] = digest_path(path)
        return self._outside[key]


def _digest_of(record: StepRecord) -> str:
    """Returns a step's digest: everything that its output depends on, but not its name."""
    return digest_value(
        {
            "function": record["function"],
            "version": record["version"],
            "settings": record["settings"],
            "inputs": record["inputs"],
        }
    )


def _paths(inputs: StepInputs) -> dict[str, Path]:
    return {
        key: value.folder if isinstance(value, StepResult) else Path(value) for key, value in inputs.items()
    }


def _standing(step: PlannedStep) -> Literal["pending", "partial"]:
    return "partial" if step.state == "partial" else "pending"


def _error_text(error: Exception) -> str:
    if isinstance(error, Vila2Error):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger("vila2")
    log.setLevel(min(log.level or logging.INFO, logging.INFO))
    log.addHandler(handler)
    return handler


def checkpoint(stage: StepResult) -> StepResult:
    """Returns the model of a trained stage, in the form of a step's result."""
    return replace(stage, folder=stage.folder / "model")
