#!/usr/bin/python3
"""Puts what an S3 server pushes over HTTP into queues of SQS: for Ceph RGW, whose notifications know no SQS.

    bridge.py --sqs http://127.0.0.1:PORT

A push to /REGION/ACCOUNT/QUEUE becomes a message of that queue, unchanged; the answer is 200 when the queue has it, so
that a server that waits for the answer has told of its objects before it tells its own clients. Requests are not
signed: moto asks for no signature. As a program: prints {"endpoint": ...} and serves until its standard input ends. In
a test: `with Bridge(moto.endpoint) as bridge:` and bridge.url(region, queue_url); bridge.pushed is what came.
"""
import argparse
import http.server
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 30


class Push(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            _, region, place = urllib.parse.urlparse(self.path).path.split("/", 2)
            self.server.bridge.send(region, place, body)
            status = 200
        except (ValueError, OSError) as error:
            print(f"bridge: {self.path}: {error}", file=sys.stderr)
            status = 502
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Successes are not news."""


class Bridge:
    """A running bridge to the queues of the server at `sqs`, from start() to stop()."""

    def __init__(self, sqs):
        self.sqs, self.pushed = sqs, []  # (region, queue, body), as they came
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Push)
        self.server.bridge, self.server.daemon_threads = self, True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def url(self, region, queue_url):
        """Where an S3 server is to push what is for this queue."""
        return f"{self.endpoint}/{region}{urllib.parse.urlparse(queue_url).path}"

    def send(self, region, place, body):
        """Throws OSError when the queue's server does not take the message."""
        request = urllib.request.Request(self.sqs, method="POST", headers={
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=bridge/20250101/{region}/sqs/aws4_request, "
                             "SignedHeaders=host, Signature=0"},
            data=json.dumps({"QueueUrl": f"{self.sqs}/{place}", "MessageBody": body}).encode())
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT).close()
        self.pushed.append((region, place.rpartition("/")[2], body))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sqs", required=True, help="endpoint of the server that has the queues")
    with Bridge(parser.parse_args().sqs) as bridge:
        print(json.dumps({"endpoint": bridge.endpoint}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
