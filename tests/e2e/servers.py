"""Fixtures of the servers that speak AWS's protocols (rgw, moto, dynalite), each started when a test first asks for it.

A server that cannot run on this machine skips its tests with the reason; if $BALE_TEST_REQUIRE names it
("rgw,dynalite"), they fail. A server that runs already, started by tests/servers/with_servers.py, is used as it is.
"""
import os
import pathlib
import sys
import uuid

import pytest

ROOT_OF_SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"
sys.path.insert(0, str(ROOT_OF_SERVERS))

import launching  # noqa: E402  (found through the line above)
import serving  # noqa: E402


def boto():
    """boto3; skips the test, or fails it, without it."""
    try:
        import boto3
        import botocore.config
    except ImportError:
        unavailable("boto3", "no boto3 in this Python: install python3-boto3 (scripts/install-deps.sh test)")
    return boto3.session.Session, botocore.config.Config


def unavailable(name, reason):
    """Ends the test: skipped, or failed when the server was required."""
    if launching.required(name):
        pytest.fail(f"{name} is required by BALE_TEST_REQUIRE, but: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


class Server:
    """A running server: `endpoint`, `access_key`, `secret_key`, `region`, and more of what it said about itself."""

    def __init__(self, name, answer):
        self.name, self.answer = name, answer
        self.endpoint, self.region = answer["endpoint"], answer["region"]
        self.access_key, self.secret_key = answer["access_key"], answer["secret_key"]

    def client(self, service, endpoint=None, **changes):
        """A boto3 client of `service` that tries once; `endpoint` may be a proxy before the server."""
        session, config = boto()
        options = {"region_name": self.region, "aws_access_key_id": self.access_key,
                   "aws_secret_access_key": self.secret_key, **changes}
        return session().client(service, endpoint_url=endpoint or self.endpoint, config=config(
            s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=60,
            parameter_validation=False, proxies={}), **options)

    def environment(self):
        """Environment for a program that uses this server: the test's own, with its keys and no other AWS_ variable."""
        return launching.changed(os.environ, launching.environment({self.name: self.answer}))

    def bucket(self, client=None, **options):
        """A new bucket; the caller need not remove it: servers are thrown away."""
        name = f"bale-{uuid.uuid4().hex[:16]}"
        options.setdefault("CreateBucketConfiguration", {"LocationConstraint": self.region})
        (client or self.client("s3")).create_bucket(Bucket=name, **options)
        return name


def from_environment(name):
    """A server that with_servers.py started for this process, or None."""
    prefix = f"BALE_TEST_{name.upper()}_"
    if prefix + "ENDPOINT" not in os.environ:
        return None
    return {"endpoint": os.environ[prefix + "ENDPOINT"], "region": serving.REGION,
            "access_key": os.environ.get(prefix + "ACCESS_KEY", serving.ACCESS_KEY),
            "secret_key": os.environ.get(prefix + "SECRET_KEY", serving.SECRET_KEY)}


def session_of(name):
    """Yields the server for one session of tests."""
    if answer := from_environment(name):
        yield Server(name, answer)
        return
    launched = launching.Launched(name)
    try:
        yield Server(name, launched.ready())
    except serving.CannotRun as reason:
        unavailable(name, str(reason))
    finally:
        status = launched.close()
    assert status == 0, f"{name} ended while tests used it: exit status {status}"


@pytest.fixture(scope="session")
def rgw():
    """Ceph RGW: S3."""
    yield from session_of("rgw")


@pytest.fixture(scope="session")
def moto():
    """moto: S3 with notifications to SQS, SQS, DynamoDB and more."""
    yield from session_of("moto")


@pytest.fixture(scope="session")
def dynalite():
    """dynalite: DynamoDB."""
    yield from session_of("dynalite")
