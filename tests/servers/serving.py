"""What the programs that start a test server share: one process that keeps a server for as long as its caller lives.

Each program (rgw.py, swift.py, ...) starts its server, prints one line of JSON when it answers, and waits
until its standard input ends, or SIGTERM, SIGINT or SIGHUP. Then it stops what it started and removes what it made. A
caller holds the other end of that standard input: however the caller ends, kill -9 included, the pipe closes and the
server goes. If this process itself is killed, the kernel kills the server (PR_SET_PDEATHSIG), and the next start
removes the directory.

Exit status: 0 served and stopped; 1 the server failed; 2 usage; 77 the server cannot be had on this machine, with the
reason in the line of JSON ({"skip": reason}) and on stderr: whoever asked for it must say so, never count it as
success.
"""
import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CANNOT_RUN = 77  # what Automake and Meson take as "skipped"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LIBC = ctypes.CDLL(None, use_errno=True)  # loaded here: not between fork and exec
# Below the ports that Linux gives to outgoing connections (ip_local_port_range begins at 32768).
PORTS = range(20000, 32000)
POLL_SECONDS = 0.01
# One pair for all servers, so that one AWS_ACCESS_KEY_ID serves a command that speaks to several. Only rgw and swift
# check it. Swift wants ACCOUNT:USER.
ACCESS_KEY, SECRET_KEY = "test:tester", "testsecret0123456789"
REGION = "eu-west-1"


class CannotRun(Exception):
    """The machine lacks what the server needs; the text says what and how to get it."""


class ServerFailed(Exception):
    """The server ended or did not answer; the text has the end of its log."""


class Stopped(Exception):
    """The caller has gone, or a signal came, while something was under way."""


def state_directory():
    """Where installed servers and prepared images are; $BALE_TEST_SERVERS_DIR moves it."""
    path = pathlib.Path(os.environ.get("BALE_TEST_SERVERS_DIR", ROOT / "build/test-servers")).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def runs_directory():
    """Where running servers have their data, each in a directory of its own; $BALE_TEST_RUNS_DIR moves it."""
    return pathlib.Path(os.environ.get("BALE_TEST_RUNS_DIR", state_directory() / "runs")).resolve()


@contextlib.contextmanager
def locked(path, shared=False, wait=True):
    """Holds the lock file `path`; BlockingIOError when it is held elsewhere and `wait` is false.

    The descriptor closes on exec, so that no server inherits the lock.
    """
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield


def free_port():
    """A port of 127.0.0.1 that nobody listens on now. Chosen at random, so that two starts at once do not meet."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ServerFailed(f"no free port between {PORTS.start} and {PORTS.stop}")


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clean_environment(**changes):
    """This process's environment without what would lead a server or client to another place, and with `changes`."""
    dropped = ("AWS_", "BALE_", "CEPH_", "MOTO_", "NODE_OPTIONS", "PYTHONHOME", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **changes}


def die_with_parent(parent, number=signal.SIGKILL):
    """For preexec_fn: has the kernel send signal `number` to this child when `parent`, its parent process, ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


class Run:
    """One run of a server: its directory and its processes. Used by one thread."""

    def __init__(self, name):
        """Makes the directory, after removing those of runs that were killed."""
        self.name = name
        self.runs = runs_directory()
        self.runs.mkdir(parents=True, exist_ok=True)
        with locked(self.runs / "lock"):  # between mkdtemp and its own lock a directory looks abandoned
            self._sweep()
            self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.runs))
            self._lock = contextlib.ExitStack()
            self._lock.enter_context(locked(self.directory / "lock"))
        self.processes = {}  # name -> Popen
        parent = os.getpid()
        self._bind_to_parent = lambda: die_with_parent(parent)

    def _sweep(self):
        for directory in self.runs.iterdir():
            if directory.is_dir():
                with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(directory / "lock", wait=False):
                    shutil.rmtree(directory, ignore_errors=True)

    def log(self, name):
        return self.directory / f"{name}.log"

    def start(self, name, command, **environment):
        """Starts a process of the server; its output goes to log(name)."""
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=clean_environment(**environment), preexec_fn=self._bind_to_parent, start_new_session=True)
        return self.processes[name]

    def call(self, command, timeout=120, **environment):
        """Runs a helper to its end and returns its stdout; ServerFailed unless its status is 0."""
        try:
            done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                                  check=False, cwd=self.directory, env=clean_environment(**environment),
                                  preexec_fn=self._bind_to_parent, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ServerFailed(f"no end after {timeout} s: {' '.join(map(str, command))}") from error
        if done.returncode != 0:
            raise ServerFailed(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                               f"{done.stderr.decode(errors='replace')[-4000:]}")
        return done.stdout.decode()

    def wait_until(self, answers, seconds, what):
        """Polls `answers()`; ServerFailed when a process ends or the time is over, Stopped when the caller has gone."""
        deadline = time.monotonic() + seconds
        while True:
            self.check_alive()
            if answers():
                self.check_alive()  # it was our server that answered
                return
            if time.monotonic() > deadline:
                raise ServerFailed(f"{what}: not within {seconds} s\n{self._log_ends()}")
            if caller_gone(POLL_SECONDS):
                raise Stopped

    def check_alive(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise ServerFailed(f"{name} ended with status {process.returncode}\n{self._log_ends()}")

    def _log_ends(self):
        ends = []
        for name in self.processes:
            text = self.log(name).read_text(errors="replace")
            ends.append(f"--- {name}: {self.log(name)}\n{text[-3000:]}")
        return "\n".join(ends)

    def stop(self, name, seconds=30):
        """Ends one process in order, so that it writes what it holds."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerFailed(f"{name} did not stop within {seconds} s") from None

    def kill_all(self):
        """Ends every process at once: their data are thrown away."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def close(self):
        """Stops the server and removes its directory."""
        self.kill_all()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lock.close()


def caller_gone(seconds, others=()):
    """Waits up to `seconds` (None: for ever) for the end of standard input; false if it goes on.

    True too when one of the descriptors `others` becomes readable.
    """
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    for descriptor in others:
        poll.register(descriptor, select.POLLIN)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = [descriptor for descriptor, _ in poll.poll(left)]
        if not ready:
            return False
        if any(descriptor != 0 for descriptor in ready):
            return True
        if not os.read(0, 4096):  # what a person types is ignored
            return True


def serve(run):
    """Until the caller has gone; ServerFailed when a process of the server ends first."""
    with contextlib.ExitStack() as stack:
        watched = []
        for process in run.processes.values():
            watched.append(os.pidfd_open(process.pid))
            stack.callback(os.close, watched[-1])
        caller_gone(None, watched)
        run.check_alive()


def on_signal(number, frame):
    raise Stopped


def say(answer):
    print(json.dumps(answer), flush=True)


def main(name, start, description, add_options=lambda parser: None):
    """Keeps a server: `start(run, options)` starts it and returns what its clients need. Returns the exit status."""
    parser = argparse.ArgumentParser(description=description)
    add_options(parser)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    run = None
    try:
        run = Run(name)
        try:
            answer = start(run, options)
        except ServerFailed as error:
            # Once more, with other ports: another program may have taken one between the choice and its use.
            print(f"{name}: {error}\n{name}: trying once more", file=sys.stderr)
            run.close()
            run = Run(name)
            answer = start(run, options)
        say({"server": name, "pid": os.getpid(), "pids": [process.pid for process in run.processes.values()],
             "directory": str(run.directory), "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": REGION,
             **answer})
        serve(run)
        return 0
    except Stopped:
        return 0
    except CannotRun as reason:
        say({"server": name, "skip": str(reason)})
        print(f"{name}: cannot run here: {reason}", file=sys.stderr)
        return CANNOT_RUN
    except ServerFailed as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second signal does not stop the cleaning
        if run is not None:
            run.close()
