"""The examples for schedulers work as they are written."""
import importlib.util
import os
import subprocess
import time

import pytest

from conftest import ROOT, binary
from test_raw import PART, raw  # noqa: F401  (fixture)


class Task:
    """Stands for airflow's BashOperator: keeps what it was given, and who follows."""

    def __init__(self, **arguments):
        self.arguments, self.after = arguments, []

    def __rshift__(self, others):
        self.after += others if isinstance(others, list) else [others]
        return others


def airflow_example():
    spec = importlib.util.spec_from_file_location("raw_backup", ROOT / "examples/airflow/raw_backup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment_of(raw):  # noqa: F811
    """The environment of a scheduler on which bale is installed, and uses the test's store."""
    return raw.environment() | {"BALE_LOCAL": str(raw.store), "PATH": f"{raw.directory}/bin:{os.environ['PATH']}"}


def run_task(task, raw):  # noqa: F811
    """Runs a task's command as BashOperator does, with its parameters filled in."""
    command = task.arguments["bash_command"]
    for name, value in task.arguments["params"].items():
        command = command.replace("{{ params.%s }}" % name, str(value))
    environment = environment_of(raw)
    return subprocess.run(["bash", "-c", command], cwd=raw.directory, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


@pytest.fixture
def on_path(raw):  # noqa: F811
    (raw.directory / "bin").mkdir()
    os.symlink(binary(), raw.directory / "bin/bale")
    return raw


def test_the_tasks_of_the_airflow_example_copy_and_upload_in_parallel(on_path):
    raw = on_path  # noqa: F811
    path = raw.write("x.raw", os.urandom(PART + 1))
    mover = Task(task_id="start_file_mover")
    copy, upload = airflow_example().make_tasks(mover, Task, {
        "raw_file_id": "x", "raw_path": path, "project_id": "P", "instrument_id": "i1"})
    assert copy.after == [upload, mover] and upload.after == []  # nothing waits for the upload
    assert upload.arguments["retries"] == 3 and upload.arguments["execution_timeout"].total_seconds() == 6 * 3600
    done = run_task(copy, raw)
    assert done.returncode == 0, done
    assert raw.record("x")["backup_status"] is None
    done = run_task(upload, raw)
    assert done.returncode == 0, done
    assert raw.record("x")["backup_status"] == "DONE"


def test_the_script_of_the_systemd_example_takes_what_has_settled(on_path):
    raw = on_path  # noqa: F811
    settled, fresh = raw.write("old.raw", b"old"), raw.write("new.raw", b"new")
    an_hour_ago = time.time() - 3700
    os.utime(settled, (an_hour_ago, an_hour_ago))
    script = [ROOT / "examples/systemd/bale-raw-backup", raw.instrument, "P", "i1"]
    environment = environment_of(raw)
    for _ in range(2):  # the second run finds it DONE
        done = subprocess.run(script, cwd=raw.directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done
    assert [line["id"] for line in raw.raw("status").lines()] == ["old"] and fresh.exists()
    assert raw.record("old")["attempts"] == 1


def test_the_script_of_the_slurm_example_restores_and_runs(on_path):
    raw = on_path  # noqa: F811
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"data"), "--project", "P", "--instrument", "i1")
    environment = environment_of(raw) | {"TMPDIR": str(raw.directory)}
    done = subprocess.run(["bash", ROOT / "examples/slurm/restore-and-run.sbatch", "x", "ls"], cwd=raw.directory,
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "x.raw" in done.stdout, done
