"""Restores of archives that lie in GLACIER or DEEP_ARCHIVE: asked for, awaited or left to another run."""
import json

import pytest
from conftest import BACKUP_REGION, tree_of


def summary_of(finished):
    return next(line for line in finished.lines() if line["type"] == "summary")


@pytest.fixture
def archived(bale):
    """Two objects whose archive is in GLACIER, and one whose archive can be read."""
    bale.mixed(backup={"storage_class": "GLACIER"})
    bale.put("source", "cold/a", b"content of a")
    bale.put("source", "cold/b", b"content of b")
    bale.until_idle()
    bale.cold_archive, = bale.keys("backup")
    bale.configure([bale.rule(backup={"storage_class": "GLACIER_IR"})])
    bale.put("source", "warm", b"content of warm")
    bale.until_idle()
    bale.out = bale.directory / "restored"
    return bale


def restore(bale, *options, **expected):
    return bale.run("--output", "json", "restore", "--config", bale.config, "--to", bale.out, *options, **expected)


ALL = {"cold/a": b"content of a", "cold/b": b"content of b", "warm": b"content of warm"}


def test_it_is_asked_for_and_awaited(archived):
    finished = restore(archived, "*")  # the embedded store takes no time
    assert tree_of(archived.out) == ALL
    asked = [line for line in finished.lines() if line["type"] == "asked"]
    assert [(line["archive"], line["tier"], line["days"]) for line in asked] == [
        (f"s3://backup/{archived.cold_archive}", "Standard", 7)]
    assert summary_of(finished)["archives_waiting"] == 0


def test_without_a_wait_it_is_left_to_another_run(archived):
    finished = restore(archived, "*", "--no-wait", "--days", "2", "--tier", "bulk", status=1)
    assert tree_of(archived.out) == {"warm": ALL["warm"]}
    summary = summary_of(finished)
    assert (summary["restored"], summary["waiting"], summary["archives_waiting"]) == (1, 2, 1), finished
    assert "ongoing-request" in archived.stat("backup", archived.cold_archive)["restore"]
    finished = restore(archived, "*", "--no-wait")
    assert tree_of(archived.out) == ALL
    assert summary_of(finished)["restored"] == 2 and summary_of(finished)["same"] == 1


def test_it_says_what_to_run_again(archived):
    finished = archived.restore(archived.out, "*", "--no-wait", status=1)
    assert "2 objects waiting for 1 archive: run the same command again" in finished.out
    assert f"ask for: s3://backup/{archived.cold_archive} (GLACIER, Standard: 3 to 5 hours" in finished.out


def test_a_dry_run_asks_for_nothing(archived):
    finished = restore(archived, "*", "--dryrun")
    asked, = [line for line in finished.lines() if line["type"] == "asked"]
    assert asked["archive"].endswith(archived.cold_archive) and asked["dryrun"]
    summary = summary_of(finished)
    assert summary["restored"] == 3 and summary["requests"] == 2 and summary["bytes_read"] > 0
    assert "restore" not in archived.stat("backup", archived.cold_archive) and not archived.out.exists()


def test_another_bucket_with_the_archive_is_read_rather(bale):
    bale.mixed(backup={"storage_class": "DEEP_ARCHIVE"})
    bale.make_bucket("second", BACKUP_REGION)
    config = json.loads((bale.config / "replication_config.json").read_text())["replication_configuration"]
    config[0]["destinations"].append({"region": BACKUP_REGION, "bucket": "second", "backup": True})
    bale.configure(config)
    bale.replicate("init")
    bale.put("source", "object", b"content")
    bale.until_idle()
    bale.out = bale.directory / "restored"
    finished = restore(bale, "object")
    assert tree_of(bale.out) == {"object": b"content"}
    assert summary_of(finished)["archives_asked"] == 0


def test_what_cannot_be_asked_for_so_is_refused_with_a_hint(bale):
    bale.mixed(backup={"storage_class": "DEEP_ARCHIVE"})
    bale.put("source", "object", b"content")
    bale.until_idle()
    finished = bale.restore(bale.directory / "restored", "object", "--tier", "Expedited", status=1)
    archive, = bale.keys("backup")
    assert f"s3://backup/{archive}" in finished.err and "--tier Standard" in finished.err, finished
    assert bale.restore(bale.directory / "restored", "object", "--tier", "Quick", status=2).status == 2
    assert bale.restore(bale.directory / "restored", "object", "--days", "0", status=2).status == 2
