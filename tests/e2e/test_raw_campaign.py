"""Long campaigns of `bale raw`, and a smaller one of each that takes seconds.

    make campaign                                                        # all of them, hours
    /usr/bin/python3 -m pytest -m campaign tests/e2e/test_raw_campaign.py -k terabyte
    BALE_CAMPAIGN_GIB=64 ...                                             # of the largest file, instead of 1,024

`test_raw_kill.py` has the campaign of kills.
"""
import os
import re
import subprocess
import sys

import pytest

from conftest import LAUNCHER, GiB, MiB, binary, wait_until
from raw_hosts import Host, go_on, kill, on_a_terminal, part_requests, sparse, stop
from scripted_s3 import ScriptedS3
from test_raw import PART
from test_raw_cases import REFUSED, bucket_of, host  # noqa: F401  (host: a fixture)

HOURS = 12 * 3600  # seconds; longer than any campaign
LARGEST = int(os.environ.get("BALE_CAMPAIGN_GIB", "1024")) * GiB
campaign = pytest.mark.campaign


@pytest.fixture
def discarding(tmp_path):
    """A host whose server keeps no bytes."""
    with ScriptedS3(discard=True) as server:
        server.bucket("lab-p")
        yield Host(server, tmp_path, timeout_seconds=604_800).without_pool()


def peak_of_run(host, *arguments):  # noqa: F811
    """Runs the program to its successful end: its peak resident memory in bytes."""
    report = host.directory / "peak"
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, report, binary(), *map(str, arguments)],
                          env=host.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=HOURS)
    assert done.returncode == 0, done
    return int(report.read_text()) * 1024  # Linux counts KiB


@pytest.mark.parametrize("size, limit", [
    pytest.param(GiB, 256 * MiB, id="gigabyte"), pytest.param(GiB, 64 * MiB, id="gigabyte-little-memory"),
    pytest.param(LARGEST, 256 * MiB, id="terabyte", marks=campaign)])
def test_the_memory_of_an_upload_depends_on_the_limit_and_not_on_the_file(discarding, size, limit):
    path = sparse(discarding.instrument / "x.raw", size)
    discarding.configure(chunk_size_mb=500, timeout_seconds=604_800)
    discarding.without_pool()
    peak = peak_of_run(discarding, "--memory-limit", f"{limit // MiB}MiB", "raw", "backup", "x", "--path", path,
                       "--project", "P", "--instrument", "i1")
    print(f"peak {peak / MiB:.0f} MiB with a limit of {limit / MiB:.0f} MiB")
    assert peak < limit
    assert discarding.record()["backup_status"] == "DONE"
    found, = bucket_of(discarding)["objects"]
    assert found["size"] == size and bucket_of(discarding)["uploads"] == []


@pytest.mark.parametrize("size", [pytest.param(5 * GiB + 1, id="no-bytes"),
                                  pytest.param(12 * GiB + 1, id="bytes", marks=campaign)])
def test_an_object_of_more_than_5_gib_is_copied_in_parts(request, tmp_path, size):
    keeps_bytes = request.node.callspec.id == "bytes"
    with ScriptedS3(discard=not keeps_bytes) as server:
        server.bucket("source")
        server.bucket("target")
        user = Host(server, tmp_path)
        path = sparse(tmp_path / "large", size, b"head")
        if keeps_bytes:
            user.run("s3", "cp", path, "s3://source/x", timeout=HOURS)
        else:  # an object of zeros comes to be by itself
            server.rules([{"action": "other_writer", "operation": "PutObject", "when": "after", "size": size}])
            server.client("s3").put_object(Bucket="source", Key="x", Body=b"")
        server.forget()
        user.run("s3", "cp", "s3://source/x", "s3://target/y", timeout=HOURS)
        ranges = sorted(tuple(int(end) for end in re.findall(r"\d+", request["headers"]["x-amz-copy-source-range"]))
                        for request in server.asked("UploadPartCopy"))
        assert ranges[0][0] == 0 and ranges[-1][1] == size - 1
        assert all(before[1] + 1 == after[0] for before, after in zip(ranges, ranges[1:]))
        assert all(last - first < 5 * GiB for first, last in ranges)
        assert not server.asked("GetObject") and not server.asked("CopyObject")
        found, = server.state("target")["objects"]
        assert (found["key"], found["size"]) == ("y", size) and server.state("target")["uploads"] == []
        if keeps_bytes:
            back = tmp_path / "back"
            user.run("s3", "cp", "s3://target/y", back, timeout=HOURS)
            assert subprocess.run(["cmp", path, back], check=False).returncode == 0


@campaign
def test_R03_a_file_of_60_gib_in_parts_of_5_mib_is_done_and_proven(discarding):
    path = sparse(discarding.instrument / "x.raw", 60 * GiB)
    backup = ["raw", "backup", "x", "--path", path, "--project", "P", "--instrument", "i1"]
    done = discarding.run(*backup, timeout=HOURS)
    assert len([line for line in done.err.splitlines() if "part size raised" in line]) == 1
    sent = part_requests(discarding.server)
    assert len(sent) == 6144 and all(sizes == [10 * MiB] for sizes in sent.values())
    record = discarding.record()
    assert record["file_list"][0]["part_bytes"] == 10 * MiB and record["s3_etag"].endswith("-6144")
    discarding.server.forget()
    again = discarding.run(*backup, timeout=HOURS).lines()[0]
    assert (again["result"], again["sent_bytes"], again["s3_etag"]) == ("adopted", 0, record["s3_etag"])
    assert discarding.run("raw", "verify", "x", timeout=HOURS).lines()[-1]["proven"] == 1


@campaign
def test_R09_a_run_that_was_frozen_for_more_than_a_minute_changes_nothing(host):  # noqa: F811
    """As in test_raw_cases.py, with the real clock."""
    host.write(os.urandom(3 * PART))
    host.copy_only()
    host.server.rules([{"name": "held", "action": "hold", "when": "after", "operation": "UploadPart",
                        "query": {"partNumber": "^2$"}}])
    frozen = host.start("raw", "upload", "x")
    try:
        wait_until(lambda: host.server.hits("held") == 1)
        stop(frozen)
        wait_until(lambda: host.upload(status=None).status != REFUSED, seconds=300)
        record, bucket = host.record(), bucket_of(host)
        assert record["backup_status"] == "DONE"
        host.server.release("held")
        status, err = go_on(frozen)
    finally:
        kill(frozen)
    assert status == REFUSED and "lease" in err, err
    assert host.record() == record and bucket_of(host) == bucket


@campaign
def test_R11_a_slow_line_and_a_silence_of_90_seconds(host):  # noqa: F811
    """256 KiB a second for each connection: a part of 64 MiB takes more than four minutes."""
    host.configure(chunk_size_mb=64)
    sparse(host.instrument / "x.raw", 4 * 64 * MiB)
    host.copy_only()
    host.server.rules([{"action": "throttle", "of": "request", "bytes_per_second": 256 * 1024,
                        "operation": "UploadPart"},
                       {"name": "silence", "action": "silence", "of": "request", "operation": "UploadPart",
                        "query": {"partNumber": "^2$"}, "bytes": 20_000_000, "seconds": 90}])
    line = host.upload(timeout=HOURS).lines()[0]
    assert line["backup_status"] == "DONE" and line["seconds"] > 240
    asked = [int(request["query"]["partNumber"]) for request in host.server.asked("UploadPart")]
    assert sorted(asked) == [1, 2, 2, 3, 4] and host.server.hits("silence") == 1


@campaign
def test_checklist_03_the_progress_of_an_upload_of_more_than_10_gb(discarding):
    path = sparse(discarding.instrument / "x.raw", 11 * GiB)
    discarding.configure(chunk_size_mb=500)
    discarding.without_pool()
    seen = on_a_terminal(discarding, "raw", "backup", "x", "--path", path, "--project", "P", "--instrument", "i1")
    shares = [int(share) for share in re.findall(r"of 11\.0 GiB \((\d+)%\)", seen)]
    assert shares == sorted(shares) and len(set(shares)) > 20, seen[-2000:]
    assert re.search(r"iB/s  ETA \d", seen), seen[-2000:]
