"""Memory depends on the limit, not on the size or the number of objects."""
import re
import tarfile

import pytest
from conftest import GiB, MiB, Bale, measured, peak_of, write_tree
from reference_reader import zstandard

LIMIT = 256 * MiB


def run_until_idle(bale):
    peak = peak_of(bale, "--memory-limit", f"{LIMIT // MiB}MiB", "--no-progress", "replicate", "run", "--until-idle",
                   "--config", bale.config)
    print(f"peak {peak / MiB:.0f} MiB with a limit of {LIMIT / MiB:.0f} MiB")
    return peak


def test_one_large_object(bale):
    bale.mixed(source={"visibility_timeout": 120})
    path = bale.directory / "large"
    with open(path, "wb") as file:
        file.truncate(20 * GiB)
    bale.put_file("source", "large", path)
    path.unlink()
    assert run_until_idle(bale) < LIMIT
    assert bale.stat("copy", "large")["size"] == 20 * GiB
    bale.assert_idle()


def test_many_small_objects(bale, seeded):
    bale.mixed()
    count = 100_000
    for part in range(0, count, 10_000):
        write_tree(bale.directory / "in",
                   {f"{n // 1000}/{n}": b"object %d\n" % n * 10 for n in range(part, part + 10_000)})
    bale.put_tree("source", "", bale.directory / "in")
    assert run_until_idle(bale) < LIMIT
    assert len(bale.keys("copy")) == count
    bale.assert_idle()


def test_archive_of_a_large_file(tmp_path):
    """`archive create` and `extract` are bounded too."""
    bale = Bale(tmp_path)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2 * GiB)
    limit = ("--memory-limit", f"{LIMIT // MiB}MiB", "--no-progress")
    assert peak_of(bale, *limit, "archive", "create", "large.tar.zst", "large") < LIMIT
    (tmp_path / "large").unlink()
    assert peak_of(bale, *limit, "archive", "extract", "large.tar.zst", "--to", "out") < LIMIT
    assert [path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()] == [2 * GiB]
    (tmp_path / "out").rename(tmp_path / "done")


@pytest.mark.parametrize("limit, files, size, options", [
    (256, 1, 200 * MiB, ("--levels", "1-19")),  # pieces of one file
    (256, 1000, 70_000, ("--levels", "15", "--frame-size", "48MiB")),  # small files put together to large frames
    (64, 1000, 70_000, ("--levels", "3", "--frame-size", "128MiB")),
    (64, 1, 100 * MiB, ("--levels", "1-12"))], ids=["one", "together", "little", "little-one"])
def test_bench_keeps_to_the_limit_with_a_margin(bale, seeded, limit, files, size, options):
    # Saves an eighth: what is compressed to nearly its own size takes most memory.
    content = seeded.randbytes(files * size).translate(bytes(byte & 0x7F for byte in range(256)))
    write_tree(bale.directory / "files", {f"{n}.bin": content[n * size:(n + 1) * size] for n in range(files)})
    peak = peak_of(bale, "--memory-limit", f"{limit}MiB", "bench", "files", *options, "--seconds", "1")
    print(f"peak {peak / MiB:.0f} MiB with a limit of {limit} MiB")
    assert peak < 0.95 * limit * MiB


def test_a_small_archive_that_expands_is_refused(tmp_path):
    """A few kilobytes of zstd hold a manifest of gigabytes: by name, and in little memory."""
    limit = 64 * MiB
    for name, start, part in (("nested", b'{"objects":[{"relative_key":"a","size":1,"tags":[', b"[[[[]]]],"),
                              ("spaces", b'{"objects":[', b"    "),
                              ("string", b'{"objects":[{"relative_key":"', b"abcd"),
                              ("numbers", b'{"objects":[{"size":', b"1234"), ("deep", b'{"objects":', b"[")):
        bale = Bale(tmp_path / name)
        bale.directory.mkdir()
        manifest = start + part * (512 * MiB // len(part))
        member = tarfile.TarInfo("manifest.json")
        member.size = len(manifest)
        with open(bale.directory / "small.tar.zst", "wb") as file:
            stream = zstandard().ZstdCompressor(level=3).stream_writer(file, closefd=False)
            stream.write(member.tobuf())
            stream.write(manifest)
            stream.write(bytes(1024 + -len(manifest) % 512))
            stream.close()
        del manifest
        assert (bale.directory / "small.tar.zst").stat().st_size < 256 * 1024
        for command in ("list", "verify", "index"):
            finished, peak = measured(bale, "--memory-limit", f"{limit // MiB}MiB", "archive", command, "small.tar.zst",
                                      status=None)
            # To index, what is no manifest is a member like any other.
            assert command == "index" or finished.status > 0 and "small.tar.zst" in finished.err, (name, finished)
            assert finished.status >= 0 and peak < limit, (name, peak / MiB, finished)


def test_objects_with_full_metadata(bale, seeded):
    """Keys, metadata and tags as long as S3 allows: a batch of them is closed by what they take."""
    bale.mixed(source={"level": 3, "batch": {"max_objects": 20_000, "max_wait_seconds": 20}})
    count = 20_000
    deep = "/".join(letter * 200 for letter in "abcd")
    write_tree(bale.directory / "in", {f"{deep}/{n // 1000}/{n}": b"object %d\n" % n for n in range(count)})
    text = "".join(seeded.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1900))
    bale.put_tree("source", "", bale.directory / "in", metadata={"m": text},
                  tags={f"{n}{'t' * 120}": text[n * 100:n * 100 + 250] for n in range(8)})
    assert run_until_idle(bale) < LIMIT
    assert len(bale.keys("copy")) == count
    assert len(bale.search("--limit", "1")) == 1
    bale.assert_idle()


def test_a_limit_that_is_too_small_is_said(bale):
    finished = bale.run("--memory-limit", "1KiB", "replicate", "status", "--config", bale.config, status=None)
    assert finished.status == 2 and re.search(r"memory", finished.err), finished
