"""What a deployment of S3 Cross-Region Compressor leaves behind, on test servers: for its services' replacement."""
import json
import uuid

from ceph_events import put_event
from conftest import Bale
from servers import Road

SOURCE, TARGET = "eu-central-1", "us-east-1"
ACCOUNT = "123456789012"  # moto's


class Stack(Bale):
    """What the deployment of the replaced system leaves behind, on a server."""

    def __init__(self, directory, s3, sqs, dynamodb, road=None):
        super().__init__(directory)
        self.road = road or Road(has_faults=False)
        self.servers, self.name = {"s3": s3, "sqs": sqs, "dynamodb": dynamodb}, "s" + uuid.uuid4().hex[:8]
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
        self.client("dynamodb").get_waiter("table_exists").wait(TableName=self.table, WaiterConfig={"Delay": 0.1})

    def client(self, service, region=SOURCE):
        return self.servers[service].client(service, region_name=region)

    def make_bucket(self, bucket, region):
        options = {} if region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client("s3", region).create_bucket(Bucket=bucket, **options)

    def notify(self, bucket, region):
        """A queue that the bucket tells of new objects; its URL."""
        sqs = self.client("sqs", region)
        url = sqs.create_queue(QueueName=f"{bucket}-queue", Attributes={"VisibilityTimeout": "20"})["QueueUrl"]
        if self.servers["s3"] is not self.servers["sqs"]:
            return url
        self.client("s3", region).put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": f"arn:aws:sqs:{region}:{ACCOUNT}:{bucket}-queue",
                                     "Events": ["s3:ObjectCreated:*"]}]})
        return url

    def announce(self, region, url, bucket, key):
        """What the store says of a new object, where it cannot reach the queue itself."""
        if self.servers["s3"] is self.servers["sqs"]:
            return
        head = self.client("s3").head_object(Bucket=bucket, Key=key)
        event = put_event(bucket, key, head["ContentLength"], head["ETag"], head["LastModified"])
        self.client("sqs", region).send_message(QueueUrl=url, MessageBody=json.dumps(event))

    def put(self, key, content, **options):
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content, **options)
        self.announce(SOURCE, self.events, self.bucket, key)

    def add_targets(self, parameter=None, backup=True):
        places = [{"M": {"region": {"S": TARGET}, "bucket": {"S": self.copy}}}]
        if backup:
            places.append({"M": {"region": {"S": TARGET}, "bucket": {"S": self.vault}, "backup": {"BOOL": True}}})
        self.client("dynamodb").put_item(TableName=self.table, Item={
            "ParameterName": {"S": parameter or f"/{self.name}/{self.bucket}"}, "Destinations": {"L": places},
            "LastUpdated": {"N": "1737623107"}})

    def store_options(self):
        return ["--log-level", "info", "--log-format", "json"]

    def environment(self):
        endpoints = {f"AWS_ENDPOINT_URL_{service.upper()}": self.road.endpoint(server)
                     for service, server in self.servers.items()}
        return {**self.servers["s3"].environment(), **endpoints, "STACK_NAME": self.name, **self.variables}

    def service_variables(self, role, **variables):
        self.variables = {
            "source": {"AWS_DEFAULT_REGION": SOURCE, "AWS_REGION": "", "SQS_QUEUE_URL": self.events,
                       "BUCKET": self.outbound, "REPLICATION_PARAMETERS_TABLE": self.table},
            "target": {"AWS_DEFAULT_REGION": TARGET, "AWS_REGION": "", "SQS_QUEUE_URL": self.arrivals,
                       "CATALOG_BUCKET_NAME": self.catalog}}[role] | variables

    def service(self, role, status=0, **variables):
        self.service_variables(role, **variables)
        return self.run("replicate", role, "--once", status=status)

    def keys(self, bucket):
        return [item["Key"] for item in self.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]

    def replicate_as_s3_does(self, *keys):
        """Copies archives, all if none is named, to the other region."""
        for key in keys or self.keys(self.outbound):
            self.client("s3", TARGET).copy_object(Bucket=self.inbound, Key=key,
                                                  CopySource={"Bucket": self.outbound, "Key": key})
            self.announce(TARGET, self.arrivals, self.inbound, key)

    def waiting(self, url, region):
        attributes = self.client("sqs", region).get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return sum(int(attributes["Attributes"][name]) for name in (
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))
