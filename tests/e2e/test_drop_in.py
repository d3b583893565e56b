"""The services in the place of the containers of S3 Cross-Region Compressor: everything was made by somebody else, the
environment says where it is, and S3's own replication brings archives from region to region. (A8, A11, A30)"""
import json
import uuid

import pytest

from conftest import Bale

SOURCE, TARGET = "eu-central-1", "us-east-1"
ACCOUNT = "123456789012"  # moto's


class Stack(Bale):
    """What the deployment of the replaced system leaves behind, on a server."""

    def __init__(self, directory, server):
        super().__init__(directory)
        self.server, self.name = server, "s" + uuid.uuid4().hex[:8]
        self.bucket, self.copy, self.vault = (f"{self.name}-{role}" for role in ("src", "copy", "vault"))
        self.outbound, self.inbound, self.catalog = (f"{self.name}-{role}" for role in ("out", "in", "catalog"))
        for bucket in (self.bucket, self.outbound):
            self.make_bucket(bucket, SOURCE)
        for bucket in (self.copy, self.vault, self.inbound, self.catalog):
            self.make_bucket(bucket, TARGET)
        self.events = self.notify(self.bucket, SOURCE)
        self.arrivals = self.notify(self.inbound, TARGET)
        self.table = f"{self.name}-parameters"
        self.client("dynamodb").create_table(
            TableName=self.table, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "ParameterName", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "ParameterName", "AttributeType": "S"}])

    def client(self, service, region=SOURCE):
        return self.server.client(service, region_name=region)

    def make_bucket(self, bucket, region):
        options = {} if region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client("s3", region).create_bucket(Bucket=bucket, **options)

    def notify(self, bucket, region):
        """A queue that the bucket tells of new objects; its URL."""
        sqs = self.client("sqs", region)
        url = sqs.create_queue(QueueName=f"{bucket}-queue", Attributes={"VisibilityTimeout": "45"})["QueueUrl"]
        self.client("s3", region).put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": f"arn:aws:sqs:{region}:{ACCOUNT}:{bucket}-queue",
                                     "Events": ["s3:ObjectCreated:*"]}]})
        return url

    def add_targets(self, parameter=None):
        places = [{"M": {"region": {"S": TARGET}, "bucket": {"S": self.copy}}},
                  {"M": {"region": {"S": TARGET}, "bucket": {"S": self.vault}, "backup": {"BOOL": True}}}]
        self.client("dynamodb").put_item(TableName=self.table, Item={
            "ParameterName": {"S": parameter or f"/{self.name}/{self.bucket}"}, "Destinations": {"L": places},
            "LastUpdated": {"N": "1737623107"}})

    def store_options(self):
        return ["--log-level", "info", "--log-format", "json"]

    def environment(self):
        return {**self.server.environment(), "AWS_ENDPOINT_URL": self.server.endpoint, "STACK_NAME": self.name,
                **self.variables}

    def service(self, role, status=0, **variables):
        self.variables = {
            "source": {"AWS_DEFAULT_REGION": SOURCE, "AWS_REGION": "", "SQS_QUEUE_URL": self.events,
                       "BUCKET": self.outbound, "REPLICATION_PARAMETERS_TABLE": self.table},
            "target": {"AWS_DEFAULT_REGION": TARGET, "AWS_REGION": "", "SQS_QUEUE_URL": self.arrivals,
                       "CATALOG_BUCKET_NAME": self.catalog}}[role] | variables
        return self.run("replicate", role, "--once", status=status)

    def keys(self, bucket):
        return [item["Key"] for item in self.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]

    def replicate_as_s3_does(self):
        for key in self.keys(self.outbound):
            self.client("s3", TARGET).copy_object(Bucket=self.inbound, Key=key,
                                                  CopySource={"Bucket": self.outbound, "Key": key})

    def waiting(self, url, region):
        attributes = self.client("sqs", region).get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return sum(int(attributes["Attributes"][name]) for name in (
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))


@pytest.fixture
def stack(moto, tmp_path):
    return Stack(tmp_path, moto)


def test_objects_and_archives_arrive(stack):
    stack.add_targets()
    contents = {f"logs/a {n}": b"line\n" * n for n in range(5)}
    for key, content in contents.items():
        stack.client("s3").put_object(Bucket=stack.bucket, Key=key, Body=content, Tagging="kind=raw")
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


def test_the_monitored_prefix_is_that_of_the_parameter(stack):
    stack.add_targets(f"/{stack.name}/{stack.bucket}/logs")
    for key in ("logs/a", "logs-x/b", "other"):
        stack.client("s3").put_object(Bucket=stack.bucket, Key=key, Body=b"x")
    stack.service("source", MONITORED_PREFIX="logs/")
    archive, = stack.keys(stack.outbound)
    assert archive.startswith(f"{stack.bucket}/logs/backup_")
    stack.replicate_as_s3_does()
    stack.service("target")
    assert stack.keys(stack.copy) == ["logs/a"]


def test_without_a_catalog_bucket_backups_are_stored_with_a_warning(stack):
    stack.add_targets()
    stack.client("s3").put_object(Bucket=stack.bucket, Key="k", Body=b"x")
    stack.service("source")
    stack.replicate_as_s3_does()
    done = stack.service("target", CATALOG_BUCKET_NAME="")
    assert len(stack.keys(stack.vault)) == 1 and stack.keys(stack.catalog) == []
    warning, = [line for line in map(json.loads, done.err.splitlines()) if line["levelname"] == "WARNING"]
    assert "CATALOG_BUCKET_NAME" in warning["hint"]


def test_a_queue_that_is_not_there_is_named(stack):
    failed = stack.service("source", status=3, SQS_QUEUE_URL=stack.events + "-none")
    assert f"{stack.bucket}-queue-none" in failed.err
