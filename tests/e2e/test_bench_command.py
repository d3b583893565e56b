"""bale bench: levels tried on files, in money."""
import os
import subprocess
import time

import pytest
from conftest import (COPY_REGION, SOURCE_REGION, MiB, binary, clean_environment, measured, text_of,
                      write_tree)

QUICK = ("--levels", "1,3", "--seconds", "1")


def of_type(lines, kind):
    return [line for line in lines if line["type"] == kind]


@pytest.fixture
def files(bale, seeded):
    directory = bale.directory / "files"
    write_tree(directory, {"logs/a.log": text_of(seeded, 300_000), "logs/b.log": text_of(seeded, 100_000),
                           "c.jpg": seeded.randbytes(200_000), "empty.log": b""})
    return directory


def test_levels_and_classes_as_json(bale, files):
    lines = bale.json("bench", files, *QUICK)
    machine, summary = lines[0], lines[-1]
    assert machine["type"] == "machine" and machine["cpu_factor"] > 0 and machine["rounds"] > 0
    assert summary["type"] == "bench" and summary["complete"] and not summary["builtin_data"]
    assert summary["files"] == 4 and summary["bytes"] == summary["sample_bytes"] == 600_000
    assert summary["transfer_dollars_per_gib"] == pytest.approx(0.02)
    log, picture = of_type(lines, "bench_class")
    assert log["class"].startswith("log-") and log["bytes"] == 400_000
    assert picture["class"] == "packed-4" and picture["best_level"] == 0, "what does not compress is stored"
    levels = [line for line in of_type(lines, "bench_level") if line["class"] == log["class"]]
    assert [line["level"] for line in levels] == [1, 3]
    for line in levels:
        assert line["bytes"] == 400_000 and line["ratio"] == pytest.approx(line["stored_bytes"] / line["bytes"])
        assert line["core_seconds"] > 0 and 0 < line["saved_dollars_per_gib"] < 0.02
    assert log["best_level"] == max(levels, key=lambda line: line["saved_dollars_per_gib"])["level"]


def test_a_person_reads_tables(bale, files):
    finished = bale.run("bench", files, *QUICK)
    shown = finished.out.splitlines()
    assert shown[0].startswith("this machine: CPU factor ") and finished.err == ""
    assert "585.9 KiB of 585.9 KiB in 4 files" in finished.out
    for heading in ("CLASS     LEVEL", "CLASS     FRAMES"):
        at = next(i for i, line in enumerate(shown) if line.startswith(heading))
        assert len(shown[at]) == len(shown[at + 1]) == len(shown[at + 2]), finished.out


def test_prices_and_regions_count(bale, files, monkeypatch):
    monkeypatch.setenv("DATA_TRANSFER_COST", "0.02,ap-southeast-2=0.098")
    summary = bale.json("bench", files, *QUICK, "--to", "ap-southeast-2,eu-west-1")[-1]
    assert summary["transfer_dollars_per_gib"] == pytest.approx(0.118)
    assert summary["regions"] == ["ap-southeast-2", "eu-west-1"]
    monkeypatch.setenv("FARGATE_COST_PER_MINUTE", "1000")
    lines = bale.json("bench", files, *QUICK)
    assert {line["best_level"] for line in of_type(lines, "bench_class")} == {0}, "computing costs more than it saves"


def test_without_files_there_are_some_built_in(bale):
    lines = bale.json("bench", "--frame-size", "256KiB", *QUICK)
    assert lines[-1]["builtin_data"] and lines[-1]["files"] == 5
    assert len(of_type(lines, "bench_class")) == 5


def test_time_and_memory_are_bounded(bale, seeded):
    bale.directory.joinpath("big.log").write_bytes(text_of(seeded, 1 << 20) * 200)
    started = time.monotonic()
    finished, peak = measured(bale, "--output", "json", "--memory-limit", "256MiB", "bench", "big.log", "--levels",
                              "1-19", "--seconds", "2")
    assert '"complete":false' in finished.out
    assert time.monotonic() - started < 20
    assert peak < 256 * MiB


def test_what_was_learned_is_shown_too(bale, files):
    bale.mixed()
    bale.put_tree("source", "", files)
    bale.until_idle("--level", "auto")
    source, = of_type(bale.json("bench", files, *QUICK, "--config", bale.config), "source_levels")
    assert source["source"] == "source/" and source["region"] == SOURCE_REGION and source["files"] == 4
    assert "LEARNED FROM" in bale.run("bench", files, *QUICK, "--config", bale.config, "--to", COPY_REGION).out


def test_no_store_is_needed(tmp_path):
    (tmp_path / "a.txt").write_text("to be or not to be\n" * 1000)
    finished = subprocess.run([binary(), "bench", "a.txt", *QUICK], cwd=tmp_path, env=clean_environment(),
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert finished.returncode == 0 and finished.stderr == "" and "text-" in finished.stdout


@pytest.mark.parametrize("arguments, status, says", [
    (("none",), 3, "no such file"), (("empty",), 3, "nothing to compress"), (("pipe",), 2, "neither a file"),
    (("file", "--levels", "5-2"), 2, "--levels"), (("file", "--levels", "23"), 2, "0 to 22"),
    (("file", "--frame-size", "1KiB"), 2, "--frame-size"), (("file", "--frame-size", "much"), 2, "--frame-size"),
    (("file", "--seconds", "0"), 2, "--seconds"), (("file", "--config", "none"), 3, "settings.json"),
    (("file", "--levels", "22", "--frame-size", "128MiB", "--memory-limit", "256MiB"), 2, "memory")], ids=str)
def test_what_is_wrong_is_said(bale, arguments, status, says):
    (bale.directory / "empty").mkdir()
    (bale.directory / "file").write_bytes(b"content")
    os.mkfifo(bale.directory / "pipe")
    finished = bale.run("bench", *arguments, status=status)
    assert says in finished.err and finished.out == ""


def test_what_cannot_be_taken_is_left_out_and_said(bale, files):
    os.mkfifo(files / "pipe")
    (files / "link").symlink_to("nowhere")
    finished = bale.run("--output", "json", "bench", files, *QUICK)
    assert finished.lines()[-1]["unread"] == 2
    assert "pipe" in finished.err and "link" in finished.err
