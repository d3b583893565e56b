"""How often a request is tried, as the environment and the profile say it to every AWS client."""
import pytest
from conftest import Bale
from fault_proxy import FaultProxy
from fault_rules import Rule


class Retrying(Bale):
    def __init__(self, directory, server, proxy):
        super().__init__(directory)
        self.server, self.proxy, self.variables = server, proxy, {}

    def store_options(self):
        return ["--endpoint-url", self.proxy.endpoint]

    def environment(self):
        return {**self.server.environment(), "HOME": str(self.directory), **self.variables}

    def profile(self, text):
        (self.directory / "config").write_text("[default]\n" + text)
        self.variables = {**self.variables, "AWS_CONFIG_FILE": str(self.directory / "config")}


@pytest.fixture
def retrying(tmp_path, rgw):
    with FaultProxy(rgw.endpoint, Rule("error", times=None, status=500), journal=True) as proxy:
        yield Retrying(tmp_path, rgw, proxy)


@pytest.mark.parametrize("variables, profile, attempts", [
    ({"AWS_MAX_ATTEMPTS": "3", "AWS_RETRY_MODE": "standard"}, "max_attempts = 5\n", 3),
    ({}, "max_attempts = 1\nretry_mode = adaptive\n", 1),
])
def test_a_request_is_tried_as_often_as_it_is_said(retrying, variables, profile, attempts):
    retrying.variables = variables
    retrying.profile(profile)
    done = retrying.run("s3", "ls", status=4)
    assert len(retrying.proxy.journal) == attempts
    assert f"gave up after {'one attempt' if attempts == 1 else f'{attempts} attempts'}" in done.err


def test_a_setting_that_is_none_is_named_before_anything_is_asked(retrying):
    retrying.variables = {"AWS_MAX_ATTEMPTS": "often"}
    done = retrying.run("s3", "ls", status=2)
    assert "'often' is no number of attempts" in done.err and "AWS_MAX_ATTEMPTS" in done.err
    retrying.variables = {"AWS_RETRY_MODE": "eager"}
    done = retrying.run("s3", "ls", status=2)
    assert "'eager' is no retry mode" in done.err and "hint: it is standard" in done.err
    assert retrying.proxy.journal == []
    retrying.variables = {"AWS_MAX_ATTEMPTS": "1"}
    retrying.run("s3", "ls", status=4)
    assert len(retrying.proxy.journal) == 1
