"""The services on what Ceph RGW itself says of its objects: RGW pushes its notifications to an HTTP endpoint, and a
bridge (tests/servers/bridge.py) puts them as they are into queues. No event here is written by hand."""
import json

import pytest

from bridge import Bridge
from conftest import tree_of
from servers import boto
from stacks import ACCOUNT, SOURCE, TARGET, Stack

KEYS = ["plain", "a/b/c", "with space+plus", "ünïcode/日本", "percent%2Fslash%", "a//b", "../up"]


class NotifiedStack(Stack):
    """Its buckets tell its queues of all that happens, on their own."""

    def __init__(self, directory, rgw, moto, dynalite, bridge):
        self.bridge = bridge
        super().__init__(directory, rgw, moto, dynalite)

    def notify(self, bucket, region):
        url = super().notify(bucket, region)
        self.push(bucket, region, url)
        return url

    def push(self, bucket, region, url):
        """Has the bucket tell this queue."""
        session, config = boto()
        rgw = self.servers["s3"]
        topics = session().client("sns", region_name=region, endpoint_url=rgw.endpoint, config=config(proxies={}),
                                  aws_access_key_id=rgw.access_key, aws_secret_access_key=rgw.secret_key)
        arn = topics.create_topic(Name=bucket, Attributes={"push-endpoint": self.bridge.url(region, url)})["TopicArn"]
        self.client("s3", region).put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [
                {"Id": "all", "TopicArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]})

    def announce(self, region, url, bucket, key):
        """RGW has done it."""

    def replicate(self, command, *arguments, **options):
        """From the configuration, not from the variables of services."""
        self.variables = {}
        return super().replicate(command, *arguments, **options)


@pytest.fixture
def stack(rgw, moto, dynalite, tmp_path):
    with Bridge(moto.endpoint) as bridge:
        stack = NotifiedStack(tmp_path, rgw, moto, dynalite, bridge)
        stack.add_targets()
        yield stack


def names(stack, bucket):
    """What RGW said of each key of the bucket: event names, in order."""
    said = {}
    for _, _, body in stack.bridge.pushed:
        for record in json.loads(body)["Records"]:
            assert record["eventSource"] == "ceph:s3"
            if record["s3"]["bucket"]["name"] == bucket:
                said.setdefault(record["s3"]["object"]["key"], []).append(record["eventName"].removeprefix("Object"))
    return said


def contents(stack, bucket):
    s3 = stack.client("s3", TARGET)
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in stack.keys(bucket)}


def replicate(stack):
    stack.service("source")
    stack.replicate_as_s3_does()
    for key in stack.keys(stack.outbound):  # as its lifecycle does
        stack.client("s3").delete_object(Bucket=stack.outbound, Key=key)
    stack.service("target")
    assert stack.waiting(stack.events, SOURCE) == stack.waiting(stack.arrivals, TARGET) == 0
    assert stack.keys(stack.inbound) == []


def test_all_ways_to_make_an_object(stack):
    s3 = stack.client("s3")
    expected = {key: f"content of {key}\n".encode() * 50 for key in KEYS}
    for key, content in expected.items():
        stack.put(key, content)
    s3.copy_object(Bucket=stack.bucket, Key="copied +", CopySource={"Bucket": stack.bucket, "Key": "plain"})
    place = {"Bucket": stack.bucket, "Key": "in parts"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    stack.put("short-lived", b"x")
    s3.delete_object(Bucket=stack.bucket, Key="short-lived")
    assert names(stack, stack.bucket) == {key: ["Created:Put"] for key in KEYS} | {
        "copied +": ["Created:Copy"], "in parts": ["Created:CompleteMultipartUpload"],
        "short-lived": ["Created:Put", "Removed:Delete"]}
    expected |= {"copied +": expected["plain"], "in parts": b"part"}
    replicate(stack)
    assert contents(stack, stack.copy) == expected


def test_of_many_versions_the_newest_arrives(stack):
    """RGW's sequencers are no order of text: who takes them for one reads a version that is gone, and no other."""
    s3 = stack.client("s3")
    s3.put_bucket_versioning(Bucket=stack.bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket=stack.bucket, Key="k", Body=b"%d" % number)["VersionId"] for number in range(9)]
    for version in versions[:-1]:
        s3.delete_object(Bucket=stack.bucket, Key="k", VersionId=version)
    stack.put("gone", b"x")
    s3.delete_object(Bucket=stack.bucket, Key="gone")
    assert names(stack, stack.bucket) == {"k": ["Created:Put"] * 9 + ["Removed:Delete"] * 8,
                                          "gone": ["Created:Put", "Removed:DeleteMarkerCreated"]}
    replicate(stack)
    # The version of `gone` is still there: the destination has what it would have had with a faster run.
    assert contents(stack, stack.copy) == {"k": b"8", "gone": b"x"}


def test_from_a_configuration_with_deletions(stack):
    """`init` makes what RGW can do, and says what it cannot; the rest is a bridge's."""
    source, copy, vault = (f"{stack.name}-{role}" for role in ("src2", "copy2", "vault2"))
    # A message that moto gives to a request which the first run has left already comes back soon.
    rule = {"source": {"region": SOURCE, "bucket": source, "track_deletes": True, "visibility_timeout": 3},
            "destinations": [{"region": TARGET, "bucket": copy}, {"region": TARGET, "bucket": vault, "backup": True}]}
    stack.configure([rule], (SOURCE, TARGET))
    settings = json.loads((stack.config / "settings.json").read_text())
    (stack.config / "settings.json").write_text(json.dumps(settings | {"stack_name": stack.name, "account": ACCOUNT}))
    refused = stack.replicate("init", status=2)
    assert "the server cannot tell the queue" in refused.err and "docs/replicate.md" in refused.err
    steps = [step for step in stack.json("replicate", "init", "--config", stack.config, "--dryrun")
             if step["state"] == "missing"]
    assert {step["kind"] for step in steps} == {"notification"} and len(steps) == 3
    for step in steps:
        url = stack.client("sqs", step["region"]).get_queue_url(QueueName=step["queue"])["QueueUrl"]
        stack.push(step["name"].partition("/")[0], step["region"], url)
    s3 = stack.client("s3")
    s3.put_bucket_versioning(Bucket=source, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=source, Key="kept + %", Body=b"old")["VersionId"]
    for key in ("kept + %", "gone + %"):
        s3.put_object(Bucket=source, Key=key, Body=b"new")
    stack.until_idle()
    s3.delete_object(Bucket=source, Key="gone + %")
    s3.delete_object(Bucket=source, Key="kept + %", VersionId=old)  # as lifecycle rules do
    stack.until_idle()
    assert contents(stack, copy) == {"kept + %": b"new", "gone + %": b"new"}
    restored = stack.restore(stack.directory / "out", "--prefix", "")
    assert tree_of(stack.directory / "out") == {"kept + %": b"new"}, restored
