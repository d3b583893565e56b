"""`bale raw` is killed at random points, again and again: it ends DONE, and sends little twice.

    BALE_RAW_KILLS=50 BALE_RAW_MIB=2048 /usr/bin/python3 -m pytest tests/e2e/test_raw_kill.py     # the long run
"""
import os
import random
import signal

from conftest import MiB
from scripted_s3 import scripted_s3  # noqa: F401  (fixture)
from test_raw_servers import RawOn

KILLS = int(os.environ.get("BALE_RAW_KILLS", "8"))
SIZE = int(os.environ.get("BALE_RAW_MIB", "192")) * MiB
PART = 16 * MiB
UNDER_WAY = 16  # parts at once


def test_kills_at_random_points_lose_nothing_and_send_little_twice(scripted_s3, tmp_path):  # noqa: F811
    scripted_s3.bucket("lab-p")
    raw = RawOn(scripted_s3, tmp_path, chunk_size_mb=16)
    data = random.Random(3).randbytes(SIZE // 2)
    (raw.instrument / "x.d").mkdir()
    for name in ("analysis.tdf", "analysis.tdf_bin"):
        (raw.instrument / "x.d" / name).write_bytes(data)
    raw.run("raw", "backup", "x", "--path", raw.instrument / "x.d", "--project", "P", "--instrument", "i1",
            "--copy-only")
    scripted_s3.rules([{"action": "throttle", "of": "request", "bytes_per_second": 8 * MiB,
                        "operation": "UploadPart"}])
    moments = random.Random(int(os.environ.get("BALE_TEST_SEED", "1")))
    killed = 0
    for _ in range(KILLS):
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
    assert sent <= SIZE + killed * UNDER_WAY * PART, (sent, killed)
    state = scripted_s3.state("lab-p")
    assert state["uploads"] == []
    assert raw.run("raw", "verify", "x", timeout=300).lines()[-1]["proven"] == 1
