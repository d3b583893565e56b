"""The command line itself: usage, exit statuses, hints, JSON, and nothing secret in what is printed."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest
from conftest import BACKUP_REGION, SOURCE_REGION, Bale, binary, clean_environment

COMMANDS = [("s3",), ("s3", "mb"), ("s3", "ls"), ("s3", "cp"), ("s3", "rm"), ("s3", "stat"), ("replicate",),
            ("replicate", "init"), ("replicate", "run"), ("replicate", "source"), ("replicate", "relay"),
            ("replicate", "target"), ("replicate", "backfill"), ("replicate", "status"), ("archive",),
            ("archive", "create"), ("archive", "list"), ("archive", "extract"), ("archive", "verify"),
            ("archive", "info"), ("catalog",), ("catalog", "search"), ("catalog", "sql"), ("catalog", "ddl"),
            ("catalog", "sync"), ("catalog", "stats"), ("check",), ("mount",),
            ("restore",), ("doctor",), ("estimate",), ("bench",), ("config", "check"), ("config", "schema"),
            ("version",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(bale, command):
    finished = bale.run(*command, "--help")
    assert finished.out.strip() and finished.err == ""


def test_version(bale):
    assert bale.run("--version").out.startswith("bale ")
    assert bale.json("version")[0]["version"]


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("s3",), ("s3", "cp"), ("s3", "cp", "--nonsense", "a", "b"),
                                       ("replicate", "init"), ("restore",), ("--output", "xml", "version"),
                                       ("--memory-limit", "lots", "version"), ("s3", "ls", "s3:/missing-slash"),
                                       ("archive", "create", "--level", "99", "a.tar.zst", "b")], ids=" ".join)
def test_usage_errors(bale, arguments):
    finished = bale.run(*arguments, status=2)
    assert finished.out == "" and finished.err.startswith("bale: "), finished


@pytest.mark.parametrize("arguments,message", [
    (("nonsense",), "'nonsense' is no command of bale"),
    (("s3", "sync", "a", "s3://b/"), "'sync' is no command of bale s3"),
    (("--quiet", "s3", "--recursive", "copy"), "'copy' is no command of bale s3"), (("s3",), "a command is missing"),
    (("s3", "cp", "a"), "destination is required")], ids=lambda value: " ".join(value))
def test_a_command_that_is_none_is_named(bale, arguments, message):
    assert bale.run(*arguments, status=2).err.splitlines()[0] == "bale: " + message


@pytest.mark.parametrize("arguments", [("s3", "ls", "s3://no-such-bucket"), ("s3", "stat", "s3://bucket/none"),
                                       ("s3", "ls", "s3://bucket/none"),
                                       ("s3", "ls", "--recursive", "s3://bucket/none"),
                                       ("s3", "cp", "s3://bucket/none", "out"), ("archive", "list", "none.tar.zst")],
                         ids=" ".join)
def test_not_found(bale, arguments):
    bale.make_bucket("bucket", SOURCE_REGION)
    finished = bale.run(*arguments, status=3)
    assert finished.out == "" and "bale: " in finished.err


def test_damaged_archive(bale):
    path = bale.directory / "damaged.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"not an archive" * 100)
    for command in ("list", "verify", "info"):
        finished = bale.run("archive", command, path, status=5)
        assert "damaged.tar.zst" in finished.err


def test_a_bucket_twice_is_refused(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    finished = bale.run("s3", "mb", "s3://bucket", status=None)
    assert finished.status in (1, 2, 4) and "bucket" in finished.err


def test_errors_as_json(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    finished = bale.run("--output", "json", "s3", "ls", "s3://no-such-bucket", status=3)
    errors = [json.loads(line) for text in (finished.out, finished.err) for line in text.splitlines()]
    error = next(line for line in errors if line.get("type") == "error")
    assert error["kind"] == "not_found" and error["code"] == "NoSuchBucket"


def test_a_missing_store_says_how_to_name_one(bale):
    environment = {**clean_environment(), "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(bale.directory)}
    finished = subprocess.run([binary(), "s3", "ls"], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
    assert finished.returncode == 4 and "--local" in finished.stderr
    assert "hint: " in finished.stderr


def test_a_store_that_is_not_there_is_not_made(bale):
    bale.configure([{"source": {"region": SOURCE_REGION, "bucket": "source"}, "destinations": [
        {"region": BACKUP_REGION, "bucket": "backup", "backup": True}]}])
    config = ("--config", bale.config)
    for arguments in (("replicate", "status", *config), ("replicate", "run", "--until-idle", *config),
                      ("replicate", "backfill", *config), ("catalog", "search", *config),
                      ("restore", "key", "--to", "out", *config), ("s3", "ls")):
        finished = bale.run(*arguments, status=3)
        assert "bale s3 mb" in finished.err and str(bale.store) in finished.err, finished
        assert not bale.store.exists(), arguments
    planned = bale.json("replicate", "init", "--dryrun", *config)
    assert planned and {step["state"] for step in planned} == {"missing"} and not bale.store.exists()
    made = bale.json("replicate", "init", *config)
    assert [step["name"] for step in made] == [step["name"] for step in planned]


def test_a_store_that_may_only_be_read_says_so():
    """Another user's store: status 4, and a hint that says what to do. Root may do everything, so another does it."""
    with tempfile.TemporaryDirectory() as name:
        bale = Bale(name)
        bale.make_bucket("bucket", SOURCE_REGION)
        bale.put("bucket", "key", b"content")
        os.chmod(name, 0o755)
        for path in [bale.store, *bale.store.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        other = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            finished = subprocess.run(bale.command("s3", "ls", "s3://bucket"), env=clean_environment(), text=True,
                                      capture_output=True, timeout=60, cwd="/", **other)
        except PermissionError:
            pytest.skip("another user cannot run the program")
        finally:
            for path in [bale.store, *bale.store.rglob("*")]:
                path.chmod(0o755)
        assert finished.returncode == 4, finished
        assert "may only read the store" in finished.stderr and "hint: " in finished.stderr, finished


def test_a_current_directory_that_is_gone(bale):
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" --local store s3 mb s3://bucket'
    finished = subprocess.run(["sh", "-c", script, binary()], cwd=bale.directory, env=clean_environment(), text=True,
                              capture_output=True, timeout=60)
    assert finished.returncode == 3 and "the current directory is gone" in finished.stderr, finished
    assert "hint: " in finished.stderr and "filesystem error" not in finished.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_is_written_where_it_stands(bale, name):
    """What others wrote before and write after stays: the file behind it is neither replaced nor begun anew."""
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "key", b"content")
    script = f'{{ printf head-; "$0" --local store s3 cp s3://bucket/key {name}; printf -- -tail; }} > out'
    subprocess.run(["sh", "-c", script, binary()], cwd=bale.directory, env=clean_environment(), check=True, timeout=60)
    assert (bale.directory / "out").read_bytes() == b"head-content-tail"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_process_substitution(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "key", b"content")
    script = '"$0" --local store s3 cp s3://bucket/key >(cat > out.part; mv out.part out) >&2'
    subprocess.run(["bash", "-c", script, binary()], cwd=bale.directory, env=clean_environment(), check=True,
                   timeout=60)
    deadline = time.monotonic() + 60  # the shell does not wait for what it substituted
    while not (bale.directory / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (bale.directory / "out").read_bytes() == b"content"


def test_store_from_the_environment(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    environment = {**clean_environment(), "BALE_LOCAL": str(bale.store)}
    finished = subprocess.run([binary(), "s3", "ls"], env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0 and "bucket" in finished.stdout


def test_results_are_json_lines(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "key", b"content")
    for arguments in (("s3", "ls"), ("s3", "ls", "s3://bucket"), ("s3", "stat", "s3://bucket/key"), ("version",)):
        assert bale.json(*arguments), arguments


def test_quiet_prints_nothing(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "key", b"content")
    finished = bale.run("--quiet", "s3", "cp", "s3://bucket/key", "out")
    assert finished.out == "" and finished.err == ""


def test_options_before_and_after_the_command(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    assert bale.run("s3", "ls", "--output", "json").lines() == bale.run("--output", "json", "s3", "ls").lines()


def test_no_progress_where_no_terminal_is(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    finished = bale.put("bucket", "key", b"content")
    assert "\r" not in finished.err and "\x1b" not in finished.out + finished.err


def test_a_closed_pipe_is_no_crash(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    for number in range(3):
        bale.put("bucket", f"key-{number}", b"content")
    read, write = os.pipe()
    os.close(read)
    process = bale.start("s3", "ls", "s3://bucket", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode >= 0 and b"terminate called" not in err


def test_secrets_are_not_printed(bale):
    environment = {**clean_environment(), "AWS_ACCESS_KEY_ID": "AKIDVISIBLE", "AWS_SECRET_ACCESS_KEY": "hushhush",
                   "AWS_SESSION_TOKEN": "tokentoken"}
    for arguments in (["--log-level", "debug", "s3", "ls"], ["--log-level", "debug", "s3", "ls", "s3://none"]):
        finished = subprocess.run(bale.command(*arguments), env=environment, capture_output=True, timeout=60)
        assert b"hushhush" not in finished.stdout + finished.stderr
        assert b"tokentoken" not in finished.stdout + finished.stderr


def test_interrupt(bale):
    """SIGINT ends a service; 130 says that it was interrupted."""
    bale.mixed()
    process = bale.start("replicate", "run", "--config", bale.config)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    process.send_signal(2)
    process.communicate(timeout=30)
    assert process.returncode in (0, 130)


def test_s3_commands_on_real_files(bale):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put_tree("bucket", "tests/", os.path.dirname(__file__))
    assert "tests/test_cli.py" in bale.keys("bucket")
    assert bale.get("bucket", "tests/test_cli.py") == open(__file__, "rb").read()
    bale.run("s3", "rm", "--recursive", "s3://bucket/tests/")
    assert bale.keys("bucket") == []


@pytest.mark.parametrize("how", ["lost", "emptied"])
def test_a_store_without_its_database_is_not_begun_anew(bale, how):
    bale.make_bucket("bucket", SOURCE_REGION)
    bale.put("bucket", "k", b"content")
    database = bale.store / "bale.sqlite"
    for path in bale.store.glob("bale.sqlite*"):
        path.unlink()
    if how == "emptied":
        database.touch()
    finished = bale.run("s3", "ls", status=5)
    assert str(database) in finished.err and "from a copy" in finished.err
    assert not database.exists() or database.stat().st_size == 0


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 150_000 + "1" + "}" * 150_000,
                                  '{"tags":' + "[" * 400_000 + "]" * 400_000 + "}"],
                         ids=["arrays without an end", "objects", "a member"])
def test_configuration_that_nests_too_deep_is_refused(bale, text):
    bale.config.mkdir()
    for name in ("settings.json", "replication_config.json"):
        (bale.config / name).write_text(text)
    for arguments in (("config", "check"), ("replicate", "init", "--dryrun"), ("replicate", "run", "--until-idle")):
        finished = bale.run(*arguments, "--config", bale.config, status=2)
        assert "settings.json: nests more than 128 levels deep" in finished.err, finished


def test_stores_and_indexes_are_private(bale):
    """Whatever the umask is; what the user asked for has the ordinary mode."""
    bale.mixed()
    before = os.umask(0)
    try:
        bale.put("source", "key", b"content")
        bale.until_idle()
        bale.run("catalog", "sync", "--config", bale.config)
        bale.restore(bale.directory / "out", "*")
        bale.run("archive", "create", "a.tar.zst", "out")
    finally:
        os.umask(before)
    for root in (bale.store, bale.directory / "cache" / "bale"):
        paths = [path for path in root.rglob("*") if path.exists()]
        assert len(paths) > 1
        assert not [path for path in paths if path.is_file() and path.stat().st_mode & 0o077]
    assert bale.store.stat().st_mode & 0o777 == 0o700
    assert (bale.directory / "out" / "key").stat().st_mode & 0o777 == 0o644
    assert (bale.directory / "a.tar.zst").stat().st_mode & 0o777 == 0o644


def test_files_that_an_older_database_does_not_know_are_kept_and_named(bale):
    bale.run("s3", "mb", "s3://bucket")
    for name in ("old", "new"):
        (bale.directory / name).write_text(name)
    bale.run("s3", "cp", "old", "s3://bucket/old")
    shutil.copy(bale.store / "bale.sqlite", bale.directory / "copy")
    bale.run("s3", "cp", "new", "s3://bucket/d/new")
    shutil.copy(bale.directory / "copy", bale.store / "bale.sqlite")
    listed = bale.run("s3", "ls", "--recursive", "s3://bucket")
    assert "warning" in listed.err and "lost+found" in listed.err and "d/new@" in listed.err
    kept = [path for path in (bale.store / "lost+found").rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == ["new"]
    assert bale.run("s3", "ls", "s3://bucket").err == ""
    bale.run("s3", "cp", kept[0], "s3://bucket/d/new")
    assert bale.run("s3", "cp", "s3://bucket/d/new", "-").out == "new"


def copy_database(bale, to):
    """The database as `sqlite3 .backup` copies it while the store is in use, and the store's newest number."""
    with contextlib.closing(sqlite3.connect(bale.store / "bale.sqlite")) as source:
        with contextlib.closing(sqlite3.connect(to)) as target:
            source.backup(target)
    return (bale.store / "newest-number").read_bytes()


@pytest.mark.parametrize("copied", ["before", "in the middle"])
@pytest.mark.parametrize("newest_number", ["old", "gone", "kept"])
def test_a_killed_copy_and_an_older_database_lose_no_file(bale, copied, newest_number):
    """Everything that shows the database's age but the journal of the killed process may be as old as the database."""
    bale.run("s3", "mb", "s3://bucket")
    tree = bale.directory / "tree"
    tree.mkdir()
    for number in range(3000):
        (tree / f"{number:04}").write_text(f"content {number}")
    database = bale.directory / "copy.sqlite"
    number = copy_database(bale, database)
    process = bale.start("s3", "cp", "--recursive", tree, "s3://bucket/t/")

    def committed_objects(path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return {name for (name,) in connection.execute("SELECT CAST(key AS TEXT) || '@' || file FROM versions")}

    def wait_for_objects(count):
        while len(committed_objects(bale.store / "bale.sqlite")) < count:
            assert process.poll() is None, "it ended too soon"
            time.sleep(0.01)
    if copied == "in the middle":
        wait_for_objects(1)
        database.unlink()
        number = copy_database(bale, database)
    known = committed_objects(database)
    for _ in range(2):  # when the second commit is seen, the number of the first is in the journal
        wait_for_objects(len(committed_objects(bale.store / "bale.sqlite") | known) + 1)
    process.kill()
    process.wait()
    committed = committed_objects(bale.store / "bale.sqlite")
    assert known < committed
    for suffix in ("-wal", "-shm"):
        (bale.store / ("bale.sqlite" + suffix)).unlink(missing_ok=True)
    shutil.copy(database, bale.store / "bale.sqlite")
    if newest_number == "old":
        (bale.store / "newest-number").write_bytes(number)
    if newest_number == "gone":
        (bale.store / "newest-number").unlink()
    listed = bale.run("s3", "ls", "s3://bucket")
    assert "is older than its files" in listed.err and "lost+found" in listed.err
    lost = bale.store / "lost+found" / "s3" / "bucket"
    assert committed - known <= {str(path.relative_to(lost)) for path in lost.rglob("*@*")}
    stored = bale.store / "s3" / "bucket"
    assert known == {str(path.relative_to(stored)) for path in stored.rglob("*@*")}
    assert bale.run("s3", "ls", "s3://bucket").err == ""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount a small disk")
def test_a_failed_upload_leaves_no_parts_on_a_full_disk(bale):
    """The store is on a disk of 24 MiB; a file of 40 MB does not fit, and the space is free again afterwards."""
    with open(bale.directory / "large", "wb") as file:
        file.write(os.urandom(40_000_000))
    (bale.directory / "small").write_bytes(os.urandom(10_000_000))
    disk = bale.directory / "disk"
    disk.mkdir()
    program = f"{binary()} --local disk/store s3"
    script = f"""
        mount -t tmpfs -o size=24m tmpfs disk || exit 77
        {program} mb s3://bucket || exit 1
        {program} cp large s3://bucket/large; echo "status $?"
        echo "parts $(find disk/store/uploads -type f 2>/dev/null | wc -l)"
        {program} cp small s3://bucket/small && {program} ls s3://bucket
    """
    finished = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=bale.directory, env=clean_environment(),
                              capture_output=True, text=True)
    if finished.returncode == 77:
        pytest.skip("tmpfs cannot be mounted here: " + finished.stderr)
    assert "status 4" in finished.stdout and "No space left" in finished.stderr, finished
    assert "parts 0" in finished.stdout and "small" in finished.stdout, finished
