"""Nothing acknowledged is lost: the services are killed again and again while objects are put, changed and deleted."""
import signal
import sqlite3
import subprocess
import threading
import time

from conftest import attributes, text_of, tree_of, write_tree

KILLS = 100
SOURCE = {"visibility_timeout": 2, "max_receive_count": 1000, "frame_size": 65536, "level": 3,
          "batch": {"max_objects": 40, "max_bytes": 1 << 20, "max_wait_seconds": 1}}


class Writer:
    """Puts, changes and deletes objects of the source bucket, and remembers what must be there in the end."""

    def __init__(self, bale, chance, keys=120):
        self.bale, self.chance = bale, chance
        self.keys = [f"{number % 4}/key {number:03}+{number}%" for number in range(keys)]
        self.state = {}  # key -> (content, generation)
        self.generation = 0

    def content(self, key):
        size = self.chance.choice([0, 1, 700, 5000, 65536, 65537, 300000])
        head = f"{key} {self.generation}\n".encode()[:size]
        return head + text_of(self.chance, size - len(head))

    def put_some(self, count):
        """One generation: new and changed objects with metadata and tags that name it."""
        self.generation += 1
        files = {key: self.content(key) for key in self.chance.sample(self.keys, count)}
        directory = self.bale.directory / f"generation-{self.generation}"
        write_tree(directory, files)
        mark = str(self.generation)
        self.bale.put_tree("source", "", directory, *attributes({"generation": mark}, {"generation": mark}))
        self.state.update({key: (content, mark) for key, content in files.items()})

    def delete_one(self):
        if self.state:
            key = self.chance.choice(sorted(self.state))
            self.bale.remove("source", key)
            del self.state[key]

    def step(self):
        if self.chance.random() < 0.3:
            self.delete_one()
        else:
            self.put_some(self.chance.randrange(1, 20))


class Killer:
    """Starts the services and kills them at random moments of their run. How long a run takes depends on the machine:
    the moments are chosen within the time that runs were seen to need, so that nearly every run is killed at work."""

    def __init__(self, bale, chance):
        self.bale, self.chance = bale, chance
        self.longest = 0.9  # seconds after the start
        self.kills = 0

    def run_and_kill(self):
        process = self.bale.start("replicate", "run", "--until-idle", "--config", self.bale.config)
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=self.chance.uniform(0.02, self.longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            self.kills += 1
            self.longest = min(0.9, self.longest * 1.1)
            return
        assert process.returncode == 0, (process.returncode, out, err)
        self.longest = max(0.1, time.monotonic() - started)


def assert_everything_arrived(bale, writer):
    bale.until_idle(timeout=600)
    assert bale.keys("source") == sorted(writer.state)
    expected = {key: content for key, (content, _) in writer.state.items()}
    bale.get_tree("copy", "", bale.directory / "copy")
    copied = tree_of(bale.directory / "copy")
    assert {key for key in expected if copied.get(key) != expected[key]} == set()
    bale.make_bucket("restored", "eu-central-1")
    bale.restore("s3://restored/", "--prefix", "", timeout=600)
    bale.get_tree("restored", "", bale.directory / "restored")
    restored = tree_of(bale.directory / "restored")
    assert {key for key in expected if restored.get(key) != expected[key]} == set()
    for key, (_, mark) in writer.state.items():
        for bucket in ("copy", "restored"):
            stat = bale.stat(bucket, key)
            assert stat["metadata"]["generation"] == mark and stat["tags"]["generation"] == mark, (bucket, key, stat)
    bale.assert_idle()
    assert_no_leftovers(bale)


def assert_no_leftovers(bale):
    """The store holds one data file for each object, and nothing that a killed process left."""
    files = len([path for path in (bale.store / "s3").rglob("*") if path.is_file()])
    buckets = [line["name"] for line in bale.json("s3", "ls")]
    assert files == sum(len(bale.keys(bucket)) for bucket in buckets)


def test_killed_while_objects_are_written(bale, seeded):
    bale.mixed(source=SOURCE)
    writer = Writer(bale, seeded)
    failure, done = [], threading.Event()

    def write():
        try:
            while not done.is_set():
                writer.step()
        except BaseException as error:
            failure.append(error)

    killer = Killer(bale, seeded)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        while killer.kills < KILLS and not failure:
            killer.run_and_kill()
    finally:
        done.set()
        thread.join()
    assert not failure, failure
    assert_everything_arrived(bale, writer)


class ThreeTimes:
    """Delivers every message of every queue three times, in random order. Works on the store's own database while no
    process has it open, because no queue offers such a thing on purpose."""

    def __init__(self, bale, chance):
        self.path, self.chance = bale.store / "bale.sqlite", chance
        self.done = 0  # messages up to this number have been multiplied

    def __call__(self):
        database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        number = database.execute("SELECT value FROM counter").fetchone()[0]
        fresh = database.execute("SELECT queue, body, sent, visible_at FROM messages WHERE id > ?",
                                 (self.done,)).fetchall()
        database.execute("DELETE FROM messages WHERE id > ?", (self.done,))
        copies = fresh * 3
        self.chance.shuffle(copies)
        for queue, body, sent, visible_at in copies:
            number += 1
            database.execute("INSERT INTO messages(id, queue, body, sent, visible_at) VALUES(?, ?, ?, ?, ?)",
                             (number, queue, body, sent, min(visible_at, sent) - self.chance.randrange(60000)))
        database.execute("UPDATE counter SET value = ?", (number,))
        database.execute("COMMIT")
        database.close()
        self.done = number


def test_killed_with_every_event_three_times(bale, seeded):
    bale.mixed(source=SOURCE)
    writer, deliver = Writer(bale, seeded), ThreeTimes(bale, seeded)
    killer = Killer(bale, seeded)
    while killer.kills < KILLS:
        writer.step()
        deliver()
        killer.run_and_kill()
    assert_everything_arrived(bale, writer)


def test_sigterm_hands_back_what_is_in_hand(bale, seeded):
    """A stop is no kill: it ends within 30 s, and nothing waits for a visibility timeout."""
    bale.mixed(source={**SOURCE, "visibility_timeout": 600})
    writer = Writer(bale, seeded)
    for _ in range(5):
        writer.put_some(20)
    process = bale.start("replicate", "run", "--config", bale.config)
    time.sleep(0.7)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode in (0, 130, 143), (process.returncode, out, err)
    started = time.monotonic()
    assert_everything_arrived(bale, writer)
    assert time.monotonic() - started < 300
