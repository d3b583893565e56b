"""Nothing acknowledged is lost: the services are killed again and again while objects are put, changed and deleted.

The modules that import these tests say where they run: their fixture `bale` is there, with the number of `kills`."""
import signal
import subprocess
import threading
import time

from conftest import text_of, tree_of, write_tree

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
        self.bale.put_tree("source", "", directory, metadata={"generation": mark}, tags={"generation": mark})
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
        self.longest = {role: bale.longest_run for role in bale.services}  # seconds after the start
        self.kills = 0

    def run_and_kill(self):
        started = time.monotonic()
        running = [(started + self.chance.uniform(0.02, self.longest[role]), role, self.bale.start(
            "replicate", role, "--until-idle" if role == "run" else "--once", "--config", self.bale.config))
            for role in self.bale.services]
        for moment, role, process in sorted(running, key=lambda entry: entry[:2]):
            try:
                out, err = process.communicate(timeout=max(0, moment - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                self.kills += 1
                self.longest[role] = min(self.bale.longest_run, self.longest[role] * 1.1)
                continue
            assert process.returncode == 0, (role, process.returncode, out, err)
            self.longest[role] = max(0.1, time.monotonic() - started)


def assert_everything_arrived(bale, writer, kills=0):
    bale.until_idle(timeout=600)
    assert bale.keys("source") == sorted(writer.state)
    expected = {key: content for key, (content, _) in writer.state.items()}
    bale.get_tree("copy", "", bale.directory / "copy")
    copied = tree_of(bale.directory / "copy")
    assert {key for key in expected if copied.get(key) != expected[key]} == set()
    bale.make_bucket("restored", "eu-central-1")
    bale.restore(bale.uri("restored"), "--prefix", "", timeout=600)
    bale.get_tree("restored", "", bale.directory / "restored")
    restored = tree_of(bale.directory / "restored")
    assert {key for key in expected if restored.get(key) != expected[key]} == set()
    for key, (_, mark) in writer.state.items():
        for bucket in ("copy", "restored"):
            stat = bale.stat(bucket, key)
            assert stat["metadata"]["generation"] == mark and stat["tags"]["generation"] == mark, (bucket, key, stat)
    bale.assert_idle()
    bale.assert_no_leftovers(kills)


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
        with bale.events():
            while killer.kills < bale.kills and not failure:
                killer.run_and_kill()
    finally:
        done.set()
        thread.join()
    assert not failure, failure
    assert_everything_arrived(bale, writer, killer.kills)


def test_killed_with_every_event_three_times(bale, seeded):
    bale.mixed(source=SOURCE)
    writer, deliver = Writer(bale, seeded), bale.three_times(seeded)
    killer = Killer(bale, seeded)
    while killer.kills < bale.kills:
        writer.step()
        deliver()
        killer.run_and_kill()
    assert_everything_arrived(bale, writer, killer.kills)
