"""Replication on servers that speak AWS's protocols, behind the methods of conftest.Bale: tests of the embedded backend
run there unchanged. What a test itself writes and reads goes through boto3, directly to the servers; only the program
takes the test's road (servers.Road)."""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import random
import threading
import urllib.parse
import uuid

from ceph_events import put_event
from conftest import BACKUP_REGION, COPY_REGION, SOURCE_REGION, Bale, bytes_of, tree_of

REGIONS = (SOURCE_REGION, COPY_REGION, BACKUP_REGION)
ACCOUNT = "123456789012"  # moto's; part of the names of queues' ARNs and of staging buckets
HEADERS = {"content-type": "ContentType", "cache-control": "CacheControl", "content-language": "ContentLanguage",
           "content-disposition": "ContentDisposition", "content-encoding": "ContentEncoding", "expires": "Expires"}


def key_of(key):
    return key if isinstance(key, str) else os.fsdecode(key)


class Crier:
    """Tells queues of objects, where the store does not do it: in the words of Ceph, each `times` times.

    Copies of one event go to the queue apart from each other, and not in order. Used by any thread.
    """

    def __init__(self, bale, chance, times=1):
        self.bale, self.chance, self.times = bale, chance, times
        self.known = set()  # (bucket, key, ETag, time) of what was seen in the staging buckets
        self.held = []  # (region, queue's URL, body)
        self.lock = threading.Lock()

    def add(self, bucket, found):
        """`found`: pairs of a key and what boto3 says of it."""
        with self.lock:
            self._add(bucket, found)

    def _add(self, bucket, found):
        region, url = self.bale.listeners[bucket]
        for key, about in found:
            event = put_event(bucket, key, about["Size"], about["ETag"], about["LastModified"])
            self.held += [(region, url, json.dumps(event))] * self.times

    def look(self, everything=False):
        """Finds what is new in the staging buckets, and sends events; returns how many. Of several copies some stay
        for the next time, unless `everything` is to be sent."""
        with self.lock:
            for bucket in self.bale.staging_buckets:
                listed = [(key, about, (bucket, key, about["ETag"], about["LastModified"]))
                          for key, about in self.bale.listed(bucket)]
                self._add(bucket, [(key, about) for key, about, name in listed if name not in self.known])
                self.known |= {name for _, _, name in listed}
            if self.times > 1:
                self.chance.shuffle(self.held)
            count = len(self.held)
            if self.times > 1 and not everything:
                count = self.chance.randint(0, count)
            sent, self.held = self.held[:count], self.held[count:]
            for place in {(region, url) for region, url, _ in sent}:
                self._send(place, [body for region, url, body in sent if (region, url) == place])
            return count

    def _send(self, place, bodies):
        region, url = place
        for start in range(0, len(bodies), 10):
            done = self.bale.client("sqs", region).send_message_batch(QueueUrl=url, Entries=[
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[start:start + 10])])
            assert not done.get("Failed"), done

    @contextlib.contextmanager
    def at_work(self):
        """Looks again and again in a thread."""
        done, failures = threading.Event(), []

        def work():
            try:
                while not done.wait(0.02):
                    self.look()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if failures:
            raise failures[0]


class CloudBale(Bale):
    """The program on servers: buckets and queues have names that no other test of the servers uses.

    Where S3 and SQS are one server (moto), S3 notifies the queues; otherwise (Ceph RGW) a Crier does it in its place.
    """

    checks_archive_state = False  # objects in GLACIER can be read, on both
    has_reduced_redundancy = False  # rgw refuses it
    many = 300  # moto: 200 requests a second
    # Lost answers to "receive" keep messages until they are visible again, and count as a receive.
    patient = {"visibility_timeout": 6, "max_receive_count": 100}
    services, kills, longest_run = ("source", "relay", "target"), 30, 2.0

    def __init__(self, directory, s3, sqs, dynamodb, road):
        super().__init__(directory)
        self.servers, self.road = {"s3": s3, "sqs": sqs, "dynamodb": dynamodb}, road
        self.stack = "e2e" + uuid.uuid4().hex[:8]
        self.source, self.copy, self.backup = (self.real(role) for role in ("source", "copy", "backup"))
        self.listeners = {}  # bucket -> region and URL of the queue of its events
        self.staging_buckets = []
        self.clients, self.lock = {}, threading.Lock()
        self.crier = Crier(self, random.Random(0))
        self.notifies = s3 is sqs
        self.batches_are_whole = not road.has_faults  # messages of a lost answer miss their batch

    # The program

    def real(self, bucket):
        return f"{self.stack}-{bucket}"

    def store_options(self):
        return []

    def environment(self):
        endpoints = {f"AWS_ENDPOINT_URL_{service.upper()}": self.road.endpoint(server)
                     for service, server in self.servers.items()}
        return {**self.servers["s3"].environment(), **endpoints, "HOME": str(self.directory)}

    def configure(self, rules, regions=REGIONS):
        super().configure(rules, regions)
        path = self.config / "settings.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps({**settings, "stack_name": self.stack, "account": ACCOUNT}))

    def mixed(self, source=None, copy=None, backup=None):
        self.configure([self.rule({**self.patient, **(source or {})}, copy, backup)])
        s3 = self.servers["s3"]
        if not self.notifies:  # that of the queues' server, which notifies nobody then, says which queue is whose
            self.servers["s3"] = self.servers["sqs"]
        self.clients.clear()
        steps = self.json("replicate", "init", "--config", self.config)
        self.find_listeners([(step["name"], step["region"]) for step in steps if step["kind"] == "bucket"])
        self.servers["s3"] = s3
        self.clients.clear()
        if not self.notifies:
            for step in steps:
                if step["kind"] == "bucket":
                    self.client("s3").create_bucket(Bucket=step["name"], CreateBucketConfiguration={
                        "LocationConstraint": s3.region})

    def find_listeners(self, buckets):
        for bucket, region in buckets:
            rules = self.client("s3", region).get_bucket_notification_configuration(Bucket=bucket)
            for rule in rules.get("QueueConfigurations", []):
                name = rule["QueueArn"].rpartition(":")[2]
                url = self.client("sqs", region).get_queue_url(QueueName=name)["QueueUrl"]
                self.listeners[bucket] = (region, url)
        self.staging_buckets = [] if self.notifies else [name for name in self.listeners if name != self.source]

    def until_idle(self, *arguments, status=0, **options):
        """Until no queue has a message and no archive is on its way that nobody was told of."""
        while True:
            self.crier.look()  # of what was put before, queues were told: a drained queue is the end of a batch
            with self.events():
                finished = super().until_idle(*arguments, status=status, **options)
            if self.crier.look(everything=True) == 0 and not self.waiting(failed=False):
                return finished

    def events(self):
        """While it lasts, queues are told of what comes into the staging buckets."""
        return contextlib.nullcontext() if self.notifies else self.crier.at_work()

    def three_times(self, chance):
        """From now on every event is delivered three times; the result, called now and then, sends some of them."""
        self.crier.chance, self.crier.times = chance, 3
        return self.crier.look

    # The judge

    def client(self, service, region=SOURCE_REGION):
        with self.lock:
            if (service, region) not in self.clients:
                self.clients[service, region] = self.servers[service].client(service, region_name=region)
            return self.clients[service, region]

    def make_bucket(self, bucket, region):
        self.client("s3", region).create_bucket(Bucket=self.real(bucket), CreateBucketConfiguration={
            "LocationConstraint": region})

    def put(self, bucket, key, content, **stored):
        self._announce(bucket, [self._put(bucket, key, content, **stored)])

    def _put(self, bucket, key, content, metadata=None, tags=None, storage_class=None, headers=None):
        options = {HEADERS[name]: value for name, value in (headers or {}).items()}
        if metadata:
            options["Metadata"] = metadata
        if tags:
            options["Tagging"] = urllib.parse.urlencode(tags, quote_via=urllib.parse.quote)
        if storage_class:
            options["StorageClass"] = storage_class
        self.client("s3").put_object(Bucket=self.real(bucket), Key=key, Body=content, **options)
        about = self.client("s3").head_object(Bucket=self.real(bucket), Key=key)
        return key, {**about, "Size": about["ContentLength"]}

    def _announce(self, bucket, found):
        if not self.notifies and self.real(bucket) in self.listeners:
            self.crier.add(self.real(bucket), found)

    def put_tree(self, bucket, prefix, directory, **stored):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self._announce(bucket, list(pool.map(
                lambda item: self._put(bucket, prefix + item[0], item[1], **stored), tree_of(directory).items())))

    def get(self, bucket, key):
        return self.client("s3").get_object(Bucket=self.real(bucket), Key=key)["Body"].read()

    def get_tree(self, bucket, prefix, directory):
        def get(key):
            path = pathlib.Path(directory) / key[len(prefix):]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(bucket, key))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(get, self.keys(bucket, prefix)))

    def remove(self, bucket, key):
        self.client("s3").delete_object(Bucket=self.real(bucket), Key=key)

    def listed(self, bucket, prefix=""):
        """Pairs of a key and what the listing says of it; `bucket` by its real name."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [(item["Key"], item) for page in pages for item in page.get("Contents", [])]

    def keys(self, bucket, prefix=""):
        return sorted(key for key, _ in self.listed(self.real(bucket), prefix))

    def bucket_contents(self, bucket):
        """Key -> bytes."""
        return {key: self.get(bucket, key) for key in self.keys(bucket)}

    def stat(self, bucket, key):
        """As `bale s3 stat` says it."""
        s3, place = self.client("s3"), {"Bucket": self.real(bucket), "Key": key}
        head = s3.head_object(**place)
        sent = head["ResponseMetadata"]["HTTPHeaders"]
        return {"size": head["ContentLength"], "etag": head["ETag"].strip('"'), "metadata": head["Metadata"],
                "tags": {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(**place)["TagSet"]},
                "storage_class": head.get("StorageClass", "STANDARD"),
                **{name.replace("-", "_"): sent[name] for name in HEADERS if name in sent}}

    def staging(self):
        names = [f"{self.stack}-{ACCOUNT}-{region}-{kind}" for region in REGIONS for kind in ("outbound", "inbound")]
        there = {bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]}
        assert there & set(names), "the staging buckets have other names"
        return [f"{name}/{key}" for name in names if name in there for key, _ in self.listed(name)]

    def queues(self):
        """(region, URL) of every queue of the stack."""
        return [(region, url) for region in REGIONS for url in
                self.client("sqs", region).list_queues(QueueNamePrefix=self.stack).get("QueueUrls", [])]

    def waiting(self, failed=True):
        depths = {}
        queues = self.queues()
        assert len(queues) == 8, queues  # source, relay and two targets, each with its dead-letter queue
        for region, url in queues:
            if url.endswith("-dlq") and not failed:
                continue
            attributes = self.client("sqs", region).get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            depths[url] = sum(int(attributes["Attributes"][name]) for name in (
                "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed"))
        return {url: depth for url, depth in depths.items() if depth}

    def uploads(self):
        """Real name of a bucket -> multipart uploads under way, of all buckets of the stack."""
        buckets = [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]
        found = {name: self.client("s3").list_multipart_uploads(Bucket=name).get("Uploads", [])
                 for name in buckets if name.startswith(self.stack)}
        return {name: uploads for name, uploads in found.items() if uploads}

    def assert_no_leftovers(self, kills=0):
        """A kill may leave the uploads that one process has under way at once, and a fault the one whose beginning was
        not answered: nobody knows its name. `bale doctor` takes them away."""
        left = self.uploads()
        assert sum(map(len, left.values())) <= 8 * kills + sum(self.road.fired().values()), left
        for name in left:
            self.run("doctor", "--no-probes", "--abort-older-than", "0s", f"s3://{name}")
        assert self.uploads() == {}
