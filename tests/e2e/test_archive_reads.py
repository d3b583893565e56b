"""What it costs to get one file out of a large archive on an S3 server: requests and bytes, counted on the way."""
import contextlib
import json
import struct
import subprocess

import pytest
from conftest import MiB, tree_of
from fault_proxy import FaultProxy
from reference_reader import zstandard
from reference_writer import archive as reference_archive
from reference_writer import entry
from test_s3_rgw import Remote

MEMBERS = 10_000
TAIL = 256 << 10  # of an archive, read first
LEAST = 256 << 10  # bytes that a request for a part of a frame asks for


class Counted(Remote):
    """The program behind a proxy; `cost` is what the last run asked of the server."""

    def __init__(self, server, directory, proxy):
        super().__init__(server, directory, proxy.endpoint)
        self.proxy, self.cost = proxy, (0, 0)

    def run(self, *arguments, **options):
        self.proxy.counts.clear()
        finished = super().run(*arguments, **options)
        self.cost = self.proxy.counts["requests"], self.proxy.counts["answer_bytes"]
        return finished

    def extracted(self, archive, *members):
        """Contents of what `extract` gets, in the order of the names."""
        subprocess.run(["rm", "-rf", self.directory / "out"], check=True)
        self.run("archive", "extract", archive, "--to", "out", *members)
        return [content for _, content in sorted(tree_of(self.directory / "out").items())]


@pytest.fixture
def counted(rgw, tmp_path, disposal):
    with FaultProxy(rgw.endpoint) as proxy:
        yield Counted(rgw, tmp_path, proxy)
    disposal(tmp_path)


@contextlib.contextmanager
def in_bucket(rgw, key):
    """A URI for an object that goes away at the end: the server may keep it in memory."""
    s3 = rgw.client("s3")
    bucket = rgw.bucket(s3)
    yield f"s3://{bucket}/{key}"
    for found in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=found["Key"])


def make_members(directory, size, chance):
    """Files of `size` bytes, sparse but for some: returns names and contents of these, the first and the last too."""
    directory.mkdir()
    known = {}
    for number in range(MEMBERS):
        path = directory / f"{number:05}"
        if number in (0, MEMBERS - 1) or number % 3333 == 7:
            known[f"in/{number:05}"] = chance.randbytes(size)
            path.write_bytes(known[f"in/{number:05}"])
        else:
            with open(path, "wb") as file:
                file.truncate(size)
    return known


@pytest.mark.parametrize("size, frame_size", [
    pytest.param(107_400, "16MiB", id="1GiB"),  # stored: the archive is as large as its members
    pytest.param(1_200, "64KiB", id="many-frames"),  # a manifest in dozens of frames
])
def test_one_file_of_ten_thousand(rgw, counted, seeded, size, frame_size):
    """At most three requests, and no more bytes than the member's frames and the tail, however large the archive."""
    known = make_members(counted.directory / "in", size, seeded)
    with in_bucket(rgw, "a.tar.zst") as uri:
        direct = Remote(rgw, counted.directory)
        created = direct.json("archive", "create", "--level", "0", "--frame-size", frame_size, uri, "in")[0]
        assert created["archive_bytes"] > MEMBERS * size
        places = {line["key"]: line for line in counted.json("archive", "list", uri)}
        assert len(places) == MEMBERS and counted.cost[0] <= 2
        data_end = max(line["frame_offset"] + line["frame_length"] for line in places.values())
        tail = max(TAIL, created["archive_bytes"] - data_end)
        for name, content in known.items():
            assert counted.extracted(uri, name) == [content]
            requests, answered = counted.cost
            assert requests <= 3, name
            assert answered <= places[name]["frame_length"] + tail, name


def catalog_row(bucket, key, size, line):
    """A row of the catalog for an object as `archive list` shows it."""
    row = {"backup_file": key, "backup_timestamp": 1737400000, "source_bucket": "source", "source_prefix": "",
           "object_name": line["key"].rsplit("/", 1)[-1], "object_path": line["key"], "object_size": size,
           "last_modified": 1737400000000, "target_buckets": [bucket], "archive_bucket": bucket, "archive_key": key,
           "event": "put"}
    return json.dumps(row | {name: line[name] for name in ("sha256", "frame_offset", "frame_length", "frame_skip")})


def test_one_request_when_the_catalog_is_synced(rgw, counted, seeded):
    """Nothing but the frame that holds the object is asked for: neither the catalog nor the archive's end."""
    known = make_members(counted.directory / "in", 1_200, seeded)
    with in_bucket(rgw, "a.tar.zst") as uri, in_bucket(rgw, "catalog") as catalog:
        bucket, catalog_bucket = uri.split("/")[2], catalog.split("/")[2]
        direct = Remote(rgw, counted.directory)
        direct.run("archive", "create", "--level", "0", "--frame-size", "64KiB", uri, "in")
        places = {line["key"]: line for line in direct.json("archive", "list", uri)}
        (counted.directory / "rows").write_text("".join(
            catalog_row(bucket, "a.tar.zst", 1_200, line) + "\n" for line in places.values()))
        direct.run("s3", "cp", "rows", f"s3://{catalog_bucket}/source/year=2025/month=01/day=20/a.tar.zst.jsonl")
        where = ["--catalog", f"s3://{catalog_bucket}", "--index", "index"]
        assert counted.json("catalog", "sync", *where)[-1]["rows"] == MEMBERS
        for name, content in known.items():
            counted.run("restore", name, "--to", "restored", *where)
            assert (counted.directory / "restored" / name).read_bytes() == content
            assert counted.cost == (1, places[name]["frame_length"]), name
        counted.run("catalog", "search", "in/0", *where)
        assert counted.cost == (0, 0)


# Archives of other programs, by an index beside them

def reference(chance, count, size):
    contents = {f"{number:03}": chance.randbytes(size) for number in range(count)}
    objects = [(entry("source", "", key, content, "etag"), content) for key, content in contents.items()]
    return contents, reference_archive(objects, [])


def test_one_frame_is_read_to_the_end_of_the_member(rgw, counted, seeded):
    contents, archive = reference(seeded, 40, MiB)
    with in_bucket(rgw, "r.tar.zst") as uri:
        (counted.directory / "r.tar.zst").write_bytes(archive)
        counted.run("s3", "cp", "r.tar.zst", uri)
        assert counted.extracted(uri, "010") == [contents["010"]]
        assert counted.cost[1] > len(archive), "without an index everything is read, and some of it twice"
        counted.run("archive", "index", uri)
        assert len(archive) <= counted.cost[1] < len(archive) + MiB, "once"
        index = counted.json("s3", "stat", uri + ".index")[0]["size"]
        listed = counted.json("archive", "list", uri)
        assert {line["key"] for line in listed} == set(contents)
        assert counted.cost == (2, TAIL + index)
        for members in (["000"], ["010"], ["010", "007", "003"], ["039"]):
            assert counted.extracted(uri, *members) == [contents[name] for name in sorted(members)]
            requests, answered = counted.cost
            end = (int(max(members)) + 1) * MiB
            assert answered <= TAIL + index + end * 1.05 + LEAST, members
            assert requests <= 2 + end // (4 * MiB) + 2, members


def test_a_far_store_is_read_ahead(rgw, counted, seeded):
    """Requests for a stream overlap: their answers take longer together than the command does."""
    contents, archive = reference(seeded, 100, MiB)
    with in_bucket(rgw, "r.tar.zst") as uri:
        (counted.directory / "r.tar.zst").write_bytes(archive)
        counted.run("s3", "cp", "r.tar.zst", uri)
        counted.proxy.latency = 0.2
        made = counted.json("--memory-limit", "512MiB", "archive", "index", uri)[0]
        counted.proxy.latency = 0.0
    assert made["objects"] == len(contents)
    requests = counted.cost[0]
    assert requests >= 100 // 4
    assert made["milliseconds"] < requests * 200 * 0.6, (requests, made)


def seekable(frames, checksums):
    """The seek table of the zstd seekable format for (compressed, decompressed) sizes."""
    entries = b"".join(struct.pack("<II", *sizes) + (b"sum!" if checksums else b"") for sizes in frames)
    body = entries + struct.pack("<IBI", len(frames), 0x80 if checksums else 0, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(body)) + body


@pytest.mark.parametrize("table", ["none", "plain", "checksums"])
def test_several_frames_are_read_where_the_member_is(rgw, counted, seeded, table):
    """As t2sz writes them: a frame for every few megabytes of tar, with or without a seek table of its own."""
    contents, _ = reference(seeded, 24, MiB)
    tree = counted.directory / "tree"
    tree.mkdir()
    for name, content in contents.items():
        (tree / name).write_bytes(content)
    tar = subprocess.run(["tar", "-C", tree, "-cf", "-", "."], check=True, capture_output=True).stdout
    step = 3 * MiB
    compressor = zstandard().ZstdCompressor(level=3, write_checksum=True)
    frames = [compressor.compress(tar[at:at + step]) for at in range(0, len(tar), step)]
    archive = b"".join(frames)
    if table != "none":
        sizes = [(len(frame), min(step, len(tar) - at * step)) for at, frame in enumerate(frames)]
        archive += seekable(sizes, table == "checksums")
    with in_bucket(rgw, "t.tar.zst") as uri:
        (counted.directory / "t.tar.zst").write_bytes(archive)
        counted.run("s3", "cp", "t.tar.zst", uri)
        assert "bale archive index" in counted.run("archive", "list", uri, status=5).err
        made = counted.json("archive", "index", uri)[0]
        assert made["objects"] == len(contents) and not made["manifest"]
        assert made["frames"] == len(frames) + (table != "none")
        index = made["index_bytes"]
        for name in ("000", "011", "023"):
            assert counted.extracted(uri, name) == [contents[name]]
            requests, answered = counted.cost
            assert requests <= 4 and answered <= TAIL + index + 2 * step + LEAST, (name, counted.cost)
        assert counted.extracted(uri) == list(contents.values())
        counted.run("archive", "verify", uri)
