"""`bale archive` on local files, and other programs on its archives."""
import os
import shutil
import subprocess
import threading

import pytest
from conftest import text_of, tree_of, write_tree


@pytest.fixture
def archive(bale, seeded):
    """An archive of sixty files, and the files."""
    files = {f"docs/{n % 3}/file-{n:02}.txt": text_of(seeded, 50_000 * (n % 7)) for n in range(60)}
    write_tree(bale.directory / "in", files)
    bale.run("archive", "create", "--level", "6", "a.tar.zst", "in")
    return bale.directory / "a.tar.zst", files


def members(files):
    return {f"in/{name}": content for name, content in files.items()}


def extracted(directory, files):
    """What is below `directory`, by the names of `files` whatever stands before them."""
    tree = tree_of(directory)
    return {name: content for name in files for path, content in tree.items() if path.endswith(name)}


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
def test_stock_tools_open_it(bale, archive):
    path, files = archive
    (bale.directory / "out").mkdir()
    subprocess.run(f"zstd -dc '{path}' | tar -C '{bale.directory}/out' -xf -", shell=True, check=True)
    assert extracted(bale.directory / "out", files) == files
    subprocess.run(["zstd", "-tq", path], check=True)


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
def test_level_zero_stores_and_stock_tools_open_it(bale, archive):
    _, files = archive
    bale.run("archive", "create", "--level", "0", "stored.tar.zst", "in")
    stored = bale.directory / "stored.tar.zst"
    assert stored.stat().st_size > sum(map(len, files.values()))
    (bale.directory / "out").mkdir()
    subprocess.run(f"zstd -dc '{stored}' | tar -C '{bale.directory}/out' -xf -", shell=True, check=True)
    assert extracted(bale.directory / "out", files) == files
    bale.run("archive", "verify", stored)
    bale.run("archive", "extract", stored, "--to", "again")
    assert extracted(bale.directory / "again", files) == files


ODD_NAMES = [b"tab\there", b"line\nend/x", b"\xff\xfe.bin", b"caf\xe9/\x01", b" blank ", b"-rf", b"a%b", b"q'\"\\"]


def files_below(directory):
    directory = os.fsencode(directory)
    found = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


@pytest.mark.parametrize("program", ["bale", "tar", "python"])
def test_names_that_a_file_system_can_hold_come_back(bale, program):
    given = os.fsencode(bale.directory / "in")
    for name in ODD_NAMES:
        os.makedirs(os.path.dirname(os.path.join(given, name)), exist_ok=True)
        with open(os.path.join(given, name), "wb") as file:
            file.write(b"content of " + name)
    bale.run("archive", "create", "a.tar.zst", "in")
    out = bale.directory / "out"
    if program == "bale":
        finished = bale.run("archive", "extract", "a.tar.zst", "--to", out)
        assert finished.err == "", finished
        found = files_below(out)
    else:
        out.mkdir()
        unpack = "tar -C out -xf -" if program == "tar" else (
            "python3 -c 'import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode=\"r|\").extractall(\"out\")'")
        subprocess.run(f"zstd -dc a.tar.zst | {unpack}", shell=True, check=True, cwd=bale.directory)
        found = {name.removeprefix(b"objects/"): content for name, content in files_below(out).items()
                 if name.startswith(b"objects/")}
    assert found == {b"in/" + name: b"content of " + name for name in ODD_NAMES}


def test_list_names_every_member(bale, archive):
    path, files = archive
    listed = bale.run("archive", "list", path).out
    assert all(name in listed for name in files)
    assert len([line for line in bale.json("archive", "list", path) if line["type"] == "object"]) == len(files)


def test_extract_all(bale, archive):
    path, files = archive
    bale.run("archive", "extract", path, "--to", "out")
    assert extracted(bale.directory / "out", files) == files


def test_same_input_same_archive(bale, archive):
    path, _ = archive
    bale.run("archive", "create", "--level", "6", "b.tar.zst", "in")
    assert (bale.directory / "b.tar.zst").read_bytes()[:4096] == path.read_bytes()[:4096]


def test_verify(bale, archive):
    bale.run("archive", "verify", archive[0])
    assert bale.json("archive", "info", archive[0])


def test_every_flipped_bit_is_noticed(bale, archive, seeded):
    path, _ = archive
    content = path.read_bytes()
    damaged = bale.directory / "damaged.tar.zst"
    for _ in range(25):
        flipped = bytearray(content)
        flipped[seeded.randrange(len(flipped))] ^= 1 << seeded.randrange(8)
        damaged.write_bytes(flipped)
        bale.run("archive", "verify", damaged, status=5)


def test_every_cut_is_noticed(bale, archive, seeded):
    path, _ = archive
    content = path.read_bytes()
    damaged = bale.directory / "damaged.tar.zst"
    for size in [0, 1, 4, len(content) - 1, *(seeded.randrange(len(content)) for _ in range(10))]:
        damaged.write_bytes(content[:size])
        bale.run("archive", "verify", damaged, status=5)


def test_two_files_of_one_name_are_refused(bale):
    """Names lose their leading "..": those of a/x and ../a/x are the same."""
    write_tree(bale.directory, {"x": b"here", "../x-of-" + bale.directory.name: b"above"})
    above = bale.directory.parent / ("x-of-" + bale.directory.name)
    (bale.directory / above.name).write_bytes(b"another")
    finished = bale.run("archive", "create", "k.tar.zst", above.name, "../" + above.name, status=2)
    assert "two files would have the name" in finished.err and not (bale.directory / "k.tar.zst").exists()
    assert "1 object" in bale.run("archive", "create", "k.tar.zst", "x", "./x").out, "the same file is one object"


def test_paths_that_are_too_long_are_named_and_the_others_go_in(bale):
    """A directory of more than PATH_MAX bytes, which nobody can name as a whole."""
    write_tree(bale.directory / "in", {"a": b"a", "z": b"z"})
    handle = os.open(bale.directory / "in", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=handle)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    finished = bale.run("archive", "create", "a.tar.zst", "in", status=1)
    assert "left out in/nnn" in finished.err and "too long" in finished.err, finished
    assert {line["key"] for line in bale.json("archive", "list", "a.tar.zst")} == {"in/a", "in/z"}
    bale.run("s3", "mb", "s3://bucket")
    finished = bale.run("s3", "cp", "--recursive", "in", "s3://bucket", status=1)
    assert "upload failed: in/nnn" in finished.err, finished
    listed = bale.run("s3", "ls", "--recursive", "s3://bucket").out
    assert listed.count("\n") == 2, listed
    subprocess.run(["rm", "-rf", bale.directory / "in"], check=True)


def test_create_does_not_leave_half_an_archive(bale):
    bale.run("archive", "create", "a.tar.zst", "none", status=3)
    finished = bale.run("archive", "create", "a.tar.zst", "none", "neither", status=1)
    assert "left out none: no such file" in finished.err and "left out neither: no such file" in finished.err
    assert not (bale.directory / "a.tar.zst").exists()


def test_a_named_path_that_is_not_there_does_not_stop_the_others(bale):
    write_tree(bale.directory / "in", {"a": b"1", "b": b"2"})
    finished = bale.run("archive", "create", "a.tar.zst", "in/a", "none", "in/b", status=1)
    assert "left out none: no such file or directory" in finished.err
    assert {line["key"] for line in bale.json("archive", "list", "a.tar.zst")} == {"in/a", "in/b"}


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
def test_an_archive_through_a_pipe(bale):
    write_tree(bale.directory / "in", {"a": b"content"})
    command = bale.command("archive", "create", "-", "in")
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=bale.directory) as create:
        listed = subprocess.run("zstd -dc | tar -tf -", shell=True, stdin=create.stdout, capture_output=True, text=True,
                                check=True)
    assert create.returncode == 0
    assert listed.stdout.split() == ["objects/in/a", "manifest.json"]


def test_extract_stays_inside_while_directories_are_swapped(bale):
    """A directory is replaced by a link to another one, and comes back, over and over."""
    write_tree(bale.directory / "in", {f"d/{n % 5}/{n}": b"x" * 100 for n in range(2000)})
    bale.run("archive", "create", "a.tar.zst", "in")
    outside, out = bale.directory / "outside", bale.directory / "out" / "in"
    outside.mkdir()
    out.mkdir(parents=True)
    (out / "d").mkdir()
    ended = threading.Event()

    def swap():
        while not ended.is_set():
            try:
                os.rename(out / "d", out / "hidden")
                os.symlink(outside, out / "d")
                os.unlink(out / "d")
                os.rename(out / "hidden", out / "d")
            except OSError:
                (out / "hidden").exists() and not (out / "d").exists() and os.rename(out / "hidden", out / "d")

    attacker = threading.Thread(target=swap)
    attacker.start()
    extracting = bale.start("archive", "extract", "a.tar.zst", "--to", "out")
    _, errors = extracting.communicate()
    ended.set()
    attacker.join()
    assert not list(outside.iterdir())
    assert extracting.returncode in (0, 1), errors


def test_extract_keeps_a_file_that_appears(bale):
    write_tree(bale.directory / "in", {f"{n:05}": b"x" * 100 for n in range(3000)})
    bale.run("archive", "create", "a.tar.zst", "in")
    last = bale.directory / "out" / "in" / "02999"
    extracting = bale.start("archive", "extract", "a.tar.zst", "--to", "out")
    while not last.parent.exists() and extracting.poll() is None:
        pass
    try:
        with open(last, "xb") as file:
            file.write(b"theirs")
    except FileExistsError:
        extracting.communicate()
        pytest.skip("the extraction was faster")
    errors = extracting.communicate()[1]
    assert last.read_bytes() == b"theirs"
    assert extracting.returncode == 1 and "02999" in str(errors)
    assert len(list(last.parent.iterdir())) == 3000
    bale.run("archive", "extract", "a.tar.zst", "--to", "out")
    assert last.read_bytes() == b"x" * 100, "what is there at the beginning is replaced"


def test_what_is_below_a_private_directory_stays_private(bale):
    for name, mode in {"open": 0o755, "group": 0o750, "private": 0o700}.items():
        directory = bale.directory / "in" / name
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(b"content")
        (directory / "file").chmod(0o644)
        directory.chmod(mode)
    (bale.directory / "in").chmod(0o755)
    bale.run("archive", "create", "a.tar.zst", "in")
    bale.run("archive", "extract", "a.tar.zst", "--to", "out")
    modes = {path.parent.name: path.stat().st_mode & 0o777 for path in (bale.directory / "out").rglob("file")}
    assert modes == {"open": 0o644, "group": 0o640, "private": 0o600}
    bale.run("archive", "create", "b.tar.zst", "in/private")
    bale.run("archive", "extract", "b.tar.zst", "--to", "named")
    assert [path.stat().st_mode & 0o777 for path in (bale.directory / "named").rglob("file")] == [0o600]
