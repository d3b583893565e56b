"""~/.aws/config and the variables of AWS, as botocore reads them: both ask the same server for the same listing."""
import http.server
import re
import threading

import botocore.exceptions
import botocore.session
import pytest
from conftest import Bale

LISTING = (b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
           b"<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")


class Listener(http.server.BaseHTTPRequestHandler):
    """Answers every request with an empty listing, and notes who asked and for what."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", self.headers["Authorization"])
        token = self.headers.get("x-amz-security-token")
        self.server.seen.append((self.path.split("?")[0], self.headers["Host"], *scope.groups(), token))
        self.send_response(200)
        self.send_header("x-amz-request-id", "r")
        self.send_header("Content-Length", str(len(LISTING)))
        self.end_headers()
        self.wfile.write(LISTING)

    def log_message(self, *_):
        pass


class Configured(Bale):
    def __init__(self, directory, port):
        super().__init__(directory)
        self.variables, self.port = {}, port

    def store_options(self):
        return []

    def environment(self):
        return {**super().environment(), "HOME": str(self.directory), "AWS_EC2_METADATA_DISABLED": "true",
                **self.variables}

    def write(self, text, name="config"):
        file = self.directory / ".aws" / name
        file.parent.mkdir(exist_ok=True)
        if isinstance(text, str):
            text = text.encode()
        file.write_bytes(text.replace(b"URL", b"http://127.0.0.1:%d" % self.port))


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        listener.seen = []
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


@pytest.fixture
def bale(tmp_path, server):
    return Configured(tmp_path, server.server_address[1])


def as_botocore(bale, server, monkeypatch):
    """What botocore asks for; None where it refuses the configuration."""
    for name, value in bale.environment().items():
        monkeypatch.setenv(name, value)
    server.seen.clear()
    try:
        session = botocore.session.Session()
        # Debian 12 has a version that reads endpoints, but does not use them.
        profile, sections = session.get_scoped_config(), session.full_config
        name = profile.get("services")
        services = sections.get(f"services {name}") or sections.get("services", {}).get(name, {})
        endpoint = services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
        session.create_client("s3", endpoint_url=endpoint).list_objects_v2(Bucket="bucket")
    except (botocore.exceptions.ConfigParseError, botocore.exceptions.InvalidRegionError):
        return None
    return server.seen[-1]


def as_bale(bale, server, status=0):
    server.seen.clear()
    done = bale.run("s3", "ls", "s3://bucket", status=status)
    return server.seen[-1] if server.seen else None, done


SETTINGS = ["region = eu-west-3", "endpoint_url = URL", "aws_access_key_id = AK", "aws_secret_access_key = S/K+=="]


def indented(*widths):
    """A section whose settings are indented by these numbers of spaces."""
    return "[default]\n" + "".join(" " * width + setting + "\n" for width, setting in zip(widths, SETTINGS))


SAME = {
    "flat": indented(0, 0, 0, 0),
    "all by two": indented(2, 2, 2, 2),
    "ever less": indented(8, 4, 2, 0),
    "less, then equal": indented(4, 2, 2, 2),
    "section too": "  " + indented(2, 2, 2, 2),
    "tabs": indented(1, 1, 1, 1).replace("\n ", "\n\t"),
    "blank lines and comments": indented(2, 2, 2, 2).replace("\n ", "\n\n# comment\n   ; another\n\t\n "),
    "no-break spaces": indented(2, 2, 2, 2).replace("\n  ", "\n\u00a0\u00a0").replace(" = ", "\u00a0=\u00a0"),
    "colons": indented(0, 0, 0, 0).replace(" = ", ": "),
    "first of colon and equals": indented(1, 1, 1, 1).replace(" = ", " := ").replace(":= ", ":"),
    "windows": indented(0, 0, 0, 0).replace("\n", "\r\n"),
    "windows twice": indented(2, 2, 2, 2).replace("\n", "\r\r\n"),
    "old mac": indented(0, 0, 0, 0).replace("\n", "\r"),
    "no last line end": indented(2, 2, 2, 2).rstrip("\n"),
    "upper case": indented(0, 0, 0, 0).replace("region", "Region").replace("aws_access", "AWS_ACCESS"),
    "defaults": "[DEFAULT]\n" + indented(0, 0, 0, 0).split("\n", 1)[1] + "[default]\nregion = eu-west-3\n",
    "token": indented(2, 2, 2, 2) + "  aws_session_token = T==\n",
    "nested": indented(0, 0, 0, 0) + "s3 =\n  addressing_style = path\n  max_concurrent_requests = 20\n",
    "nested and indented": indented(2, 2, 2, 2) + "  s3 =\n    addressing_style = path\n  output = json\n",
    "nested, then settings": "[default]\n  s3 =\n\n      addressing_style = path\n    x = y\n"
                             + indented(2, 2, 2, 2)[10:],
    "nested endpoints": "[default]\n region = eu-west-3\n services = x\n aws_access_key_id = AK\n"
                        " aws_secret_access_key = SK\n[services x]\n  sqs =\n    endpoint_url = http://127.0.0.1:9\n"
                        "  s3 =\n    endpoint_url = URL\n",
    "deeper below a command": "[default]\nregion = eu-west-3\nendpoint_url = URL\ncredential_process = /bin/echo\n"
                              "   '{\"Version\": 1, \"AccessKeyId\": \"AK\",'\\\n   '\"SecretAccessKey\": \"SK\"}'\n",
    "nested without equals": indented(0, 0, 0, 0) + "s3 =\n  addressing_style: path\n",
    "no setting": indented(0, 0, 0, 0) + "what is this\n",
    "no name": indented(0, 0, 0, 0) + "= x\n",
    "before the first section": indented(0, 0, 0, 0)[10:],
    "a region of two lines": indented(0, 2, 0, 0) + "endpoint_url = URL\n",
}


@pytest.mark.parametrize("name", SAME)
def test_the_configuration_is_read_as_botocore_reads_it(bale, server, monkeypatch, name):
    bale.write(SAME[name])
    judge = as_botocore(bale, server, monkeypatch)
    own, done = as_bale(bale, server, status=0 if judge else 2)
    assert own == judge, repr(done)


def test_profiles_and_credentials_are_indented_too(bale, server, monkeypatch):
    bale.write("[profile dev]\n  region = eu-west-3\n  endpoint_url = URL\n[profile 'a b']\n\tregion = eu-west-2\n"
               "\tendpoint_url = URL\n")
    bale.write("[dev]\n  aws_access_key_id = AK\n  aws_secret_access_key = SK\n[a b]\n  aws_access_key_id = OTHER\n"
               "  aws_secret_access_key = SK\n", name="credentials")
    for profile, region in (("dev", "eu-west-3"), ("a b", "eu-west-2")):
        bale.variables = {"AWS_PROFILE": profile}
        judge = as_botocore(bale, server, monkeypatch)
        assert judge[3] == region
        assert as_bale(bale, server)[0] == judge


def test_a_byte_order_mark_is_skipped(bale, server):
    bale.write(b"\xef\xbb\xbf" + indented(2, 2, 2, 2).encode())
    assert as_bale(bale, server)[0][2:4] == ("AK", "eu-west-3")
    bale.write(indented(2, 2, 2, 2).encode("utf-16"))
    _, done = as_bale(bale, server, status=2)
    assert "UTF-16" in done.err and ".aws/config" in done.err


def test_a_value_of_several_lines_is_named_and_not_shown(bale, server):
    bale.write("[default]\nregion = eu-west-3\nendpoint_url = URL\naws_access_key_id = AK\n"
               "  aws_secret_access_key = HIDDEN\n")
    _, done = as_bale(bale, server, status=2)
    assert "aws_access_key_id of profile default" in done.err and "indentation" in done.err
    assert "HIDDEN" not in done.err


@pytest.mark.parametrize("name, value", [
    ("AWS_REGION", "eu-west-3\r"), ("AWS_ACCESS_KEY_ID", "AK\r"), ("AWS_SECRET_ACCESS_KEY", "HIDDEN\r"),
    ("AWS_SESSION_TOKEN", "HIDDEN\r\n"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1\r"), ("AWS_PROFILE", "default\r"),
    ("AWS_CONFIG_FILE", "~/.aws/config\r"), ("http_proxy", "http://127.0.0.1:1\r"), ("no_proxy", "127.0.0.1\r"),
    ("AWS_MAX_ATTEMPTS", "3\r"), ("AWS_CA_BUNDLE", "/dev/null\r"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true\r"),
])
def test_a_variable_with_a_carriage_return_is_named(bale, server, name, value):
    bale.write(indented(2, 2, 2, 2))
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"}
    bale.variables = {**(keys if name.startswith(("AWS_S", "AWS_ACC")) else {}), name: value}
    own, done = as_bale(bale, server, status=2)
    assert own is None and name in done.err and "carriage return" in done.err and "HIDDEN" not in done.err, repr(done)
