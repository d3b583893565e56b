"""Fixtures of the servers that speak AWS's protocols (launching.NAMES), each started when a test first asks for it.

A server that cannot run on this machine skips its tests with the reason; if $BALE_TEST_REQUIRE names it
("rgw,dynalite"), they fail. A server that runs already, started by tests/servers/with_servers.py, is used as it is.
"""
import collections
import os
import pathlib
import sys
import threading
import uuid

import pytest

ROOT_OF_SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"
sys.path.insert(0, str(ROOT_OF_SERVERS))

import launching  # noqa: E402  (found through the line above)
import serving  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from fault_rules import FAULTS, Mix  # noqa: E402


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
        self._session, self._lock = None, threading.Lock()  # a session reads its models of services once

    def client(self, service, endpoint=None, **changes):
        """A boto3 client of `service` that tries once; `endpoint` may be a proxy before the server."""
        session, config = boto()
        options = {"region_name": self.region, "aws_access_key_id": self.access_key,
                   "aws_secret_access_key": self.secret_key, **changes}
        with self._lock:
            self._session = self._session or session()
            return self._session.client(service, endpoint_url=endpoint or self.endpoint, config=config(
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


@pytest.fixture(scope="session")
def swift():
    """OpenStack Swift: S3 without tags, notifications and most conditions of writes."""
    yield from session_of("swift")


class Road:
    """How the program comes to the servers: directly, or past every fault of a Mix. The judge, boto3, goes directly."""

    ENOUGH = 600  # requests after which every kind of fault must have happened: five decks

    def __init__(self, has_faults, seed=0, unrepeated=None):
        """`unrepeated`: a regular expression; a request whose head it finds is not sent twice."""
        self.has_faults, self.seed, self.unrepeated = has_faults, seed, unrepeated
        self.proxies = {}  # by the server's endpoint

    def endpoint(self, server):
        if not self.has_faults:
            return server.endpoint
        if server.endpoint not in self.proxies:
            mix = Mix(f"{self.seed} {server.name}", unrepeated=self.unrepeated)
            self.proxies[server.endpoint] = FaultProxy(server.endpoint, mix=mix).start()
        return self.proxies[server.endpoint].endpoint

    def fired(self):
        """Faults that happened, by name, at all servers."""
        return sum((collections.Counter(proxy.rules.fired) for proxy in self.proxies.values()), collections.Counter())

    def requests(self):
        return sum(proxy.counts["requests"] for proxy in self.proxies.values())

    def close(self):
        for proxy in self.proxies.values():
            proxy.stop()
        if self.requests() >= self.ENOUGH:
            never = set(FAULTS) - set(+self.fired())
            assert not never, f"of {self.requests()} requests none had the faults {sorted(never)}"


@pytest.fixture(scope="module", params=["direct", "faults"])
def road(request):
    """Tests that use it run twice. UNREPEATED of their module: see Road."""
    taken = Road(request.param == "faults", os.environ.get("BALE_TEST_SEED", request.node.name),
                 getattr(request.module, "UNREPEATED", None))
    yield taken
    taken.close()
