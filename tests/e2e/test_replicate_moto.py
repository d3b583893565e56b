"""Replication on AWS's protocols: S3, SQS and DynamoDB of moto, with boto3 as the judge of what arrived."""
import json

import pytest

from cloud import ACCOUNT, CloudBale
from conftest import BACKUP_REGION, COPY_REGION, SOURCE_REGION, tree_of
from servers import Road

KEYS = ["plain", "a/b/c", "with space+plus", "ünïcode/日本", "percent%2Fslash", "a//b", "empty"]


@pytest.fixture
def cloud(moto, road, tmp_path):
    bale = CloudBale(tmp_path, moto, moto, moto, road)
    bale.mixed()
    return bale


def put_objects(cloud):
    """Objects with everything that may be stored with them; returns key -> content."""
    contents = {key: b"" if key == "empty" else f"content of {key}\n".encode() * 100 for key in KEYS}
    for key, content in contents.items():
        cloud.client("s3").put_object(Bucket=cloud.source, Key=key, Body=content, ContentType="text/x-e2e",
                                      CacheControl="max-age=7", Metadata={"owner": "a lab", "run": "7"},
                                      Tagging="kind=raw&site=north%2F1")
    return contents


def test_every_object_arrives_at_both_destinations(cloud):
    contents = put_objects(cloud)
    cloud.until_idle()
    s3 = cloud.client("s3", COPY_REGION)
    assert cloud.bucket_contents("copy") == contents
    for key in contents:
        head = s3.head_object(Bucket=cloud.copy, Key=key)
        assert (head["ContentType"], head["CacheControl"]) == ("text/x-e2e", "max-age=7")
        assert head["Metadata"].items() >= {"owner": "a lab", "run": "7"}.items()
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=cloud.copy, Key=key)["TagSet"]}
        assert tags.items() >= {"kind": "raw", "site": "north/1"}.items()
    cloud.assert_idle()
    cloud.restore(cloud.directory / "restored", "--prefix", "")
    assert sorted(tree_of(cloud.directory / "restored").values()) == sorted(contents.values())
    restored = {record["object_path"] for record in cloud.search()}
    assert restored == set(contents)


def test_init_lets_each_bucket_send_to_its_queue(cloud):
    senders = {}
    for region, url in cloud.queues():
        name, sqs = url.rpartition("/")[2], cloud.client("sqs", region)
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {}).get("Policy")
        if name.endswith("-dlq"):
            assert policy is None
            continue
        statement, = json.loads(policy)["Statement"]
        assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
        assert statement["Resource"] == f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
        source, = statement["Condition"]["ArnLike"]["aws:SourceArn"]
        senders[statement["Resource"]] = source.rpartition(":")[2]
    for queue, bucket in senders.items():
        rules = cloud.client("s3").get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
        assert [rule["QueueArn"] for rule in rules] == [queue]
    assert len(senders) == 4


def test_init_again_changes_nothing_and_keeps_the_rules_of_others(cloud):
    sqs, s3 = cloud.client("sqs"), cloud.client("s3")
    other = sqs.create_queue(QueueName=f"other-{cloud.stack}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    present = s3.get_bucket_notification_configuration(Bucket=cloud.source)["QueueConfigurations"]
    foreign = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}
    function = {"Id": "a function's", "Events": ["s3:ObjectRestore:*"],
                "LambdaFunctionArn": f"arn:aws:lambda:{SOURCE_REGION}:{ACCOUNT}:function:theirs"}
    s3.put_bucket_notification_configuration(Bucket=cloud.source, NotificationConfiguration={
        "QueueConfigurations": [*present, foreign], "LambdaFunctionConfigurations": [function]})
    cloud.replicate("init")
    configuration = s3.get_bucket_notification_configuration(Bucket=cloud.source)
    assert configuration["LambdaFunctionConfigurations"] == [function]
    ids = {rule["Id"] for rule in configuration["QueueConfigurations"]}
    assert ids == {rule["Id"] for rule in present} | {"theirs"}
    steps = cloud.json("replicate", "init", "--config", cloud.config, "--dryrun")
    assert {step["state"] for step in steps} == {"exists"}


def test_every_queue_may_get_the_events_of_every_bucket(moto, tmp_path):
    """As with one EventBridge rule for all of them: each service works on its own bucket, and destroys nothing."""
    cloud = CloudBale(tmp_path, moto, moto, moto, Road(has_faults=False))
    cloud.mixed({"max_receive_count": 4})
    put_objects(cloud)
    cloud.until_idle()
    backups = cloud.bucket_contents("backup")
    key = min(backups)
    live = [(region, url) for region, url in cloud.queues() if not url.endswith("-dlq")]
    event = json.dumps({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Copy", "awsRegion": BACKUP_REGION,
        "eventTime": "2026-01-01T00:00:00.000Z", "s3": {"bucket": {"name": cloud.backup}, "object": {
            "key": key, "size": 1, "eTag": "e", "sequencer": "01"}}}]})
    for region, url in live:
        cloud.client("sqs", region).send_message(QueueUrl=url, MessageBody=event)
    failed = cloud.until_idle(status=1)
    assert cloud.bucket_contents("backup") == backups
    for region, url in live:
        name = url.rpartition("/")[2]
        assert f"the queue {name} got an event of the bucket {cloud.backup}" in failed.err
    assert f"{len(live)} failed message" in cloud.replicate("redrive", "--dryrun").out
