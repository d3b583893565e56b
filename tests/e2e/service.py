"""A long-running service of the program, for the tests that look at one from outside."""
import json
import signal
import time
import urllib.error
import urllib.request


class Service:
    """A long-running `bale replicate`, and what it serves and logs."""

    def __init__(self, bale, *arguments, log="service.log"):
        self.log_path = bale.directory / log
        self.log = self.log_path.open("wb")
        self.process = bale.start("--log-level", "info", "--log-format", "json", "replicate", *arguments,
                                  "--listen", "127.0.0.1:0", stderr=self.log)
        self.address = self._address()

    def lines(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.endswith("}")]

    def _address(self):
        for _ in range(200):
            for line in self.lines():
                if line["name"] == "service.listen":
                    return f"http://127.0.0.1:{line['port']}"
            assert self.process.poll() is None, self.log_path.read_text()
            time.sleep(0.05)
        raise AssertionError("the service does not say where it listens")

    def get(self, path):
        try:
            with urllib.request.urlopen(self.address + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if not line.startswith("#")}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        status = self.process.wait(timeout=40)
        self.log.close()
        return status, time.monotonic() - started
