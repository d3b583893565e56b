"""The process among others: signals, readers that stop reading, few file descriptors, strangers who connect."""
import json
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from conftest import SOURCE_REGION, wait_until, write_tree
from service import Service


def full_pipe():
    """Both ends of a pipe that takes no more bytes, and how many are in it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    size = 0
    for piece in (b"x" * 4096, b"x"):
        try:
            while True:
                size += os.write(writer, piece)
        except BlockingIOError:
            pass
    os.set_blocking(writer, True)
    return reader, writer, size


def runs_loops(process):
    """Whether the service runs its loops: it has its threads."""
    return len(os.listdir(f"/proc/{process.pid}/task")) > 8


def ends_within(process, seconds):
    started = time.monotonic()
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"no end within {seconds} s")
    return status, time.monotonic() - started


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_log_that_nobody_reads_does_not_keep_a_service_from_ending(bale, level):
    bale.mixed()
    reader, writer, _ = full_pipe()
    process = bale.start("--log-level", level, "replicate", "run", "--config", bale.config, "--listen", "127.0.0.1:0",
                         stderr=writer)
    os.close(writer)
    wait_until(lambda: runs_loops(process))
    process.send_signal(signal.SIGTERM)
    status, seconds = ends_within(process, 25)
    assert status == 0 and seconds < 15
    os.close(reader)


def test_a_log_that_nobody_reads_does_not_hold_up_the_work_and_tells_what_was_lost(bale):
    bale.mixed()
    reader, writer, filled = full_pipe()
    process = bale.start("--log-level", "info", "--log-format", "json", "replicate", "run", "--config", bale.config,
                         stderr=writer)
    os.close(writer)
    write_tree(bale.directory / "in", {f"f{i}": b"x" * 1000 for i in range(20)})
    bale.put_tree("source", "", bale.directory / "in")
    wait_until(lambda: len(bale.keys("copy")) == 20)  # while nobody reads
    time.sleep(3)  # longer than a line waits
    assert len(os.read(reader, filled)) == filled
    bale.put("source", "later", b"x")
    wait_until(lambda: "later" in bale.keys("copy"))
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, 25)[0] == 0
    lines = [json.loads(line) for line in os.read(reader, 1 << 20).decode().splitlines()]
    lost = next(line for line in lines if line["name"] == "log.lost")
    assert lost["lines"] > 0 and lost["levelname"] == "WARNING"
    os.close(reader)


def test_metrics_that_nobody_reads_do_not_keep_a_service_from_ending(bale):
    bale.mixed()
    reader, writer, _ = full_pipe()
    process = bale.start("replicate", "run", "--config", bale.config, "--emf", stdout=writer)
    os.close(writer)
    wait_until(lambda: runs_loops(process))
    bale.put("source", "f", b"x")
    wait_until(lambda: "f" in bale.keys("copy"))
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, 25)[0] == 0
    os.close(reader)


def test_a_reader_that_stops_does_not_keep_a_command_from_ending(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "large", b"x" * (4 << 20))
    reader, writer = os.pipe()
    process = bale.start("s3", "cp", "s3://bucket/large", "-", stdout=writer)
    os.close(writer)
    os.read(reader, 10)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert ends_within(process, 25)[0] == 130
    os.close(reader)


def test_a_slow_reader_gets_every_byte(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    content = os.urandom(3 << 20)
    bale.put("bucket", "large", content)
    process = bale.start("s3", "cp", "s3://bucket/large", "-")
    got = b""
    while piece := process.stdout.read(1 << 19):
        got += piece
        time.sleep(0.3)
    assert process.wait(timeout=30) == 0 and got == content


@pytest.mark.parametrize("signals", [[signal.SIGHUP], [signal.SIGHUP] * 3, [signal.SIGHUP, signal.SIGTERM],
                                     [signal.SIGTERM, signal.SIGHUP, signal.SIGHUP], [signal.SIGINT, signal.SIGHUP]],
                         ids=lambda signals: " ".join(s.name for s in signals))
def test_a_hangup_ends_a_service_in_order(bale, signals):
    """SIGHUP asks to end; it is no second signal."""
    bale.mixed()
    process = bale.start("replicate", "run", "--config", bale.config)
    wait_until(lambda: runs_loops(process))
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    assert ends_within(process, 25)[0] == 0


def test_nohup_keeps_a_hangup_ignored(bale):
    bale.mixed()
    process = bale.start("replicate", "run", "--config", bale.config,
                         preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_until(lambda: runs_loops(process))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, 25)[0] == 0


@pytest.mark.parametrize("limit", [128, 64, 256])
def test_connections_are_fitted_to_the_descriptors(bale, limit):
    bale.make_bucket("bucket", SOURCE_REGION)
    write_tree(bale.directory / "in", {f"d{i % 7}/f{i}": b"x" * (i * 100) for i in range(300)})

    def run(*arguments):
        process = bale.start("--connections", 1000, *arguments, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (limit, limit)))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return err.decode()

    told = run("s3", "cp", "--recursive", bale.directory / "in", "s3://bucket/")
    lines = [line for line in told.splitlines() if "connections" in line]
    assert len(lines) == 1 and "instead of 1000" in lines[0] and str(limit) in lines[0] and "ulimit -n" in lines[0]
    run("s3", "cp", "--recursive", "s3://bucket/", bale.directory / "out")
    assert len([path for path in (bale.directory / "out").rglob("*") if path.is_file()]) == 300
    assert "connections" not in run("config", "schema", "settings")


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may_be(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 8192:
        pytest.skip("the hard limit is low here")
    write_tree(bale.directory / "in", {f"f{i}": b"x" for i in range(10)})
    process = bale.start("--connections", 1000, "s3", "cp", "--recursive", bale.directory / "in", "s3://bucket/",
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
    err = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0 and "connections" not in err


@pytest.fixture
def service(bale):
    bale.mixed()
    running = Service(bale, "run", "--config", str(bale.config))
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def connect(service):
    host, port = service.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def resident(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def test_strangers_keep_nobody_from_health_and_metrics(service):
    wait_until(lambda: service.get("/healthz")[0] == 200)
    before = resident(service.process)
    silent = [connect(service) for _ in range(600)]
    for start in (b"GET /metrics HTTP/1.1\r\nX: ", b"GET /",
                  b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        stranger = connect(service)
        stranger.sendall(start)
        with pytest.raises(OSError):  # closed, long before the end
            for _ in range(400):
                stranger.sendall(b"y: z\r\n" * 100_000)
        started = time.monotonic()
        assert service.get("/healthz")[0] == 200 and service.get("/metrics")[0] == 200
        assert time.monotonic() - started < 5
        stranger.close()
    assert resident(service.process) < before + (32 << 20)
    for stranger in silent:
        stranger.close()


@pytest.mark.parametrize("form", ["{}", ":{}"])
def test_health_and_metrics_are_served_to_this_machine_unless_said_otherwise(bale, form):
    bale.mixed()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = bale.start("replicate", "run", "--config", bale.config, "--listen", form.format(port))
    try:
        def answers():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).status == 200
            except OSError:
                return False

        wait_until(answers)
        with open("/proc/net/tcp") as table:
            listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
        assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
