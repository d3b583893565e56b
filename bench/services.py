#!/usr/bin/python3
"""Measures `bale replicate source` and `target` on servers: S3 of Ceph RGW, queues of moto, tables of dynalite.

    tests/servers/with_servers.py rgw moto dynalite -- bench/services.py [--objects 4000] [--bytes 7000]
                                                                         [--latency 0.05]

Small objects are packed into archives and land again. Printed are the processor time of bale for an object, objects
for a second, and the processor time of the S3 server meanwhile: where that and bale's fill the wall time, the machine
is the limit. With --latency everything is done once more with each answer of each server so much later.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import servers  # noqa: E402
from conftest import binary  # noqa: E402
from stacks import SOURCE, TARGET, Stack  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
MESSAGE_RECORDS = 50  # with fewer in a message moto, which takes 10 ms to hand one out, would be what is measured


def server_seconds():
    """Processor time so far of the S3 server, and of those of queues and tables."""
    store = others = 0.0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().partition(") ")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        seconds = sum(map(int, rest.split()[11:13])) / TICK
        if name.split("(")[1] in ("radosgw", "ceph-osd", "ceph-mon"):
            store += seconds
        elif b"moto.server" in command or b"dynalite" in command:
            others += seconds
    return store, others


class Far:
    """A server as seen from another continent."""

    def __init__(self, server, latency):
        self.server, self.process = server, subprocess.Popen(
            [ROOT / "tests/e2e/fault_proxy.py", "--server", server.endpoint, "--latency", str(latency)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.endpoint = json.loads(self.process.stdout.readline())["endpoint"]

    def client(self, *arguments, **options):
        return self.server.client(*arguments, **options)  # what the bench itself does is not measured

    def environment(self):
        return self.server.environment()

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


def fill(stack, options):
    """Puts objects of words; for each its key, size and ETag, as its event has them."""
    chance, made = random.Random(7), []
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(2000)]
    client = stack.client("s3")
    for number in range(options.objects):
        body = b" ".join(chance.choices(words, k=options.bytes // 6))[:options.bytes]
        key = f"logs/{number % 10}/object-{number:06}.txt"
        answer = client.put_object(Bucket=stack.bucket, Key=key, Body=body)
        made.append((key, len(body), answer["ETag"].strip('"')))
    return made


def announce(stack, region, url, bucket, made):
    """Tells of the objects."""
    sqs, records = stack.client("sqs", region), []
    for key, size, etag in made:
        records.append({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": region,
                        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                        "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {
                            "key": key, "size": size, "eTag": etag, "sequencer": f"{time.time_ns():X}"}}})
    for start in range(0, len(records), MESSAGE_RECORDS):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": records[start:start + MESSAGE_RECORDS]}))


def service(stack, role, options):
    """Runs a service until its queue is empty: processor seconds of bale, wall seconds, those of the servers of
    objects and of the others."""
    stack.service_variables(role)
    before, started = server_seconds(), time.monotonic()
    process = subprocess.Popen([binary(), "replicate", role, "--once", *(["--level", "3"] if role == "source" else [])],
                               env=stack.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"replicate {role} ended with {process.returncode}")
    wall = time.monotonic() - started
    store, others = (after - start for after, start in zip(server_seconds(), before))
    return usage.ru_utime + usage.ru_stime, wall, store, others


def report(role, where, options, cpu, wall, store, others):
    count = options.objects
    print(f"{role:7} {where:5} {count} objects: {1000 * cpu / count:6.2f} ms CPU each, {count / wall:7.0f} objects/s,"
          f" {wall:6.2f} s wall; CPU of S3's server {store:5.2f} s, of queues and tables {others:5.2f} s")
    print(json.dumps({"bench": "services", "role": role, "where": where, "objects": count, "cpu": round(cpu, 3),
                      "wall": round(wall, 3), "store_cpu": round(store, 3), "others_cpu": round(others, 3)}))


def round_of(names, where, options):
    with tempfile.TemporaryDirectory(prefix="bale-services-") as directory:
        stack = Stack(pathlib.Path(directory), names["rgw"], names["moto"], names["dynalite"])
        stack.add_targets(backup=False)
        announce(stack, SOURCE, stack.events, stack.bucket, fill(stack, options))
        report("source", where, options, *service(stack, "source", options))
        client, archives = stack.client("s3", TARGET), []
        for key in stack.keys(stack.outbound):
            client.copy_object(Bucket=stack.inbound, Key=key, CopySource={"Bucket": stack.outbound, "Key": key})
            head = client.head_object(Bucket=stack.inbound, Key=key)
            archives.append((key, head["ContentLength"], head["ETag"].strip('"')))
        announce(stack, TARGET, stack.arrivals, stack.inbound, archives)
        report("target", where, options, *service(stack, "target", options))
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=stack.copy)
        arrived = sum(len(page.get("Contents", [])) for page in pages)
        if arrived != options.objects:
            sys.exit(f"{arrived} of {options.objects} objects arrived")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=4000)
    parser.add_argument("--bytes", type=int, default=7000)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    found = {}
    for name in ("rgw", "moto", "dynalite"):
        answer = servers.from_environment(name)
        if answer is None:
            sys.exit(f"services.py: no {name}; run it through tests/servers/with_servers.py rgw moto dynalite -- ...")
        found[name] = servers.Server(name, answer)
    round_of(found, "near", options)
    if options.latency > 0:
        with contextlib.ExitStack() as ending:
            far = {name: ending.enter_context(contextlib.closing(Far(server, options.latency)))
                   for name, server in found.items()}
            round_of(far, "far", options)


if __name__ == "__main__":
    main()
