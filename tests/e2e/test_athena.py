"""The catalog in Athena: tables that fit what replicate writes, and queries through a workgroup.

moto stands for Athena: it runs no SQL, but keeps what was asked and answers with the rows that it is given."""
import json
import re
import signal
import urllib.request
import uuid

import pytest
from conftest import BACKUP_REGION, COPY_REGION, SOURCE_REGION, Bale

ACCOUNT = "000000000000"
# The documented queries of the program that Bale replaces.
QUERIES = [
    """SELECT object_name, object_size, creation_date
FROM catalog_table_name
WHERE backup_file = 'backup_1753329108085.tar.zst'
ORDER BY object_name;""",
    """SELECT backup_file, object_name, object_path, backup_date
FROM catalog_table_name
WHERE object_name LIKE '%invoice%'
ORDER BY backup_date DESC;""",
    """SELECT backup_file, object_name, object_size
FROM catalog_table_name
WHERE year = '2025'
  AND month = '01'
  AND day BETWEEN '20' AND '25'
ORDER BY backup_timestamp DESC;""",
    """SELECT backup_file, source_bucket, source_prefix, backup_date
FROM catalog_table_name
WHERE object_name = 'important-document.pdf'
ORDER BY backup_date DESC
LIMIT 1;""",
    """SELECT backup_date,
       COUNT(*) as file_count,
       SUM(object_size) as total_size_bytes,
       COUNT(DISTINCT backup_file) as backup_count
FROM catalog_table_name
WHERE year = '2025' AND month = '01'
GROUP BY backup_date
ORDER BY backup_date DESC;""",
    """SELECT backup_file, object_name, object_size, backup_date
FROM catalog_table_name
WHERE object_size > 100000000  -- Files larger than 100MB
ORDER BY object_size DESC;"""]


class AthenaBale(Bale):
    """The program with moto's Athena, in a stack of its own: no other test uses its workgroup and database."""

    def __init__(self, directory, moto):
        super().__init__(directory)
        self.moto, self.stack = moto, "e2e" + uuid.uuid4().hex[:8]
        self.workgroup = f"{self.stack}-catalog-workgroup"
        self.athena = moto.client("athena", region_name=BACKUP_REGION)
        self.configure([self.rule()])
        path = self.config / "settings.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "stack_name": self.stack}))

    def store_options(self):
        return []

    def environment(self):
        return {**self.moto.environment(), "AWS_ENDPOINT_URL_ATHENA": self.moto.endpoint, "HOME": str(self.directory)}

    def make_workgroup(self):
        self.athena.create_work_group(Name=self.workgroup, Configuration={
            "ResultConfiguration": {"OutputLocation": f"s3://{self.stack}-results/"}})

    def will_answer(self, names, rows, types=None):
        """The rows of the next query."""
        columns = [{"Name": name, "Label": name, "Type": (types or {}).get(name, "varchar")} for name in names]
        data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in [names, *rows]]
        body = json.dumps({"region": BACKUP_REGION, "results": [{"rows": data, "column_info": columns}]}).encode()
        request = urllib.request.Request(f"{self.moto.endpoint}/moto-api/static/athena/query-results", body,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201

    def sql(self, query, *arguments, **options):
        return self.run("catalog", "sql", query, "--engine", "athena", "--config", self.config, *arguments, **options)

    def asked(self):
        """What Athena was asked in the workgroup, as it has it."""
        ids = self.athena.list_query_executions(WorkGroup=self.workgroup)["QueryExecutionIds"]
        return [self.athena.get_query_execution(QueryExecutionId=id)["QueryExecution"] for id in ids]


@pytest.fixture
def cloud(moto, tmp_path):
    bale = AthenaBale(tmp_path, moto)
    bale.make_workgroup()
    return bale


@pytest.mark.parametrize("query", QUERIES, ids=range(1, 7))
def test_the_documented_queries_go_to_athena_as_they_are_written(cloud, query):
    cloud.will_answer(["backup_file", "n"], [["b1", "7"], [None, "12345678901"]], {"n": "bigint"})
    finished = cloud.sql(query, "--output", "json")
    assert finished.lines() == [{"type": "row", "backup_file": "b1", "n": 7},
                                {"type": "row", "backup_file": None, "n": 12345678901}]
    asked, = cloud.asked()
    assert asked["Query"] == query.rstrip(";").replace("catalog_table_name", "catalog")
    assert asked["QueryExecutionContext"] == {"Database": f"{cloud.stack}_catalog_db"}
    use = json.loads(finished.err)
    assert use["type"] == "query" and use["query_id"] == asked["QueryExecutionId"] and use["bytes_scanned"] == 0


def test_results_as_table_and_csv(cloud):
    for arguments, expected in ((["--format", "table"], "name  n\na,b   7\nNULL  1\n"),
                                (["--format", "csv"], 'name,n\r\n"a,b",7\r\n,1\r\n')):
        cloud.will_answer(["name", "n"], [["a,b", "7"], [None, "1"]], {"n": "bigint"})
        finished = cloud.sql("SELECT name, n FROM catalog", *arguments)
        assert finished.out.replace("\r\n", "\n") == expected.replace("\r\n", "\n"), finished
        assert re.search(r"^0 B scanned in .* \(query .*, workgroup .* in us-east-1\)$", finished.err, re.M)


def test_ddl_create_makes_database_tables_and_view(cloud):
    printed = cloud.json("catalog", "ddl", "--config", cloud.config)
    assert cloud.athena.list_query_executions(WorkGroup=cloud.workgroup)["QueryExecutionIds"] == []
    made = cloud.json("catalog", "ddl", "--config", cloud.config, "--create")
    assert [line["type"] for line in made] == ["database", "table", "view"]
    assert [line["statement"] for line in made] == [line["statement"] for line in printed]
    assert [asked["Query"] for asked in cloud.asked()] == [line["statement"] for line in made]
    databases = cloud.athena.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]
    assert f"{cloud.stack}_catalog_db" in [database["Name"] for database in databases]


def test_a_workgroup_that_is_not_there_is_named(moto, tmp_path):
    bale = AthenaBale(tmp_path, moto)
    finished = bale.sql("SELECT 1", status=3)
    assert f"{bale.stack}-catalog-workgroup" in finished.err and "--workgroup" in finished.err
    finished = bale.run("catalog", "ddl", "--config", bale.config, "--create", status=1)
    assert finished.err.count("was not made") == 3


def test_local_stores_have_no_athena(bale):
    bale.configure([bale.rule()])
    finished = bale.run("catalog", "sql", "SELECT 1", "--engine", "athena", "--config", bale.config, status=2)
    assert "leave --engine athena away" in finished.err


def test_an_interrupted_query_is_stopped(cloud):
    """moto lists a query before it has answered the request that starts it, so the interrupt may come in between. Its
    queries run for ever where they are told to be asked a thousand times for each new state."""
    url = f"{cloud.moto.endpoint}/moto-api/state-manager/set-transition"

    def set_transition(transition):
        body = json.dumps({"model_name": "athena::execution", "transition": transition}).encode()
        urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=30)

    set_transition({"progression": "manual", "times": 1000})
    try:
        process = cloud.start("catalog", "sql", "SELECT 1", "--engine", "athena", "--config", cloud.config)
        while not cloud.athena.list_query_executions(WorkGroup=cloud.workgroup)["QueryExecutionIds"]:
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        # The interrupt may have come before the answer. The query is then asked for once more to learn its id. moto
        # makes another one of it, though the token is the same.
        assert "CANCELLED" in [asked["Status"]["State"] for asked in cloud.asked()]
    finally:
        set_transition({"progression": "immediate"})


@pytest.mark.parametrize("prefix", ["", "raw/2025/"])
def test_tables_are_where_replicate_writes(bale, prefix):
    """What Athena makes of the statement, done by hand: every catalog file is in the directory of its partition."""
    bale.mixed(source={"prefix_filter": prefix} if prefix else None)
    bale.put("source", prefix + "a", b"x")
    bale.until_idle()
    table, = [line for line in bale.json("catalog", "ddl", "--config", bale.config) if line["type"] == "table"]
    template = re.search(r"'storage.location.template' = '(.*)'", table["statement"]).group(1)
    assert template.startswith(table["location"]) and template.endswith("/")
    bucket, _, directory = template.removeprefix("s3://").partition("/")
    assert bucket == f"e2e-{ACCOUNT}-{BACKUP_REGION}-catalog"
    pattern = re.escape(directory)
    for name, digits in (("year", 4), ("month", 2), ("day", 2)):
        pattern = pattern.replace(re.escape("${%s}" % name), r"\d{%d}" % digits)
    files = bale.keys(bucket)
    assert files and all(re.fullmatch(pattern + r"[^/]+\.jsonl", key) for key in files), (pattern, files)


def test_one_source_in_two_regions(bale):
    rules = [bale.rule(source={"suffix_filter": suffix}, copy={"backup": True}) for suffix in (".x", ".y")]
    bale.configure(rules)
    lines = bale.json("catalog", "ddl", "--config", bale.config)
    assert [(line["type"], line["region"]) for line in lines] == [
        (kind, region) for region in (COPY_REGION, BACKUP_REGION) for kind in ("database", "table", "view")]
    assert SOURCE_REGION not in {line["region"] for line in lines}
