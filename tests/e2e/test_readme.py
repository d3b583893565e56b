"""The README's tour works as it is written."""
import os
import subprocess

from conftest import ROOT, binary, clean_environment


def script_of(beginning, end):
    """The indented lines of a section of the README, as one script."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index(beginning):text.index(end)]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))


def run(script, directory):
    """Runs a script in a directory, which has the program at build/bale."""
    (directory / "build").mkdir()
    os.symlink(binary(), directory / "build/bale")
    environment = clean_environment() | {"XDG_CACHE_HOME": str(directory / "cache")}
    environment["PATH"] = f"{directory / 'build'}:{environment['PATH']}"
    finished = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=directory, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    return finished


def test_tour(tmp_path):
    run(script_of("## Five minutes", "## Raw files").replace("/tmp/bale-tour", str(tmp_path / "store")), tmp_path)
    original = open("/usr/share/doc/bash/copyright", "rb").read()
    assert (tmp_path / "restored/bash/copyright").read_bytes() == original


def test_raw_files(tmp_path):
    run(script_of("## Raw files", "## A bucket as").replace("/tmp/bale-raw", str(tmp_path / "store")), tmp_path)
    assert (tmp_path / "back/run1.raw").read_bytes() == (tmp_path / "run1.raw").read_bytes()


def test_a_bucket_as_the_backup_of_another(tmp_path):
    script = script_of("## A bucket as", "## On Amazon S3").replace("/tmp/bale-bucket", str(tmp_path / "store"))
    finished = run(script + "\nbale bucket backup s3://photos s3://photos-backup", tmp_path)
    assert "0 differences" in finished.stdout
    assert finished.stdout.splitlines()[-2].startswith("0 objects copied")


def test_demo():
    """What `make demo` runs once the program is built."""
    finished = subprocess.run([ROOT / "scripts/demo.sh", binary()], cwd=ROOT, env=clean_environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    assert "no difference" in finished.stdout and "identical" in finished.stdout
