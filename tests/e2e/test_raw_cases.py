"""What people who back up raw files suffered from other tools: one case each, and how `bale raw` gets it right.

A test is named after its case. Of some cases another test shows a part, or the same with a clock or a disk of its own:

| case | what | what else shows it |
|---|---|---|
| R01 | the same bytes in other parts | test_an_object_of_another_part_size_is_adopted, ..._of_any_tools_part_size_... |
| R02 | sizes around one part | test_etags_are_those_of_..., test_etags_agree_with_boto3_on_rgw |
| R03 | ten thousand parts | test_raw_campaign.py: to the end; RawPartSize in tests/unit/jobs/raw/ |
| R04 | a file that still grows | LocalCopy and SourceChange in tests/unit/jobs/raw/ |
| R05 | renamed or gone | LocalCopy.AFileThatIsRenamedMeanwhileIsGone |
| R06 | the answer to Complete is lost | test_raw_servers.py, after the heading R6 |
| R07 | corrupted on the way to the local disk | LocalCopy.ABitThatFlipsOnTheWayToTheDiskIsFound |
| R08 | an ETag that is no MD5 | test_on_moto_with_kms_by_default |
| R09 | two runs on one id | the lease suite in tests/contract/; test_raw_campaign.py: with the real clock |
| R10 | leftovers | test_abort_leaves_no_upload_behind_and_says_what_it_cannot_remove |
| R11 | a slow line | test_raw_campaign.py: 256 KiB a second and 90 s of silence, with the real clock |
| R12 | a bucket that is not yours | test_five_buckets_get_five_messages |
| R13 | a set that is not whole | Layout in tests/unit/jobs/raw/ |
| R14 | adopting what is there | test_a_list_reports_adopted_uploaded_and_missing; test_raw_checklist.py, 1 |

R10 to R14 are in test_raw_cases_r10_to_r14.py.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

from conftest import MiB, binary, wait_until
from raw_hosts import (Host, aws_s3_cp, boto3_upload, ended, etag_of, go_on, interrupt, is_quiet, kill, part_requests,
                       place_of_giants, sparse, stop, stop_while_reading)
from test_raw import PART, part_etag

GiB, TiB = 1 << 30, 1 << 40
TRY_AGAIN, REFUSED, GONE = 75, 4, 3


@pytest.fixture
def host(scripted_s3, tmp_path):
    scripted_s3.bucket("lab-p")
    return Host(scripted_s3, tmp_path)


def bucket_of(host, name="lab-p"):
    return host.server.state(name)


def keys_of(host, name="lab-p"):
    return sorted({each["key"] for each in bucket_of(host, name)["objects"]})


def assert_nothing_is_left(host):
    """No copy has its final name or any other, no object is there, no upload is open."""
    assert host.copies() == []
    assert keys_of(host) == [] and bucket_of(host)["uploads"] == []


def assert_failed_as_changed(host, *sizes):
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"]) == ("FAILED", "SourceChanged"), record
    message = record["last_error"]["message"]
    assert "changed while it was read" in message
    assert len(re.findall(r"\d+ bytes, modified \d{4}-\d\d-\d\dT", message)) == 2, message
    assert all(f"{size} bytes" in message for size in sizes), message
    assert_nothing_is_left(host)


# R01

def test_R01_the_same_bytes_in_other_parts_are_adopted(host):
    host.configure(chunk_size_mb=500)
    path = sparse(host.instrument / "a.raw", 350 * MiB, os.urandom(MiB))
    os.link(path, host.instrument / "b.raw")
    aws_s3_cp(host.server, host.directory, path, "s3://lab-p/a.raw", 8 * MiB)
    boto3_upload(host.server, path, "lab-p", "b.raw", 100 * MiB)
    host.server.forget()
    for raw_id, count, part in (("a", 44, 8), ("b", 4, 100)):
        line = host.backup(name=f"{raw_id}.raw", raw_id=raw_id).lines()[0]
        assert (line["result"], line["backup_status"], line["sent_bytes"]) == ("adopted", "DONE", 0)
        record = host.record(raw_id)
        assert record["s3_etag"] == etag_of(host.server.client("s3"), "lab-p", f"{raw_id}.raw")
        assert record["s3_etag"].endswith(f"-{count}")
        # The checksum has proved it: nobody asks for the size of the parts then.
        assert record["file_list"][0]["part_bytes"] in (0, part * MiB)
        assert host.run("raw", "verify", raw_id).lines()[-1]["proven"] == 1
    assert not {"UploadPart", "CreateMultipartUpload", "PutObject"} & set(host.server.requests()["operations"])


# R02

@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 1])
@pytest.mark.parametrize("server", ["rgw", "scripted_s3"])
def test_R02_around_one_part_all_tools_give_one_etag(request, tmp_path, server, size):
    server = request.getfixturevalue(server)
    client, bucket = server.client("s3"), f"lab-r02-{size}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": server.region})
    host = Host(server, tmp_path)
    path = host.write(os.urandom(size), "own.raw")
    for name in ("aws.raw", "boto3.raw"):
        os.link(path, host.instrument / name)
    aws_s3_cp(server, tmp_path, path, f"s3://{bucket}/aws.raw", PART)
    boto3_upload(server, path, bucket, "boto3.raw", PART)
    own = host.backup(name="own.raw", raw_id="own", project=f"r02_{size}").lines()[0]
    assert own["result"] == "uploaded"
    assert own["s3_etag"] == etag_of(client, bucket, "aws.raw") == etag_of(client, bucket, "own.raw")
    for tool in ("aws", "boto3"):
        line = host.backup(name=f"{tool}.raw", raw_id=tool, project=f"r02_{size}").lines()[0]
        assert (line["result"], line["sent_bytes"]) == ("adopted", 0), line
        assert line["s3_etag"] == etag_of(client, bucket, f"{tool}.raw")
    assert host.run("raw", "verify").lines()[-1]["proven"] == 3


def test_R02_an_object_of_exactly_one_part_is_adopted_with_either_etag(host):
    """`...-1` of those who begin an upload in parts at one part, a plain MD5 of those who do so above it."""
    data = os.urandom(PART)
    client = host.server.client("s3")
    host.write(data, "one.raw")
    boto3_upload(host.server, host.write(data, "plain.raw"), "lab-p", "plain.raw", PART + 1)
    boto3_upload(host.server, host.instrument / "one.raw", "lab-p", "one.raw", PART)
    assert etag_of(client, "lab-p", "plain.raw") == hashlib.md5(data).hexdigest()
    assert etag_of(client, "lab-p", "one.raw").endswith("-1")
    for raw_id in ("plain", "one"):
        assert host.backup(name=f"{raw_id}.raw", raw_id=raw_id).lines()[0]["result"] == "adopted"


# R03

def test_R03_beyond_ten_thousand_parts_the_part_size_is_raised_said_and_recorded(host):
    """The upload is interrupted, and a second run goes on with parts of the same size."""
    host.without_pool()
    path = sparse(host.instrument / "x.raw", 60 * GiB)
    plan = host.run("--dryrun", "raw", "backup", "x", "--path", path, "--project", "P", "--instrument", "i1").lines()
    assert plan[0]["part_bytes"] == 10 * MiB and host.server.requests()["count"] == 0
    first = host.begin()
    wait_until(lambda: len(part_requests(host.server)) >= 4)
    said = [line for line in interrupt(first).splitlines() if "part size raised" in line]
    assert len(said) == 1 and "5.0 MiB" in said[0] and "10.0 MiB" in said[0]
    wait_until(lambda: is_quiet(host.server))
    record, sent = host.record(), part_requests(host.server)
    assert (record["file_list"][0]["part_bytes"], record["open_uploads"]) == (10 * MiB, 1)
    second = host.start("raw", "upload", "x")
    wait_until(lambda: len(part_requests(host.server)) >= len(sent) + 4)
    interrupt(second)
    wait_until(lambda: is_quiet(host.server))
    assert len(host.server.asked("CreateMultipartUpload")) == 1 and host.server.asked("ListParts")
    assert all(sizes == [10 * MiB] for sizes in part_requests(host.server).values())
    host.run("raw", "abort", "x")


def test_R03_what_no_object_can_hold_is_refused_before_the_first_byte(host):
    host.without_pool()
    with place_of_giants() as directory:
        path = sparse(directory / "x.raw", 49 * TiB)
        done = host.run("raw", "backup", "x", "--path", path, "--project", "P", "--instrument", "i1", status=2)
    assert "largest object" in done.err
    assert not {"CreateMultipartUpload", "UploadPart", "PutObject"} & set(host.server.requests()["operations"])
    assert host.record()["backup_status"] == "FAILED"


# R04

WRITER = """
import sys
with open(sys.argv[1], "ab", 0) as file:
    print(flush=True)
    while True:
        file.write(b"+")
"""

WRITER_THAT_SETS_THE_TIME_BACK = """
import os, sys
before = os.stat(sys.argv[1])
with open(sys.argv[1], "r+b", 0) as file:
    number = 0
    print(flush=True)
    while True:
        number += 1
        os.pwrite(file.fileno(), number.to_bytes(8, "little"), before.st_size // 2)
        os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
"""


@pytest.mark.parametrize("writer", [WRITER, WRITER_THAT_SETS_THE_TIME_BACK], ids=["appends", "sets-the-time-back"])
def test_R04_a_file_that_is_always_written_fails(host, writer):
    path = sparse(host.instrument / "x.raw", 64 * MiB)
    acquisition = subprocess.Popen([sys.executable, "-c", writer, path], stdout=subprocess.PIPE)
    try:
        acquisition.stdout.readline()
        host.backup(status=TRY_AGAIN)
    finally:
        kill(acquisition)
    assert_failed_as_changed(host)


def test_R04a_a_file_that_grows_while_it_is_read_fails(host):
    path = sparse(host.instrument / "x.raw", 256 * MiB)
    run = host.begin()
    stop_while_reading(host, run)
    with path.open("ab") as file:
        file.write(b"more")
    status, err = go_on(run)
    assert status == TRY_AGAIN, err
    assert_failed_as_changed(host, 256 * MiB, 256 * MiB + 4)


def test_R04a_a_writer_that_sets_the_time_back_while_it_is_read_is_found(host):
    path = sparse(host.instrument / "x.raw", 256 * MiB)
    run = host.begin()
    stop_while_reading(host, run)
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"other bytes in a part that was read")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    status, err = go_on(run)
    assert status == TRY_AGAIN, err
    assert_failed_as_changed(host)


def test_R04b_a_file_that_grows_between_the_steps_fails(host):
    path = host.write(os.urandom(PART + 1))
    host.server.rules([{"name": "step 2", "action": "hold", "operation": "HeadBucket"}])
    run = host.begin()
    wait_until(lambda: host.server.hits("step 2") == 1)
    assert [copy.read_bytes() for copy in host.copies()] == [path.read_bytes()]
    with path.open("ab") as file:
        file.write(b"more")
    host.server.release("step 2")
    status, err = ended(run)
    assert status == TRY_AGAIN, err
    assert_failed_as_changed(host, PART + 1, PART + 5)


def test_R04c_a_file_that_grows_at_the_last_moment_of_step_1_fails(host, preload):
    """The byte comes after the last one was read, and before the program looks at the file again."""
    host.write(os.urandom(PART + 1))
    host.extra = preload(GROW="/instrument/x.raw")
    host.backup(status=TRY_AGAIN)
    host.extra = {}
    assert_failed_as_changed(host, PART + 1, PART + 2)


def test_R04c_a_file_that_grows_at_the_last_moment_of_step_2_fails(host):
    """All parts are there, and only Complete is missing."""
    path = host.write(os.urandom(3 * PART))
    host.server.rules([{"name": "last", "action": "hold", "when": "after", "operation": "UploadPart",
                        "query": {"partNumber": "^2$"}}])
    run = host.begin()
    wait_until(lambda: host.server.hits("last") == 1 and len(bucket_of(host)["uploads"][0]["parts"]) == 3)
    with path.open("ab") as file:
        file.write(b"+")
    host.server.release("last")
    status, err = ended(run)
    assert status == TRY_AGAIN, err
    assert_failed_as_changed(host, 3 * PART, 3 * PART + 1)
    assert host.server.asked("CompleteMultipartUpload") == []


def test_R04d_times_that_a_network_mount_rounds_are_no_change(host, preload):
    """Each second look finds the file 200 ns younger, in the next millisecond."""
    data = os.urandom(2 * PART + 1)
    host.write(data)
    host.extra = preload(ROUNDED_TIME="/instrument/x.raw")
    line = host.backup().lines()[0]
    assert (line["result"], line["backup_status"], line["bytes"]) == ("uploaded", "DONE", len(data))
    assert [copy.read_bytes() for copy in host.copies()] == [data]


def test_R04d_a_time_that_moves_by_less_than_a_microsecond_between_the_steps_is_no_change(host):
    path = host.write(os.urandom(PART + 1))
    os.utime(path, ns=(1_700_000_000_123_999_900,) * 2)
    host.server.rules([{"name": "step 2", "action": "hold", "operation": "HeadBucket"}])
    run = host.begin()
    wait_until(lambda: host.server.hits("step 2") == 1)
    os.utime(path, ns=(1_700_000_000_124_000_100,) * 2)
    host.server.release("step 2")
    status, err = ended(run)
    assert status == 0, err
    assert host.record()["backup_status"] == "DONE"


# R05

def test_R05_a_source_that_is_renamed_while_it_is_read_is_gone(host):
    host.configure(retries=3)
    path = sparse(host.instrument / "x.raw", 256 * MiB)
    run = host.begin()
    stop_while_reading(host, run)
    path.rename(host.instrument / "x_CORRUPTED.raw")
    status, err = go_on(run)
    assert status == GONE and "gone" in err
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"], record["attempts"]) == ("FAILED", "SourceGone", 1)
    assert "gone" in subprocess.run([binary(), "raw", "status"], env=host.environment(), capture_output=True, text=True,
                                    check=True).stdout
    assert_nothing_is_left(host)
    host.backup(status=GONE)  # x_CORRUPTED.raw is not taken for x
    assert_nothing_is_left(host)


# R06

def answers_to_complete(host):
    """Statuses of the answers to Complete; 0: there was none."""
    return [request["status"] for request in host.server.asked("CompleteMultipartUpload")]


def test_R06a_a_lost_answer_to_complete_is_settled_by_the_objects_own_token(host):
    data = os.urandom(2 * PART)
    host.write(data)
    host.server.rules([{"action": "lose_answer", "operation": "CompleteMultipartUpload"}])
    line = host.backup().lines()[0]
    assert (line["result"], line["backup_status"], line["s3_etag"]) == ("uploaded", "DONE", part_etag(data, PART))
    assert answers_to_complete(host) in ([0], [0, 404])  # the upload is not known any more
    looks = [request["number"] for request in host.server.asked("HeadObject")]
    assert max(looks) > max(request["number"] for request in host.server.asked("CompleteMultipartUpload"))
    metadata = host.server.client("s3").head_object(Bucket="lab-p", Key="x.raw")["Metadata"]
    assert metadata["bale-id"] == "x" and len(metadata["bale-upload"]) == 32
    assert len(host.server.asked("CreateMultipartUpload")) == 1 and bucket_of(host)["uploads"] == []


def test_R06b_an_upload_that_was_aborted_meanwhile_is_begun_again(host):
    host.write(os.urandom(2 * PART))
    host.server.rules([{"action": "abort_uploads", "operation": "CompleteMultipartUpload"}])
    assert host.backup().lines()[0]["backup_status"] == "DONE"
    assert answers_to_complete(host) == [404, 200]
    assert len(host.server.asked("CreateMultipartUpload")) == 2 and bucket_of(host)["uploads"] == []


def test_R06c_another_writers_object_of_equal_size_is_a_conflict(host):
    host.write(os.urandom(2 * PART))
    host.server.rules([{"action": "lose_answer", "operation": "CompleteMultipartUpload"},
                       {"action": "other_writer", "when": "after", "operation": "CompleteMultipartUpload",
                        "size": 2 * PART}])
    done = host.backup(status=1)
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"]) == ("FAILED", "UploadConflict"), record
    assert "another writer" in done.err and bucket_of(host)["uploads"] == [], done.err


# R07

def test_R07_a_bit_that_flips_on_the_way_to_the_local_disk_is_found(host, preload):
    data = os.urandom(PART + 1)
    path = host.write(data)
    host.extra = preload(FLIP_BIT="/pool/")
    done = host.backup(status=1)
    host.extra = {}
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"]) == ("FAILED", "LocalCopyDiffers")
    assert "local copy differs" in done.err
    assert_nothing_is_left(host)
    assert path.read_bytes() == data and host.backup().lines()[0]["backup_status"] == "DONE"


def test_R07_the_copy_is_read_back_past_the_page_cache(host, preload):
    log = host.directory / "log"
    host.write(os.urandom(PART + 1))
    host.extra = preload(LOG=log)
    host.copy_only()
    staged = [line.split()[0] for line in log.read_text().splitlines() if ".partial/" in line]
    assert {"sync", "drop", "read"} <= set(staged)
    assert staged.index("sync") < staged.index("drop") < staged.index("read"), staged
    read = sum(int(line.split()[3]) for line in log.read_text().splitlines()
               if line.startswith(f"read {host.instrument}"))
    assert read == PART + 1  # the instrument is read once


# R08

def with_kms_by_default(host):
    host.server.client("s3").put_bucket_encryption(Bucket="lab-p", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]})


def test_R08_where_etags_are_no_md5s_checksums_prove_the_object(host):
    with_kms_by_default(host)
    data = os.urandom(3 * PART + 1)
    host.write(data)
    assert host.backup().lines()[0]["backup_status"] == "DONE"
    assert host.record()["s3_etag"] != part_etag(data, PART)
    host.server.forget()
    again = host.backup().lines()[0]
    assert (again["result"], again["sent_bytes"]) == ("adopted", 0)
    assert not {"GetObject", "UploadPart", "CreateMultipartUpload"} & set(host.server.requests()["operations"])
    evidence = [line for line in host.run("raw", "verify", "x").lines() if line["type"] == "evidence"]
    assert (evidence[0]["by"], evidence[0]["verdict"]) == ("crc64nvme", "same")


def test_R08_where_etags_are_no_md5s_a_killed_upload_goes_on_by_checksums(host):
    with_kms_by_default(host)
    host.write(os.urandom(6 * PART))
    host.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^4$"}}])
    run = host.begin()
    wait_until(lambda: host.server.hits("held") == 1 and len(bucket_of(host)["uploads"][0]["parts"]) == 5)
    kill(run)
    host.server.release("held")
    host.server.forget()
    line = host.upload().lines()[0]
    assert (line["backup_status"], line["sent_bytes"]) == ("DONE", PART)
    assert list(part_requests(host.server)) == [4] and host.server.asked("ListParts")
    assert all(request["status"] == 404 for request in host.server.asked("GetObject"))  # nothing is read
    assert bucket_of(host)["uploads"] == []
    assert host.run("raw", "verify", "x").lines()[-1]["proven"] == 1


# R09

@pytest.fixture
def two_hosts(scripted_s3, tmp_path):
    """Two hosts with one record store; the first has the copy of x.raw."""
    scripted_s3.bucket("lab-p", versioning="Enabled")
    hosts = [Host(scripted_s3, tmp_path / name, records=tmp_path / "records") for name in "ab"]
    hosts[0].write(os.urandom(3 * PART))
    hosts[0].copy_only()
    return hosts


def test_R09_of_two_runs_on_one_id_one_uploads_and_the_other_names_it(two_hosts):
    first, second = two_hosts
    first.server.rules([{"name": "held", "action": "hold", "operation": "UploadPart", "query": {"partNumber": "^2$"}}])
    runs = [first.start("raw", "upload", "x"), second.start("raw", "upload", "x")]
    wait_until(lambda: any(run.poll() is not None for run in runs) and first.server.hits("held") == 1)
    loser, = [run for run in runs if run.poll() is not None]
    winner, = [run for run in runs if run is not loser]
    status, err = ended(loser)
    assert status == REFUSED, err
    assert str(winner.pid) in err and os.uname().nodename in err and re.search(r"since \d{4}-\d\d-\d\dT", err), err
    first.server.release("held")
    status, err = ended(winner)
    assert status == 0, err
    assert first.record()["backup_status"] == "DONE"
    assert len(first.server.asked("CompleteMultipartUpload")) == 1


@pytest.mark.parametrize("when", ["before", "after"], ids=["while-it-sends", "before-its-complete"])
def test_R09_a_run_that_was_frozen_beyond_its_lease_changes_nothing(two_hosts, preload, when):
    """The clocks of both hosts run 20 times as fast: a lease ends three seconds after its holder stands still."""
    first, second = two_hosts
    server = first.server
    first.extra |= preload(TIME_FACTOR=20)
    second.extra |= preload(TIME_FACTOR=20)
    server.rules([{"name": "held", "action": "hold", "when": when, "operation": "UploadPart",
                   "query": {"partNumber": "^2$"}}])
    frozen = first.start("raw", "upload", "x")
    try:
        wait_until(lambda: server.hits("held") == 1)
        stop(frozen)
        taken = []  # runs of the second host: refused while the lease may be held

        def takes_over():
            taken.append(second.upload(status=None))
            return taken[-1].status != REFUSED
        wait_until(takes_over)
        assert taken[-1].status == 0 and taken[-1].lines()[0]["backup_status"] == "DONE", taken[-1]
        assert all(str(frozen.pid) in run.err for run in taken[:-1])
        record, bucket = second.record(), bucket_of(second)
        server.release("held")
        status, err = go_on(frozen)
    finally:
        kill(frozen)
    assert status == REFUSED and "lease" in err, err
    assert second.record() == record and bucket_of(second) == bucket
    assert len(bucket["objects"]) == 1 and bucket["uploads"] == []
    assert len(server.asked("CompleteMultipartUpload")) == 1


def test_R09_on_two_hosts_a_lease_that_ended_long_ago_is_taken(moto, scripted_s3, tmp_path):
    """Records in DynamoDB; the lease is half an hour older than it lasts, which one look at it tells."""
    scripted_s3.bucket("lab-p", versioning="Enabled")
    first, second = [Host(scripted_s3, tmp_path / name, chunk_size_mb=5) for name in "ab"]
    table = f"raw-{os.getpid()}"
    for each in (first, second):
        each.extra = {"BALE_RAW_RECORDS": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": moto.endpoint}
        config = json.loads(each.yaml.read_text())
        config["backup"]["records_table"] = table
        each.yaml.write_text(json.dumps(config))
    first.write(os.urandom(3 * PART))
    first.copy_only()
    scripted_s3.rules([{"name": "held", "action": "hold", "when": "after", "operation": "UploadPart",
                        "query": {"partNumber": "^3$"}}])
    frozen = first.start("raw", "upload", "x")
    try:
        wait_until(lambda: scripted_s3.hits("held") == 1)
        stop(frozen)
        assert str(frozen.pid) in second.upload(status=REFUSED).err
        moto.client("dynamodb", region_name=scripted_s3.region).update_item(
            TableName=table, Key={"id": {"S": "x"}, "part": {"S": "record"}},
            UpdateExpression="SET lease_renewed_ms = lease_renewed_ms - :long",
            ExpressionAttributeValues={":long": {"N": str(40 * 60 * 1000)}})
        assert second.upload().lines()[0]["backup_status"] == "DONE"
        record, bucket = second.record(), bucket_of(second)
        scripted_s3.release("held")
        status, err = go_on(frozen)
    finally:
        kill(frozen)
    assert status == REFUSED and "lease" in err, err
    assert second.record() == record and bucket_of(second) == bucket
    assert len(scripted_s3.asked("CompleteMultipartUpload")) == 1
