"""The catalog's bucket is the truth: no wrong clock, no old index and no wrong listing stands in its place."""
import datetime
import hashlib
import http.server
import json
import os
import shutil
import sqlite3
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

import pytest
from conftest import ACCOUNT, BACKUP_REGION, STACK, Bale, MiB, measured, tree_of

CATALOG = f"{STACK}-{ACCOUNT}-{BACKUP_REGION}-catalog"


def row(key, day, size=7):
    return {"backup_file": "0a1b.tar.zst", "backup_timestamp": 1737417600.25, "backup_date": day,
            "source_bucket": "src", "source_prefix": "",
            "object_name": key.rsplit("/", 1)[-1], "object_path": key, "object_size": size,
            "creation_time": day + " 10:00:00", "creation_date": day, "target_buckets": ["vault"]}


def file_text(*keys, day="2025-01-20"):
    return "".join(json.dumps(row(key, day)) + "\n" for key in keys).encode()


def partition(day, name):
    year, month, date = day.split("-")
    return f"src/year={year}/month={month}/day={date}/{name}.jsonl"


class BackedUp:
    """Backups of a bucket, their catalog, and a local index of it."""

    def __init__(self, bale):
        self.bale = bale
        bale.mixed()

    def put(self, key, content):
        """Backs a version up; returns the key of its catalog file."""
        before = set(self.bale.keys(CATALOG))
        self.bale.put("source", key, content)
        self.bale.until_idle()
        file, = set(self.bale.keys(CATALOG)) - before
        return file

    def archive_of(self, file):
        return json.loads(self.bale.get(CATALOG, file).splitlines()[0])["archive_key"]

    def remove_archive(self, file):
        self.bale.remove("backup", self.archive_of(file))

    def move(self, file, day):
        """The catalog file gets the date of a wrong clock."""
        year, month, date = day.split("-")
        parts = file.split("/")
        parts[-4:-1] = [f"year={year}", f"month={month}", f"day={date}"]
        self.bale.put(CATALOG, "/".join(parts), self.bale.get(CATALOG, file))
        self.bale.remove(CATALOG, file)
        return "/".join(parts)

    def sync(self, *arguments, status=0):
        return self.bale.run("catalog", "sync", "--config", self.bale.config, *arguments, status=status)

    def restore(self, *arguments, status=0):
        out = self.bale.directory / "out"
        shutil.rmtree(out, ignore_errors=True)
        finished = self.bale.restore(out, *arguments, status=status)
        return finished, tree_of(out) if out.exists() else {}

    def index(self):
        path, = (self.bale.directory / "cache/bale/catalogs").glob("*.sqlite")
        return path


@pytest.fixture
def backed_up(bale):
    return BackedUp(bale)


def days_from_now(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


@pytest.mark.parametrize("day", [days_from_now(2), days_from_now(10), days_from_now(4 * 365), "9999-12-31"])
def test_a_date_in_the_future_is_told_and_hides_nothing(backed_up, day):
    wrong = backed_up.move(backed_up.put("k", b"old"), day)
    backed_up.sync()
    backed_up.put("k", b"new")
    finished = backed_up.sync()
    assert wrong in finished.err and day in finished.err and "future" in finished.err, finished
    assert backed_up.restore("*")[1] == {"k": b"new"}
    assert json.loads(backed_up.sync("--output", "json").out)["files_in_future"] == 1


@pytest.mark.parametrize("day", [days_from_now(-20), "2019-03-01", "1970-01-01"])
def test_a_date_long_ago_is_found(backed_up, day):
    backed_up.put("k", b"old")
    backed_up.sync()
    backed_up.move(backed_up.put("k", b"new"), day)
    assert "1 file added" in backed_up.sync().out
    assert backed_up.restore("*")[1] == {"k": b"new"}


def test_what_left_the_catalog_leaves_the_index(backed_up):
    backed_up.put("a", b"1")
    gone = backed_up.put("b", b"2")
    backed_up.sync()
    backed_up.bale.remove(CATALOG, gone)
    assert "1 gone" in backed_up.sync().out
    assert [record["object_path"] for record in backed_up.bale.search()] == ["a"]


def test_an_index_of_a_store_that_was_here_before_is_not_believed(backed_up):
    bale = backed_up.bale
    for number in range(3):
        backed_up.put("k", b"first store %d" % number)
    backed_up.put("lost", b"first store")
    backed_up.sync()
    shutil.rmtree(bale.store)
    again = BackedUp(bale)
    again.put("k", b"second store")
    finished, files = again.restore("*")
    assert files == {"k": b"second store"}, finished
    assert "was here before" in finished.err
    finished = again.sync()
    assert finished.err.count("made anew") == 1, finished
    finished, files = again.restore("*")
    assert files == {"k": b"second store"} and finished.err == "", finished
    bale.run("catalog", "sql", "SELECT * FROM catalog", "--config", bale.config)


def test_an_archive_that_is_gone_is_looked_for_in_the_catalog_again(backed_up):
    first = backed_up.put("k", b"first")
    backed_up.sync()
    backed_up.put("k", b"second")
    backed_up.remove_archive(first)
    finished, files = backed_up.restore("*")
    assert files == {"k": b"second"} and "asked again" in finished.err, finished


def test_an_older_version_is_restored_when_it_is_asked_for(backed_up):
    backed_up.put("k", b"older")
    time.sleep(1.1)
    newest = backed_up.put("k", b"newest")
    backed_up.put("other", b"other")
    backed_up.sync()
    backed_up.remove_archive(newest)
    finished, files = backed_up.restore("*", status=1)
    assert files == {"other": b"other"} and "source/k" in finished.err and "--as-of" in finished.err, finished
    moment = finished.err.split("`--as-of ")[1].split("`")[0]
    assert backed_up.restore("k", "--as-of", moment)[1] == {"k": b"older"}


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_bytes(path):
    content = bytearray(path.read_bytes())
    for at in range(5000, len(content), 97):
        content[at] ^= 0x10
    path.write_bytes(content)


def damage_columns(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE columns SET data = zeroblob(length(data))")
    database.close()


def newer_version(path):
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def make_directory(path):
    path.unlink()
    path.mkdir()


DAMAGE = {"truncated": truncate, "emptied to one byte": lambda path: path.write_bytes(b"x"),
          "flipped bytes": flip_bytes, "damaged columns": damage_columns,
          "of a newer version": newer_version, "a directory": make_directory}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_index_is_done_without(backed_up, name):
    for number in range(20):
        backed_up.bale.put("source", f"k{number}", b"content %d" % number)
    backed_up.bale.until_idle()
    backed_up.sync()
    path = backed_up.index()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    DAMAGE[name](path)
    finished, files = backed_up.restore("*")
    assert files == {f"k{number}": b"content %d" % number for number in range(20)}, finished
    assert finished.err.count("warning") == 1 and "bale catalog sync" in finished.err, finished
    found = backed_up.bale.run("catalog", "search", "k7", "--config", backed_up.bale.config)
    assert "k7" in found.out and "bale catalog sync" in found.err, found
    mounted = backed_up.bale.run("mount", "--dryrun", backed_up.bale.directory / "mountpoint", "--config",
                                 backed_up.bale.config, status=None)
    assert mounted.status != 5, mounted
    if name != "a directory":
        backed_up.sync("--rebuild")
        assert backed_up.restore("*")[0].err == ""


@pytest.mark.parametrize("query", [
    "SELECT fts3_tokenizer('simple')", "SELECT load_extension('x')", "SELECT * FROM pragma_database_list",
    "SELECT * FROM sqlite_schema", "SELECT * FROM notes", "SELECT count(*) FROM columns", "SELECT * FROM dbstat",
    "PRAGMA writable_schema=ON", "ATTACH 'x' AS x"])
def test_sql_reaches_the_catalog_alone(backed_up, query):
    finished = backed_up.bale.run("catalog", "sql", query, "--config", backed_up.bale.config, status=2)
    assert finished.out == "" and "only queries that read" in finished.err, finished


@pytest.mark.parametrize("query", ["SELECT json_extract('x', '$')", "SELECT count(*) FROM json_each('[1')",
                                   "SELECT abs(-9223372036854775808)"])
def test_a_query_that_fails_while_it_runs_is_no_damage(backed_up, query):
    finished = backed_up.bale.run("catalog", "sql", query, "--config", backed_up.bale.config, status=2)
    assert finished.out == "" and "the query cannot be run" in finished.err, finished


@pytest.mark.parametrize("query", [
    "SELECT zeroblob(900000000)", "SELECT hex(randomblob(400000000))", "SELECT printf('%1000000000d', 1)",
    "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(400)))",
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) "
    "SELECT group_concat(hex(zeroblob(1000000))) FROM n",
    "SELECT " + ", ".join(["zeroblob(3000000)"] * 300)])
def test_sql_stays_within_the_memory_limit(backed_up, query):
    backed_up.put("k", b"content")
    backed_up.sync()
    finished, peak = measured(backed_up.bale, "--memory-limit", "128MiB", "catalog", "sql", query, "--config",
                              backed_up.bale.config, status=2)
    assert "--memory-limit" in finished.err, finished
    assert peak < 160 * MiB, f"{peak / MiB:.0f} MiB"


# ---- a server that gives one file not, or lists wrongly

class Server:
    """Lists and gives objects of one bucket, as S3 does, unless it is told otherwise."""

    def __init__(self):
        self.objects = {}  # key -> content
        self.refused = {}  # key -> (status, code)
        self.list_answer = None  # (query) -> (keys, common prefixes, next token), or None
        self.requests = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

            do_HEAD = do_GET

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, request):
        self.requests += 1
        path, _, text = request.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        key = urllib.parse.unquote(path).partition("/catalog")[2].lstrip("/")
        if path.strip("/") == "":
            created = "2025-01-01T00:00:00.000Z"
            return self.send(request, 200, "<ListAllMyBucketsResult><Owner><ID>o</ID></Owner><Buckets><Bucket><Name>"
                             f"catalog</Name><CreationDate>{created}</CreationDate></Bucket></Buckets>"
                             "</ListAllMyBucketsResult>")
        if "list-type" in query:
            return self.send(request, 200, self.listing(query))
        status, code = self.refused.get(key, (200, "") if key in self.objects else (404, "NoSuchKey"))
        if status != 200:
            return self.send(request, status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")
        return self.send(request, 200, self.objects[key], {"ETag": self.etag(key)})

    def etag(self, key):
        return f'"{hashlib.md5(self.objects[key]).hexdigest()}"'

    def listing(self, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        keys, prefixes, token = self.list_answer(query) if self.list_answer else self.right_answer(prefix, delimiter,
                                                                                                    query)
        quote = urllib.parse.quote if query.get("encoding-type") == "url" else escape
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2025-01-21T00:00:00.000Z</LastModified><ETag>"
            f"{escape(self.etag(key)) if key in self.objects else '&quot;x&quot;'}</ETag><Size>"
            f"{len(self.objects.get(key, b'x'))}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys)
        below = "".join(f"<CommonPrefixes><Prefix>{quote(p)}</Prefix></CommonPrefixes>" for p in prefixes)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else (
            "<IsTruncated>false</IsTruncated>")
        encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        return (f"<ListBucketResult><Name>catalog</Name><Prefix>{quote(prefix)}</Prefix><KeyCount>"
                f"{len(keys) + len(prefixes)}</KeyCount>{encoding}{more}{contents}{below}</ListBucketResult>")

    def right_answer(self, prefix, delimiter, query):
        keys, prefixes = [], set()
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= query.get("start-after", ""):
                continue
            rest = key[len(prefix):]
            if delimiter and delimiter in rest:
                prefixes.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                keys.append(key)
        return keys, sorted(prefixes), ""

    def send(self, request, status, body, headers=None):
        body = body if isinstance(body, bytes) else body.encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Last-Modified", "Tue, 21 Jan 2025 00:00:00 GMT")
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


class OnServer(Bale):
    def __init__(self, directory, server):
        super().__init__(directory)
        self.server = server

    def store_options(self):
        return [b"--endpoint-url", self.server.endpoint.encode(), b"--region", b"us-east-1"]

    def environment(self):
        return super().environment() | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                                        "AWS_EC2_METADATA_DISABLED": "true"}

    def catalog(self, command, *arguments, status=0, timeout=60):
        return self.run("--output", "json", "catalog", command, *arguments, "--catalog", "s3://catalog", status=status,
                        timeout=timeout)


@pytest.fixture
def served(tmp_path):
    server = Server()
    for number, day in enumerate(["2025-01-18", "2025-01-19", "2025-01-20"]):
        server.objects[partition(day, f"f{number}")] = file_text(f"k{number}", day=day)
    yield OnServer(tmp_path, server)
    server.http.shutdown()


@pytest.mark.parametrize("status, code", [(404, "NoSuchKey"), (403, "AccessDenied"), (403, "InvalidObjectState")])
def test_a_listed_file_that_is_not_given_is_a_finding(served, status, code):
    lost = partition("2025-01-19", "f1")
    served.server.refused[lost] = (status, code)
    for _ in range(2):
        finished = served.catalog("sync", status=1)
        assert finished.lines()[0]["files_unreadable"] == 1 and finished.lines()[0]["rows"] == 2
        error = json.loads(finished.err.splitlines()[-1])
        assert error["type"] == "error" and lost in error["where"] and error["kind"] != "corrupt", finished
    for more in ([], ["--no-index"]):
        finished = served.catalog("search", *more, status=1)
        assert {line["object_path"] for line in finished.lines()} == {"k0", "k2"} and lost in finished.err, finished
    for command in (["sql", "SELECT object_path FROM catalog"], ["stats"]):
        assert lost in served.catalog(*command, status=1).err
    served.server.refused.clear()
    assert served.catalog("sync").lines()[0]["rows"] == 3


def test_a_file_that_is_no_longer_listed_is_gone(served):
    lost = partition("2025-01-19", "f1")
    served.catalog("sync")
    served.server.refused[lost] = (404, "NoSuchKey")
    served.server.objects[lost] = file_text("changed")
    right = served.server.right_answer

    def once(query):
        if lost == query.get("prefix"):
            del served.server.objects[lost]
        return right(query.get("prefix", ""), query.get("delimiter", ""), query)

    served.server.list_answer = once
    line, = served.catalog("sync").lines()
    assert line["files_gone"] == 1 and line["rows"] == 2 and "files_unreadable" not in line


def test_a_server_that_hides_its_prefixes_is_listed_as_a_whole(served):
    right = served.server.right_answer
    served.server.list_answer = lambda query: (
        ([], [], "") if query.get("delimiter") else right(query.get("prefix", ""), "", query))
    assert served.catalog("sync").lines()[0]["rows"] == 3
    served.server.objects[partition("2025-01-21", "f3")] = file_text("k3", day="2025-01-21")
    assert served.catalog("sync").lines()[0]["rows"] == 4


def counter():
    numbers = iter(range(10**9))
    return lambda: str(next(numbers))


TOKEN = counter()
WRONG = {
    "another prefix": lambda query: ([], ["elsewhere/"], ""),
    "the prefix itself": lambda query: ([], [query.get("prefix", "") or "src/"], ""),
    "keys elsewhere": lambda query: (["zzz/f.jsonl"] if query.get("prefix") else [], ["src/"], ""),
    "the same token": lambda query: ([], [], "again"),
    "the same page": lambda query: (["a.jsonl"], [], TOKEN()),
    "empty pages": lambda query: ([], [], TOKEN()),
    "out of order": lambda query: (["b.jsonl", "a.jsonl"], [], ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_listing_ends_with_the_servers_fault(served, name):
    served.server.list_answer = WRONG[name]
    for command in (["sync"], ["search", "--no-index"]):
        if command[0] == "search" and name in ("another prefix", "the prefix itself", "keys elsewhere"):
            continue  # one listing without a delimiter
        finished = served.catalog(*command, status=5)
        assert "listing" in finished.err, finished
    assert served.server.requests < 1000
