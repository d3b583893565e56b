"""What Ceph RGW 16 says of a new object: the key as it is, and a time of its own as the sequencer, its two numbers in
hex with the lowest byte first. test_rgw_notifications.py has RGW itself say it."""
import struct
import time


def put_event(bucket, key, size, etag, modified):
    """`modified` is what boto3 says; `etag` may have its quotes."""
    return {"Records": [{
        "eventVersion": "2.2", "eventSource": "ceph:s3", "awsRegion": "", "eventName": "ObjectCreated:Put",
        "eventTime": modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": {
            "key": key, "size": size, "eTag": etag.strip('"'), "versionId": "",
            "sequencer": struct.pack("<II", *divmod(time.time_ns(), 10**9)).hex().upper()}}}]}
