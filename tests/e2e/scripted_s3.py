"""An S3 server that follows rules, as a process of its own: tests/support/scripted_s3.hpp, from Python.

    def test_something(scripted_s3):
        scripted_s3.bucket("raw")
        scripted_s3.rules([{"action": "lose_answer", "operation": "CompleteMultipartUpload"}])
        ...                                             # a program with scripted_s3.environment(), or .client("s3")
        assert scripted_s3.requests()["operations"]["UploadPart"]["count"] == 3

The fixture `scripted_s3` fails a test whose rules never took place: what should have been tested was not.
docs/testing.md describes the rules. The program is $BALE_SCRIPTED_S3, or what was built last below build/.
"""
import json
import os
import pathlib
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

import launching  # noqa: E402  (found through the line above)
from servers import Server  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOW = 60  # seconds; no answer of the server's own pages takes that long


def program():
    """Path of the server program, or None where it was not built."""
    if "BALE_SCRIPTED_S3" in os.environ:
        return pathlib.Path(os.environ["BALE_SCRIPTED_S3"])
    built = [path for path in ROOT.glob("build/*/tests/scripted_s3") if path.is_file()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


class ScriptedS3(Server):
    """A running server; `settings` are those of the program: region, account, discard, page, and tls, the path of a
    file to which the server writes the certificate that its clients are to trust. Ends with stop()."""

    def __init__(self, **settings):
        path = program()
        if path is None:
            raise FileNotFoundError("the program scripted_s3 is not built: run `make test`")
        # A session of its own: Ctrl-C on the terminal reaches the tests, which stop their servers last.
        self.process = subprocess.Popen([path, json.dumps(settings, default=str)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)
        self.port = int(self.process.stdout.readline())
        self.ca_bundle = str(settings["tls"]) if "tls" in settings else None
        scheme = "https" if self.ca_bundle else "http"
        super().__init__("scripted_s3", {"endpoint": f"{scheme}://127.0.0.1:{self.port}", "access_key": "test",
                                         "secret_key": "test", "region": settings.get("region", "eu-west-1")})

    def client(self, service, endpoint=None, **changes):
        """A boto3 client that tries once."""
        return super().client(service, endpoint, verify=self.ca_bundle, **changes)

    def environment(self):
        """Environment for a program that uses this server: the test's own, with its keys and endpoint."""
        changes = launching.environment({}) | {
            "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region, "AWS_ENDPOINT_URL_S3": self.endpoint}
        if self.ca_bundle:
            changes["AWS_CA_BUNDLE"] = self.ca_bundle
        return launching.changed(os.environ, changes)

    def page(self, method, page, content=None):
        """Asks for one of the server's own pages, /-/PAGE; ValueError with its reason where it refuses."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.endpoint}/-/{page}", data=body, method=method)
        trust = ssl.create_default_context(cafile=self.ca_bundle)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=trust))
        try:
            with opener.open(request, timeout=SLOW) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None

    def rules(self, rules=None):
        """Replaces the rules where some are given. Returns them, each with "matched", "chosen" and "hits"."""
        return self.page("GET", "rules") if rules is None else self.page("PUT", "rules", rules)

    def arm(self, *rules):
        """Adds rules to those that are there."""
        return self.page("POST", "rules", list(rules))

    def hits(self, name):
        """How often the action of the rules of that name took place."""
        return sum(rule["hits"] for rule in self.rules() if rule["name"] == name)

    def unused(self):
        """The rules whose action never took place."""
        return [rule for rule in self.rules() if rule["hits"] == 0]

    def release(self, name):
        """Ends what the rules of that name hold."""
        return self.page("POST", "release/" + urllib.parse.quote(name))

    def bucket(self, name, **properties):
        """Makes or changes a bucket: region, owner, foreign, versioning. Returns its name."""
        self.page("PUT", "buckets/" + name, properties)
        return name

    def advance(self, seconds):
        """Moves the server's clock."""
        self.page("POST", "advance", {"seconds": seconds})

    def requests(self):
        """{"count", "body_bytes", "operations", "requests"} since forget()."""
        return self.page("GET", "requests")

    def asked(self, operation):
        """The requests of one operation."""
        return [request for request in self.requests()["requests"] if request["operation"] == operation]

    def forget(self):
        """Forgets the requests so far."""
        self.page("DELETE", "requests")

    def state(self, bucket=None):
        """The buckets by name, or one of them."""
        buckets = self.page("GET", "state")["buckets"]
        return buckets if bucket is None else buckets[bucket]

    def stop(self):
        """Ends the server; returns its exit status."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(timeout=SLOW)
        self.process.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@pytest.fixture
def scripted_s3():
    """A server of the test's own; every rule that is there at the end must have taken place."""
    with ScriptedS3() as server:
        yield server
        unused = server.unused()
        status = server.stop()
    assert not unused, f"armed rules that did nothing: {unused}"
    assert status == 0, f"the server ended with status {status}"
