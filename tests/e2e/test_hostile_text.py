"""Text of strangers on the terminal: no escape codes, whoever wrote them; and no secrets of URLs."""
import http.server
import json
import re
import subprocess
import threading

import pytest
from conftest import SOURCE_REGION

ESCAPES = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e\u2066\x7f"
# Everything that moves a cursor, ends a line, or turns text around; "\n" and "\t" are the program's own.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
SECRETS = ("s3cr3t", "us3r", "t0k3n")


def assert_clean(text):
    assert not CONTROLS.search(text), CONTROLS.sub(lambda found: f"<<{ord(found[0]):04x}>>", text)


def run(bale, *arguments, local=True, environment=None):
    command = bale.command(*arguments) if local else [bale.command()[0], *map(str, arguments)]
    finished = subprocess.run(command, env=bale.environment() | (environment or {}), cwd=bale.directory,
                              capture_output=True, timeout=60)
    assert finished.returncode >= 0, finished
    return finished.stdout.decode() + finished.stderr.decode()


BAD = "b" + ESCAPES


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("arguments", [
    ("s3", "ls", f"s3://{BAD}"), ("s3", "mb", f"s3://{BAD}"), ("s3", "rm", f"s3://{BAD}/k"),
    ("s3", "stat", f"s3://bucket/{BAD}"), ("s3", "stat", "s3://bucket/k", "--version-id", BAD),
    ("s3", "cp", f"{BAD}", "s3://bucket/k"), ("s3", "cp", "s3://bucket/k", f"{BAD}/x/y"), ("s3", "ls", BAD),
    ("--region", BAD, "s3", "ls"), ("--log-level", BAD, "s3", "ls"), (BAD,), ("s3", BAD), ("s3", "ls", f"--{BAD}"),
    ("--connections", BAD, "s3", "ls"), ("--memory-limit", BAD, "s3", "ls"), ("--output", BAD, "s3", "ls"),
    ("archive", "list", BAD), ("catalog", "search", "--catalog", f"s3://{BAD}", "x"),
    ("restore", "x", "--to", "out", "--catalog", f"s3://{BAD}"),
    ("restore", "x", "--to", "out", "--catalog", "s3://bucket", "--as-of", BAD),
    ("catalog", "sql", "--catalog", "s3://bucket", f"select '{BAD}'"), ("config", "check", "--config", BAD),
    ("replicate", "run", "--config", BAD), ("--profile", BAD, "s3", "ls"), ("estimate", f"s3://{BAD}", "--to", BAD),
    ("doctor", f"s3://{BAD}"), ("s3", "cp", "s3://bucket/k", "s3://bucket/l", "--storage-class", BAD),
    ("s3", "presign", "s3://bucket/k", "--expires-in", BAD)], ids=lambda arguments: ascii(" ".join(arguments))[:60])
def test_arguments_are_shown_without_escape_codes(bale, arguments, output):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "k", b"x")
    text = run(bale, *arguments, "--output", output) if "--output" not in arguments else run(bale, *arguments)
    assert text
    assert_clean(text)
    if output == "json" and "--output" not in arguments:
        for line in text.splitlines():
            json.loads(line)


def test_names_of_objects_are_shown_without_escape_codes(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", BAD, b"x", "--content-type", "text/plain", "--metadata", f"note={BAD}")
    for output in ("text", "json"):
        for arguments in (("s3", "ls", "--recursive", "s3://bucket"), ("s3", "ls", "--versions", "s3://bucket"),
                          ("s3", "stat", f"s3://bucket/{BAD}"), ("s3", "rm", "--dryrun", "--recursive", "s3://bucket")):
            text = run(bale, "--output", output, *arguments)
            assert_clean(text)
            if output == "json":
                for line in text.splitlines():
                    key = json.loads(line).get("key", BAD)
                    assert key == BAD, "what is escaped means the same"


class Stranger(http.server.BaseHTTPRequestHandler):
    """A server whose every text is hostile."""

    protocol_version = "HTTP/1.1"
    headers_to_send = {"ETag": f'"{ESCAPES}"', "x-amz-version-id": ESCAPES, "Content-Type": ESCAPES,
                       "x-amz-storage-class": ESCAPES, "x-amz-bucket-region": ESCAPES, "x-amz-request-id": ESCAPES,
                       "x-amz-meta-note": ESCAPES, "Last-Modified": "Thu, 23 Jan 2025 09:05:07 GMT",
                       "x-amz-server-side-encryption": ESCAPES, "Cache-Control": ESCAPES}

    def answer(self, status, body):
        self.send_response_only(status)
        for name, value in self.headers_to_send.items():
            self.wfile.write(f"{name}: {value}\r\n".encode().replace(b"\x07", b""))
        self.wfile.write(f"Content-Length: {len(body)}\r\n\r\n".encode())
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        hostile = "".join(f"&#{ord(c)};" for c in ESCAPES)
        if self.server.refuses:
            body = f"<Error><Code>{hostile}</Code><Message>{hostile}</Message><Region>{hostile}</Region></Error>"
            return self.answer(403, body.encode())
        if "/bucket/" in self.path and "list-type" not in self.path and "versions" not in self.path:
            return self.answer(200, b"12345")
        if self.path.startswith("/?") or self.path == "/":
            body = (f"<ListAllMyBucketsResult><Buckets><Bucket><Name>b{hostile}</Name>"
                    f"<CreationDate>2025-01-23T09:05:07Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>")
            return self.answer(200, body.encode())
        entry = (f"<Key>k{hostile}</Key><VersionId>{hostile}</VersionId><ETag>{hostile}</ETag><Size>5</Size>"
                 f"<LastModified>2025-01-23T09:05:07Z</LastModified><StorageClass>{hostile}</StorageClass>"
                 f"<Owner><ID>{hostile}</ID><DisplayName>{hostile}</DisplayName></Owner>")
        if "versions" in self.path:
            body = f"<ListVersionsResult><Version>{entry}<IsLatest>true</IsLatest></Version></ListVersionsResult>"
        else:
            body = (f"<ListBucketResult><Contents>{entry}</Contents><CommonPrefixes><Prefix>p{hostile}/</Prefix>"
                    f"</CommonPrefixes></ListBucketResult>")
        return self.answer(200, body.encode())

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one

    def log_message(self, *arguments):
        pass


@pytest.fixture
def stranger():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.refuses = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3tkey", "AWS_SESSION_TOKEN": "t0k3n",
        "AWS_MAX_ATTEMPTS": "1"}


@pytest.mark.parametrize("refuses", [False, True], ids=["answers", "refuses"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_texts_of_a_server_are_shown_without_escape_codes(bale, stranger, refuses, output):
    stranger.refuses = refuses
    url = f"http://127.0.0.1:{stranger.server_port}"
    for arguments in (("s3", "ls"), ("s3", "ls", "s3://bucket"), ("s3", "ls", "--recursive", "s3://bucket"),
                      ("s3", "ls", "--versions", "s3://bucket"), ("s3", "stat", "s3://bucket/k"),
                      ("s3", "stat", "s3://bucket"), ("s3", "cp", "s3://bucket/k", "gotten"),
                      ("s3", "cp", "s3://bucket/k", "s3://bucket/l"), ("s3", "rm", "s3://bucket/k"),
                      ("s3", "mb", "s3://bucket"), ("doctor", "s3://bucket"),
                      ("catalog", "sync", "--catalog", "s3://bucket"),
                      ("s3", "ls", "s3://bucket", "--log-format", "json"),
                      ("estimate", "s3://bucket", "--to", "eu-west-1")):
        text = run(bale, "--endpoint-url", url, "--output", output, "--log-level", "debug", *arguments, local=False,
                   environment=KEYS)
        assert_clean(text)


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("variables", [
    {"AWS_ENDPOINT_URL": "http://us3r:s3cr3t@127.0.0.1:1"}, {"AWS_ENDPOINT_URL": "us3r:s3cr3t@127.0.0.1:1"},
    {"AWS_ENDPOINT_URL": "http://us3r:s3/cr3t?s3cr3t@127.0.0.1:1/"}, {"AWS_ENDPOINT_URL_S3": "ftp://us3r:s3cr3t@host"},
    {"AWS_ENDPOINT_URL": "http://127.0.0.1:1/?token=t0k3n"},
    {"http_proxy": "http://us3r:s3cr3t@127.0.0.1:1"}, {"http_proxy": "us3r:s3cr3t@127.0.0.1:1"},
    {"HTTP_PROXY": "http://us3r:s3cr3t@no.such.host.invalid:3128"}, {"http_proxy": "nonsense://us3r:s3cr3t@host"},
    {"http_proxy": "http://us3r:s3cr3t@host:port"}, {"http_proxy": "http://us3r:s3cr3t@[::1"},
    {"http_proxy": "http://us3r:s3/c%r3t@127.0.0.1:1"}, {"https_proxy": "http://us3r:s3cr3t@127.0.0.1:1"}],
    ids=lambda variables: next(iter(variables)) + " " + ascii(next(iter(variables.values()))))
def test_secrets_of_urls_are_not_shown(bale, variables, output):
    given = {"AWS_ENDPOINT_URL": ("https" if "https_proxy" in variables else "http") + "://far.invalid"}
    for arguments in (("s3", "ls", "s3://bucket"), ("doctor", "s3://bucket"), ("s3", "cp", "s3://bucket/k", "x")):
        text = run(bale, "--output", output, "--log-level", "debug", *arguments, local=False,
                   environment=KEYS | given | variables)
        assert text
        assert not [secret for secret in SECRETS if secret in text], text


@pytest.mark.parametrize("url", ["https://us3r:s3cr3t@host/bucket/key", "http://us3r:s3cr3t@host",
                                 "https://host/b/k?X-Amz-Signature=s3cr3t&X-Amz-Security-Token=t0k3n"])
def test_secrets_of_urls_in_arguments_are_not_repeated(bale, url):
    for arguments in (("s3", "ls", url), ("s3", "cp", url, "."), ("archive", "list", url), (url,),
                      ("--endpoint-url", url, "s3", "ls"), ("catalog", "search", "--catalog", url, "x"),
                      ("config", "check", "--config", url)):
        text = run(bale, *arguments, local=False, environment=KEYS)
        assert text
        assert not [secret for secret in SECRETS if secret in text], text
