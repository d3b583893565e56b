#!/usr/bin/python3
"""Measures `bale raw` on one large file, against its limits and against other programs, in one run.

    tests/servers/with_servers.py rgw -- bench/raw.py [--directory DIR] [--mib 4096] [--rounds 2]

Step 1 (local copy) is held against the CPU of the two MD5s that it must compute, and against the slower of reading the
file and hashing it on two cores. Step 2 (upload) is held against the CPU of one MD5 pass and of the same bytes through
a bare socket, and its wall time against `aws s3 cp`, rclone and s5cmd, those that are installed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from peers import BALE, measured, random_files

PIECE = 1 << 20


def timed(work):
    """(processor seconds of this thread, wall seconds) of a function."""
    before, started = time.thread_time(), time.monotonic()
    work()
    return time.thread_time() - before, time.monotonic() - started


def md5_of(path):
    """One MD5 pass over a file."""
    digest = hashlib.md5()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)


def read(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(PIECE):
            pass


def send_through_a_socket(path):
    """The file's bytes through a connection of 127.0.0.1, to a process that throws them away."""
    server = socket.create_server(("127.0.0.1", 0))
    sink = subprocess.Popen([sys.executable, "-S", "-c", "import socket, sys\n"
                             "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
                             "b = bytearray(1 << 20)\nwhile s.recv_into(b): pass", str(server.getsockname()[1])])
    connection, _ = server.accept()
    with open(path, "rb", buffering=0) as file:
        result = timed(lambda: [connection.sendall(piece) for piece in iter(lambda: file.read(PIECE), b"")])
    connection.close()
    sink.wait()
    return result


def drop_cache(path):
    """Has the next reader read the file from the disk."""
    os.sync()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Bench:
    def __init__(self, endpoint, work, options):
        self.endpoint, self.work, self.options = endpoint, work, options
        random_files(work / "instrument", 1, options.mib << 20)
        self.file = work / "instrument" / "f00000"
        self.raw = work / "instrument" / "x.raw"
        self.file.rename(self.raw)
        self.prefix = f"bench{uuid.uuid4().hex[:8]}"
        self.best = {}

    def take(self, name, cpu, wall):
        best = self.best.get(name, (cpu, wall))
        self.best[name] = (min(best[0], cpu), min(best[1], wall))

    def bale(self, *arguments):
        config = self.work / "raw.yaml"
        config.write_text(json.dumps({"backup": {
            "backup_type": "s3", "pool_path": str(self.work / "pool"), "s3": {
                "region": "us-east-1", "bucket_prefix": self.prefix, "auto_create_buckets": True,
                "chunk_size_mb": 64, "endpoint_url": self.endpoint}}}))
        return measured([BALE, "raw", *arguments, "--config", config, "--records", self.work / "records"], {})

    def round(self, number):
        """One round: the limits, then both steps, then the other programs."""
        self.take("md5", *timed(lambda: md5_of(self.raw)))
        self.take("socket", *send_through_a_socket(self.raw))
        drop_cache(self.raw)
        self.take("read", *timed(lambda: read(self.raw)))
        two = [threading.Thread(target=md5_of, args=(self.raw,)) for _ in range(2)]
        started = time.monotonic()
        for thread in two:
            thread.start()
        for thread in two:
            thread.join()
        self.take("two md5s", 0, time.monotonic() - started)
        name = f"x{number}"
        drop_cache(self.raw)
        self.take("copy", *self.bale("backup", name, "--path", self.raw, "--project", "p", "--instrument", "i",
                                     "--copy-only", "--create-pool"))
        self.take("upload", *self.bale("upload", name))
        shutil.rmtree(self.work / "pool")
        for peer, command, environment in self.peers():
            self.take(peer, *measured(command, environment))

    def peers(self):
        """Programs that are installed: name, command, environment."""
        uri = f"s3://{self.prefix}-p/peer"
        if shutil.which("aws"):
            yield "aws", ["aws", "--endpoint-url", self.endpoint, "s3", "cp", "--no-progress", self.raw, uri], {}
        if shutil.which("rclone"):
            remote = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_R_TYPE": "s3", "RCLONE_CONFIG_R_PROVIDER": "Ceph",
                      "RCLONE_CONFIG_R_ENV_AUTH": "true", "RCLONE_CONFIG_R_ENDPOINT": self.endpoint}
            yield "rclone", ["rclone", "copyto", "--s3-no-check-bucket", "--ignore-times", self.raw,
                             "r:" + uri.removeprefix("s3://")], remote
        if shutil.which("s5cmd"):
            yield "s5cmd", ["s5cmd", "--endpoint-url", self.endpoint, "cp", self.raw, uri], {}

    def report(self):
        best = self.best
        mib = self.options.mib
        md5, bare = best["md5"][0], best["socket"][0]
        print(f"{mib} MiB: one MD5 pass {md5:.2f} s CPU, bare socket {bare:.2f} s CPU, "
              f"read {best['read'][1]:.2f} s wall, two MD5s on two cores {best['two md5s'][1]:.2f} s wall")
        cpu, wall = best["copy"]
        slower = max(best["read"][1], best["two md5s"][1])
        print(f"copy    {cpu:7.2f} s CPU {wall:7.2f} s wall   {cpu / (2 * md5):.2f} of two MD5s' CPU (wanted 1.3), "
              f"{wall / slower:.2f} of the slower of reading and hashing (wanted 1.15)")
        cpu, wall = best["upload"]
        print(f"upload  {cpu:7.2f} s CPU {wall:7.2f} s wall   {cpu / (md5 + bare):.2f} of one MD5 and a bare socket "
              f"(wanted 1.25)")
        for peer in ("aws", "rclone", "s5cmd"):
            if peer in best:
                print(f"{peer:7} {best[peer][0]:7.2f} s CPU {best[peer][1]:7.2f} s wall   bale's share: "
                      f"CPU {cpu / best[peer][0]:.2f}  wall {wall / best[peer][1]:.2f}")
        print(json.dumps({"bench": "raw", "mib": mib, "best": {
            name: {"cpu": round(c, 3), "wall": round(w, 3)} for name, (c, w) in best.items()}}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=pathlib.Path)
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    endpoint = os.environ.get("BALE_TEST_RGW_ENDPOINT")
    if not endpoint:
        sys.exit("raw.py: no server; run it through tests/servers/with_servers.py rgw -- bench/raw.py")
    with tempfile.TemporaryDirectory(prefix="bale-raw-", dir=options.directory) as work:
        bench = Bench(endpoint, pathlib.Path(work), options)
        for number in range(options.rounds):
            bench.round(number)
        bench.report()


if __name__ == "__main__":
    main()
