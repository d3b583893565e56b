"""Answers in the place of S3, SQS and DynamoDB: a proxy's 404, a portal's page, an empty body. Nothing is done on their
word: no message is deleted, no object counts as gone, and once the services themselves answer, all goes on."""
import pytest
from fault_proxy import FaultProxy
from fault_rules import Rule
from stacks import SOURCE, TARGET
from test_scripted_services import Serving, Watched

# tests/unit/jobs/foreign_answers_test.cpp has more of them.
PAGES = {
    "text": {"status": 404},
    "portal": {"status": 200, "page": "<html><body>Please log in</body></html>", "page_type": "text/html"},
    "blocked": {"status": 403, "page": "<html>blocked</html>", "page_type": "text/html"},
}
IMPATIENT = {"AWS_MAX_ATTEMPTS": "2"}


@pytest.fixture
def proxy(moto):
    with FaultProxy(moto.endpoint, journal=True) as running:
        yield running


@pytest.fixture
def stack(tmp_path, moto, proxy):
    return Watched(tmp_path, moto, proxy)


@pytest.fixture(params=PAGES)
def page(request):
    return PAGES[request.param]


def meet(stack, role, rule):
    """Runs a service until it has failed because of `rule`."""
    stack.service_variables(role, **IMPATIENT)
    with Serving(stack, role, status=1) as service:  # something failed, and nothing was lost
        service.until(lambda: rule.fired >= 2 and '"ERROR"' in service.path.read_text(), seconds=40)
    assert any("the answer" in line["message"] for line in service.log if line["levelname"] == "ERROR"), service.log


def end(rule):
    """From now on the services answer themselves."""
    assert rule.fired > 0
    rule.times = rule.chosen


def wait_until_visible(stack, url, region):
    """Until the queue shows its messages again."""
    sqs = stack.client("sqs", region)
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def test_source_keeps_its_messages(stack, page):
    stack.be_impatient(stack.events, SOURCE)
    stack.put("k", b"content")
    rule = stack.proxy.rules.arm(Rule("page", match=f"^(GET|HEAD) /{stack.bucket}/", times=None, **page))
    meet(stack, "source", rule)
    assert stack.waiting(stack.events, SOURCE) == 1 and stack.deleted() == 0
    assert stack.keys(stack.outbound) == []
    end(rule)
    wait_until_visible(stack, stack.events, SOURCE)
    stack.service("source")
    assert len(stack.keys(stack.outbound)) == 1 and stack.waiting(stack.events, SOURCE) == 0


def test_target_keeps_its_messages(stack, page):
    stack.put("k", b"content")
    stack.service("source")
    stack.be_impatient(stack.arrivals, TARGET)
    stack.replicate_as_s3_does()
    stack.proxy.journal.clear()
    rule = stack.proxy.rules.arm(Rule("page", match=f"^(GET|HEAD) /{stack.inbound}/", times=None, **page))
    meet(stack, "target", rule)
    assert stack.waiting(stack.arrivals, TARGET) == 1 and stack.deleted() == 0
    assert len(stack.keys(stack.inbound)) == 1
    end(rule)
    wait_until_visible(stack, stack.arrivals, TARGET)
    stack.service("target")
    assert stack.keys(stack.copy) == ["k"] and len(stack.keys(stack.vault)) == 1 and stack.keys(stack.inbound) == []


def test_target_believes_no_page_that_says_written(stack):
    stack.put("k", b"content")
    stack.service("source")
    stack.be_impatient(stack.arrivals, TARGET)
    stack.replicate_as_s3_does()
    stack.proxy.journal.clear()
    rule = stack.proxy.rules.arm(Rule("page", match=f"^PUT /{stack.vault}/", times=None, **PAGES["portal"]))
    meet(stack, "target", rule)
    assert stack.waiting(stack.arrivals, TARGET) == 1 and stack.deleted() == 0
    assert len(stack.keys(stack.inbound)) == 1 and stack.keys(stack.vault) == [] and stack.keys(stack.catalog) == []
    end(rule)
    wait_until_visible(stack, stack.arrivals, TARGET)
    stack.service("target")
    assert len(stack.keys(stack.vault)) == 1 and stack.keys(stack.inbound) == []


@pytest.mark.parametrize("operation", ["AmazonSQS.DeleteMessage", "DynamoDB_20120810.", "AmazonSQS.ReceiveMessage"])
def test_queue_and_table_are_not_taken_for_a_page(stack, operation):
    stack.be_impatient(stack.events, SOURCE)
    stack.put("k", b"content")
    rule = stack.proxy.rules.arm(Rule("page", match=operation, times=3, **PAGES["portal"]))
    stack.service_variables("source", AWS_MAX_ATTEMPTS="8")
    stack.run("replicate", "source", "--once", status=None)
    assert rule.fired == 3
    assert len(stack.keys(stack.outbound)) == 1 and stack.waiting(stack.events, SOURCE) == 0
