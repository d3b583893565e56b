"""The README's tour works as it is written."""
import os
import subprocess

from conftest import ROOT, binary, clean_environment


def tour():
    """The indented lines of the section, as one script."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Five minutes"):text.index("## On Amazon S3")]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))


def test_tour(tmp_path):
    (tmp_path / "build").mkdir()
    os.symlink(binary(), tmp_path / "build/bale")
    script = tour().replace("/tmp/bale-tour", str(tmp_path / "store"))
    finished = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path,
                              env=clean_environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    original = open("/usr/share/doc/bash/copyright", "rb").read()
    assert (tmp_path / "restored/bash/copyright").read_bytes() == original


def test_demo():
    """What `make demo` runs once the program is built."""
    finished = subprocess.run([ROOT / "scripts/demo.sh", binary()], cwd=ROOT, env=clean_environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    assert "no difference" in finished.stdout and "identical" in finished.stdout
