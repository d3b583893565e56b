#!/usr/bin/python3
"""Runs a command with test servers, and stops them when it ends.

    with_servers.py [--optional] NAME[=OPTIONS]... -- COMMAND [ARGUMENT...]

NAME is rgw, moto, dynalite or swift; OPTIONS are those of its program, as one word:
"rgw=--objectstore bluestore --size-gib 64".

COMMAND finds in its environment BALE_TEST_<NAME>_ENDPOINT, BALE_TEST_<NAME>_ACCESS_KEY and
BALE_TEST_<NAME>_SECRET_KEY of each, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; no other AWS_
variable of the caller reaches it.

With --optional a server that cannot run on this machine is left out: the command runs without its endpoint and finds
the reason in BALE_TEST_<NAME>_MISSING, for its tests to be skipped with. A server that $BALE_TEST_REQUIRE names
("rgw,dynalite") is never left out: status 1.

Exit status: the command's (128 + N when signal N ended it); 77 when a server cannot run on this machine, with the
reason on stderr: the command was not run; 1 when a server failed, while the command ran too; 2 usage; 127 no such
command. SIGTERM and SIGHUP are passed on to the command. However this program ends, kill -9 included, the servers
stop.
"""
import os
import shlex
import signal
import subprocess
import sys

import launching
import serving


def say(text):
    print(f"with_servers: {text}", file=sys.stderr)


def parse(arguments):
    """([(name, options)], whether they are optional, command), or None."""
    optional = arguments[:1] == ["--optional"]
    arguments = arguments[optional:]
    if "--" not in arguments:
        return None
    split = arguments.index("--")
    servers = [(name, shlex.split(options)) for name, _, options in (word.partition("=") for word in arguments[:split])]
    names = [name for name, _ in servers]
    if not names or not arguments[split + 1:] or set(names) - set(launching.NAMES) or len(set(names)) != len(names):
        return None
    return servers, optional, arguments[split + 1:]


def run(command, environment):
    """Runs the command; returns its exit status."""
    parent = os.getpid()
    try:
        process = subprocess.Popen(command, env=environment,
                                   preexec_fn=lambda: serving.die_with_parent(parent, signal.SIGTERM))
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        return 127
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: process.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command too
    status = process.wait()
    return status if status >= 0 else 128 - status


def ready(launched, optional):
    """(name -> what each server said, name -> why it is missing); throws serving.CannotRun and ServerFailed."""
    answers, missing = {}, {}
    for server in launched:
        try:
            answers[server.name] = server.ready()
        except serving.CannotRun as reason:
            if launching.required(server.name):
                raise serving.ServerFailed(f"BALE_TEST_REQUIRE names {server.name}, but: {reason}") from reason
            if not optional:
                raise
            missing[server.name] = str(reason)
    return answers, missing


def main(arguments):
    parsed = parse(arguments)
    if parsed is None:
        print(__doc__, file=sys.stderr)
        return 2
    servers, optional, command = parsed
    launched = []
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        launched += [launching.Launched(name, *options) for name, options in servers]
        answers, missing = ready(launched, optional)
        changes = launching.environment(answers) | {f"BALE_TEST_{name.upper()}_MISSING": reason
                                                    for name, reason in missing.items()}
        status = run(command, launching.changed(os.environ, changes))
    except serving.CannotRun as reason:
        say(f"skipped: {reason}")
        return serving.CANNOT_RUN
    except serving.ServerFailed as error:
        say(error)
        return 1
    finally:
        for server in launched:
            server.process.stdin.close()  # all stop at once
        failed = [server.name for server in launched if server.close() not in (0, serving.CANNOT_RUN)]
    if failed:
        say(f"ended before the command did: {' '.join(failed)}")
        return status or 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
