"""OpenStack Swift's S3 API, a server that refuses what it does not have (501) where others ignore it."""
import hashlib
import os
import subprocess

import pytest
from conftest import ACCOUNT, BACKUP_REGION, STACK, Finished, MiB, binary, tree_of, write_tree
from fault_proxy import FaultProxy
from fault_rules import Rule
from test_servers import refused


def run(swift, directory, *arguments, status=0, environment=None):
    """Runs the program on the server; `status` is what it must end with (None: anything)."""
    clean = {name: value for name, value in swift.environment().items() if not name.startswith("BALE_")}
    endpoint = [] if "--endpoint-url" in arguments else ["--endpoint-url", swift.endpoint]
    command = [binary(), *endpoint, *map(str, arguments)]
    done = subprocess.run(command, env={**clean, "HOME": str(directory), **(environment or {})}, cwd=directory,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120)
    finished = Finished([word.encode() for word in command], done.returncode, done.stdout, done.stderr)
    assert status is None or finished.status == status, repr(finished)
    return finished


def test_swift_checks_signatures(swift):
    assert refused(swift.client("s3", aws_secret_access_key="wrong").list_buckets) == (403, "SignatureDoesNotMatch")


def test_swift_refuses_what_it_does_not_have(swift):
    """What docs/testing.md says of this server. Each request has its own connection: the server does not read the body
    of a request that it refuses, and takes it for the beginning of the next one."""
    bucket = swift.bucket()
    tagged = refused(swift.client("s3").put_object, Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    assert tagged == (501, "NotImplemented")
    archived = refused(swift.client("s3").put_object, Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    assert archived[0] == 400
    s3 = swift.client("s3")
    assert refused(s3.get_bucket_notification_configuration, Bucket=bucket) == (501, "NotImplemented")


def test_objects_there_and_back(swift, tmp_path):
    bucket = swift.bucket()
    files = {"small": b"content", "empty": b"", "deep/er/with space+%2F": b"x" * 1000, "parts": os.urandom(17 * MiB)}
    write_tree(tmp_path / "in", files)
    run(swift, tmp_path, "s3", "cp", "--recursive", "in", f"s3://{bucket}/p/", "--metadata", "owner=me")
    listed = run(swift, tmp_path, "--output", "json", "s3", "ls", "--recursive", f"s3://{bucket}").lines()
    assert {line["key"]: line["size"] for line in listed} == {f"p/{name}": len(data) for name, data in files.items()}
    stat = run(swift, tmp_path, "--output", "json", "s3", "stat", f"s3://{bucket}/p/small").lines()[0]
    assert stat["etag"] == hashlib.md5(b"content").hexdigest() and stat["metadata"] == {"owner": "me"}
    run(swift, tmp_path, "s3", "cp", "--recursive", f"s3://{bucket}/p/", "out")
    assert tree_of(tmp_path / "out") == files
    run(swift, tmp_path, "s3", "rm", f"s3://{bucket}/p/small")
    run(swift, tmp_path, "s3", "rm", "--recursive", f"s3://{bucket}/p/")
    run(swift, tmp_path, "s3", "ls", f"s3://{bucket}/p/", status=3)


# What Swift does otherwise; docs/testing.md says the same of it.
SWIFT_FINDINGS = {
    "tags": "failed", "storage-classes": "limited", "multipart-etag": "limited", "multipart-tags": "skipped",
    "copy-tags": "skipped", "notifications": "limited"}
CONDITIONS = ["conditional-put", "claims", "conditional-copy"]  # refused, or made good for


@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versions"])
def test_doctor(swift, tmp_path, versions):
    s3, bucket = swift.client("s3"), swift.bucket()
    if versions:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    finished = run(swift, tmp_path, "--output", "json", "doctor", f"s3://{bucket}", status=1)
    findings = {line["probe"]: line for line in finished.lines() if line["type"] == "finding"}
    said = {name: line["verdict"] for name, line in findings.items() if line["verdict"] != "ok"}
    for name in CONDITIONS:
        assert "ignored by the server" not in findings[name]["seen"]
        said.pop(name, None)
    cleanup = said.pop("cleanup", "ok")
    if versions:  # a key of 1,024 bytes is too long there
        said.pop("keys", None)
    assert said == SWIFT_FINDINGS
    assert "(NotImplemented) (NotImplemented)" not in finished.out
    listed = s3.list_object_versions(Bucket=bucket)
    left = listed.get("Versions", []) + listed.get("DeleteMarkers", [])
    assert (cleanup == "ok") == (left == [])


def test_metadata_that_are_not_ascii(swift, tmp_path):
    bucket = swift.bucket()
    (tmp_path / "file").write_bytes(b"x")
    for value in ("Grüße 日本", "=?UTF-8?B?eA==?="):
        run(swift, tmp_path, "s3", "cp", "file", f"s3://{bucket}/k", "--metadata", f'{{"name": "{value}"}}')
        stat = run(swift, tmp_path, "--output", "json", "s3", "stat", f"s3://{bucket}/k").lines()[0]
        assert stat["metadata"] == {"name": value}


def test_the_size_of_parts(swift, tmp_path):
    bucket = swift.bucket()
    (tmp_path / "large").write_bytes(os.urandom(17 * MiB))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\ns3 =\n  multipart_chunksize = 12MB\n")
    configured = {"AWS_CONFIG_FILE": str(tmp_path / ".aws/config")}
    for options, more, parts in (([], {}, 3), (["--part-size", "6MB"], {}, 3), (["--part-size", "9MiB"], configured, 2),
                                 ([], configured, 2)):
        run(swift, tmp_path, "s3", "cp", "large", f"s3://{bucket}/k", *options, environment=more)
        stat = run(swift, tmp_path, "--output", "json", "s3", "stat", f"s3://{bucket}/k").lines()[0]
        assert stat["etag"].endswith(f"-{parts}"), (options, more)
    wrong = run(swift, tmp_path, "s3", "cp", "large", f"s3://{bucket}/k", "--part-size", "4MB", status=2)
    assert "'4MB' is no size of parts" in wrong.err and "--part-size" in wrong.err


def test_a_part_that_is_refused(swift, tmp_path):
    """As a server does that takes fewer parts: its own words are in the error, and what to do."""
    bucket = swift.bucket()
    (tmp_path / "large").write_bytes(os.urandom(17 * MiB))
    with FaultProxy(swift.endpoint, Rule("error", match="^PUT .*partNumber=2", status=400, code="InvalidArgument",
                                         times=None)) as proxy:
        done = run(swift, tmp_path, "--endpoint-url", proxy.endpoint, "s3", "cp", "large", f"s3://{bucket}/k", status=2)
    assert "the server refuses part 2 of 3: " in done.err and "InvalidArgument" in done.err, done
    assert "--part-size 64MB" in done.err and "multipart_chunksize" in done.err


def test_an_archive_in_a_bucket(swift, tmp_path):
    bucket = swift.bucket()
    write_tree(tmp_path / "in", {"a": b"one", "d/b": b"two" * 1000})
    run(swift, tmp_path, "archive", "create", f"s3://{bucket}/x.tar.zst", "in")
    run(swift, tmp_path, "archive", "extract", f"s3://{bucket}/x.tar.zst", "--to", "out")
    assert {b"one", b"two" * 1000} == set(tree_of(tmp_path / "out").values())


def test_every_version_is_removed(swift, tmp_path):
    """Swift's listing says that it goes on after a version that is not there; a page of this server has 100."""
    s3, bucket = swift.client("s3"), swift.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(110):
        s3.put_object(Bucket=bucket, Key=f"k{number % 22}", Body=b"")
    s3.delete_object(Bucket=bucket, Key="k7")
    listed = run(swift, tmp_path, "--output", "json", "s3", "ls", "--versions", f"s3://{bucket}").lines()
    assert len({(line["key"], line["version_id"]) for line in listed}) == len(listed) == 111
    run(swift, tmp_path, "--connections", "4", "s3", "rm", "--recursive", "--all-versions", f"s3://{bucket}")
    versions = s3.list_object_versions(Bucket=bucket)
    assert versions.get("Versions", []) == [] and versions.get("DeleteMarkers", []) == []


def test_restore_into_a_bucket(swift, bale, tmp_path):
    """Conditions of PutObject are refused there: what they would keep is looked at before each write."""
    files = {"a": b"content", "d/b": os.urandom(100_000), "large": os.urandom(17 * MiB)}
    bale.mixed()
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in", metadata={"owner": "me"})
    bale.until_idle()
    vault, catalog = bale.real("backup"), f"{STACK}-{ACCOUNT}-{BACKUP_REGION}-catalog"
    s3, destination = swift.client("s3"), swift.bucket()
    for name in (vault, catalog):
        bale.run("s3", "cp", "--recursive", f"s3://{name}/", bale.directory / name)
        run(swift, tmp_path, "s3", "mb", f"s3://{name}", status=None)
        run(swift, tmp_path, "s3", "cp", "--recursive", bale.directory / name, f"s3://{name}/")
    restore = ("restore", "*", "--to", f"s3://{destination}", "--catalog", f"s3://{catalog}")
    run(swift, tmp_path, *restore)
    for name, content in files.items():
        assert s3.get_object(Bucket=destination, Key=name)["Body"].read() == content, name
    s3.put_object(Bucket=destination, Key="a", Body=b"theirs")
    kept = run(swift, tmp_path, *restore, status=1)
    assert "a" in kept.err and s3.get_object(Bucket=destination, Key="a")["Body"].read() == b"theirs"
    run(swift, tmp_path, *restore, "--overwrite")
    assert s3.get_object(Bucket=destination, Key="a")["Body"].read() == b"content"
