"""Kills on the embedded backend; and a stop, which is none."""
import contextlib
import signal
import sqlite3
import time

import pytest

from conftest import Bale
from kill_cases import *  # noqa: F403  (the tests)
from kill_cases import SOURCE, Writer, assert_everything_arrived


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


class KilledBale(Bale):
    """Embedded, with every service in one process."""

    services, kills, longest_run = ("run",), 100, 0.9

    def events(self):
        return contextlib.nullcontext()  # the store notifies its queues

    def three_times(self, chance):
        return ThreeTimes(self, chance)


@pytest.fixture
def bale(tmp_path, disposal):
    yield KilledBale(tmp_path)
    disposal(tmp_path)


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
