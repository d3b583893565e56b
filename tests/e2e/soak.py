#!/usr/bin/python3
"""Services under load and faults for a long time: do they grow?

    tests/servers/with_servers.py rgw moto dynalite -- tests/e2e/soak.py [--minutes 10] [--rate 20] [--seed N]

Source, relay and target run on Ceph RGW, with moto's queues and dynalite's tables, past a proxy that does every fault
to every twelfth request or so (fault_rules.Mix). Objects are put, changed and deleted all the time; the memory, the
descriptors and the threads of each service are read from its /metrics. In the end every object is compared.

`make soak` runs it for ten minutes; test_soak.py for one.
"""
import argparse
import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from conftest import text_of  # noqa: E402
from cloud import CloudBale  # noqa: E402
from servers import Road, Server, from_environment  # noqa: E402
from service import Service  # noqa: E402

GAUGES = {"memory": "process_resident_memory_bytes", "descriptors": "process_open_fds", "threads": "process_threads"}

# What a gauge may gain between the first third of the run (after the warm-up) and the last, as medians. A leak is per
# request or per object: over thousands of both it is far more. Memory: the allocator gives arenas to threads as they
# meet, and pages stay dirty; most of that has settled after a minute. Descriptors: some fifty kept connections come and
# go with load and faults; there are hundreds of faults even in a minute. Threads: as many as requests are under way.
MEMORY_MAY_GAIN = 8 << 20
ALLOWED = {"memory": lambda first, least: max(least, 0.15 * first), "descriptors": lambda first, _: 64,
           "threads": lambda first, _: 4}
SIZES = [0, 100, 3000, 3000, 3000, 20000, 20000, 200000]
LARGE = 12 << 20  # now and then: an object that lands in parts


class Load:
    """Puts, changes and deletes objects at a steady rate, in a thread; knows what must be there in the end."""

    def __init__(self, bale, chance, rate):
        self.bale, self.chance, self.rate = bale, chance, rate
        self.state, self.puts = {}, 0
        self.done, self.failure = threading.Event(), None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            started = time.monotonic()
            while not self.done.wait(max(0.0, started + self.puts / self.rate - time.monotonic())):
                self._step()
        except BaseException as error:
            self.failure = error

    def _step(self):
        self.puts += 1
        key = f"{self.chance.randrange(10)}/object {self.chance.randrange(40):02}"
        if self.state and self.chance.random() < 0.05:
            gone = self.chance.choice(sorted(self.state))
            self.bale.remove("source", gone)
            del self.state[gone]
        size = LARGE if self.puts % 100 == 10 else self.chance.choice(SIZES)
        content = f"{key} {self.puts}\n".encode() + text_of(self.chance, min(size, 30000)) * (size // 30000 + 1)
        mark = str(self.puts)
        self.bale.put("source", key, content, metadata={"number": mark}, tags={"number": mark})
        self.state[key] = (content, mark)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


class Samples:
    """What /metrics said over time: of each service and gauge a list."""

    def __init__(self, services):
        self.services = services
        self.taken = {(role, gauge): [] for role in services for gauge in GAUGES}

    def take(self):
        for role, service in self.services.items():
            metrics = service.metrics()
            for gauge, name in GAUGES.items():
                self.taken[role, gauge].append(metrics[name])

    def growth(self):
        """(role, gauge) -> medians of the first and the last third."""
        result = {}
        for name, values in self.taken.items():
            third = len(values) // 3
            result[name] = (statistics.median(values[:third]), statistics.median(values[-third:]))
        return result


def assert_all_arrived(bale, load):
    copied, wrong = dict(bale.listed(bale.real("copy"))), []
    for key, (content, mark) in load.state.items():
        if key not in copied or bale.get("copy", key) != content or bale.stat("copy", key)["tags"]["number"] != mark:
            wrong.append(key)
    assert wrong == [], f"{len(wrong)} of {len(load.state)} objects did not arrive: {wrong[:5]}"
    restored = bale.directory / "restored"
    bale.restore(restored, "--prefix", "3/", timeout=600)
    for key, (content, _) in load.state.items():
        assert not key.startswith("3/") or (restored / key).read_bytes() == content, key
    bale.assert_idle()
    bale.assert_no_leftovers()


def soak(bale, seconds, rate, chance, say=lambda line: None):
    """Runs services under load; returns what they gained, and what they did. Throws AssertionError when objects are
    missing in the end, or a service ended."""
    bale.mixed(source={"level": 3, "batch": {"max_objects": 100, "max_wait_seconds": 1}})
    services = {role: Service(bale, role, "--config", str(bale.config), log=f"{role}.log") for role in bale.services}
    samples, started = Samples(services), time.monotonic()
    warm_up = min(60.0, seconds / 3)
    try:
        with bale.events(), Load(bale, chance, rate) as load:
            while (elapsed := time.monotonic() - started) < seconds and load.failure is None:
                time.sleep(min(1.0, seconds / 60))
                if elapsed >= warm_up:
                    samples.take()
                if len(samples.taken["source", "memory"]) % 30 == 1:
                    say(f"{elapsed:5.0f} s: {load.puts} objects; " + "; ".join(
                        f"{role} " + ", ".join(f"{gauge} {samples.taken[role, gauge][-1]:.0f}" for gauge in GAUGES)
                        for role in services))
        if load.failure is not None:
            raise load.failure
        counts = {role: service.metrics() for role, service in services.items()}
    finally:
        ends = {role: service.stop()[0] for role, service in services.items()}
    assert set(ends.values()) == {0}, ends
    bale.until_idle(timeout=600)
    assert_all_arrived(bale, load)
    did = {"puts": load.puts, "packed": counts["source"]["bale_packed_objects_total"],
           "archives": counts["source"]["bale_packed_archives_total"],
           "landed": counts["target"]["bale_landed_objects_total"]}
    return samples.growth(), did


def too_much(growth, memory=MEMORY_MAY_GAIN):
    """A line for each gauge that gained more than it may; `memory`: bytes."""
    return [f"{role}: {gauge} grew from {first:.0f} to {last:.0f}"
            for (role, gauge), (first, last) in growth.items() if last - first > ALLOWED[gauge](first, memory)]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=20, help="objects put for a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    missing = [name for name in ("rgw", "moto", "dynalite") if from_environment(name) is None]
    if missing:
        parser.error(f"no servers {', '.join(missing)}: run it through tests/servers/with_servers.py")
    rgw, moto, dynalite = (Server(name, from_environment(name)) for name in ("rgw", "moto", "dynalite"))
    road = Road(True, options.seed)
    with tempfile.TemporaryDirectory(prefix="bale-soak-") as directory:
        bale = CloudBale(directory, rgw, moto, dynalite, road)
        growth, did = soak(bale, 60 * options.minutes, options.rate, random.Random(options.seed),
                           lambda line: print(line, flush=True))
    print(json.dumps({"minutes": options.minutes, **did, "requests": road.requests(), "faults": dict(road.fired())}))
    road.close()
    for (role, gauge), (first, last) in growth.items():
        print(f"{role:7} {gauge:12} first third {first:12.0f}, last third {last:12.0f}")
    for line in too_much(growth):
        print(line, file=sys.stderr)
    return 1 if too_much(growth) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
