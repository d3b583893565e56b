#!/usr/bin/python3
"""An HTTP/1.1 proxy before a test server that does to chosen requests what networks and busy services do.

    fault_proxy.py --server http://127.0.0.1:PORT [--latency SECONDS] [--seed N] [--rule JSON]...

In a test: `with FaultProxy(endpoint, Rule("lose_answer", match="^PUT ")) as proxy:` and proxy.endpoint; at the end
every armed fault must have fired. As a program (benchmarks): prints {"endpoint": ...}, serves until its standard input
ends, then prints what it did. The faults are in fault_rules.py.

Every head is passed on byte for byte, Host too, so that signatures hold. Bodies are passed on as they come: what waits
in the proxy is bounded by the buffers of its sockets (but a body to be repeated is kept). Each connection of a client
has one to the server.
"""
import argparse
import asyncio
import collections
import itertools
import json
import socket
import struct
import sys
import threading
import urllib.parse

from fault_rules import Framing, Request, Rule, Rules, closes, error_answer, page_answer, plain_answer

HEAD_LIMIT = 1 << 20  # no head is longer
HEAD_END = b"\r\n\r\n"
NOTED_BYTES = 64 << 10  # of a request's body, in the journal


class Entry:
    """What the proxy's journal says of one request. Times are places in one order of all requests and answers."""

    def __init__(self, operation, asked):
        self.operation, self.asked = operation, asked  # Rule.match is searched in such operations
        self.body = bytearray()  # of the request, or its beginning
        self.status, self.answered = None, None  # of the answer, and when its last byte went to the client

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.asked}-{self.answered} {self.operation} {self.status} {bytes(self.body[:200])}"


class Exchange:
    """One request and its answer, and what is to be done to them."""

    def __init__(self, request, rule, entry=None):
        self.request, self.rule, self.entry = request, rule, entry
        self.fault = rule.fault if rule else None
        self.forwards = self.fault not in ("error", "page", "cut_after")
        self.swallows = self.fault in ("lose_answer", "fail_answer")  # the server's answer goes nowhere
        self.body_left = None  # bytes of the request's body until the cut
        if self.fault == "cut_request":
            self.body_left = rule.after if rule.after is not None else max(1, request.framing.length // 2)
        self.kept = bytearray(request.head) if self.fault == "repeat" else None
        self.sent_whole = False  # the request
        self.continued = False  # the server asked for the body
        self.begun = False  # the answer reached the client, or part of it
        self.answered = False  # and its end came
        self.answer_left = None  # cut_answer: bytes of the answer's body until the cut

    def fired(self):
        self.rule.fired += 1


class ServerSide(asyncio.Protocol):
    """The connection to the server: reads answers, and hands them to the client's side."""

    def __init__(self, client):
        self.client, self.transport = client, None
        self.head, self.framing, self.closing = b"", None, False

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.client.transport.pause_reading()

    def resume_writing(self):
        self.client.transport.resume_reading()

    def connection_lost(self, error):
        self.client.server_lost(self)

    def data_received(self, data):
        client = self.client
        while data and client.exchange is not None and client.server is self and client.cut_at is None:
            data = self._body(data) if self.framing else self._head(data)

    def _head(self, data):
        """Collects an answer's head; returns what follows it."""
        self.head += data
        end = self.head.find(HEAD_END)
        if end < 0:
            if len(self.head) > HEAD_LIMIT:
                self.client.cut()
            return b""
        head, rest = self.head[:end + 4], self.head[end + 4:]
        self.head = b""
        exchange, status = self.client.exchange, int(head[9:12])
        if 100 <= status < 200:
            if not exchange.continued:  # what a repeated request gets is not the client's
                exchange.continued = True
                self.client.transport.write(head)
            return rest
        bodyless = exchange.request.method == "HEAD" or status in (204, 304)
        self.framing = Framing(head, bodyless, until_close=True)
        self.closing = closes(head) or self.framing.endless
        self.client.answer_head(head, self.framing)
        if self.framing is not None and self.framing.done:
            self._end()
        return rest

    def _body(self, data):
        taken = self.framing.take(data)
        done = self.framing.done
        self.client.answer_body(data if taken == len(data) else data[:taken])
        if done:
            self._end()
        return data[taken:]

    def _end(self):
        self.framing = None
        self.client.answer_end()

    def finish_endless(self):
        """The connection has closed; whether that was the regular end of an answer without length."""
        if self.framing is None or not self.framing.endless or self.client.exchange is None:
            return False
        self._end()
        return True


class ClientSide(asyncio.Protocol):
    """A client's connection: reads requests, chooses faults, and carries them out."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.transport, self.server, self.exchange = None, None, None
        self.waiting = b""  # bytes of the next request
        self.held = None  # parts of an answer whose time has not come
        self.timer, self.connecting, self.cut_at = None, None, None

    # From the client

    def connection_made(self, transport):
        self.transport = transport
        self.proxy.clients.add(self)
        self.proxy.counts["connections"] += 1

    def connection_lost(self, error):
        self._give_up()
        self.proxy.clients.discard(self)

    def pause_writing(self):
        if self.server:
            self.server.transport.pause_reading()

    def resume_writing(self):
        if self.server and self.held is None:
            self.server.transport.resume_reading()

    def data_received(self, data):
        if self.exchange is not None and not self.exchange.sent_whole:
            data = self._request_body(data)
        if data:
            self.waiting += data
            self._next_request()
        if len(self.waiting) > HEAD_LIMIT:
            self.cut()

    def _next_request(self):
        while self.waiting and self.exchange is None and not self.transport.is_closing():
            end = self.waiting.find(HEAD_END)
            if end < 0:
                return
            head, rest = self.waiting[:end + 4], self.waiting[end + 4:]
            self.waiting = b""
            self._begin(Request(head))
            if rest and self.exchange is not None and not self.exchange.sent_whole:
                rest = self._request_body(rest)
            self.waiting = rest

    def _begin(self, request):
        self.proxy.counts["requests"] += 1
        exchange = self.exchange = Exchange(request, self.proxy.rules.choose(request), self.proxy.note(request))
        if exchange.fault == "cut_before":
            exchange.fired()
            self.cut()
            return
        if exchange.forwards:
            self._to_server(request.head)
        elif request.expects_continue:
            exchange.continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.framing.done:
            self._request_end()

    def _request_body(self, data):
        """Passes on what belongs to the request's body; returns the rest."""
        exchange = self.exchange
        taken = exchange.request.framing.take(data)
        body = data if taken == len(data) else data[:taken]
        if exchange.body_left is not None and len(body) >= exchange.body_left:
            self._to_server(body[:exchange.body_left])
            exchange.fired()
            self.cut(flush_server=True)
            return b""
        if exchange.body_left is not None:
            exchange.body_left -= len(body)
        if exchange.kept is not None:
            exchange.kept += body
        if exchange.entry is not None:
            exchange.entry.body += body[:NOTED_BYTES - len(exchange.entry.body)]
        if exchange.forwards:
            self._to_server(body)
        if exchange.request.framing.done:
            self._request_end()
        return data[taken:]

    def _request_end(self):
        exchange = self.exchange
        exchange.sent_whole = True
        if exchange.fault == "cut_after":
            exchange.fired()
            self.cut()
        elif exchange.fault in ("error", "page"):
            exchange.fired()
            answer = error_answer if exchange.fault == "error" else page_answer
            self._give(answer(exchange.request, exchange.rule))
            self._answer_ended()
        elif exchange.answered:
            self._answer_ended()  # before the body did

    # To the server

    def _to_server(self, data):
        if self.server is not None:
            self.server.transport.write(data)
            return
        if self.connecting is None:
            self.connecting = bytearray()
            self.transport.pause_reading()
            self.proxy.spawn(self._connect())
        self.connecting += data

    async def _connect(self):
        try:
            _, server = await self.proxy.loop.create_connection(lambda: ServerSide(self), *self.proxy.server_address)
        except OSError as error:
            self.connecting = None
            if self.exchange is not None:
                self.transport.write(plain_answer(self.exchange.request, 502, "text/plain", f"fault proxy: {error}\n"))
                self.transport.close()
                self.exchange = None
            return
        if self.exchange is None or self.transport.is_closing():
            server.transport.abort()
            return
        self.server = server
        first, self.connecting = self.connecting, None
        server.transport.write(first)
        if self.cut_at is not None:
            self.cut_at()
        else:
            self.transport.resume_reading()

    def server_lost(self, server):
        if self.server is not server:
            return
        regular = server.finish_endless()
        if self.server is server:
            self.server = None
        if self.exchange is not None and not regular:
            self.cut()  # in the middle of an exchange: the client sees what the server did

    # Answers

    def answer_head(self, head, framing):
        exchange = self.exchange
        if exchange.swallows or exchange.kept is not None:
            return
        if exchange.fault == "cut_answer":
            if exchange.rule.after is not None and framing.length > exchange.rule.after:
                exchange.answer_left = exchange.rule.after
            else:
                exchange.answer_left = framing.length // 2
            if framing.done:
                exchange.fired()
                self._give(head[:len(head) // 2])
                self.cut(flush=True)
                return
        self._give(head)

    def answer_body(self, data):
        exchange = self.exchange
        self.proxy.counts["answer_bytes"] += len(data)
        if exchange.swallows or exchange.kept is not None:
            return
        if exchange.fault == "cut_answer":
            if len(data) > exchange.answer_left:
                exchange.fired()
                self._give(data[:exchange.answer_left])
                self.cut(flush=True)
                return
            exchange.answer_left -= len(data)
        self._give(data)

    def answer_end(self):
        """The server has answered, or the proxy for it."""
        exchange = self.exchange
        if exchange is None:
            return
        if exchange.kept is not None:
            again, exchange.kept = exchange.kept, None
            exchange.fired()
            self._drop_server_if_closing()
            self._to_server(bytes(again))
            return
        if exchange.fault == "lose_answer":
            exchange.fired()
            self.cut()
            return
        if exchange.fault == "fail_answer":
            exchange.fired()
            self._give(error_answer(exchange.request, exchange.rule))
        self._answer_ended()

    def _answer_ended(self):
        """Ends the exchange once its answer is with the client and its request has been read."""
        exchange = self.exchange
        exchange.answered = True
        refused_body = exchange.request.expects_continue and not exchange.continued
        if self.held is not None or not (exchange.sent_whole or refused_body):
            return
        if exchange.entry is not None:
            exchange.entry.answered = self.proxy.next_moment()
        last = closes(exchange.request.head) or (self.server is not None and self.server.closing)
        self.exchange = None
        if last or self.transport.is_closing():
            self.transport.close()
        else:
            self._next_request()

    def _drop_server_if_closing(self):
        if self.server is not None and self.server.closing:
            server, self.server = self.server, None
            server.transport.abort()

    def _give(self, data):
        """Sends the client a part of its answer, the first after the delay."""
        exchange = self.exchange
        if not exchange.begun:
            exchange.begun = True
            if exchange.entry is not None:
                exchange.entry.status = int(data[9:12])
            seconds = self.proxy.latency + (exchange.rule.seconds if exchange.fault == "delay" else 0.0)
            if exchange.fault == "delay":
                exchange.fired()
            if seconds > 0:
                self.held = collections.deque()
                self.timer = self.proxy.loop.call_later(seconds, self._release)
                if self.server is not None:
                    self.server.transport.pause_reading()
        if self.held is not None:
            self.held.append(data)
        else:
            self.transport.write(data)

    def _release(self):
        held, self.held, self.timer = self.held, None, None
        for data in held:
            self.transport.write(data)
        if self.server is not None:
            self.server.transport.resume_reading()
        if self.cut_at is not None:
            self.cut_at()
        elif self.exchange is not None and self.exchange.answered:
            self._answer_ended()

    # Ends

    def cut(self, flush=False, flush_server=False):
        """Closes both connections. `flush`: what was given to the client first reaches it, and so for the server."""
        if flush and self.held is not None or flush_server and self.connecting is not None:
            self.cut_at = lambda: self.cut(flush, flush_server)
            return
        if self.exchange is not None and self.exchange.rule is not None and self.exchange.rule.reset:
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._give_up(flush_server)
        if flush:
            self.transport.close()
        else:
            self.transport.abort()

    def _give_up(self, flush_server=False):
        if self.timer is not None:
            self.timer.cancel()
        self.exchange, self.held, self.waiting, self.cut_at = None, None, b"", None
        server, self.server = self.server, None
        if server is not None:
            if flush_server:
                server.transport.close()
            else:
                server.transport.abort()


class FaultProxy:
    """A proxy in a thread of its own. `rules` may grow at any time (rules.arm), by any thread."""

    def __init__(self, server, *rules, seed=0, latency=0.0, journal=False, mix=None):
        """`server`: the endpoint behind it. `latency`: seconds added to every answer, as if it came from far away.
        `journal`: note every request; to be read when nobody asks any more. `mix`: a fault_rules.Mix, in the place of
        rules."""
        place = urllib.parse.urlsplit(server)
        self.server_address = (place.hostname, place.port)
        self.rules, self.latency = mix or Rules(rules, seed), latency
        self.counts = collections.Counter()  # requests, connections, answer_bytes (bodies from the server)
        self.clients, self.tasks = set(), set()
        self.journal, self._moments = [] if journal else None, itertools.count()
        self.loop, self.endpoint = asyncio.new_event_loop(), None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def start(self):
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self):
        """Cuts all connections."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.stop()
        if kind is None:
            self.rules.assert_used_up()

    def note(self, request):
        """A new entry of the journal, if there is one."""
        if self.journal is None:
            return None
        self.journal.append(Entry(request.operation, self.next_moment()))
        return self.journal[-1]

    def next_moment(self):
        return next(self._moments)

    def spawn(self, coroutine):
        """Runs it in the proxy's loop; the set keeps the task alive."""
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        listener = self.loop.run_until_complete(
            self.loop.create_server(lambda: ClientSide(self), "127.0.0.1", 0, backlog=1024))
        self.endpoint = "http://127.0.0.1:%d" % listener.sockets[0].getsockname()[1]
        self._ready.set()
        self.loop.run_forever()
        listener.close()
        for client in list(self.clients):
            client.cut()
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))  # lets the closed connections go
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="endpoint of the server behind the proxy")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every answer")
    parser.add_argument("--seed", type=int, default=0, help="of the rules' chance")
    parser.add_argument("--rule", action="append", default=[], type=json.loads, help="members of Rule, as JSON")
    options = parser.parse_args(arguments)
    rules = [Rule(**rule) for rule in options.rule]
    proxy = FaultProxy(options.server, *rules, seed=options.seed, latency=options.latency).start()
    print(json.dumps({"endpoint": proxy.endpoint}), flush=True)
    sys.stdin.read()
    proxy.stop()
    print(json.dumps({**proxy.counts, "fired": [rule.fired for rule in rules]}), flush=True)
    return 0 if all(rule.used_up for rule in rules) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
