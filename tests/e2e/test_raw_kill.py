"""`bale raw` is killed at random points, again and again: it ends DONE, and sends little twice."""
import os
import random
import signal
import subprocess

import pytest

from conftest import MiB, wait_until
from scripted_s3 import scripted_s3  # noqa: F401  (fixture)
from test_raw_servers import RawOn

PART = 16 * MiB
UNDER_WAY = 2  # parts at once


def write_set(raw, size):
    """A folder with two large files, and its local copy."""
    content = random.Random(3)
    (raw.instrument / "x.d").mkdir()
    for name in ("analysis.tdf", "analysis.tdf_bin"):
        with open(raw.instrument / "x.d" / name, "wb") as file:
            for _ in range(size // 2 // PART):
                file.write(content.randbytes(PART))
    raw.run("raw", "backup", "x", "--path", raw.instrument / "x.d", "--project", "P", "--instrument", "i1",
            "--copy-only", timeout=600)


def parts_of(server):
    """How many parts the server has taken."""
    return server.requests()["operations"].get("UploadPart", {"statuses": {}})["statuses"].get("200", 0)


def is_killed(server, process, chance):
    """Kills a run at a random moment after the server took none, one or two parts of it. False where it ended."""
    enough = parts_of(server) + chance.randrange(3)
    wait_until(lambda: process.poll() is not None or parts_of(server) >= enough, seconds=300)
    try:
        process.communicate(timeout=chance.uniform(0.02, 0.4))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    return False


@pytest.mark.parametrize("kills, size", [
    pytest.param(8, 192 * MiB, id="8-kills"),
    pytest.param(50, 2048 * MiB, id="50-kills", marks=pytest.mark.campaign)])
def test_kills_at_random_points_lose_nothing_and_send_little_twice(scripted_s3, tmp_path, kills, size):  # noqa: F811
    scripted_s3.bucket("lab-p")
    raw = RawOn(scripted_s3, tmp_path, chunk_size_mb=16)
    write_set(raw, size)
    scripted_s3.rules([{"action": "throttle", "of": "request", "bytes_per_second": 32 * MiB,
                        "operation": "UploadPart"}])
    chance = random.Random(int(os.environ.get("BALE_TEST_SEED", "1")))
    killed = 0
    for _ in range(kills):
        process = raw.start("--connections", UNDER_WAY, "raw", "upload", "x")
        if not is_killed(scripted_s3, process, chance):
            break
        killed += 1
    assert killed >= kills // 2, killed
    scripted_s3.rules([])
    assert raw.run("raw", "upload", "x", timeout=300).lines()[0]["backup_status"] == "DONE"
    sent = scripted_s3.requests()["operations"]["UploadPart"]["body_bytes"]
    print(f"{killed} kills: {sent - size} bytes of {size} were sent twice")
    assert size <= sent <= size + killed * UNDER_WAY * PART, (sent, killed)
    assert scripted_s3.state("lab-p")["uploads"] == []
    assert raw.run("raw", "verify", "x", timeout=300).lines()[-1]["proven"] == 1
