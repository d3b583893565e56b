#!/usr/bin/python3
"""Measures `bale s3 cp` against rclone and the AWS CLI on the same server, in turns, in one run.

    tests/servers/with_servers.py rgw -- bench/peers.py [--directory DIR] [--large-mib 1024] [--small 2000]
                                                        [--rounds 2] [--latency 0.05]

For each case it prints the processor seconds of the client (user and system, with its children), the wall time, and
the ratios of bale's to the others'. A peer that is not installed is left out. With --latency, bale alone runs once more
through a proxy that adds as much to every answer.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
BALE = os.environ.get("BALE_BIN", str(ROOT / "build/bale"))


def random_files(directory, count, size):
    """Files that do not compress: transfer is measured, not the content."""
    directory.mkdir(parents=True)
    for number in range(count):
        with open(directory / f"f{number:05}", "wb") as file:
            left = size
            while left:
                left -= file.write(os.urandom(min(left, 8 << 20)))


class Client:
    """A program that copies files to and from buckets: `commands(endpoint)` gives its ways."""

    def __init__(self, name, up, down, up_tree, environment=None):
        self.name, self.up, self.down, self.up_tree = name, up, down, up_tree
        self.environment = environment or {}


def clients(endpoint):
    """The programs that are installed, bale first."""
    common = ["--endpoint-url", endpoint]
    found = [Client("bale", lambda f, u: [BALE, *common, "s3", "cp", f, u],
                    lambda u, f: [BALE, *common, "s3", "cp", u, f],
                    lambda d, u: [BALE, *common, "--connections", "32", "s3", "cp", "--recursive", d, u])]
    if shutil.which("rclone"):
        remote = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_R_TYPE": "s3", "RCLONE_CONFIG_R_PROVIDER": "Ceph",
                  "RCLONE_CONFIG_R_ENV_AUTH": "true", "RCLONE_CONFIG_R_ENDPOINT": endpoint}

        def path(uri):
            return "r:" + uri.removeprefix("s3://")
        # --ignore-times: in the second round the object is there already.
        found.append(Client("rclone",
                            lambda f, u: ["rclone", "copyto", "--s3-no-check-bucket", "--ignore-times", f, path(u)],
                            lambda u, f: ["rclone", "copyto", path(u), f],
                            lambda d, u: ["rclone", "copy", "--s3-no-check-bucket", "--transfers", "32", "--checkers",
                                          "32", d, path(u)], remote))
    if shutil.which("aws"):
        found.append(Client("aws", lambda f, u: ["aws", *common, "s3", "cp", "--no-progress", f, u],
                            lambda u, f: ["aws", *common, "s3", "cp", "--no-progress", u, f],
                            lambda d, u: ["aws", *common, "s3", "cp", "--no-progress", "--recursive", d, u]))
    return found


def measured(command, environment):
    """(processor seconds, wall seconds) of a command that must succeed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([str(word) for word in command], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")[-2000:]
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {output}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


class Bench:
    """Files, a bucket, and what was measured: {case: {client: (cpu, wall)}}, the best of the rounds."""

    def __init__(self, endpoint, work, options):
        self.work, self.options, self.results = work, options, {}
        self.endpoint = endpoint
        self.bucket = f"bench-{uuid.uuid4().hex[:12]}"
        subprocess.run([BALE, "--endpoint-url", endpoint, "s3", "mb", f"s3://{self.bucket}"], check=True,
                       stdout=subprocess.DEVNULL)
        random_files(work / "large", 1, options.large_mib << 20)
        random_files(work / "small", options.small, 8 << 10)

    def take(self, case, name, command, environment):
        cpu, wall = measured(command, environment)
        best = self.results.setdefault(case, {}).get(name, (cpu, wall))
        self.results[case][name] = (min(best[0], cpu), min(best[1], wall))

    def run(self, client, suffix=""):
        large, small = self.work / "large/f00000", self.work / "small"
        uri = f"s3://{self.bucket}/{client.name}{suffix}"
        out = self.work / "out"
        mib, files = self.options.large_mib, self.options.small
        self.take(f"up {mib} MiB", client.name + suffix, client.up(large, f"{uri}/large"), client.environment)
        self.take(f"down {mib} MiB", client.name + suffix, client.down(f"{uri}/large", out), client.environment)
        if out.read_bytes() != large.read_bytes():
            sys.exit(f"{client.name} brought back something else")
        out.unlink()
        self.take(f"up {files} x 8 KiB", client.name + suffix, client.up_tree(small, f"{uri}/small-{time.time_ns()}/"),
                  client.environment)

    def report(self):
        for case, clients_ in self.results.items():
            cpu, wall = clients_["bale"]
            for name, (other_cpu, other_wall) in clients_.items():
                ratios = f"   bale's share: CPU {cpu / other_cpu:.2f}  wall {wall / other_wall:.2f}"
                print(f"{case:18} {name:12} {other_cpu:7.2f} s CPU {other_wall:7.2f} s wall"
                      f"{'' if name == 'bale' else ratios}")
            print(json.dumps({"bench": "peers", "case": case, "clients": {
                name: {"cpu": round(c, 3), "wall": round(w, 3)} for name, (c, w) in clients_.items()}}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=pathlib.Path)
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    endpoint = os.environ.get("BALE_TEST_RGW_ENDPOINT")
    if not endpoint:
        sys.exit("peers.py: no server; run it through tests/servers/with_servers.py rgw -- bench/peers.py")
    with tempfile.TemporaryDirectory(prefix="bale-peers-", dir=options.directory) as work:
        bench = Bench(endpoint, pathlib.Path(work), options)
        for _ in range(options.rounds):
            for client in clients(endpoint):
                bench.run(client)
        if options.latency > 0:
            far = subprocess.Popen([ROOT / "tests/e2e/fault_proxy.py", "--server", endpoint, "--latency",
                                    str(options.latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            try:
                bench.run(clients(json.loads(far.stdout.readline())["endpoint"])[0], " far")
            finally:
                far.stdin.close()
                far.terminate()
                far.wait()
        bench.report()


if __name__ == "__main__":
    main()
