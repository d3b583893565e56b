"""Starts the server programs beside this file and speaks to them; for with_servers.py and the fixtures of tests/e2e."""
import json
import os
import pathlib
import subprocess

import serving

DIRECTORY = pathlib.Path(__file__).resolve().parent
NAMES = ("rgw", "moto", "dynalite", "swift")


def required(name):
    """Whether $BALE_TEST_REQUIRE, a list of servers, says that tests of this one may not be skipped."""
    return name in os.environ.get("BALE_TEST_REQUIRE", "").replace(",", " ").split()


class Launched:
    """A server that lives until close(), or until this process ends, however it ends."""

    def __init__(self, name, *options):
        """Begins to start it; `options` are those of its program. ready() waits."""
        self.name = name
        # A session of its own: Ctrl-C on the terminal reaches the tests, which stop their servers last.
        self.process = subprocess.Popen([DIRECTORY / f"{name}.py", *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)

    def ready(self):
        """What the server said about itself: endpoint, access_key, secret_key, region and more.

        Throws serving.CannotRun when this machine cannot run it, serving.ServerFailed when it did not start.
        """
        line = self.process.stdout.readline()
        answer = json.loads(line) if line.strip() else {}
        if "endpoint" in answer:
            return answer
        status = self.close()
        if "skip" in answer:
            raise serving.CannotRun(answer["skip"])
        raise serving.ServerFailed(f"{self.name} did not start: exit status {status}; its reason is on stderr")

    def close(self):
        """Stops it, waits until its processes and files are gone, returns its exit status: 0 unless it had failed."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait()
        self.process.stdout.close()
        return status


def environment(servers):
    """Environment of a command that uses `servers` (name -> what ready() returned), as changes to this process's own.

    A value of None takes a variable away: what would lead an AWS client to another account or place.
    """
    changes = {name: None for name in os.environ if name.startswith("AWS_")}
    for name, server in servers.items():
        prefix = f"BALE_TEST_{name.upper()}_"
        changes |= {prefix + "ENDPOINT": server["endpoint"], prefix + "ACCESS_KEY": server["access_key"],
                    prefix + "SECRET_KEY": server["secret_key"]}
    changes |= {"AWS_ACCESS_KEY_ID": serving.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": serving.SECRET_KEY,
                "AWS_REGION": serving.REGION, "AWS_DEFAULT_REGION": serving.REGION,
                "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true"}
    return changes


def changed(base, changes):
    """`base` with `changes`, as environment() returns them."""
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not None}
