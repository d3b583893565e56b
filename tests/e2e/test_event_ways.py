"""The ways on which events of S3 reach a queue: through a topic, which wraps them or does not, and through EventBridge,
which words them otherwise. moto sends them as AWS does; none is written by hand."""
import json

import pytest

from stacks import ACCOUNT, SOURCE, TARGET, Stack

KEYS = ["plain", "a/b/c", "with space+plus", "ünïcode/日本", "percent%2Fslash%", "a&b=c"]


class RoundaboutStack(Stack):
    """Its buckets tell its queues by way of something else."""

    def __init__(self, directory, server, way):
        self.way = way
        super().__init__(directory, server, server, server)

    def notify(self, bucket, region):
        url = super().notify(bucket, region)  # which makes the queue; its notifications are replaced
        queue = f"arn:aws:sqs:{region}:{ACCOUNT}:{bucket}-queue"
        rules = self.to_event_bridge(bucket, region, queue) if self.way == "EventBridge" else self.to_topic(
            bucket, region, queue)
        self.client("s3", region).put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=rules)
        return url

    def to_topic(self, bucket, region, queue):
        topics = self.servers["s3"].client("sns", region_name=region)
        topic = topics.create_topic(Name=bucket)["TopicArn"]
        topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue,
                         Attributes={"RawMessageDelivery": str(self.way == "raw topic").lower()})
        return {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]}

    def to_event_bridge(self, bucket, region, queue):
        events = self.servers["s3"].client("events", region_name=region)
        events.put_rule(Name=bucket, State="ENABLED", EventPattern=json.dumps(
            {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}))
        events.put_targets(Rule=bucket, Targets=[{"Id": "queue", "Arn": queue}])
        return {"EventBridgeConfiguration": {}}

    def first_message(self):
        """Of the source's queue, as it is; it stays there."""
        message = self.client("sqs").receive_message(QueueUrl=self.events, VisibilityTimeout=0)["Messages"][0]
        return json.loads(message["Body"])


@pytest.mark.parametrize("way,shape", [("topic", "Message"), ("raw topic", "Records"), ("EventBridge", "detail")])
def test_objects_arrive_whatever_their_events_came_through(moto, tmp_path, way, shape):
    stack = RoundaboutStack(tmp_path, moto, way)
    stack.add_targets(backup=False)
    stack.client("sqs").purge_queue(QueueUrl=stack.events)  # test events
    contents = {key: f"content of {key}".encode() for key in KEYS}
    for key, content in contents.items():
        stack.put(key, content)
    stack.put("short-lived", b"x")
    stack.client("s3").delete_object(Bucket=stack.bucket, Key="short-lived")
    assert shape in stack.first_message()
    stack.service("source")
    stack.replicate_as_s3_does()
    stack.service("target")
    s3 = stack.client("s3", TARGET)
    assert {key: s3.get_object(Bucket=stack.copy, Key=key)["Body"].read()
            for key in stack.keys(stack.copy)} == contents
    assert stack.waiting(stack.events, SOURCE) == stack.waiting(stack.arrivals, TARGET) == 0
