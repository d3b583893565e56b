"""Signals while the program waits for input, output or a server, and standard streams that are closed."""
import http.server
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
from conftest import SOURCE_REGION, Bale, MiB, wait_until, write_tree
from test_process import ends_within, full_pipe

SECONDS = 8  # for a machine under load: the program takes a fraction of one


def parts_left(bale):
    return [path for path in (bale.store / "uploads").rglob("*") if path.is_file()]


def start_upload(bale, uri, **options):
    return subprocess.Popen(bale.command("s3", "cp", "-", uri), cwd=bale.directory, env=bale.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.fixture
def stored(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "key", b"the old object")
    yield bale
    assert bale.get("bucket", "key") == b"the old object"
    assert parts_left(bale) == []


# Input

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("size", [MiB, 20 * MiB], ids=["one request", "in parts"])
def test_a_pipe_that_ends_after_a_signal_replaces_nothing(stored, number, size):
    process = start_upload(stored, "s3://bucket/key", stdin=subprocess.PIPE)
    process.stdin.write(b"x" * size)
    process.stdin.flush()
    process.send_signal(number)
    process.stdin.close()
    assert ends_within(process, SECONDS)[0] == 130


@pytest.mark.parametrize("size", [MiB, 12 * MiB, 3 * MiB], ids=lambda size: f"{size // MiB}MiB")
def test_a_signal_to_the_whole_pipeline_replaces_nothing(stored, size):
    """The producer ends of the signal too, and the end of input may come first."""
    script = f"head -c {size} /dev/zero; echo there >&2; exec sleep 60"
    producer = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=os.setpgrp)
    process = start_upload(stored, "s3://bucket/key", stdin=producer.stdout,
                           preexec_fn=lambda: os.setpgid(0, producer.pid))
    producer.stdout.close()
    assert producer.stderr.readline() == b"there\n"
    os.killpg(producer.pid, signal.SIGINT)
    assert ends_within(process, SECONDS)[0] == 130
    producer.wait()


@pytest.mark.parametrize("given", [b"", b"x" * 100, b"x" * (9 * MiB)], ids=["nothing", "a little", "more than a part"])
def test_a_silent_pipe_does_not_hold_a_signal_up(stored, given):
    reader, writer = os.pipe()
    process = start_upload(stored, "s3://bucket/key", stdin=reader)
    os.close(reader)
    os.write(writer, given[:4096])
    for at in range(4096, len(given), 4096):
        os.write(writer, given[at:at + 4096])
    wait_until(lambda: takes_signals(process))
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, SECONDS)[0] == 130
    os.close(writer)


def takes_signals(process):
    """Whether the thread that takes signals is there."""
    return len(os.listdir(f"/proc/{process.pid}/task")) > 1


@pytest.mark.parametrize("numbers", [[signal.SIGINT] * 2, [signal.SIGTERM, signal.SIGINT], [signal.SIGINT] * 3],
                         ids=lambda numbers: " ".join(number.name for number in numbers))
def test_several_signals_leave_no_upload_behind(stored, numbers):
    process = start_upload(stored, "s3://bucket/key", stdin=subprocess.PIPE)
    process.stdin.write(b"x" * (20 * MiB))
    process.stdin.flush()
    for number in numbers[:2]:
        process.send_signal(number)
    status, _ = ends_within(process, SECONDS)
    assert status in [128 + number for number in numbers]
    process.stdin.close()


# Output

@pytest.mark.parametrize("arguments", [("s3", "cp", "s3://bucket/large", "-"), ("s3", "ls", "s3://bucket"),
                                       ("archive", "create", "-", "files")], ids=" ".join)
def test_a_full_pipe_does_not_hold_a_signal_up(stored, arguments):
    stored.put("bucket", "large", os.urandom(2 * MiB))
    write_tree(stored.directory / "files", {"f": os.urandom(2 * MiB)})
    reader, writer, _ = full_pipe()
    process = stored.start(*arguments, stdout=writer)
    os.close(writer)
    wait_until(lambda: takes_signals(process))
    process.send_signal(signal.SIGINT)
    assert ends_within(process, SECONDS)[0] == 130
    os.close(reader)


@pytest.mark.parametrize("arguments", [("s3", "cp", "s3://bucket/key", "pipe"), ("archive", "create", "pipe", "files"),
                                       ("archive", "index", "foreign.tar.zst", "--to", "pipe")], ids=" ".join)
def test_a_pipe_that_nobody_reads_does_not_hold_a_signal_up(stored, arguments):
    write_tree(stored.directory / "files", {"f": b"x"})
    subprocess.run("tar -cf - files | zstd -q > foreign.tar.zst", shell=True, cwd=stored.directory, check=True)
    os.mkfifo(stored.directory / "pipe")
    process = stored.start(*arguments)
    wait_until(lambda: takes_signals(process))
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, SECONDS)[0] == 130


@pytest.mark.parametrize("arguments", [("s3", "cp", "s3://bucket/large", "pipe"),
                                       ("archive", "create", "pipe", "files")], ids=" ".join)
def test_a_pipe_whose_reader_stops_does_not_hold_a_signal_up(stored, arguments):
    stored.put("bucket", "large", os.urandom(2 * MiB))
    write_tree(stored.directory / "files", {"f": os.urandom(2 * MiB)})
    os.mkfifo(stored.directory / "pipe")
    process = stored.start(*arguments)
    with open(stored.directory / "pipe", "rb", buffering=0) as pipe:
        assert pipe.read(10)
        process.send_signal(signal.SIGINT)
        assert ends_within(process, SECONDS)[0] == 130


def test_a_pipe_in_the_place_of_a_file_that_is_read_is_refused(bale):
    """Nobody waits for a writer."""
    os.mkfifo(bale.directory / "pipe")
    finished = bale.run("config", "check", bale.directory / "pipe", status=None, timeout=20)
    assert finished.status != 0


# A server

class Silent(http.server.BaseHTTPRequestHandler):
    """S3 whose uploads begin, and whose parts are never answered."""
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.answer(200, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")

    def do_PUT(self):
        self.server.parts.set()
        self.server.over.wait(60)

    def do_HEAD(self):
        self.answer(200)

    def do_GET(self):
        self.server.parts.set()
        self.server.over.wait(60)

    def do_DELETE(self):
        self.server.removed.append(self.path)
        self.answer(204)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def silent(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    server.removed, server.parts, server.over = [], threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class OnSilent(Bale):
        def store_options(self):
            return [b"--endpoint-url", f"http://127.0.0.1:{server.server_port}".encode()]

        def environment(self):
            return super().environment() | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                                            "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}

    yield OnSilent(tmp_path), server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("source", ["file", "-"])
def test_a_server_that_is_silent_does_not_hold_a_signal_up(silent, source, signals):
    bale, server = silent
    (bale.directory / "file").write_bytes(b"x" * (20 * MiB))
    with open(bale.directory / "file", "rb") as given:
        process = subprocess.Popen(bale.command("s3", "cp", source, "s3://bucket/key"), cwd=bale.directory, stdin=given,
                                   env=bale.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.parts.wait(30)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    assert ends_within(process, SECONDS)[0] == 130
    assert any("uploadId=u1" in path for path in server.removed)


@pytest.mark.parametrize("arguments", [("ls", "s3://bucket"), ("cp", "s3://bucket/key", "-"),
                                       ("cp", "s3://bucket/key", "out")], ids=" ".join)
def test_a_server_that_answers_no_read_does_not_hold_a_signal_up(silent, arguments):
    bale, server = silent
    process = bale.start("s3", *arguments)
    assert server.parts.wait(30)
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, SECONDS)[0] == 130
    assert not (bale.directory / "out").exists()


@pytest.fixture
def mute():
    """A server that takes requests, and never answers one."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked, kept = threading.Event(), []

    def take():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            threading.Thread(target=lambda: connection.recv(1) and asked.set(), daemon=True).start()

    threading.Thread(target=take, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()
    for connection in kept:
        connection.close()


KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize("arguments", [
    ("doctor", "s3://bucket"), ("estimate", "s3://bucket", "--to", "eu-west-1"), ("check", "--catalog", "s3://bucket"),
    ("catalog", "sync", "--catalog", "s3://bucket"), ("catalog", "sql", "--catalog", "s3://bucket", "SELECT 1"),
    ("catalog", "stats", "--catalog", "s3://bucket"), ("catalog", "search", "x", "--catalog", "s3://bucket"),
    ("catalog", "sql", "--engine", "athena", "--workgroup", "w", "--database", "d", "SELECT 1"),
    ("restore", "x", "--catalog", "s3://bucket", "--to", "out"), ("s3", "mb", "s3://bucket"),
    ("s3", "rb", "s3://bucket"), ("s3", "rm", "s3://bucket/key")], ids=" ".join)
def test_a_server_that_answers_nothing_does_not_hold_a_signal_up(mute, arguments, tmp_path):
    assert_ends_of_a_signal(mute, tmp_path, arguments, KEYS)


@pytest.mark.parametrize("service", ["container", "instance", "web identity"])
def test_a_service_of_credentials_that_answers_nothing_does_not_hold_a_signal_up(mute, service, tmp_path):
    (tmp_path / "token").write_text("token")
    given = {"container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": mute[0] + "/keys"},
             "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": mute[0], "AWS_EC2_METADATA_DISABLED": "false"},
             "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ENDPOINT_URL_STS": mute[0],
                              "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}}[service]
    assert_ends_of_a_signal(mute, tmp_path, ("s3", "ls", "s3://bucket"), given)


def assert_ends_of_a_signal(mute, directory, arguments, variables):
    endpoint, asked = mute

    class OnMute(Bale):
        def store_options(self):
            return []

        def environment(self):
            common = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1"}
            return super().environment() | common | {"HOME": str(directory)} | variables

    process = OnMute(directory).start(*arguments)
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    assert ends_within(process, SECONDS)[0] == 130


@pytest.mark.parametrize("arguments", [("s3", "cp", "file", "s3://bucket/key"), ("s3", "rm", "s3://bucket/key"),
                                       ("s3", "ls", "s3://bucket"), ("doctor", "s3://bucket")], ids=" ".join)
def test_the_lock_of_another_process_does_not_hold_a_signal_up(stored, arguments):
    (stored.directory / "file").write_bytes(b"new")
    other = sqlite3.connect(stored.store / "bale.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    process = stored.start(*arguments)
    wait_until(lambda: takes_signals(process))
    time.sleep(0.5)  # until it waits for the lock; earlier is right as well
    process.send_signal(signal.SIGTERM)
    assert ends_within(process, SECONDS)[0] == 130
    other.execute("ROLLBACK")
    other.close()


# Closed standard streams

def run_shell(bale, redirection, *arguments):
    command = " ".join(f"'{os.fsdecode(argument)}'" for argument in bale.command(*arguments))
    return subprocess.run(["sh", "-c", f"{command} {redirection}"], cwd=bale.directory, env=bale.environment(),
                          capture_output=True, timeout=60)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_nothing_is_written_into_what_took_the_number_of_a_closed_stream(bale, redirection):
    bale.make_bucket("bucket", SOURCE_REGION)
    files = {f"f{number}": os.urandom(3000) for number in range(30)}
    write_tree(bale.directory / "in", files)
    done = run_shell(bale, redirection, "s3", "cp", "--recursive", "in", "s3://bucket/")
    assert done.returncode == 0, done
    done = run_shell(bale, redirection, "--log-level", "debug", "s3", "cp", "--recursive", "s3://bucket/", "out")
    assert done.returncode == 0, done
    assert {name: (bale.directory / "out" / name).read_bytes() for name in files} == files
    done = run_shell(bale, redirection, "archive", "create", "a.tar.zst", "in")
    assert done.returncode == 0, done
    assert len(bale.json("archive", "verify", "a.tar.zst")) == 1
    assert b"bucket" not in (bale.directory / "a.tar.zst").read_bytes()
    assert bale.keys("bucket") == sorted(files)


def test_a_closed_input_is_no_empty_object(stored):
    done = run_shell(stored, "<&-", "s3", "cp", "-", "s3://bucket/key")
    assert done.returncode == 4 and b"standard input" in done.stderr, done


# Names that move the cursor

@pytest.mark.parametrize("arguments", [
    ("s3", "ls", "s3://b\x1b[31m/"), ("s3", "ls", "s3:\x1b[31m"), ("s3", "cp", "s3://bucket/\x1b[31m", "out"),
    ("--region", "\x1b[31m", "s3", "ls"), ("s3", "mb", "s3://bucket/\x1b[31mkey"),
    ("s3", "rm", "--recursive", "\x1b[31m\nx"), ("s3", "presign", "s3://\x1b[31m\r/x"), ("\x1b[31m",),
    ("--log-format", "\x1b[31m", "s3", "ls"), ("--log-level", "\x1b[31m", "s3", "ls"),
    ("--memory-limit", "\x1b[31m", "s3", "ls"), ("s3", "cp", "a", "s3://bucket/x", "--metadata", "\x1b[31m\n"),
    ("restore", "x", "--to", "out", "--as-of", "\x1b[31m\nhint: y"),
    ("restore", "x", "--to", "s3://\x1b[31m\x9b/"), ("catalog", "search", "x", "--since", "\x1b[31m\t\n")],
    ids=lambda arguments: ascii(" ".join(arguments)))
@pytest.mark.parametrize("output", ["text", "json"])
def test_escape_codes_in_what_was_given_never_reach_the_terminal(bale, arguments, output):
    bale.make_bucket("bucket", SOURCE_REGION)
    finished = bale.run("--output", output, *arguments, status=None)
    assert finished.status in (2, 3), finished
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\r]", finished.err + finished.out), finished
    own = ("bale: ", "hint: ", "cause: ", "{", "  ")
    assert [line for line in finished.err.splitlines() if not line.startswith(own)] == [], finished
