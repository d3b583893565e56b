"""The order in which the services ask: seen by a proxy before moto that notes every request and every answer.

No message is deleted before its data are durable; one bad object delays only itself; a message that never succeeds
reaches the dead-letter queue, with the reason in the log; messages stay invisible while slow work goes on. (DA1-DA3,
DA14)"""
import json
import random
import re
import signal
import time

import pytest
from fault_proxy import FaultProxy
from fault_rules import Rule
from stacks import SOURCE, TARGET, Stack


DELETES = "AmazonSQS.DeleteMessage"
EXTENDS = "AmazonSQS.ChangeMessageVisibility"


def log_of(text):
    """The lines of the log in what a service wrote to standard error."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Serving:
    """A service that runs until the end of the block, and must end with `status` (None: any); `log` is there
    afterwards."""

    def __init__(self, stack, role, status=0):
        self.status = status
        self.path, self.log = stack.directory / f"{role}.log", None
        self.err = self.path.open("wb")
        self.process = stack.start("replicate", role, stderr=self.err)

    def __enter__(self):
        return self

    def until(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None, self.path.read_text()
            time.sleep(0.1)

    def __exit__(self, kind, error, trace):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=40)
        self.process.stdout.close()
        self.err.close()
        self.log = log_of(self.path.read_text())
        assert kind or self.status in (None, status), self.log


class Watched(Stack):
    """A stack whose services speak through a proxy; boto3, the judge, does not."""

    def __init__(self, directory, server, proxy):
        super().__init__(directory, server, server, server)
        self.proxy = proxy
        self.add_targets()
        for url, region in ((self.events, SOURCE), (self.arrivals, TARGET)):
            self.client("sqs", region).purge_queue(QueueUrl=url)  # the test events, which are deleted at once

    def environment(self):
        endpoints = {f"AWS_ENDPOINT_URL_{service.upper()}": self.proxy.endpoint for service in self.servers}
        return {**super().environment(), **endpoints}

    def watch(self, role, **options):
        """A service until its queue is empty; its log, and the requests that it made."""
        self.proxy.journal.clear()
        done = self.service(role, **options)
        return log_of(done.err), list(self.proxy.journal)

    def serving(self, role):
        """A service that goes on until the end of the block."""
        self.service_variables(role)
        return Serving(self, role)

    def deleted(self):
        """How many messages the services have deleted since the journal began."""
        return sum(len(entry.json()["Entries"]) for entry in list(self.proxy.journal)
                   if DELETES in entry.operation and entry.answered)

    def be_impatient(self, url, region, **attributes):
        self.client("sqs", region).set_queue_attributes(
            QueueUrl=url, Attributes={"VisibilityTimeout": "3", **attributes})

    def dead_letters(self, url, region, receives):
        """Gives a queue, with little patience, a dead-letter queue after so many receives; its URL."""
        sqs = self.client("sqs", region)
        dead = sqs.create_queue(QueueName=url.rpartition("/")[2] + "-dlq")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.be_impatient(url, region, RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": arn, "maxReceiveCount": str(receives)}))
        return dead

    def bodies(self, url, region):
        sqs = self.client("sqs", region)
        return [message["Body"] for message in
                sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]


@pytest.fixture
def proxy(moto):
    with FaultProxy(moto.endpoint, journal=True) as running:
        yield running


@pytest.fixture
def stack(tmp_path, moto, proxy):
    return Watched(tmp_path, moto, proxy)


def of(journal, pattern):
    """The entries whose operation matches, in the order of their requests; there has to be one."""
    found = [entry for entry in journal if re.search(pattern, entry.operation)]
    assert found, f"no {pattern} among {journal}"
    return found


def assert_done_before(earlier, later):
    """Every one of the earlier requests was answered well before the first of the later ones was made."""
    assert all(entry.status in (200, 204) for entry in earlier), earlier
    assert max(entry.answered for entry in earlier) < min(entry.asked for entry in later), (earlier, later)


def test_source_deletes_messages_after_the_archive_is_durable(stack):
    for number in range(3):
        stack.put(f"k{number}", b"content")
    stack.proxy.rules.arm(Rule("delay", match=f"^PUT /{stack.outbound}/", seconds=1.5))
    _, journal = stack.watch("source")
    written, deleted = of(journal, f"^PUT /{stack.outbound}/"), of(journal, DELETES)
    assert len(written) == 1 and sum(len(entry.json()["Entries"]) for entry in deleted) == 3
    assert_done_before(written, deleted)
    # And the objects were read before, all of them.
    assert_done_before(of(journal, f"^GET /{stack.bucket}/k"), deleted)


def test_source_deletes_messages_after_a_large_archive_is_complete(stack):
    stack.put("large", random.Random(1).randbytes(24 << 20))
    complete = f"^POST /{stack.outbound}/.*[?&]uploadId="
    stack.proxy.rules.arm(Rule("delay", match=complete, seconds=1.5))
    _, journal = stack.watch("source")
    assert_done_before(of(journal, f"^PUT /{stack.outbound}/.*partNumber="), of(journal, complete))
    assert_done_before(of(journal, complete), of(journal, DELETES))


def test_target_deletes_last_of_all(stack):
    for number in range(5):
        stack.put(f"k{number}", b"content")
    stack.service("source")
    stack.replicate_as_s3_does()
    places = {name: f"^PUT /{getattr(stack, name)}/" for name in ("copy", "vault", "catalog")}
    stack.proxy.rules.arm(Rule("delay", match=places["copy"] + "k4", seconds=1.0))
    stack.proxy.rules.arm(Rule("delay", match=places["vault"], seconds=1.0))
    stack.proxy.rules.arm(Rule("delay", match=places["catalog"], seconds=1.0))
    _, journal = stack.watch("target")
    objects, backup, catalog = (of(journal, places[name]) for name in ("copy", "vault", "catalog"))
    staging, deleted = of(journal, f"^DELETE /{stack.inbound}/"), of(journal, DELETES)
    assert len(objects) == 5 and len(backup) == len(catalog) == len(staging) == 1
    assert_done_before(backup, catalog)
    assert_done_before([*objects, *backup, *catalog], staging)
    assert_done_before(staging, deleted)


@pytest.mark.parametrize("status, code", [(403, "AccessDenied"), (500, "InternalError")])
def test_source_packs_the_nine_others_when_one_object_cannot_be_read(stack, status, code):
    stack.be_impatient(stack.events, SOURCE)
    bad = stack.proxy.rules.arm(
        Rule("error", match=f"^(GET|HEAD) /{stack.bucket}/k4", times=None, status=status, code=code))
    for number in range(10):
        stack.put(f"k{number}", b"content %d" % number)
    with stack.serving("source") as service:
        service.until(lambda: stack.deleted() == 9, seconds=20)  # 5 s to fill the batch, and what a 500 is tried again
        assert stack.waiting(stack.events, SOURCE) == 1, "the message of the bad object stays"
        assert len(stack.keys(stack.outbound)) == 1
        bad.times = bad.chosen  # from now on it can be read
        service.until(lambda: stack.waiting(stack.events, SOURCE) == 0, seconds=40)
    assert len(stack.keys(stack.outbound)) == 2 and stack.deleted() == 10
    failures = [line for line in service.log if line["name"] == "pack.failed"]
    assert failures and all(line["object"] == f"s3://{stack.bucket}/k4" and code in line["message"]
                            for line in failures)


def test_target_lands_the_nine_others_when_one_object_cannot_be_written(stack):
    for number in range(10):
        stack.put(f"k{number}", b"content %d" % number)
    stack.service("source")
    stack.proxy.journal.clear()
    stack.be_impatient(stack.arrivals, TARGET)
    stack.replicate_as_s3_does()
    bad = stack.proxy.rules.arm(
        Rule("error", match=f"^PUT /{stack.copy}/k4", times=None, status=403, code="AccessDenied"))
    with stack.serving("target") as service:
        service.until(lambda: len(stack.keys(stack.copy)) == 9, seconds=10)
        service.until(lambda: bad.fired >= 2, seconds=20)
        assert stack.deleted() == 0 and stack.waiting(stack.arrivals, TARGET) == 1
        assert len(stack.keys(stack.inbound)) == 1
        bad.times = bad.chosen  # from now on it can be written
        service.until(lambda: stack.waiting(stack.arrivals, TARGET) == 0, seconds=40)
    assert len(stack.keys(stack.copy)) == 10 and stack.keys(stack.inbound) == []
    failures = [line for line in service.log if line["name"] == "target.failed"]
    assert failures and all(line["object"] == f"s3://{stack.copy}/k4" and "AccessDenied" in line["message"]
                            for line in failures)


def test_poison_reaches_the_dead_letter_queue_with_the_reason_logged(stack):
    dead = stack.dead_letters(stack.events, SOURCE, receives=2)
    stack.put("good", b"content")
    stack.client("sqs").send_message(QueueUrl=stack.events, MessageBody="{this is no event")
    stack.put("bad", b"nobody may read this")
    stack.proxy.rules.arm(Rule("error", match=f"^(GET|HEAD) /{stack.bucket}/bad", times=None, status=403,
                               code="AccessDenied"))
    log, _ = stack.watch("source", status=1)
    assert stack.waiting(stack.events, SOURCE) == 0 and len(stack.keys(stack.outbound)) == 1
    letters = stack.bodies(dead, SOURCE)
    assert len(letters) == 2 and "{this is no event" in letters and any('"bad"' in letter for letter in letters)
    poison = [line for line in log if line["name"] == "collect.poison"]
    assert [line["receives"] for line in poison] == [1, 2]
    assert all("not an S3 event" in line["message"] for line in poison)
    refused = [line for line in log if line["name"] == "pack.failed"]
    assert len(refused) == 2
    assert all(line["object"].endswith("/bad") and "AccessDenied" in line["message"] for line in refused)


def test_poison_of_the_target_reaches_the_dead_letter_queue_with_the_reason_logged(stack):
    dead = stack.dead_letters(stack.arrivals, TARGET, receives=2)
    archive = f"{stack.bucket}/backup_1_00000000.tar.zst"
    stack.client("s3", TARGET).put_object(Bucket=stack.inbound, Key=archive, Body=b"this is no archive")
    log, _ = stack.watch("target", status=1)
    assert len(stack.bodies(dead, TARGET)) == 1 and stack.keys(stack.inbound) == [archive]
    failed = [line for line in log if line["name"] == "target.failed"]
    assert [line["receives"] for line in failed] == [1, 2]
    assert all(line["object"] == f"s3://{stack.inbound}/{archive}" for line in failed)


def test_messages_stay_invisible_while_an_upload_is_slow(stack):
    stack.be_impatient(stack.events, SOURCE)
    stack.put("k", b"content")
    stack.proxy.rules.arm(Rule("delay", match=f"^PUT /{stack.outbound}/", seconds=7))
    _, journal = stack.watch("source")
    written, = of(journal, f"^PUT /{stack.outbound}/")
    extended = [entry for entry in of(journal, EXTENDS) if entry.asked < written.answered]
    assert len(extended) >= 4, "three times in each timeout"
    receipts = {item["ReceiptHandle"] for entry in extended for item in entry.json()["Entries"]}
    deleted, = of(journal, DELETES)
    assert [item["ReceiptHandle"] for item in deleted.json()["Entries"]] == list(receipts), "it came only once"
    assert stack.waiting(stack.events, SOURCE) == 0


def test_messages_stay_invisible_while_landing_is_slow(stack):
    stack.put("k", b"content")
    stack.service("source")
    stack.be_impatient(stack.arrivals, TARGET)
    stack.replicate_as_s3_does()
    stack.proxy.rules.arm(Rule("delay", match=f"^PUT /{stack.vault}/", seconds=7))
    _, journal = stack.watch("target")
    stored, = of(journal, f"^PUT /{stack.vault}/")
    assert len([entry for entry in of(journal, EXTENDS) if entry.asked < stored.answered]) >= 4
    assert len(of(journal, DELETES)) == 1 and stack.waiting(stack.arrivals, TARGET) == 0


@pytest.mark.parametrize("role", ["source", "target"])
def test_hangups_during_the_grace_after_sigterm_let_the_work_in_hand_end(stack, role):
    """A terminal or session that goes away after `kill` sends SIGHUP: that is no second request to end."""
    stack.put("k", b"content")
    staging, written, queue, region = stack.bucket, stack.outbound, stack.events, SOURCE
    if role == "target":
        stack.service("source")
        stack.replicate_as_s3_does()
        staging, written, queue, region = stack.inbound, stack.vault, stack.arrivals, TARGET
    read = stack.proxy.rules.arm(Rule("delay", match=f"^GET /{staging}/", seconds=3))
    with stack.serving(role) as service:
        service.until(lambda: read.chosen, seconds=30)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP):
            service.process.send_signal(number)
            time.sleep(0.3)
        assert service.process.poll() is None and stack.keys(written) == [], "the work is in hand"
        for _ in range(3):
            service.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        assert service.process.wait(timeout=30) == 0
    assert read.fired == 1
    assert len(stack.keys(written)) == 1 and stack.waiting(queue, region) == 0
