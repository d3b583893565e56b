"""The test servers: each starts, answers as its tests rely on, and leaves nothing behind, however it ends."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import MiB, wait_until
from servers import ROOT_OF_SERVERS, launching, serving, unavailable

CHUNK = 5 * MiB  # S3's smallest part but the last
ENDS = 20  # seconds


def refused(call, **arguments):
    """Calls, and returns (HTTP status, code) of the error that must come back."""
    import botocore.exceptions
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@contextlib.contextmanager
def headers(client, operation, **extra):
    """Sends `extra` with every `operation`: headers that this boto3 does not know yet (`_` stands for `-`)."""
    def add(params, **_):
        params["headers"].update({name.replace("_", "-"): value for name, value in extra.items()})
    event = f"before-call.s3.{operation}"
    client.meta.events.register(event, add)
    try:
        yield
    finally:
        client.meta.events.unregister(event, add)


# Ceph RGW

def test_rgw_refuses_a_wrong_secret(rgw):
    assert refused(rgw.client("s3", aws_secret_access_key="wrong").list_buckets) == (403, "SignatureDoesNotMatch")
    assert refused(rgw.client("s3", aws_access_key_id="nobody").list_buckets) == (403, "InvalidAccessKeyId")


def test_rgw_keeps_what_is_put(rgw):
    s3, bucket = rgw.client("s3"), rgw.bucket()
    body = bytes(range(256)) * 4096
    etag = s3.put_object(Bucket=bucket, Key="a/../ü", Body=body, Metadata={"name": "value"}, Tagging="t=1",
                         StorageClass="STANDARD_IA", ContentType="text/x")["ETag"]
    got = s3.get_object(Bucket=bucket, Key="a/../ü")
    assert got["Body"].read() == body and got["ETag"] == etag
    assert (got["Metadata"], got["StorageClass"], got["ContentType"]) == ({"name": "value"}, "STANDARD_IA", "text/x")
    assert s3.get_object_tagging(Bucket=bucket, Key="a/../ü")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert s3.get_object(Bucket=bucket, Key="a/../ü", Range="bytes=255-257")["Body"].read() == b"\xff\x00\x01"
    s3.delete_object(Bucket=bucket, Key="a/../ü")
    assert refused(s3.get_object, Bucket=bucket, Key="a/../ü") == (404, "NoSuchKey")


@pytest.mark.parametrize("storage_class", ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR",
                                           "DEEP_ARCHIVE"])
def test_rgw_has_the_storage_classes(rgw, storage_class):
    s3, bucket = rgw.client("s3"), rgw.bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass=storage_class)
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == storage_class
    s3.copy_object(Bucket=bucket, Key="k2", CopySource={"Bucket": bucket, "Key": "k"}, StorageClass=storage_class)
    assert [item["StorageClass"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [storage_class] * 2


def test_rgw_multipart(rgw):
    s3, bucket = rgw.client("s3"), rgw.bucket()
    place = {"Bucket": bucket, "Key": "large"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    parts = [os.urandom(CHUNK), os.urandom(100)]
    etags = [s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)["ETag"]
             for number, part in enumerate(parts, 1)]
    sent = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    done = s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": sent})
    assert done.get("ETag") == ""  # S3 gives the ETag here too; this server in HEAD and GET only
    got = s3.get_object(**place)
    assert got["ETag"].endswith('-2"') and got["Body"].read() == b"".join(parts)
    other = s3.create_multipart_upload(**place)["UploadId"]
    s3.abort_multipart_upload(**place, UploadId=other)
    assert refused(s3.upload_part, **place, UploadId=other, PartNumber=1, Body=b"x") == (404, "NoSuchUpload")


def test_rgw_versions(rgw):
    s3, bucket = rgw.client("s3"), rgw.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"one", b"two"))
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] and first != second
    assert refused(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"one"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"
    assert [version["VersionId"] for version in s3.list_object_versions(Bucket=bucket)["Versions"]] == [second, first]


def test_rgw_conditional_put(rgw):
    s3, bucket = rgw.client("s3"), rgw.bucket()
    with headers(s3, "PutObject", If_None_Match="*"):
        etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["ETag"]
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"two") == (412, "PreconditionFailed")
    with headers(s3, "PutObject", If_Match=etag):
        # AWS's form: it compares the quotes too.
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"two") == (412, "PreconditionFailed")
    with headers(s3, "PutObject", If_Match=etag.strip('"')):
        s3.put_object(Bucket=bucket, Key="k", Body=b"three")
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"four") == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"three"


@pytest.mark.parametrize("region", ["eu-west-1", "us-west-2"])
def test_rgw_takes_buckets_of_any_region(rgw, region):
    s3 = rgw.client("s3", region_name=region)
    bucket = rgw.bucket(s3, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == rgw.region


# moto

def test_moto_queue(moto):
    sqs = moto.client("sqs")
    url = sqs.create_queue(QueueName="plain", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    for count in ("1", "2"):
        [message] = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
        assert (message["Body"], message["Attributes"]["ApproximateReceiveCount"]) == ("hello", count)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_moto_tells_a_queue_of_new_objects(moto):
    s3, sqs = moto.client("s3"), moto.client("sqs")
    bucket = moto.bucket(s3)
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
        "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]})
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345")
    bodies = []
    while len(bodies) < 2:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    test, event = bodies
    assert test["Event"] == "s3:TestEvent"
    [record] = event["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["object"]["key"] == "a+b%2F%C3%BC"  # S3 leaves the slash
    assert record["s3"]["bucket"]["name"] == bucket and record["s3"]["object"]["size"] == 5


def make_table(dynamodb, name):
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                          KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})


def check_table(dynamodb):
    """What both DynamoDBs must do."""
    name = "table-%d" % time.monotonic_ns()
    make_table(dynamodb, name)
    item = {"id": {"S": "one"}, "count": {"N": "1"}}
    dynamodb.put_item(TableName=name, Item=item, ConditionExpression="attribute_not_exists(id)")
    assert refused(dynamodb.put_item, TableName=name, Item=item, ConditionExpression="attribute_not_exists(id)") == (
        400, "ConditionalCheckFailedException")
    updated = dynamodb.update_item(TableName=name, Key={"id": {"S": "one"}}, UpdateExpression="ADD #c :n",
                                   ExpressionAttributeNames={"#c": "count"}, ReturnValues="ALL_NEW",
                                   ExpressionAttributeValues={":n": {"N": "2"}})
    assert updated["Attributes"]["count"] == {"N": "3"}
    assert dynamodb.get_item(TableName=name, Key={"id": {"S": "one"}})["Item"]["count"] == {"N": "3"}
    assert dynamodb.scan(TableName=name, Segment=0, TotalSegments=1)["Count"] == 1


def test_moto_table(moto):
    check_table(moto.client("dynamodb"))


def test_dynalite_table(dynalite):
    check_table(dynalite.client("dynamodb"))


def test_dynalite_validates(dynalite):
    dynamodb = dynalite.client("dynamodb")
    make_table(dynamodb, "strict")
    assert refused(dynamodb.put_item, TableName="strict", Item={"id": {"N": "1"}})[1] == "ValidationException"


# Life and death

@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The directory that servers of this test run in: nobody else's processes are there."""
    directory = tmp_path / "runs"
    monkeypatch.setenv("BALE_TEST_RUNS_DIR", str(directory))
    return directory


def processes_in(directory):
    """Process id -> command of all whose working directory is below `directory`: the servers' own."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd").startswith(f"{directory}/"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def directories_in(runs):
    return [path.name for path in runs.iterdir() if path.is_dir()] if runs.exists() else []


def alive(pid):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def start(name):
    """The server program, and what it said; the test skips where the server cannot run."""
    launched = launching.Launched(name)
    try:
        return launched, launched.ready()
    except serving.CannotRun as reason:
        return unavailable(name, str(reason))


PROCESSES = {"rgw": 3, "moto": 1, "dynalite": 1, "swift": 5}
each_server = pytest.mark.parametrize("name", launching.NAMES)


@each_server
def test_it_ends_with_its_caller(runs, name):
    launched, answer = start(name)
    assert sorted(processes_in(runs)) == sorted(answer["pids"]) and len(answer["pids"]) == PROCESSES[name]
    assert launched.close() == 0
    assert processes_in(runs) == {} and directories_in(runs) == []
    assert not any(map(alive, [answer["pid"], *answer["pids"]]))


@each_server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal(runs, name, number):
    launched, answer = start(name)
    os.kill(answer["pid"], number)
    assert launched.close() == 0
    assert processes_in(runs) == {} and directories_in(runs) == []


@each_server
def test_its_processes_end_when_it_is_killed(runs, name):
    launched, answer = start(name)
    os.kill(answer["pid"], signal.SIGKILL)
    launched.close()
    wait_until(lambda: not processes_in(runs))
    assert len(directories_in(runs)) == 1  # nobody was left to remove it: the next start does
    launched, answer = start(name)
    assert directories_in(runs) == [pathlib.Path(answer["directory"]).name]
    launched.close()
    assert directories_in(runs) == []


@each_server
def test_it_says_when_a_process_of_it_ends(runs, name):
    launched, answer = start(name)
    os.kill(answer["pids"][-1], signal.SIGKILL)
    assert launched.process.wait(ENDS) == 1
    launched.close()
    assert processes_in(runs) == {} and directories_in(runs) == []


@each_server
def test_two_at_once_are_two(runs, name):
    pair = [launching.Launched(name), launching.Launched(name)]
    try:
        answers = [launched.ready() for launched in pair]
    except serving.CannotRun as reason:
        unavailable(name, str(reason))
    finally:
        first_ends, second_ends = (launched.close for launched in pair)
        ends = [first_ends(), second_ends()]
    assert ends == [0, 0]
    assert len({answer["endpoint"] for answer in answers}) == len({answer["directory"] for answer in answers}) == 2


def test_a_server_that_cannot_run_says_why(runs, monkeypatch, capfd):
    monkeypatch.setenv("BALE_TEST_MOTO_PYTHON", "/nonexistent/python3")
    launched = launching.Launched("moto")
    with pytest.raises(serving.CannotRun, match="BALE_TEST_MOTO_PYTHON"):
        launched.ready()
    assert launched.process.returncode == serving.CANNOT_RUN
    assert "cannot run here" in capfd.readouterr().err
    assert directories_in(runs) == []


@pytest.mark.parametrize("name, how", [("moto", "pip install"), ("dynalite", "npm could not install")])
def test_a_server_that_cannot_be_installed_says_so(tmp_path, runs, monkeypatch, name, how):
    """No registry: pip has no index, npm one that does not answer and nothing kept from before."""
    if name == "dynalite" and shutil.which("npm") is None:
        pytest.skip("no npm")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("node", "npm"):  # and no python3 that might have moto
        if shutil.which(tool):
            (tools / tool).symlink_to(shutil.which(tool))
    for variable, value in {"PATH": f"{tools}", "BALE_TEST_SERVERS_DIR": tmp_path / "servers", "PIP_NO_INDEX": "1",
                            "PIP_FIND_LINKS": "", "npm_config_registry": "http://127.0.0.1:1/",
                            "npm_config_cache": tmp_path / "cache"}.items():
        monkeypatch.setenv(variable, str(value))
    launched = launching.Launched(name)
    with pytest.raises(serving.CannotRun, match=how):
        launched.ready()
    assert launched.process.returncode == serving.CANNOT_RUN
    assert directories_in(runs) == [] and not (tmp_path / "servers/moto-venv").exists()


def test_a_required_server_is_not_skipped(monkeypatch):
    monkeypatch.setenv("BALE_TEST_REQUIRE", "rgw,moto")
    with pytest.raises(pytest.fail.Exception, match="because"):
        unavailable("moto", "because")
    with pytest.raises(pytest.skip.Exception, match="because"):
        unavailable("dynalite", "because")


# with_servers.py

WITH_SERVERS = ROOT_OF_SERVERS / "with_servers.py"
SHOW = ("import json, os; print(json.dumps({name: os.environ.get(name) for name in ["
        "'BALE_TEST_DYNALITE_ENDPOINT', 'AWS_ACCESS_KEY_ID', 'AWS_PROFILE', 'AWS_REGION']}), flush=True); ")


def with_servers(*arguments):
    return subprocess.Popen([WITH_SERVERS, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_a_command_gets_servers_and_its_status_comes_back(runs, dynalite, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    process = with_servers("dynalite", "--", sys.executable, "-c", SHOW + "raise SystemExit(7)")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7, err
    seen = json.loads(out)
    assert seen.pop("BALE_TEST_DYNALITE_ENDPOINT").startswith("http://127.0.0.1:")
    assert seen == {"AWS_ACCESS_KEY_ID": serving.ACCESS_KEY, "AWS_PROFILE": None, "AWS_REGION": serving.REGION}
    assert processes_in(runs) == {} and directories_in(runs) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_servers_and_command_end_with_the_supervisor(runs, rgw, dynalite, number):
    process = with_servers("rgw", "dynalite", "--", sys.executable, "-c",
                           "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    command = int(process.stdout.readline())
    assert len(processes_in(runs)) == 4 and len(directories_in(runs)) == 2
    process.send_signal(number)
    process.communicate(timeout=ENDS)
    assert process.returncode == (128 + signal.SIGTERM if number == signal.SIGTERM else -signal.SIGKILL)
    wait_until(lambda: not directories_in(runs) and not processes_in(runs) and not alive(command))


def test_rgw_on_a_file(runs, rgw):
    """bluestore instead of memory, for data that memory would not hold."""
    code = ("import os, urllib.request as r; print(r.urlopen(os.environ['BALE_TEST_RGW_ENDPOINT']).status, "
            "[name for name in os.listdir(os.environ['BALE_TEST_RUNS_DIR'] + '/' + next(d for d in "
            "os.listdir(os.environ['BALE_TEST_RUNS_DIR']) if d.startswith('rgw')) + '/osd') if name == 'block'])")
    process = with_servers("rgw=--objectstore bluestore --size-gib 20", "--", sys.executable, "-c", code)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "200 ['block']\n"), err
    assert directories_in(runs) == []


def test_optional_servers_are_left_out(runs, dynalite, monkeypatch):
    monkeypatch.setenv("BALE_TEST_MOTO_PYTHON", "/nonexistent/python3")
    command = ["--optional", "moto", "dynalite", "--", "sh", "-c",
               'echo "$BALE_TEST_MOTO_MISSING $BALE_TEST_MOTO_ENDPOINT"; test -n "$BALE_TEST_DYNALITE_ENDPOINT"']
    out, err = (process := with_servers(*command)).communicate(timeout=60)
    assert process.returncode == 0 and "has no moto 5" in out and "http" not in out, err
    monkeypatch.setenv("BALE_TEST_REQUIRE", "moto")
    out, err = (process := with_servers(*command)).communicate(timeout=60)
    assert process.returncode == 1 and out == "" and "BALE_TEST_REQUIRE" in err
    assert directories_in(runs) == []


def test_a_command_is_not_run_without_its_servers(runs, monkeypatch):
    monkeypatch.setenv("BALE_TEST_MOTO_PYTHON", "/nonexistent/python3")
    process = with_servers("moto", "--", "echo", "ran")
    out, err = process.communicate(timeout=60)
    assert process.returncode == serving.CANNOT_RUN and out == "" and "skipped: BALE_TEST_MOTO_PYTHON" in err


@pytest.mark.parametrize("arguments", [(), ("rgw",), ("rgw", "--"), ("nosuch", "--", "true"), ("--", "true")])
def test_wrong_usage(arguments):
    process = with_servers(*arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "with_servers.py [--optional] NAME" in err
