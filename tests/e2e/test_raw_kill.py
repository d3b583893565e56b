"""`bale raw` is killed at random points, again and again: it ends DONE, and sends little twice."""
import os
import random
import signal

import pytest

from conftest import MiB
from scripted_s3 import scripted_s3  # noqa: F401  (fixture)
from test_raw_servers import RawOn

PART = 16 * MiB
UNDER_WAY = 16  # parts at once


@pytest.mark.parametrize("kills, size", [
    pytest.param(8, 192 * MiB, id="8-kills"),
    pytest.param(50, 2048 * MiB, id="50-kills", marks=pytest.mark.campaign)])
def test_kills_at_random_points_lose_nothing_and_send_little_twice(scripted_s3, tmp_path, kills, size):  # noqa: F811
    scripted_s3.bucket("lab-p")
    raw = RawOn(scripted_s3, tmp_path, chunk_size_mb=16)
    data = random.Random(3).randbytes(size // 2)
    (raw.instrument / "x.d").mkdir()
    for name in ("analysis.tdf", "analysis.tdf_bin"):
        (raw.instrument / "x.d" / name).write_bytes(data)
    raw.run("raw", "backup", "x", "--path", raw.instrument / "x.d", "--project", "P", "--instrument", "i1",
            "--copy-only")
    scripted_s3.rules([{"action": "throttle", "of": "request", "bytes_per_second": 8 * MiB,
                        "operation": "UploadPart"}])
    moments = random.Random(int(os.environ.get("BALE_TEST_SEED", "1")))
    killed = 0
    for _ in range(kills):
        process = raw.start("raw", "upload", "x")
        try:
            process.communicate(timeout=moments.uniform(0.05, 4))
        except Exception:  # it runs: it is killed
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
    assert killed > 0
    scripted_s3.rules([])
    assert raw.run("raw", "upload", "x", timeout=300).lines()[0]["backup_status"] == "DONE"
    operations = scripted_s3.requests()["operations"]
    sent = operations["UploadPart"]["body_bytes"]
    assert sent <= size + killed * UNDER_WAY * PART, (sent, killed)
    state = scripted_s3.state("lab-p")
    assert state["uploads"] == []
    assert raw.run("raw", "verify", "x", timeout=300).lines()[-1]["proven"] == 1
