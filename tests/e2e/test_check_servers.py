"""`bale check` on Ceph RGW, past every fault of the road: what is flipped, damaged or lost is found, nothing else."""
import functools

import pytest

from cloud import CloudBale
from conftest import MiB


@pytest.fixture
def bale(tmp_path, rgw, moto, dynalite, road):
    return functools.partial(CloudBale, s3=rgw, sqs=moto, dynamodb=dynalite, road=road)(tmp_path)


def test_check(bale, seeded):
    contents = {"docs/one": b"1", "empty": b"", "large": seeded.randbytes(20 * MiB + 1)}
    bale.mixed()
    for key, content in contents.items():
        bale.put("source", key, content, tags={"team": "north"})
    bale.until_idle()
    check = ["check", "--config", bale.config, "--read-data", "--destinations"]
    *findings, summary = bale.json(*check)
    assert findings == [] and summary["unexamined"] == 0, findings
    assert summary["destination_read"] == len(contents) and summary["objects_read"] >= len(contents)

    archive = bale.keys("backup")[0]
    whole = bale.get("backup", archive)
    at = seeded.randrange(len(whole))
    s3, place = bale.client("s3"), {"Bucket": bale.real("backup"), "Key": archive}
    s3.put_object(Body=whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:], **place)
    *findings, _ = bale.json(*check, status=5)
    assert any(line.get("object") or line.get("objects") for line in findings), findings
    s3.put_object(Body=whole, **place)

    bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"]
                  if each["Name"].startswith(bale.stack) and each["Name"].endswith("-us-east-1-catalog"))
    files = {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
             for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    for key, text in files.items():
        s3.put_object(Bucket=bucket, Key=key, Body=text[:-30])
    *findings, summary = bale.json("check", "--config", bale.config, "--repair-catalog")
    assert {line["finding"] for line in findings} == {"damaged-catalog-file"} and summary["damage"] == 0
    assert files == {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in files}
    bale.remove("copy", "docs/one")
    line, _ = bale.json(*check, status=5)
    assert line["finding"] == "missing-at-destination" and line["object"] == f"s3://{bale.source}/docs/one"
