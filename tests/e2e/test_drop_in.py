"""The services in the place of the containers of S3 Cross-Region Compressor: everything was made by somebody else, the
environment says where it is, and S3's own replication brings archives from region to region. (A8, A11, A30)

On moto alone, which tells its queues of new objects; and on Ceph RGW with moto's queues and dynalite's tables, where
the test tells them, in the words of RGW."""
import datetime
import json

import pytest

from ceph_events import put_event
from stacks import SOURCE, TARGET, Stack


@pytest.fixture(params=["moto", "rgw-moto-dynalite"])
def stack(request, road, tmp_path):
    names = request.param.split("-")
    return Stack(tmp_path, *[request.getfixturevalue(name) for name in names * (3 // len(names))], road=road)


def come_back_soon(stack):
    """What a poll that was broken off takes with it is there again after two seconds."""
    for url, region in ((stack.events, SOURCE), (stack.arrivals, TARGET)):
        stack.client("sqs", region).set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})


def test_objects_and_archives_arrive(stack):
    come_back_soon(stack)
    stack.add_targets()
    contents = {f"logs/a {n}": b"line\n" * n for n in range(5)}
    for key, content in contents.items():
        stack.put(key, content, Tagging="kind=raw")
    stack.service("source")
    archive, = stack.keys(stack.outbound)
    assert archive.startswith(f"{stack.bucket}/backup_") and archive.endswith(".tar.zst")
    assert stack.waiting(stack.events, SOURCE) == 0
    stack.replicate_as_s3_does()
    stack.service("target")
    s3 = stack.client("s3", TARGET)
    assert {key: s3.get_object(Bucket=stack.copy, Key=key)["Body"].read()
            for key in stack.keys(stack.copy)} == contents
    assert stack.keys(stack.vault) == [archive]
    catalog, = stack.keys(stack.catalog)
    lines = s3.get_object(Bucket=stack.catalog, Key=catalog)["Body"].read().decode().splitlines()
    assert {json.loads(line)["object_path"] for line in lines} == set(contents)
    assert stack.keys(stack.inbound) == [] and stack.waiting(stack.arrivals, TARGET) == 0


def test_dashboards_of_the_replaced_system_go_on(stack):
    """Its services write metrics for CloudWatch without being asked to."""
    come_back_soon(stack)
    stack.add_targets()
    stack.put("a", b"line\n" * 100)
    lines = [json.loads(line) for line in stack.service("source").out.splitlines() if line.startswith('{"_aws"')]
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in lines} == {stack.name}
    source, = [line for line in lines if "ObjectsProcessed" in line]
    assert (source["SourceBucket"], source["SourcePrefix"], source["ObjectsProcessed"]) == (stack.bucket, "root", 1)
    stack.put("b", b"line\n" * 100)
    assert '"_aws"' not in stack.service("source", AWS_EMF_DISABLE_METRIC_EXTRACTION="true").out


def test_the_monitored_prefix_is_that_of_the_parameter(stack):
    stack.add_targets(f"/{stack.name}/{stack.bucket}/logs")
    for key in ("logs/a", "logs-x/b", "other"):
        stack.put(key, b"x")
    stack.service("source", MONITORED_PREFIX="logs/")
    archive, = stack.keys(stack.outbound)
    assert archive.startswith(f"{stack.bucket}/logs/backup_")
    stack.replicate_as_s3_does()
    stack.service("target")
    assert stack.keys(stack.copy) == ["logs/a"]


@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versions"])
def test_the_newest_version_stays_in_whatever_order_they_come(stack, versions):
    """RGW looks at no condition where a bucket keeps versions: there Bale looks."""
    s3 = stack.client("s3", TARGET)
    come_back_soon(stack)
    if versions:
        s3.put_bucket_versioning(Bucket=stack.copy, VersioningConfiguration={"Status": "Enabled"})
    stack.add_targets(backup=False)
    contents = (b"first", b"second", b"third")
    for content in contents:
        stack.put("k", content)
        stack.service("source")
    first, second, third = stack.keys(stack.outbound)
    for archive, expected in ((second, b"second"), (first, b"second"), (third, b"third"), (second, b"third")):
        stack.replicate_as_s3_does(archive)
        stack.service("target")
        assert s3.get_object(Bucket=stack.copy, Key="k")["Body"].read() == expected
    assert stack.keys(stack.inbound) == [] and stack.waiting(stack.arrivals, TARGET) == 0
    if versions:
        assert len(s3.list_object_versions(Bucket=stack.copy)["Versions"]) == 2, "nothing else was written"


def test_without_a_catalog_bucket_backups_are_stored_with_a_warning(stack):
    stack.add_targets()
    stack.put("k", b"x")
    stack.service("source")
    stack.replicate_as_s3_does()
    done = stack.service("target", CATALOG_BUCKET_NAME="")
    assert len(stack.keys(stack.vault)) == 1 and stack.keys(stack.catalog) == []
    warning, = [line for line in map(json.loads, done.err.splitlines()) if line["levelname"] == "WARNING"]
    assert "CATALOG_BUCKET_NAME" in warning["hint"]


def test_a_queue_that_is_not_there_is_named(stack):
    failed = stack.service("source", status=3, SQS_QUEUE_URL=stack.events + "-none")
    assert f"{stack.bucket}-queue-none" in failed.err


def tell_target(stack, bucket, key):
    """An event of any bucket in the target's queue, whose messages a dead-letter queue takes after a few attempts."""
    sqs = stack.client("sqs", TARGET)
    dead = sqs.create_queue(QueueName=f"{stack.name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=stack.arrivals, Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})})
    event = put_event(bucket, key, 1, "e", datetime.datetime.now())
    sqs.send_message(QueueUrl=stack.arrivals, MessageBody=json.dumps(event))
    return dead


@pytest.mark.parametrize("names_inbound", [False, True], ids=["inbound unknown", "inbound known"])
@pytest.mark.parametrize("bucket", ["vault", "copy", "catalog", "bucket"])
def test_an_event_of_another_bucket_destroys_nothing(moto, tmp_path, bucket, names_inbound):
    """One EventBridge rule, or one bridge, for all buckets is enough."""
    stack = Stack(tmp_path, moto, moto, moto)
    come_back_soon(stack)
    stack.add_targets()
    stack.put("k", b"x")
    stack.service("source")
    archive, = stack.keys(stack.outbound)
    stack.replicate_as_s3_does()
    stack.service("target")
    place = getattr(stack, bucket)
    if bucket != "vault":
        stack.client("s3").copy_object(Bucket=place, Key=archive, CopySource={"Bucket": stack.vault, "Key": archive})
        stack.client("sqs").purge_queue(QueueUrl=stack.events)
    before = {name: stack.keys(name) for name in (stack.vault, stack.copy, stack.catalog, stack.bucket)}
    dead = tell_target(stack, place, archive)
    known = {"BUCKET": stack.inbound} if names_inbound else {}
    failed = stack.service("target", status=1, **known)
    assert f"s3://{place}/{archive}" in failed.err
    assert {name: stack.keys(name) for name in before} == before
    assert stack.waiting(dead, TARGET) == 1 and stack.waiting(stack.arrivals, TARGET) == 0


@pytest.mark.parametrize("names_inbound", [False, True], ids=["inbound unknown", "inbound known"])
def test_what_is_not_known_to_be_a_staged_copy_is_kept(moto, tmp_path, names_inbound):
    """A bucket of somebody's archives, which the archive itself does not name."""
    stack = Stack(tmp_path, moto, moto, moto)
    come_back_soon(stack)
    stack.add_targets()
    stack.put("k", b"x")
    stack.service("source")
    archive, = stack.keys(stack.outbound)
    stash = f"{stack.name}-stash"
    stack.make_bucket(stash, TARGET)
    stack.client("s3", TARGET).copy_object(Bucket=stash, Key=archive,
                                           CopySource={"Bucket": stack.outbound, "Key": archive})
    dead = tell_target(stack, stash, archive)
    failed = stack.service("target", status=1, **({"BUCKET": stack.inbound} if names_inbound else {}))
    assert f"s3://{stash}/{archive}" in failed.err
    assert stack.keys(stash) == [archive]
    assert stack.waiting(dead, TARGET) == 1 and stack.waiting(stack.arrivals, TARGET) == 0
    assert stack.keys(stack.copy) == ([] if names_inbound else ["k"])
    assert names_inbound or "set BUCKET" in failed.err


def test_a_manifest_cannot_have_the_stacks_own_buckets_written_to(moto, tmp_path):
    stack = Stack(tmp_path, moto, moto, moto)
    stack.copy = stack.catalog
    come_back_soon(stack)
    stack.add_targets(backup=False)
    stack.put("planted", b"x")
    stack.service("source")
    archive, = stack.keys(stack.outbound)
    stack.client("s3", TARGET).copy_object(Bucket=stack.inbound, Key=archive,
                                           CopySource={"Bucket": stack.outbound, "Key": archive})
    stack.client("sqs", TARGET).purge_queue(QueueUrl=stack.arrivals)
    tell_target(stack, stack.inbound, archive)
    assert stack.catalog in stack.service("target", status=1).err
    assert stack.keys(stack.catalog) == [] and stack.keys(stack.inbound) == [archive]
