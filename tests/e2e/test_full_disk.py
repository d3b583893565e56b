"""Disks that are full or read-only: one message, before much is read for nothing, and what is left to do."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import SOURCE_REGION, write_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"),
                                reason="only root can mount a small disk")

FILES = 200
FULL, READ_ONLY = "No space left on device", "Read-only file system"


@pytest.fixture
def packed(bale):
    """A backup, an archive and a bucket with FILES objects each, of more than the disk holds."""
    bale.mixed()
    write_tree(bale.directory / "in", {f"d{i % 3}/f{i}": os.urandom(20_000) for i in range(FILES)})
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    bale.run("archive", "create", "--level", 1, "a.tar.zst", "in")
    (bale.directory / "disk").mkdir()
    return bale


COMMANDS = {
    "cp": ("s3", "cp", "--recursive", "s3://source/", "disk/out"),
    "extract": ("archive", "extract", "a.tar.zst", "--to", "disk/out"),
    "restore": ("restore", "*", "--config", "config", "--to", "disk/out"),
}


def run_on_disk(bale, prepare, arguments):
    """Runs the program with a disk of its own at "disk", which `prepare` fills or locks."""
    command = " ".join(shlex.quote(os.fsdecode(argument)) for argument in bale.command(*arguments))
    script = f"mount -t tmpfs -o size=1m tmpfs disk || exit 77; {prepare}; {command}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=bale.directory, env=bale.environment(),
                          capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("tmpfs cannot be mounted here: " + done.stderr)
    return done


def assert_one_message(done, what):
    lines = done.stderr.splitlines()
    assert done.returncode == 4, done
    assert what in lines[0] and lines[0].startswith("bale: "), done
    assert [line for line in lines[1:] if not line.startswith("hint: ")] == [], done
    assert len([line for line in lines if "run the command again" in line]) == 1, done


def numbers_in(text, pattern):
    found = re.search(pattern, text)
    assert found, text
    return [0 if number == "no" else int(number) for number in found.groups()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_fills_up_ends_the_run_with_one_message(packed, command):
    done = run_on_disk(packed, "true", COMMANDS[command])
    assert_one_message(done, FULL)
    how_far = r"(\d+|no) objects? w\w+ \w+(?: before)?, (\d+) objects? (?:is|are) left to do"
    before, left = numbers_in(done.stderr, how_far)
    assert 0 < before < FILES and before + left == FILES, done


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_known_before_anything_is_read(packed, command):
    done = run_on_disk(packed, "head -c 2000000 /dev/zero > disk/fill 2>/dev/null; mkdir disk/out", COMMANDS[command])
    assert_one_message(done, FULL)
    assert done.stdout == "", done


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["disk/out is there", "disk/out is not there"])
def test_a_read_only_disk_is_known_before_anything_is_read(packed, command, place):
    make = "mkdir disk/out; " if place == "disk/out is there" else ""
    done = run_on_disk(packed, f"{make}mount -o remount,ro disk", COMMANDS[command])
    assert_one_message(done, READ_ONLY)
    assert done.stdout == "", done


CATALOG_FILES = 30


@pytest.fixture
def catalog(packed):
    """A catalog of CATALOG_FILES files whose index does not fit on the disk."""
    packed.make_bucket("rows", SOURCE_REGION)
    names = [os.urandom(60).hex() for _ in range(2000)]
    rows = [json.dumps({"backup_file": "b.tar.zst", "source_bucket": "source", "object_path": name, "object_size": 1})
            for name in names]
    write_tree(packed.directory / "rows", {
        f"source/year=2025/month=01/day={i + 1:02}/b.tar.zst.jsonl": "\n".join(rows).encode() + b"\n"
        for i in range(CATALOG_FILES)})
    packed.put_tree("rows", "", packed.directory / "rows")
    return packed


SYNC = ("catalog", "sync", "--catalog", "s3://rows", "--index", "disk/index")


def test_a_sync_whose_disk_fills_up_says_how_far_it_came(catalog):
    done = run_on_disk(catalog, "true", SYNC)
    assert_one_message(done, "full")
    [known] = numbers_in(done.stderr, r"the index has (\d+) catalog files?, the others are left to do")
    assert known < CATALOG_FILES, done


@pytest.mark.parametrize("prepare, what", [("head -c 2000000 /dev/zero > disk/fill 2>/dev/null", FULL),
                                           ("mount -o remount,ro disk", READ_ONLY)], ids=["full", "read-only"])
def test_a_sync_reads_nothing_for_a_disk_that_cannot_be_written(catalog, prepare, what):
    done = run_on_disk(catalog, prepare, SYNC)
    assert_one_message(done, what)
    assert done.stdout == "", done


@pytest.mark.parametrize("arguments", [("s3", "cp", "s3://source/d0/f0", "disk/f"),
                                       ("archive", "create", "disk/a.tar.zst", "in"),
                                       ("archive", "index", "foreign.tar.zst", "--to", "disk/index")], ids=" ".join)
def test_single_files_say_it_once(packed, arguments):
    subprocess.run("tar -cf - in | zstd -q > foreign.tar.zst", shell=True, cwd=packed.directory, check=True)
    for prepare, what in (("head -c 2000000 /dev/zero > disk/fill 2>/dev/null", FULL),
                          ("mount -o remount,ro disk", READ_ONLY)):
        assert_one_message(run_on_disk(packed, prepare, arguments), what)


def test_a_store_on_a_full_disk_ends_an_upload_of_many_with_one_message(packed):
    program = shlex.quote(os.fsdecode(packed.command()[0]))
    command = f"{program} --local disk/store s3"
    script = f"""mount -t tmpfs -o size=3m tmpfs disk || exit 77
                 {command} mb s3://bucket || exit 1; {command} cp --recursive in s3://bucket/"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=packed.directory, env=packed.environment(),
                          capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("tmpfs cannot be mounted here: " + done.stderr)
    assert done.returncode == 4, done
    assert len([line for line in done.stderr.splitlines() if not line.startswith("hint: ")]) == 1, done


def test_a_removal_in_a_store_on_a_full_disk_says_what_is_left(packed):
    program = shlex.quote(os.fsdecode(packed.command()[0]))
    command = f"{program} --local disk/store s3"
    # 60 KiB suffice to open the store, and not for the first removals.
    script = f"""mount -t tmpfs -o size=12m tmpfs disk || exit 77
                 {command} mb s3://bucket && {command} cp --recursive --quiet in s3://bucket/ || exit 1
                 head -c 20000000 /dev/zero > disk/fill 2>/dev/null; truncate -s -60k disk/fill
                 {command} rm --recursive s3://bucket/; status=$?
                 rm disk/fill; {command} ls --recursive s3://bucket/ | wc -l; exit $status"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=packed.directory, env=packed.environment(),
                          capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("tmpfs cannot be mounted here: " + done.stderr)
    assert_one_message(done, "full")
    how_far = r"(\d+|no) objects? w\w+ deleted(?: before)?, (\d+) objects? (?:is|are) left to do"
    deleted, left = numbers_in(done.stderr, how_far)
    assert left > 0 and deleted + left == FILES, done
    assert int(done.stdout.splitlines()[-1]) == left, done


def test_a_file_size_limit_is_of_the_large_files_alone(bale):
    """`ulimit -f`: no signal ends the program, and the small files come."""
    bale.make_bucket("source", SOURCE_REGION)
    write_tree(bale.directory / "in", {"large": os.urandom(3_000_000), "small": b"x", "tiny": b"y"})
    bale.put_tree("source", "", bale.directory / "in")
    command = " ".join(shlex.quote(os.fsdecode(argument)) for argument in bale.command(
        "s3", "cp", "--recursive", "s3://source/", "out"))
    done = subprocess.run(["bash", "-c", f"ulimit -f 1000; exec {command}"], cwd=bale.directory, env=bale.environment(),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ulimit -f" in done.stderr, done
    assert sorted(path.name for path in (bale.directory / "out").iterdir()) == ["small", "tiny"]
