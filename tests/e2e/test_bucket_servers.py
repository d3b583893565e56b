"""`bale bucket` against S3 servers: a scripted one for what no other shows, Ceph RGW and moto, with boto3 as the judge.
"""
import json
import pathlib
import random
import signal
import subprocess
import threading

import pytest

from conftest import Finished, MiB, binary, bytes_of, wait_until
from scripted_s3 import ScriptedS3, scripted_s3  # noqa: F401  (fixture)
from test_bucket import AWKWARD

GiB = 1 << 30
FOREVER = None


class BucketOn:
    """The program between two buckets of a server."""

    def __init__(self, server, directory, source="src", destination="dst"):
        self.server, self.directory = server, pathlib.Path(directory)
        self.source, self.destination = source, destination
        self.s3 = server.client("s3")

    def environment(self):
        variables = {name: value for name, value in self.server.environment().items() if not name.startswith("BALE_")}
        return variables | {"AWS_ENDPOINT_URL_S3": self.server.endpoint, "HOME": str(self.directory)}

    def start(self, command, *arguments, source=None, destination=None):
        sides = [f"s3://{source or self.source}", f"s3://{destination or self.destination}"]
        return subprocess.Popen([binary(), "--output", "json", "bucket", command, *sides, *map(str, arguments)],
                                cwd=self.directory, env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, command, *arguments, status=0, timeout=300, **sides):
        process = self.start(command, *arguments, **sides)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"no end: {Finished([b'bale'], 'killed', out, err)!r}") from None
        finished = Finished([bytes_of(str(word)) for word in process.args], process.returncode, out, err)
        assert status is None or finished.status == status, repr(finished)
        return finished

    def backup(self, *arguments, **options):
        return self.run("backup", *arguments, **options).lines()[-1]

    def compare(self, *arguments, **options):
        lines = self.run("compare", *arguments, **options).lines()
        return {line["key"]: (line["verdict"], line["by"]) for line in lines if line["type"] == "evidence"}, lines[-1]

    def put(self, key, body=b"content", bucket=None, **options):
        self.s3.put_object(Bucket=bucket or self.source, Key=key, Body=body, **options)

    def get(self, key, bucket=None):
        return self.s3.get_object(Bucket=bucket or self.destination, Key=key)["Body"].read()

    def keys(self, bucket=None):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket or self.destination)
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key for key in found if not key.startswith(".bale/")]

    def tags(self, key, bucket=None):
        answer = self.s3.get_object_tagging(Bucket=bucket or self.destination, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


@pytest.fixture
def on(scripted_s3, tmp_path):  # noqa: F811
    scripted_s3.bucket("src")
    scripted_s3.bucket("dst")
    return BucketOn(scripted_s3, tmp_path)


def put_some(on, count=10):
    for number in range(count):
        on.put(f"k{number:04}", b"content %d" % number)


# K1: the listing fails

def test_K1_a_destination_that_cannot_be_listed_is_not_empty(on):
    put_some(on)
    on.server.rules([{"action": "respond", "status": 403, "code": "AccessDenied", "operation": "^ListObjects",
                      "path": "^/dst", "times": FOREVER}])
    failed = on.run("backup", "--tag-deleted", status=4)
    assert "AccessDenied" in failed.err
    assert on.server.asked("CopyObject") == [] and on.server.asked("PutObjectTagging") == []


def test_K1_a_source_that_fails_on_page_three(tmp_path):
    with ScriptedS3(page=10) as server:
        server.bucket("src"), server.bucket("dst")
        on = BucketOn(server, tmp_path)
        put_some(on, 50)
        on.put("zzz-only-there", bucket="dst")
        on.put("k0045-only-there", bucket="dst")
        server.rules([{"action": "respond", "status": 403, "code": "AccessDenied", "operation": "^ListObjects",
                       "path": "^/src", "after": 2, "times": FOREVER}])
        failed = on.run("backup", "--tag-deleted", "--listers", "1", status=4)
        assert "AccessDenied" in failed.err
        assert server.asked("PutObjectTagging") == []
        copied = [key for key in on.keys() if not key.endswith("there")]
        assert set(copied) <= {f"k{number:04}" for number in range(20)}
        # What was copied is known, and the next run goes on.
        server.rules([])
        assert on.backup("--tag-deleted")["copied"] == 50 - len(copied)
        assert on.tags("zzz-only-there")["Deleted"] == "True"


# K2: 200 with an error in it

@pytest.mark.parametrize("rule", [
    {"action": "fail_answer", "code": "InternalError"}, {"action": "respond", "status": 200, "body": ""},
    {"action": "spaces", "seconds": 1}, {"action": "lose_answer"},
    {"action": "respond", "status": 200, "body": "<Error><Code>SlowDown</Code></Error>"}])
def test_K2_a_copy_is_done_when_an_etag_was_read(on, rule):
    put_some(on, 3)
    on.server.rules([{"operation": "^CopyObject$", "times": 2, **rule}])
    summary = on.backup()
    assert (summary["copied"], summary["failed"]) == (3, 0)
    # Of a lost answer a HEAD shows that the copy was made.
    assert summary["retries"] == (0 if rule["action"] in ("spaces", "lose_answer") else 2)
    for number in range(3):
        assert on.get(f"k{number:04}") == b"content %d" % number
    on.server.rules([])
    on.compare()


def test_K2_a_copy_that_always_fails_is_named(on):
    put_some(on, 3)
    on.server.rules([{"action": "fail_answer", "code": "InternalError", "operation": "^CopyObject$",
                      "path": "k0001", "times": FOREVER}])
    finished = on.run("backup", status=1)
    assert (finished.lines()[-1]["copied"], finished.lines()[-1]["failed"]) == (2, 1)
    assert "k0001" in finished.err and "InternalError" in finished.err


def large_object(on, key="large", **attributes):
    """An object of 5 GiB and one byte; nobody sends its bytes."""
    on.put("piece", bytes(128 * MiB), bucket="dst")
    upload = on.s3.create_multipart_upload(Bucket="src", Key=key, **attributes)["UploadId"]
    parts = []
    for number in range(1, 42):
        options = {} if number < 41 else {"CopySourceRange": "bytes=0-0"}
        answer = on.s3.upload_part_copy(Bucket="src", Key=key, UploadId=upload, PartNumber=number,
                                        CopySource={"Bucket": "dst", "Key": "piece"}, **options)
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    on.s3.complete_multipart_upload(Bucket="src", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    on.s3.delete_object(Bucket="dst", Key="piece")


def test_K2_and_K4_an_object_above_five_gib(on):
    tagging = "&".join(f"t{number}=v" for number in range(10))
    large_object(on, Metadata={"a": "b"}, Tagging=tagging, ContentType="text/x", CacheControl="no-store")
    on.server.rules([{"action": "fail_answer", "code": "InternalError", "operation": "^UploadPartCopy$", "times": 2},
                     {"action": "fail_answer", "code": "InternalError", "operation": "^CompleteMultipartUpload$"}])
    summary = on.backup(timeout=600)
    assert (summary["copied"], summary["failed"]) == (1, 0)
    copy = on.s3.head_object(Bucket="dst", Key="large")
    assert copy["ContentLength"] == 5 * GiB + 1
    assert (copy["Metadata"], copy["ContentType"], copy["CacheControl"]) == ({"a": "b"}, "text/x", "no-store")
    assert copy["StorageClass"] == "STANDARD_IA"
    assert len(on.tags("large")) == 10
    on.server.rules([])
    assert on.backup()["copied"] == 0
    assert on.server.state("dst")["uploads"] == []


# K5: no right to read tags

def test_K5_a_lack_of_rights_is_told_before_the_first_copy(on):
    for number in range(4):
        on.put(f"k{number}", Tagging="a=b")
    on.server.rules([{"deny": ["s3:GetObjectTagging"]}])
    failed = on.run("backup", status=4)
    assert "--no-tags" in failed.err
    assert on.server.asked("CopyObject") == []
    summary = on.backup("--no-tags")
    assert (summary["copied"], summary["tags_not_read"]) == (4, 4)
    on.server.rules([])
    assert on.tags("k0") == {}


# K7: one key among many

def test_K7_failures_are_named_and_a_report_of_them_is_copied_later(on):
    put_some(on, 200)
    on.server.rules([{"deny": ["s3:GetObject"], "path": "^/src/k000[123]$"},
                     {"name": "gone", "action": "other_writer", "remove": True, "operation": "^HeadObject$",
                      "path": "^/src/k0050$"},
                     {"name": "changed", "action": "other_writer", "body": "another", "operation": "^HeadObject$",
                      "path": "^/src/k0060$", "when": "after"}])
    report = on.directory / "report.jsonl"
    finished = on.run("backup", "--report", report, status=1)
    summary = finished.lines()[-1]
    assert summary["failed"] == 3
    failures = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(line["key"] for line in failures) == ["k0001", "k0002", "k0003"]
    assert {line["kind"] for line in failures} == {"denied"}
    assert all(line["key"] in finished.err for line in failures)
    on.server.rules([])
    assert on.backup("--from-report", report)["copied"] == 3
    assert on.compare()[1]["same"] == 199


# K9: requests

def test_K9_no_request_per_common_key(on):
    put_some(on, 1500)
    on.backup()
    for number in range(0, 30, 10):
        on.put(f"k{number:04}", b"changed")
    on.server.forget()
    summary = on.backup("--listers", "1")
    assert summary["copied"] == 3
    operations = {name: entry["count"] for name, entry in on.server.requests()["operations"].items()}
    # Two pages a side, and two listings of the journal; a HEAD of both sides where MD5s differ, one for each copy.
    assert sum(count for name, count in operations.items() if name.startswith("ListObjects")) <= 2 + 2 + 2
    assert operations["CopyObject"] == 3
    assert operations.get("HeadObject", 0) <= 3 * 3 + 2
    on.server.forget()
    on.compare("--listers", "1")
    operations = {name: entry["count"] for name, entry in on.server.requests()["operations"].items()}
    assert "HeadObject" not in operations, operations


# K10: another writer of tags

def test_K10_tags_that_another_writer_sets_meanwhile_are_kept(on):
    on.put("stays")
    on.put("a", Tagging="mine=kept")
    on.backup()
    on.s3.delete_object(Bucket="src", Key="a")
    on.server.rules([{"name": "between", "action": "hold", "when": "after", "operation": "^GetObjectTagging$",
                      "path": "^/dst/a$"}])
    process = on.start("tag-deleted")
    wait_until(lambda: on.server.hits("between") == 1)
    on.s3.put_object_tagging(Bucket="dst", Key="a", Tagging={"TagSet": [{"Key": "mine", "Value": "kept"},
                                                                       {"Key": "other", "Value": "writer"}]})
    on.server.release("between")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    tags = on.tags("a")
    assert tags.pop("Deleted") == "True" and tags.pop("DeletedAt")
    assert tags == {"mine": "kept", "other": "writer"}


# K11: versions

def test_K11_delete_markers_of_a_versioned_source(tmp_path):
    with ScriptedS3() as server:
        server.bucket("src", versioning="Enabled"), server.bucket("dst")
        on = BucketOn(server, tmp_path)
        on.put("stays"), on.put("a", b"1")
        on.backup("--tag-deleted")
        on.s3.delete_object(Bucket="src", Key="a")
        assert on.backup("--tag-deleted")["marked"] == 1
        marker = on.s3.list_object_versions(Bucket="src")["DeleteMarkers"][0]["VersionId"]
        on.s3.delete_object(Bucket="src", Key="a", VersionId=marker)  # the deletion is undone
        assert on.backup("--tag-deleted")["unmarked"] == 1
        assert on.tags("a") == {}


def test_all_versions_in_their_order(tmp_path):
    with ScriptedS3() as server:
        server.bucket("src", versioning="Enabled"), server.bucket("dst", versioning="Enabled")
        on = BucketOn(server, tmp_path)
        for body in (b"one", b"two", b"three"):
            on.put("a", body)
        on.s3.delete_object(Bucket="src", Key="a")
        on.put("a", b"four")
        on.put("b", b"b")
        summary = on.backup("--versions")
        assert (summary["copied"], summary["delete_markers"], summary["failed"]) == (5, 1, 0)

        def history(bucket):
            answer = on.s3.list_object_versions(Bucket=bucket)
            versions = [(v["Key"], v["LastModified"], v["ETag"]) for v in answer["Versions"]
                        if not v["Key"].startswith(".bale/")]
            markers = [marker for marker in answer.get("DeleteMarkers", []) if marker["Key"] == "a"]
            return [etag for key, _, etag in versions if key == "a"], len(markers)
        assert history("src") == history("dst")
        assert on.backup("--versions")["copied"] == 0
        on.put("a", b"five")
        assert on.backup("--versions")["copied"] == 1
        assert history("src") == history("dst")
        server.bucket("plain")
        assert "versions" in on.run("backup", "--versions", status=4, destination="plain").err


# K12: an ETag that is no MD5

def test_K12_a_kms_key_at_one_side(on):
    put_some(on, 3)
    on.backup("--sse-kms-key-id", "arn:aws:kms:eu-west-1:111122223333:key/1")
    assert on.s3.head_object(Bucket="dst", Key="k0000")["ServerSideEncryption"] == "aws:kms"
    verdicts, _ = on.compare()
    assert set(verdicts.values()) == {("same", "journal")}
    verdicts, _ = on.compare("--no-journal", "--level", "etag", status=1)
    assert {verdict for verdict, _ in verdicts.values()} == {"unknown"}
    assert on.backup("--sse-kms-key-id", "arn:aws:kms:eu-west-1:111122223333:key/1")["copied"] == 0


# K15: a moving source

def test_K15_a_source_that_is_written_before_its_copy(on):
    put_some(on, 2)
    on.server.rules([{"action": "other_writer", "body": "written meanwhile", "operation": "^HeadObject$",
                      "path": "^/src/k0001$", "when": "after"}])
    assert on.backup()["failed"] == 0
    assert on.get("k0001") == on.get("k0001", bucket="src")
    on.server.rules([])
    assert on.backup()["copied"] == 0, "the journal names the ETag that was copied"


def test_slow_downs_are_waited_for_and_counted(on):
    put_some(on, 20)
    on.server.rules([{"action": "respond", "status": 503, "code": "SlowDown", "operation": "^CopyObject$", "times": 4}])
    summary = on.backup()
    assert (summary["copied"], summary["failed"], summary["slow_downs"]) == (20, 0, 4)


def test_a_service_that_is_away_is_try_again(on):
    put_some(on, 1)
    on.server.rules([{"action": "respond", "status": 503, "code": "ServiceUnavailable", "operation": "^ListObjects",
                      "times": FOREVER}])
    assert "ServiceUnavailable" in on.run("backup", status=75).err


def test_ctrl_c_ends_with_a_summary_and_the_next_run_goes_on(on):
    put_some(on, 300)
    on.server.rules([{"name": "held", "action": "hold", "when": "before", "operation": "^CopyObject$", "after": 50,
                      "times": FOREVER}])
    process = on.start("backup")
    wait_until(lambda: on.server.hits("held") > 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    on.server.release("held")
    on.server.rules([])
    assert process.returncode == 130, err
    summary = json.loads(out.splitlines()[-1])
    assert summary["type"] == "summary" and summary["copied"] > 0
    on.server.forget()
    again = on.backup()
    assert again["failed"] == 0
    assert again["copied"] + again["current"] == 300
    assert again["copied"] <= 300 - summary["copied"]
    on.compare()


def test_a_manifest_takes_the_place_of_the_listing(on):
    import gzip
    put_some(on, 30)
    on.put("a b+c", b"awkward")
    lines = []
    for page in on.s3.get_paginator("list_objects_v2").paginate(Bucket="src"):
        for item in page["Contents"]:
            key = item["Key"].replace("+", "%2B").replace(" ", "+")
            etag = item["ETag"].strip('"')
            lines.append(f'"src","{key}","{item["Size"]}","{item["LastModified"].isoformat()}","{etag}","STANDARD"')
    random.Random(1).shuffle(lines)  # an inventory is not in order
    path = on.directory / "inventory.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    on.server.forget()
    assert on.backup("--manifest", path)["copied"] == 31
    listed = [each for each in on.server.requests()["requests"] if each["operation"].startswith("ListObjects")]
    assert not any("/src" in each["path"] for each in listed)
    assert on.get("a b+c") == b"awkward"
    assert on.backup("--manifest", path)["copied"] == 0
    assert on.backup()["copied"] == 0


# Real servers

@pytest.fixture(params=["rgw", "moto"])
def real(request, tmp_path):
    server = request.getfixturevalue(request.param)
    return BucketOn(server, tmp_path, server.bucket(), server.bucket())


def test_backup_and_compare_on_a_server(real):
    chance = random.Random(2)
    contents = {}
    keys = [key for key in AWKWARD if key not in ("./a", "../a", "a/../b")]  # boto3 of 2026 refuses dot segments
    for number, key in enumerate(keys):
        contents[key] = chance.randbytes(number)
        real.put(key, contents[key], Metadata={"n": str(number)}, Tagging=f"n={number}", ContentType="text/x",
                 CacheControl="no-store")
    contents["large"] = chance.randbytes(20 * MiB)
    from boto3.s3.transfer import TransferConfig
    path = real.directory / "large"
    path.write_bytes(contents["large"])
    real.s3.upload_file(str(path), real.source, "large", Config=TransferConfig(multipart_chunksize=5 * MiB))
    summary = real.backup("--storage-class", "STANDARD")
    assert (summary["copied"], summary["failed"]) == (len(contents), 0)
    assert sorted(real.keys()) == sorted(contents)
    for key, content in contents.items():
        assert real.get(key) == content
    real.compare("--level", "full")
    second = real.backup("--storage-class", "STANDARD")
    assert second["copied"] == 0
    assert second["requests"]["copy"] == second["requests"]["put"] == second["requests"]["tag"] == 0

    changed, deleted = keys[0], keys[1]
    real.put(changed, contents[changed] + b"!")
    real.s3.delete_object(Bucket=real.source, Key=deleted)
    third = real.backup("--storage-class", "STANDARD", "--tag-deleted")
    assert (third["copied"], third["marked"]) == (1, 1)
    assert real.tags(deleted)["Deleted"] == "True" and "n" in real.tags(deleted)
    assert real.get(changed) == contents[changed] + b"!"


def test_kills_at_random_points(real):
    count = 300
    with_threads = [threading.Thread(target=lambda first=first: [real.put(f"k{n:04}", b"%d" % n) for n in range(
        first, count, 4)]) for first in range(4)]
    for thread in with_threads:
        thread.start()
    for thread in with_threads:
        thread.join()
    chance = random.Random(4)
    for _ in range(6):
        process = real.start("backup", "--storage-class", "STANDARD")
        try:
            process.communicate(timeout=chance.uniform(0.1, 1.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    summary = real.backup("--storage-class", "STANDARD")
    assert summary["failed"] == 0 and summary["copied"] + summary["current"] == count
    assert real.compare()[1]["same"] == count
    assert real.backup("--storage-class", "STANDARD")["copied"] == 0
