"""What comes back is what went in: every size, key, header, tag and storage class, through the copy and the backup.

The modules that import these tests say where they run: their fixture `new_bale` makes a Bale in a directory."""
import hashlib
import os

import pytest

from conftest import text_of, tree_of, write_tree

FRAME = 8 << 20
SIZES = {"empty": 0, "one-byte": 1, "frame": FRAME, "frame-and-one": FRAME + 1, "three-frames": 3 * FRAME}

KEYS = [
    "plain", "a/b", "a/b/c", "deep/" + "d/" * 100 + "end",
    "k" * 1024, "é" * 512, "dir/" + "x" * 255 + "/" + "y" * 255 + "/" + "z" * 255,
    "unicode/ünïcödé-日本語-🎈", "combining/e\u0301", "plus/a+b", "percent/100%25", "percent/%2F%", "space/a b  c ",
    "newline/a\nb", "tab/a\tb", "quote/'\"`$", "backslash/a\\b", "colon/a:b*?<>|",
    "..", "../up", "dots/../../x", "./here", "dots/.", "double//slash", "//", "/leading", "trailing/",
    "trailing/slash/",
    "-dash", "--option", "~home", ".hidden", "con", "{curly}", "amp&=;", "control/\x01\x7f",
]

HEADERS = {"content-type": "application/x-thing; charset=utf-8", "cache-control": "max-age=31536000, immutable",
           "content-disposition": 'attachment; filename="a b.txt"', "content-encoding": "identity",
           "content-language": "de, en", "expires": "Thu, 01 Dec 2033 16:00:00 GMT"}
CLASSES = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE",
           "REDUCED_REDUNDANCY"]


@pytest.fixture
def bale(new_bale, tmp_path, disposal):
    yield new_bale(tmp_path)
    disposal(tmp_path)


def content_of(key):
    return b"content of " + os.fsencode(key)


def test_sizes(bale, seeded):
    bale.mixed()
    files = {name: text_of(seeded, size // 2) + seeded.randbytes(size - size // 2) for name, size in SIZES.items()}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    bale.get_tree("copy", "", bale.directory / "out")
    assert tree_of(bale.directory / "out") == files
    bale.restore(bale.directory / "restored", *files)
    assert tree_of(bale.directory / "restored") == files
    bale.assert_idle()


def test_small_frames(bale, seeded):
    """Objects around the size of a frame, where frames are small."""
    size = 65536
    bale.mixed(source={"frame_size": size})
    files = {f"file-{n}": seeded.randbytes(n) for n in
             (size - 1537, size - 1024, size - 512, size - 1, size, size + 1, size + 511, 2 * size, 5 * size + 7)}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    bale.restore(bale.directory / "restored", *files)
    assert tree_of(bale.directory / "restored") == files


@pytest.fixture(scope="module")
def keyed(new_bale, tmp_path_factory):
    """A store with one object for each key of KEYS, replicated."""
    bale = new_bale(tmp_path_factory.mktemp("keys"))
    bale.mixed()
    for key in KEYS:
        bale.put("source", key, content_of(key))
    bale.until_idle()
    return bale


def test_every_key_arrives_and_no_other(keyed):
    assert keyed.keys("source") == sorted(KEYS)
    assert keyed.keys("copy") == sorted(KEYS)
    keyed.assert_idle()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[1:25])
def test_key_at_the_copy(keyed, key):
    assert keyed.get("copy", key) == content_of(key)


def test_every_key_is_restored_from_the_backup(keyed):
    """To a bucket, where every key is legal."""
    keyed.make_bucket("restored", "eu-central-1")
    keyed.restore(keyed.uri("restored"), "--prefix", "")
    assert keyed.keys("restored") == sorted(KEYS)
    for key in KEYS:
        assert keyed.get("restored", key) == content_of(key), key


def test_restore_stays_inside_its_directory(keyed):
    """Keys with `..` do not lead out, whatever the archive says."""
    around = keyed.directory / "around"
    around.mkdir()
    keyed.restore(around / "restored", "--prefix", "", status=None)
    assert [path.name for path in around.iterdir()] == ["restored"]
    for path in (around / "restored").rglob("*"):
        assert (around / "restored").resolve() in path.resolve().parents


def test_key_equal_to_the_prefix(bale):
    bale.mixed(source={"prefix_filter": "data/"})
    bale.put("source", "data/", b"the folder itself")
    bale.put("source", "data/file", b"a file")
    bale.put("source", "data//file", b"two slashes")
    bale.until_idle()
    assert bale.keys("copy") == ["data/", "data//file", "data/file"]
    assert bale.get("copy", "data/") == b"the folder itself"
    assert bale.get("copy", "data//file") == b"two slashes"
    bale.make_bucket("restored", "eu-central-1")
    bale.restore(bale.uri("restored"), "--prefix", "data/")
    assert bale.get("restored", "data/") == b"the folder itself"
    assert bale.get("restored", "data//file") == b"two slashes"


@pytest.mark.parametrize("count", [8, 9, 10])
def test_tags_up_to_the_limit(bale, count):
    """The two that Bale adds are tags where there is room, else metadata; none of the object's own is lost."""
    bale.mixed()
    tags = {f"key {n}": f"value+{n}/=@" for n in range(count - 1)} | {"k" * 128: "v" * 256}
    bale.put("source", "object", b"content", tags=tags)
    bale.until_idle()
    stat = bale.stat("copy", "object")
    assert tags.items() <= stat["tags"].items() and len(stat["tags"]) <= 10
    added = {name.lower() for name in {**stat["tags"], **stat["metadata"]}}
    assert any("originaletag" in name.replace("-", "") for name in added), stat
    assert any("originalcreationtime" in name.replace("-", "") for name in added), stat


def test_two_kilobytes_of_metadata(bale):
    """The most that S3 takes: not a byte is left for what Bale would add."""
    bale.mixed()
    metadata = {f"name-{n:02}": "v" * 120 for n in range(16)}
    metadata["rest"] = "r" * (2048 - 4 - sum(len(name) + len(value) for name, value in metadata.items()))
    assert sum(len(name) + len(value) for name, value in metadata.items()) == 2048
    tags = {f"t{n}": "x" for n in range(10)}
    bale.put("source", "object", b"first", metadata=metadata, tags=tags)
    bale.until_idle()
    stat = bale.stat("copy", "object")
    assert stat["metadata"] == metadata and stat["tags"] == tags
    bale.put("source", "object", b"second", metadata=metadata, tags=tags)
    bale.until_idle()
    assert bale.get("copy", "object") == b"second"
    assert bale.stat("copy", "object")["metadata"] == metadata


def test_all_system_headers(bale):
    bale.mixed()
    bale.put("source", "object", b"content", headers=HEADERS)
    bale.until_idle()
    source, copy = bale.stat("source", "object"), bale.stat("copy", "object")
    for name, value in HEADERS.items():
        assert source[name.replace("-", "_")] == value
        assert copy[name.replace("-", "_")] == value


def test_headers_come_back_from_the_backup(bale):
    bale.mixed()
    metadata, tags = {"owner": "mathilda"}, {"team": "north"}
    bale.put("source", "object", b"content", metadata=metadata, tags=tags, storage_class="STANDARD_IA", headers=HEADERS)
    bale.until_idle()
    bale.make_bucket("restored", "eu-central-1")
    bale.restore(bale.uri("restored"), "object")
    stat = bale.stat("restored", "object")
    assert metadata.items() <= stat["metadata"].items() and tags.items() <= stat["tags"].items()
    for name, value in HEADERS.items():
        assert stat[name.replace("-", "_")] == value


def test_storage_classes_are_kept(bale):
    bale.mixed()
    readable = [name for name in CLASSES if name not in ("GLACIER", "DEEP_ARCHIVE") and
                (bale.has_reduced_redundancy or name != "REDUCED_REDUNDANCY")]
    for name in readable:
        bale.put("source", name, content_of(name), storage_class=name)
    bale.until_idle()
    for name in readable:
        assert bale.stat("copy", name)["storage_class"] == name
        assert bale.get("copy", name) == content_of(name)


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "REDUCED_REDUNDANCY"])
def test_every_class_as_destination(bale, name):
    bale.mixed(copy={"storage_class": name}, backup={"storage_class": name})
    bale.put("source", "object", b"content", metadata={"owner": "mathilda"})
    bale.until_idle()
    copy = bale.stat("copy", "object")
    assert copy["storage_class"] == name and copy["metadata"]["owner"] == "mathilda"
    assert copy["etag"].strip('"') == hashlib.md5(b"content").hexdigest()
    archive = bale.stat("backup", bale.keys("backup")[0])
    assert archive["storage_class"] == name
    bale.assert_idle()
    if name in ("GLACIER", "DEEP_ARCHIVE") and bale.checks_archive_state:
        finished = bale.restore(bale.directory / "restored", "object", "--no-wait", status=1)
        assert f"({name}, " in finished.out and not (bale.directory / "restored/object").exists(), finished
        bale.restore(bale.directory / "restored", "object")
        assert (bale.directory / "restored/object").read_bytes() == b"content"


def test_an_archived_source_object_is_not_lost(bale):
    """It cannot be read: its message goes to the dead-letter queue, the others are carried."""
    if not bale.checks_archive_state:
        pytest.skip("this server lets objects in GLACIER be read")
    bale.mixed(source={"visibility_timeout": 1, "max_receive_count": 2})
    bale.put("source", "cold", b"cold", storage_class="GLACIER")
    bale.put("source", "warm", b"warm")
    bale.until_idle(status=None, timeout=300)
    assert bale.keys("copy") == ["warm"]
    waiting = bale.waiting()
    assert sum(waiting.values()) == 1 and all(queue.endswith("-dlq") for queue in waiting), waiting


def test_many_small_objects_in_one_batch(bale, seeded):
    # The batch ends because it is full: moto takes more than 5 s to give out so many messages.
    bale.mixed(source={"batch": {"max_objects": bale.many, "max_wait_seconds": 60}})
    files = {f"{n % 100:02}/{n:05}": seeded.randbytes(512) + text_of(seeded, 512) for n in range(bale.many)}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle(timeout=600)
    bale.get_tree("copy", "", bale.directory / "out")
    assert tree_of(bale.directory / "out") == files
    assert len(bale.keys("backup")) == 1 or not bale.batches_are_whole
    bale.restore(bale.directory / "restored", "--prefix", "07/", timeout=600)
    assert tree_of(bale.directory / "restored") == {k: v for k, v in files.items() if k.startswith("07/")}
    bale.assert_idle()
