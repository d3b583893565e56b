"""The checklist of the requirements of raw files: each line is a test, named after its number in the list.

1. Local to S3: existing local backups, then `backup_type: s3`
2. A fresh backup to S3
3. A large file: the progress of its upload
4. The network breaks off in the middle of an upload
5. The bucket is missing
6. The ETag does not match: the object was damaged after its upload

Of 3, `test_raw_campaign.py` has the file of more than 10 GB. `test_raw_cases.py` has the cases R01 to R14.
"""
import hashlib
import json
import os
import re

import pytest

from conftest import MiB
from raw_hosts import Host, ended, etag_of, on_a_terminal, part_requests, sparse
from test_raw import PART, part_etag
from test_raw_cases import TRY_AGAIN, bucket_of, host, keys_of  # noqa: F401  (host: a fixture)

DAMAGED = 5


def make_local(host):  # noqa: F811
    """Sets backup_type: local. Returns a function that sets it to s3."""
    text = host.yaml.read_text()
    host.yaml.write_text(text.replace('"backup_type": "s3"', '"backup_type": "local"'))
    return lambda: host.yaml.write_text(text)


@pytest.mark.parametrize("way", ["upload", "backup", "list", "list-without-records"])
def test_checklist_01_local_backups_go_to_s3_once_it_is_enabled(host, way):  # noqa: F811
    enable_s3 = make_local(host)
    data = os.urandom(2 * PART + 1)
    path = host.write(data)
    line = host.backup().lines()[0]
    assert (line["result"], line["backup_status"]) == ("copied", "DONE") and keys_of(host) == []
    copy, = host.copies()
    enable_s3()
    path.unlink()  # the instrument has forgotten it
    if way == "upload":
        line = host.upload().lines()[0]
    elif way == "backup":
        line = host.run("raw", "backup", "x", "--path", copy, "--project", "P", "--instrument", "i1").lines()[0]
    else:
        if way == "list-without-records":
            host.extra = {"BALE_RAW_RECORDS": str(host.directory / "new-records")}
        (host.directory / "list").write_text(json.dumps({"id": "x", "path": str(copy), "project": "P",
                                                         "instrument": "i1"}))
        line = host.run("raw", "backup", "--from", host.directory / "list").lines()[0]
    assert (line["result"], line["backup_status"], line["s3_etag"]) == ("uploaded", "DONE", part_etag(data, PART))
    assert keys_of(host) == ["x.raw"] and copy.read_bytes() == data
    assert host.run("raw", "verify", "x").lines()[-1]["proven"] == 1
    make_local(host)  # and back: nothing is lost
    assert host.record()["backup_status"] == "DONE" and copy.read_bytes() == data


def test_checklist_02_a_fresh_backup_goes_to_s3(host):  # noqa: F811
    data = os.urandom(3 * PART + 7)
    host.write(data)
    line = host.backup().lines()[0]
    assert (line["result"], line["backup_status"], line["sent_bytes"]) == ("uploaded", "DONE", len(data))
    record, client = host.record(), host.server.client("s3")
    assert (record["bucket"], record["s3_backup_key"]) == ("lab-p", "x.raw")
    assert record["s3_etag"] == part_etag(data, PART) == etag_of(client, "lab-p", "x.raw")
    assert record["file_list"][0]["md5"] == hashlib.md5(data).hexdigest()
    assert client.get_object(Bucket="lab-p", Key="x.raw")["Body"].read() == data
    assert [copy.read_bytes() for copy in host.copies()] == [data] and bucket_of(host)["uploads"] == []


def test_checklist_03_the_progress_of_a_large_upload_is_shown_by_bytes_rate_and_time_left(host):  # noqa: F811
    host.configure(chunk_size_mb=24)
    host.without_pool()
    sparse(host.instrument / "x.raw", 96 * MiB)
    host.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 5 * MiB,
                        "operation": "UploadPart"}])
    seen = on_a_terminal(host, "raw", "backup", "x", "--path", host.instrument / "x.raw", "--project", "P",
                         "--instrument", "i1")
    shares = [int(share) for share in re.findall(r"of 96\.0 MiB \((\d+)%\)", seen)]
    assert shares == sorted(shares) and len(set(shares)) >= 5, seen
    assert re.search(r"MiB/s  ETA \d", seen), seen
    assert len(part_requests(host.server)) == 4


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_checklist_04_a_connection_that_breaks_off_is_tried_again_in_the_same_run(host, reset):  # noqa: F811
    data = os.urandom(4 * PART)
    host.write(data)
    host.server.rules([{"name": "cut", "action": "cut", "of": "request", "bytes": MiB, "reset": reset,
                        "operation": "UploadPart", "query": {"partNumber": "^[23]$"}, "times": 2}])
    assert host.backup().lines()[0]["backup_status"] == "DONE"
    assert host.server.hits("cut") == 2
    assert {number: len(sizes) for number, sizes in part_requests(host.server).items()} == {1: 1, 2: 1, 3: 1, 4: 1}
    assert host.record()["s3_etag"] == part_etag(data, PART) and bucket_of(host)["uploads"] == []


def test_checklist_04_a_network_that_stays_away_fails_the_run_and_the_next_run_goes_on(host):  # noqa: F811
    data = os.urandom(4 * PART)
    host.write(data)
    host.server.rules([{"name": "cut", "action": "cut", "of": "request", "bytes": MiB, "reset": True,
                        "operation": "UploadPart", "query": {"partNumber": "^4$"}, "times": None}])
    run = host.begin()
    status, err = ended(run)
    assert status == TRY_AGAIN, err
    record = host.record()
    assert (record["backup_status"], record["open_uploads"]) == ("FAILED", 1)
    assert [copy.read_bytes() for copy in host.copies()] == [data]
    done = set(part_requests(host.server))
    host.server.rules([])
    host.server.forget()
    assert host.upload().lines()[0]["backup_status"] == "DONE"
    assert set(part_requests(host.server)) == {1, 2, 3, 4} - done and 4 not in done
    assert host.record()["s3_etag"] == part_etag(data, PART) and bucket_of(host)["uploads"] == []


def test_checklist_04_retries_of_the_configuration_outlast_a_short_outage(host):  # noqa: F811
    host.configure(retries=3)
    host.write(os.urandom(2 * PART))
    host.server.rules([{"name": "out", "action": "respond", "status": 503, "code": "ServiceUnavailable",
                        "operation": "UploadPart", "times": 6}])
    assert host.backup().lines()[0]["backup_status"] == "DONE"
    assert host.server.hits("out") == 6 and len(host.server.asked("CreateMultipartUpload")) == 1


def test_checklist_05_a_missing_bucket_fails_gracefully_and_is_logged(scripted_s3, tmp_path):
    host = Host(scripted_s3, tmp_path)  # noqa: F811
    data = os.urandom(1000)
    host.write(data)
    done = host.run("--log-level", "info", "--log-format", "json", "raw", "backup", "x", "--path",
                    host.instrument / "x.raw", "--project", "P", "--instrument", "i1", status=1)
    for word in ("lab-p", scripted_s3.region, "does not exist", "auto_create_buckets"):
        assert word in done.err, done.err
    logged = [json.loads(line) for line in done.err.splitlines() if '"raw.failed"' in line]
    assert len(logged) == 1 and logged[0]["id"] == "x" and logged[0]["code"] == "NoSuchBucket", done.err
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"]) == ("FAILED", "NoSuchBucket")
    assert [copy.read_bytes() for copy in host.copies()] == [data]  # what is local is not disturbed
    assert not {"PutObject", "CreateMultipartUpload", "CreateBucket"} & set(scripted_s3.requests()["operations"])
    scripted_s3.bucket("lab-p")
    assert host.upload().lines()[0]["backup_status"] == "DONE"


@pytest.mark.parametrize("size", [1000, 3 * PART], ids=["whole", "parts"])
def test_checklist_06_an_object_that_was_damaged_after_its_upload_is_found_and_replaced(host, size):  # noqa: F811
    data = os.urandom(size)
    host.write(data)
    host.backup()
    client = host.server.client("s3")
    damaged = bytes([data[0] ^ 1]) + data[1:]
    client.put_object(Bucket="lab-p", Key="x.raw", Body=damaged)
    found = host.run("raw", "verify", "x", status=DAMAGED).lines()
    assert "differs" in [line.get("verdict") for line in found]
    kept = host.run("raw", "verify", "x", "--purge-local", status=DAMAGED).lines()
    assert [line["purged"] for line in kept if line["type"] == "purge"] == [False] and host.copies()
    line = host.upload().lines()[0]
    assert (line["result"], line["backup_status"]) == ("uploaded", "DONE")
    assert client.get_object(Bucket="lab-p", Key="x.raw")["Body"].read() == data
    assert host.run("raw", "verify", "x").lines()[-1]["proven"] == 1


@pytest.mark.parametrize("size, operation", [(1000, "PutObject"), (3 * PART, "UploadPart")], ids=["whole", "parts"])
def test_checklist_06_a_bit_that_flips_on_the_way_is_found_and_sent_again(host, size, operation):  # noqa: F811
    """The server refuses the bytes. A part is sent again in the same run, a whole file at the latest in the next."""
    data = os.urandom(size)
    host.write(data)
    host.server.rules([{"name": "flip", "action": "flip", "of": "request", "operation": operation}])
    if host.backup(status=None if operation == "PutObject" else 0).status != 0:
        assert host.record()["backup_status"] == "FAILED" and keys_of(host) == []
        host.upload()
    assert host.server.hits("flip") == 1 and host.record()["backup_status"] == "DONE"
    assert host.server.client("s3").get_object(Bucket="lab-p", Key="x.raw")["Body"].read() == data


@pytest.mark.parametrize("size, operation", [(1000, "PutObject"), (3 * PART, "UploadPart")], ids=["whole", "parts"])
def test_checklist_06_a_bit_that_flips_in_the_bucket_is_found_when_it_is_read(host, size, operation):  # noqa: F811
    """No ETag and no checksum tells, since the server has them of what came: only reading does."""
    host.write(os.urandom(size))
    host.server.rules([{"name": "flip", "action": "flip", "of": "stored", "operation": operation}])
    host.backup()
    assert host.server.hits("flip") == 1
    done = host.run("raw", "restore", "x", "--to", host.directory / "back", status=DAMAGED)
    assert "x.raw" in done.err and not (host.directory / "back" / "x.raw").exists(), done
