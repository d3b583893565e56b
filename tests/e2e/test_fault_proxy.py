"""The fault proxy: passes on what it should, does each fault as it says, and notices a fault that never happened."""
import concurrent.futures
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from conftest import MiB, wait_until
from fault_proxy import FaultProxy
from fault_rules import FAULTS, Framing, Mix, Request, Rule, Rules
from servers import Road

PROXY = pathlib.Path(__file__).with_name("fault_proxy.py")
BROKEN = (http.client.HTTPException, ConnectionError)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as its path says: /ok, /bytes/N, /chunked/N, /endless/N, /early (refuses before it reads the body)."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def answer(self):
        what, _, size = self.path.strip("/").partition("/")
        if what == "early":
            self.send_response(412)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.wfile.flush()
        try:
            content = self.body()
        except ConnectionError:
            content = b""
        self.server.seen.append((self.command, self.path, dict(self.headers), content))
        if what != "early":
            self.send_response(200)
            self.give(what, pattern(int(size)) if size else hashlib.md5(content).hexdigest().encode())

    def give(self, what, content):
        if what == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif what != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if what == "chunked":
            for start in range(0, len(content), 1000):
                piece = content[start:start + 1000]
                self.wfile.write(b"%x;name=value\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
        else:
            self.wfile.write(content)
        self.wfile.flush()
        self.close_connection = self.close_connection or what == "endless"

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def handle_expect_100(self):
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # connections are cut on purpose


def pattern(size):
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@pytest.fixture(scope="module")
def running():
    with Server(("127.0.0.1", 0), Handler) as server:
        server.name, server.endpoint = "local", f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(running):
    running.seen = []
    return running


def new_connection(proxy):
    return http.client.HTTPConnection(urllib.parse.urlsplit(proxy.endpoint).netloc, timeout=20)


def connect(proxy):
    return contextlib.closing(new_connection(proxy))


def ask(connection, method="GET", path="/ok", body=None, **headers):
    """Status and body of one request."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read()


def once(proxy, *arguments, **headers):
    with connect(proxy) as connection:
        return ask(connection, *arguments, **headers)


# Without faults

@pytest.mark.parametrize("latency", [0.0, 0.01])
@pytest.mark.parametrize("path", ["/ok", "/bytes/0", "/bytes/1", "/bytes/1000000", "/chunked/0", "/chunked/2500",
                                  "/chunked/300000", "/endless/70000"])
def test_answers_pass(server, path, latency):
    with FaultProxy(server.endpoint, latency=latency) as proxy, connect(proxy) as connection:
        expected = pattern(int(path.split("/")[2])) if path != "/ok" else hashlib.md5(b"").hexdigest().encode()
        for _ in range(3):  # on one connection, where the server lets it live
            assert ask(connection, path=path) == (200, expected)
        assert ask(connection, "HEAD", path) == (200, b"")
        assert ask(connection, "DELETE", path)[0] == 200
        assert proxy.counts["requests"] == 5


def test_requests_pass(server):
    body = random.Random(1).randbytes(3 * MiB + 1)
    pieces = [body[start:start + 70001] for start in range(0, len(body), 70001)]
    with FaultProxy(server.endpoint) as proxy, connect(proxy) as connection:
        for sent in (body, iter(pieces), b"", body[:1]):  # an iterator is sent in chunks
            assert ask(connection, "PUT", "/ok?x=%20y", sent)[0] == 200
        host = urllib.parse.urlsplit(proxy.endpoint).netloc
    assert [content for _, _, _, content in server.seen] == [body, body, b"", body[:1]]
    assert {(path, headers["Host"]) for _, path, headers, _ in server.seen} == {("/ok?x=%20y", host)}


def read_answer(file):
    """(status, headers as text, body) of an answer with a length."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        assert line, head
        head += line
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return int(head.split()[1]), head, file.read(length[0] if length else 0)


PUT = b"PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n%s\r\n"


@pytest.mark.parametrize("rule", [None, Rule("error")])
def test_expect_100_continue(server, rule):
    with FaultProxy(server.endpoint, *([rule] if rule else [])) as proxy, connect(proxy) as connection:
        connection.connect()
        with connection.sock.makefile("rb") as answers:
            connection.sock.sendall(PUT % (b"/ok", b"Expect: 100-continue\r\n"))
            assert read_answer(answers)[0] == 100
            connection.sock.sendall(b"hello")
            assert read_answer(answers)[0] == (503 if rule else 200)
            connection.sock.sendall(PUT % (b"/ok", b"") + b"again")
            assert read_answer(answers)[0] == 200


def test_an_answer_before_the_body(server):
    """A server may refuse before it has read the request; the rest of the body is not another request."""
    with FaultProxy(server.endpoint) as proxy, connect(proxy) as connection:
        connection.connect()
        with connection.sock.makefile("rb") as answers:
            connection.sock.sendall(PUT % (b"/early", b""))
            assert read_answer(answers)[0] == 412
            connection.sock.sendall(b"hello")
            connection.sock.sendall(PUT % (b"/ok", b"") + b"again")
            assert read_answer(answers)[0] == 200
        assert [content for _, _, _, content in server.seen] == [b"hello", b"again"]


def test_heads_and_bodies_in_any_pieces():
    body = b"5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    for size in range(1, len(body) + 1):
        framing = Framing(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        data, taken = body + b"GET", 0
        for start in range(0, len(data), size):
            if not framing.done:
                taken += framing.take(data[start:start + size])
        assert framing.done and taken == len(body), size


def test_latency(server):
    with FaultProxy(server.endpoint, latency=0.05) as proxy, connect(proxy) as connection:
        begin = time.monotonic()
        for _ in range(4):
            ask(connection)
        assert time.monotonic() - begin >= 0.2


def test_no_server():
    with FaultProxy("http://127.0.0.1:1") as proxy:
        status, text = once(proxy)
        assert status == 502 and b"fault proxy" in text


# Faults

def test_delay(server):
    with FaultProxy(server.endpoint, Rule("delay", seconds=1.0)) as proxy, connect(proxy) as connection:
        begin = time.monotonic()
        assert ask(connection, path="/bytes/100000") == (200, pattern(100000))
        assert time.monotonic() - begin >= 1.0
        begin = time.monotonic()
        ask(connection)
        assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
def test_the_server_sees_nothing(server, fault, reset):
    with FaultProxy(server.endpoint, Rule(fault, reset=reset)) as proxy:
        with pytest.raises(BROKEN):
            once(proxy, "PUT", "/ok", b"x" * 100000)
        assert server.seen == []
        assert once(proxy, "PUT", "/ok", b"y")[0] == 200
        assert len(server.seen) == 1


@pytest.mark.parametrize("after", [None, 0, 99999])
def test_cut_request(server, after):
    with FaultProxy(server.endpoint, Rule("cut_request", after=after)) as proxy:
        assert once(proxy, "GET")[0] == 200  # has no body to cut
        with pytest.raises(BROKEN):
            once(proxy, "PUT", "/ok", b"x" * 100000)
        assert once(proxy, "PUT", "/ok", b"y")[0] == 200
    wait_until(lambda: len(server.seen) == 3)
    [cut] = [content for method, _, _, content in server.seen if method == "PUT" and content != b"y"]
    assert len(cut) == (50000 if after is None else after)


@pytest.mark.parametrize("latency", [0.0, 0.02])
@pytest.mark.parametrize("path, after, reached", [
    ("/bytes/100000", None, 50000), ("/bytes/100000", 7, 7), ("/bytes/2000000", 1999999, 1999999),
    ("/chunked/5000", None, 0)])
def test_cut_answer(server, path, after, reached, latency):
    with FaultProxy(server.endpoint, Rule("cut_answer", after=after), latency=latency) as proxy:
        with connect(proxy) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            with pytest.raises(http.client.IncompleteRead) as caught:
                answer.read()
            assert len(caught.value.partial) == reached
        assert once(proxy, "GET", path)[0] == 200


def test_cut_answer_without_a_body(server):
    with FaultProxy(server.endpoint, Rule("cut_answer")) as proxy:
        with pytest.raises(BROKEN):
            status, _ = once(proxy, "HEAD")
            raise http.client.BadStatusLine(f"half a head was read as {status}")
        assert once(proxy, "HEAD")[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_lose_answer(server, method):
    with FaultProxy(server.endpoint, Rule("lose_answer")) as proxy:
        with pytest.raises(BROKEN):
            once(proxy, method, "/bytes/1000000", b"body" if method == "PUT" else None)
        assert len(server.seen) == 1
        assert once(proxy, method)[0] == 200


def test_fail_answer(server):
    with FaultProxy(server.endpoint, Rule("fail_answer", status=500)) as proxy, connect(proxy) as connection:
        status, text = ask(connection, "PUT", "/bytes/300000", b"body")
        assert status == 500 and b"<Code>InternalError</Code>" in text
        assert [content for _, _, _, content in server.seen] == [b"body"]
        assert ask(connection, "PUT", "/ok", b"again")[0] == 200


@pytest.mark.parametrize("path", ["/ok", "/endless/1000"])
def test_repeat(server, path):
    body = random.Random(2).randbytes(300000)
    with FaultProxy(server.endpoint, Rule("repeat")) as proxy, connect(proxy) as connection:
        assert ask(connection, "PUT", path, body)[0] == 200
        assert [content for _, _, _, content in server.seen] == [body, body]
        assert ask(connection, "PUT", path, b"one")[0] == 200
    assert [content for _, _, _, content in server.seen] == [body, body, b"one"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_page_in_the_place_of_the_service(server, method):
    rule = Rule("page", status=404, page="<html>gone</html>", page_type="text/html")
    with FaultProxy(server.endpoint, rule) as proxy, connect(proxy) as connection:
        connection.request(method, "/ok", b"x" * 300000 if method == "PUT" else None)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type")) == (404, "text/html")
        assert answer.getheader("x-amz-request-id") is None
        assert answer.read() == (b"" if method == "HEAD" else b"<html>gone</html>")
        assert not server.seen


@pytest.mark.parametrize("headers, status, expected", [
    ({}, 503, b"<Code>SlowDown</Code>"), ({}, 500, b"<Code>InternalError</Code>"),
    ({"x_amz_target": "DynamoDB_20120810.PutItem"}, 400, b'#ThrottlingException"'),
    ({"x_amz_target": "AmazonSQS.SendMessage"}, 500, b'#InternalServerError"'),
    ({"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}, 503, b"<ErrorResponse><Error><Type>"),
])
def test_error_in_the_service_s_own_words(server, headers, status, expected):
    rule = Rule("error", status=status, retry_after=3)
    with FaultProxy(server.endpoint, rule) as proxy, connect(proxy) as connection:
        connection.request("POST", "/ok", b"x" * 300000, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        assert (answer.status, answer.getheader("Retry-After")) == (status, "3") and expected in text
        if b"{" in text:
            assert json.loads(text)["message"]
        assert server.seen == []
        assert ask(connection, "HEAD")[0] == 200


def test_error_to_head_has_no_body(server):
    with FaultProxy(server.endpoint, Rule("error", code="Odd")) as proxy, connect(proxy) as connection:
        assert ask(connection, "HEAD") == (503, b"")
        assert ask(connection) != (503, b"")


# What happened

def test_the_journal_has_every_request_with_its_turn(server):
    with FaultProxy(server.endpoint, Rule("error", match="refused"), Rule("cut_after", match="cut"),
                    journal=True) as proxy:
        with connect(proxy) as connection:
            ask(connection, "PUT", "/one", b"body")
            ask(connection, "PUT", "/refused", b"x" * 100000)
        with connect(proxy) as connection, pytest.raises((http.client.HTTPException, OSError)):
            ask(connection, "PUT", "/cut", b"lost")
        one, refused, cut = proxy.journal
    assert (one.operation, bytes(one.body), one.status) == ("PUT /one", b"body", 200)
    assert (refused.status, bytes(refused.body[:1])) == (503, b"x") and len(refused.body) <= 65536
    assert (cut.status, cut.answered) == (None, None) and bytes(cut.body) == b"lost"
    assert one.asked < one.answered < refused.asked < refused.answered < cut.asked


# When

def test_rules_choose_by_operation_number_and_turn(server):
    rules = [Rule("error", match="^PUT /a", times=2, skip=1), Rule("error", match="GetItem$", status=500)]
    with FaultProxy(server.endpoint, *rules) as proxy, connect(proxy) as connection:
        puts = [ask(connection, "PUT", path, b"x")[0] for path in ["/b", "/a", "/a/1", "/b", "/a/2", "/a"]]
        assert puts == [200, 200, 503, 200, 503, 200]
        assert ask(connection, "POST", "/ok", b"", x_amz_target="DynamoDB_20120810.GetItem")[0] == 500
        assert [rule.fired for rule in rules] == [2, 1]


def outcomes(seed):
    rules, request = Rules([Rule("error", times=None, probability=0.25)], seed), Request(b"GET / HTTP/1.1\r\n\r\n")
    return [rules.choose(request) is not None for _ in range(2000)]


def test_chance_has_a_seed():
    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 400 < sum(outcomes(1)) < 600


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_never_fires_fails(server, fault):
    with pytest.raises(AssertionError, match=fault):
        with FaultProxy(server.endpoint, Rule(fault, match="^PATCH")) as proxy:
            once(proxy)


def test_a_fault_that_fires_too_seldom_fails(server):
    with pytest.raises(AssertionError, match="fired 1 times"):
        with FaultProxy(server.endpoint, Rule("error", times=2)) as proxy:
            once(proxy)


def test_a_failing_test_fails_for_its_own_reason(server):
    with pytest.raises(ZeroDivisionError):
        with FaultProxy(server.endpoint, Rule("error")):
            raise ZeroDivisionError


def test_no_such_fault():
    with pytest.raises(ValueError, match="no such fault: 'typo'"):
        Rule("typo")


def worker(proxy, number):
    """50 requests; {outcome: count}."""
    counts = {"whole": 0, "5xx": 0, "broken": 0}
    chance, connection = random.Random(number), new_connection(proxy)
    for _ in range(50):
        size = chance.choice([1, 1000, 200000])
        body = chance.randbytes(size)
        try:
            status, text = ask(connection, "PUT", "/ok" if size > 1 else "/chunked/100000", body)
        except BROKEN:
            counts["broken"] += 1
            connection.close()
            continue
        counts["whole" if status == 200 else "5xx"] += 1
        if status == 200:
            assert text == (hashlib.md5(body).hexdigest().encode() if size > 1 else pattern(100000))
    connection.close()
    return counts


@pytest.mark.parametrize("latency", [0.0, 0.005])
def test_all_faults_at_once(server, seeded, latency):
    """Whatever happens to others, every answer is right or visibly wrong, and each fault is accounted for."""
    rules = {fault: Rule(fault, times=None, probability=0.07, seconds=0.01, reset=seeded.random() < 0.5)
             for fault in FAULTS}
    with FaultProxy(server.endpoint, *rules.values(), seed=seeded.randrange(1 << 32), latency=latency) as proxy:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda number: worker(proxy, number), range(8)))
        fired = {fault: rule.fired for fault, rule in rules.items()}
        total = {outcome: sum(run[outcome] for run in runs) for outcome in runs[0]}
    print(fired, total)
    unseen = ["cut_before", "cut_request", "cut_after"]
    assert total["5xx"] == fired["error"] + fired["page"] + fired["fail_answer"]
    assert total["broken"] == sum(fired[fault] for fault in [*unseen, "cut_answer", "lose_answer"])
    assert sum(total.values()) == 400
    whole = 400 - sum(fired[fault] for fault in [*unseen, "error", "page"]) + fired["repeat"]
    wait_until(lambda: whole <= len(server.seen) <= whole + fired["cut_request"])


def request_of(method, headers=""):
    return Request(f"{method} /key HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode())


def test_a_mix_deals_every_fault_once_a_deck_by_its_seed():
    put = request_of("PUT", "Content-Length: 5\r\n")
    dealt = {seed: [card and card.fault for card in map(Mix(seed).choose, [put] * 240)] for seed in ("a", "b")}
    again = Mix("a")
    assert [card and card.fault for card in map(again.choose, [put] * 240)] == dealt["a"] != dealt["b"]
    cards = sorted(card.fault for card in Mix.cards())
    assert set(cards) == set(FAULTS)
    for half in (dealt["a"][:120], dealt["a"][120:]):
        assert sorted(filter(None, half)) == cards


def test_a_mix_keeps_a_fault_for_a_request_that_can_have_it():
    mix = Mix("a", unrepeated=b"\r\nIf-None-Match:")
    get, conditional = request_of("GET"), request_of("PUT", "Content-Length: 5\r\nIf-None-Match: *\r\n")
    dealt = [card.fault for card in map(mix.choose, [get] * 120) if card]
    assert "cut_request" not in dealt and "repeat" in dealt
    dealt = [card.fault for card in map(mix.choose, [conditional] * 240) if card]
    assert dealt.count("cut_request") == 3 and "repeat" not in dealt
    assert mix.choose(get).fault == "repeat"


def test_a_road_without_a_fault_that_should_have_been_there_fails(server):
    road = Road(True, "a")
    endpoint = road.endpoint(server)
    road.proxies[server.endpoint].counts["requests"] = Road.ENOUGH
    assert endpoint == road.endpoint(server) != server.endpoint
    with pytest.raises(AssertionError, match="none had the faults"):
        road.close()
    assert Road(False).endpoint(server) == server.endpoint


# Before real servers

def test_signatures_hold(rgw):
    """Through the proxy the gateway takes a right secret and refuses a wrong one."""
    with FaultProxy(rgw.endpoint, Rule("error", match="^PUT .*/retried", times=1)) as proxy:
        s3, bucket = rgw.client("s3", endpoint=proxy.endpoint), rgw.bucket()
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * MiB)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * MiB
        with pytest.raises(s3.exceptions.ClientError, match="SlowDown"):
            s3.put_object(Bucket=bucket, Key="retried", Body=b"x")
        with pytest.raises(s3.exceptions.ClientError, match="SignatureDoesNotMatch"):
            rgw.client("s3", endpoint=proxy.endpoint, aws_secret_access_key="wrong").list_buckets()


def test_clients_understand_the_errors(moto):
    rules = [Rule("error", match="PutItem$", status=400, code="ProvisionedThroughputExceededException"),
             Rule("error", match="^POST /", status=503)]
    with FaultProxy(moto.endpoint, *rules) as proxy:
        dynamodb, sqs = moto.client("dynamodb", endpoint=proxy.endpoint), moto.client("sqs", endpoint=proxy.endpoint)
        with pytest.raises(dynamodb.exceptions.ProvisionedThroughputExceededException):
            dynamodb.put_item(TableName="t", Item={"id": {"S": "1"}})
        with pytest.raises(sqs.exceptions.ClientError, match="SlowDown|ServiceUnavailable"):
            sqs.list_queues()
        sqs.list_queues()


# Many connections, much data: the cost of the proxy itself, in CPU time, which other load does not change much

LOAD = pathlib.Path(__file__).with_name("proxy_load.py")


def load(kind, latency=0.0):
    """One run of proxy_load.py against a server of its own, through a proxy in a process of its own."""
    server = subprocess.Popen([sys.executable, LOAD, "server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    proxy = None
    try:
        endpoint = json.loads(server.stdout.readline())["endpoint"]
        proxy = subprocess.Popen([sys.executable, PROXY, "--server", endpoint, "--latency", str(latency)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        through = json.loads(proxy.stdout.readline())["endpoint"]
        done = json.loads(subprocess.run([sys.executable, LOAD, kind, through], check=True, capture_output=True,
                                         timeout=120).stdout)
        memory = pathlib.Path(f"/proc/{proxy.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s*(\d+) kB", memory).group(1)) * 1024
        proxy.stdin.close()
        counts = json.loads(proxy.stdout.read())
        _, status, usage = os.wait4(proxy.pid, 0)
        proxy.returncode = os.waitstatus_to_exitcode(status)
        return {**done, **counts, "status": proxy.returncode, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak}
    finally:
        server.stdin.close()
        server.wait()
        if proxy is not None and proxy.returncode is None:
            proxy.kill()
            proxy.wait()


def test_many_small_requests():
    run = load("requests", latency=0.05)
    print(run)
    assert run["status"] == 0 and run["requests"] == run["done"] == 10000
    assert run["cpu"] / run["requests"] < 1 / 2000


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_large_bodies_stream(kind):
    run = load(kind)
    print(run)
    assert run["status"] == 0 and run["bytes"] == 1024 * MiB
    assert run["cpu"] < run["bytes"] / 300e6
    assert run["peak"] < 64 * MiB  # Python, and 8 MiB or so for each stream's buffers
