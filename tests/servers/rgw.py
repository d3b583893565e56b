#!/usr/bin/python3
"""Starts Ceph RGW, a real S3 server: one monitor, one OSD and one gateway. See serving.py and docs/testing.md.

The first start prepares a cluster below build/: keys, pools, storage classes, a user. Every start after that copies
it, gives the copy ports of its own, and starts the three daemons on the copy, which is thrown away at the end.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sys
import time
import urllib.error
import urllib.request
import uuid

import serving

PROGRAMS = {"ceph-mon": "ceph-mon", "ceph-osd": "ceph-osd", "radosgw": "radosgw", "radosgw-admin": "radosgw",
            "ceph-authtool": "ceph-common", "monmaptool": "ceph-base"}
# Besides STANDARD; the gateway keeps them as labels: all their objects are in the same pool and can be read.
STORAGE_CLASSES = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE")
# Made beforehand: a pool made on first use makes the first request wait. Name -> placement groups.
POOLS = {".rgw.root": 1, "default.rgw.log": 1, "default.rgw.control": 1, "default.rgw.meta": 1,
         "default.rgw.buckets.index": 4, "default.rgw.buckets.data": 4, "default.rgw.buckets.non-ec": 1}
START_SECONDS = 60

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
keyring = {directory}/keyring
# Nothing outside the directory; and no admin sockets, whose paths may not be longer than 107 bytes.
run dir = {directory}
crash dir = {directory}
admin socket =
log file =
mon cluster log file =
log to stderr = true
err to stderr = true
log to syslog = false
mon cluster log to stderr = false
# One copy of everything, and the monitor decides at once instead of gathering changes for a second.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.02
paxos min wait = 0.01
mon osd min in ratio = 0
mon tick interval = 1
[mon.a]
mon data = {directory}/mon
[osd.0]
osd data = {directory}/osd
osd objectstore = {objectstore}
osd max object name len = 2048
osd memory target = 939524096
memstore device bytes = {bytes}
bluestore block size = {bytes}
bluestore block db create = false
bluestore block wal create = false
bluestore fsck on mount = false
osd op num shards = 2
# On SIGTERM the image's OSD writes what it holds in memory; and a copy need not say again where it is.
osd fast shutdown = false
osd crush update on start = {preparing}
osd class update on start = false
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{rgw_port} tcp_nodelay=1
rgw data = {directory}
rgw thread pool size = 64
rgw enable usage log = false
rgw run sync thread = false
# A bucket may name any region; its answer to GetBucketLocation is always its own.
rgw relaxed region enforcement = true
"""


class Cluster:
    """A cluster in `directory`, which is a run's own or an image being prepared."""

    def __init__(self, run, directory, options):
        self.run, self.directory, self.options = run, pathlib.Path(directory), options
        self.conf = self.directory / "ceph.conf"
        self.mon_port = self.rgw_port = 0

    def configure(self, fsid, preparing=False):
        """Writes ceph.conf with free ports."""
        self.mon_port, self.rgw_port = serving.free_port(), serving.free_port()
        self.conf.write_text(CONFIGURATION.format(
            fsid=fsid, directory=self.directory, mon_port=self.mon_port, rgw_port=self.rgw_port,
            preparing=str(preparing).lower(), objectstore=self.options.objectstore, bytes=self.options.size_gib << 30))

    def call(self, program, *arguments):
        return self.run.call([program, "-c", self.conf, *arguments])

    def make_monmap(self, fsid):
        monmap = self.directory / "monmap"
        self.run.call(["monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a",
                       f"[v1:127.0.0.1:{self.mon_port}]", monmap])
        return monmap

    def start_mon(self):
        self.run.start("mon", ["ceph-mon", "-f", "-i", "a", "-c", self.conf])
        # Others would wait 3 s for their second try when they find nobody there.
        self.run.wait_until(lambda: serving.listening(self.mon_port), START_SECONDS, "the monitor listens")

    def start_osd(self, command):
        """`command`: see monitor()."""
        self.run.start("osd", ["ceph-osd", "-f", "-i", "0", "-c", self.conf, "--no-mon-config"])
        # A client that finds it down asks again after 5 s.
        self.run.wait_until(lambda: json.loads(command(prefix="osd stat", format="json"))["num_up_osds"] == 1,
                            START_SECONDS, "the OSD is up")

    def start_rgw(self):
        self.run.start("rgw", ["radosgw", "-f", "-n", "client.rgw.a", "-c", self.conf, "--no-mon-config"])

    def rgw_answers(self):
        if not serving.listening(self.rgw_port):
            return False
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.rgw_port}/", timeout=5).close()
        except urllib.error.HTTPError:
            pass  # refused, but answered
        except OSError:
            return False
        return True

    # Preparation

    def make(self):
        """A new cluster with all that tests need, at rest."""
        fsid = str(uuid.uuid4())
        self.configure(fsid, preparing=True)
        for name in ("mon", "osd"):
            (self.directory / name).mkdir()
        keyring = self.directory / "keyring"
        self.run.call(["ceph-authtool", keyring, "--create-keyring", "--gen-key", "-n", "mon.",
                       "--cap", "mon", "allow *"])
        self.run.call(["ceph-authtool", keyring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *",
                       "--cap", "osd", "allow *"])
        self.call("ceph-mon", "-i", "a", "--mkfs", "--monmap", self.make_monmap(fsid), "--keyring", keyring)
        self.start_mon()
        with self.monitor() as command:
            osd = str(uuid.uuid4())
            command(prefix="osd new", uuid=osd)
            self.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
            self.start_osd(command)
            for name, groups in POOLS.items():
                command(prefix="osd pool create", pool=name, pg_num=groups, pgp_num=groups)
                command(prefix="osd pool application enable", pool=name, app="rgw")
        self.make_zone()
        for name in ("osd", "mon"):
            self.run.stop(name)
        (self.directory / "fsid").write_text(fsid)

    @contextlib.contextmanager
    def monitor(self):
        """Yields a function that sends the monitor a command and returns its output."""
        try:
            import rados  # python3-rados comes with ceph-common, for Debian's Python only
        except ImportError as error:
            raise serving.CannotRun("no module rados: this program needs /usr/bin/python3 and the package python3-rados"
                                    ) from error
        client = rados.Rados(conffile=str(self.conf), conf={"client_mount_timeout": str(START_SECONDS)})
        client.connect()

        def command(**words):
            status, output, message = client.mon_command(json.dumps(words), b"", timeout=START_SECONDS)
            if status != 0:
                raise serving.ServerFailed(f"monitor: {words}: {message}")
            return output

        def knows_itself():  # a new monitor answers "wrong fsid" for a moment
            return client.mon_command(json.dumps({"prefix": "fsid"}), b"", timeout=START_SECONDS)[0] == 0
        try:
            self.run.wait_until(knows_itself, START_SECONDS, "the monitor takes commands")
            yield command
        finally:
            client.shutdown()

    def make_zone(self):
        """Zone group with the region's name, storage classes, and the user."""
        def admin(*arguments):
            return self.call("radosgw-admin", "-n", "client.rgw.a", *arguments)

        def change(kind, edit):
            settings = json.loads(admin(kind, "get", f"--rgw-{kind}=default"))
            edit(settings)
            path = self.directory / "settings.json"
            path.write_text(json.dumps(settings))
            admin(kind, "set", f"--rgw-{kind}=default", f"--infile={path}")

        def zonegroup(settings):
            settings["api_name"] = serving.REGION
            settings["placement_targets"][0]["storage_classes"] = ["STANDARD", *STORAGE_CLASSES]

        def zone(settings):
            classes = settings["placement_pools"][0]["val"]["storage_classes"]
            for name in STORAGE_CLASSES:
                classes[name] = {"data_pool": "default.rgw.buckets.data"}

        admin("user", "create", "--uid=test", "--display-name=test", "--access-key=" + serving.ACCESS_KEY,
              "--secret=" + serving.SECRET_KEY, "--max-buckets=100000")
        change("zonegroup", zonegroup)
        change("zone", zone)


def image_name(run, options):
    """Changes with whatever an image depends on."""
    programs = [pathlib.Path(file).read_text() for file in (__file__, serving.__file__)]
    identity = [*programs, run.call(["ceph-osd", "--version"]), options.objectstore, str(options.size_gib)]
    return "rgw-" + hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]


def copy_image(run, options):
    """Copies the prepared cluster into the run's directory, preparing it first if need be."""
    images = serving.state_directory() / "images"
    images.mkdir(exist_ok=True)
    name = image_name(run, options)
    while True:
        with serving.locked(images / "lock", shared=True):
            if (images / name).exists():
                run.call(["cp", "-a", "--sparse=always", "--reflink=auto", f"{images / name}/.", run.directory])
                return
        with serving.locked(images / "lock"):
            if (images / name).exists():
                continue
            prepared = images / "unfinished"
            shutil.rmtree(prepared, ignore_errors=True)  # of a preparation that was killed
            prepared.mkdir()
            Cluster(run, prepared, options).make()
            for old in images.glob("rgw-*"):
                if old.stat().st_mtime < time.time() - 7 * 86400:  # of an earlier version of Ceph or of this program
                    shutil.rmtree(old, ignore_errors=True)
            prepared.rename(images / name)


def check_programs():
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        raise serving.CannotRun(f"Debian packages are missing: {' '.join(missing)} (scripts/install-deps.sh test)")


def start(run, options):
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    check_programs()
    copy_image(run, options)
    cluster = Cluster(run, run.directory, options)
    fsid = (run.directory / "fsid").read_text()
    cluster.configure(fsid)
    cluster.call("ceph-mon", "-i", "a", "--inject-monmap", cluster.make_monmap(fsid))
    cluster.start_mon()
    with cluster.monitor() as command:
        cluster.start_osd(command)
    cluster.start_rgw()
    run.wait_until(cluster.rgw_answers, START_SECONDS, "the gateway answers")
    return {"endpoint": f"http://127.0.0.1:{cluster.rgw_port}", "storage_classes": ["STANDARD", *STORAGE_CLASSES]}


def add_options(parser):
    parser.add_argument("--objectstore", choices=("memstore", "bluestore"), default="memstore",
                        help="where objects are: in memory (default), or in a sparse file below build/")
    parser.add_argument("--size-gib", type=int, default=16, help="room for objects")


if __name__ == "__main__":
    sys.exit(serving.main("rgw", start, __doc__.splitlines()[0], add_options))
