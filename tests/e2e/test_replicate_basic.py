"""Replication as a user meets it: one source, a copy and a backup in two other regions."""
import hashlib
import json
import os
import time

import pytest
from conftest import (BACKUP_REGION, COPY_REGION, SOURCE_REGION, attributes, text_of, tree_of, wait_until,
                      write_tree)


def sample_files(chance, count=40):
    return {f"docs/{number % 5}/file-{number:03}.txt": text_of(chance, 100 + 997 * number) for number in range(count)}


@pytest.fixture
def replicated(bale, seeded):
    """A store with forty files replicated; the files."""
    bale.mixed()
    files = sample_files(seeded)
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    return files


def test_objects_arrive_at_the_copy(bale, replicated):
    bale.get_tree("copy", "", bale.directory / "out")
    assert tree_of(bale.directory / "out") == replicated
    bale.assert_idle()


def test_packed_once_for_both_destinations(bale, replicated):
    archives = bale.keys("backup")
    assert len(archives) == 1, archives
    assert archives[0].startswith("source/backup_") and archives[0].endswith(".tar.zst")


def test_catalog_names_every_object(bale, replicated):
    records = {record["object_path"]: record for record in bale.search("")}
    assert set(records) == set(replicated)
    archive = bale.keys("backup")[0]
    for path, record in records.items():
        assert record["archive_bucket"] == "backup" and record["archive_key"] == archive
        assert record["object_size"] == len(replicated[path])
        assert record["sha256"] == hashlib.sha256(replicated[path]).hexdigest()
        assert record["source_bucket"] == "source" and record["source_region"] == SOURCE_REGION


def test_catalog_file_is_where_the_format_says(bale, replicated):
    day = time.gmtime(bale.search("")[0]["backup_timestamp"])
    name = bale.keys("backup")[0].rsplit("/", 1)[-1]
    expected = time.strftime("source/year=%Y/month=%m/day=%d/", day) + name + ".jsonl"
    buckets = [f"e2e-000000000000-{region}-catalog" for region in (BACKUP_REGION, COPY_REGION)]
    catalogs = [key for bucket in buckets if bale.bucket_exists(bucket) for key in bale.keys(bucket)]
    assert catalogs == [expected]


def test_search_by_name(bale, replicated):
    assert [record["object_path"] for record in bale.search("file-007.txt")] == ["docs/2/file-007.txt"]
    assert len(bale.search("*/file-00?.txt")) == 10
    assert bale.search("no-such-file") == []


def test_restore_one_file(bale, replicated):
    path = "docs/3/file-013.txt"
    bale.restore(bale.directory / "restored", path)
    assert tree_of(bale.directory / "restored") == {path: replicated[path]}


def test_restore_a_prefix(bale, replicated):
    bale.restore(bale.directory / "restored", "--prefix", "docs/1/")
    expected = {path: content for path, content in replicated.items() if path.startswith("docs/1/")}
    assert len(expected) == 8
    assert tree_of(bale.directory / "restored") == expected


def test_restore_to_a_bucket(bale, replicated):
    bale.make_bucket("back", SOURCE_REGION)
    bale.restore("s3://back/again/", "--prefix", "docs/2/")
    path = "docs/2/file-012.txt"
    assert bale.get("back", f"again/{path}") == replicated[path]


def test_restore_of_what_is_not_there(bale, replicated):
    finished = bale.restore(bale.directory / "restored", "docs/none.txt", status=3)
    assert "docs/none.txt" in finished.err
    assert tree_of(bale.directory / "restored") == {}


def test_restore_notices_damage(bale, replicated):
    record = bale.search("file-020.txt")[0]
    archive = bale.directory / "archive"
    bale.run("s3", "cp", f"s3://backup/{record['archive_key']}", archive)
    content = bytearray(archive.read_bytes())
    content[record["frame_offset"] + record["frame_length"] // 2] ^= 0x40
    archive.write_bytes(content)
    bale.run("s3", "cp", archive, f"s3://backup/{record['archive_key']}")
    finished = bale.restore(bale.directory / "restored", record["object_path"], status=5)
    assert "file-020.txt" in finished.err
    assert tree_of(bale.directory / "restored") == {}


def test_newest_version_is_restored(bale, replicated):
    path = "docs/0/file-005.txt"
    bale.put("source", path, b"second version")
    bale.until_idle()
    assert bale.get("copy", path) == b"second version"
    bale.restore(bale.directory / "restored", path)
    assert tree_of(bale.directory / "restored") == {path: b"second version"}


def test_status_after_a_run(bale, replicated):
    assert bale.waiting() == {}
    assert "source" in bale.replicate("status").out


def test_status_counts_what_waits(bale):
    bale.mixed()
    bale.until_idle()  # S3 announces a new notification to its queue with a test event
    for number in range(3):
        bale.put("source", f"file-{number}", b"content")
    assert sum(bale.waiting().values()) == 3


def test_services_one_by_one(bale):
    bale.mixed()
    bale.put("source", "a/b", b"content")
    bale.replicate("source", "--once")
    assert any("-outbound/" in name for name in bale.staging())
    bale.replicate("relay", "--once")
    assert any("-inbound/" in name for name in bale.staging())
    assert not any("-outbound/" in name for name in bale.staging())
    bale.replicate("target", "--once")
    assert bale.get("copy", "a/b") == b"content"
    bale.assert_idle()


def test_metadata_tags_headers_and_class_arrive(bale):
    bale.mixed()
    metadata, tags = {"owner": "mathilda", "note": "two words"}, {"team": "north", "level": "3"}
    headers = {"content-type": "text/x-report", "cache-control": "max-age=60"}
    bale.put("source", "report", b"content", *attributes(metadata, tags, "STANDARD_IA", headers))
    bale.until_idle()
    stat = bale.stat("copy", "report")
    assert metadata.items() <= stat["metadata"].items()
    assert tags.items() <= stat["tags"].items()
    assert stat["tags"].keys() - tags.keys() == {"OriginalCreationTime", "OriginalETag"}
    assert stat["content_type"] == "text/x-report" and stat["cache_control"] == "max-age=60"
    assert stat["storage_class"] == "STANDARD_IA"


def test_storage_class_of_the_destination_wins(bale):
    bale.mixed(copy={"storage_class": "ONEZONE_IA"}, backup={"storage_class": "STANDARD_IA"})
    bale.put("source", "report", b"content")
    bale.until_idle()
    assert bale.stat("copy", "report")["storage_class"] == "ONEZONE_IA"
    assert bale.stat("backup", bale.keys("backup")[0])["storage_class"] == "STANDARD_IA"


def test_prefix_and_suffix_filter(bale):
    bale.mixed(source={"prefix_filter": "logs", "suffix_filter": ".txt"})
    for key in ("logs/a.txt", "logs/b/c.txt", "logs/a.bin", "logs-x/a.txt", "other/a.txt", "logs.txt"):
        bale.put("source", key, key.encode())
    bale.until_idle()
    assert bale.keys("copy") == ["logs/a.txt", "logs/b/c.txt"]
    assert bale.keys("backup")[0].startswith("source/logs/backup_")
    bale.restore(bale.directory / "restored", "logs/b/c.txt")
    assert tree_of(bale.directory / "restored") == {"logs/b/c.txt": b"logs/b/c.txt"}


def test_backfill(bale):
    """Objects that were there before the rule; the second backfill has nothing to do."""
    bale.make_bucket("source", SOURCE_REGION)
    for number in range(5):
        bale.put("source", f"old/file-{number}", b"old %d" % number)
    bale.make_bucket("copy", COPY_REGION)
    bale.make_bucket("backup", BACKUP_REGION)
    bale.configure([{"source": {"region": SOURCE_REGION, "bucket": "source"}, "destinations": [
        {"region": COPY_REGION, "bucket": "copy"}, {"region": BACKUP_REGION, "bucket": "backup", "backup": True}]}])
    bale.replicate("init")
    bale.until_idle()
    assert bale.keys("copy") == []
    bale.replicate("backfill")
    bale.until_idle()
    assert bale.keys("copy") == [f"old/file-{number}" for number in range(5)]
    assert {record["object_path"] for record in bale.search("old/")} == set(bale.keys("copy"))
    bale.assert_idle()


def test_backfill_does_not_overwrite_newer(bale):
    bale.mixed()
    bale.put("source", "file", b"one")
    bale.replicate("backfill")
    bale.put("source", "file", b"two")
    bale.until_idle()
    assert bale.get("copy", "file") == b"two"


def snapshot(bale):
    """Every file of the store, the database's scratch files apart, by content."""
    return {path: hashlib.sha256(content).digest() for path, content in tree_of(bale.store).items()
            if not path.endswith(("-wal", "-shm", ".db", ".sqlite", "newest-number"))}


def test_dryrun_changes_nothing(bale):
    bale.make_bucket("source", SOURCE_REGION)
    bale.make_bucket("copy", COPY_REGION)
    bale.configure([{"source": {"region": SOURCE_REGION, "bucket": "source"},
                     "destinations": [{"region": COPY_REGION, "bucket": "copy"}]}])
    bale.replicate("init", "--dryrun")
    assert not any(bale.bucket_exists(f"e2e-000000000000-{SOURCE_REGION}-{kind}") for kind in ("outbound", "inbound"))
    bale.replicate("init")
    bale.put("source", "file", b"content")
    before = snapshot(bale)
    waiting = bale.waiting()
    bale.replicate("backfill", "--dryrun")
    bale.run("s3", "rm", "s3://source/file", "--dryrun")
    bale.run("s3", "cp", "s3://source/file", "s3://copy/file", "--dryrun")
    bale.restore(bale.directory / "restored", "file", "--dryrun", status=None)
    assert snapshot(bale) == before and bale.waiting() == waiting
    assert not (bale.directory / "restored").exists()


def test_init_may_be_repeated(bale):
    bale.mixed()
    bale.put("source", "file", b"content")
    bale.replicate("init")
    bale.until_idle()
    assert bale.keys("copy") == ["file"]
    bale.assert_idle()


BROKEN = [{"source": {"region": "nowhere", "bucket": "source", "cpu": 1, "visibility_timeout": -1},
           "destinations": [{"region": COPY_REGION, "bucket": "x", "storage_class": "LUKEWARM"}]},
          {"source": {"region": SOURCE_REGION}, "destinations": []}]


def test_all_findings_of_a_bad_configuration(bale):
    bale.configure(BROKEN)
    finished = bale.replicate("init", status=2)
    for finding in ("replication_configuration[0].source.region", "replication_configuration[0].source.cpu",
                    "replication_configuration[0].source.visibility_timeout", "LUKEWARM",
                    "replication_configuration[1].source.bucket", "replication_configuration[1].destinations"):
        assert finding in finished.err, finished
    assert not any(path.startswith("buckets") for path in tree_of(bale.store)) if bale.store.exists() else True


def loop(*buckets):
    """Rules that carry objects round through `buckets`, each in a region of its own."""
    regions = [SOURCE_REGION, COPY_REGION, BACKUP_REGION]
    pairs = list(zip(buckets, buckets[1:] + buckets[:1]))
    return [{"source": {"region": regions[number], "bucket": source}, "destinations": [
        {"region": regions[(number + 1) % len(buckets)], "bucket": target}]}
        for number, (source, target) in enumerate(pairs)]


@pytest.mark.parametrize("buckets", [("alpha",), ("alpha", "beta"), ("alpha", "beta", "gamma")], ids=len)
def test_loops_are_refused(bale, buckets):
    bale.configure(loop(*buckets))
    finished = bale.replicate("init", status=2)
    assert "alpha" in finished.err and "loop" in finished.err.lower(), finished


def test_loop_through_nested_prefixes(bale):
    rules = loop("alpha", "beta")
    rules[0]["source"]["prefix_filter"] = "a/"
    rules[1]["source"]["prefix_filter"] = "a/b/"
    bale.configure(rules)
    bale.replicate("init", status=2)


def test_distinct_prefixes_are_no_loop(bale):
    rules = loop("alpha", "beta")
    rules[0]["source"]["prefix_filter"] = "a/"
    rules[1]["source"]["prefix_filter"] = "b/"
    bale.make_bucket("alpha", SOURCE_REGION)
    bale.make_bucket("beta", COPY_REGION)
    bale.configure(rules)
    bale.replicate("init")


def test_missing_configuration(bale):
    finished = bale.replicate("init", status=None)
    assert finished.status in (2, 3) and "settings.json" in finished.err


def test_configuration_that_is_no_json(bale):
    bale.configure([])
    (bale.config / "settings.json").write_text('{"stack_name": ')
    finished = bale.replicate("init", status=2)
    assert "settings.json" in finished.err


def test_deletions_are_not_carried(bale, replicated):
    path = "docs/0/file-010.txt"
    bale.remove("source", path)
    bale.until_idle()
    assert bale.get("copy", path) == replicated[path]
    bale.assert_idle()


def test_json_output_of_a_run(bale, seeded):
    bale.mixed()
    bale.put("source", "file", text_of(seeded, 5000))
    finished = bale.run("--output", "json", "replicate", "run", "--until-idle", "--config", bale.config)
    for line in finished.out.splitlines():
        json.loads(line)


def test_unknown_region_is_a_usage_error(bale):
    bale.mixed()
    finished = bale.replicate("run", "--until-idle", "--only-region", "mars", status=2)
    assert "mars" in finished.err and SOURCE_REGION in finished.err


def test_each_failed_object_is_named_once(bale):
    bale.mixed(source={"visibility_timeout": 1, "max_receive_count": 3})
    bale.run("s3", "rb", "s3://copy")
    bale.put("source", "one", b"1")
    bale.put("source", "two", b"2")
    finished = bale.replicate("run", "--until-idle", "--output", "json", status=1)
    errors = [json.loads(line) for line in finished.err.splitlines() if line.startswith("{")]
    named = [line["doing"] for line in errors if line["type"] == "error" and line["doing"].startswith("target failed")]
    assert named == [f"target failed (3 attempts): s3://copy/{key}" for key in ("one", "two")], finished
    assert [line["failures"] for line in finished.lines() if line["type"] == "summary"] == [2]


def test_recorded_deletions_are_no_objects(bale):
    bale.mixed(source={"track_deletes": True})
    bale.put("source", "kept", b"1")
    bale.put("source", "gone", b"2")
    bale.until_idle()
    bale.remove("source", "gone")
    finished = bale.replicate("run", "--until-idle", "--output", "json")
    summary = [line for line in finished.lines() if line["type"] == "summary"][0]
    assert (summary["objects_packed"], summary["deletions_packed"]) == (0, 1)


def test_waiting_for_what_a_dead_process_held_is_explained(bale):
    bale.mixed(source={"visibility_timeout": 6, "batch": {"max_objects": 1000, "max_wait_seconds": 60}})
    bale.put("source", "file", b"content")
    process = bale.start("replicate", "source", "--config", bale.config)
    try:
        wait_until(lambda: any(line["in_flight"] for line in bale.json("replicate", "status", "--config", bale.config)
                               if line["type"] == "queue"))
    finally:
        process.kill()
        process.communicate()
    finished = bale.replicate("run", "--until-idle")
    assert "1 message in flight, back in the queue by " in finished.err, finished
    assert bale.get("copy", "file") == b"content"


def test_restore_replaces_files_and_nothing_else(bale):
    """A link or pipe that has the name of a key stays what it is; a link could lead out of the directory."""
    bale.mixed()
    for key in ("dir/link", "dir/pipe", "dir/file"):
        bale.put("source", key, b"content")
    bale.until_idle()
    out, secret = bale.directory / "out", bale.directory / "secret"
    secret.write_bytes(b"kept")
    (out / "dir").mkdir(parents=True)
    (out / "dir/link").symlink_to(secret)
    os.mkfifo(out / "dir/pipe")
    (out / "dir/file").write_bytes(b"old")
    finished = bale.restore(out, "*", "--overwrite", status=1)
    assert "a symbolic link has the file's name" in finished.err and "would be replaced" in finished.err
    assert secret.read_bytes() == b"kept" and (out / "dir/link").is_symlink() and (out / "dir/pipe").is_fifo()
    assert (out / "dir/file").read_bytes() == b"content"
