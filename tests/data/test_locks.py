"""The file lock: exclusive, gone with its process, without clutter, and plain about a disk that has none."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from vila2.data.job_files import only_writer
from vila2.data.locks import FOLDER_LOCK, NO_LOCKS, hold, hold_folder, holding_process
from vila2.errors import RunError
from vila2.run.lock import RunLock, holder_of

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from vila2.data.locks import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def holder(file: Path) -> subprocess.Popen[bytes]:
    """Starts a process that holds the file."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    return process


def test_a_file_has_one_holder_whose_number_can_be_read(tmp_path):
    file = tmp_path / "lock"
    assert holding_process(file) is None
    held = hold(file)
    assert held is not None and holding_process(file) == os.getpid()
    assert hold(file) is None
    held.release()
    held.release()
    assert holding_process(file) is None
    again = hold(file)
    assert again is not None
    again.release()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    file = tmp_path / "lock"
    process = holder(file)
    assert hold(file) is None and holding_process(file) == process.pid
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = hold(file)
    assert held is not None
    held.release()


def test_patience_waits_for_a_holder_that_lets_go(tmp_path):
    file = tmp_path / "lock"
    process = holder(file)
    began = time.monotonic()
    assert hold(file, patience=0.2) is None and time.monotonic() - began >= 0.2
    process.kill()
    held = hold(file, patience=20)
    assert held is not None
    held.release()
    process.wait()


def _wait(ready, done):
    ready.set()
    done.wait(30)


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    file = tmp_path / "lock"
    held = hold(file)
    assert held is not None
    context = get_context("fork")
    ready, done = context.Event(), context.Event()
    child = context.Process(target=_wait, args=(ready, done))
    child.start()
    assert ready.wait(30)
    assert hold(file) is None
    held.release()
    again = hold(file)  # the child lives on
    done.set()
    child.join()
    assert again is not None
    again.release()


def test_the_lock_of_a_folder_leaves_no_file_behind(tmp_path):
    held = hold_folder(tmp_path)
    assert held is not None and os.listdir(tmp_path) == [FOLDER_LOCK]
    assert hold_folder(tmp_path) is None
    held.release()
    assert not os.listdir(tmp_path)


def test_a_holder_that_deletes_its_file_never_leaves_two_holders(tmp_path, monkeypatch):
    first = hold_folder(tmp_path)
    assert first is not None
    flock = fcntl.flock

    def late(handle: int, kind: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        first.release()  # between the other's opening of the file and its lock
        flock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    second = hold_folder(tmp_path)
    assert second is not None
    assert hold_folder(tmp_path) is None
    second.release()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_needs_no_lock(tmp_path):
    tmp_path.chmod(0o555)
    with only_writer(tmp_path):
        pass
    tmp_path.chmod(0o755)


def test_an_output_file_is_held_through_its_replacement(tmp_path):
    out, new = tmp_path / "captions.jsonl", tmp_path / "new"
    out.write_text("old")
    new.write_text("new")
    with only_writer(out) as lock:
        lock.take_over(new)
        os.replace(new, out)
        with pytest.raises(RunError, match="being written by another process"), only_writer(out):
            pass
    assert out.read_text() == "new"
    with only_writer(out):
        pass


def test_a_run_names_the_process_that_runs_it(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(RunError, match=f"is being run by process {os.getpid()}"):
        RunLock(tmp_path)
    assert holder_of(tmp_path) == os.getpid()
    lock.release()
    assert holder_of(tmp_path) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_with_the_way_out(tmp_path, monkeypatch, number):
    def refuse(handle: int, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match="the file system has no locks") as caught:
        RunLock(tmp_path)
    assert f"{NO_LOCKS}=1" in caught.value.hint
    assert holder_of(tmp_path) is None
    monkeypatch.setenv(NO_LOCKS, "1")
    RunLock(tmp_path).release()
    with only_writer(tmp_path):
        pass
