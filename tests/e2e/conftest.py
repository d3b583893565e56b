"""Black-box tests: the real program, on the embedded backend, in a directory of the test's own.

The program is $BALE_BIN, or build/bale. Everything a test does to Bale goes through its command line.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

pytest.register_assert_rewrite("fidelity_cases", "kill_cases", "cloud", "raw_hosts")

from scripted_s3 import scripted_s3  # noqa: E402, F401  (a fixture)
from preloaded import preload  # noqa: E402, F401  (a fixture)
from servers import dynalite, moto, rgw, road, swift  # noqa: E402, F401  (fixtures)

# Tests that are run with nohup ignore SIGHUP, and so would the programs that they start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "campaign: takes minutes to hours: of `make campaign`, not of `make test`")


def pytest_collection_modifyitems(config, items):
    """Leaves out campaigns, unless -m names them."""
    if "campaign" in config.option.markexpr:
        return
    campaigns = [item for item in items if item.get_closest_marker("campaign")]
    if campaigns:
        config.hook.pytest_deselected(items=campaigns)
        items[:] = [item for item in items if item not in campaigns]


SOURCE_REGION, COPY_REGION, BACKUP_REGION = "eu-central-1", "eu-west-1", "us-east-1"
STACK, ACCOUNT = "e2e", "000000000000"
MiB = 1 << 20
GiB = 1 << 30


def binary():
    path = pathlib.Path(os.environ.get("BALE_BIN", ROOT / "build/bale")).resolve()
    if not path.exists():
        pytest.exit(f"no program at {path}: run `make`, or set BALE_BIN", returncode=2)
    return str(path)


def clean_environment():
    """The test's own environment, without what would change Bale's behaviour."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BALE_", "AWS_"))}


def bytes_of(text):
    return text if isinstance(text, bytes) else os.fsencode(text)


def wait_until(condition, seconds=60):
    """Fails if it is still false then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Finished:
    """What a run of the program left: exit status, and both outputs as text."""

    def __init__(self, arguments, status, out, err):
        self.arguments, self.status = arguments, status
        self.out, self.err = out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape")

    def lines(self):
        """stdout as the JSON objects of its lines."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __repr__(self):
        command = " ".join(os.fsdecode(argument) for argument in self.arguments)
        return f"{command}\nexit status {self.status}\nstdout: {self.out[-4000:]}\nstderr: {self.err[-4000:]}"


# Linux counts the memory of the process that forks as the child's own until the child calls exec. The Python of the
# tests holds much memory, so this small one starts the program.
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def measured(bale, *arguments, status=0):
    """Runs the program to its end; `status` is what it must end with (None: anything).

    The result is what it left, and its peak resident memory in bytes.
    """
    report = bale.directory / "peak"
    command = bale.command(*arguments)
    ended = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, report, *command], cwd=bale.directory,
                           env=bale.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
                           timeout=600)
    finished = Finished(command, ended.returncode, ended.stdout, ended.stderr)
    assert status is None or finished.status == status, repr(finished)
    return finished, int(report.read_text()) * 1024  # Linux counts KiB


def peak_of(bale, *arguments):
    """Runs the program to its successful end: its peak resident memory in bytes."""
    return measured(bale, *arguments)[1]


class Bale:
    """The program with a store of its own."""

    # What S3 does and a server may do otherwise: see cloud.py, and docs/testing.md.
    checks_archive_state = True
    has_reduced_redundancy = True
    batches_are_whole = True
    many = 10000  # objects, where a test needs many

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.store = self.directory / "store"
        self.config = self.directory / "config"

    def store_options(self):
        """Options that say which store is used."""
        return [b"--local", bytes_of(str(self.store))]

    def environment(self):
        return clean_environment() | {"XDG_CACHE_HOME": str(self.directory / "cache")}

    def command(self, *arguments):
        return [bytes_of(binary()), *self.store_options(), *[bytes_of(str(a) if isinstance(
            a, (pathlib.Path, int)) else a) for a in arguments]]

    def start(self, *arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, cwd=self.directory,
                                env=self.environment(), **options)

    def run(self, *arguments, status=0, timeout=120):
        """Runs the program; `status` is what it must end with (None: anything)."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"no end after {timeout} s: {Finished(process.args, 'killed', out, err)!r}")
        finished = Finished(process.args, process.returncode, out, err)
        assert status is None or finished.status == status, repr(finished)
        return finished

    def json(self, *arguments, **options):
        return self.run("--output", "json", *arguments, **options).lines()

    def real(self, bucket):
        """The name that a test's bucket has in the store."""
        return bucket

    def uri(self, bucket, key=""):
        return f"s3://{self.real(bucket)}/{key}"

    # Objects; `stored` is what attributes() takes

    def make_bucket(self, bucket, region):
        self.run("s3", "mb", f"s3://{bucket}", "--region", region)

    def put_file(self, bucket, key, path, *options):
        return self.run("s3", "cp", "--exact-key", path, b"s3://" + bytes_of(bucket) + b"/" + bytes_of(key), *options,
                        timeout=1200)

    def put(self, bucket, key, content, *options, **stored):
        path = self.directory / "to-put"
        path.write_bytes(content)
        return self.put_file(bucket, key, path, *options, *attributes(**stored))

    def put_tree(self, bucket, prefix, directory, *options, **stored):
        return self.run("s3", "cp", "--recursive", directory, f"s3://{bucket}/{prefix}", *options,
                        *attributes(**stored), timeout=1200)

    def get(self, bucket, key):
        path = self.directory / "gotten"
        path.unlink(missing_ok=True)
        self.run("s3", "cp", b"s3://" + bytes_of(bucket) + b"/" + bytes_of(key), path)
        return path.read_bytes()

    def get_tree(self, bucket, prefix, directory):
        self.run("s3", "cp", "--recursive", f"s3://{bucket}/{prefix}", directory, timeout=1200)

    def remove(self, bucket, key):
        self.run("s3", "rm", b"s3://" + bytes_of(bucket) + b"/" + bytes_of(key))

    def keys(self, bucket, prefix=""):
        """Every key of the bucket, as the program prints it."""
        return sorted(item["key"] for item in self.json("s3", "ls", "--recursive", f"s3://{bucket}/{prefix}")
                      if "key" in item)

    def stat(self, bucket, key):
        return self.json("s3", "stat", b"s3://" + bytes_of(bucket) + b"/" + bytes_of(key))[0]

    # Replication

    def configure(self, rules, regions=(SOURCE_REGION, COPY_REGION, BACKUP_REGION)):
        """Writes both files; `rules` is replication_configuration."""
        self.config.mkdir(exist_ok=True)
        settings = {"stack_name": STACK, "notification_emails": [], "tags": {}, "enabled_regions": [
            {"region": region, "vpc_cidr": f"10.{number}.0.0/16", "source_target": ["source", "target"],
             "availability_zones": 2} for number, region in enumerate(regions)]}
        (self.config / "settings.json").write_text(json.dumps(settings))
        (self.config / "replication_config.json").write_text(json.dumps({"replication_configuration": rules}))

    def rule(self, source=None, copy=None, backup=None):
        """From the bucket `source` to `copy` and `backup`, each in a region of its own."""
        return {"source": {"region": SOURCE_REGION, "bucket": self.real("source"), **(source or {})}, "destinations": [
            {"region": COPY_REGION, "bucket": self.real("copy"), **(copy or {})},
            {"region": BACKUP_REGION, "bucket": self.real("backup"), "backup": True, **(backup or {})}]}

    def mixed(self, source=None, copy=None, backup=None):
        """Makes buckets `source`, `copy` and `backup` in three regions, and a rule from the first to the others."""
        self.make_bucket("source", SOURCE_REGION)
        self.make_bucket("copy", COPY_REGION)
        self.make_bucket("backup", BACKUP_REGION)
        self.configure([self.rule(source, copy, backup)])
        self.replicate("init")

    def replicate(self, command, *arguments, **options):
        return self.run("replicate", command, "--config", self.config, *arguments, **options)

    def until_idle(self, *arguments, **options):
        return self.replicate("run", "--until-idle", *arguments, **options)

    def search(self, *arguments):
        """The catalog's records; none is exit status 3."""
        finished = self.run("--output", "json", "catalog", "search", "--config", self.config, *arguments, status=None)
        records = [line for line in finished.lines() if line["type"] == "record"]
        assert finished.status == (0 if records else 3), finished
        return records

    def restore(self, to, *arguments, **options):
        return self.run("restore", "--config", self.config, "--to", to, *arguments, **options)

    def staging(self):
        """What is left in the staging buckets of all regions."""
        return [f"{bucket}/{key}" for region in (SOURCE_REGION, COPY_REGION, BACKUP_REGION)
                for kind in ("outbound", "inbound")
                for bucket in [f"{STACK}-{ACCOUNT}-{region}-{kind}"] if self.bucket_exists(bucket)
                for key in self.keys(bucket)]

    def bucket_exists(self, bucket):
        return self.run("s3", "ls", f"s3://{bucket}", status=None).status == 0

    def waiting(self):
        """Messages of every queue, dead-letter queues too: name -> count, those with any."""
        lines = [line for line in self.json("replicate", "status", "--config", self.config) if line["type"] == "queue"]
        assert lines and all(line["exists"] for line in lines), lines
        depths = {line["queue"]: line["waiting"] + line["in_flight"] for line in lines}
        depths |= {line["queue"] + "-dlq": line["failed"] for line in lines}
        return {queue: depth for queue, depth in depths.items() if depth}

    def assert_idle(self):
        """Nothing waits, nothing failed, nothing is left on the way."""
        assert self.waiting() == {}
        assert self.staging() == []

    def assert_no_leftovers(self, kills=0):
        """The store holds one data file for each object, and nothing that a killed process left."""
        files = len([path for path in (self.store / "s3").rglob("*") if path.is_file()])
        buckets = [line["name"] for line in self.json("s3", "ls")]
        assert files == sum(len(self.keys(bucket)) for bucket in buckets)


@pytest.fixture(scope="session")
def disposal():
    """Removes directories in the background: some tests fill gigabytes, or make ten thousands of files."""
    removals = []
    yield lambda path: removals.append(subprocess.Popen(["rm", "-rf", "--", path]))
    for removal in removals:
        removal.wait()


@pytest.fixture
def bale(tmp_path, disposal):
    """A store of the test's own."""
    yield Bale(tmp_path)
    disposal(tmp_path)


@pytest.fixture
def seeded(request):
    """A source of chance whose seed a failure prints; BALE_TEST_SEED repeats it."""
    seed = int(os.environ.get("BALE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed: run again with BALE_TEST_SEED={seed}")
    return random.Random(seed)


def text_of(chance, size):
    """`size` bytes that compress like prose."""
    words = ["object", "archive", "frame", "catalog", "region", "bucket", "message", "durable", "\n"]
    text = " ".join(chance.choices(words, k=size // 5 + 1)).encode()
    return text[:size]


def tree_of(directory):
    """Relative path -> content of every file below `directory`."""
    directory = pathlib.Path(directory)
    return {path.relative_to(directory).as_posix(): path.read_bytes()
            for path in directory.rglob("*") if path.is_file()}


def write_tree(directory, files):
    for name, content in files.items():
        path = pathlib.Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def attributes(metadata=None, tags=None, storage_class=None, headers=None):
    """Options of `s3 cp` for what is stored with an object; `headers` by their option's name ("content-type")."""
    options = ["--metadata", json.dumps(metadata)] if metadata else []
    for name, value in (tags or {}).items():
        options += ["--tag", f"{name}={value}"]
    if storage_class:
        options += ["--storage-class", storage_class]
    for name, value in (headers or {}).items():
        options += [f"--{name}", value]
    return options
