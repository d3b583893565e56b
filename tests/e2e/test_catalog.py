"""The local index of a catalog: sync, search, SQL and statistics, on what replicate wrote and on foreign catalogs."""
import csv
import datetime
import io
import json
import os
import signal
import sqlite3
import time

import pytest

from conftest import ACCOUNT, BACKUP_REGION, STACK, tree_of, write_tree
from reference_writer import archive, entry

# The queries that the documentation of the replaced system gives, as they stand there.
FILES_OF_A_BACKUP = """SELECT object_name, object_size, creation_date
FROM catalog_table_name
WHERE backup_file = '{backup}'
ORDER BY object_name;"""
BY_NAME = """SELECT backup_file, object_name, object_path, backup_date
FROM catalog_table_name
WHERE object_name LIKE '%invoice%'
ORDER BY backup_date DESC;"""
BY_DATE = """SELECT backup_file, object_name, object_size
FROM catalog_table_name
WHERE year = '2025'
  AND month = '01'
  AND day BETWEEN '20' AND '25'
ORDER BY backup_timestamp DESC;"""
NEWEST_BACKUP = """SELECT backup_file, source_bucket, source_prefix, backup_date
FROM catalog_table_name
WHERE object_name = 'important-document.pdf'
ORDER BY backup_date DESC
LIMIT 1;"""
BY_DAY = """SELECT backup_date,
       COUNT(*) as file_count,
       SUM(object_size) as total_size_bytes,
       COUNT(DISTINCT backup_file) as backup_count
FROM catalog_table_name
WHERE year = '2025' AND month = '01'
GROUP BY backup_date
ORDER BY backup_date DESC;"""
LARGE = """SELECT backup_file, object_name, object_size, backup_date
FROM catalog_table_name
WHERE object_size > 100000000  -- Files larger than 100MB
ORDER BY object_size DESC;"""


class Catalog:
    """A catalog of rows as the replaced program wrote them, in a bucket of the program's store."""

    def __init__(self, bale):
        self.bale, self.files, self.rows = bale, {}, []
        bale.make_bucket("catalog", BACKUP_REGION)

    def options(self):
        return ["--catalog", "s3://catalog", "--index", self.bale.directory / "index"]

    def add(self, archive, date, objects, bucket="src", prefix="docs", region=""):
        """`objects`: (path, size, time). Returns the file's key; write() makes it so."""
        moment = datetime.datetime.fromisoformat(date + "T12:00:00+00:00").timestamp() + 0.5 + len(self.files)
        rows = [{"backup_file": archive, "backup_timestamp": moment, "backup_date": date,
                 "source_bucket": bucket, "source_prefix": prefix, "object_name": path.rsplit("/", 1)[-1],
                 "object_path": path, "object_size": size, "creation_time": time, "creation_date": time[:10],
                 "target_buckets": ["vault"]} for path, size, time in objects]
        self.rows += rows
        year, month, day = date.split("-")
        key = f"{region}{bucket}/{prefix}/year={year}/month={month}/day={day}/{archive}.jsonl"
        self.files[key] = "".join(json.dumps(row) + "\n" for row in rows)
        return key

    def write(self):
        for key, text in self.files.items():
            path = self.bale.directory / "tree" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.bale.put_tree("catalog", "", self.bale.directory / "tree")
        return self

    def sync(self, *arguments, status=0):
        return self.bale.json("catalog", "sync", *self.options(), *arguments, status=status)[-1]

    def sql(self, query, *arguments, **options):
        return self.bale.run("catalog", "sql", query, *self.options(), *arguments, **options)

    def rows_of(self, query):
        return [json.loads(line) for line in self.sql(query, "--format", "jsonl").out.splitlines()]

    def search(self, *arguments):
        found = self.bale.run("--output", "json", "catalog", "search", *self.options(), *arguments, status=None)
        assert found.status in (0, 3), found
        return [line["object_path"] for line in found.lines()]


@pytest.fixture
def documented(bale):
    catalog = Catalog(bale)
    catalog.add("backup_1753329108085.tar.zst", "2025-01-21", [
        ("docs/2025/invoice-1.pdf", 100, "2025-01-20 10:00:00"), ("docs/Invoice-2.pdf", 200, "2025-01-20 10:00:01"),
        ("docs/important-document.pdf", 300, "2025-01-20 10:00:02")])
    catalog.add("backup_1753329108086.tar.zst", "2025-01-25", [
        ("docs/important-document.pdf", 301, "2025-01-25 10:00:00"),
        ("docs/film.mov", 200_000_000, "2025-01-24 10:00:00")],
        region="eu-west-1/")
    catalog.add("backup_1753329108087.tar.zst", "2025-02-01", [
        ("docs/my invoice.txt", 5, "2025-01-31 10:00:00"), ("docs/huge.iso", 4_000_000_000, "2025-01-31 10:00:00")])
    return catalog.write()


def test_the_documented_queries(documented):
    documented.sync()
    assert documented.rows_of(FILES_OF_A_BACKUP.format(backup="backup_1753329108085.tar.zst")) == [
        {"object_name": "Invoice-2.pdf", "object_size": 200, "creation_date": "2025-01-20"},
        {"object_name": "important-document.pdf", "object_size": 300, "creation_date": "2025-01-20"},
        {"object_name": "invoice-1.pdf", "object_size": 100, "creation_date": "2025-01-20"}]
    assert [row["object_name"] for row in documented.rows_of(BY_NAME)] == ["my invoice.txt", "invoice-1.pdf"]
    by_date = [row["object_name"] for row in documented.rows_of(BY_DATE)]
    assert sorted(by_date[:2]) == ["film.mov", "important-document.pdf"]
    assert sorted(by_date[2:]) == ["Invoice-2.pdf", "important-document.pdf", "invoice-1.pdf"]
    assert documented.rows_of(NEWEST_BACKUP) == [
        {"backup_file": "backup_1753329108086.tar.zst", "source_bucket": "src", "source_prefix": "docs",
         "backup_date": "2025-01-25"}]
    assert documented.rows_of(BY_DAY) == [
        {"backup_date": "2025-01-25", "file_count": 2, "total_size_bytes": 200_000_301, "backup_count": 1},
        {"backup_date": "2025-01-21", "file_count": 3, "total_size_bytes": 600, "backup_count": 1}]
    assert [row["object_size"] for row in documented.rows_of(LARGE)] == [4_000_000_000, 200_000_000]


def test_results_as_table_csv_and_json(documented):
    query = "SELECT object_name, object_size, version_id FROM catalog WHERE object_size < 300 ORDER BY object_size"
    table = documented.sql(query).out.splitlines()  # the first question syncs
    assert table[0].split() == ["object_name", "object_size", "version_id"]
    assert len({line.rindex(word) + len(word) for line, word in zip(
        table[1:], ["5", "100", "200"])}) == 1, "numbers line up on the right"
    rows = list(csv.reader(io.StringIO(documented.sql(query, "--format", "csv").out)))
    assert rows == [["object_name", "object_size", "version_id"], ["my invoice.txt", "5", ""],
                    ["invoice-1.pdf", "100", ""], ["Invoice-2.pdf", "200", ""]]
    assert documented.rows_of(query)[0] == {"object_name": "my invoice.txt", "object_size": 5, "version_id": None}
    lines = documented.bale.json("catalog", "sql", query, *documented.options())
    assert [line["type"] for line in lines] == ["row"] * 3


@pytest.mark.parametrize("query", ["DELETE FROM catalog", "ATTACH 'x.sqlite' AS x", "SELECT 1; SELECT 2", "SELEC 1", "",
                                   "SELECT nothing FROM catalog", "PRAGMA user_version = 7"])
def test_only_queries_are_run(documented, query):
    finished = documented.sql(query, status=2)
    assert finished.out == "" and "Traceback" not in finished.err and finished.err.startswith("bale: ")
    assert not (documented.bale.directory / "x.sqlite").exists()


def test_a_result_that_is_too_large_is_refused(documented):
    finished = documented.sql("SELECT zeroblob(2000000000)", status=2)
    assert finished.out == "" and "too big" in finished.err


def test_search_by_everything(documented):
    documented.sync()
    newest = sorted({row["object_path"] for row in documented.rows})
    assert documented.search() == newest
    assert documented.search("invoice") == ["docs/2025/invoice-1.pdf", "docs/my invoice.txt"]
    assert documented.search("*invoice*.pdf") == ["docs/2025/invoice-1.pdf"]
    assert documented.search("%invoice%.pdf") == []
    assert documented.search("--regex", "(?i)invoice-[0-9]") == ["docs/2025/invoice-1.pdf", "docs/Invoice-2.pdf"]
    assert documented.search("--min-size", "100MB") == ["docs/film.mov", "docs/huge.iso"]
    assert documented.search("--max-size", "100", "--prefix", "docs/2025/") == ["docs/2025/invoice-1.pdf"]
    assert documented.search("--since", "2025-01-25", "--until", "2025-01-26") == ["docs/important-document.pdf"]
    assert documented.search("important", "--all-versions") == ["docs/important-document.pdf"] * 2
    assert documented.search("--limit", "2") == newest[:2]
    assert documented.search("--bucket", "another") == []
    shown = documented.bale.run("catalog", "search", *documented.options(), "--limit", "2").out
    assert "the first 2 are shown; there are more" in shown
    wrong = documented.bale.run("catalog", "search", *documented.options(), "--regex", "(", status=2)
    assert "regular expression" in wrong.err
    for arguments in [("invoice",), ("--regex", "[0-9]"), ("*",), ("--all-versions",)]:
        assert documented.search(*arguments) == documented.search(*arguments, "--no-index"), arguments


def test_only_what_is_new_is_read(documented):
    assert documented.sync() | {"milliseconds": 0, "index": "", "bytes": 0} == {
        "type": "synced", "catalog": "s3://catalog", "index": "", "files_added": 3, "files_changed": 0,
        "files_gone": 0, "files_known": 0, "files_damaged": 0, "rows_added": 7, "bytes": 0, "rows": 7,
        "milliseconds": 0}
    again = documented.sync()
    assert (again["files_added"], again["bytes"], again["rows"]) == (0, 0, 7)
    documented.files.clear()
    documented.add("backup_4.tar.zst", "2025-02-02", [("docs/new", 1, "2025-02-02 00:00:00")])
    late = documented.add("backup_3.tar.zst", "2025-01-01", [("docs/late", 1, "2025-01-01 00:00:00")])
    documented.write()
    new = documented.sync()
    assert (new["files_added"], new["files_known"]) == (2, 3), "a small catalog is listed as a whole"
    documented.bale.remove("catalog", late)
    assert documented.sync()["files_gone"] == 1
    assert "docs/late" not in documented.search()


def test_since(documented):
    assert documented.sync("--since", "2025-01-25")["files_added"] == 2
    assert documented.search("2025/invoice") == []
    assert documented.sync()["files_added"] == 1, "the rest comes when all is asked for"
    assert documented.sync("--rebuild")["files_added"] == 3


def test_a_damaged_line_is_named_and_left_out(documented):
    key = "src/docs/year=2025/month=01/day=21/backup_1753329108085.tar.zst.jsonl"
    lines = documented.files[key].splitlines(keepends=True)
    documented.bale.put("catalog", key, "".join([lines[0], '{"backup_file": 7}\n', lines[2]]).encode())
    finished = documented.bale.run("catalog", "sync", *documented.options(), status=5)
    assert key in finished.err and "line 2" in finished.err
    assert "1 of them damaged" in finished.out
    found = documented.bale.run("catalog", "search", "docs/", *documented.options(), status=5)
    assert "docs/2025/invoice-1.pdf" in found.out and "Invoice-2" not in found.out
    assert key in found.err, "whoever searches is told that something may be missing"


def data_file(bale, bucket, part):
    """The file of an object in the embedded store."""
    found, = [path for path in (bale.store / "s3" / bucket).rglob("*") if path.is_file() and part in str(path)]
    return found


@pytest.mark.parametrize("how", ["short", "gone"])
def test_a_catalog_file_that_cannot_be_read_keeps_nothing_else_back(bale, how):
    """It is named every time, what else there is is found, and its archive gives what it had."""
    bale.mixed()
    for name in ("one", "two"):
        bale.put("source", name, name.encode())
        bale.until_idle()
    where = ["--config", bale.config, "--index", bale.directory / "index"]
    lost = bale.search("one")[0]["backup_file"]
    bucket = f"{STACK}-{ACCOUNT}-{BACKUP_REGION}-catalog"
    path = data_file(bale, bucket, lost)
    if how == "short":
        os.truncate(path, path.stat().st_size - 1)
    else:
        path.unlink()
    for _ in range(2):
        finished = bale.run("catalog", "sync", *where, status=5)
        assert lost in finished.err and "--repair-catalog" in finished.err
    for command in [("search",), ("search", "--no-index"), ("sql", "SELECT object_path FROM catalog"), ("stats",)]:
        finished = bale.run("catalog", *command, *where, status=5)
        assert lost in finished.err and ("two" in finished.out or command == ("stats",)), finished
    for more in ([], ["--no-index"]):
        out = bale.directory / f"out{len(more)}"
        bale.run("restore", "*", "--to", out, *where, *more)
        assert tree_of(out) == {"one": b"one", "two": b"two"}, "the archive has the list too"
    bale.run("restore", "--query", "SELECT * FROM catalog", "--to", bale.directory / "q", *where, status=5)
    assert "rebuilt" in bale.run("check", "--config", bale.config, "--repair-catalog").out
    bale.run("check", "--config", bale.config, "--read-data", "--destinations")
    bale.run("catalog", "sync", *where)
    assert {row["object_path"] for row in bale.search(*where[2:])} == {"one", "two"}


def test_an_index_that_cannot_be_used_is_told_and_done_without(documented):
    documented.sync()
    path, = (documented.bale.directory / "index").glob("*.sqlite")
    path.write_bytes(b"garbage" * 1000)
    finished = documented.bale.run("catalog", "search", "2025/invoice", *documented.options())
    assert "invoice-1.pdf" in finished.out and "--rebuild" in finished.err
    documented.sync("--rebuild")


def test_an_index_of_some_days_says_so(documented):
    documented.sync("--since", "2025-01-25")
    finished = documented.bale.run("catalog", "search", *documented.options())
    assert "2025-01-25 and later only" in finished.err
    documented.sync()
    assert documented.bale.run("catalog", "search", *documented.options()).err == ""


def test_a_dry_run_writes_no_index(documented):
    finished = documented.bale.run("catalog", "sync", "--dryrun", *documented.options())
    assert "(dryrun)" in finished.out and not (documented.bale.directory / "index").exists()


@pytest.mark.parametrize("arguments", [
    ("catalog", "search", "--since", ""), ("catalog", "search", "--limit", "-1"), ("catalog", "search", "--limit", "0"),
    ("catalog", "search", "--regex", ""), ("catalog", "sync", "--since", ""), ("catalog", "search", "--min-size", ""),
    ("restore", "x", "--to", "out", "--as-of", ""), ("restore", "x", "--to", ""),
    ("restore", "--query", "", "--to", "out"),
])
def test_empty_and_impossible_values_are_refused(documented, arguments):
    documented.bale.run(*arguments, *documented.options(), status=2)


def test_a_killed_sync_goes_on(bale, seeded):
    catalog = Catalog(bale)
    for number in range(1500):
        catalog.add(f"backup_{number:05}.tar.zst", f"2025-01-{number % 28 + 1:02}",
                    [(f"docs/{number}/{seeded.getrandbits(64):x}", number, "2025-01-01 00:00:00") for _ in range(30)])
    catalog.write()
    deadline, kills = 0.01, 0
    while True:
        process = bale.start("catalog", "sync", *catalog.options())
        time.sleep(deadline)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        if process.returncode == 0:
            break
        deadline *= 1.3
    assert kills > 0
    catalog.sync("--full")
    assert catalog.rows_of("SELECT count(*) AS n, count(DISTINCT object_path) AS paths FROM catalog") == [
        {"n": len(catalog.rows), "paths": len({row["object_path"] for row in catalog.rows})}]


def test_a_damaged_index_is_said_and_rebuilt(documented, seeded):
    documented.sync()
    path, = (documented.bale.directory / "index").glob("*.sqlite")
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 512):
        content[at] ^= 0xff
    path.write_bytes(content)
    finished = documented.sql("SELECT count(*) FROM catalog", status=None)
    assert finished.status != 0 and "Traceback" not in finished.err and finished.err.startswith("bale: "), finished
    assert documented.sync("--rebuild")["rows"] == 7


def test_statistics(bale):
    bale.mixed()
    write_tree(bale.directory / "in", {f"f{n}": b"text " * 1000 for n in range(20)})
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle()
    totals, = bale.json("catalog", "stats", "--config", bale.config, "--index", bale.directory / "index")
    assert (totals["source_bucket"], totals["objects"], totals["archives"], totals["bytes"]) == (
        "source", 20, 1, 100_000)
    assert 0 < totals["packed_bytes"] < 10_000 and totals["total_bytes"] == 100_000
    assert totals["growth_percent"] is None
    table = bale.run("catalog", "stats", "--config", bale.config, "--index", bale.directory / "index", "--by", "source")
    assert "97.7 KiB" in table.out and "RATIO" in table.out


def test_search_and_restore_use_the_index(bale):
    """The bucket of the catalog is not asked: what came after the sync is not found."""
    bale.mixed()
    index = ["--index", bale.directory / "index"]
    bale.put("source", "first", b"one")
    bale.until_idle()
    bale.run("catalog", "sync", "--config", bale.config, *index)
    bale.put("source", "second", b"two")
    bale.until_idle()
    assert [record["object_path"] for record in bale.search(*index)] == ["first"]
    assert len(bale.search(*index, "--no-index")) == 2
    bale.restore(bale.directory / "out", "*", *index)
    assert {path.name for path in (bale.directory / "out").iterdir()} == {"first"}
    bale.run("catalog", "sync", "--config", bale.config, *index)
    bale.restore(bale.directory / "out", "*", *index)
    assert (bale.directory / "out/second").read_bytes() == b"two"


def restored(bale, *arguments, status=0):
    """What `restore` brings, by name; into a new directory."""
    out = bale.directory / f"out-{time.monotonic_ns()}"
    finished = bale.restore(out, *arguments, status=status)
    return (set(tree_of(out)) if out.exists() else set()), finished


def test_what_is_newer_than_the_index_is_looked_at_before_anything_is_missing(bale):
    bale.mixed()
    index = ["--index", bale.directory / "index"]
    bale.put("source", "first", b"one")
    bale.until_idle()
    bale.run("catalog", "sync", "--config", bale.config, *index)
    bale.put("source", "second", b"two")
    bale.put("source", "d/third", b"three")
    bale.until_idle()
    assert restored(bale, "second", *index)[0] == {"second"}
    bale.put("source", "e/fourth", b"four")
    bale.until_idle()
    assert restored(bale, "--prefix", "e/", *index)[0] == {"e/fourth"}
    bale.put("source", "fifth", b"five")
    bale.until_idle()
    assert [record["object_path"] for record in bale.search("fifth", *index)] == ["fifth"]
    bale.put("source", "sixth", b"six")
    bale.until_idle()
    query = "SELECT * FROM catalog WHERE object_path = 'sixth'"
    assert restored(bale, "--query", query, *index)[0] == {"sixth"}
    names, finished = restored(bale, "never", "first", *index, status=1)
    assert names == {"first"} and "never" in finished.err and "no backup has this object" in finished.err


def test_sql_and_stats_look_at_what_is_newer_than_an_index_that_has_nothing(bale):
    bale.mixed()
    index = ["--config", bale.config, "--index", bale.directory / "index"]
    bale.run("catalog", "sync", *index, status=1)
    bale.put("source", "first", b"one")
    bale.until_idle()
    assert "source" in bale.run("catalog", "stats", *index).out
    bale.run("catalog", "sync", *index)
    bale.put("source", "second", b"two")
    bale.until_idle()
    asked = ("catalog", "sql", "SELECT object_path FROM catalog WHERE object_path = 'second'", *index)
    assert bale.run("--output", "json", *asked).out.count("second") == 1
    assert "ago" not in bale.run("catalog", "sql", "SELECT 1 WHERE 1 = 0", *index).err


def test_sql_and_stats_say_how_old_their_index_is(bale):
    bale.mixed()
    index = ["--config", bale.config, "--index", bale.directory / "index"]
    bale.put("source", "first", b"one")
    bale.until_idle()
    bale.run("catalog", "sync", *index)
    bale.put("source", "second", b"two")
    bale.until_idle()
    time.sleep(1.1)
    for command in (("sql", "SELECT count(*) AS n FROM catalog"), ("stats",)):
        finished = bale.run("catalog", *command, *index)
        assert "ago: `bale catalog sync` reads what is newer" in finished.err, finished
        assert bale.run("--quiet", "catalog", *command, *index).err == ""
        told = bale.run("--output", "json", "catalog", *command, *index)
        assert json.loads(told.err)["type"] == "index" and json.loads(told.err)["age_ms"] >= 1000, told


@pytest.mark.parametrize("index", [True, False], ids=["index", "no-index"])
def test_names_with_wildcards_in_them(bale, index):
    """An exact name wins, a backslash escapes, and % is a wildcard in SQL only."""
    keys = ["per%cent", "percent", "star*name.txt", "star-1-name.txt", "a?", "ab", "back\\slash", "d/x", "d/*"]
    bale.mixed()
    for key in keys:
        bale.put("source", key, b"of " + key.encode())
    bale.until_idle()
    where = [] if index else ["--no-index"]
    if index:
        bale.run("catalog", "sync", "--config", bale.config)

    def found(*arguments):
        return {record["object_path"] for record in bale.search(*arguments, *where)}

    assert found("per%cent") == {"per%cent"} and found("per%") == {"per%cent"}
    assert found("star*name.txt") == {"star*name.txt"}
    assert found("star**name.txt") == {"star*name.txt", "star-1-name.txt"}
    assert found("star\\*name") == {"star*name.txt"} and found("\\?") == {"a?"} and found("k\\s") == {"back\\slash"}
    assert found("a?") == {"a?"} and found("?b") == {"ab"} and found("*") == set(keys)
    for word, names in {"star*name.txt": {"star*name.txt"}, "star\\*name.txt": {"star*name.txt"}, "a\\?": {"a?"},
                        "star*": {"star*name.txt", "star-1-name.txt"}, "per%cent": {"per%cent"},
                        "back\\slash": {"back\\slash"}, "back\\\\slash": {"back\\slash"}}.items():
        assert restored(bale, word, *where)[0] == names, word
    names, finished = restored(bale, "d/*", *where)
    assert names == {"d/*"} and "the very name d/*" in finished.err
    assert restored(bale, "d/**", *where)[0] == {"d/x", "d/*"}
    names, finished = restored(bale, "star\\*nothing", *where, status=3)
    assert "star" in finished.err and "no backup has this object" in finished.err
    rows = bale.json("catalog", "sql", "SELECT object_path FROM catalog WHERE object_path LIKE 'per%cent'", "--config",
                     bale.config)
    assert {row["object_path"] for row in rows} == {"per%cent", "percent"}


def test_a_sync_that_finds_nothing_says_so(bale):
    bale.make_bucket("empty", BACKUP_REGION)
    sync = ["catalog", "sync", "--catalog", "s3://empty", "--index", bale.directory / "index"]
    finished = bale.run(*sync, status=1)
    assert "there is no catalog file in s3://empty" in finished.err
    bale.put("empty", "notes.txt", b"no catalog file")
    assert "no catalog file" in bale.run(*sync, "--since", "2025-01-01", status=1).err
    bale.mixed()
    bale.run("catalog", "sync", "--config", bale.config, status=1)
    bale.put("source", "k", b"x")
    bale.until_idle()
    assert bale.run("catalog", "sync", "--config", bale.config).err == ""


def test_restore_what_a_query_gives(bale):
    bale.mixed()
    for name, content in {"a.log": b"1", "b.log": b"22", "c.txt": b"333"}.items():
        bale.put("source", name, content)
    bale.until_idle()
    bale.put("source", "b.log", b"4444")
    bale.until_idle()
    index = ["--index", bale.directory / "index"]
    out = bale.directory / "out"
    bale.restore(out, "--query", "SELECT * FROM catalog WHERE object_name LIKE '%.log' -- all logs", *index)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"a.log": b"1", "b.log": b"4444"}
    older = bale.directory / "older"
    bale.restore(older, "--query", "SELECT * FROM catalog WHERE object_size = 2;", *index)
    assert (older / "b.log").read_bytes() == b"22", "exactly the rows that the query gives"
    assert "SELECT *" in bale.restore(out, "--query", "SELECT object_path FROM catalog", *index, status=2).err
    bale.restore(out, "--query", "SELECT * FROM catalog WHERE object_size > 1000", *index, status=3)
    bale.restore(out, "a.log", "--query", "SELECT * FROM catalog", *index, status=2)


@pytest.mark.parametrize("place", ["docs/{}", "src/docs/{}"])
def test_a_backup_of_the_replaced_program_is_searched_and_restored(bale, place):
    """Its rows do not say where the archive is, and its archives are one frame: they are found and read."""
    contents = {"docs/a.txt": b"content of a", "docs/deep/b.txt": b"content of b" * 1000, "docs/c.txt": b""}
    bale.make_bucket("vault", BACKUP_REGION)
    bale.put("vault", place.format("0a1b.tar.zst"), archive(
        [(entry("src", "docs", key, content, "etag"), content) for key, content in contents.items()], []))
    catalog = Catalog(bale)
    catalog.add("0a1b.tar.zst", "2025-01-21", [
        (key, len(content), "2025-01-20 10:00:00") for key, content in contents.items()], region="eu-west-1/")
    catalog.write().sync()
    assert catalog.search("deep") == ["docs/deep/b.txt"]
    one = bale.run("restore", "docs/deep/b.txt", "--to", "one", *catalog.options())
    assert "1 not verifiable (no SHA-256)" in one.out
    assert tree_of(bale.directory / "one") == {"docs/deep/b.txt": contents["docs/deep/b.txt"]}
    bale.run("restore", "--prefix", "docs/", "--to", "all", *catalog.options())
    assert tree_of(bale.directory / "all") == contents


@pytest.mark.parametrize("indexed", [True, False], ids=["index", "no-index"])
def test_a_size_that_a_foreign_row_does_not_say_is_unknown(bale, indexed):
    contents = {"docs/a": b"content", "docs/b": b"x" * 3000, "docs/c": b""}
    bale.make_bucket("vault", BACKUP_REGION)
    bale.put("vault", "docs/0a1b.tar.zst", archive(
        [(entry("src", "docs", key, content, "etag"), content) for key, content in contents.items()], []))
    catalog = Catalog(bale)
    catalog.add("0a1b.tar.zst", "2025-01-21", [
        (key, len(content) if key == "docs/c" else None, "2025-01-20 10:00:00") for key, content in contents.items()])
    catalog.write()
    if indexed:
        catalog.sync()
        assert [row["object_size"] for row in catalog.rows_of("SELECT object_size FROM catalog ORDER BY object_path")] \
            == [None, None, 0]
        totals, = bale.json("catalog", "stats", "--by", "source", *catalog.options())
        assert totals["bytes"] == 0 and totals["objects_without_size"] == 2
        assert "the size of 2 objects" in bale.run("catalog", "stats", *catalog.options()).err
    how = [] if indexed else ["--no-index"]
    found = bale.json("catalog", "search", *catalog.options(), *how)
    assert {line["object_path"]: line["object_size"] for line in found} == {"docs/a": None, "docs/b": None, "docs/c": 0}
    assert " ?  s3://src/docs/a" in bale.run("catalog", "search", *catalog.options(), *how).out
    assert catalog.search("--min-size", "0", *how) == catalog.search("--max-size", "1000000", *how) == ["docs/c"]
    told = bale.json("restore", "--prefix", "docs/", "--to", "out", *catalog.options())
    assert {line["source"]: line["size"] for line in told if line["type"] == "restored"} == {
        "s3://src/docs/a": None, "s3://src/docs/b": None, "s3://src/docs/c": 0}
    assert tree_of(bale.directory / "out") == contents
    bale.make_bucket("copy", BACKUP_REGION)
    bale.run("restore", "--prefix", "docs/", "--to", "s3://copy", *catalog.options())
    assert {key: bale.get("copy", key) for key in contents} == contents
    assert "different-row" not in bale.run("check", *catalog.options()[:2], status=None).out


def test_an_index_is_of_one_catalog(documented):
    documented.sync()
    documented.bale.make_bucket("other", BACKUP_REGION)
    assert documented.bale.json("catalog", "sync", "--catalog", "s3://other", "--index",
                                documented.bale.directory / "index", status=1)[0]["rows"] == 0
    assert len(list((documented.bale.directory / "index").glob("*.sqlite"))) == 2


def test_without_a_home_a_place_must_be_named(documented, monkeypatch):
    environment = documented.bale.environment()
    monkeypatch.setattr(documented.bale, "environment", lambda: {
        name: value for name, value in environment.items() if name not in ("HOME", "XDG_CACHE_HOME")})
    finished = documented.bale.run("catalog", "sync", "--catalog", "s3://catalog", status=2)
    assert "--index DIR" in finished.err
    monkeypatch.setattr(documented.bale, "environment", lambda: {
        **environment, "XDG_CACHE_HOME": str(documented.bale.directory / "cache")})
    documented.bale.run("catalog", "sync", "--catalog", "s3://catalog")
    assert list((documented.bale.directory / "cache/bale/catalogs").glob("catalog-*.sqlite"))


def test_the_index_is_a_sqlite_file_that_others_can_open(documented):
    documented.sync()
    path, = (documented.bale.directory / "index").glob("*.sqlite")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT sum(rows) FROM files").fetchone() == (7,)
