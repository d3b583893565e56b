"""Bytes that are not those that were put: a store's disk flips a bit. The object fails by name, keeps its own message,
and the others of its batch go on."""
import os

from conftest import SOURCE_REGION


def flip(directory, content):
    """Flips a bit in the one file of the embedded store that has this content."""
    found = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size == len(content)
             and path.read_bytes() == content]
    assert len(found) == 1, found
    with found[0].open("r+b") as file:
        file.seek(len(content) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))


def contents(seeded):
    return {"a": b"sound", "small": seeded.randbytes(5000), "large": seeded.randbytes(20 << 20), "z": b"sound too"}


def test_a_flipped_bit_at_the_source_fails_the_object_alone(bale, seeded):
    bale.mixed(source={"visibility_timeout": 1, "max_receive_count": 2})
    objects = contents(seeded)
    for key, content in objects.items():
        bale.put("source", key, content)
    for key in ("small", "large"):
        flip(bale.store, objects[key])
    done = bale.until_idle(status=1)
    for key in ("small", "large"):
        assert f"s3://source/{key}" in done.err and "the bytes are damaged" in done.err
    assert sorted(bale.keys("copy")) == ["a", "z"]
    assert bale.get("copy", "a") == objects["a"] and bale.get("copy", "z") == objects["z"]


def test_a_download_of_flipped_bits_is_no_file(bale, seeded):
    bale.make_bucket("bucket", SOURCE_REGION)
    objects = contents(seeded)
    for key in ("small", "large"):
        bale.put("bucket", key, objects[key])
        flip(bale.store, objects[key])
        done = bale.run("s3", "cp", f"s3://bucket/{key}", bale.directory / key, status=5)
        assert "the bytes are damaged" in done.err and not (bale.directory / key).exists()
