"""Manifests and catalog rows choose among the buckets of the configuration. What names another bucket is refused by
name, and nothing there is read, written or deleted until a person allows it."""
import hashlib
import json
import subprocess

import pytest

from conftest import BACKUP_REGION, COPY_REGION, SOURCE_REGION, tree_of
from test_mount import Mount, why_not

CATALOG = f"e2e-000000000000-{BACKUP_REGION}-catalog"
INBOUND = f"e2e-000000000000-{COPY_REGION}-inbound"
FILES = {"a.txt": b"of the backup", "b.txt": b"too"}


@pytest.fixture
def backed_up(bale):
    """Two objects in a backup; an archive with other content at the same place in a bucket that no rule has."""
    bale.mixed({"max_receive_count": 1})  # what is refused goes to the dead-letter queue at once
    for key, content in FILES.items():
        bale.put("source", key, content)
    bale.until_idle()
    bale.make_bucket("stranger", BACKUP_REGION)
    for key in bale.keys("backup"):
        bale.run("s3", "cp", f"s3://backup/{key}", f"s3://stranger/{key}")
    return bale


def rewrite(bale, **members):
    """Gives every row of the catalog these members, as somebody who can write there may."""
    for key in bale.keys(CATALOG):
        rows = [json.loads(line) for line in bale.get(CATALOG, key).splitlines()]
        for row in rows:
            for name in ("row", "rows", "row_xxh64"):
                row.pop(name, None)
            row.update(members)
        bale.put(CATALOG, key, "".join(json.dumps(row) + "\n" for row in rows).encode())


def test_a_row_that_names_another_bucket_is_refused_until_a_person_allows_it(backed_up):
    bale, out = backed_up, backed_up.directory / "out"
    rewrite(bale, target_buckets=["stranger"], archive_bucket="stranger")
    refused = bale.restore(out, "*", status=4)
    assert "stranger" in refused.err and "--allow-bucket stranger" in refused.err and tree_of(out) == {}
    dryrun = bale.restore(out, "*", "--dryrun", status=4)
    assert "--allow-bucket stranger" in dryrun.err
    bale.restore(out, "*", "--allow-bucket", "other", "--allow-bucket", "s3://stranger")
    assert tree_of(out) == FILES


def test_of_several_buckets_the_configured_one_is_read(backed_up):
    bale, out = backed_up, backed_up.directory / "out"
    bale.run("s3", "rm", "--recursive", "s3://stranger")
    rewrite(bale, target_buckets=["stranger", "backup"], archive_bucket="stranger")
    bale.restore(out, "*")
    assert tree_of(out) == FILES


def test_a_row_that_names_an_archive_of_another_source_is_refused(backed_up):
    bale, out = backed_up, backed_up.directory / "out"
    key, = bale.keys("backup")
    bale.run("s3", "cp", f"s3://backup/{key}", "s3://backup/another/x.tar.zst")
    rewrite(bale, archive_key="another/x.tar.zst")
    assert "another/x.tar.zst" in bale.restore(out, "*", status=4).err and tree_of(out) == {}


def test_a_catalog_that_a_person_names_may_lead_anywhere_or_where_the_person_says(backed_up):
    bale, out = backed_up, backed_up.directory / "out"
    rewrite(bale, target_buckets=["stranger"], archive_bucket="stranger")
    where = ["restore", "*", "--catalog", f"s3://{CATALOG}", "--region", BACKUP_REGION, "--to", out]
    assert "stranger" in bale.run(*where, "--allow-bucket", "backup", status=4).err and tree_of(out) == {}
    bale.run(*where)
    assert tree_of(out) == FILES
    # With a configuration too, that one counts.
    assert "stranger" in bale.run(*where[:-1], bale.directory / "out2", "--config", bale.config, status=4).err


def test_a_damaged_catalog_file_leads_nowhere_else(backed_up):
    bale, out = backed_up, backed_up.directory / "out"
    rewrite(bale, target_buckets=["stranger"], archive_bucket="stranger")
    key, = bale.keys(CATALOG)
    bale.put(CATALOG, key, bale.get(CATALOG, key) + b"no row\n")
    bale.run("s3", "rm", "--recursive", "s3://stranger")
    bale.restore(out, "*")
    assert tree_of(out) == FILES, "the list of the archive in the configured bucket was read"


def test_check_names_the_bucket_and_reads_nothing_in_it(backed_up):
    bale = backed_up
    bale.run("check", "--config", bale.config)
    rewrite(bale, target_buckets=["backup", "stranger"])
    bale.run("s3", "rm", "--recursive", "s3://stranger")
    findings = bale.json("check", "--config", bale.config, status=5)
    refused, = [line for line in findings if line.get("finding") == "refused-bucket"]
    assert "stranger" in refused["what"] + refused["where"] and "--allow-bucket" in refused["hint"]
    assert not [line for line in findings if line.get("finding") == "missing-copy"], "it was not looked for there"
    findings = bale.json("check", "--config", bale.config, "--allow-bucket", "stranger", status=5)
    assert [line["finding"] for line in findings if line["type"] == "finding"] == ["missing-copy"]


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can")
def test_mount_shows_what_may_not_be_read_and_names_the_bucket(backed_up):
    bale = backed_up
    rewrite(bale, target_buckets=["stranger"], archive_bucket="stranger")
    with Mount(bale) as mount:
        assert sorted(path.name for path in mount.path.iterdir()) == sorted(FILES)
        with pytest.raises(OSError):
            (mount.path / "a.txt").read_bytes()
    assert "2 objects cannot be read" in mount.err and "--allow-bucket stranger" in mount.err
    with Mount(bale, "--allow-bucket", "stranger") as mount:
        assert tree_of(mount.path) == FILES


def forge(bale, targets, source="source", key="source/backup_1_forged.tar.zst", bucket=INBOUND, region=COPY_REGION):
    """An archive in a staging bucket whose manifest names these targets."""
    directory = bale.directory / "forged"
    (directory / "objects").mkdir(parents=True, exist_ok=True)
    content = b"forged"
    (directory / "objects/planted").write_bytes(content)
    entry = {"source_bucket": source, "source_region": SOURCE_REGION, "source_prefix": "", "object_name": "planted",
             "relative_key": "planted", "creation_time": "2026-01-01 00:00:00", "size": len(content),
             "etag": hashlib.md5(content).hexdigest(), "storage_class": "STANDARD", "tags": []}
    (directory / "manifest.json").write_text(json.dumps({"targets": targets, "objects": [entry]}))
    subprocess.run(["tar", "-C", directory, "-cf", directory / "a.tar", "objects/planted", "manifest.json"], check=True)
    subprocess.run(["zstd", "-qf", directory / "a.tar", "-o", directory / "a.tar.zst"], check=True)
    bale.run("s3", "cp", "--exact-key", directory / "a.tar.zst", f"s3://{bucket}/{key}", "--region", region)
    return key


@pytest.mark.parametrize("bucket,backup", [
    ("stranger", False), ("stranger", True), ("source", False), ("backup", False), ("copy", True),
    (f"e2e-000000000000-{COPY_REGION}-catalog", False), (CATALOG, True), (INBOUND, True),
    (f"e2e-000000000000-{SOURCE_REGION}-outbound", False)])
def test_a_manifest_chooses_among_the_destinations_of_its_source(backed_up, bucket, backup):
    bale = backed_up
    before = bale.keys(bucket)
    key = forge(bale, [{"region": COPY_REGION, "bucket": bucket, "backup": backup}])
    staged = [key] if bucket == INBOUND else []
    failed = bale.until_idle(status=1)
    assert bucket in failed.err and key in failed.err
    assert bale.keys(bucket) == sorted(before + staged)
    assert bale.keys(INBOUND) == [key], "it stays"


def test_a_removed_destination_is_refused_by_name_and_redriven(backed_up):
    bale = backed_up
    key = forge(bale, [{"region": COPY_REGION, "bucket": "copy"}])
    bale.make_bucket("copy2", COPY_REGION)
    bale.configure([bale.rule(copy={"bucket": "copy2"})])
    failed = bale.until_idle(status=1)
    assert "copy" in failed.err and "redrive" in failed.err and bale.keys("copy2") == []
    assert bale.keys(INBOUND) == [key]
    bale.configure([bale.rule()])
    bale.replicate("redrive")
    bale.until_idle()
    assert bale.get("copy", "planted") == b"forged" and bale.keys(INBOUND) == []


def test_an_archive_of_another_source_is_refused(backed_up):
    bale = backed_up
    key = forge(bale, [{"region": COPY_REGION, "bucket": "copy"}], source="stranger", key="stranger/x.tar.zst")
    assert "stranger" in bale.until_idle(status=1).err
    assert bale.keys(INBOUND) == [key] and "planted" not in bale.keys("copy")


def test_relay_writes_into_configured_regions_alone(backed_up):
    bale = backed_up
    outbound = f"e2e-000000000000-{SOURCE_REGION}-outbound"
    key = forge(bale, [{"region": "sa-east-1", "bucket": "stranger"}], bucket=outbound, region=SOURCE_REGION)
    assert "sa-east-1" in bale.until_idle(status=1).err
    assert bale.keys(outbound) == [key]
