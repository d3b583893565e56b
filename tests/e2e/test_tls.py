"""TLS from end to end: a store of one's own, with a certificate of one's own authority."""
import pytest
from conftest import Bale
from tls_front import Authority, TlsFront


class TlsBale(Bale):
    """The program on Ceph RGW, which checks signatures, by an https endpoint."""

    def __init__(self, directory, server):
        super().__init__(directory)
        self.server, self.endpoint, self.variables = server, None, {}

    def store_options(self):
        return ["--endpoint-url", self.endpoint]

    def environment(self):
        return {**self.server.environment(), "HOME": str(self.directory), **self.variables}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def tls(tmp_path, rgw):
    return TlsBale(tmp_path, rgw)


@pytest.fixture(scope="module")
def front(rgw, authority):
    """RGW with a certificate for the address that it has."""
    with TlsFront(rgw.endpoint, authority.sign("good", "IP:127.0.0.1")) as running:
        yield running


def refused(tls, *arguments):
    """A listing that has to end with status 4, having told the service nothing."""
    done = tls.run("s3", "ls", *arguments, status=4, timeout=30)
    assert done.out == "" and "Traceback" not in done.err
    return done.err


def test_an_unknown_authority_is_refused_and_the_way_out_is_named(tls, front):
    tls.endpoint = front.endpoint
    connections = front.connections
    error = refused(tls)
    assert "the service's certificate is not trusted" in error
    assert "--ca-bundle or AWS_CA_BUNDLE" in error
    assert "tried again" not in error and front.connections == connections, "no request is made"


@pytest.mark.parametrize("way", ["option", "variable", "profile"])
def test_an_authority_of_one_s_own_is_trusted(tls, front, authority, way):
    tls.endpoint = front.endpoint
    trust = []
    if way == "option":
        trust = ["--ca-bundle", str(authority.bundle)]
    elif way == "variable":
        tls.variables = {"AWS_CA_BUNDLE": str(authority.bundle)}
    else:
        (tls.directory / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
        tls.variables = {"AWS_CONFIG_FILE": str(tls.directory / "config")}
    bucket = tls.server.bucket()
    content = b"0123456789" * 2_000_000  # in parts
    (tls.directory / "up").write_bytes(content)
    tls.run(*trust, "s3", "cp", "up", f"s3://{bucket}/k")
    tls.run(*trust, "s3", "cp", f"s3://{bucket}/k", "down")
    assert (tls.directory / "down").read_bytes() == content
    assert tls.server.client("s3").head_object(Bucket=bucket, Key="k")["ContentLength"] == len(content)


def test_the_certificate_of_another_host_is_refused(tls, rgw, authority):
    with TlsFront(rgw.endpoint, authority.sign("other", "DNS:store.invalid,IP:127.0.0.2")) as front:
        tls.endpoint = front.endpoint
        error = refused(tls, "--ca-bundle", authority.bundle)
    assert "the service's certificate is for another host" in error and "--ca-bundle" not in error


def test_an_expired_certificate_is_refused(tls, rgw, authority):
    late = authority.sign("late", "IP:127.0.0.1", start="20200101000000Z", end="20210101000000Z")
    with TlsFront(rgw.endpoint, late) as front:
        tls.endpoint = front.endpoint
        error = refused(tls, "--ca-bundle", authority.bundle)
    assert "the service's certificate has expired" in error and "renewed" in error


def test_a_bundle_that_is_none_is_named(tls, front):
    tls.endpoint = front.endpoint
    done = tls.run("s3", "ls", "--ca-bundle", "no-such-file.pem", status=2, timeout=30)
    assert "--ca-bundle" in done.err
