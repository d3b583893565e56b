"""bale doctor: what it says of a store, what it leaves there (nothing), and the uploads that a crash left."""
import json
import re
import signal
import subprocess
import time

import pytest
from conftest import SOURCE_REGION, Finished, MiB, binary

PROBES = ["access", "objects", "keys", "ranges", "attributes", "unicode-metadata", "tags", "storage-classes",
          "multipart", "multipart-etag", "multipart-attributes", "multipart-tags", "part-copy", "abort",
          "conditional-put", "claims", "conditional-read", "copy", "copy-tags", "conditional-copy",
          "conditional-complete", "checksums", "listing", "versioning", "clock", "speed", "notifications", "cleanup",
          "leftovers"]


UNREPEATED = b"(?i)\r\nIf-(None-)?Match:"  # servers.road: a condition does not hold when it is asked a second time


@pytest.fixture
def bucket(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    return "bucket"


def everything(bale, bucket):
    """Keys of all versions and delete markers."""
    return [line["key"] for line in bale.json("s3", "ls", "--recursive", "--versions", f"s3://{bucket}")]


def leave_upload(bale, bucket, key):
    """Kills an upload in its middle: its parts stay."""
    path = bale.directory / "large"
    with path.open("wb") as file:
        file.truncate(512 * MiB)
    process = bale.start("s3", "cp", path, f"s3://{bucket}/{key}")
    for _ in range(600):
        seen = bale.json("doctor", "--no-probes", "--prefix", key, f"s3://{bucket}")[-2]["seen"]
        if " under way with " in seen and " with 0 B" not in seen:
            break
        assert process.poll() is None, "the upload was too fast to be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_embedded_store_is_sound(bale, bucket):
    bale.put(bucket, "own", b"the user's")
    *findings, summary = bale.json("doctor", f"s3://{bucket}")
    assert [finding["probe"] for finding in findings] == PROBES
    assert {finding["verdict"] for finding in findings} == {"ok"}, findings
    assert summary["type"] == "summary" and summary["sound"] and summary["ok"] == len(PROBES)
    assert everything(bale, bucket) == ["own"]


def test_the_table_lines_up(bale, bucket):
    lines = bale.run("doctor", f"s3://{bucket}").out.splitlines()
    assert lines[0].split() == ["PROBE", "VERDICT", "SEEN"]
    columns = [lines[0].index(word) for word in ("VERDICT", "SEEN")]
    rows = lines[1:1 + len(PROBES)]
    assert [row.split()[0] for row in rows] == PROBES
    for row in rows:
        assert all(row[column - 1] == " " and row[column] != " " for column in columns), row
    assert lines[-1] == f"{len(PROBES)} ok, 0 limited, 0 failed, 0 skipped: everything works here"


def test_dryrun_writes_nothing(bale, bucket):
    *findings, summary = bale.json("doctor", "--dryrun", f"s3://{bucket}")
    assert [finding["probe"] for finding in findings] == [probe for probe in PROBES if probe != "cleanup"]
    tried = {finding["probe"] for finding in findings if finding["verdict"] == "ok"}
    assert tried == {"access", "notifications", "leftovers"}
    assert all(finding["seen"].startswith("would be tried: ") for finding in findings if finding["probe"] not in tried)
    assert summary["dryrun"] and everything(bale, bucket) == []


@pytest.mark.parametrize("arguments, status, words", [
    (("s3://missing-bucket",), 3, "no such bucket"),
    (("bucket",), 2, "s3://"),
    (("s3://bucket", "--abort-older-than", "soon"), 2, "'soon' is not a duration (--abort-older-than)"),
], ids=["missing", "no-uri", "no-age"])
def test_what_cannot_be_examined(bale, bucket, arguments, status, words):
    finished = bale.run("doctor", *arguments, status=status)
    assert words in finished.err and "hint: " in finished.err


def test_interrupted_it_cleans_up(bale, bucket):
    bale.run("s3", "mb", "s3://versions", "--versioning")
    process = bale.start("--output", "json", "doctor", "s3://versions")
    seen = b""
    while b'"multipart"' not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b'"leftovers"' not in seen + out
    assert everything(bale, "versions") == []
    assert "no multipart uploads" in bale.json("doctor", "--no-probes", "s3://versions")[-2]["seen"]


def test_a_killed_doctor_is_found_by_the_next(bale, bucket):
    process = bale.start("--output", "json", "doctor", f"s3://{bucket}")
    seen = b""
    while b'"multipart"' not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    leftovers = bale.json("doctor", f"s3://{bucket}")[-2]
    assert leftovers["verdict"] == "limited" and "earlier `bale doctor`" in leftovers["seen"]
    uri = re.search(r"'(s3://bucket/\.bale-doctor-[0-9a-f]{8}/)'", leftovers["hint"]).group(1)
    bale.run("s3", "rm", "--recursive", "--all-versions", uri)
    assert everything(bale, bucket) == []


def test_uploads_that_a_crash_left(bale, bucket):
    leave_upload(bale, bucket, "in/upload")
    doctor = ("doctor", "--no-probes", f"s3://{bucket}")
    finding = bale.json(*doctor)[-2]
    assert finding["seen"].startswith("1 multipart upload under way with "), finding

    assert bale.json(*doctor, "--abort-older-than", "1h")[-1]["aborted"] == 0
    assert bale.json(*doctor, "--abort-older-than", "0s", "--prefix", "elsewhere/")[-1]["aborted"] == 0
    *_, would, summary = bale.json(*doctor, "--abort-older-than", "0s", "--dryrun")
    assert (would["type"], would["key"], summary["aborted"]) == ("dryrun", "in/upload", 1)
    text = bale.run(*doctor, "--abort-older-than", "0s", "--dryrun").out
    assert "(dryrun) abort: s3://bucket/in/upload (begun " in text and "1 upload would be aborted" in text

    *_, gone, summary = bale.json(*doctor, "--abort-older-than", "0s", "--prefix", "in/")
    assert (gone["type"], gone["key"], summary["aborted"]) == ("aborted", "in/upload", 1)
    assert summary["aborted_bytes"] == gone["bytes"] > 0
    assert bale.json(*doctor)[-2]["seen"] == "no multipart uploads are under way"
    held = sum(path.stat().st_size for path in bale.store.rglob("*") if path.is_file())
    assert held < 64 * MiB, "the parts are still there"


def test_a_reader_that_leaves_early(bale, bucket):
    process = bale.start("--output", "json", "doctor", f"s3://{bucket}")
    json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert everything(bale, bucket) == []


# Servers that are not Amazon's

def examine(server, road, directory, bucket, *arguments, status=0):
    """Findings by probe, and the summary, of the program on a server; `status` is what it must end with (None: any)."""
    environment = {name: value for name, value in server.environment().items() if not name.startswith("BALE_")}
    done = subprocess.run([binary(), "--endpoint-url", road.endpoint(server), "--output", "json", "doctor",
                           f"s3://{bucket}", *arguments], env={**environment, "HOME": str(directory)},
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    finished = Finished(done.args, done.returncode, done.stdout, done.stderr)
    assert status is None or finished.status == status, finished
    lines = finished.lines()
    return {line["probe"]: line for line in lines if line["type"] == "finding"}, lines[-1]


def left_in(s3, bucket):
    versions = s3.list_object_versions(Bucket=bucket)
    return [entry["Key"] for kind in ("Versions", "DeleteMarkers") for entry in versions.get(kind, [])] + [
        upload["Key"] for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


# What Ceph RGW 16 does otherwise; docs/testing.md says the same of it.
RGW_LIMITS = {
    "multipart-etag": ("limited", "the ETag is made as S3 makes it; the size of the parts is not told"),
    "multipart-tags": ("limited", "tags of an object in parts are lost"),
    "copy-tags": ("limited", "a copy is made without the tags that it was to have"),
    "conditional-copy": ("limited", "x-amz-copy-source-if-match is ignored by the server; If-None-Match of CopyObject "
                                    "is ignored by the server"),
    "conditional-complete": ("limited", "If-None-Match of CompleteMultipartUpload is ignored by the server"),
}
RGW_LIMITS_WITH_VERSIONS = {
    "conditional-put": ("limited", "If-None-Match of PutObject is ignored by the server; If-Match of PutObject refuses "
                                   "the object's own ETag"),
    "claims": ("limited", "of 8 writers at the same time 8 were let through"),
}


@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versions"])
def test_ceph_rgw(rgw, road, tmp_path, versions):
    s3 = rgw.client("s3")
    bucket = rgw.bucket(s3)
    if versions:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    # Of several writers at the same time, one whose answer was lost cannot tell that another came first.
    unsure = ["claims"] if versions and road.has_faults else []
    findings, summary = examine(rgw, road, tmp_path, bucket, status=None if unsure else 0)
    said = {probe: (line["verdict"], line["seen"]) for probe, line in findings.items() if line["verdict"] != "ok"}
    expected = RGW_LIMITS | (RGW_LIMITS_WITH_VERSIONS if versions else {})
    for probe in unsure:
        assert said.pop(probe)[1] == expected.pop(probe)[1]
    assert said == expected
    assert all(findings[probe]["consequence"] for probe in said)
    assert list(findings) == PROBES and (unsure or summary["sound"])
    assert left_in(s3, bucket) == []


@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versions"])
def test_ceph_rgw_as_boto3_sees_it(rgw, versions):
    """That a condition is ignored is the server's doing, not Bale's."""
    s3 = rgw.client("s3")
    bucket = rgw.bucket(s3)
    if versions:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.meta.events.register("before-sign.s3.PutObject",
                            lambda request, **_: request.headers.add_header("If-None-Match", "*"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    if versions:
        s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    else:
        with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == (b"second" if versions else b"first")


def test_leftovers_on_ceph_rgw(rgw, road, tmp_path):
    s3 = rgw.client("s3")
    bucket = rgw.bucket(s3)
    for key in ("in/a", "in/b", "out/c"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 1000)
    findings, _ = examine(rgw, road, tmp_path, bucket, "--no-probes")
    assert findings["leftovers"]["seen"].startswith("3 multipart uploads under way with 2.9 KiB, the oldest for ")
    _, summary = examine(rgw, road, tmp_path, bucket, "--no-probes", "--prefix", "in/", "--abort-older-than", "0s")
    assert (summary["aborted"], summary["aborted_bytes"]) == (2, 2000)
    assert left_in(s3, bucket) == ["out/c"]


def test_a_server_that_refuses(rgw, road, tmp_path):
    bucket = rgw.bucket()
    environment = {**rgw.environment(), "HOME": str(tmp_path), "AWS_SECRET_ACCESS_KEY": "wrong"}
    done = subprocess.run([binary(), "--endpoint-url", road.endpoint(rgw), "doctor", f"s3://{bucket}"], env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4 and done.stdout == "" and done.stderr.startswith("bale: "), done
