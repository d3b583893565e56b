"""`bale raw` against S3 servers: a scripted one for what no other shows, Ceph RGW and moto with boto3 as the judge."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import Finished, MiB, binary, bytes_of, wait_until
from scripted_s3 import ScriptedS3, scripted_s3  # noqa: F401  (fixture)
from test_raw import PART, part_etag

OWNER = "111122223333"


class RawOn:
    """The program with raw files, on a server."""

    def __init__(self, server, directory, **s3):
        self.server, self.directory = server, pathlib.Path(directory)
        self.instrument, self.pool = self.directory / "instrument", self.directory / "pool"
        self.instrument.mkdir(exist_ok=True)
        self.yaml = self.directory / "raw.yaml"
        self.configure(**s3)

    def configure(self, **s3):
        settings = {"region": self.server.region, "bucket_prefix": "lab", "chunk_size_mb": 5, "retries": 0,
                    "retry_delay_seconds": 0, "endpoint_url": self.server.endpoint} | s3
        self.yaml.write_text(json.dumps({"backup": {"backup_type": "s3", "pool_path": str(self.pool), "s3": settings}}))

    def environment(self):
        variables = {name: value for name, value in self.server.environment().items() if not name.startswith("BALE_")}
        return variables | {"HOME": str(self.directory), "BALE_RAW_CONFIG": str(self.yaml),
                            "XDG_STATE_HOME": str(self.directory / "state"), "AWS_MAX_ATTEMPTS": "2"}

    def start(self, *arguments):
        return subprocess.Popen([binary(), "--output", "json", *map(str, arguments)], cwd=self.directory,
                                env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def run(self, *arguments, status=0, timeout=120):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout)
        finished = Finished([bytes_of(str(word)) for word in process.args], process.returncode, out, err)
        assert status is None or finished.status == status, repr(finished)
        return finished

    def backup(self, status=0, name="x.raw", raw_id="x", project="P"):
        return self.run("raw", "backup", raw_id, "--path", self.instrument / name, "--project", project, "--instrument",
                        "i1", status=status)

    def record(self, raw_id="x"):
        return self.run("raw", "status", raw_id).lines()[0]

    def write(self, data, name="x.raw"):
        (self.instrument / name).write_bytes(data)
        return self.instrument / name


@pytest.fixture
def raw(scripted_s3, tmp_path):  # noqa: F811
    scripted_s3.bucket("lab-p")
    return RawOn(scripted_s3, tmp_path)


def uploads_left(server, bucket="lab-p"):
    return server.state(bucket)["uploads"]


# R1: the same bytes, other parts

@pytest.mark.parametrize("part", [8 * MiB, 7 * MiB, 16 * MiB])
def test_an_object_of_any_tools_part_size_is_adopted_without_an_upload(raw, part):
    data = os.urandom(20 * MiB)
    client = raw.server.client("s3")
    from boto3.s3.transfer import TransferConfig
    path = raw.write(data)
    client.upload_file(str(path), "lab-p", "x.raw", Config=TransferConfig(multipart_threshold=part,
                                                                         multipart_chunksize=part))
    raw.server.forget()
    line = raw.backup().lines()[0]
    operations = raw.server.requests()["operations"]
    assert "UploadPart" not in operations and "CreateMultipartUpload" not in operations
    assert (line["result"], line["backup_status"]) == ("adopted", "DONE")
    assert raw.record()["s3_etag"] == part_etag(data, part)
    assert raw.run("raw", "verify", "x").lines()[-1]["proven"] == 1


# R6: Complete, answer lost

def test_a_lost_answer_to_complete_is_settled_by_the_object(raw):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"name": "lost", "action": "lose_answer", "operation": "CompleteMultipartUpload"}])
    assert raw.backup().lines()[0]["backup_status"] == "DONE"
    assert raw.server.hits("lost") == 1 and uploads_left(raw.server) == []


def test_an_upload_that_a_lifecycle_rule_aborted_is_begun_again(raw):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"action": "abort_uploads", "operation": "CompleteMultipartUpload"}])
    assert raw.backup().lines()[0]["backup_status"] == "DONE"
    assert len(raw.server.asked("CreateMultipartUpload")) == 2 and uploads_left(raw.server) == []


def test_another_writers_object_is_a_conflict(raw):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"action": "other_writer", "operation": "CompleteMultipartUpload", "size": 2 * PART},
                      {"action": "abort_uploads", "operation": "CompleteMultipartUpload"}])
    assert "conflict" in raw.backup(status=1).err
    assert raw.record()["backup_status"] == "FAILED"


@pytest.mark.parametrize("size", [2 * PART, 17])
def test_another_writers_object_after_a_lost_answer_is_named_as_a_conflict(raw, size):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"action": "other_writer", "operation": "CompleteMultipartUpload", "size": size, "when": "after"},
                      {"action": "lose_answer", "operation": "CompleteMultipartUpload"}])
    assert "conflict" in raw.backup(status=1).err
    assert "conflict" in raw.record()["last_error"]["message"]


def test_another_writers_object_where_none_was_is_a_conflict(raw):
    raw.write(b"data")
    raw.server.rules([{"action": "other_writer", "operation": "PutObject", "size": 4}])
    assert "conflict" in raw.backup(status=1).err


def test_a_complete_that_lies_is_found_by_head(raw):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"action": "lie", "operation": "CompleteMultipartUpload"}])
    done = raw.backup(status=None)
    assert done.status != 0, done
    assert raw.record()["backup_status"] == "FAILED"
    assert raw.run("raw", "upload", "x").lines()[0]["backup_status"] == "DONE"


# R8: an ETag that is no MD5

def test_with_kms_the_checksum_proves_the_object(raw):
    raw.configure(sse="aws:kms")
    data = os.urandom(3 * PART + 1)
    raw.write(data)
    assert raw.backup().lines()[0]["backup_status"] == "DONE"
    assert raw.record()["s3_etag"] != part_etag(data, PART)
    raw.server.forget()
    again = raw.backup().lines()[0]
    assert (again["result"], again["sent_bytes"]) == ("adopted", 0)
    assert "GetObject" not in raw.server.requests()["operations"]
    evidence = [line for line in raw.run("raw", "verify", "x").lines() if line["type"] == "evidence"]
    assert evidence[0]["by"] == "crc64nvme" and evidence[0]["verdict"] == "same"


# R9: two of the same

def test_two_runs_of_one_id_exclude_each_other(raw):
    raw.write(os.urandom(3 * PART))
    raw.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^2$"}}])
    first = raw.start("raw", "backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: raw.server.hits("held") == 1)
    second = raw.run("raw", "upload", "x", status=4)
    assert str(first.pid) in second.err
    raw.server.release("held")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert len(raw.server.asked("CompleteMultipartUpload")) == 1


def test_a_frozen_run_loses_its_raw_file_and_writes_nothing_more(raw):
    raw.yaml.write_text(raw.yaml.read_text().replace('"backup_type"', '"lease_seconds": 2, "backup_type"'))
    data = os.urandom(3 * PART)
    raw.write(data)
    raw.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^2$"}}])
    first = raw.start("raw", "backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: raw.server.hits("held") == 1)
    first.send_signal(signal.SIGSTOP)
    try:
        second = raw.run("raw", "upload", "x", status=None)
        while second.status == 4:  # the lease is not over yet
            assert str(first.pid) in second.err
            second = raw.run("raw", "upload", "x", status=None)
        assert second.status == 0, second
        record = raw.record()
        assert record["backup_status"] == "DONE" and record["lease"] is None
        raw.server.release("held")
        raw.server.forget()
    finally:
        first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 4, (out, err)
    # Of parts that were under way. Where the store does not know the upload any more, another one is begun, and aborted
    # because it cannot be recorded.
    assert set(raw.server.requests()["operations"]) <= {"UploadPart", "CreateMultipartUpload", "AbortMultipartUpload",
                                                        "ListParts"}
    assert raw.record() == record and uploads_left(raw.server) == []


def test_an_upload_that_is_killed_goes_on_where_it_was(raw):
    raw.write(os.urandom(8 * PART))
    raw.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^8$"}}])
    first = raw.start("raw", "backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: raw.server.hits("held") == 1 and len(raw.server.asked("UploadPart")) == 8)
    wait_until(lambda: sum(len(upload["parts"]) for upload in uploads_left(raw.server)) == 7)
    first.send_signal(signal.SIGKILL)
    first.wait()
    raw.server.release("held")
    raw.server.forget()
    line = raw.run("raw", "upload", "x").lines()[0]
    assert line["sent_bytes"] <= PART and line["backup_status"] == "DONE"
    assert len(raw.server.asked("UploadPart")) == 1 and uploads_left(raw.server) == []


# R10: leftovers

def test_abort_leaves_no_upload_behind_and_says_what_it_cannot_remove(raw):
    raw.write(os.urandom(4 * PART))
    raw.server.rules([{"action": "respond", "status": 403, "code": "AccessDenied", "operation": "UploadPart",
                       "times": None}])
    raw.backup(status=4)
    assert len(uploads_left(raw.server)) == 1 and raw.record()["open_uploads"] == 1
    raw.server.rules([{"action": "respond", "status": 403, "code": "AccessDenied", "times": 8,
                       "operation": "AbortMultipartUpload"}])
    assert raw.run("raw", "abort", "x", status=None).status != 0
    assert raw.record()["open_uploads"] == 1
    raw.server.rules([{"action": "respond", "status": 500, "code": "InternalError", "times": 1,
                       "operation": "AbortMultipartUpload"}])
    assert raw.run("raw", "abort", "x").lines()[0]["aborted"] == 1
    assert uploads_left(raw.server) == [] and raw.record()["backup_status"] == "FAILED"


# R11: a slow line

def test_a_part_has_no_limit_of_time_while_bytes_go(raw):
    raw.write(os.urandom(PART + 1))
    raw.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": MiB, "operation": "UploadPart"}])
    assert raw.backup().lines()[0]["backup_status"] == "DONE"


def test_the_timeout_fails_with_an_upload_that_can_be_resumed(raw):
    raw.configure(timeout_seconds=2)
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 256 * 1024,
                       "operation": "UploadPart"}])
    raw.backup(status=75)
    record = raw.record()
    assert record["last_error"]["code"] == "UploadTimeout" and record["open_uploads"] == 1
    raw.server.rules([])
    raw.configure(timeout_seconds=60)
    assert raw.run("raw", "upload", "x").lines()[0]["backup_status"] == "DONE"


def test_the_timeout_ends_the_retries_of_a_server_that_is_always_busy(raw):
    raw.configure(timeout_seconds=3)
    raw.write(b"data")
    environment = raw.environment
    raw.environment = lambda: environment() | {"AWS_MAX_ATTEMPTS": "100"}
    raw.server.rules([{"action": "respond", "status": 503, "code": "SlowDown", "operation": "PutObject",
                       "times": None}])
    begun = time.monotonic()
    raw.backup(status=75)
    assert time.monotonic() - begun < 60 and raw.record()["last_error"]["code"] == "UploadTimeout"
    raw.server.rules([])


# Several processes of one host

def test_processes_of_one_host_share_the_number_of_uploads(raw):
    raw.configure(max_uploads=1)
    for name in ("x", "y"):
        raw.write(os.urandom(PART), f"{name}.raw")
    raw.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart"}])
    first = raw.start("raw", "backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: raw.server.hits("held") == 1)
    second = raw.start("raw", "backup", "y", "--path", raw.instrument / "y.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: '"step":"upload"' in raw.run("raw", "status", "y", status=None).out)
    assert "y.raw" not in json.dumps(raw.server.requests()), "the second waits before its first request"
    raw.server.release("held")
    for process in (first, second):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert raw.record("y")["backup_status"] == "DONE"


# R12: a bucket that is not yours

def test_five_buckets_get_five_messages(scripted_s3, tmp_path):  # noqa: F811
    raw = RawOn(scripted_s3, tmp_path)
    raw.write(b"data")
    messages = {"missing": raw.backup(status=1).err}
    assert "does not exist" in messages["missing"] and scripted_s3.region in messages["missing"]
    scripted_s3.bucket("lab-elsewhere", region="ap-south-1")
    messages["elsewhere"] = raw.backup(status=1, project="elsewhere", raw_id="e").err
    assert "ap-south-1" in messages["elsewhere"]
    scripted_s3.bucket("lab-foreign", foreign=True)
    messages["foreign"] = raw.backup(status=4, project="foreign", raw_id="f").err
    assert "another account" in messages["foreign"]
    scripted_s3.rules([{"deny": ["s3:ListBucket"]}])
    messages["silent"] = raw.backup(status=1, project="silent", raw_id="s").err
    assert "403" in messages["silent"] and "does not exist" in messages["silent"]
    scripted_s3.rules([])
    scripted_s3.bucket("lab-own")
    assert raw.backup(project="own", raw_id="o").lines()[0]["backup_status"] == "DONE"
    assert len(set(messages.values())) == 4


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_missing_bucket_is_made_private_versioned_encrypted_and_tagged(tmp_path, region):
    with ScriptedS3(region=region) as server:
        raw = RawOn(server, tmp_path, auto_create_buckets=True)
        raw.write(b"data")
        raw.backup(project="PRJ_1")
        client = server.client("s3")
        bucket = "lab-prj-1"
        assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        block = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(block.values()) and len(block) == 4
        assert client.get_bucket_encryption(Bucket=bucket)
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert rules[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
        tags = {tag["Key"]: tag["Value"] for tag in client.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        assert tags == {"ManagedBy": "bale", "bale-project": "PRJ_1"}


def test_a_bucket_of_another_owner_gets_nothing(scripted_s3, tmp_path):  # noqa: F811
    raw = RawOn(scripted_s3, tmp_path, expected_bucket_owner=OWNER)
    scripted_s3.bucket("lab-p", owner="999988887777")
    raw.write(b"data")
    raw.backup(status=4)
    assert scripted_s3.state("lab-p")["objects"] in ([], {})


# Exactly the rights of the requirements

def test_three_rights_are_enough(raw):
    raw.write(os.urandom(2 * PART))
    raw.server.rules([{"name": "rights", "allow": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]}])
    done = raw.backup()
    assert done.lines()[0]["backup_status"] == "DONE"
    assert done.err.count("s3:ListBucket") >= 1


def test_three_rights_are_enough_where_the_bucket_keeps_versions(raw):
    """Naming a version needs s3:GetObjectVersion."""
    raw.server.bucket("lab-p", versioning="Enabled")
    data = os.urandom(4 * PART)
    raw.write(data)
    raw.server.rules([{"name": "rights", "allow": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]}])
    assert raw.backup().lines()[0]["backup_status"] == "DONE"
    assert raw.run("raw", "verify", "x").lines()[-1]["proven"] == 1
    raw.run("raw", "restore", "x", "--to", raw.directory / "back")
    assert (raw.directory / "back" / "x.raw").read_bytes() == data
    assert raw.run("raw", "verify", "x", "--purge-local").lines()[-1]["purged"] == 1


def test_a_resumed_upload_says_once_which_right_it_misses(raw):
    raw.write(os.urandom(3 * PART))
    raw.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^3$"}}])
    first = raw.start("raw", "backup", "x", "--path", raw.instrument / "x.raw", "--project", "P", "--instrument", "i1")
    wait_until(lambda: raw.server.hits("held") == 1)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    raw.server.release("held")
    raw.server.rules([{"allow": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]}])
    done = raw.run("raw", "upload", "x")
    assert done.lines()[0]["sent_bytes"] == 3 * PART
    assert done.err.count("s3:ListMultipartUploadParts") == 1


@pytest.mark.parametrize("arguments", [["verify", "x"], ["verify", "x", "--purge-local"],
                                       ["restore", "x", "--to", "back"]])
def test_a_network_that_is_away_is_no_verdict(raw, arguments):
    raw.write(b"data")
    raw.backup()
    raw.configure(endpoint_url="http://127.0.0.1:9")
    raw.run("raw", *arguments, status=75)
    assert (raw.pool / "i1").exists() and list(raw.pool.rglob("x.raw"))


# On Ceph RGW and moto, with boto3 as the judge

@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 1])
def test_etags_agree_with_boto3_on_rgw(rgw, tmp_path, size):
    from boto3.s3.transfer import TransferConfig
    raw = RawOn(rgw, tmp_path)
    client = rgw.client("s3")
    bucket = f"lab-size-{size}"
    client.create_bucket(Bucket=bucket)
    path = raw.write(os.urandom(size))
    client.upload_file(str(path), bucket, "by-boto3", Config=TransferConfig(multipart_threshold=PART,
                                                                            multipart_chunksize=PART))
    line = raw.backup(project=f"size_{size}").lines()[0]
    assert line["s3_etag"] == client.head_object(Bucket=bucket, Key="by-boto3")["ETag"].strip('"')
    assert client.get_object(Bucket=bucket, Key="x.raw")["Body"].read() == path.read_bytes()


def test_a_network_that_is_away_can_be_tried_again(rgw, tmp_path):
    raw = RawOn(rgw, tmp_path, endpoint_url="http://127.0.0.1:9")
    raw.write(b"data")
    raw.backup(status=75)
    record = raw.record()
    assert record["backup_status"] == "FAILED" and record["last_error"]["kind"] == "unavailable"


def test_on_moto_with_kms_by_default(moto, tmp_path):
    raw = RawOn(moto, tmp_path)
    client = moto.client("s3")
    client.create_bucket(Bucket="lab-kms", CreateBucketConfiguration={"LocationConstraint": moto.region})
    client.put_bucket_encryption(Bucket="lab-kms", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]})
    raw.write(os.urandom(2 * PART + 5))
    assert raw.backup(project="kms").lines()[0]["backup_status"] == "DONE"
    again = raw.backup(project="kms").lines()[0]
    assert again["sent_bytes"] == 0, again


def test_records_in_dynamodb_serve_two_hosts(moto, scripted_s3, tmp_path):  # noqa: F811
    scripted_s3.bucket("lab-p")
    hosts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        host = RawOn(scripted_s3, tmp_path / name)
        variables = host.environment
        host.environment = lambda variables=variables, name=name: variables() | {
            "BALE_RAW_RECORDS": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": moto.endpoint}
        hosts.append(host)
    hosts[0].write(b"data")
    hosts[0].backup()
    assert hosts[1].record()["backup_status"] == "DONE"
    assert hashlib.md5(b"data").hexdigest() == hosts[1].record()["file_list"][0]["md5"]


def test_a_bucket_that_is_made_on_rgw_takes_uploads(rgw, tmp_path):
    """RGW refuses every upload while BlockPublicAcls is set."""
    raw = RawOn(rgw, tmp_path, auto_create_buckets=True)
    raw.write(b"data")
    done = raw.backup(project="made")
    assert done.lines()[0]["backup_status"] == "DONE" and "BlockPublicAcls" in done.err
    raw.write(b"more", "y.raw")
    assert "BlockPublicAcls" not in raw.backup(project="made", name="y.raw", raw_id="y").err
