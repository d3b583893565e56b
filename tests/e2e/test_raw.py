"""`bale raw` on the embedded store: local copy, upload, record, verify, purge, restore."""
import hashlib
import json
import os
import pathlib

import pytest

from conftest import Bale, MiB, wait_until

PART = 5 * MiB  # the least that S3 takes


def part_etag(data, part):
    """The ETag that S3 gives to bytes that are uploaded in parts of one size."""
    if len(data) < part:
        return hashlib.md5(data).hexdigest()
    digests = [hashlib.md5(data[at:at + part]).digest() for at in range(0, len(data), part)]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


class Raw(Bale):
    """The program with a configuration of raw files, an instrument and a pool."""

    def __init__(self, directory):
        super().__init__(directory)
        self.instrument, self.pool = self.directory / "instrument", self.directory / "pool"
        self.instrument.mkdir()
        self.yaml = self.directory / "raw.yaml"
        self.configure()

    def configure(self, backup_type="s3", top="", s3=""):
        self.yaml.write_text(f"""
backup:
  backup_type: {backup_type}
  pool_path: {self.pool}
{top}
  s3:
    region: eu-central-1
    bucket_prefix: lab
    auto_create_buckets: true
    chunk_size_mb: 5
    retry_delay_seconds: 0
{s3}
""")

    def environment(self):
        return super().environment() | {"BALE_RAW_CONFIG": str(self.yaml)}

    def raw(self, *arguments, status=0):
        return self.run("--output", "json", "raw", *arguments, status=status)

    def record(self, raw_id):
        return self.raw("status", raw_id).lines()[0]

    def write(self, name, data):
        path = self.instrument / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def object(self, uri):
        out = self.directory / "object"
        self.run("s3", "cp", uri, out)
        return out.read_bytes()


@pytest.fixture
def raw(tmp_path):
    return Raw(tmp_path)


def pool_file(raw, name, instrument="i1"):
    found = list(raw.pool.glob(f"{instrument}/*/{name}"))
    assert len(found) == 1, found
    return found[0]


def test_a_fresh_backup_is_copied_uploaded_and_recorded(raw):
    data = os.urandom(2 * PART + 1)
    path = raw.write("x.raw", data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    line = raw.raw("backup", "x", "--path", path, "--project", "PRJ_001", "--instrument", "i1").lines()[0]
    assert (line["result"], line["backup_status"], line["bucket"]) == ("uploaded", "DONE", "lab-prj-001")
    assert line["s3_backup_key"] == "x.raw" and line["s3_etag"] == part_etag(data, PART)
    copy = pool_file(raw, "x.raw")
    assert copy.read_bytes() == data and copy.stat().st_mtime == 1_700_000_000
    assert raw.object("s3://lab-prj-001/x.raw") == data
    record = raw.record("x")
    assert record["backup_status"] == "DONE" and record["file_list"][0]["md5"] == hashlib.md5(data).hexdigest()
    assert not list(raw.pool.rglob("*.partial"))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 1])
def test_etags_are_those_of_the_aws_command_line_at_each_size(raw, size):
    data = os.urandom(size)
    raw.raw("backup", "x", "--path", raw.write("x.raw", data), "--project", "P", "--instrument", "i1")
    assert raw.record("x")["s3_etag"] == part_etag(data, PART)


def test_a_second_run_sends_nothing(raw):
    path = raw.write("x.raw", os.urandom(PART + 1))
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    again = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()[0]
    assert (again["result"], again["sent_bytes"], again["adopted"]) == ("adopted", 0, 1)


@pytest.mark.parametrize("part_mib", [5, 8, 100])
def test_an_object_of_another_part_size_is_adopted(raw, part_mib):
    data = os.urandom(12 * MiB)
    path = raw.write("x.raw", data)
    raw.run("s3", "mb", "s3://lab-p", "--region", "eu-central-1")
    raw.run("s3", "cp", "--part-size", f"{part_mib}MB", path, "s3://lab-p/x.raw")
    line = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()[0]
    assert (line["result"], line["sent_bytes"], line["backup_status"]) == ("adopted", 0, "DONE")
    assert raw.record("x")["s3_etag"] == part_etag(data, part_mib * MiB)
    assert raw.raw("verify", "x").lines()[-1]["proven"] == 1


def test_an_object_of_other_bytes_is_replaced(raw):
    path = raw.write("x.raw", b"right" * 1000)
    raw.run("s3", "mb", "s3://lab-p", "--region", "eu-central-1")
    (raw.directory / "wrong").write_bytes(b"wrong" * 1000)
    raw.run("s3", "cp", raw.directory / "wrong", "s3://lab-p/x.raw")
    line = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()[0]
    assert line["result"] == "uploaded" and raw.object("s3://lab-p/x.raw") == b"right" * 1000


def test_an_object_of_another_id_is_not_replaced(raw):
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"first"), "--project", "P", "--instrument", "i1")
    raw.write("b/x.raw", b"second")
    done = raw.raw("backup", "x.raw", "--path", raw.instrument / "b/x.raw", "--project", "P", "--instrument", "i2",
                   status=1)
    assert "another raw file, x" in done.err and raw.object("s3://lab-p/x.raw") == b"first"


def test_backup_type_local_ends_after_the_copy(raw):
    raw.configure(backup_type="local")
    path = raw.write("x.raw", b"data")
    line = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()[0]
    assert (line["result"], line["backup_status"], line["step"]) == ("copied", "DONE", "done")
    assert pool_file(raw, "x.raw").read_bytes() == b"data"
    assert raw.raw("upload", "x", status=2)


def test_with_backup_type_s3_the_copy_leaves_the_status_to_the_upload(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", "--copy-only")
    assert raw.record("x")["backup_status"] is None
    assert raw.raw("upload", "x").lines()[0]["backup_status"] == "DONE"
    assert raw.record("x")["backup_status"] == "DONE"


def test_a_missing_bucket_fails_and_names_bucket_and_region(raw):
    raw.yaml.write_text(raw.yaml.read_text().replace("auto_create_buckets: true", "auto_create_buckets: false"))
    path = raw.write("x.raw", b"data")
    done = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", status=1)
    assert "lab-p" in done.err and "eu-central-1" in done.err and "auto_create_buckets" in done.err
    record = raw.record("x")
    assert record["backup_status"] == "FAILED" and record["last_error"]["code"] == "NoSuchBucket"
    assert pool_file(raw, "x.raw").read_bytes() == b"data"  # what is local stays


def test_two_projects_of_one_bucket_name_never_share_it(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "PRJ_001", "--instrument", "i1")
    done = raw.raw("backup", "y", "--path", path, "--project", "prj.001", "--instrument", "i1", status=1)
    assert "PRJ_001" in done.err
    assert raw.record("y")["last_error"]["code"] == "BucketOfOtherProject"


def test_a_source_that_is_gone_has_an_exit_status_of_its_own(raw):
    done = raw.raw("backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1", status=3)
    assert "gone" in done.err
    (raw.instrument / "x_CORRUPTED.raw").write_bytes(b"data")
    raw.raw("backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1", status=3)


def write_folder(raw, name="x.d"):
    for file, data in {"analysis.tdf": b"tdf" * 100, "analysis.tdf_bin": os.urandom(PART + 7),
                       "method/a.xml": b"<a/>", "zero": b""}.items():
        raw.write(f"{name}/{file}", data)
    (raw.instrument / name / "empty").mkdir()
    return raw.instrument / name


def tree(directory):
    return {str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
            for path in sorted(pathlib.Path(directory).rglob("*"))}


def test_a_folder_comes_back_with_its_empty_folders_and_empty_files(raw):
    folder = write_folder(raw)
    raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1")
    assert tree(pool_file(raw, "x.d")) == tree(folder)
    raw.raw("restore", "x", "--to", raw.directory / "back")
    assert tree(raw.directory / "back" / "x.d") == tree(folder)
    assert not list((raw.directory / "back").glob(".bale*"))
    again = raw.raw("restore", "x", "--to", raw.directory / "back").lines()[0]
    assert (again["restored"], again["same"]) == (0, 4)


@pytest.mark.parametrize("break_it, word", [
    (lambda folder: (folder / "analysis.tdf_bin").unlink(), "analysis.tdf_bin"),
    (lambda folder: os.mkfifo(folder / "pipe"), "pipe"),
    (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "link"),
])
def test_a_folder_that_is_not_whole_is_refused_before_the_first_byte(raw, break_it, word):
    folder = write_folder(raw)
    break_it(folder)
    done = raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1", status=2)
    assert word in done.err
    assert not list(raw.pool.rglob("*.tdf"))


def test_files_of_one_stem_are_a_set_by_exact_stem(raw):
    for name in ["x.wiff", "x.wiff2", "x.wiff.scan", "x_2.wiff", "x.1.wiff"]:
        raw.write(name, name.encode())
    raw.raw("backup", "x", "--path", raw.instrument / "x.wiff", "--project", "P", "--instrument", "i1")
    keys = [entry["key"] for entry in raw.record("x")["file_list"]]
    assert sorted(keys) == ["x/x.wiff", "x/x.wiff.scan", "x/x.wiff2"]


def test_verify_finds_a_damaged_copy_and_a_missing_object(raw):
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"data" * 100), "--project", "P", "--instrument", "i1")
    copy = pool_file(raw, "x.raw")
    copy.write_bytes(b"dbta" * 100)
    found = raw.raw("verify", "x", status=5).lines()
    assert {line["right"]["place"]: line["verdict"] for line in found if line["type"] == "evidence"} == {
        "s3://lab-p/x.raw": "same", str(copy): "differs"}
    copy.write_bytes(b"data" * 100)
    raw.run("s3", "rm", "s3://lab-p/x.raw")
    assert "missing" in [line.get("verdict") for line in raw.raw("verify", "x", status=1).lines()]


def test_purge_deletes_what_is_proven_and_keeps_a_set_in_doubt_as_a_whole(raw):
    folder = write_folder(raw)
    raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1")
    copy = pool_file(raw, "x.d")
    (copy / "zero").write_bytes(b"1")
    kept = raw.raw("verify", "x", "--purge-local", status=5).lines()
    assert [line["purged"] for line in kept if line["type"] == "purge"] == [False]
    assert (copy / "analysis.tdf_bin").exists()
    (copy / "zero").write_bytes(b"")
    dry = raw.run("--output", "json", "--dryrun", "raw", "verify", "x", "--purge-local").lines()
    assert copy.exists() and dry[-1]["purged"] == 1
    raw.raw("verify", "x", "--purge-local")
    assert not copy.exists() and folder.exists()
    assert raw.record("x")["purged"] is not None
    again = raw.raw("upload", "x").lines()[0]  # what is proven stays proven without the local copy
    assert (again["backup_status"], again["sent_bytes"], again["adopted"]) == ("DONE", 0, 4)


def test_purge_keeps_what_is_not_done(raw):
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"data"), "--project", "P", "--instrument", "i1", "--copy-only")
    kept = raw.raw("verify", "x", "--purge-local", status=1).lines()
    assert "DONE" in kept[0]["reasons"][0] and pool_file(raw, "x.raw").exists()


def test_a_copy_that_is_there_is_skipped_and_another_file_is_never_replaced(raw):
    path = raw.write("x.raw", b"data" * 10)
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", "--copy-only")
    before = pool_file(raw, "x.raw").stat().st_ino
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", "--copy-only")
    assert pool_file(raw, "x.raw").stat().st_ino == before
    pool_file(raw, "x.raw").write_bytes(b"other" * 8)
    done = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", "--copy-only", status=1)
    assert "LocalNameTaken" == raw.record("x")["last_error"]["code"], done
    assert pool_file(raw, "x.raw").read_bytes() == b"other" * 8


def test_dryrun_shows_files_and_keys_and_changes_nothing(raw):
    path = raw.write("x.raw", b"data")
    shown = raw.run("--output", "json", "--dryrun", "raw", "backup", "x", "--path", path, "--project", "P",
                    "--instrument", "i1").lines()
    assert shown[0]["object"] == "s3://lab-p/x.raw"
    assert not raw.pool.exists() and raw.raw("status").lines() == []


def test_status_filters_and_names_failures(raw):
    raw.raw("backup", "a", "--path", raw.write("a.raw", b"a"), "--project", "P", "--instrument", "i1")
    raw.raw("backup", "b", "--path", raw.instrument / "b.raw", "--project", "P", "--instrument", "i1", status=3)
    assert [line["id"] for line in raw.raw("status", "--status", "FAILED").lines()] == ["b"]
    assert [line["id"] for line in raw.raw("status", "--failed-since", "1h").lines()] == ["b"]
    assert raw.raw("status", "--project", "other").lines() == []
    text = raw.run("raw", "status").out
    assert "gone" in text and text.splitlines()[0].split()[:3] == ["ID", "STATUS", "STEP"]
    raw.raw("status", "unknown", status=3)


def test_a_list_reports_adopted_uploaded_and_missing(raw):
    raw.run("s3", "mb", "s3://lab-p", "--region", "eu-central-1")
    lines = []
    for number in range(6):
        name, data = f"f{number}.raw", os.urandom(1000)
        path = raw.pool / "i1" / "2025_01" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if number < 2:
            raw.run("s3", "cp", path, f"s3://lab-p/{name}")
        if number == 5:
            path.unlink()
        lines.append({"_id": f"f{number}", "path": str(path), "project_id": "P", "instrument_id": "i1",
                      "file_info": {name: [len(data), hashlib.md5(data).hexdigest()]}})
    (raw.directory / "list").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = raw.raw("backup", "--from", raw.directory / "list", status=3).lines()[-1]
    assert (summary["adopted"], summary["uploaded"], summary["missing"]) == (2, 3, 1)
    again = raw.raw("backup", "--from", raw.directory / "list", status=3).lines()[-1]
    assert again["adopted"] == 5


def test_settle_waits_until_the_acquisition_is_over(raw):
    path = raw.write("x.raw", b"a")
    process = raw.start("--output", "json", "raw", "backup", "x", "--path", path, "--project", "P", "--instrument",
                        "i1", "--settle", "3s")
    for number in range(8):
        with path.open("ab") as file:
            file.write(b"b")
        assert process.poll() is None
        wait_until(lambda: True)
        import time
        time.sleep(0.5)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[0])["bytes"] == 9


def test_bad_configurations_are_refused_with_line_and_column(raw):
    raw.yaml.write_text("backup:\n  backup_type: s4\n  s3:\n    regoin: x\n")
    done = raw.raw("backup", "x", "--path", "y", status=2)
    assert ":2:" in done.err and ":4:" in done.err and "region" in done.err


def test_dryruns_of_upload_and_abort_change_nothing(raw):
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"data"), "--project", "P", "--instrument", "i1", "--copy-only")
    before = raw.record("x")
    shown = raw.run("--output", "json", "--dryrun", "raw", "upload", "x").lines()
    assert shown[0]["object"] == "s3://lab-p/x.raw"
    raw.run("--dryrun", "raw", "abort", "x")
    assert raw.record("x") == before


def test_a_source_that_lost_a_file_leaves_the_record_as_it_was(raw):
    for name in ["x.wiff", "x.wiff.scan"]:
        raw.write(name, name.encode())
    backup = ["backup", "x", "--path", raw.instrument / "x.wiff", "--project", "P", "--instrument", "i1"]
    raw.raw(*backup)
    (raw.instrument / "x.wiff.scan").unlink()
    assert "x.wiff.scan" in raw.raw(*backup, status=1).err
    record = raw.record("x")
    assert record["backup_status"] == "DONE" and record["files"] == 2


def test_a_wrong_command_line_or_a_moved_source_leaves_what_is_done(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    raw.raw("backup", "x", "--path", path, "--project", "TYPO", "--instrument", "i1", status=2)
    path.unlink()
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", status=3)
    assert raw.record("x")["backup_status"] == "DONE"


def test_the_only_copy_is_not_purged_when_the_source_leads_to_it(raw):
    raw.configure(backup_type="local")
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    copy = pool_file(raw, "x.raw")
    path.unlink()
    path.symlink_to(copy)
    kept = raw.raw("verify", "x", "--purge-local", status=1).lines()
    reasons, = [line["reasons"] for line in kept if line["type"] == "purge"]
    assert "local copy itself" in reasons[0]
    assert copy.read_bytes() == b"data"


def test_the_longest_names_come_back(raw):
    folder = write_folder(raw)
    (folder / ("n" * 255)).write_bytes(b"long")
    raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1")
    raw.raw("restore", "x", "--to", raw.directory / "back")
    assert tree(raw.directory / "back" / "x.d") == tree(folder)


def test_purge_deletes_nothing_outside_of_the_pool(raw):
    folder = write_folder(raw)
    raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1")
    copy, victim = pool_file(raw, "x.d"), raw.directory / "victim"
    copy.rename(victim)
    copy.symlink_to(victim)
    kept = raw.raw("verify", "x", "--purge-local", status=1).lines()
    assert [line["purged"] for line in kept if line["type"] == "purge"] == [False]
    copy.unlink()
    victim.rename(copy)
    month = copy.parent
    month.rename(raw.directory / "outside")
    month.symlink_to(raw.directory / "outside")
    raw.raw("verify", "x", "--purge-local", status=1)
    assert tree(raw.directory / "outside" / "x.d") == tree(folder)


def test_two_ids_never_share_a_local_copy_or_an_object(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    for backup_type in ("s3", "local"):
        raw.configure(backup_type=backup_type)
        done = raw.raw("backup", "x.raw", "--path", path, "--project", "P", "--instrument", "i1", status=1)
        assert "belongs to another raw file, x" in done.err and str(raw.pool) in done.err
    record = raw.record("x.raw")
    assert record["last_error"]["code"] == "NameOfOtherRecord" and record["backup_status"] == "FAILED"
    raw.configure()
    raw.raw("verify", "x.raw", "--purge-local", status=1)
    assert pool_file(raw, "x.raw").read_bytes() == b"data"
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")  # its own names stay its own
    copy = pool_file(raw, "x.raw")  # another id for the copy itself
    assert "another raw file, x" in raw.raw("backup", "y", "--path", copy, "--project", "P", "--instrument", "i1",
                                            status=1).err


@pytest.mark.parametrize("raw_id", ["y", "x"])
def test_files_that_were_in_the_pool_already_are_purged_as_copies(raw, raw_id):
    folder = raw.pool / "i1" / "2025_01" / "x.d"
    write_folder(raw).rename(raw.directory / "x.d")
    folder.parent.mkdir(parents=True)
    (raw.directory / "x.d").rename(folder)
    raw.raw("backup", raw_id, "--path", folder, "--project", "P", "--instrument", "i1")
    (folder / "zero").write_bytes(b"1")  # in doubt, all stays
    raw.raw("verify", raw_id, "--purge-local", status=5)
    assert (folder / "analysis.tdf_bin").exists()
    (folder / "zero").write_bytes(b"")
    raw.raw("verify", raw_id, "--purge-local")
    assert not folder.exists() and folder.parent.exists()
    assert raw.record(raw_id)["purged"] is not None
    raw.raw("restore", raw_id, "--to", raw.directory / "back")
    assert (raw.directory / "back" / f"{raw_id}.d" / "empty").is_dir()


def test_a_pool_folder_that_is_a_link_is_refused(raw):
    folder = write_folder(raw)
    raw.raw("backup", "x", "--path", folder, "--project", "P", "--instrument", "i1", "--copy-only")
    copy, outside = pool_file(raw, "x.d"), raw.directory / "outside"
    month, = (raw.pool / "i1").iterdir()
    backup = ["backup", "x", "--path", folder, "--project", "P", "--instrument", "i1", "--copy-only"]
    for place in (copy, month, month.parent):
        place.rename(outside)
        place.symlink_to(outside)
        before = tree(outside)
        done = raw.raw(*backup, status=1)
        assert "symbolic link" in done.err and raw.record("x")["last_error"]["code"] == "LinkInPool"
        assert tree(outside) == before
        place.unlink()
        outside.rename(place)
    link = raw.directory / "link"  # the pool itself may be one: the user named it
    link.symlink_to(raw.pool)
    raw.yaml.write_text(raw.yaml.read_text().replace(f"pool_path: {raw.pool}", f"pool_path: {link}"))
    raw.raw(*backup)


def test_a_relative_pool_is_beside_the_configuration(raw):
    (raw.directory / "etc").mkdir()
    raw.yaml.write_text(raw.yaml.read_text().replace(f"pool_path: {raw.pool}", "pool_path: ../pool"))
    raw.yaml.rename(raw.directory / "etc" / "raw.yaml")
    raw.yaml = pathlib.Path("etc/raw.yaml")  # relative to the working directory
    path = raw.write("x.raw", b"data")
    line = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()[0]
    assert pathlib.Path(line["pool_path"]).is_relative_to(raw.pool) and pool_file(raw, "x.raw").read_bytes() == b"data"


def test_what_is_uploaded_keeps_its_keys(raw):
    folder = write_folder(raw)
    backup = ["backup", "x", "--path", folder, "--project", "P", "--instrument", "i1"]
    raw.raw(*backup)
    done = raw.raw(*backup, "--key-layout", "alphakraken", status=2)
    assert "by_id" in done.err and "--key-layout" in done.err
    assert raw.record("x")["backup_status"] == "DONE"
    raw.configure(top="  layout: alphakraken")
    again = raw.raw(*backup).lines()[0]
    assert (again["sent_bytes"], again["adopted"], again["s3_backup_key"]) == (0, 4, "x/")
    write_folder(raw, "y.d")
    new = raw.raw("backup", "y", "--path", raw.instrument / "y.d", "--project", "P", "--instrument", "i1").lines()[0]
    assert new["s3_backup_key"] == "y.d/"


@pytest.mark.parametrize("option", ["--settle", "--from", "--key-layout", "--path"])
def test_an_empty_value_is_a_wrong_command_line(raw, option):
    path = raw.write("x.raw", b"data")
    done = raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", option, "", status=2)
    assert option in done.err and raw.raw("status").lines() == []


def test_an_id_that_is_too_long_for_a_name_is_refused_before_anything_is_done(raw):
    path = raw.write("x.raw", b"data")
    longest = "n" * 251  # and ".raw": a name has at most 255 bytes
    raw.raw("backup", longest, "--path", path, "--project", "P", "--instrument", "i1")
    raw.raw("restore", longest, "--to", raw.directory / "back")
    assert (raw.directory / "back" / f"{longest}.raw").read_bytes() == b"data"
    done = raw.raw("backup", longest + "n", "--path", path, "--project", "P", "--instrument", "i1", status=2)
    assert "255 bytes" in done.err and "shorter" in done.err
    assert len(list(raw.pool.rglob("*.raw"))) == 1


def test_exit_zero_hides_failures_but_no_wrong_command_line(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", "--exit-zero")
    raw.raw("backup", "x", "--path", path, "--project", "TYPO", "--instrument", "i1", "--exit-zero", status=2)
    raw.raw("backup", "y", "--path", raw.instrument / "y.raw", "--project", "P", "--instrument", "i1", "--exit-zero")
    assert raw.record("y")["backup_status"] == "FAILED"
    raw.configure(backup_type="local")
    raw.raw("upload", "x", "--exit-zero", status=2)


def test_reasons_to_keep_a_copy_are_sentences(raw):
    raw.raw("backup", "x", "--path", raw.write("x.raw", b"data"), "--project", "P", "--instrument", "i1")
    pool_file(raw, "x.raw").write_bytes(b"dbta")
    kept = raw.raw("verify", "x", "--purge-local", status=5).lines()
    reasons, = [line["reasons"] for line in kept if line["type"] == "purge"]
    assert reasons == ["x.raw: the local file differs from its record (md5)"]


def test_a_pool_that_is_not_mounted_gets_no_copies(raw):
    path = raw.write("x.raw", b"data")
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    raw.pool.rename(raw.directory / "disk")
    backup = ["backup", "y", "--path", raw.write("y.raw", b"more"), "--project", "P", "--instrument", "i1"]
    for is_mount_point in (False, True):
        if is_mount_point:
            raw.pool.mkdir()
        done = raw.raw(*backup, status=75)
        assert "record of x" in done.err and "mount" in done.err
        assert raw.record("y")["last_error"]["code"] == "PoolMissing"
        assert not raw.pool.exists() or not list(raw.pool.iterdir())
    raw.raw("backup", "x", "--path", path, "--project", "P", "--instrument", "i1", status=75)
    assert raw.record("x")["backup_status"] == "DONE"
    raw.pool.rmdir()
    raw.raw(*backup, "--create-pool")
    assert pool_file(raw, "y.raw").read_bytes() == b"more"


def test_a_pool_without_a_directory_to_be_in_is_not_made(raw):
    raw.yaml.write_text(raw.yaml.read_text().replace(f"pool_path: {raw.pool}", f"pool_path: {raw.directory}/mnt/pool"))
    backup = ["backup", "x", "--path", raw.write("x.raw", b"data"), "--project", "P", "--instrument", "i1"]
    assert "--create-pool" in raw.raw(*backup, status=1).err
    assert not (raw.directory / "mnt").exists()
    raw.raw(*backup, "--create-pool")


def test_an_interrupted_restore_goes_on_where_it_was(raw):
    data = os.urandom(40 * MiB)
    raw.raw("backup", "x", "--path", raw.write("x.raw", data), "--project", "P", "--instrument", "i1")
    staged = raw.directory / "back" / ".bale-raw-x.partial"
    staged.mkdir(parents=True)
    (staged / "x.raw").write_bytes(data[:16 * MiB])
    etag = raw.record("x")["s3_etag"]
    (staged / ".bale-ranges-0").write_text(f"{etag} {len(data)}\n0 {8 * MiB}\n{8 * MiB} {8 * MiB}\n16777216 83")
    line = raw.raw("restore", "x", "--to", raw.directory / "back").lines()[0]
    assert (line["received_bytes"], line["kept_bytes"]) == (24 * MiB, 16 * MiB)
    assert (raw.directory / "back" / "x.raw").read_bytes() == data
    assert not staged.exists()
