#!/usr/bin/python3
"""Starts dynalite: DynamoDB with strict validation, in memory. See serving.py and docs/testing.md.

It is installed from npm below build/, by the lock file beside this program, at the first start.
"""
import http.client
import os
import pathlib
import shutil
import sys

import serving

PACKAGE = pathlib.Path(__file__).resolve().parent / "dynalite"
ACCOUNT = "000000000000"
START_SECONDS = 30
INSTALL_SECONDS = 300


def install(run):
    """Returns the program's path; CannotRun when node, npm or the registry are not there."""
    for program, package in (("node", "nodejs"), ("npm", "npm")):
        if shutil.which(program) is None:
            raise serving.CannotRun(f"no {program}: scripts/install-deps.sh test installs {package}")
    target = serving.state_directory() / "dynalite"
    lock_file = (PACKAGE / "package-lock.json").read_bytes()
    installed = target / "installed-lock.json"  # written last: what is there is whole
    with serving.locked(serving.state_directory() / "dynalite.lock"):
        if not installed.exists() or installed.read_bytes() != lock_file:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PACKAGE / name, target)
            try:
                # No install scripts: everything that is needed is plain JavaScript, tables are in memory.
                run.call(["npm", "ci", "--prefix", target, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel",
                          "error", "--fetch-retries", "1", "--fetch-retry-mintimeout", "1000"], timeout=INSTALL_SECONDS)
            except serving.ServerFailed as error:
                last = str(error).strip().splitlines()[-1]
                raise serving.CannotRun(f"npm could not install dynalite: {last}") from error
            installed.write_bytes(lock_file)
    return target / "node_modules/dynalite/cli.js"


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start(run, options):
    program = install(run)
    port = serving.free_port()
    # Tables are made and deleted at once, or nearly: 500 ms each would be most of a test's time.
    run.start("dynalite", [shutil.which("node"), "--require", PACKAGE / "outlive.js", program, "--host", "127.0.0.1",
                           "--port", port, "--createTableMs", 5, "--deleteTableMs", 5, "--updateTableMs", 5],
              # Region and account of the ARNs it gives out.
              AWS_REGION=serving.REGION, AWS_ACCOUNT_ID=ACCOUNT)
    run.wait_until(lambda: serving.listening(port) and answers(port), START_SECONDS, "dynalite answers")
    return {"endpoint": f"http://127.0.0.1:{port}", "account": ACCOUNT}


if __name__ == "__main__":
    sys.exit(serving.main("dynalite", start, __doc__.splitlines()[0]))
