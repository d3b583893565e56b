"""Restore: deletions, names that cannot be files, what has no hash, and keys that are not UTF-8."""
import base64
import io
import json
import os
import pathlib
import subprocess
import tarfile
import time

import pytest
from conftest import ACCOUNT, BACKUP_REGION, COPY_REGION, SOURCE_REGION, STACK, MiB, tree_of, write_tree

CATALOG = f"e2e-000000000000-{BACKUP_REGION}-catalog"
ODD_KEYS = ["a", "a/b", "a/b/c", "n" * 300, "long/" + "m" * 300 + "/x", "slash/", "slash", "double//x", "../up", "%",
            "%/y", "tab\tbed", "new\nline/x"]
PLAIN_KEYS = ["a/b/c", "slash", "%/y", "tab\tbed", "new\nline/x"]


def summary_of(finished):
    return next(line for line in finished.lines() if line["type"] == "summary")


def unchecked(row):
    """A row as of a catalog without checks, so that a test may change it."""
    return {name: value for name, value in row.items() if name not in ("row", "rows", "row_xxh64")}


def test_a_recorded_deletion_is_told_and_gone_back_behind(bale):
    bale.mixed(source={"track_deletes": True})
    bale.put("source", "note", b"first")
    bale.put("source", "other", b"other")
    bale.until_idle()
    bale.remove("source", "note")
    bale.until_idle()
    out = bale.directory / "restored"
    finished = bale.run("--output", "json", "restore", "--config", bale.config, "--to", out, "note", status=3)
    assert summary_of(finished)["failed"] == 1 and summary_of(finished)["deleted"] == 0
    error = json.loads(finished.err)
    deletion = next(record for record in bale.search("note", "--deleted") if record["event"] == "delete")
    time = error["message"].rsplit(" ", 1)[-1]
    assert "deletion was recorded" in error["message"] and f"--until {time}" in error["hint"], finished
    assert time.endswith(f"{deletion['last_modified'] % 1000:03}Z")
    bale.restore(out, "note", "--until", time)
    assert tree_of(out) == {"note": b"first"}


def test_deletions_that_a_pattern_leaves_out_are_counted(bale):
    bale.mixed(source={"track_deletes": True})
    bale.put("source", "note", b"first")
    bale.put("source", "other", b"other")
    bale.until_idle()
    bale.remove("source", "note")
    bale.until_idle()
    finished = bale.run("--output", "json", "restore", "--config", bale.config, "--to", bale.directory / "out", "*")
    assert summary_of(finished)["deleted"] == 1 and summary_of(finished)["restored"] == 1


def test_names_that_cannot_be_files(bale):
    """They are restored under an escaped name, twice the same, and the dry run says the same names."""
    bale.mixed()
    for key in ODD_KEYS:
        bale.put("source", key, b"content of " + key.encode())
    bale.until_idle()
    out = bale.directory / "restored"

    def restore(*options):
        finished = bale.run("--output", "json", "restore", "--config", bale.config, "--to", out, "*", *options)
        return finished.lines()[:-1], summary_of(finished)

    planned, _ = restore("--dryrun")
    assert not out.exists()
    restored, summary = restore()
    assert summary["restored"] == len(ODD_KEYS) and summary["failed"] == 0
    places = {line["source"].removeprefix("s3://source/"): line["destination"] for line in restored}
    assert places == {line["source"].removeprefix("s3://source/"): line["destination"] for line in planned}
    assert set(places) == set(ODD_KEYS) and len(set(places.values())) == len(ODD_KEYS)
    for key, place in places.items():
        assert os.path.realpath(place).startswith(str(out))
        assert pathlib.Path(place).read_bytes() == b"content of " + key.encode()
        assert (place == f"{out}/{key}") == (key in PLAIN_KEYS), place
        assert not place.startswith(str(out / "%") + "/") or key == "%/y", "escaped names stay in their directory"
    downloaded = bale.directory / "downloaded"
    finished = bale.run("s3", "cp", "--recursive", "s3://source", downloaded)
    assert tree_of(downloaded) == tree_of(out), "the names are those of a restore"
    for key in ("a", "a/b", "../up"):
        assert f"s3://source/{key} gets the escaped name" in finished.err, finished
    again, summary = restore()
    assert summary["same"] == len(ODD_KEYS) and summary["restored"] == 0
    assert all(line["type"] == "same" for line in again)


def test_a_name_that_is_taken_by_a_directory_or_needs_one_that_is_a_file(bale):
    """The same keys, restored one after the other: each alone can be a file."""
    bale.mixed()
    bale.put("source", "a", b"the file")
    bale.put("source", "a/b", b"below it")
    bale.put("source", "z", b"another")
    bale.until_idle()
    out = bale.directory / "restored"
    bale.restore(out, "a")
    for options in (["--dryrun"], [], ["--overwrite"]):
        finished = bale.restore(out, "a/b", "z", *options, status=1)
        assert "a/b" in finished.err and "hint" in finished.err, finished
    assert tree_of(out) == {"a": b"the file", "z": b"another"}
    other = bale.directory / "other"
    bale.restore(other, "a/b")
    for options in (["--dryrun"], [], ["--overwrite"]):
        finished = bale.restore(other, "a", "z", *options, status=1)
        assert "hint" in finished.err, finished
    assert tree_of(other) == {"a/b": b"below it", "z": b"another"}


def test_restore_does_not_follow_links_out_of_its_directory(bale):
    bale.mixed()
    bale.put("source", "link/file", b"content")
    bale.until_idle()
    out, elsewhere = bale.directory / "restored", bale.directory / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    finished = bale.restore(out, "link/file", status=None)
    assert finished.status in (1, 4) and "link" in finished.err, finished
    assert tree_of(elsewhere) == {}


def reference_archive(files):
    """As the replaced program writes them: a tar with its manifest, without a SHA-256."""
    manifest = {"targets": [], "objects": [
        {"source_bucket": "source", "source_region": "us-east-1", "source_prefix": "", "object_name": name,
         "relative_key": name, "creation_time": "2025-01-02 03:04:05", "etag": "e", "size": len(content),
         "storage_class": "STANDARD", "tags": []} for name, content in files.items()]}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in [*((f"objects/{name}", content) for name, content in files.items()),
                              ("manifest.json", json.dumps(manifest).encode())]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return subprocess.run(["zstd", "-c"], input=stream.getvalue(), stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("command", ["verify", "extract"])
def test_what_has_no_hash_is_not_called_verified(bale, command):
    archive = bale.directory / "reference.tar.zst"
    archive.write_bytes(reference_archive({"one": b"1", "two": b"22"}))
    options = ["--to", bale.directory / "out"] if command == "extract" else []
    text = bale.run("archive", command, archive, *options).out
    assert "2 not verifiable" in text
    line = bale.json("archive", command, archive, *options)[-1]
    assert line["not_verifiable"] == 2 and line["objects"] == (2 if command == "extract" else 0)
    if command == "verify":
        assert "verified 0 objects" in text


def test_restore_says_what_it_could_not_verify(bale):
    """Rows without a SHA-256, as of an archive that had none."""
    bale.mixed()
    bale.put("source", "one", b"1")
    bale.until_idle()
    key, = bale.keys(CATALOG)
    row = unchecked(json.loads(bale.get(CATALOG, key)))
    del row["sha256"]
    bale.put(CATALOG, key, json.dumps(row).encode() + b"\n")
    out = bale.directory / "out"
    finished = bale.run("--output", "json", "restore", "--config", bale.config, "--to", out, "one")
    assert summary_of(finished)["not_verifiable"] == 1
    assert "1 not verifiable" in bale.restore(bale.directory / "again", "one").out
    assert tree_of(out) == {"one": b"1"}


def test_the_archive_says_whose_bytes_they_are(bale):
    """A row that names another object than the one at its place gives nothing, though hash and size are right."""
    bale.mixed()
    for key in ("a/one", "a/two", "a/one/below", "ü/" + "n" * 200):
        bale.put("source", key, b"content of " + key.encode())
    bale.until_idle()
    catalog, = bale.keys(CATALOG)
    rows = [unchecked(json.loads(line)) for line in bale.get(CATALOG, catalog).splitlines()]
    bale.put(CATALOG, catalog, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    bale.restore(bale.directory / "whole", "*")
    assert len(tree_of(bale.directory / "whole")) == 4
    for row in rows:
        row["object_path"] += "-evil"
    bale.put(CATALOG, catalog, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    finished = bale.restore(bale.directory / "out", "*", status=5)
    assert finished.err.count("another object") == 4, finished
    assert tree_of(bale.directory / "out") == {}


def test_keys_that_are_not_utf8(bale):
    """The store refuses them, as S3 does; an archive of files and a catalog that have one lose no byte of it."""
    bale.mixed()
    name = b"caf\xe9/\xff.txt"
    (bale.directory / "in").mkdir()
    path = os.path.join(os.fsencode(bale.directory / "in"), name)
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(b"content")
    assert "not UTF-8" in bale.run("s3", "cp", "--exact-key", path, b"s3://source/" + name, status=2).err
    archive = bale.directory / "backup_1_00000000.tar.zst"
    subprocess.run(bale.command("archive", "create", archive, b"caf\xe9"), cwd=bale.directory / "in", check=True)
    bale.put_file("backup", "source/backup_1_00000000.tar.zst", archive)
    listed, = bale.json("archive", "list", archive)
    row = {"backup_file": archive.name, "backup_timestamp": 1, "source_bucket": "source", "source_prefix": "",
           "object_path": "caf\\xe9/\\xff.txt", "object_path_base64": base64.b64encode(name).decode(),
           "object_size": listed["bytes"], "sha256": listed["sha256"], "target_buckets": ["backup"], "event": "put",
           "archive_bucket": "backup", "archive_key": "source/" + archive.name}
    row |= {member: listed[member] for member in ("frame_offset", "frame_length", "frame_skip")}
    bale.put(CATALOG, f"source/year=1970/month=01/day=01/{archive.name}.jsonl", json.dumps(row).encode() + b"\n")
    record, = bale.search("caf*")
    assert base64.b64decode(record["key_base64"]) == name
    out = bale.directory / "restored"
    line = bale.json("restore", "--config", bale.config, "--to", out, name)[0]
    assert base64.b64decode(line["key_base64"]) == name
    assert tree_of(out) == {os.fsdecode(name): b"content"}


def test_folder_markers_become_directories_and_zeros_holes(bale):
    bale.mixed()
    bale.put("source", "folder/", b"")
    bale.put("source", "filled/", b"")
    bale.put("source", "filled/x", b"x")
    sparse = bytes(2 * MiB) + b"data" + bytes(2 * MiB)
    bale.put("source", "sparse", sparse)
    bale.until_idle()
    out = bale.directory / "restored"
    finished = bale.restore(out, "*")
    assert tree_of(out) == {"filled/x": b"x", "sparse": sparse}
    assert (out / "folder").is_dir() and "escaped" not in finished.err
    assert (out / "sparse").stat().st_blocks * 512 < MiB
    again = bale.run("--output", "json", "restore", "--config", bale.config, "--to", out, "*")
    assert summary_of(again)["same"] == 4 and summary_of(again)["restored"] == 0


def test_neighbours_are_read_together_and_the_dry_run_says_so(bale):
    bale.mixed()
    files = {f"dir/{number:03}": b"content %d" % number * 50 for number in range(200)}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    archives = len(bale.keys("backup"))
    out = bale.directory / "out"
    options = ["--output", "json", "restore", "--config", bale.config, "--to", out, "*"]
    planned, done = summary_of(bale.run(*options, "--dryrun")), summary_of(bale.run(*options))
    assert tree_of(out) == files
    for name in ("restored", "requests", "bytes_read", "archives", "bytes"):
        assert planned[name] == done[name], name
    assert done["requests"] == done["archives"] == archives
    again = summary_of(bale.run(*options))
    assert again["same"] == 200 and again["requests"] == 0


def test_damage_names_its_objects_and_keeps_no_others_back(bale):
    bale.mixed(source={"frame_size": 65536})
    for number in range(40):
        bale.put("source", f"{number:02}", b"%02d" % number + os.urandom(9000))
    bale.until_idle()
    archive = bale.keys("backup")[0]
    records = [record for record in bale.search("*") if record["archive_key"] == archive]
    touched = records[len(records) // 2]
    content = bytearray(bale.get("backup", archive))
    content[touched["frame_offset"] + touched["frame_length"] - 1] ^= 1
    bale.put("backup", archive, bytes(content))
    finished = bale.restore(bale.directory / "out", "*", status=5)
    frame = {record["object_path"] for record in records if record["frame_offset"] == touched["frame_offset"]}
    assert set(tree_of(bale.directory / "out")) == {f"{number:02}" for number in range(40)} - frame
    for key in frame:
        assert f"s3://source/{key}" in finished.err


def test_a_killed_restore_goes_on(bale, seeded):
    """What has its name is whole, at any moment; the next run restores the rest."""
    bale.mixed()
    files = {f"dir/{number:03}": os.urandom(20000) for number in range(300)}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    out = bale.directory / "out"
    for _ in range(6):
        process = bale.start("restore", "--config", bale.config, "--to", out, "*")
        time.sleep(seeded.uniform(0.02, 0.3))
        process.kill()
        process.communicate()
        named = {name: content for name, content in tree_of(out).items() if name in files}
        assert all(content == files[name] for name, content in named.items())
    summary = summary_of(bale.run("--output", "json", "restore", "--config", bale.config, "--to", out, "*"))
    assert summary["restored"] + summary["same"] == 300 and summary["failed"] == 0
    assert {name: content for name, content in tree_of(out).items() if name in files} == files


def test_a_copy_in_another_region_is_read(bale):
    """Two regions have a backup and a catalog each: what is lost or damaged in one is read in the other."""
    for bucket, region in [("source", SOURCE_REGION), ("backup", BACKUP_REGION), ("second", COPY_REGION)]:
        bale.make_bucket(bucket, region)
    bale.configure([{"source": {"region": SOURCE_REGION, "bucket": "source"}, "destinations": [
        {"region": BACKUP_REGION, "bucket": "backup", "backup": True},
        {"region": COPY_REGION, "bucket": "second", "backup": True}]}])
    bale.replicate("init")
    bale.put("source", "k", b"content")
    bale.until_idle()
    assert len(bale.search()) == 1, "it is one object"
    for number, bucket in enumerate(["backup", "second"]):
        archive, = bale.keys(bucket)
        whole = bale.get(bucket, archive)
        bale.put(bucket, archive, whole[:20] + b"XXXX" + whole[24:])
        bale.restore(bale.directory / f"out{number}", "k")
        assert (bale.directory / f"out{number}/k").read_bytes() == b"content"
        bale.put(bucket, archive, whole)
    catalog = f"{STACK}-{ACCOUNT}-{BACKUP_REGION}-catalog"
    for key in bale.keys(catalog):
        bale.remove(catalog, key)
    bale.run("s3", "rb", f"s3://{catalog}")
    finished = bale.restore(bale.directory / "out", "k", status=5)
    assert catalog in finished.err and (bale.directory / "out/k").read_bytes() == b"content"
    where = ["--config", bale.config, "--index", bale.directory / "index"]
    for command, said in [(["search"], "s3://source/k "), (["sql", "SELECT count(*) FROM catalog"], "1\n"),
                          (["stats"], "source"), (["sync"], "1 row")]:
        finished = bale.run("catalog", *command, *where, status=5)
        assert catalog in finished.err and said in finished.out, finished
    other = f"{STACK}-{ACCOUNT}-{COPY_REGION}-catalog"
    for key in bale.keys(other):
        bale.remove(other, key)
    bale.run("s3", "rb", f"s3://{other}")
    for command in (["sync"], ["search", "--no-index"]):
        finished = bale.run("catalog", *command, *where, status=3)
        assert "bale: there is no such bucket" in finished.err, finished


def test_a_bucket_gets_no_tags_and_no_metadata_where_its_server_refuses_them(bale):
    bale.mixed()
    bale.put("source", "k", b"content", metadata={"m": "1"}, tags={"t": "1"})
    bale.until_idle()
    for number, (options, metadata, tags) in enumerate([([], {"m": "1"}, {"t": "1"}), (["--no-tags"], {"m": "1"}, {}),
                                                        (["--no-metadata", "--no-tags"], {}, {})]):
        bale.restore(f"s3://copy/{number}", "k", *options)
        stored = bale.stat("copy", f"{number}/k")
        assert (stored.get("metadata") or {}) == metadata and dict(stored.get("tags") or {}) == tags, stored
