"""A service behind a balancer that pins connections to backends: when a backend answers in the place of the service,
its connections are left, and the service goes on over new ones without a restart."""
import pytest
from balancer import Balancer, Sickness
from stacks import SOURCE, TARGET
from test_scripted_services import Serving, Watched

SICK = {
    "503 of the backend": Sickness(503, "upstream is away", "text/plain"),
    "503 without a body": Sickness(503),
    "portal": Sickness(200, "<html><body>Please log in</body></html>"),
    "empty 200": Sickness(200),
    "404 of the balancer": Sickness(404, "404 page not found\n", "text/plain"),
}


@pytest.fixture
def balancer(moto):
    with Balancer(moto.endpoint) as running:
        yield running


@pytest.fixture
def stack(tmp_path, moto, balancer):
    return Watched(tmp_path, moto, balancer)


@pytest.fixture(params=SICK)
def sickness(request):
    return SICK[request.param]


def recover(stack, role, sickness, begin, is_done, attempts):
    """A service that was well meets the sick backend, and goes on when new connections lead elsewhere."""
    balancer = stack.proxy
    stack.service_variables(role, AWS_MAX_ATTEMPTS=attempts)
    with Serving(stack, role, status=None) as service:
        service.until(lambda: balancer.answers[True] >= 3, seconds=30)  # connections are open and kept
        balancer.sickness = sickness
        begin()
        service.until(lambda: sum(balancer.sick_answers.values()) >= 4, seconds=60)
        assert not is_done()
        balancer.leads_to_second = True
        service.until(is_done, seconds=90)
    assert balancer.answers[False] > 0
    assert set(balancer.sick_answers.values()) == {1}, "no connection was used again after such an answer"


@pytest.mark.parametrize("attempts", ["1", "3"])
def test_source_recovers_without_a_restart(stack, sickness, attempts):
    stack.be_impatient(stack.events, SOURCE)
    recover(stack, "source", sickness, lambda: stack.put("k", b"content"), lambda: stack.keys(stack.outbound), attempts)
    assert stack.waiting(stack.events, SOURCE) == 0


def test_target_recovers_without_a_restart(stack, sickness):
    stack.put("k", b"content")
    stack.service("source")
    stack.proxy.answers.clear()
    stack.be_impatient(stack.arrivals, TARGET)
    recover(stack, "target", sickness, stack.replicate_as_s3_does,
            lambda: stack.keys(stack.vault) and not stack.keys(stack.inbound), "3")
    assert stack.keys(stack.copy) == ["k"]
