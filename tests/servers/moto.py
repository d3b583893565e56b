#!/usr/bin/python3
"""Starts moto's server: S3 with notifications to SQS, SQS, DynamoDB and more. See serving.py and docs/testing.md.

moto is in no Debian 12 package. It is taken from $BALE_TEST_MOTO_PYTHON, from a Python on PATH that has it, or from a
virtual environment below build/, filled from PyPI where that can be reached.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import serving

ENOUGH = "import moto, moto.server, flask; assert int(moto.__version__.split('.')[0]) >= 5"
REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "moto-requirements.txt"
START_SECONDS = 60
INSTALL_SECONDS = 300


def has_moto(python):
    """The interpreter itself if it has moto 5 (a name on PATH may be a wrapper that would not pass signals on)."""
    try:
        done = subprocess.run([python, "-c", ENOUGH + "; import sys; print(sys.executable)"], check=False,
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                              env=serving.clean_environment())
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def candidates(environment):
    """Pythons that may have moto, the likeliest first."""
    if "BALE_TEST_MOTO_PYTHON" in os.environ:
        return [os.environ["BALE_TEST_MOTO_PYTHON"]]
    found = [str(environment / "bin/python")] if environment.exists() else []
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        python = os.path.join(directory, "python3")
        if os.access(python, os.X_OK):
            found.append(python)
    return list(dict.fromkeys(found))


def install(run, environment):
    """Makes the virtual environment from PyPI."""
    shutil.rmtree(environment, ignore_errors=True)
    try:
        run.call([sys.executable, "-m", "venv", environment])
        run.call([environment / "bin/python", "-m", "pip", "install", "--quiet", "--retries", "0", "--timeout", "15",
                  "-r", REQUIREMENTS], timeout=INSTALL_SECONDS)
    except serving.ServerFailed as error:
        shutil.rmtree(environment, ignore_errors=True)
        last = str(error).strip().splitlines()[-1]
        raise serving.CannotRun(
            "no Python on PATH has moto 5, and it could not be installed from PyPI "
            f"({last}); install it with `pip install -r tests/servers/moto-requirements.txt`, "
            "and name that Python in BALE_TEST_MOTO_PYTHON") from error


def find_python(run):
    environment = serving.state_directory() / "moto-venv"
    with serving.locked(serving.state_directory() / "moto.lock"):
        for candidate in candidates(environment):
            if python := has_moto(candidate):
                return python
        if "BALE_TEST_MOTO_PYTHON" in os.environ:
            raise serving.CannotRun(f"BALE_TEST_MOTO_PYTHON={os.environ['BALE_TEST_MOTO_PYTHON']} has no moto 5")
        install(run, environment)
        return str(environment / "bin/python")


def answers(endpoint):
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5) as answer:
            return answer.status == 200
    return False


def start(run, options):
    python = find_python(run)
    port = serving.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    # -B: no .pyc files beside the installed package. The account is moto's own.
    run.start("moto", [python, "-B", "-m", "moto.server", "-H", "127.0.0.1", "-p", port])
    run.wait_until(lambda: serving.listening(port) and answers(endpoint), START_SECONDS, "moto answers")
    return {"endpoint": endpoint, "account": "123456789012"}


if __name__ == "__main__":
    sys.exit(serving.main("moto", start, __doc__.splitlines()[0]))
