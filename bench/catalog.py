#!/usr/bin/python3
"""Measures the local index of a catalog: sync, search by name, and the six documented queries.

    bench/catalog.py [--directory DIR] [--records 10000000]

The catalog is made by build/release/bench/catalog_generator in an embedded store. Printed are records a second, the
size of the index, the wall time of whole processes (median of several different names), and the most memory that any of
them took. Marks: 50,000 records/s on two cores, 100 ms, 2 s, 512 MiB.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BALE = os.environ.get("BALE_BIN", str(ROOT / "build/bale"))
GENERATOR = str(ROOT / "build/release/bench/catalog_generator")

QUERIES = {
    "files of a backup": """SELECT object_name, object_size, creation_date FROM catalog_table_name
        WHERE backup_file = '{backup}' ORDER BY object_name;""",
    "name LIKE '%invoice%'": """SELECT backup_file, object_name, object_path, backup_date FROM catalog_table_name
        WHERE object_name LIKE '%invoice%' ORDER BY backup_date DESC;""",
    "range of days": """SELECT backup_file, object_name, object_size FROM catalog_table_name
        WHERE year = '2025' AND month = '01' AND day BETWEEN '20' AND '25' ORDER BY backup_timestamp DESC;""",
    "newest with a name": """SELECT backup_file, source_bucket, source_prefix, backup_date FROM catalog_table_name
        WHERE object_name = '{name}' ORDER BY backup_date DESC LIMIT 1;""",
    "statistics by day": """SELECT backup_date, COUNT(*) as file_count, SUM(object_size) as total_size_bytes,
        COUNT(DISTINCT backup_file) as backup_count FROM catalog_table_name
        WHERE year = '2025' AND month = '01' GROUP BY backup_date ORDER BY backup_date DESC;""",
    "larger than 100 MB": """SELECT backup_file, object_name, object_size, backup_date FROM catalog_table_name
        WHERE object_size > 100000000 ORDER BY object_size DESC;""",
}


class Runner:
    """Runs the program on the store, and keeps the most memory that a run took."""

    def __init__(self, store, index):
        self.store, self.options, self.most_kib = store, ["--catalog", "s3://catalog", "--index", index], 0

    def __call__(self, *arguments):
        """Seconds, and what was printed."""
        command = [BALE, "--local", self.store, "catalog", *arguments, *self.options]
        with tempfile.TemporaryFile() as out:
            started = time.monotonic()
            process = subprocess.Popen([str(word) for word in command], stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode in (0, 3), command
            self.most_kib = max(self.most_kib, usage.ru_maxrss)
            out.seek(0)
            return seconds, out.read().decode()


def names_to_look_for(run, count):
    """Parts of names as people remember them: of objects that are there, and of none."""
    chance = random.Random(1)
    days = [f"year = '{chance.choice((2024, 2025))}' AND month = '{chance.randint(1, 12):02}' AND day = "
            f"'{chance.randint(1, 28):02}'" for _ in range(count)]
    found = []
    for day in days:
        _, out = run("sql", f"SELECT object_name FROM catalog WHERE {day} LIMIT 50", "--format", "csv")
        names = out.splitlines()[1:]
        if names:
            found.append(chance.choice(names))
    parts = [name.rsplit(".", 2)[0] for name in found]
    return parts + [part[:-2] + "99" for part in parts[:count // 4]] + ["no such name"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", default=None)
    parser.add_argument("--records", type=int, default=10_000_000)
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="bale-catalog-", dir=arguments.directory))
    try:
        subprocess.run([GENERATOR, "--store", work / "store", "--records", str(arguments.records)], check=True)
        run = Runner(work / "store", work / "index")
        seconds, _ = run("sync")
        size = sum(path.stat().st_size for path in (work / "index").iterdir())
        print(f"sync of {arguments.records:,} records: {arguments.records / seconds:,.0f} records/s; "
              f"index {size / 2**20:,.0f} MiB, {size / arguments.records:.0f} bytes a record; "
              f"{run.most_kib / 1024:.0f} MiB of memory")
        seconds, _ = run("sync")
        print(f"sync with nothing new: {seconds * 1000:.0f} ms")
        run.most_kib = 0
        _, out = run("sql", "SELECT backup_file, object_name FROM catalog WHERE year = '2025' AND month = '02' LIMIT 1",
                     "--format", "csv")
        backup, name = out.splitlines()[1].split(",")
        times = sorted(run("search", part)[0] for part in names_to_look_for(run, 40))
        print(f"search by part of a name ({len(times)} names): median {statistics.median(times) * 1000:.0f} ms, "
              f"90th percentile {times[len(times) * 9 // 10] * 1000:.0f} ms")
        for title, query in QUERIES.items():
            seconds, out = run("sql", query.format(backup=backup, name=name), "--format", "csv")
            print(f"{title}: {seconds * 1000:.0f} ms, {out.count(chr(10)) - 1:,} rows")
        print(f"most memory of search and queries: {run.most_kib / 1024:.0f} MiB")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
