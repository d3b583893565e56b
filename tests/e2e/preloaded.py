"""Runs the program with preload.c, which does what disks, network mounts, instruments and clocks do.

    def test_something(preload):
        environment |= preload(TIME_FACTOR=20)
"""
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).with_name("preload.c")


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    """Returns a function from settings of preload.c, without TEST_, to variables of the environment."""
    library = tmp_path_factory.mktemp("preload") / "preload.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)

    def variables(**settings):
        return {"LD_PRELOAD": str(library)} | {f"TEST_{name}": str(value) for name, value in settings.items()}
    return variables
