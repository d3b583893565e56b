"""`bale bucket compare`, `backup` and `tag-deleted` on the embedded store. K1 to K15 are cases that other tools got
wrong; what a server has to do for them is in test_bucket_servers.py."""
import re
import time

import pytest

from conftest import Bale, MiB, wait_until

AWKWARD = ["/a", "a", "a//b", "a/b", "a/", "./a", "../a", "a/../b", " ", "+", "%2F", "\u00e9", "e\u0301", "k" * 1024,
           "\uffff", "\x01", "\U0001f600"]


class Buckets(Bale):
    """Two buckets, and the commands between them."""

    def __init__(self, directory):
        super().__init__(directory)
        self.make_bucket("src", "eu-central-1")
        self.make_bucket("dst", "eu-central-1")

    def bucket(self, command, *arguments, status=0, source="s3://src", destination="s3://dst"):
        """The lines of one run: JSON of stdout."""
        return self.run("--output", "json", "bucket", command, source, destination, *arguments, status=status,
                        timeout=300).lines()

    def backup(self, *arguments, **options):
        """The summary of a backup."""
        return self.bucket("backup", *arguments, **options)[-1]

    def compare(self, *arguments, **options):
        """Key -> (verdict, by), and the summary."""
        lines = self.bucket("compare", *arguments, **options)
        return {line["key"]: (line["verdict"], line["by"]) for line in lines if line["type"] == "evidence"}, lines[-1]

    def tags(self, bucket, key):
        return self.stat(bucket, key)["tags"]

    def copies(self, bucket="dst"):
        """The keys of a bucket but those of Bale's own."""
        return [key for key in self.keys(bucket) if not key.startswith(".bale/")]


@pytest.fixture
def buckets(tmp_path, disposal):
    yield Buckets(tmp_path)
    disposal(tmp_path)


def put_some(buckets, count=5):
    for number in range(count):
        buckets.put("src", f"dir/{number}", b"content %d" % number)


def test_a_backup_copies_once_and_compare_proves_it(buckets):
    put_some(buckets)
    verdicts, summary = buckets.compare(status=1)
    assert verdicts == {f"dir/{number}": ("missing", "listing") for number in range(5)}
    assert (summary["missing"], summary["same"]) == (5, 0)

    first = buckets.backup()
    assert (first["copied"], first["missing"], first["failed"]) == (5, 5, 0)
    verdicts, summary = buckets.compare()
    assert set(verdicts.values()) == {("same", "etag")}
    assert summary["same"] == 5

    second = buckets.backup()
    assert (second["copied"], second["current"], second["failed"]) == (0, 5, 0)
    # Two listings, that of the journal, and its one or two files: nothing per object.
    assert second["requests"]["head"] == 2, "one for each bucket"
    assert second["requests"]["copy"] == second["requests"]["tag"] == second["requests"]["put"] == 0
    assert second["requests"]["total"] < 12, second


def test_a_changed_object_is_copied_again(buckets):
    put_some(buckets)
    buckets.backup()
    buckets.put("src", "dir/3", b"CONTENT 3")  # the same size
    buckets.put("src", "dir/new", b"new")
    verdicts, _ = buckets.compare(status=1)
    assert verdicts["dir/3"][0] == "differs"
    assert verdicts["dir/new"] == ("missing", "listing")
    lines = buckets.bucket("backup")
    assert {line["source"]: line["reason"] for line in lines if line["type"] == "copied"} == {
        "s3://src/dir/3": "changed", "s3://src/dir/new": "missing"}
    assert buckets.get("dst", "dir/3") == b"CONTENT 3"
    buckets.compare()


def test_metadata_that_changes_with_the_same_content_is_copied(buckets):
    buckets.put("src", "a", b"content", metadata={"v": "1"})
    buckets.backup()
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second)  # S3 tells dates to the second
    buckets.run("s3", "cp", "s3://src/a", "s3://src/a", "--metadata", '{"v": "2"}')
    assert buckets.backup()["copied"] == 1
    assert buckets.stat("dst", "a")["metadata"] == {"v": "2"}


def test_dryrun_changes_nothing(buckets):
    put_some(buckets)
    summary = buckets.backup("--dryrun")
    assert (summary["dryrun"], summary["copied"]) == (True, 5)
    assert buckets.keys("dst") == []


def test_K1_missing_buckets_are_named_and_nothing_is_done(buckets):
    put_some(buckets)
    for source, destination in (("s3://nowhere", "s3://dst"), ("s3://src", "s3://nowhere")):
        failed = buckets.run("bucket", "backup", "--tag-deleted", source, destination, status=3)
        assert "nowhere" in failed.err
    assert buckets.keys("dst") == []


def test_K1_an_empty_source_is_refused(buckets):
    buckets.make_bucket("empty", "eu-central-1")
    put_some(buckets, 3)
    buckets.backup()
    for command in (["backup", "--tag-deleted"], ["backup"], ["tag-deleted"]):
        failed = buckets.run("bucket", *command, "s3://empty", "s3://dst", status=4)
        assert "--allow-empty-source" in failed.err
    assert all(not buckets.tags("dst", key) for key in buckets.copies())
    summary = buckets.bucket("tag-deleted", "--allow-empty-source", source="s3://empty")[-1]
    assert summary["marked"] == 3


def test_K1_too_many_deleted_stop_with_the_list(buckets):
    put_some(buckets, 20)
    buckets.backup()
    for number in range(4):
        buckets.remove("src", f"dir/{number}")
    lines = buckets.bucket("backup", "--tag-deleted", "--max-deleted", "3", status=4)
    assert [line["key"] for line in lines if line["type"] == "over_limit"] == [f"dir/{n}" for n in range(4)]
    assert all(not buckets.tags("dst", key) for key in buckets.copies())
    assert buckets.backup("--tag-deleted", "--max-deleted", "20%")["marked"] == 4


def test_K3_keys_as_they_are(buckets):
    for number, key in enumerate(AWKWARD):
        buckets.put("src", key, b"%d" % number)
    buckets.put("src", "marker/", b"a folder with content")
    assert buckets.backup()["copied"] == len(AWKWARD) + 1
    assert buckets.copies() == buckets.keys("src")
    for number, key in enumerate(AWKWARD):
        assert buckets.get("dst", key) == b"%d" % number
    assert buckets.get("dst", "marker/") == b"a folder with content"
    assert buckets.compare()[1]["same"] == len(AWKWARD) + 1


@pytest.mark.parametrize("size", [1, 8 * MiB + 1])
@pytest.mark.parametrize("storage_class", [None, "GLACIER_IR"])
def test_K4_everything_that_belongs_to_an_object(buckets, size, storage_class):
    tags = {f"tag{number}": f"value {number}" for number in range(10)}
    metadata = {f"m{number}": "x" * 190 for number in range(10)}
    headers = {"content-type": "text/x", "cache-control": "no-store", "content-disposition": "inline",
               "content-encoding": "gzip", "content-language": "de", "expires": "Thu, 01 Jan 2032 00:00:00 GMT",
               "website-redirect": "/other"}
    buckets.put("src", "a", bytes(size), metadata=metadata, tags=tags, headers=headers)
    buckets.backup(*(["--storage-class", storage_class] if storage_class else []))
    source, copy = buckets.stat("src", "a"), buckets.stat("dst", "a")
    assert copy["storage_class"] == (storage_class or "STANDARD_IA")
    differing = {"storage_class", "last_modified", "bucket", "etag", "version_id"}
    assert {k: v for k, v in source.items() if k not in differing} == {
        k: v for k, v in copy.items() if k not in differing}
    buckets.compare("--level", "full")


def test_K5_without_tags_nothing_is_read_of_them(buckets):
    buckets.put("src", "a", b"content", tags={"x": "y"})
    summary = buckets.backup("--no-tags")
    assert (summary["copied"], summary["tags_not_read"]) == (1, 1)
    assert summary["requests"]["get"] <= 2, "of the journal alone"
    assert buckets.tags("dst", "a") == {}
    verdicts, _ = buckets.compare("--level", "full", "--tags", status=1)
    assert verdicts["a"] == ("differs", "tags")


def test_K7_a_report_of_differences_is_what_the_backup_copies(buckets):
    put_some(buckets)
    buckets.backup()
    buckets.put("src", "dir/1", b"changed!!")
    buckets.put("src", "dir/new", b"new")
    buckets.put("dst", "only-there", b"extra")
    buckets.compare("--report", buckets.directory / "report.jsonl", status=1)
    lines = buckets.bucket("backup", "--from-report", buckets.directory / "report.jsonl")
    assert sorted(line["source"] for line in lines if line["type"] == "copied") == ["s3://src/dir/1",
                                                                                   "s3://src/dir/new"]
    assert lines[-1]["requests"]["list"] <= 3, "of the journal alone"
    assert buckets.compare(status=1)[1]["extra"] == 1
    (buckets.directory / "report.jsonl").write_text("no report\n")
    failed = buckets.run("bucket", "backup", "s3://src", "s3://dst", "--from-report",
                         buckets.directory / "report.jsonl", status=2)
    assert "line 1" in failed.err


@pytest.mark.parametrize("tags, is_marked", [(8, True), (9, False), (10, False)])
def test_K10_other_tags_are_kept_and_no_room_is_named(buckets, tags, is_marked):
    before = {f"t{number}": str(number) for number in range(tags)}
    buckets.put("src", "stays", b"stays")
    buckets.put("src", "a", b"content", tags=before)
    buckets.backup()
    buckets.remove("src", "a")
    finished = buckets.run("--output", "json", "bucket", "tag-deleted", "s3://src", "s3://dst",
                           status=0 if is_marked else 1)
    after = buckets.tags("dst", "a")
    if is_marked:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", after.pop("DeletedAt"))
        assert after.pop("Deleted") == "True"
    else:
        assert "TooManyTags" in finished.err and "a" in finished.err
        assert finished.lines()[-1]["failed"] == 1
    assert after == before


def test_K11_marks_follow_the_truth(buckets):
    buckets.put("src", "stays", b"stays")
    buckets.put("src", "a", b"content", tags={"mine": "kept"})
    buckets.backup("--tag-deleted")
    buckets.remove("src", "a")
    assert buckets.backup("--tag-deleted")["marked"] == 1
    marks = buckets.tags("dst", "a")
    assert (marks["Deleted"], marks["mine"]) == ("True", "kept")

    again = buckets.backup("--tag-deleted")
    assert (again["marked"], again["marked_before"]) == (0, 1)
    assert again["requests"]["get"] + again["requests"]["tag"] <= 3, "the journal knows the mark"
    assert buckets.tags("dst", "a") == marks, "a mark is never renewed"

    buckets.put("src", "a", b"content", tags={"mine": "kept"})  # the same bytes, back again
    buckets.backup("--tag-deleted")
    assert buckets.tags("dst", "a") == {"mine": "kept"}
    buckets.remove("src", "a")
    assert buckets.backup("--tag-deleted")["marked"] == 1
    assert buckets.tags("dst", "a")["Deleted"] == "True"


def test_K11_a_deletion_that_is_undone_removes_the_mark(buckets):
    """The object that comes back is the old one: its date and ETag tell nothing, the journal does."""
    buckets.put("src", "stays", b"stays")
    buckets.put("src", "a", b"content", tags={"mine": "kept"})
    buckets.backup()
    excluded = ["--exclude", "nothing"]
    buckets.make_bucket("without", "eu-central-1")
    buckets.run("s3", "cp", "s3://src/stays", "s3://without/stays")
    buckets.bucket("tag-deleted", "--journal", buckets.directory / "journal", source="s3://without")
    assert buckets.tags("dst", "a")["Deleted"] == "True"
    # Another journal does not know the mark: --check-marks reads it.
    assert buckets.bucket("tag-deleted", *excluded)[-1]["unmarked"] == 0
    summary = buckets.bucket("tag-deleted", "--check-marks")[-1]
    assert summary["unmarked"] == 1
    assert buckets.tags("dst", "a") == {"mine": "kept"}


def test_K12_the_same_size_with_other_bytes(buckets):
    put_some(buckets)
    buckets.backup("--no-journal")
    buckets.put("dst", "dir/1", b"CONTENT 1")  # the copy is newer than its source
    verdicts, summary = buckets.compare(status=1)
    assert verdicts["dir/1"][0] == "differs"
    assert (summary["same"], summary["differs"]) == (4, 1)
    assert buckets.compare("--level", "size")[1]["same"] == 5
    assert buckets.backup()["changed"] == 1
    assert buckets.backup()["copied"] == 0


def test_K12_without_a_checksum_parts_of_another_size_are_copied_once(buckets):
    """The embedded store keeps a checksum of objects in parts only where the writer names an algorithm."""
    content = bytes(range(256)) * (12 * MiB // 256)
    buckets.put("src", "large", content, "--part-size", "5MiB")
    buckets.put("dst", "large", content, "--part-size", "8MiB")
    for level in ("etag", "checksum"):
        verdicts, _ = buckets.compare("--level", level, status=1)
        assert verdicts["large"][0] == "unknown"
    assert buckets.backup()["copied"] == 1
    second = buckets.backup()
    assert (second["copied"], second["current"], second["requests"]["copy"]) == (0, 1, 0), "the journal has it now"


def test_K14_small_objects_in_ia_are_estimated(buckets):
    for number in range(20):
        buckets.put("src", str(number), bytes(2048))
    lines = buckets.bucket("backup", "--dryrun")
    storage = lines[-1]["storage"]
    assert storage["billed_bytes"] == 20 * 128 * 1024
    assert storage["small_objects"] == 20
    assert storage["month_dollars"] > 10 * storage["month_dollars_standard"]
    text = buckets.run("bucket", "backup", "s3://src", "s3://dst", "--dryrun").out
    assert "128 KiB each" in text and "--ia-above 128K" in text
    buckets.backup("--ia-above", "128K")
    assert {buckets.stat("dst", str(number))["storage_class"] for number in range(20)} == {"STANDARD"}


def test_limits_end_a_run_that_the_next_one_goes_on_with(buckets):
    put_some(buckets, 7)
    assert buckets.backup("--max-objects", "3", status=75)["copied"] == 3
    assert buckets.backup("--objects-count", "3", status=75)["copied"] == 3
    assert buckets.backup()["copied"] == 1
    buckets.compare()


def test_prefixes_and_filters(buckets):
    put_some(buckets)
    buckets.put("src", "other", b"other")
    buckets.backup("--prefix", "dir/", "--exclude", "*3")
    assert buckets.copies() == ["dir/0", "dir/1", "dir/2", "dir/4"]
    buckets.backup(source="s3://src/dir/", destination="s3://dst/sub/")
    assert [key for key in buckets.copies() if key.startswith("sub/")] == [f"sub/{n}" for n in range(5)]
    buckets.compare(source="s3://src/dir/", destination="s3://dst/sub/")


def test_one_side_inside_the_other_is_refused(buckets):
    failed = buckets.run("bucket", "backup", "s3://src", "s3://src/backup/", status=2)
    assert "inside the other" in failed.err


def test_a_journal_in_a_directory(buckets):
    put_some(buckets)
    journal = buckets.directory / "journal"
    buckets.backup("--journal", journal)
    assert [path.name for path in journal.iterdir()] == ["base"]
    assert buckets.keys("dst") == [f"dir/{n}" for n in range(5)]
    assert buckets.backup("--journal", journal)["copied"] == 0
    # Another pair of buckets is not what it is about.
    buckets.make_bucket("third", "eu-central-1")
    failed = buckets.run("bucket", "backup", "s3://src", "s3://third", "--journal", journal, status=2)
    assert "another source or destination" in failed.err


def test_a_damaged_journal_is_found_out_again(buckets):
    put_some(buckets)
    journal = buckets.directory / "journal"
    buckets.backup("--journal", journal)
    data = bytearray((journal / "base").read_bytes())
    data[len(data) // 2] ^= 1
    (journal / "base").write_bytes(data)
    finished = buckets.run("--output", "json", "bucket", "backup", "s3://src", "s3://dst", "--journal", journal)
    assert "journal is damaged" in finished.err
    assert (finished.lines()[-1]["copied"], finished.lines()[-1]["current"]) == (0, 5)
    again = buckets.run("--output", "json", "bucket", "backup", "s3://src", "s3://dst", "--journal", journal)
    assert "damaged" not in again.err


def test_another_store_is_streamed_from(buckets, tmp_path_factory):
    other = Buckets(tmp_path_factory.mktemp("other"))
    content = bytes(range(256)) * (20 * MiB // 256)
    other.put("src", "large", content, metadata={"a": "b"}, tags={"t": "u"})
    other.put("src", "small", b"small", headers={"content-type": "text/x"})
    summary = buckets.backup("--source-local", other.store)
    assert summary["copied"] == 2
    assert buckets.get("dst", "large") == content
    assert buckets.tags("dst", "large") == {"t": "u"}
    assert buckets.stat("dst", "small")["content_type"] == "text/x"
    verdicts, _ = buckets.compare("--level", "full", "--source-local", other.store)
    assert set(verdicts) == {"large", "small"}
    assert buckets.backup("--source-local", other.store)["copied"] == 0


def test_the_variables_of_s3_backup_restore(buckets, monkeypatch):
    put_some(buckets)
    monkeypatch.setattr(buckets, "environment", lambda: Bale.environment(buckets) | {
        "S3_SRC_BUCKET": "src", "S3_DEST_BUCKET": "dst", "TAG_DELETED": "true"})
    buckets.run("bucket", "backup")
    assert len(buckets.copies()) == 5
    buckets.remove("src", "dir/1")
    buckets.run("bucket", "backup")
    assert buckets.tags("dst", "dir/1")["Deleted"] == "True"


def test_text_output(buckets):
    put_some(buckets, 2)
    out = buckets.run("bucket", "compare", "s3://src", "s3://dst", status=1).out
    assert "missing  dir/0  (listing)" in out and "2 differences: 0 same" in out
    out = buckets.run("bucket", "backup", "s3://src", "s3://dst").out
    assert "copy: s3://src/dir/0 to s3://dst/dir/0 (missing)" in out and "2 objects copied" in out
    out = buckets.run("bucket", "compare", "s3://src", "s3://dst").out
    assert "0 differences: 2 same" in out and "LIST" in out


def test_usage(buckets):
    for arguments in (["compare", "s3://src", "s3://dst", "--level", "best"],
                      ["compare", "s3://src", "s3://dst", "--tags"],
                      ["backup", "s3://src", "s3://dst", "--ia-above", "many"],
                      ["backup", "s3://src", "s3://dst", "--max-deleted", "101%"],
                      ["backup", "s3://src", "s3://dst", "--from-report", "x", "--tag-deleted"],
                      ["backup", "s3://src"]):
        buckets.run("bucket", *arguments, status=2)
