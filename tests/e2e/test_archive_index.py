"""`bale archive index`: archives of other programs, as those programs write them."""
import os
import shutil
import stat
import subprocess

import pytest
from conftest import GiB, MiB, text_of, tree_of, write_tree
from reference_writer import archive as reference_archive
from reference_writer import entry
from test_memory import LIMIT, peak_of

needs = {program: pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")
         for program in ("zstd", "pzstd", "tar")}


def umask_of():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.fixture
def tree(bale, seeded):
    files = {f"docs/{n % 3}/file-{n:02}.txt": text_of(seeded, 40_000 * (n % 7)) for n in range(60)}
    files |= {"ü 日本.bin": seeded.randbytes(3 * MiB), "d" * 120 + "/" + "n" * 200: b"long name", "last": b"z"}
    write_tree(bale.directory / "in", files)
    return files


def made_by(bale, command):
    """`command` writes a.tar.zst of the files below in/."""
    subprocess.run(command, shell=True, check=True, cwd=bale.directory)
    return bale.directory / "a.tar.zst"


COMMANDS = [
    pytest.param("tar -C in -cf - . | zstd -q -T2 > a.tar.zst", id="one-frame"),
    pytest.param("tar --format=ustar -C in -cf - docs last | zstd -q --no-check > a.tar.zst", id="ustar-no-checksum"),
    pytest.param("tar --format=gnu -C in -cf - . | pzstd -q -p 4 > a.tar.zst", id="pzstd", marks=needs["pzstd"]),
    pytest.param("tar --format=pax -C in -cf a.tar . && split -b 700000 a.tar part. && zstd -q part.* && "
                 "cat part.*.zst > a.tar.zst", id="several-frames"),
]


@needs["zstd"]
@needs["tar"]
@pytest.mark.parametrize("command", COMMANDS)
def test_every_member_comes_back(bale, tree, command):
    path = made_by(bale, command)
    files = {name: content for name, content in tree.items()
             if "ustar" not in command or name.startswith(("docs", "last"))}
    made = bale.json("archive", "index", path)[0]
    assert made["objects"] == len(files) and made["left_out"] > 0, "directories are none"
    assert {line["key"] for line in bale.json("archive", "list", path)} == set(files)
    for name in list(files)[::17] + ["last"]:
        bale.run("archive", "extract", path, name, "--to", "one")
        assert (bale.directory / "one" / name).read_bytes() == files[name]
    bale.run("archive", "extract", path, "--to", "all")
    assert tree_of(bale.directory / "all") == files
    verified = bale.json("archive", "verify", path)[0]
    assert verified["not_verifiable"] == len(files), "nobody wrote digests down"


@needs["zstd"]
@needs["tar"]
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_names_modes_and_times_are_those_that_tar_gives(bale, form):
    odd = [b"tab\tbed", b"new\nline/x", b"caf\xe9", b"%", "ü".encode(), b"d/" + b"n" * 255]
    base = os.fsencode(bale.directory / "in")
    for number, name in enumerate(odd + [b"secret", b"script"]):
        path = os.path.join(base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
        os.chmod(path, {b"secret": 0o600, b"script": 0o4755}.get(name, 0o664))
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    tar = f"tar --format={form} --hard-dereference -P"
    archive = made_by(bale, f"{tar} -C in -cf a.tar . ./d//../secret && {tar} -rf a.tar $PWD/in/script && "
                            "zstd -q a.tar -o a.tar.zst")
    bale.json("archive", "index", archive)
    finished = bale.run("archive", "extract", archive, "-C", "out")
    out = os.fsencode(bale.directory / "out")
    for name in odd + [b"secret", b"script"]:
        there = os.stat(os.path.join(out, name))
        expected = os.stat(os.path.join(base, name))
        assert stat.S_IMODE(there.st_mode) == stat.S_IMODE(expected.st_mode) & 0o777 & ~umask_of(), name
        assert there.st_mtime == expected.st_mtime, name
        with open(os.path.join(out, name), "rb") as file:
            assert file.read() == name
    assert (bale.directory / "out" / "d" / "%2E%2E" / "secret").read_bytes() == b"secret"
    assert (bale.directory / "out" / str(bale.directory)[1:] / "in" / "script").read_bytes() == b"script"
    assert finished.err.count("gets the escaped name") == 1 and finished.err.count("is left out") == 1, finished


@needs["zstd"]
@needs["tar"]
def test_what_a_private_directory_of_a_tar_holds_stays_private(bale):
    for name, mode in {"open": 0o755, "private": 0o700}.items():
        directory = bale.directory / "in" / name / "below"
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(b"content")
        (directory / "file").chmod(0o644)
        directory.parent.chmod(mode)
    archive = made_by(bale, "tar -C in -cf - . | zstd -q > a.tar.zst")
    bale.json("archive", "index", archive)
    bale.run("archive", "extract", archive, "-C", "out")
    modes = {path.parent.parent.name: path.stat().st_mode & 0o777 for path in (bale.directory / "out").rglob("file")}
    assert modes == {"open": 0o644 & ~umask_of(), "private": 0o600}


@needs["zstd"]
@needs["tar"]
def test_every_flipped_byte_of_archive_or_index_is_noticed_or_harmless(bale, tree, seeded):
    path = made_by(bale, "tar -C in -cf - docs | zstd -q --check > a.tar.zst")
    index = bale.directory / "a.tar.zst.index"
    bale.run("archive", "index", path)
    for file, statuses in ((path, {5}), (index, {0, 5})):
        sound = file.read_bytes()
        for _ in range(20):
            at = seeded.randrange(len(sound))
            file.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << seeded.randrange(8)]) + sound[at + 1:])
            finished = bale.run("archive", "verify", path, status=None)
            # Of an archive without manifest nothing can be read when its index is damaged.
            assert finished.status == 5 and finished.err, (file.name, at)
        file.write_bytes(sound)
    bale.run("archive", "verify", path)


@needs["zstd"]
@needs["tar"]
def test_what_is_no_regular_file_is_left_out(bale):
    write_tree(bale.directory / "in", {"a": b"1"})
    (bale.directory / "in/link").symlink_to("/etc/passwd")
    with open(bale.directory / "in/sparse", "wb") as file:
        file.seek(10 * MiB)
        file.write(b"end")
    path = made_by(bale, "tar -S -C in -cf - . | zstd -q > a.tar.zst")
    finished = bale.run("archive", "index", path, status=1)
    assert "left out ./sparse: it is a sparse file" in finished.err and "2 members (links, directories" in finished.err
    finished = bale.run("archive", "extract", path, "--to", "out", status=1)
    assert "left out ./sparse: it is a sparse file" in finished.err
    assert tree_of(bale.directory / "out") == {"a": b"1"}


@needs["zstd"]
@needs["tar"]
def test_hard_links_are_files(bale, seeded):
    content = seeded.randbytes(20 * MiB)
    write_tree(bale.directory / "in", {"dir/one": content, "other": b"2"})
    for name in ("dir/two", "three"):
        (bale.directory / "in" / name).hardlink_to(bale.directory / "in/dir/one")
    path = made_by(bale, "tar -C in -cf - . | zstd -q > a.tar.zst")
    expected = {"dir/one": content, "dir/two": content, "three": content, "other": b"2"}
    assert bale.json("archive", "index", path)[0]["objects"] == 4
    assert {line["key"]: line["bytes"] for line in bale.json("archive", "list", path)} == {
        name: len(each) for name, each in expected.items()}
    bale.run("archive", "extract", path, "--to", "all")
    assert tree_of(bale.directory / "all") == expected
    for name in expected:
        bale.run("archive", "extract", path, name, "--to", "one")
    assert tree_of(bale.directory / "one") == expected
    bale.run("archive", "verify", path)
    # One whose target is not in the archive is named.
    subprocess.run("tar -C in -cf part.tar ./dir/one ./three && tar --delete -f part.tar ./dir/one && "
                   "tar -C in -rf part.tar ./other && zstd -q part.tar", shell=True, check=True, cwd=bale.directory)
    left_out = "left out ./three: it is a hard link, and what it leads to is not in front of it"
    assert left_out in bale.run("archive", "index", "part.tar.zst", status=1).err
    for command, *options in (("list",), ("info",), ("verify",), ("extract", "--to", "part"),
                              ("extract", "other", "--to", "part"), ("extract", "--dryrun", "--to", "part")):
        assert left_out in bale.run("archive", command, "part.tar.zst", *options, status=1).err
    assert tree_of(bale.directory / "part") == {"other": b"2"}


@needs["zstd"]
@needs["tar"]
@pytest.mark.parametrize("command", ["cat a.tar.zst b.tar.zst > j.tar.zst", "cat a.tar b.tar | zstd -q > j.tar.zst",
                                     "(cat a.tar; head -c 512 /dev/zero; cat b.tar) | pzstd -q > j.tar.zst"])
def test_joined_tars_are_read_on(bale, command):
    write_tree(bale.directory / "in", {"a": b"1", "b": b"old", "c": b"3"})
    subprocess.run("tar -C in -cf a.tar a b && printf new > in/b && tar -C in -cf b.tar b c && zstd -q a.tar b.tar && "
                   + command, shell=True, check=True, cwd=bale.directory)
    assert bale.json("archive", "index", "j.tar.zst")[0]["objects"] == 3
    bale.run("archive", "extract", "j.tar.zst", "--to", "out")
    assert tree_of(bale.directory / "out") == {"a": b"1", "b": b"new", "c": b"3"}


@needs["zstd"]
@needs["tar"]
def test_a_lone_zero_block_is_said(bale):
    write_tree(bale.directory / "in", {"a": b"1", "b": b"2"})
    path = made_by(bale, "tar -C in -cf a.tar a && tar -C in -cf b.tar b && "
                         "(head -c 1536 a.tar; cat b.tar) | zstd -q > a.tar.zst")
    assert "a lone zero block at byte 1024 of the tar" in bale.run("archive", "index", path).err
    assert {line["key"] for line in bale.json("archive", "list", path)} == {"a", "b"}


@needs["zstd"]
@needs["tar"]
@pytest.mark.parametrize("rest, said", [
    ("printf x", "at the end of the file, from byte"), ("head -c 600000 /dev/urandom", "at the end of the file"),
    ("(head -c 3000 /dev/zero; printf x) | zstd -q", "what follows the end of the tar")])
@pytest.mark.parametrize("made", ["foreign", "bale", "reference"])
def test_what_follows_an_archive_is_said_and_the_archive_is_read(bale, rest, said, made):
    files = {"a": b"1", "b": b"2" * 1000}
    write_tree(bale.directory / "in", files)
    if made == "bale":
        bale.run("archive", "create", "a.tar.zst", "in")
    elif made == "reference":
        objects = [(entry("s", "", key, content, "e"), content) for key, content in files.items()]
        (bale.directory / "a.tar.zst").write_bytes(reference_archive(objects, []))
    else:
        made_by(bale, "tar -C in -cf - a b | zstd -q > a.tar.zst")
    subprocess.run(f"({rest}) >> a.tar.zst", shell=True, check=True, cwd=bale.directory)
    path, is_flawed = bale.directory / "a.tar.zst", made == "bale" and "zstd" in rest
    if made == "foreign":
        assert said in bale.run("archive", "index", path, status=1).err
    assert said in bale.run("archive", "list", path, status=1).err
    assert said in bale.run("archive", "extract", path, "--to", "out", status=1).err
    assert tree_of(bale.directory / ("out/in" if made == "bale" else "out")) == files
    # The seek table of an archive of Bale must be at the end, or in front of what is no zstd frame.
    assert said in bale.run("archive", "verify", path, status=5 if is_flawed else 1).err


@needs["zstd"]
@needs["tar"]
def test_padding_is_no_finding(bale):
    write_tree(bale.directory / "in", {"a": b"1"})
    path = made_by(bale, "tar -C in -cf - a | zstd -q > a.tar.zst && head -c 100000 /dev/zero >> a.tar.zst")
    assert "warning" not in bale.run("archive", "index", path).err
    assert "warning" not in bale.run("archive", "verify", path).err


@needs["zstd"]
@needs["tar"]
def test_long_windows_are_read_where_there_is_memory(bale, seeded):
    files = {"a": b"1", "b": seeded.randbytes(MiB)}
    write_tree(bale.directory / "in", files)
    path = made_by(bale, "tar -C in -cf - a b | zstd -q --long=31 --ultra > a.tar.zst")
    little = ("--memory-limit", "256MiB")
    finished = bale.run(*little, "archive", "index", path, status=2)
    assert "a window of 2.0 GiB" in finished.err and "hint: run with --memory-limit 2816MiB or more" in finished.err
    enough = ("--memory-limit", "2816MiB")
    bale.run(*enough, "archive", "index", path)
    bale.run(*enough, "archive", "verify", path)
    bale.run(*enough, "archive", "extract", path, "--to", "out")
    assert tree_of(bale.directory / "out") == files
    finished = bale.run(*little, "archive", "verify", path, status=2)
    assert "a window of 2.0 GiB" in finished.err and str(path) in finished.err and "damaged" not in finished.err


@needs["zstd"]
@needs["tar"]
def test_a_dictionary_is_named(bale, seeded):
    write_tree(bale.directory / "in", {f"{n}": text_of(seeded, 500) for n in range(300)})
    path = made_by(bale, "zstd -q --train in/* -o dictionary --maxdict=2048 2>/dev/null; "
                         "tar -C in -cf - . | zstd -q -D dictionary > a.tar.zst")
    for command in ("index", "list", "verify"):
        finished = bale.run("archive", command, path, status=2)
        assert "needs the dictionary with ID" in finished.err
        assert "hint: decompress the file with zstd -d -D" in finished.err


def test_memory_does_not_depend_on_the_archive(tmp_path, seeded):
    """Four gigabytes in one frame: indexed, and a member got out, within the limit."""
    from conftest import Bale
    bale = Bale(tmp_path)
    if not shutil.which("zstd") or not shutil.which("tar"):
        pytest.skip("zstd or tar is not installed")
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in/0-large", "wb") as file:
        file.truncate(4 * GiB)
    (tmp_path / "in/1-small").write_bytes(b"small")
    path = made_by(bale, "tar -C in -cf - . | zstd -q -T2 > a.tar.zst")
    limit = ("--memory-limit", f"{LIMIT // MiB}MiB", "--no-progress")
    assert peak_of(bale, *limit, "archive", "index", path) < LIMIT
    assert peak_of(bale, *limit, "archive", "extract", path, "1-small", "--to", "out") < LIMIT
    assert tree_of(tmp_path / "out") == {"1-small": b"small"}


def test_an_archive_of_the_reference(bale, seeded):
    contents = {"a/b.txt": b"hello", "../x": b"elsewhere", "empty": b"", "large": seeded.randbytes(2 * MiB)}
    objects = [(entry("source", "pre/fix", f"pre/fix/{key}", content, "etag", tags=[("k", "v")]), content)
               for key, content in contents.items()]
    path = bale.directory / "r.tar.zst"
    path.write_bytes(reference_archive(objects, [{"region": "eu-west-1", "bucket": "b", "backup": True}]))
    made = bale.json("archive", "index", path)[0]
    assert made["manifest"] and made["objects"] == len(contents) and made["frames"] == 1
    info = bale.json("archive", "info", path)[0]
    assert info["index"] == f"{path}.index" and info["targets"] == 1 and info["random_access"]
    bale.run("archive", "extract", path, "--to", "out")
    assert tree_of(bale.directory / "out") == {"%2E%2E/x" if key == "../x" else key: content
                                              for key, content in contents.items()}
    assert list(bale.directory.glob("x")) == []


def test_an_index_of_what_was_there_before_is_not_used(bale, seeded, monkeypatch):
    """The object is another one of the same size and the same end: only its ETag tells."""
    def put(content):
        objects = [(entry("source", "", "k", content, "etag"), content), (entry("source", "", "z", end, "etag"), end)]
        with monkeypatch.context() as patched:
            patched.setattr("reference_writer.time.time", lambda: 1_700_000_000)
            archive = reference_archive(objects, [])
        bale.put("archives", "r.tar.zst", archive)
    first, second, end = (seeded.randbytes(MiB) for _ in range(3))
    bale.make_bucket("archives", "eu-west-1")
    put(first)
    bale.run("archive", "index", "s3://archives/r.tar.zst")
    assert "not used" not in bale.run("archive", "verify", "s3://archives/r.tar.zst").err
    put(second)
    finished = bale.run("archive", "extract", "s3://archives/r.tar.zst", "k", "--to", "out")
    assert "r.tar.zst.index is not used: it is of an object with another ETag" in finished.err
    assert tree_of(bale.directory / "out") == {"k": second}
