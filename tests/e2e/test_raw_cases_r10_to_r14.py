"""The cases R10 to R14 of `bale raw`: see the table in test_raw_cases.py."""
import hashlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from conftest import MiB, binary, wait_until
from raw_hosts import Host, boto3_upload, ended, etag_of, is_quiet, kill, on_a_terminal, part_requests, sparse
from scripted_s3 import ScriptedS3
from test_raw import PART, tree
from test_raw_cases import GONE, REFUSED, TRY_AGAIN, assert_nothing_is_left, bucket_of, host, keys_of  # noqa: F401


# R10

def upload_of_another(host):  # noqa: F811
    """An upload that another program has begun, and sent a part for. Returns its key, which begins with that of x."""
    client, key = host.server.client("s3"), "x.raw.index"
    upload = client.create_multipart_upload(Bucket="lab-p", Key=key)["UploadId"]
    client.upload_part(Bucket="lab-p", Key=key, UploadId=upload, PartNumber=1, Body=b"of another program")
    return key


def open_uploads(host):  # noqa: F811
    """Keys of the uploads that are open, and the parts that each has."""
    return {upload["key"]: len(upload["parts"]) for upload in bucket_of(host)["uploads"]}


# Where the run is killed: at which request, before it takes place or after, and whether the upload is there then.
POINTS = [("CreateMultipartUpload", {}, "before"), ("CreateMultipartUpload", {}, "after"),
          ("UploadPart", {"partNumber": "^1$"}, "before"), ("UploadPart", {"partNumber": "^1$"}, "after"),
          ("UploadPart", {"partNumber": "^2$"}, "before"), ("UploadPart", {"partNumber": "^3$"}, "before"),
          ("UploadPart", {"partNumber": "^4$"}, "before"), ("UploadPart", {"partNumber": "^4$"}, "after"),
          ("CompleteMultipartUpload", {}, "before"), ("CompleteMultipartUpload", {}, "after")]


@pytest.mark.parametrize("operation, query, when", POINTS, ids=[f"{o}{''.join(q.values())}-{w}" for o, q, w in POINTS])
def test_R10_after_a_kill_at_any_point_abort_leaves_nothing_behind(host, operation, query, when):  # noqa: F811
    others = upload_of_another(host)
    host.write(os.urandom(4 * PART))
    host.copy_only()
    host.server.rules([{"name": "held", "action": "hold", "when": when, "operation": operation, "query": query}])
    run = host.start("raw", "upload", "x")
    wait_until(lambda: host.server.hits("held") == 1)
    kill(run)
    host.server.release("held")
    host.server.rules([])
    is_open = "x.raw" in open_uploads(host)
    if is_open:
        host.server.rules([{"name": "failing", "action": "respond", "status": 500, "code": "InternalError", "times": 2,
                            "operation": "AbortMultipartUpload"}])
    host.extra = {"AWS_MAX_ATTEMPTS": "3"}
    done = host.run("raw", "abort", "x", status=None)
    was_tried = not is_open or host.server.hits("failing") == 2
    host.server.rules([])
    left = open_uploads(host)
    assert left.pop(others) == 1
    # Nothing is left, or the failure says what is.
    assert (done.status, host.record()["open_uploads"]) == ((1, len(left)) if left else (0, 0)), (left, done)
    assert was_tried


def test_R10_a_part_that_is_under_way_while_the_upload_is_aborted_leaves_nothing(host):  # noqa: F811
    """The part ends after the first request to abort, whose upload the server then still has: S3 says so."""
    others = upload_of_another(host)
    host.write(os.urandom(3 * PART))
    host.copy_only()
    host.server.rules([{"name": "part", "action": "hold", "anyway": True, "operation": "UploadPart",
                        "query": {"partNumber": "^3$"}},
                       {"name": "lie", "action": "lie", "operation": "AbortMultipartUpload"}])
    run = host.start("raw", "upload", "x")
    wait_until(lambda: host.server.hits("part") == 1 and open_uploads(host)["x.raw"] == 2)
    kill(run)
    aborting = host.start("raw", "abort", "x")
    wait_until(lambda: host.server.hits("lie") == 1)
    host.server.release("part")
    status, err = ended(aborting)
    assert status == 0, err
    wait_until(lambda: open_uploads(host) == {others: 1})
    assert len(host.server.asked("AbortMultipartUpload")) >= 2


def test_R10_what_cannot_be_aborted_is_named_and_is_a_failure(host):  # noqa: F811
    host.write(os.urandom(3 * PART))
    host.server.rules([{"action": "respond", "status": 403, "code": "AccessDenied", "operation": "UploadPart",
                        "times": None},
                       {"action": "respond", "status": 500, "code": "InternalError", "operation":
                        "AbortMultipartUpload", "times": None}])
    host.backup(status=REFUSED)
    done = host.run("raw", "abort", "x", status=None)
    assert done.status in (1, TRY_AGAIN) and "x" in done.err, done
    assert host.record()["open_uploads"] == 1
    text = subprocess.run([binary(), "raw", "status"], env=host.environment(), capture_output=True, text=True,
                          check=True).stdout
    assert "1 incomplete upload" in text
    assert len(bucket_of(host)["uploads"]) == 1


# R11

def test_R11_a_part_may_take_any_time_while_bytes_go(host, preload):  # noqa: F811
    """The clock runs 20 times as fast: each part takes 1.5 minutes of it at least, at 100 KiB a second."""
    host.configure(chunk_size_mb=12)
    sparse(host.instrument / "x.raw", 24 * MiB)
    host.copy_only()
    host.extra = preload(TIME_FACTOR=20)
    host.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 2 * MiB, "operation": "UploadPart"}])
    line = host.upload().lines()[0]
    assert line["backup_status"] == "DONE" and line["seconds"] > 90
    assert {number: len(sizes) for number, sizes in part_requests(host.server).items()} == {1: 1, 2: 1}
    assert len(host.server.asked("UploadPart")) == 2


def test_R11_a_part_whose_connection_is_silent_for_90_seconds_is_sent_again_alone(host, preload):  # noqa: F811
    """The clock runs 60 times as fast. The silence lasts until the end of the test: the upload does not wait for it."""
    host.write(os.urandom(4 * PART))
    host.copy_only()
    host.extra = preload(TIME_FACTOR=60)
    host.server.rules([{"name": "silence", "action": "silence", "of": "request", "operation": "UploadPart",
                        "query": {"partNumber": "^2$"}, "bytes": 1_000_000, "seconds": 600}])
    line = host.upload().lines()[0]
    assert line["backup_status"] == "DONE" and 60 <= line["seconds"] < 600, line
    asked = [int(request["query"]["partNumber"]) for request in host.server.asked("UploadPart")]
    assert sorted(asked) == [1, 2, 2, 3, 4] and bucket_of(host)["uploads"] == []


def test_R11_progress_is_shown_by_bytes(host):  # noqa: F811
    """One part: its bytes are counted while they go."""
    host.write(os.urandom(PART - 1))
    host.copy_only()
    host.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 2 * MiB, "operation": "PutObject"}])
    seen = on_a_terminal(host, "raw", "upload", "x")
    assert len(set(re.findall(r"\((\d+)%\)", seen)) - {"0", "100"}) >= 4, seen
    assert "MiB/s" in seen or "KiB/s" in seen, seen


def test_R11_the_time_limit_of_a_run_leaves_an_upload_that_goes_on(host):  # noqa: F811
    host.configure(timeout_seconds=2)
    host.write(os.urandom(4 * PART))
    host.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 256 * 1024,
                        "operation": "UploadPart", "query": {"partNumber": "^4$"}}])
    host.backup(status=TRY_AGAIN)
    record = host.record()
    assert (record["backup_status"], record["last_error"]["code"]) == ("FAILED", "UploadTimeout")
    assert record["open_uploads"] == 1 and "resume" in host.upload(status=TRY_AGAIN).err
    host.server.rules([])
    wait_until(lambda: is_quiet(host.server))
    host.server.forget()
    host.configure(timeout_seconds=60)
    stored = {part["number"] for part in bucket_of(host)["uploads"][0]["parts"]}
    assert host.upload().lines()[0]["backup_status"] == "DONE"
    assert set(part_requests(host.server)) == {1, 2, 3, 4} - stored and 4 not in stored
    assert not host.server.asked("CreateMultipartUpload")


# R12

BUCKETS = {  # exit status of auto_create_buckets off and on, what the message has
    "free": (1, 0, ["does not exist", "auto_create_buckets"]),
    "own": (0, 0, []),
    "elsewhere": (1, 1, ["another region", "ap-south-1"]),
    "foreign": (REFUSED, REFUSED, ["another account"]),
    "silent": (1, 1, ["403", "s3:ListBucket"]),
}


@pytest.mark.parametrize("auto", [False, True], ids=["auto-off", "auto-on"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_R12_each_bucket_that_is_not_yours_has_its_own_message(tmp_path, region, auto):
    with ScriptedS3(region=region) as server:
        host = Host(server, tmp_path, auto_create_buckets=auto)
        host.write(b"data")
        server.bucket("lab-own")
        server.bucket("lab-elsewhere", region="ap-south-1")
        server.bucket("lab-foreign", foreign=True)
        said = {}
        for kind, (off, on, words) in BUCKETS.items():
            if kind == "silent":
                server.rules([{"deny": ["s3:ListBucket"]}])
            status = on if auto else off
            said[kind] = host.backup(project=kind, raw_id=kind, status=status).err
            if status == 0:
                continue
            assert f"lab-{kind}" in said[kind] and all(word in said[kind] for word in words), (kind, said[kind])
            record = host.record(kind)
            assert record["backup_status"] == "FAILED" and host.copies()
        failed = [text for kind, text in said.items() if BUCKETS[kind][1 if auto else 0] != 0]
        assert len(set(failed)) == len(failed)
        assert region in said["free"] or auto
        made = {request["bucket"] for request in server.asked("CreateBucket")}
        assert made == ({"lab-free"} if auto else set())  # made only where it is free
        for request in server.asked("CreateBucket"):
            assert (request["body_bytes"] == 0) == (region == "us-east-1")  # there without LocationConstraint


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_R12_a_race_of_two_creators_ends_well_for_both(tmp_path, region):
    """Both found no bucket. us-east-1 answers the second with 200, other regions with 409."""
    with ScriptedS3(region=region) as server:
        hosts = [Host(server, tmp_path / name, records=tmp_path / "records", auto_create_buckets=True)
                 for name in "ab"]
        server.rules([{"name": "both", "action": "hold", "operation": "CreateBucket", "times": 2}])
        runs = []
        for number, each in enumerate(hosts):
            each.write(b"data", f"f{number}.raw")
            runs.append(each.begin(name=f"f{number}.raw", raw_id=f"f{number}"))
        wait_until(lambda: server.hits("both") == 2)
        server.release("both")
        for run in runs:
            status, err = ended(run)
            assert status == 0, err
        statuses = sorted(request["status"] for request in server.asked("CreateBucket"))
        assert statuses == ([200, 200] if region == "us-east-1" else [200, 409])
        assert sorted(keys_of(hosts[0])) == ["f0.raw", "f1.raw"]
        client = server.client("s3")
        assert client.get_bucket_versioning(Bucket="lab-p")["Status"] == "Enabled"
        assert all(client.get_public_access_block(Bucket="lab-p")["PublicAccessBlockConfiguration"].values())


# R13

# Root may read everything, unless it lacks these.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.parametrize("break_it, word", [
    (lambda folder: (folder / "analysis.tdf").unlink(), "analysis.tdf"),
    (lambda folder: (folder / "analysis.tdf_bin").unlink(), "analysis.tdf_bin"),
    (lambda folder: os.mkfifo(folder / "pipe"), "pipe"),
    (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "link"),
    (lambda folder: (folder / "method/a.xml").chmod(0), "method/a.xml"),
    (lambda folder: (folder / "analysis.tdf_bin").chmod(0), "analysis.tdf_bin"),
], ids=["no-tdf", "no-tdf_bin", "pipe", "link-out", "unreadable", "unreadable-main"])
def test_R13_a_set_that_is_not_whole_is_refused_before_the_first_byte(host, break_it, word):  # noqa: F811
    folder = host.write_folder()
    break_it(folder)
    command = [*WITHOUT_PRIVILEGES, binary(), "raw", "backup", "x", "--path", folder, "--project", "P", "--instrument",
               "i1"]
    done = subprocess.run(command, env=host.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and word in done.stderr, done
    assert_nothing_is_left(host)
    assert not {"PutObject", "CreateMultipartUpload"} & set(host.server.requests()["operations"])
    assert host.record()["backup_status"] == "FAILED"


def test_R13_empty_files_and_empty_folders_are_kept_and_come_back(host):  # noqa: F811
    folder = host.write_folder()
    host.backup(name="x.d")
    copy, = host.pool.glob("i1/*/x.d")
    assert tree(copy) == tree(folder)
    assert host.record()["empty_folders"] == 1
    assert [each["size"] for each in host.record()["file_list"] if each["name"].endswith("/zero")] == [0]
    host.run("raw", "restore", "x", "--to", host.directory / "back")
    assert tree(host.directory / "back" / "x.d") == tree(folder)


# R14

RECORDS = 3000
LARGE = 105 * MiB  # two parts of 100 MiB


def write_records(host, count):  # noqa: F811
    """Files of the pool, and the records that a pipeline has of them; every second file is in S3 already, two large
    ones by 100 MiB parts. Returns the records."""
    client = host.server.client("s3")
    directory = host.pool / "i1" / "2025_01"
    directory.mkdir(parents=True)
    lines = []
    for number in range(count):
        name = f"f{number:05}.raw"
        path, head = directory / name, f"content {number}".encode() * 20
        sparse(path, LARGE if number < 4 else len(head), head)
        data = path.read_bytes()
        if number % 2 == 0 and number < 4:
            boto3_upload(host.server, path, "lab-p", name, 100 * MiB)
        elif number % 2 == 0:
            client.put_object(Bucket="lab-p", Key=name, Body=data)
        lines.append({"_id": name.removesuffix(".raw"), "path": str(path), "project_id": "P", "instrument_id": "i1",
                      "backup_status": "DONE", "file_info": {name: [len(data), hashlib.md5(data).hexdigest()]}})
    return lines


def read_bytes(log, directory):
    """Bytes that were read of each file of a directory, as preload.c noted it."""
    read = {}
    for line in log.read_text().splitlines():
        word, path, *numbers = line.split()
        if word == "read" and path.startswith(str(directory)):
            read[path] = read.get(path, 0) + int(numbers[1])
    return read


def test_R14_what_another_uploader_has_backed_up_is_adopted(host, preload):  # noqa: F811
    host.configure(chunk_size_mb=500, max_uploads=4)
    lines = write_records(host, RECORDS)
    (host.pool / "i1" / "2025_01" / "f00007.raw").unlink()
    (host.directory / "list").write_text("".join(json.dumps(line) + "\n" for line in lines))
    host.server.forget()
    log = host.directory / "log"
    host.extra = preload(LOG=log)
    summary = host.run("raw", "backup", "--from", host.directory / "list", "--key-layout", "alphakraken",
                       status=GONE, timeout=300).lines()[-1]
    host.extra = {}
    half = RECORDS // 2
    assert {word: summary[word] for word in ("adopted", "uploaded", "missing", "failed")} == {
        "adopted": half, "uploaded": half - 1, "missing": 1, "failed": 0}
    read = read_bytes(log, host.pool)
    assert len(read) >= half and all(size <= pathlib.Path(path).stat().st_size for path, size in read.items())
    operations = host.server.requests()["operations"]
    assert operations["PutObject"]["count"] == half - 1 and "UploadPart" not in operations
    assert len(keys_of(host)) == RECORDS - 1
    etag = host.record("f00000")["s3_etag"]
    assert etag == etag_of(host.server.client("s3"), "lab-p", "f00000.raw") and etag.endswith("-2")
    assert len(host.run("raw", "status", "--status", "DONE").lines()) == RECORDS - 1
