"""A damaged catalog never passes for a whole one: what it lost is said, and read from the archive instead."""
import json

import pytest
from conftest import BACKUP_REGION, tree_of

CATALOG = f"e2e-000000000000-{BACKUP_REGION}-catalog"
FILES = {f"docs/file-{number}.txt": b"content %d" % number for number in range(5)}


class Cataloged:
    """A backup of FILES, and its one catalog file, to be damaged."""

    def __init__(self, bale):
        self.bale = bale
        bale.mixed()
        for key, content in FILES.items():
            bale.put("source", key, content)
        bale.until_idle()
        self.key, = bale.keys(CATALOG)
        self.archive, = bale.keys("backup")
        self.text = bale.get(CATALOG, self.key)
        self.lines = self.text.splitlines(keepends=True)
        self.out = bale.directory / "restored"

    def write(self, text):
        self.bale.put(CATALOG, self.key, text)

    def restore(self, *arguments, **options):
        return self.bale.restore(self.out, *arguments, **options)

    def search(self, *arguments):
        return self.bale.run("--output", "json", "catalog", "search", "--config", self.bale.config, *arguments,
                             status=None)


@pytest.fixture
def cataloged(bale):
    return Cataloged(bale)


def changed_name(lines):
    """One row says another key; everything else of it is left."""
    return b"".join([lines[0], lines[1].replace(b'"object_path":"docs/', b'"object_path":"evil/'), *lines[2:]])


def rewritten_name(lines):
    """The same by somebody who parsed and wrote the row."""
    row = json.loads(lines[1])
    row["object_path"] = "evil/name"
    return b"".join([lines[0], json.dumps(row).encode() + b"\n", *lines[2:]])


DAMAGE = {
    "cut at a line end": lambda lines: b"".join(lines[:3]),
    "cut in a line": lambda lines: b"".join(lines)[:len(lines[0]) + 20],
    "a line is gone": lambda lines: b"".join(lines[:2] + lines[3:]),
    "a garbled line": lambda lines: b"".join([lines[0], b"\x00" * len(lines[1]), b"\n", *lines[2:]]),
    "all lines garbled": lambda lines: b"".join(line[:40] + b"\n" for line in lines),
    "emptied": lambda lines: b"",
    "another name": changed_name,
    "another name, written anew": rewritten_name,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_restore_reads_the_archive_where_its_catalog_file_is_damaged(cataloged, name):
    cataloged.write(DAMAGE[name](cataloged.lines))
    finished = cataloged.restore("*")
    assert tree_of(cataloged.out) == FILES
    for what in ("warning", "damaged", f"s3://{CATALOG}/{cataloged.key}", f"s3://backup/{cataloged.archive}"):
        assert what in finished.err, finished
    assert cataloged.bale.restore(cataloged.bale.directory / "one", "docs/file-4.txt").status == 0


@pytest.mark.parametrize("name", DAMAGE)
def test_search_of_a_damaged_catalog_says_so(cataloged, name):
    cataloged.write(DAMAGE[name](cataloged.lines))
    finished = cataloged.search()
    assert finished.status == 5, finished
    found = {line["object_path"] for line in finished.lines()}
    assert found < set(FILES), finished  # what is sound is still shown, and nothing else
    error = json.loads(finished.err)
    assert error["type"] == "error" and error["kind"] == "corrupt"
    assert error["where"] == f"s3://{CATALOG}/{cataloged.key}" and cataloged.archive in error["message"]
    assert "bale restore" in error["hint"]


def test_what_neither_catalog_nor_archive_can_give_is_status_5(cataloged):
    cataloged.write(b"".join(cataloged.lines[:2]))
    cataloged.bale.remove("backup", cataloged.archive)
    finished = cataloged.restore("*", status=5)
    assert cataloged.archive in finished.err and "damaged" in finished.err, finished


def test_sound_rows_are_restored_where_the_archive_cannot_stand_in(cataloged):
    """The end of the archive is destroyed, and with it the list; the objects in front of it are whole."""
    archive = bytearray(cataloged.bale.get("backup", cataloged.archive))
    rows = [json.loads(line) for line in cataloged.lines]
    end = max(row["frame_offset"] + row["frame_length"] for row in rows)
    archive[end:] = b"\x55" * (len(archive) - end)
    cataloged.bale.put("backup", cataloged.archive, bytes(archive))
    cataloged.write(b"".join(cataloged.lines[:2]))
    finished = cataloged.restore("*", status=5)
    kept = {row["object_path"] for row in rows[:2]}
    assert tree_of(cataloged.out) == {key: FILES[key] for key in kept}, finished


def test_damage_that_cannot_concern_the_query_is_passed_over(cataloged):
    cataloged.write(b"")
    assert cataloged.search("--bucket", "another").status == 3
    assert cataloged.search("--bucket", "source").status == 5


def test_a_catalog_alone_finds_its_archive_by_the_rows_that_are_left(cataloged):
    """With --catalog no configuration says where backups are."""
    where = ["restore", "--catalog", f"s3://{CATALOG}", "--region", BACKUP_REGION, "--to", cataloged.out, "*"]
    cataloged.write(b"".join(cataloged.lines[:1]))
    cataloged.bale.run(*where)
    assert tree_of(cataloged.out) == FILES
    cataloged.write(b"")
    assert "--config" in cataloged.bale.run(*where, status=5).err


def test_files_of_the_replaced_program_have_no_checks_and_are_read(cataloged):
    members = ["backup_file", "backup_timestamp", "backup_date", "source_bucket", "source_prefix", "object_name",
               "object_path", "object_size", "creation_time", "creation_date", "target_buckets"]
    rows = [json.loads(line) for line in cataloged.lines]
    cataloged.write("".join(json.dumps({name: row[name] for name in members}) + "\n" for row in rows).encode())
    finished = cataloged.search()
    assert finished.status == 0 and finished.err == "", finished
    assert {line["object_path"] for line in finished.lines()} == set(FILES)


def test_an_archive_that_is_gone_is_named(cataloged):
    cataloged.bale.remove("backup", cataloged.archive)
    finished = cataloged.restore("docs/file-1.txt", status=3)
    assert f"s3://backup/{cataloged.archive}" in finished.err and "the archive" in finished.err, finished
    assert tree_of(cataloged.out) == {}


def test_another_copy_of_the_archive_is_read(bale):
    bale.mixed()
    bale.make_bucket("second", BACKUP_REGION)
    config = json.loads((bale.config / "replication_config.json").read_text())["replication_configuration"]
    config[0]["destinations"].append({"region": BACKUP_REGION, "bucket": "second", "backup": True})
    bale.configure(config)
    bale.replicate("init")
    bale.put("source", "object", b"content")
    bale.until_idle()
    bale.remove("backup", bale.keys("backup")[0])
    bale.restore(bale.directory / "restored", "object")
    assert tree_of(bale.directory / "restored") == {"object": b"content"}
