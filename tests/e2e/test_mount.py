"""`bale mount`: the backup as a directory tree, read by ordinary programs."""
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import BACKUP_REGION, Bale, MiB, clean_environment, text_of, tree_of, wait_until, write_tree
from test_restore import ODD_KEYS

CATALOG = f"e2e-000000000000-{BACKUP_REGION}-catalog"


def why_not():
    """Why nothing can be mounted here; nothing where it can."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if os.geteuid() != 0 and not shutil.which("fusermount3"):
        return "there is no fusermount3, and only root can do without"
    if os.geteuid() == 0:
        # CAP_SYS_ADMIN is capability 21: a container's root may lack it.
        status = pathlib.Path("/proc/self/status").read_text()
        effective = int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16)
        if not effective >> 21 & 1:
            return "this container may not mount"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can")


class Mount:
    """A mount that ends with the `with`, and must end well."""

    def __init__(self, bale, *options, status=0, catalog=None):
        self.bale, self.status = bale, status
        self.path = bale.directory / "mnt"
        self.path.mkdir(exist_ok=True)
        self.options = ["--catalog", catalog] if catalog else ["--config", bale.config]
        self.options += options

    def __enter__(self):
        self.process = self.bale.start("--output", "json", "mount", self.path, *self.options)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1].decode())
        self.mounted = json.loads(line)
        return self

    def __exit__(self, kind, *_):
        self.end(check=kind is None)

    def end(self, how=signal.SIGTERM, check=True):
        """Ends the mount; returns what it logged."""
        if self.process.poll() is None and how:
            self.process.send_signal(how)
        try:
            _, err = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            subprocess.run(["umount", "-l", self.path], check=False)
            raise AssertionError("the mount did not end") from None
        except ValueError:  # ended before
            return self.err
        self.err = err.decode(errors="surrogateescape")
        if check:
            assert self.process.returncode == self.status, self.err
            assert not os.path.ismount(self.path)
        return self.err


def archive_of(bale):
    """The file of the embedded store that holds the only archive."""
    files = [path for path in (bale.store / "s3").rglob("*") if path.is_file()]
    archives = [path for path in files if path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"]
    assert len(archives) == 1, files
    return archives[0]


def small_backup(bale, files):
    bale.mixed()
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()


def test_the_whole_tree_is_what_was_put(bale, seeded):
    files = {f"d{i % 7}/e{i % 3}/f{i}": text_of(seeded, seeded.randrange(20_000)) for i in range(200)}
    files["large"] = seeded.randbytes(40 * MiB)
    files["empty"] = b""
    small_backup(bale, files)
    with Mount(bale) as mount:
        assert mount.mounted["objects"] == len(files) and mount.mounted["bytes"] == sum(map(len, files.values()))
        subprocess.run(["diff", "-r", bale.directory / "in", mount.path], check=True)
        assert tree_of(mount.path) == files
        found = subprocess.run(["find", mount.path, "-type", "f"], stdout=subprocess.PIPE, check=True).stdout
        assert len(found.splitlines()) == len(files)
        # Anywhere in a large file, and many readers at once.
        with open(mount.path / "large", "rb") as large:
            for _ in range(20):
                at = seeded.randrange(40 * MiB)
                large.seek(at)
                assert large.read(5000) == files["large"][at:at + 5000]
        is_right = []
        threads = [threading.Thread(target=lambda: is_right.append((mount.path / "large").read_bytes() ==
                                                                   files["large"])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert is_right == [True] * 4


def test_it_is_read_only_and_looks_like_files(bale):
    small_backup(bale, {"d/one": b"1", "two": b"22"})
    row = bale.search("two")[0]
    with Mount(bale) as mount:
        info = os.stat(mount.path / "two")
        assert info.st_mode & 0o7777 == 0o444 and info.st_size == 2 and info.st_nlink == 1
        assert info.st_uid == os.getuid() and info.st_mtime_ns == row["last_modified"] * 1_000_000
        directory = os.stat(mount.path)
        assert directory.st_mode & 0o7777 == 0o555 and directory.st_nlink == 3
        for attempt in (lambda: (mount.path / "two").write_bytes(b"x"), lambda: (mount.path / "new").write_bytes(b"x"),
                        lambda: (mount.path / "two").unlink(), lambda: (mount.path / "new").mkdir()):
            with pytest.raises(OSError):
                attempt()
        space = os.statvfs(mount.path)
        assert space.f_files == 4 and space.f_blocks * space.f_frsize >= 3 and space.f_bavail == 0
        assert sorted(os.listdir(mount.path)) == ["d", "two"]
        assert not (mount.path / "missing").exists()


def test_names_are_those_that_restore_makes(bale):
    bale.mixed()
    for key in [*ODD_KEYS, "k" * 1024]:
        bale.put("source", key, b"content of " + key.encode())
    bale.until_idle()
    bale.restore(bale.directory / "restored", "*")
    with Mount(bale) as mount:
        assert tree_of(mount.path) == tree_of(bale.directory / "restored")
        assert len(tree_of(mount.path)) == len(ODD_KEYS) + 1


def test_extended_attributes(bale):
    bale.mixed()
    bale.put("source", "one", b"1", metadata={"owner": "me"}, tags={"team": "units"},
             headers={"content-type": "text/plain"})
    bale.until_idle()
    row = bale.search("one")[0]
    with Mount(bale) as mount:
        path = mount.path / "one"
        names = os.listxattr(path)
        values = {name.removeprefix("user.bale."): os.getxattr(path, name).decode() for name in names}
        assert values["metadata.owner"] == "me" and values["tag.team"] == "units"
        assert json.loads(values["metadata"]) == {"owner": "me"} and json.loads(values["tags"]) == {"team": "units"}
        assert values["sha256"] == row["sha256"] and values["etag"] == row["etag"]
        assert values["archive"] == f"s3://{row['archive_bucket']}/{row['archive_key']}"
        assert values["uri"] == "s3://source/one" and values["content_type"] == "text/plain"
        assert values["storage_class"] == "STANDARD"
        assert os.listxattr(mount.path) == []
        with pytest.raises(OSError):
            os.getxattr(path, "user.bale.nothing")


def test_as_of_shows_what_was_there_then(bale):
    bale.mixed(source={"track_deletes": True})
    states = []

    def note(state):
        bale.until_idle()
        time.sleep(0.05)
        now = time.time()
        states.append((time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z", state))
        time.sleep(0.05)

    bale.put("source", "a", b"first")
    bale.put("source", "b/c", b"stays")
    note({"a": b"first", "b/c": b"stays"})
    bale.put("source", "a", b"second")
    note({"a": b"second", "b/c": b"stays"})
    bale.remove("source", "a")
    note({"b/c": b"stays"})
    for when, state in states:
        with Mount(bale, "--as-of", when) as mount:
            assert tree_of(mount.path) == state, when
    with Mount(bale) as mount:
        assert tree_of(mount.path) == {"b/c": b"stays"}
    bale.run("mount", "--config", bale.config, bale.directory / "mnt", "--as-of", "2001-01-01", status=3)


def test_bucket_and_prefix_and_several_buckets(bale):
    bale.make_bucket("source", "eu-central-1")
    bale.make_bucket("third", "eu-central-1")
    bale.make_bucket("backup", BACKUP_REGION)
    rule = {"source": {"region": "eu-central-1", "bucket": "source"},
            "destinations": [{"region": BACKUP_REGION, "bucket": "backup", "backup": True}]}
    bale.configure([rule, rule | {"source": {"region": "eu-central-1", "bucket": "third"}}])
    bale.replicate("init")
    for bucket in ("source", "third"):
        bale.put(bucket, "d/x", bucket.encode())
        bale.put(bucket, "y", b"y")
    bale.until_idle()
    with Mount(bale) as mount:
        assert tree_of(mount.path) == {"source/d/x": b"source", "source/y": b"y",
                                       "third/d/x": b"third", "third/y": b"y"}
    with Mount(bale, "--bucket", "third") as mount:
        assert tree_of(mount.path) == {"d/x": b"third", "y": b"y"}
    with Mount(bale, "--prefix", "d/") as mount:
        assert tree_of(mount.path) == {"source/d/x": b"source", "third/d/x": b"third"}


@pytest.mark.parametrize("with_index", [False, True])
def test_listing_reads_no_archive(bale, with_index):
    """Without the archives everything is there but the bytes."""
    files = {f"d{i % 5}/f{i}": b"content %d" % i for i in range(300)}
    small_backup(bale, files)
    options = []
    if with_index:
        options = ["--index", bale.directory / "index"]
        bale.run("catalog", "sync", "--config", bale.config, *options)
    for key in bale.keys("backup"):
        bale.remove("backup", key)
    with Mount(bale, *options) as mount:
        listed = subprocess.run(["ls", "-lR", mount.path], stdout=subprocess.PIPE, check=True).stdout
        assert listed.count(b" f") >= len(files)
        sizes = {path.relative_to(mount.path).as_posix(): path.stat().st_size
                 for path in mount.path.rglob("*") if path.is_file()}
        assert sizes == {name: len(content) for name, content in files.items()}
        assert os.getxattr(mount.path / "d0/f0", "user.bale.uri") == b"s3://source/d0/f0"
        with pytest.raises(OSError):
            (mount.path / "d0/f0").read_bytes()
        err = mount.end()
        assert "not there any more" in err and "s3://source/d0/f0" in err, err


def test_damage_gives_an_error_and_names_the_object(bale):
    files = {"one": os.urandom(100_000), "two": os.urandom(40 * MiB)}
    small_backup(bale, files)
    row = bale.search("two")[0]
    archive = archive_of(bale)
    content = bytearray(archive.read_bytes())
    content[row["frame_offset"] + row["frame_length"] // 2] ^= 0x10
    archive.write_bytes(content)
    with Mount(bale) as mount:
        assert (mount.path / "one").read_bytes() == files["one"]
        with pytest.raises(OSError):
            (mount.path / "two").read_bytes()
        with open(mount.path / "two", "rb") as large:  # the sound part of it
            assert large.read(1000) == files["two"][:1000]
        err = mount.end()
    assert "mount.read" in err and "s3://source/two" in err and row["archive_key"] in err, err


def test_a_catalog_that_names_other_bytes(bale):
    """The archive is sound, and the row's hash is not the object's: never a byte of it."""
    small_backup(bale, {"one": b"1" * 1000})
    key, = bale.keys(CATALOG)
    row = {name: value for name, value in json.loads(bale.get(CATALOG, key)).items()
           if name not in ("row", "rows", "row_xxh64")}
    row["sha256"] = "0" * 64
    bale.put(CATALOG, key, json.dumps(row).encode() + b"\n")
    with Mount(bale) as mount:
        with pytest.raises(OSError):
            (mount.path / "one").read_bytes()
        assert "SHA-256" in mount.end()


def test_rows_without_a_place_are_listed_and_cannot_be_read(bale):
    small_backup(bale, {"one": b"1" * 1000})
    key, = bale.keys(CATALOG)
    row = {name: value for name, value in json.loads(bale.get(CATALOG, key)).items()
           if name not in ("row", "rows", "row_xxh64", "frame_offset", "frame_length", "frame_skip")}
    bale.put(CATALOG, key, json.dumps(row).encode() + b"\n")
    with Mount(bale) as mount:
        assert (mount.path / "one").stat().st_size == 1000
        with pytest.raises(OSError):
            (mount.path / "one").read_bytes()
        assert "bale restore" in mount.end()


def test_the_ways_to_end(bale):
    small_backup(bale, {"one": b"1"})
    for how in (signal.SIGTERM, signal.SIGINT):
        with Mount(bale) as mount:
            mount.end(how)
    with Mount(bale) as mount:
        subprocess.run(["umount", mount.path] if os.geteuid() == 0 else ["fusermount3", "-u", mount.path], check=True)
        mount.end(how=None)
    # Files that are open do not keep it.
    with Mount(bale) as mount:
        still_open = os.open(mount.path / "one", os.O_RDONLY)
        mount.end()
    with pytest.raises(OSError):
        os.close(still_open)


def test_it_ends_while_reads_are_under_way(bale):
    chance = random.Random(1)
    small_backup(bale, {f"f{i}": chance.randbytes(3 * MiB) for i in range(8)})
    with Mount(bale, "--cache", "1MiB") as mount:
        readers = [subprocess.Popen(["sh", "-c", f"while cat {mount.path}/f{i} >/dev/null 2>&1; do :; done"])
                   for i in range(8)]
        time.sleep(0.5)
        mount.end()
    for reader in readers:
        reader.wait(timeout=20)


def test_mount_points_that_cannot_be(bale):
    small_backup(bale, {"one": b"1"})

    def refused(place, status, words):
        finished = bale.run("mount", "--config", bale.config, place, status=status)
        assert words in finished.err and "hint" in finished.err, finished

    refused(bale.directory / "missing", 3, "does not exist")
    (bale.directory / "file").write_bytes(b"")
    refused(bale.directory / "file", 2, "not a directory")
    (bale.directory / "full").mkdir()
    (bale.directory / "full/x").write_bytes(b"")
    refused(bale.directory / "full", 4, "not empty")
    with Mount(bale) as mount:
        refused(mount.path, 4, "mounted here already")
    finished = bale.run("mount", "--config", bale.config, bale.directory / "mnt", "--dryrun")
    assert "(dryrun) mount: 1 object" in finished.out
    assert "--cache" in bale.run("mount", "--config", bale.config, mount.path, "--cache", "1KiB", status=2).err


def test_memory_is_bounded(bale, seeded):
    """Reading much more than the cache holds."""
    small_backup(bale, {f"f{i:02}": seeded.randbytes(12 * MiB) for i in range(40)})
    with Mount(bale, "--cache", "32MiB", "--memory-limit", "128MiB") as mount:
        for path in sorted(mount.path.iterdir()):
            assert path.read_bytes() == (bale.directory / "in" / path.name).read_bytes()
        status = pathlib.Path(f"/proc/{mount.process.pid}/status").read_text()
        peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10
        assert peak < 192 * MiB, peak


def test_archives_that_cannot_be_read_now(bale):
    bale.mixed(backup={"storage_class": "GLACIER"})
    bale.put("source", "one", b"1")
    bale.until_idle()
    with Mount(bale) as mount:
        assert (mount.path / "one").stat().st_size == 1
        with pytest.raises(OSError):
            (mount.path / "one").read_bytes()
        err = mount.end()
    assert "RestoreObject" in err and "InvalidObjectState" in err, err


class CountingS3:
    """Serves what is in the embedded store's backup and catalog buckets, read-only; notes every request, and can keep
    those for archives waiting."""

    def __init__(self, bale):
        self.objects = {f"/{bucket}/{key}": bale.get(bucket, key)
                        for bucket in ("backup", CATALOG) for key in bale.keys(bucket)}
        self.requests = []
        self.go_on = threading.Event()
        self.go_on.set()
        test = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                test.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        path, query = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
        if "list-type" in query:
            return self.reply(handler, 200, self.listing(path.strip("/"), query), {})
        content = self.objects.get(path)
        if content is None:
            return self.reply(handler, 404, b"<Error><Code>NoSuchKey</Code></Error>", {})
        if path.startswith("/backup/"):
            self.requests.append((handler.command, path, handler.headers.get("Range")))
            self.go_on.wait(60)
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"',
                   "Last-Modified": "Thu, 23 Jan 2025 09:05:07 GMT"}
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", handler.headers.get("Range") or "")
        if not wanted:
            return self.reply(handler, 200, content, headers)
        first, last = wanted.groups()
        begin, end = (int(first), int(last) + 1) if first else (max(0, len(content) - int(last)), len(content))
        end = min(end, len(content))
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
        return self.reply(handler, 206, content[begin:end], headers)

    def listing(self, bucket, query):
        keys = sorted(path.removeprefix(f"/{bucket}/") for path in self.objects if path.startswith(f"/{bucket}/"))
        keys = [key for key in keys if key.startswith(query.get("prefix", "")) and key > query.get("start-after", "")]
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        common = sorted({prefix + key[len(prefix):].split(delimiter)[0] + delimiter for key in keys
                         if delimiter and delimiter in key[len(prefix):]})
        shown = [key for key in keys if not any(key.startswith(start) for start in common)]
        contents = "".join(self.listed(key, self.objects[f"/{bucket}/{key}"]) for key in shown)
        prefixes = "".join(f"<CommonPrefixes><Prefix>{urllib.parse.quote(start)}</Prefix></CommonPrefixes>"
                           for start in common)
        return ('<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType>'
                f"<IsTruncated>false</IsTruncated>{contents}{prefixes}</ListBucketResult>").encode()

    @staticmethod
    def listed(key, content):
        return (f"<Contents><Key>{urllib.parse.quote(key)}</Key><Size>{len(content)}</Size>"
                f"<ETag>&quot;{hashlib.md5(content).hexdigest()}&quot;</ETag>"
                "<LastModified>2025-01-23T09:05:07.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>")

    @staticmethod
    def reply(handler, status, body, headers):
        try:
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(body)
        except OSError:
            pass  # the program went away

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


class OnServer(Bale):
    """The program on a CountingS3, with what another Bale backed up."""

    def __init__(self, bale, server):
        super().__init__(bale.directory)
        self.endpoint = f"http://127.0.0.1:{server.server.server_port}"

    def store_options(self):
        return [b"--endpoint-url", self.endpoint.encode(), b"--region", BACKUP_REGION.encode()]

    def environment(self):
        return {**clean_environment(), "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def counting(bale):
    """A backup of small files, one of many frames, and a server that counts what is asked of it."""
    chance = random.Random(2)
    files = {f"d{i % 4}/f{i}": chance.randbytes(30_000) for i in range(100)}
    files["large"] = chance.randbytes(50 * MiB)
    small_backup(bale, files)
    server = CountingS3(bale)
    yield OnServer(bale, server), server, files
    server.close()


def test_requests_are_few(counting):
    remote, server, files = counting
    with Mount(remote, catalog=f"s3://{CATALOG}") as mount:
        subprocess.run(["ls", "-lR", mount.path], stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["find", mount.path, "-size", "+1k"], stdout=subprocess.DEVNULL, check=True)
        assert server.requests == []  # listing reads no archive
        assert (mount.path / "d0/f0").read_bytes() == files["d0/f0"]
        assert len(server.requests) == 1
        small = {name: content for name, content in files.items() if name != "large"}
        assert {name: (mount.path / name).read_bytes() for name in small} == small
        assert len(server.requests) == 1  # all of them share a frame
        with open(mount.path / "large", "rb") as large:
            large.seek(30 * MiB)
            assert large.read(100) == files["large"][30 * MiB:30 * MiB + 100]
        assert len(server.requests) <= 3, server.requests  # the seek table, and a frame
        assert (mount.path / "large").read_bytes() == files["large"]
        assert len(server.requests) <= 7, server.requests  # its four frames, and nothing twice


def test_a_reader_that_is_killed_does_not_wait_for_the_network(counting):
    remote, server, files = counting
    server.go_on.clear()
    with Mount(remote, catalog=f"s3://{CATALOG}") as mount:
        reader = subprocess.Popen(["cat", mount.path / "d0/f0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: server.requests)
        subprocess.run(["ls", "-lR", mount.path], stdout=subprocess.DEVNULL, check=True, timeout=10)
        reader.kill()
        reader.wait(timeout=10)
        server.go_on.set()
        assert (mount.path / "d0/f0").read_bytes() == files["d0/f0"]


def test_it_ends_while_the_network_does_not_answer(counting):
    remote, server, _ = counting
    server.go_on.clear()
    with Mount(remote, catalog=f"s3://{CATALOG}") as mount:
        reader = subprocess.Popen(["cat", mount.path / "large"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: server.requests)
        mount.end()
        assert reader.wait(timeout=10) != 0
