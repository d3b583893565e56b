"""Restore to a point in time: what a versioned bucket held then comes back, in names, versions, bytes and metadata."""
import datetime
import json
import time

import pytest
from conftest import BACKUP_REGION, COPY_REGION, SOURCE_REGION, text_of, tree_of

KEYS = ["a", "docs/b", "docs/c", "ü ö/d", "e", "f"]


def moment():
    """Now, apart from what was before and what comes: times are kept to the millisecond."""
    time.sleep(0.003)
    now = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(0.003)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def versioned(bale):
    """A rule from a bucket with versions, whose deletions are recorded."""
    bale.run("s3", "mb", "s3://source", "--region", SOURCE_REGION, "--versioning")
    bale.make_bucket("copy", COPY_REGION)
    bale.make_bucket("backup", BACKUP_REGION)
    bale.configure([bale.rule({"track_deletes": True})])
    bale.replicate("init")
    return bale


class History:
    """Changes the bucket by chance, and notes what it holds."""

    def __init__(self, bale, chance):
        self.bale, self.chance = bale, chance
        self.now, self.noted = {}, []

    def change(self):
        key = self.chance.choice(KEYS)
        if key in self.now and self.chance.random() < 0.35:
            self.bale.remove("source", key)
            del self.now[key]
            return
        content = text_of(self.chance, self.chance.choice([0, 30, 5000, 200000]))
        if key in self.now and self.chance.random() < 0.3:
            content = self.now[key]["content"]  # another version with the same bytes
        about = {"metadata": {"n": str(self.chance.randrange(1000))},
                 "tags": {"t": str(self.chance.randrange(1000))} if self.chance.random() < 0.5 else {},
                 "headers": {"content-type": "text/x-bale", "cache-control": f"max-age={self.chance.randrange(99)}"}}
        self.bale.put("source", key, content, **about)
        self.now[key] = {"content": content, **about}

    def note(self):
        versions = {line["key"]: line["version_id"] for line in self.bale.json(
            "s3", "ls", "--recursive", "--versions", "s3://source/") if line["type"] == "version" and line["is_latest"]}
        assert set(versions) == set(self.now)
        self.noted.append((moment(), {key: {**about, "version": versions[key]} for key, about in self.now.items()}))


def restored_lines(finished):
    return {line["source"].removeprefix("s3://source/"): line for line in finished.lines()
            if line["type"] == "restored"}


def assert_is_as_noted(bale, number, when, noted):
    to = bale.directory / f"out-{number}"
    status = 0 if noted else 3
    finished = bale.run("--output", "json", "restore", "--config", bale.config, "--to", to, "--prefix", "", "--as-of",
                        when, status=status)
    assert tree_of(to) == {key: about["content"] for key, about in noted.items()}, (when, finished)
    assert {key: line["version_id"] for key, line in restored_lines(finished).items()} == {
        key: about["version"] for key, about in noted.items()}, when
    if not noted:
        return
    bucket = f"out-{number}"
    bale.make_bucket(bucket, SOURCE_REGION)
    bale.restore(f"s3://{bucket}/", "--prefix", "", "--as-of", when)
    assert bale.keys(bucket) == sorted(noted)
    for key, about in noted.items():
        stat = bale.stat(bucket, key)
        assert bale.get(bucket, key) == about["content"]
        assert stat["metadata"] == about["metadata"] and stat["tags"] == about["tags"], (when, key)
        for name, value in about["headers"].items():
            assert stat[name.replace("-", "_")] == value


def test_the_state_at_any_time(versioned, seeded):
    bale, history = versioned, History(versioned, seeded)
    before = moment()
    for _ in range(9):
        at_work = None
        if seeded.random() < 0.4:
            at_work = bale.start("replicate", "run", "--until-idle", "--config", bale.config)
        for _ in range(seeded.randrange(1, 7)):
            history.change()
        history.note()
        if at_work:
            assert at_work.wait(timeout=120) == 0, at_work.stderr.read()
        elif seeded.random() < 0.4:
            bale.until_idle()
    bale.until_idle()
    bale.assert_idle()
    finished = bale.restore(bale.directory / "nothing", "--prefix", "", "--as-of", before, status=3)
    assert tree_of(bale.directory / "nothing") == {}, finished
    for number, (when, noted) in enumerate(history.noted):
        assert_is_as_noted(bale, number, when, noted)


def test_paths_and_patterns_as_of_a_time(versioned):
    bale = versioned
    bale.put("source", "docs/b", b"first")
    bale.put("source", "a", b"a")
    first = moment()
    bale.put("source", "docs/b", b"second")
    bale.remove("source", "a")
    second = moment()
    bale.put("source", "a", b"again")
    bale.until_idle()
    for number, (what, when, expected) in enumerate([
            (["docs/b"], first, {"docs/b": b"first"}), (["docs/*"], second, {"docs/b": b"second"}),
            (["*"], first, {"docs/b": b"first", "a": b"a"}), (["*"], second, {"docs/b": b"second"}),
            (["--prefix", "docs/"], first, {"docs/b": b"first"})]):
        to = bale.directory / str(number)
        bale.restore(to, *what, "--as-of", when)
        assert tree_of(to) == expected, (what, when)
    finished = bale.restore(bale.directory / "none", "a", "--as-of", second, status=3)
    assert "its deletion was recorded" in finished.err and "in the place of --as-of" in finished.err
    summary = bale.json("restore", "--config", bale.config, "--to", bale.directory / "s", "*", "--as-of", second)[-1]
    assert summary["deleted"] == 1 and summary["restored"] == 1
    bale.restore(bale.directory / "u", "a", "--as-of", second, "--until", second, status=2)
    assert "--as-of" in bale.restore(bale.directory / "u", "a", "--as-of", "yesterday", status=2).err


def test_every_version_is_in_the_backup_however_many_wait(versioned):
    """All of them are in the queue before the first is packed."""
    bale = versioned
    for number in range(12):
        bale.put("source", "hot", b"version %d" % number)
    bale.put("source", "other", b"other")
    bale.until_idle()
    records = bale.search("hot", "--all-versions")
    assert len(records) == 12 and len({record["version_id"] for record in records}) == 12
    assert bale.get("copy", "hot") == b"version 11"
    bale.assert_idle()


def test_without_versions_what_was_overwritten_before_it_was_packed_is_not_there(bale):
    bale.mixed()
    for number in range(3):
        bale.put("source", "hot", b"version %d" % number)
    bale.until_idle()
    record, = bale.search("hot", "--all-versions")
    assert json.dumps(record["event"]) == '"put"'
    bale.restore(bale.directory / "out", "hot")
    assert tree_of(bale.directory / "out") == {"hot": b"version 2"}


def version_ids(bale, key):
    """All versions of a key, the newest first, and its delete markers."""
    lines = [line for line in bale.json("s3", "ls", "--recursive", "--versions", f"s3://source/{key}")
             if line.get("key") == key]
    return ([line["version_id"] for line in lines if line["type"] == "version"],
            [line["version_id"] for line in lines if line["type"] != "version"])


def remove_version(bale, key, version):
    bale.run("s3", "rm", f"s3://source/{key}", "--version-id", version)


@pytest.mark.parametrize("packed_meanwhile", [True, False])
def test_a_deletion_that_is_taken_back(versioned, packed_meanwhile):
    bale = versioned
    bale.put("source", "a", b"back again")
    present = moment()
    bale.remove("source", "a")
    deleted = moment()
    if packed_meanwhile:
        bale.until_idle()
    _, (marker,) = version_ids(bale, "a")
    remove_version(bale, "a", marker)
    back = moment()
    bale.until_idle()
    bale.assert_idle()
    bale.restore(bale.directory / "now", "a")
    assert tree_of(bale.directory / "now") == {"a": b"back again"}
    for number, (when, expected) in enumerate([(present, {"a": b"back again"}), (deleted, {}),
                                               (back, {"a": b"back again"})]):
        to = bale.directory / str(number)
        bale.restore(to, "--prefix", "", "--as-of", when, status=0 if expected else 3)
        assert tree_of(to) == expected, when
    index = bale.directory / "index"
    bale.run("catalog", "sync", "--config", bale.config, "--index", index)
    bale.restore(bale.directory / "indexed", "a", "--as-of", deleted, "--index", index, status=3)
    bale.restore(bale.directory / "indexed", "a", "--as-of", back, "--index", index)
    assert tree_of(bale.directory / "indexed") == {"a": b"back again"}


def test_an_older_version_that_is_current_again(versioned):
    bale = versioned
    bale.put("source", "a", b"first")
    bale.put("source", "a", b"second")
    second = moment()
    bale.until_idle()
    (newest, _), _ = version_ids(bale, "a")
    remove_version(bale, "a", newest)
    bale.until_idle()
    bale.restore(bale.directory / "now", "a")
    bale.restore(bale.directory / "then", "a", "--as-of", second)
    assert tree_of(bale.directory / "now") == {"a": b"first"}
    assert tree_of(bale.directory / "then") == {"a": b"second"}
    assert bale.get("copy", "a") == b"first"
