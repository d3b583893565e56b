"""`bale check`: one flipped byte anywhere is found and its object named; without damage it says so, with 0."""
import hashlib
import json

import pytest

import reference_writer
from conftest import ACCOUNT, BACKUP_REGION, STACK, MiB, text_of, tree_of
from test_memory import peak_of

CATALOG = f"{STACK}-{ACCOUNT}-{BACKUP_REGION}-catalog"
REFERENCE_MEMBERS = ["backup_file", "backup_timestamp", "backup_date", "source_bucket", "source_prefix", "object_name",
                     "object_path", "object_size", "creation_time", "creation_date", "target_buckets"]


class Checked:
    """A replicated and backed up source, to be damaged and checked."""

    def __init__(self, bale, chance=None):
        self.bale = bale
        self.files = {f"docs/file-{number}.txt": b"content %d" % number for number in range(5)} | {"empty": b""}
        if chance:
            self.files |= {"words": text_of(chance, 40_000), "noise": chance.randbytes(70_000)}
        bale.mixed(source={"frame_size": 65536})
        for key, content in self.files.items():
            bale.put("source", key, content)
        bale.until_idle()
        self.archive, = bale.keys("backup")
        self.catalog, = bale.keys(CATALOG)
        self.rows = [json.loads(line) for line in bale.get(CATALOG, self.catalog).splitlines()]

    def check(self, *arguments, status=0):
        """Findings and summary."""
        finished = self.bale.run("--output", "json", "check", "--config", self.bale.config, *arguments, status=status)
        *findings, summary = finished.lines()
        assert summary["type"] == "summary" and {line["type"] for line in findings} <= {"finding"}, finished
        return findings, summary

    def named(self, findings):
        """Keys of the source that findings name."""
        uris = [uri for line in findings for uri in line.get("objects", [line.get("object")]) if uri]
        assert all(uri.startswith("s3://source/") for uri in uris), findings
        return {uri.removeprefix("s3://source/") for uri in uris}


@pytest.fixture
def checked(bale, seeded):
    return Checked(bale, seeded)


def test_what_is_whole_is_called_whole(checked):
    findings, summary = checked.check("--read-data", "--destinations")
    assert findings == []
    objects = len(checked.files)
    assert summary["archives"] == summary["catalog_files"] == 1
    assert summary["rows"] == summary["objects_read"] == objects
    assert summary["destination_objects"] == summary["destination_read"] == objects
    assert summary["bytes_read"] == sum(map(len, checked.files.values()))
    text = checked.bale.run("check", "--config", checked.bale.config, "--read-data", "--destinations").out
    assert "1 archive (1 copy" in text and "all is there, and sound" in text


def flipped(content, at, chance):
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1:]


def test_a_flipped_byte_anywhere_is_found_and_its_object_named(checked, seeded):
    """Regions of the archive: frames of objects, the manifest's, trailer and seek table; and the catalog file."""
    bale, size = checked.bale, checked.bale.stat("backup", checked.archive)["size"]
    ends = sorted({row["frame_offset"] + row["frame_length"] for row in checked.rows} | {0, size - 200, size})
    places = [seeded.randrange(first, last) for first, last in zip(ends, ends[1:]) for _ in range(3)]
    for bucket, key, sampled in (("backup", checked.archive, places + [0, size - 1]),
                                 (CATALOG, checked.catalog, None)):
        whole = bale.get(bucket, key)
        for at in sampled or [seeded.randrange(len(whole)) for _ in range(12)] + [0, len(whole) - 1]:
            bale.put(bucket, key, flipped(whole, at, seeded))
            findings, summary = checked.check("--read-data", status=5)
            assert checked.named(findings) and summary["damage"] > 0, (key, at, findings)
        bale.put(bucket, key, whole)
    checked.check("--read-data")


def test_a_flipped_byte_in_the_files_of_the_store_itself_is_found(checked, seeded):
    """The bytes rot below the store, which goes on to say the same of them."""
    files = [path for path in (checked.bale.store / "s3").rglob("*") if path.is_file() and path.stat().st_size > 0]
    of_places = [path for path in files if "/backup/" in str(path) or "/copy/" in str(path) or CATALOG in str(path)]
    assert len(of_places) >= len(checked.files) + 1
    for path in of_places:
        whole = path.read_bytes()
        # In an archive, where the objects are: elsewhere, a byte may change no object, and its ETag is not looked at.
        noise = next(row for row in checked.rows if row["object_path"] == "noise")
        first, length = (noise["frame_offset"] + 100, 50_000) if "/backup/" in str(path) else (0, len(whole))
        path.write_bytes(flipped(whole, first + seeded.randrange(length), seeded))
        findings, _ = checked.check("--read-data", "--destinations", status=5)
        assert checked.named(findings), (path, findings)
        path.write_bytes(whole)
    checked.check("--read-data", "--destinations")


def test_what_is_lost_is_named_and_can_be_read_by_a_person(checked):
    bale = checked.bale
    bale.remove("copy", "docs/file-3.txt")
    finished = bale.run("check", "--config", bale.config, "--destinations", status=5)
    row = next(line for line in finished.out.splitlines() if line.startswith("missing-at-destination"))
    assert "s3://source/docs/file-3.txt" in row and "s3://copy/docs/file-3.txt" in row
    assert "bale restore" in finished.out and "1 finding of damage or loss" in finished.out
    bale.restore("s3://copy", "docs/file-3.txt", "--region", "eu-west-1")
    bale.remove("backup", checked.archive)
    findings, _ = checked.check(status=5)
    assert [line["finding"] for line in findings] == ["missing-archive"]
    assert checked.named(findings) == set(checked.files)


def test_catalog_files_are_rebuilt_to_the_byte(checked):
    bale, text = checked.bale, checked.bale.get(CATALOG, checked.catalog)
    bale.remove(CATALOG, checked.catalog)
    findings, summary = checked.check("--repair-catalog", "--dryrun", status=5)
    assert findings[0]["finding"] == "missing-catalog-file" and findings[0]["repair"] == "dryrun"
    assert bale.keys(CATALOG) == [] and summary["catalog_files_written"] == 0
    findings, summary = checked.check("--repair-catalog")
    assert findings[0]["repair"] == "done" and summary["repaired"] == summary["catalog_files_written"] == 1
    assert bale.get(CATALOG, checked.catalog) == text
    bale.put(CATALOG, checked.catalog, text[:-50])
    assert "rebuilt" in bale.run("check", "--config", bale.config, "--repair-catalog").out
    assert bale.get(CATALOG, checked.catalog) == text
    checked.check()
    bale.restore(bale.directory / "out", "*")
    assert tree_of(bale.directory / "out") == checked.files


def test_shares_are_all_of_it(checked):
    read = [checked.check("--read-data", f"{number}/3")[1]["objects_read"] for number in (1, 2, 3)]
    assert sorted(read) == [0, 0, len(checked.files)]


def test_a_catalog_and_its_archives_by_name(checked):
    where = ["check", "--catalog", f"s3://{CATALOG}", "--region", BACKUP_REGION]
    bale = checked.bale
    bale.run(*where, "--archives", "s3://backup")
    bale.run(*where)
    bale.remove(CATALOG, checked.catalog)
    assert "missing-catalog-file" in bale.run(*where, "--archives", "s3://backup", status=5).out
    bale.run(*where, "--archives", "s3://backup", "--repair-catalog")
    bale.run(*where, "--archives", "s3://backup/source/", "--archives", "s3://backup")


@pytest.mark.parametrize("arguments", [(), ("--destinations", "--catalog", "s3://x"), ("--read-data", "3/2"),
                                       ("--archives", "s3://x"), ("--catalog", "s3://x", "--config", "y")],
                         ids=" ".join)
def test_usage(checked, arguments):
    config = ["--config", checked.bale.config] if arguments[:1] in (("--read-data",), ("--archives",)) else []
    finished = checked.bale.run("check", *config, *arguments, status=2)
    assert finished.err.startswith("bale: ") and finished.out == ""


def test_archives_in_an_archive_class_are_no_failure(bale):
    bale.mixed(backup={"storage_class": "GLACIER"})
    bale.put("source", "object", b"content")
    bale.until_idle()
    finished = bale.run("check", "--config", bale.config, "--read-data")
    assert "not readable now: 1" in finished.out and "RestoreObject" in finished.out, finished


def reference_backup(bale, prefix="logs", region_in_front=True, bucket_in_front=True):
    """An archive and catalog file as the replaced program leaves them; returns their keys and the contents."""
    contents = {"a b+c": b"one\n" * 999, "deep/er/ünï": b"two", "empty": b"", "big": b"3" * 100_000}
    objects = [(reference_writer.entry("source", prefix, f"{prefix}/{key}", content, hashlib.md5(content).hexdigest()),
                content) for key, content in contents.items()]
    older = (objects[0][0] | {"etag": "older", "size": 5, "creation_time": "2025-01-23 09:05:06"}, b"older")
    archive = reference_writer.archive([older, *objects], [{"region": BACKUP_REGION, "bucket": "backup",
                                                            "backup": True}])
    name = reference_writer.name("source", prefix)
    if not bucket_in_front:
        name = name.removeprefix("source/")
    bale.put("backup", name, archive)
    rows = []
    for entry, _ in [older, *objects]:
        rows.append({"backup_file": name.rpartition("/")[2], "backup_timestamp": 1737623107.25,
                     "backup_date": "2025-01-23", "source_bucket": "source", "source_prefix": prefix,
                     "object_name": entry["object_name"], "object_path": f"{prefix}/{entry['relative_key']}",
                     "object_size": entry["size"], "creation_time": entry["creation_time"],
                     "creation_date": "2025-01-23", "target_buckets": ["backup"]})
    assert list(rows[0]) == REFERENCE_MEMBERS
    start = "eu-central-1/" if region_in_front else ""
    catalog = f"{start}source/{prefix}/year=2025/month=01/day=23/{name.rpartition('/')[2]}.jsonl"
    bale.put(CATALOG, catalog, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return name, catalog, archive, rows


@pytest.mark.parametrize("region_in_front, bucket_in_front", [(True, True), (False, True), (True, False)])
def test_backups_of_the_replaced_program(checked, region_in_front, bucket_in_front):
    bale = checked.bale
    name, catalog, archive, rows = reference_backup(bale, region_in_front=region_in_front,
                                                    bucket_in_front=bucket_in_front)
    findings, summary = checked.check()
    assert findings == [] and summary["archives"] == summary["catalog_files"] == 2
    assert summary["without_random_access"] == 1 and summary["opened"] == 1
    text = bale.run("check", "--config", bale.config).out
    assert "not opened: 1 without random access; --read-data reads them as a whole" in text
    findings, summary = checked.check("--read-data")
    assert findings == [] and summary["without_random_access"] == 0
    assert summary["not_verifiable"] == 4 and summary["objects_read"] == len(checked.files) + 4
    # Its frame's checksum, its sizes, and the rows are what there is to compare.
    bale.put("backup", name, archive[:len(archive) // 2])
    findings, _ = checked.check("--read-data", status=5)
    assert checked.named(findings) == {"logs/" + key for key in ("a b+c", "deep/er/ünï", "empty", "big")}
    bale.put("backup", name, archive)
    rows[2]["object_size"] += 1
    bale.put(CATALOG, catalog, "".join(json.dumps(row) + "\n" for row in rows).encode())
    findings, _ = checked.check("--read-data", status=5)
    assert [line["finding"] for line in findings] == ["different-row"] and "object_size" in findings[0]["what"]
    bale.remove("backup", name)
    findings, _ = checked.check(status=5)
    assert [line["finding"] for line in findings] == ["missing-archive"]


def test_an_archive_that_was_not_listed_is_found_under_either_name(checked):
    bale = checked.bale
    reference_backup(bale, bucket_in_front=False)
    finished = bale.run("--output", "json", "check", "--catalog", f"s3://{CATALOG}", "--read-data")
    *findings, summary = finished.lines()
    assert findings == [] and summary["archives"] == 2 and summary["objects_read"] == len(checked.files) + 4


def test_a_destination_that_is_gone(checked):
    for key in checked.bale.keys("copy"):
        checked.bale.remove("copy", key)
    checked.bale.run("s3", "rb", "s3://copy")
    findings, _ = checked.check("--destinations", status=5)
    assert [(line["finding"], line["where"]) for line in findings] == [("missing-bucket", "s3://copy/")]


def test_names_are_as_they_are_in_json(bale):
    bale.mixed()
    odd = 'a "b"\\c\td'
    bale.put("source", odd, b"content")
    bale.until_idle()
    archive, = bale.keys("backup")
    bale.remove("backup", archive)
    finished = bale.run("--output", "json", "check", "--config", bale.config, status=5)
    assert finished.lines()[0]["object"] == f"s3://source/{odd}"


def test_a_catalog_file_of_the_replaced_program_that_is_gone_is_rebuilt(checked):
    bale = checked.bale
    name, catalog, _, _ = reference_backup(bale)
    bale.remove(CATALOG, catalog)
    findings, _ = checked.check("--repair-catalog", status=5)
    assert findings[0]["finding"] == "missing-catalog-file" and "--read-data" in findings[0]["hint"]
    checked.check("--read-data", "--repair-catalog")
    checked.check("--read-data")
    assert len(bale.search("--bucket", "source", "logs/")) == 4


def test_what_two_regions_hold_is_checked_in_both(bale):
    bale.mixed()
    bale.make_bucket("second", "eu-west-1")
    rules = json.loads((bale.config / "replication_config.json").read_text())["replication_configuration"]
    rules[0]["destinations"].append({"region": "eu-west-1", "bucket": "second", "backup": True})
    bale.configure(rules)
    bale.replicate("init")
    bale.put("source", "object", b"content")
    bale.until_idle()
    summary = bale.json("check", "--config", bale.config, "--read-data")[-1]
    assert summary["archives"] == summary["catalog_files"] == summary["objects_read"] == 2
    bale.remove("second", bale.keys("second")[0])
    finished = bale.run("check", "--config", bale.config, status=5)
    assert "s3://second/" in finished.out and "missing-archive" in finished.out, finished


def test_many_archives_in_little_memory(bale, seeded):
    """More bytes than fit into the memory that the program may take; findings of all archives come."""
    bale.mixed(source={"batch": {"max_objects": 10, "max_wait_seconds": 1}, "level": 1})
    tree = bale.directory / "tree"
    tree.mkdir()
    for number in range(300):
        size = 4 * MiB if number % 6 == 0 else 10
        (tree / f"object-{number:03}").write_bytes(b"content %d" % number + seeded.randbytes(size))
    bale.put_tree("source", "", tree)
    bale.until_idle()
    archives = bale.keys("backup")
    assert len(archives) >= 30
    peak = peak_of(bale, "--memory-limit", "128MiB", "--no-progress", "check", "--config", bale.config, "--read-data",
                   "--destinations")
    print(f"peak {peak / MiB:.0f} MiB")
    assert peak < 128 * MiB
    for archive in archives[:5]:
        bale.remove("backup", archive)
    finished = bale.run("--output", "json", "--memory-limit", "64MiB", "check", "--config", bale.config, "--read-data",
                        status=5)
    *findings, summary = finished.lines()
    assert len(findings) == 5 and summary["archives"] == len(archives) - 5
    assert summary["objects_read"] + sum(len(line.get("objects", [1])) for line in findings) == 300
