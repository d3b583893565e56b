"""`bale bucket restore` and the helpers. K3, K6 and K11 are cases that other tools got wrong."""
import csv
import io
import json
import signal
import urllib.parse

import pytest

from conftest import Bale, Finished, wait_until
from scripted_s3 import scripted_s3  # noqa: F401  (fixture)
from test_bucket import AWKWARD
from test_bucket_servers import BucketOn

TRY_AGAIN = 75
ROLE = "arn:aws:iam::123456789012:role/batch"


class Restores(Bale):
    """A backup, and an empty bucket for what comes out of it."""

    def __init__(self, directory):
        super().__init__(directory)
        self.make_bucket("backup", "eu-central-1")
        self.make_bucket("new", "eu-central-1")

    def bucket(self, *arguments, status=0, **options):
        return self.run("--output", "json", "bucket", *arguments, status=status, **options).lines()

    def restored(self, *arguments, backup="s3://backup", new="s3://new", **options):
        """The summary of a restore."""
        return self.bucket("restore", backup, new, *arguments, **options)[-1]


@pytest.fixture
def restores(tmp_path, disposal):
    yield Restores(tmp_path)
    disposal(tmp_path)


def test_everything_that_belongs_to_an_object_comes_back_but_the_marks(restores):
    restores.put("backup", "a", b"content of a", metadata={"m": "1"}, tags={"keep": "it"},
                 storage_class="STANDARD_IA", headers={"content-type": "text/x", "cache-control": "no-cache"})
    restores.put("backup", "gone", b"content of gone", tags={"Deleted": "True", "DeletedAt": "2025-01-23T09:05"})
    restores.put("backup", ".bale/journal/x", b"Bale's own")
    summary = restores.restored()
    assert (summary["restored"], summary["deleted"], summary["failed"]) == (1, 1, 0)
    assert restores.keys("new") == ["a"]
    stat = restores.stat("new", "a")
    assert restores.get("new", "a") == b"content of a"
    assert (stat["metadata"], stat["tags"], stat["storage_class"]) == ({"m": "1"}, {"keep": "it"}, "STANDARD")
    assert stat["content_type"] == "text/x" and stat["cache_control"] == "no-cache"

    summary = restores.restored("--include-deleted")
    assert (summary["restored"], summary["same"], summary["deleted"]) == (1, 1, 0)
    assert restores.stat("new", "gone")["tags"] == {}, "the marks are of the backup"


def test_a_second_run_copies_nothing_and_asks_nothing_per_object(restores):
    for number in range(7):
        restores.put("backup", f"k{number}", b"content %d" % number)
    first = restores.restored("--yes")
    assert first["restored"] == 7 and first["requests"]["copy"] == 7
    second = restores.restored("--yes")
    assert (second["restored"], second["same"]) == (0, 7)
    assert second["requests"]["copy"] == 0 and second["requests"]["head"] <= 2, second["requests"]


def test_what_the_backup_got_meanwhile_replaces_what_the_restore_wrote_and_nothing_else(restores):
    restores.put("backup", "mine", b"one")
    restores.restored()
    restores.put("backup", "mine", b"two")
    assert restores.restored()["restored"] == 1, "the restore wrote it: it may replace it"
    assert restores.get("new", "mine") == b"two"
    restores.put("new", "mine", b"somebody else's")
    finished = restores.run("bucket", "restore", "s3://backup", "s3://new", status=1)
    assert "--overwrite" in finished.err and restores.get("new", "mine") == b"somebody else's"
    assert restores.restored("--overwrite")["restored"] == 1
    assert restores.get("new", "mine") == b"two"


def test_a_bucket_with_objects_is_refused_unless_it_is_asked_for(restores):
    restores.put("backup", "a", b"a")
    restores.put("new", "other", b"other")
    finished = restores.run("bucket", "restore", "s3://backup", "s3://new", status=4)
    assert "--into-existing" in finished.err and restores.keys("new") == ["other"]
    assert restores.restored("--into-existing")["restored"] == 1
    assert restores.keys("new") == ["a", "other"]
    assert restores.restored()["same"] == 1, "now the bucket has what this restore put there"


def test_a_missing_bucket_is_made_or_waited_for(restores):
    restores.put("backup", "a", b"a")
    finished = restores.run("bucket", "restore", "s3://backup", "s3://fresh", status=3)
    assert "--create" in finished.err and "--wait" in finished.err
    assert restores.restored("--create", "--dryrun", new="s3://fresh")["restored"] == 1
    restores.run("s3", "ls", "s3://fresh", status=3)
    assert restores.restored("--create", new="s3://fresh")["restored"] == 1
    finished = restores.run("bucket", "restore", "--wait", "--wait-at-most", "0s", "s3://backup", "s3://later",
                            status=3)
    assert "nobody made the bucket" in finished.err

    waiting = restores.start("bucket", "restore", "--wait", "s3://backup", "s3://later")
    restores.make_bucket("later", "eu-central-1")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, Finished(waiting.args, waiting.returncode, out, err)
    assert restores.keys("later") == ["a"]


def test_the_flags_and_variables_of_the_scripts_mean_what_they_meant(restores, monkeypatch):
    restores.put("backup", "p/a", b"a")
    restores.put("backup", "p/gone", b"gone", tags={"Deleted": "True"})
    restores.put("backup", "q", b"q")
    lines = restores.bucket("restore", "-s", "backup", "-d", "new", "--prefix", "p/", "--check-deleted-tag",
                            "--cloudwatch-dimension-name", "Prod")
    assert restores.keys("new") == ["p/a"]
    metrics = {line["Prod"]: line[line["Prod"]] for line in lines if "_aws" in line}
    assert metrics["ObjectsInbackup"] == 2 and metrics["ObjectsToRestore"] == 0
    assert metrics["ObjectsToCheckForDeletedTag"] == 0
    directives = [line["_aws"]["CloudWatchMetrics"][0] for line in lines if "_aws" in line]
    assert {each["Namespace"] for each in directives} == {"BackupRecovery"}
    first = next(line for line in lines if line.get("Prod") == "ObjectsToRestore")
    assert first["ObjectsToRestore"] == 2, "before the work began"

    for name, value in {"S3_SRC_BUCKET": "backup", "S3_DEST_BUCKET": "new", "PREFIX": "p/", "ALL": "1"}.items():
        monkeypatch.setenv(name, value)
    restores.bucket("restore")
    assert restores.keys("new") == ["p/a", "p/gone"], "ALL brings back what is marked as deleted"


def test_every_command_publishes_the_metrics_of_the_scripts(restores):
    for number in range(3):
        restores.put("backup", f"k{number}", b"x")

    def metrics(*arguments, status=0):
        lines = restores.bucket(*arguments, "--emf", "s3://backup", "s3://new", status=status)
        values = [(line["Dev"], line[line["Dev"]]) for line in lines if "_aws" in line]
        return {name: [value for each, value in values if each == name] for name, _ in values}

    backup = metrics("backup", "--tag-deleted")
    assert backup["ObjectsToBackup"] == [3, 0] and backup["ObjectsToTagAsDeleted"] == [0, 0]
    assert backup["ObjectsInbackup"] == [3] and backup["ObjectsInnew"] == [0]
    assert backup["BackupObjectsErrors"] == [0] == backup["TagDeletedObjectsErrors"] == backup["SlowDown"]
    compare = metrics("compare")
    assert compare["ObjectsToCompare"] == [3, 0] and compare["CompareObjectsErrors"] == [0]
    restores.remove("backup", "k1")
    assert metrics("tag-deleted")["ObjectsToTagAsDeleted"] == [1, 0]
    assert "_aws" not in restores.run("--output", "json", "bucket", "compare", "s3://backup", "s3://new", status=1).out


def test_K3_keys_come_back_as_they_are(restores):
    for number, key in enumerate(AWKWARD):
        restores.put("backup", key, b"%d" % number)
    restores.restored()
    assert restores.keys("new") == restores.keys("backup")
    for number, key in enumerate(AWKWARD):
        assert restores.get("new", key) == b"%d" % number
    assert restores.restored()["same"] == len(set(AWKWARD))


def test_prefixes_and_filters(restores):
    for key in ("a/1.txt", "a/2.log", "b/3.txt"):
        restores.put("backup", key, key.encode())
    restores.restored("--exclude", "*.log", backup="s3://backup/a/", new="s3://new/was/a/")
    assert restores.keys("new") == ["was/a/1.txt"]
    finished = restores.run("bucket", "restore", "s3://backup", "s3://backup/a/", status=2)
    assert "inside the other" in finished.err


def test_K11_as_of_takes_versions_and_marks_of_that_time(restores):
    restores.run("s3", "mb", "s3://versioned", "--versioning")
    restores.put("versioned", "changed", b"one")
    restores.put("versioned", "marked", b"one", tags={"Deleted": "True", "DeletedAt": "2999-01-01T00:00"})
    restores.put("versioned", "marked-before", b"one", tags={"Deleted": "True", "DeletedAt": "2001-01-01T00:00:30"})
    restores.put("versioned", "removed", b"one")
    versions = restores.json("s3", "ls", "--recursive", "--versions", "s3://versioned")
    then = max(item["last_modified"] for item in versions if "key" in item)
    while True:  # the next write has a later time, to the millisecond
        restores.put("versioned", "later", b"new")
        if restores.stat("versioned", "later")["last_modified"] > then:
            break
    restores.put("versioned", "changed", b"two")
    restores.remove("versioned", "removed")
    summary = restores.restored("--as-of", then, backup="s3://versioned")
    assert {key: restores.get("new", key) for key in restores.keys("new")} == {
        "changed": b"one", "marked": b"one", "removed": b"one"}
    assert (summary["restored"], summary["deleted"], summary["newer"]) == (3, 1, 1), summary
    restores.make_bucket("now", "eu-central-1")
    restores.restored(backup="s3://versioned", new="s3://now")
    assert {key: restores.get("now", key) for key in restores.keys("now")} == {"changed": b"two", "later": b"new"}


def test_archived_objects_of_the_embedded_store_are_requested_and_awaited(restores):
    restores.put("backup", "cold", b"cold", storage_class="GLACIER")
    restores.put("backup", "colder", b"colder", storage_class="DEEP_ARCHIVE")
    restores.put("backup", "warm", b"warm", storage_class="GLACIER_IR")
    lines = restores.bucket("restore", "--dryrun", "s3://backup", "s3://new")
    estimate = next(line for line in lines if line["type"] == "estimate")
    assert (estimate["to_request"], estimate["to_copy"], estimate["wait_seconds"]) == (2, 1, 12 * 3600)
    assert 0 < estimate["request_dollars"] < 0.01
    assert (lines[-1]["requested"], lines[-1]["restored"]) == (2, 1) and restores.keys("new") == []
    assert "restore" not in restores.stat("backup", "cold")

    summary = restores.restored("--no-wait", "--tier", "bulk", "--days", "2", status=TRY_AGAIN)
    assert (summary["restored"], summary["requested"], summary["waiting"]) == (1, 2, 2)
    summary = restores.restored("--no-wait")
    assert (summary["restored"], summary["requested"], summary["waiting"], summary["same"]) == (2, 0, 0, 1)
    assert restores.get("new", "colder") == b"colder"
    assert restores.stat("new", "cold")["storage_class"] == "STANDARD"

    restores.make_bucket("waited", "eu-central-1")
    restores.put("backup", "cold", b"cold again", storage_class="GLACIER")
    assert restores.restored(new="s3://waited")["restored"] == 3
    assert restores.get("waited", "cold") == b"cold again"


def test_the_price_is_a_brake(restores):
    restores.put("backup", "cold", b"cold", storage_class="GLACIER")
    finished = restores.run("bucket", "restore", "--max-cost", "0", "s3://backup", "s3://new", status=4)
    assert "--max-cost" in finished.err and "--yes" in finished.err
    assert "restore" not in restores.stat("backup", "cold") and restores.keys("new") == []
    assert restores.restored("--max-cost", "0", "--yes")["restored"] == 1


def test_expedited_is_refused_where_the_archive_has_it_not(restores):
    restores.put("backup", "cold", b"cold", storage_class="DEEP_ARCHIVE")
    finished = restores.run("bucket", "restore", "--tier", "expedited", "s3://backup", "s3://new", status=1)
    assert "cold" in finished.err and "--tier Bulk" in finished.err


def test_batch_jobs_in_the_place_of_a_restore(restores):
    restores.put("backup", "a b+c/é", b"warm")
    restores.put("backup", "cold", b"cold", storage_class="GLACIER")
    restores.put("backup", "gone", b"gone", storage_class="GLACIER", tags={"Deleted": "True"})
    directory = restores.directory / "jobs"
    lines = restores.bucket("restore", "--emit-batch-job", directory, "--batch-role", ROLE, "--batch-location",
                            "s3://control/jobs", "--tier", "Bulk", "--days", "3", "s3://backup", "s3://new")
    assert restores.keys("new") == [] and "restore" not in restores.stat("backup", "cold")
    rows = list(csv.reader(io.StringIO((directory / "restore-archives.csv").read_text())))
    assert rows == [["backup", "cold"]]
    rows = sorted(csv.reader(io.StringIO((directory / "copy.csv").read_text())))
    assert [(bucket, urllib.parse.unquote(key)) for bucket, key in rows] == [("backup", "a b+c/é"), ("backup", "cold")]
    job = json.loads((directory / "restore-archives.json").read_text())
    assert job["AccountId"] == "123456789012" and job["RoleArn"] == ROLE
    assert job["Operation"] == {"S3InitiateRestoreObject": {"ExpirationInDays": 3, "GlacierJobTier": "BULK"}}
    assert job["Manifest"]["Location"]["ObjectArn"] == "arn:aws:s3:::control/jobs/restore-archives.csv"
    assert job["Manifest"]["Spec"]["Fields"] == ["Bucket", "Key"]
    copies = json.loads((directory / "copy.json").read_text())["Operation"]["S3PutObjectCopy"]
    assert copies["TargetResource"] == "arn:aws:s3:::new" and copies["StorageClass"] == "STANDARD"
    assert [line["operation"] for line in lines if line["type"] == "batch_job"] == ["restore-archives", "copy"]
    assert not (directory / "restore-tiering.csv").exists()


def test_the_jobs_are_ones_that_the_service_takes(restores):
    """botocore's model of S3 Control is the judge."""
    boto3 = pytest.importorskip("boto3")
    validate = pytest.importorskip("botocore.validate")
    restores.put("backup", "cold", b"cold", storage_class="GLACIER")
    directory = restores.directory / "jobs"
    restores.bucket("restore", "--emit-batch-job", directory, "--batch-role", ROLE, "--batch-location",
                    "s3://control/jobs", "s3://backup", "s3://new")
    client = boto3.client("s3control", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    shape = client.meta.service_model.operation_model("CreateJob").input_shape
    for name in ("restore-archives", "copy"):
        report = validate.ParamValidator().validate(json.loads((directory / f"{name}.json").read_text()), shape)
        assert not report.has_errors(), report.generate_report()


def test_batch_jobs_need_what_the_service_needs(restores):
    restores.put("backup", "a/x", b"x")
    jobs = ("bucket", "restore", "--emit-batch-job", restores.directory / "jobs")
    role = ("--batch-role", ROLE, "--batch-location", "s3://control/jobs")
    assert "--batch-role" in restores.run(*jobs, "s3://backup", "s3://new", status=2).err
    assert "Expedited" in restores.run(*jobs, *role, "--tier", "Expedited", "s3://backup", "s3://new", status=2).err
    assert "keys" in restores.run(*jobs, *role, "s3://backup/a/", "s3://new/b/", status=2).err
    restores.bucket(*jobs[1:], *role, "s3://backup/a/", "s3://new/was/a/")
    job = json.loads((restores.directory / "jobs/copy.json").read_text())
    assert job["Operation"]["S3PutObjectCopy"]["TargetKeyPrefix"] == "was"


def test_completion_reports_name_what_failed(restores):
    report = restores.directory / "report.csv"
    report.write_bytes(b'backup,a%20b%2Bc,,succeeded,,200,Successful\n'
                       b'backup,cold,v1,failed,AccessDenied,403,"it says ""no"", and that is it"\n')
    lines = restores.bucket("restore", "--batch-report", report, status=1)
    assert lines[0]["object"] == "s3://backup/cold" and lines[0]["code"] == "AccessDenied"
    assert lines[0]["message"] == 'it says "no", and that is it'
    assert (lines[-1]["succeeded"], lines[-1]["failed"]) == (1, 1)

    import hashlib
    restores.put("new", "reports/1.csv", report.read_bytes())
    manifest = {"Format": "Report_CSV_20180820", "Results": [{
        "TaskExecutionStatus": "failed", "Bucket": "new", "Key": "reports/1.csv",
        "MD5Checksum": hashlib.md5(report.read_bytes()).hexdigest()}]}
    restores.put("new", "reports/manifest.json", json.dumps(manifest).encode())
    assert restores.bucket("restore", "--batch-report", "s3://new/reports/manifest.json", status=1)[-1]["failed"] == 1
    restores.put("new", "reports/1.csv", b"backup,other,,succeeded,,200,Successful\n")
    restores.run("bucket", "restore", "--batch-report", "s3://new/reports/manifest.json", status=5)
    report.write_bytes(b"backup,a,b\n")
    assert "row 1" in restores.run("bucket", "restore", "--batch-report", report, status=5).err


# Helpers


def test_tagged_objects_are_listed(restores):
    restores.put("backup", "gone", b"1", tags={"Deleted": "True", "team": "x"})
    restores.put("backup", "there", b"2", tags={"team": "y"})
    restores.put("backup", "plain", b"3")
    lines = restores.bucket("list-tagged", "s3://backup")
    assert [line["key"] for line in lines if line["type"] == "tagged"] == ["gone"]
    lines = restores.bucket("list-tagged", "--tag", "team", "s3://backup")
    assert sorted(line["key"] for line in lines if line["type"] == "tagged") == ["gone", "there"]
    assert lines[-1]["objects"] == 3
    lines = restores.bucket("list-tagged", "--tag", "team=y", "--tag", "Deleted", "s3://backup")
    assert [line["type"] for line in lines] == ["summary"]


def test_keys_are_deleted_only_on_purpose(restores):
    for number in range(4):
        restores.put("backup", f"k{number}", b"x", tags={"Deleted": "True"} if number == 1 else None)
    assert "--yes" in restores.run("bucket", "delete-keys", "s3://backup", status=4).err
    assert "--max-deleted" in restores.run("bucket", "delete-keys", "--yes", "--max-deleted", "3", "s3://backup",
                                           status=4).err
    assert len(restores.keys("backup")) == 4
    assert restores.bucket("delete-keys", "--tag", "Deleted=True", "--dryrun", "s3://backup")[-1]["deleted"] == 1
    assert len(restores.keys("backup")) == 4
    restores.bucket("delete-keys", "--tag", "Deleted=True", "--yes", "s3://backup")
    assert restores.keys("backup") == ["k0", "k2", "k3"]
    (restores.directory / "list").write_text("k0\nk3\r\nmissing\n")
    restores.bucket("delete-keys", "--keys", restores.directory / "list", "--yes", "s3://backup")
    assert restores.keys("backup") == ["k2"]
    restores.bucket("delete-keys", "--yes", "--versions", "--delete-bucket", "s3://backup")
    restores.run("s3", "ls", "s3://backup", status=3)


def test_the_move_to_glacier_is_turned_on_and_off_and_other_rules_stay(restores):
    assert "--yes" in restores.run("bucket", "lifecycle", "s3://backup", "on", status=4).err
    restores.bucket("lifecycle", "s3://backup", "on", "--yes", "--prefix", "logs/", "--days", "1")
    rules = restores.bucket("lifecycle", "s3://backup", "show")
    assert [(rule["prefix"], rule["transition_days"], rule["transition_class"]) for rule in rules] == [
        ("logs/", 1, "GLACIER")]
    restores.bucket("lifecycle", "s3://backup", "on", "--yes", "--storage-class", "DEEP_ARCHIVE")
    assert len(restores.bucket("lifecycle", "s3://backup", "show")) == 1, "it is one rule, and replaced"
    restores.bucket("lifecycle", "s3://backup", "off", "--dryrun")
    assert len(restores.bucket("lifecycle", "s3://backup", "show")) == 1
    restores.bucket("lifecycle", "s3://backup", "off")
    assert restores.bucket("lifecycle", "s3://backup", "show") == []


# Servers


class RestoreOn(BucketOn):
    """The program between a backup and a new bucket of a server."""

    def restore(self, *arguments, **options):
        return self.run("restore", *arguments, **options).lines()

    def summary(self, *arguments, **options):
        finished = self.run("restore", *arguments, **options)
        assert finished.out, finished
        return finished.lines()[-1]


@pytest.fixture
def on(scripted_s3, tmp_path):  # noqa: F811
    scripted_s3.bucket("src", restore_seconds=5 * 3600)
    scripted_s3.bucket("dst")
    return RestoreOn(scripted_s3, tmp_path)


def put_classes(on):
    for name in ("STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "INTELLIGENT_TIERING"):
        on.put(name, name.encode(), StorageClass=name)
    on.put("tier", b"tier", StorageClass="INTELLIGENT_TIERING")
    on.server.bucket("src", archive={"tier": "DEEP_ARCHIVE_ACCESS"})


@pytest.mark.parametrize("tells", [True, False])
def test_K6_each_class_is_read_requested_or_awaited_and_each_is_requested_once(on, tells):
    put_classes(on)
    on.server.bucket("src", tells_restores=tells)
    summary = on.summary("--no-wait", status=TRY_AGAIN)
    assert (summary["restored"], summary["requested"], summary["waiting"]) == (3, 3, 3), summary
    assert sorted(on.keys()) == ["GLACIER_IR", "INTELLIGENT_TIERING", "STANDARD"]
    for _ in range(2):  # nothing has come yet
        summary = on.summary("--no-wait", status=TRY_AGAIN)
        assert (summary["restored"], summary["requested"], summary["waiting"]) == (0, 0, 3), summary
    asked = on.server.asked("RestoreObject")
    assert sorted(request["key"] for request in asked) == ["DEEP_ARCHIVE", "GLACIER", "tier"]

    on.server.advance(6 * 3600)
    summary = on.summary("--no-wait")
    assert (summary["restored"], summary["same"], summary["requested"]) == (3, 3, 0), summary
    assert {key: on.get(key) for key in on.keys()} == {
        "STANDARD": b"STANDARD", "GLACIER": b"GLACIER", "DEEP_ARCHIVE": b"DEEP_ARCHIVE", "GLACIER_IR": b"GLACIER_IR",
        "INTELLIGENT_TIERING": b"INTELLIGENT_TIERING", "tier": b"tier"}
    assert len(on.server.asked("RestoreObject")) == 3


def test_readiness_comes_from_listings_and_takes_no_head(on):
    for number in range(20):
        on.put(f"k{number:02}", b"x", StorageClass="GLACIER")
    on.summary("--no-wait", status=TRY_AGAIN)
    on.server.forget()
    # This server is not AWS: a listing that has no status is not believed, one that has one is.
    assert on.summary("--no-wait", "--yes", status=TRY_AGAIN)["waiting"] == 20
    assert "HeadObject" not in on.server.requests()["operations"]


def test_K6_an_object_that_was_restored_before_is_read_at_once(on):
    put_classes(on)
    on.s3.restore_object(Bucket="src", Key="GLACIER", RestoreRequest={"Days": 1})
    on.server.advance(6 * 3600)
    on.s3.restore_object(Bucket="src", Key="DEEP_ARCHIVE", RestoreRequest={"Days": 1})
    on.server.forget()
    summary = on.summary("--no-wait", status=TRY_AGAIN)
    assert (summary["restored"], summary["requested"], summary["waiting"]) == (4, 1, 2), summary
    assert [request["key"] for request in on.server.asked("RestoreObject")] == ["tier"]


def test_what_expired_is_requested_again(on):
    on.put("cold", b"cold", StorageClass="GLACIER")
    on.summary("--no-wait", "--days", "1", status=TRY_AGAIN)
    on.server.advance(3 * 86400)
    summary = on.summary("--no-wait", status=TRY_AGAIN)
    assert (summary["requested"], summary["requested_again"], summary["waiting"]) == (1, 1, 1), summary
    on.server.advance(6 * 3600)
    assert on.summary("--no-wait")["restored"] == 1


def test_a_run_waits_and_ends_when_all_is_there(on):
    on.put("cold", b"cold", StorageClass="GLACIER")
    process = on.start("restore")
    wait_until(lambda: on.server.asked("RestoreObject"))
    on.server.advance(6 * 3600)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert on.get("cold") == b"cold" and len(on.server.asked("RestoreObject")) == 1


def test_a_run_that_waits_is_stopped_and_goes_on(on):
    on.put("cold", b"cold", StorageClass="GLACIER")
    process = on.start("restore")
    wait_until(lambda: on.server.asked("RestoreObject"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1])["waiting"] == 1
    on.server.advance(6 * 3600)
    assert on.summary()["restored"] == 1 and len(on.server.asked("RestoreObject")) == 1


def test_what_is_marked_as_deleted_is_not_requested(on):
    on.put("gone", b"gone", StorageClass="GLACIER", Tagging="Deleted=True&DeletedAt=2025-01-01T00%3A00")
    assert on.summary("--no-wait")["deleted"] == 1
    assert on.server.asked("RestoreObject") == []


def test_tags_that_cannot_be_read_end_the_run_before_the_first_copy(on):
    put_classes(on)
    on.server.rules([{"action": "respond", "operation": "^GetObjectTagging$", "status": 403, "code": "AccessDenied",
                      "times": None}])
    finished = on.run("restore", status=4)
    assert "GetObjectTagging" in finished.err and on.keys() == []
    summary = on.summary("--include-deleted", "--no-tags", "--no-wait", status=TRY_AGAIN)
    assert summary["restored"] == 3
    assert on.run("restore", "--no-tags", status=2).err


def test_one_denied_key_is_named_and_the_others_are_restored(on):
    for number in range(20):
        on.put(f"k{number:02}")
    on.server.rules([{"action": "respond", "operation": "^CopyObject$", "path": "/k07$", "status": 403,
                      "code": "AccessDenied", "times": None}])
    finished = on.run("restore", status=1)
    assert "k07" in finished.err and "AccessDenied" in finished.err
    assert finished.lines()[-1]["failed"] == 1 and len(on.keys()) == 19


def test_an_object_that_somebody_writes_meanwhile_stays(on):
    on.put("a", b"the backup's")
    on.server.rules([{"action": "other_writer", "operation": "^CopyObject$", "when": "before", "body": "another's"}])
    finished = on.run("restore", status=1)
    assert "meanwhile" in finished.err and on.get("a") == b"another's"


def test_K15_a_source_that_changes_before_its_copy_is_read_again(on):
    on.put("a", b"before")
    on.server.rules([{"action": "other_writer", "operation": "^HeadObject$", "path": "^/src/a$", "when": "after",
                      "body": "after it"}])
    assert on.summary()["restored"] == 1 and on.get("a") == b"after it"


def test_an_answer_that_is_lost_is_no_failure(on):
    on.put("a", b"content")
    on.server.rules([{"action": "lose_answer", "operation": "^CopyObject$"}])
    assert on.summary()["restored"] == 1 and on.get("a") == b"content"


def test_K2_a_200_with_an_error_in_it_is_tried_again(on):
    on.put("a", b"content")
    on.server.rules([{"action": "respond", "operation": "^CopyObject$", "status": 200,
                      "body": "<Error><Code>InternalError</Code><Message>no</Message></Error>", "times": 2}])
    assert on.summary()["restored"] == 1 and on.get("a") == b"content"


def test_a_key_that_goes_between_listing_and_copy_is_no_failure(on):
    for number in range(3):
        on.put(f"k{number}")
    on.server.rules([{"action": "respond", "operation": "^HeadObject$", "path": "/k1$", "status": 404,
                      "code": "NoSuchKey", "times": None},
                     {"action": "respond", "operation": "^GetObject$", "path": "/k1$", "status": 404,
                      "code": "NoSuchKey", "times": None}])
    summary = on.summary()
    assert (summary["restored"], summary["gone"], summary["failed"]) == (2, 1, 0), summary


def test_an_object_in_parts_is_there_already_by_the_journal_or_by_its_checksum(on):
    # Older versions of boto3 do not know the type of a checksum.
    def name_type(params, **_):
        params["headers"]["x-amz-checksum-type"] = "FULL_OBJECT"

    on.s3.meta.events.register("before-call.s3.CreateMultipartUpload", name_type)
    upload = on.s3.create_multipart_upload(Bucket="src", Key="big", ChecksumAlgorithm="CRC32")["UploadId"]
    parts = []
    for number in (1, 2):
        part = on.s3.upload_part(Bucket="src", Key="big", UploadId=upload, PartNumber=number, Body=b"x" * (5 << 20),
                                 ChecksumAlgorithm="CRC32")
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    on.s3.complete_multipart_upload(Bucket="src", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert on.summary("--journal", "one.db")["restored"] == 1
    on.server.forget()
    assert on.summary("--journal", "one.db")["same"] == 1
    assert "HeadObject" not in on.server.requests()["operations"], "the journal knows it"
    assert on.summary("--journal", "other.db", "--into-existing")["same"] == 1, "the checksums are equal"
    assert on.summary("--journal", "other.db")["same"] == 1


def test_a_listing_that_fails_restores_nothing_after_it(on):
    put_classes(on)
    on.server.rules([{"action": "respond", "operation": "^ListObjects", "path": "^/dst", "status": 403,
                      "code": "AccessDenied", "times": None}])
    on.run("restore", status=4)
    assert on.server.asked("CopyObject") == []


def test_K6_moto(moto, tmp_path):
    """moto tells restores by HEAD alone, lets them end at once, and refuses the tags of archived objects."""
    without_tags = ("--no-wait", "--include-deleted", "--no-tags")
    on = RestoreOn(moto, tmp_path, moto.bucket(), moto.bucket())
    for name in ("STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"):
        on.put(name, name.encode(), StorageClass=name)
    on.put("restored", b"restored", StorageClass="GLACIER")
    on.s3.restore_object(Bucket=on.source, Key="restored", RestoreRequest={"Days": 1})
    summary = on.summary(*without_tags, status=TRY_AGAIN)
    assert (summary["restored"], summary["requested"], summary["waiting"]) == (3, 2, 2), summary
    summary = on.summary(*without_tags)
    assert (summary["restored"], summary["same"], summary["requested"]) == (2, 3, 0), summary
    assert {key: on.get(key) for key in on.keys()} == {
        "STANDARD": b"STANDARD", "GLACIER": b"GLACIER", "DEEP_ARCHIVE": b"DEEP_ARCHIVE", "GLACIER_IR": b"GLACIER_IR",
        "restored": b"restored"}
