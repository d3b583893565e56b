"""A balancer before a test server, with two backends: a connection stays with the backend that it was led to when it
was made. The first backend can become sick, and the balancer can be told to lead new connections to the second one.

A client that keeps a connection to the sick backend is answered by it for ever.
"""
import collections
import http.client
import http.server
import threading
import urllib.parse

KEPT = {"content-length", "transfer-encoding", "connection", "keep-alive"}  # of one connection, not of the answer


class Sickness:
    """What a sick backend answers to every request, and leaves the connection open."""

    def __init__(self, status, page="", page_type="text/html"):
        self.status, self.page, self.page_type = status, page.encode(), page_type


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        super().setup()
        balancer = self.server.balancer
        self.is_first_backend, self.upstream = not balancer.leads_to_second, None
        self.sick_answers = balancer.new_connection()

    def finish(self):
        if self.upstream:
            self.upstream.close()
        super().finish()

    def handle_request_of_any_method(self):
        balancer = self.server.balancer
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.is_first_backend and balancer.sickness:
            balancer.note_sick_answer(self.sick_answers)
            sickness = balancer.sickness
            self.answer(sickness.status, [("Content-Type", sickness.page_type)], sickness.page)
            return
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(*balancer.server_address, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        self.upstream.request(self.command, self.path, body or None, headers)
        answer = self.upstream.getresponse()
        content = answer.read()
        length = answer.headers.get("Content-Length")
        self.answer(answer.status, [item for item in answer.getheaders() if item[0].lower() not in KEPT], content,
                    length if self.command == "HEAD" else None)
        balancer.note_answer(self.is_first_backend)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request_of_any_method

    def answer(self, status, headers, content, length=None):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Balancer:
    """`with Balancer(moto.endpoint) as balancer:` and balancer.endpoint."""

    def __init__(self, server_endpoint):
        place = urllib.parse.urlsplit(server_endpoint)
        self.server_address = (place.hostname, place.port)
        self.sickness, self.leads_to_second = None, False
        self._lock, self._connections = threading.Lock(), 0
        self.sick_answers = collections.Counter()  # by connection
        self.answers = collections.Counter()  # of the server itself, by whether the first backend gave them
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.balancer, self._server.daemon_threads = self, True
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._server.shutdown()
        self._server.server_close()

    def new_connection(self):
        with self._lock:
            self._connections += 1
            return self._connections

    def note_sick_answer(self, connection):
        with self._lock:
            self.sick_answers[connection] += 1

    def note_answer(self, is_first_backend):
        with self._lock:
            self.answers[is_first_backend] += 1
