"""What a fault proxy may do to a request, when, and how an AWS service words an error: see fault_proxy.py."""
import dataclasses
import json
import random
import re
from xml.sax.saxutils import escape

FAULTS = {
    "delay": "the answer comes `seconds` later",
    "cut_before": "the connection closes when the request's head has come; the server sees nothing",
    "cut_request": "the connections close after `after` bytes of the request's body (default: half of it)",
    "cut_after": "the connection closes when the whole request has come; the server sees nothing",
    "cut_answer": "the connection closes after `after` bytes of the answer's body (default: half; none: in the head)",
    "error": "an error instead of the server's answer; the server sees nothing",
    "page": "a page instead of the server's answer, as proxies and portals give one; the server sees nothing",
    "lose_answer": "the server does its work, then the connection closes without an answer",
    "fail_answer": "the server does its work, then the client gets an error",
    "repeat": "the server gets the request twice, one after the other; the client gets the second answer",
}
REPEATED_BYTES = 64 << 20  # a longer body is not repeated: it would have to be held in memory

XML_CODES = {500: "InternalError", 503: "SlowDown", 403: "RequestTimeTooSkewed", 400: "RequestTimeout"}
JSON_CODES = {500: "InternalServerError", 503: "ServiceUnavailable", 400: "ThrottlingException"}
REASONS = {400: "Bad Request", 403: "Forbidden", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d+)", re.I)
_CHUNKED = re.compile(rb"\r\nTransfer-Encoding:[^\r]*\bchunked\b", re.I)
_CLOSE = re.compile(rb"\r\nConnection:[^\r]*\bclose\b", re.I)
_CONTINUE = re.compile(rb"\r\nExpect:[ \t]*100-continue", re.I)
_TARGET = re.compile(rb"\r\nX-Amz-Target:[ \t]*([^\r]*)", re.I)
_FORM = re.compile(rb"\r\nContent-Type:[ \t]*application/x-www-form-urlencoded", re.I)


class Framing:
    """Finds where a body ends, byte by byte as it comes."""

    def __init__(self, head, bodyless=False, until_close=False):
        """`until_close`: without any length the body lasts as long as the connection, as answers do."""
        self.chunked = not bodyless and _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self.length = 0 if bodyless or self.chunked or length is None else int(length.group(1))
        self.left = self.length
        self.endless = until_close and not bodyless and not self.chunked and length is None
        self.done = not self.chunked and not self.endless and self.left == 0
        self._line, self._after_data, self._trailer = b"", False, False

    def take(self, data):
        """How many bytes of `data` belong to the body; sets `done` at its end."""
        if self.endless:
            return len(data)
        if not self.chunked:
            taken = min(self.left, len(data))
            self.left -= taken
            self.done = self.left == 0
            return taken
        return self._take_chunks(data)

    def _take_chunks(self, data):
        position = 0
        while position < len(data) and not self.done:
            if self.left:
                step = min(self.left, len(data) - position)
                self.left -= step
                position += step
                self._after_data = self.left == 0
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._line += data[position:]
                return len(data)
            line, self._line, position = self._line + data[position:end], b"", end + 1
            self._end_of_line(line.strip())
        return position

    def _end_of_line(self, line):
        if self._trailer:
            self.done = line == b""
        elif self._after_data:
            self._after_data = False  # the line end that follows a chunk's data
        else:
            self.left = int(line.split(b";")[0], 16)
            self._trailer = self.left == 0


class Request:
    """The head of a request, as bytes that are passed on unchanged."""

    def __init__(self, head):
        self.head = head
        line = head[:head.index(b"\r\n")].decode("latin-1").split(" ")
        self.method, self.target = line[0], line[1] if len(line) > 1 else ""
        self.framing = Framing(head)
        self.expects_continue = _CONTINUE.search(head) is not None

    @property
    def has_body(self):
        return self.framing.chunked or self.framing.length > 0

    @property
    def operation(self):
        """`METHOD target`, and the operation of a JSON protocol: what a rule's `match` is searched in."""
        target = _TARGET.search(self.head)
        return f"{self.method} {self.target}" + (f" {target.group(1).decode('latin-1')}" if target else "")


def closes(head):
    """Whether the sender of this head closes the connection after the message."""
    return _CLOSE.search(head) is not None or head.startswith(b"HTTP/1.0")


@dataclasses.dataclass
class Rule:
    """One fault. Of the requests that it matches: after the first `skip`, each with `probability`, `times` in all."""

    fault: str
    match: str = ""  # a regular expression, searched in Request.operation
    header: str = ""  # the same, searched without regard to case in the head's lines
    times: int | None = 1  # None: without limit
    probability: float = 1.0
    skip: int = 0
    seconds: float = 0.0  # delay
    after: int | None = None  # cut_request, cut_answer: bytes of the body
    status: int = 503  # error, fail_answer, page
    code: str | None = None  # error, fail_answer: default by status and protocol
    retry_after: int | None = None  # error, fail_answer: seconds, in a header
    page: str = "404 page not found\n"  # page: its text; for an empty one, nothing
    page_type: str = "text/plain; charset=utf-8"  # page
    reset: bool = False  # cuts: with a TCP reset, which may also destroy what was sent before
    chosen: int = dataclasses.field(default=0, init=False)
    fired: int = dataclasses.field(default=0, init=False)  # read this

    def __post_init__(self):
        if self.fault not in FAULTS:
            raise ValueError(f"no such fault: {self.fault!r}; there are {', '.join(FAULTS)}")
        self._pattern = re.compile(self.match)
        self._header = re.compile(self.header.encode(), re.I | re.M)
        self._skipped = 0

    def can_happen_to(self, request):
        """Whether the fault makes sense for this request, and the pattern wants it."""
        if self.fault == "cut_request" and not request.has_body:
            return False
        if self.fault == "repeat" and (request.framing.chunked or request.framing.length > REPEATED_BYTES):
            return False
        return self._pattern.search(request.operation) is not None and self._header.search(request.head) is not None

    def chooses(self, request, chance):
        """Whether this request gets the fault; counts it as chosen."""
        if self.times is not None and self.chosen >= self.times:
            return False
        if not self.can_happen_to(request):
            return False
        if self._skipped < self.skip:
            self._skipped += 1
            return False
        if self.probability < 1.0 and chance.random() >= self.probability:
            return False
        self.chosen += 1
        return True

    @property
    def used_up(self):
        """A fault with a number of times must have fired so often; one of chance at least once."""
        wanted = 1 if self.times is None or self.probability < 1.0 else self.times
        return self.fired >= wanted


class Rules:
    """The faults of a proxy, in order: the first that chooses a request has it. Used by one thread; arm() by any."""

    def __init__(self, rules=(), seed=0):
        self.rules, self._chance = list(rules), random.Random(seed)

    def arm(self, rule):
        self.rules.append(rule)
        return rule

    def choose(self, request):
        for rule in self.rules:
            if rule.chooses(request, self._chance):
                return rule
        return None

    def assert_used_up(self):
        """AssertionError that names every fault which never happened: its test tested nothing."""
        unused = [f"{rule} fired {rule.fired} times" for rule in self.rules if not rule.used_up]
        assert not unused, "armed faults that did not fire:\n" + "\n".join(unused)


class Mix:
    """Every kind of fault, dealt like cards: of each `deck` requests some get one, in an order that the seed decides.

    A fault that a request cannot have waits for the next that can. Used by the proxy's thread, as Rules are.
    """

    def __init__(self, seed, deck=120, unrepeated=None):
        """Each card of cards() is once in a deck of `deck` requests. `unrepeated`: a regular expression of bytes; a
        request whose head it finds is not repeated."""
        self._chance, self._deck = random.Random(seed), deck
        self._unrepeated = re.compile(unrepeated) if unrepeated else None
        self.rules = self.cards()
        self._left, self._waiting = [], []

    @staticmethod
    def cards():
        """New rules, one for each thing that may happen. Delays are short: a mix tests order, not patience."""
        return [Rule("delay", seconds=0.1), Rule("cut_before"), Rule("cut_before", reset=True), Rule("cut_request"),
                Rule("cut_after"), Rule("cut_answer"), Rule("cut_answer", reset=True), Rule("error", status=500),
                Rule("error", status=503), Rule("page", status=404),
                Rule("page", status=200, page="<html>log in</html>", page_type="text/html"), Rule("lose_answer"),
                Rule("fail_answer", status=500), Rule("repeat")]

    def choose(self, request):
        for card in self._waiting:
            if self._is_for(card, request):
                self._waiting.remove(card)
                return card
        if not self._left:
            self._left = self.rules + [None] * (self._deck - len(self.rules))
            self._chance.shuffle(self._left)
        card = self._left.pop()
        if card is not None and not self._is_for(card, request):
            self._waiting.append(card)
            return None
        return card

    def _is_for(self, card, request):
        if card.fault == "repeat" and self._unrepeated and self._unrepeated.search(request.head):
            return False
        return card.can_happen_to(request)

    @property
    def fired(self):
        """How often each fault happened, by its name."""
        counts = dict.fromkeys(FAULTS, 0)
        for rule in self.rules:
            counts[rule.fault] += rule.fired
        return counts

    def assert_used_up(self):
        """Nothing to say for one proxy: who asks many requests of several looks at `fired` (servers.Road)."""


def error_answer(request, rule):
    """The bytes of an error as the service that the request speaks to would word it."""
    head, status = request.head, rule.status
    message = "fault injected by a test"
    if _TARGET.search(head):
        code = rule.code or JSON_CODES.get(status, "InternalServerError")
        kind = "application/x-amz-json-1.0"
        body = json.dumps({"__type": f"com.amazonaws.fault#{code}", "message": message})
    else:
        kind, code = "application/xml", rule.code or XML_CODES.get(status, "InternalError")
        if _FORM.search(head):  # the older protocol of SQS
            body = (f"<ErrorResponse><Error><Type>Receiver</Type><Code>{escape(code)}</Code>"
                    f"<Message>{message}</Message></Error><RequestId>fault</RequestId></ErrorResponse>")
        else:
            body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code>'
                    f"<Message>{message}</Message><RequestId>fault</RequestId><HostId>fault</HostId></Error>")
    return plain_answer(request, status, kind, body, rule.retry_after)


def page_answer(request, rule):
    """The bytes of what somebody else says in the service's place."""
    body = rule.page.encode()
    lines = [f"HTTP/1.1 {rule.status} {REASONS.get(rule.status, 'Page')}", f"Content-Type: {rule.page_type}",
             f"Content-Length: {len(body)}", "Date: Thu, 23 Jan 2025 09:05:07 GMT", "Server: proxy"]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body)


def plain_answer(request, status, kind, text, retry_after=None):
    """The bytes of an answer; without its body if the request was a HEAD."""
    body = text.encode()
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Fault')}", f"Content-Type: {kind}",
             f"Content-Length: {len(body)}", "x-amz-request-id: fault"]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body)
