"""s3 rm --recursive on servers whose listings end early, or go on giving what is gone."""
import http.server
import threading
import urllib.parse
import xml.etree.ElementTree

import pytest
from conftest import Bale

PAGE = 10
NOW = "2025-01-01T00:00:00.001Z"  # by the server's clock, a moment after the first listing


class Server:
    """One bucket with versions. A page of a listing has PAGE entries, and says that it is the last."""

    def __init__(self, has_batches=True):
        self.has_batches = has_batches  # else DeleteObjects is refused
        self.batches = []  # the keys of each request for many deletions
        self.versions = {}  # (key, version) -> "Version" or "DeleteMarker"
        self.modified = {}  # (key, version) -> LastModified
        self.ghosts = set()  # listed although they are gone
        self.kept = set()  # there although their removal was confirmed
        self.errors = {}  # (key, version) -> how often its removal ends with NoSuchBucket after it is done
        self.when_listed = lambda: None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.list(self)

            def do_HEAD(self):
                server.head(self)

            def do_DELETE(self):
                server.remove(self)

            def do_POST(self):
                server.remove_many(self)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.http.server_address[1]}"

    def entry_of(self, request):
        path, _, query = request.path.partition("?")
        key = urllib.parse.unquote(path).removeprefix("/bucket").lstrip("/")
        return key, dict(urllib.parse.parse_qsl(query)).get("versionId", "")

    def list(self, request):
        query = request.path.partition("?")[2]
        if "list-type" not in query and "versions" not in query:
            return self.send(request, 404, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")
        self.when_listed()
        versions = "versions" in query
        entries = [entry for entry in sorted(set(self.versions) | self.ghosts)][:PAGE]
        text = "".join(
            f"<{self.versions.get(entry, 'Version') if versions else 'Contents'}><Key>{entry[0]}</Key>"
            + (f"<VersionId>{entry[1]}</VersionId>" if versions else "")
            + f"<LastModified>{self.modified.get(entry, '2025-01-01T00:00:00.000Z')}</LastModified>"
            f"<ETag>&quot;x&quot;</ETag><Size>1</Size>"
            f"</{self.versions.get(entry, 'Version') if versions else 'Contents'}>" for entry in entries)
        name = "ListVersionsResult" if versions else "ListBucketResult"
        return self.send(request, 200, f"<{name}><Name>bucket</Name><Prefix/><IsTruncated>false</IsTruncated>{text}"
                                       f"</{name}>")

    def head(self, request):
        entry = self.entry_of(request)
        is_there = entry[0] == "" or entry in self.versions
        headers = {"ETag": '"x"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"} if entry[0] else {}
        return self.send(request, 200 if is_there else 404, "", headers)

    def remove_many(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if not self.has_batches:
            return self.send(request, 501, "<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
        namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        results = ""
        self.batches.append([])
        for node in xml.etree.ElementTree.fromstring(body).iter(f"{namespace}Object"):
            entry = (node.findtext(f"{namespace}Key"), node.findtext(f"{namespace}VersionId") or "")
            self.batches[-1].append(entry[0])
            named = f"<Key>{entry[0]}</Key>" + (f"<VersionId>{entry[1]}</VersionId>" if entry[1] else "")
            if entry not in self.kept:
                self.versions.pop(entry, None)
            if self.errors.get(entry, 0) > 0:
                self.errors[entry] -= 1
                results += f"<Error>{named}<Code>NoSuchKey</Code><Message>no</Message></Error>"
            else:
                results += f"<Deleted>{named}</Deleted>"
        return self.send(request, 200, f"<DeleteResult>{results}</DeleteResult>")

    def remove(self, request):
        entry = self.entry_of(request)
        if entry not in self.kept:
            self.versions.pop(entry, None)
        if self.errors.get(entry, 0) > 0:
            self.errors[entry] -= 1
            return self.send(request, 404, "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>")
        return self.send(request, 204, "")

    def send(self, request, status, body, headers=None):
        request.send_response(status)
        request.send_header("x-amz-request-id", "1")
        if status != 204:
            request.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body.encode())


class OnServer(Bale):
    def __init__(self, directory, server):
        super().__init__(directory)
        self.server = server

    def store_options(self):
        return [b"--endpoint-url", self.server.endpoint.encode(), b"--region", b"us-east-1"]

    def environment(self):
        return super().environment() | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                                        "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(params=[True, False], ids=["batches", "one-by-one"])
def served(tmp_path, request):
    server = Server(has_batches=request.param)
    yield OnServer(tmp_path, server)
    server.http.shutdown()


def test_listings_that_end_early(served):
    kinds = ["Version", "DeleteMarker"]
    served.server.versions = {(f"k{number % 7}", f"v{number}"): kinds[number % 2] for number in range(35)}
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "s3://bucket")
    assert served.server.versions == {} and finished.out.count("delete: ") == 35 and finished.err == ""
    served.server.versions = {(f"k{number}", ""): "Version" for number in range(25)}
    finished = served.run("s3", "rm", "--recursive", "s3://bucket")
    assert served.server.versions == {} and finished.out.count("delete: ") == 25
    if served.server.has_batches:
        assert [len(batch) for batch in served.server.batches] == [10] * 3 + [5] + [10] * 2 + [5]


@pytest.mark.parametrize("options", [(), ("--all-versions",)], ids=["objects", "versions"])
def test_a_server_that_knows_no_prefixes_has_nothing_else_removed(served, options):
    """It lists the whole bucket, whatever was asked for."""
    outside = {("b", ""): "Version", ("bb/c", ""): "Version"}
    served.server.versions = {("a/1", ""): "Version", **outside}
    finished = served.run("s3", "rm", "--recursive", *options, "s3://bucket/a/", status=5)
    assert "b does not begin with the prefix that was asked for" in finished.err
    assert {entry: served.server.versions.get(entry) for entry in outside} == outside
    for command in (("cp", "--recursive", "s3://bucket/a/", "out"), ("ls", "s3://bucket/a/"),
                    ("ls", "--recursive", "s3://bucket/a/")):
        finished = served.run("s3", *command, status=5)
        assert "does not begin with the prefix" in finished.err


def test_a_dry_run_lists_once(served):
    served.server.versions = {(f"k{number}", "v"): "Version" for number in range(25)}
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "--dryrun", "s3://bucket")
    assert len(served.server.versions) == 25 and finished.out.count("delete: ") == PAGE


def test_what_is_gone_and_still_listed_is_no_failure(served):
    served.server.versions = {("a%2Fb", "v1"): "Version", ("c", "v2"): "Version"}
    served.server.ghosts = {("a%2Fb", "v1")}
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "s3://bucket")
    assert "is gone, and the server goes on listing it" in finished.err and served.server.versions == {}


def test_what_stays_is_named(served):
    served.server.versions = {("a", "v1"): "DeleteMarker", ("b", "v2"): "Version", ("c", "v3"): "Version"}
    served.server.kept = {("a", "v1"), ("b", "v2")}
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "s3://bucket", status=1)
    assert finished.err.count("it is still there after the server said that it is removed") == 2
    assert "s3://bucket/a" in finished.err and "s3://bucket/b" in finished.err and "s3://bucket/c" not in finished.err


def test_a_wrong_refusal_is_looked_at_again(served):
    served.server.versions = {("a", "v1"): "Version", ("b", "v2"): "Version"}
    served.server.errors = {("a", "v1"): 1}
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "s3://bucket")
    assert finished.err == "" and served.server.versions == {}


def test_what_comes_meanwhile_is_left_and_counted(served):
    served.server.versions = {("a", "v1"): "Version"}
    numbers = iter(range(1000))

    def write():
        entry = (f"new{next(numbers)}", "v")
        served.server.versions[entry], served.server.modified[entry] = "Version", NOW

    # Not before the first listing: that one removes all that it gives.
    listed = iter(range(1000))
    served.server.when_listed = lambda: write() if next(listed) > 0 else None
    finished = served.run("s3", "rm", "--recursive", "--all-versions", "s3://bucket")
    assert "newer than all that was listed first left" in finished.err and ("a", "v1") not in served.server.versions
    assert 1 <= len(served.server.versions) <= 3
