"""The fidelity list on Ceph RGW with moto's queues and dynalite's tables, also past every fault; boto3 is the judge."""
import functools
import hashlib

import pytest

from cloud import CloudBale
from conftest import MiB
from fidelity_cases import *  # noqa: F403  (the tests)


@pytest.fixture(scope="module")
def new_bale(rgw, moto, dynalite, road):
    return functools.partial(CloudBale, s3=rgw, sqs=moto, dynamodb=dynalite, road=road)


def test_larger_than_one_put(bale, seeded):
    """Multipart at the source, in the staging buckets and at the destination. (Above 5 GiB: test_fidelity.py.)"""
    bale.mixed()
    content = seeded.randbytes(40 * MiB + 1)
    bale.put("source", "large", content, metadata={"owner": "mathilda"}, tags={"team": "north"})
    bale.until_idle()
    stat = bale.stat("copy", "large")
    assert stat["size"] == len(content) and stat["metadata"]["owner"] == "mathilda" and stat["tags"]["team"] == "north"
    assert "-" in stat["etag"], "it went in one request"
    assert bale.get("copy", "large") == content
    assert bale.search("large")[0]["sha256"] == hashlib.sha256(content).hexdigest()
    bale.restore(bale.directory / "restored", "large")
    assert (bale.directory / "restored/large").read_bytes() == content
    bale.assert_idle()
    bale.assert_no_leftovers()
