#!/usr/bin/python3
"""Starts OpenStack Swift with its S3 API: one proxy over one copy of everything. See serving.py and docs/testing.md.

Account, container and object server, memcached and the proxy each are one process, with files and ports of this run.
"""
import json
import os
import pwd
import shutil
import subprocess
import sys
import urllib.request

import serving

PYTHON = "/usr/bin/python3"  # Debian's, which has Swift's modules
PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
PARTS = ("account", "container", "object")
START_SECONDS = 60
DEVICE = "disk"
KNOWS_SWIFT = "import swift.proxy.server, swift.account.server, swift.container.server, swift.obj.server"

# Runs one of the servers. Swift looks into /etc/swift unless it is told of another directory before anything is read.
RUNNER = """\
import os
import sys

from swift.common import utils

directory, name = sys.argv[1:]
utils.set_swift_dir(directory)

from swift.common import constraints, storage_policy, wsgi

# The servers stay who started them, in the directory of the run.
os.chdir = lambda _: None
wsgi.drop_privileges = lambda *_, **__: None
constraints.reload_constraints()
storage_policy.reload_storage_policies()
more = {}
if name == "object-server":
    from swift.obj.server import global_conf_callback
    more["global_conf_callback"] = global_conf_callback
sys.exit(wsgi.run_wsgi(f"{directory}/{name}.conf", name, verbose=True, **more))
"""

# Writes one ring for each kind of server: all of them have the one device.
RING_MAKER = """\
import json
import sys

from swift.common.ring import RingBuilder

directory, device, ports = sys.argv[1:]
for kind, port in json.loads(ports).items():
    ring = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    ring.add_dev({"device": device, "region": 1, "zone": 1, "weight": 1.0, "meta": "", "ip": "127.0.0.1", "port": port,
                  "replication_ip": "127.0.0.1", "replication_port": port})
    ring.rebalance(seed="bale")
    ring.get_ring().save(f"{directory}/{kind}.ring.gz")
"""

COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
# One process, which the run can stop.
workers = 0
max_clients = 256
disable_fallocate = true
fallocate_reserve = 0
# No syslog: the log goes to standard output.
log_address = {directory}/no-syslog
log_level = WARNING
"""

STORAGE = COMMON + """\
[pipeline:main]
pipeline = healthcheck {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
[filter:healthcheck]
use = egg:swift#healthcheck
"""

PROXY = COMMON + """\
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo
  versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached_port}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = {region}
# Swift's own page has 1,000 entries; with this one, tests of listings in pages need fewer objects.
max_bucket_listing = 100
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user_of_account} = {secret_key} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""

CONFIGURATION = """\
[swift-hash]
swift_hash_path_suffix = bale
[storage-policy:0]
name = one-copy
default = yes
[swift-constraints]
# What S3 takes in one value. Swift's own limit is 256 bytes.
max_meta_value_length = 2048
"""


def check_programs():
    if shutil.which("memcached") is None or subprocess.run(
            [PYTHON, "-c", KNOWS_SWIFT], check=False, capture_output=True, stdin=subprocess.DEVNULL,
            env=serving.clean_environment()).returncode != 0:
        raise serving.CannotRun(f"Debian packages are missing: {PACKAGES} (scripts/install-deps.sh test)")


def check_attributes(directory):
    """Swift keeps an object's metadata in extended attributes of its file."""
    probe = directory / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.metadata", b"x" * 3000)
    except OSError as error:
        raise serving.CannotRun(f"no extended attributes of 3,000 bytes in {directory} ({error.strerror}): "
                                "BALE_TEST_RUNS_DIR names a directory on another file system") from error
    probe.unlink()


def answers(port):
    """Whether the server at the port says that it is healthy."""
    if not serving.listening(port):
        return False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def configure(run, ports):
    """Writes the configuration of all servers and the rings."""
    directory = run.directory
    (directory / "devices" / DEVICE).mkdir(parents=True)
    account, user_of_account = serving.ACCESS_KEY.split(":")
    words = {"directory": directory, "region": serving.REGION, "memcached_port": ports["memcached"],
             "account": account, "user_of_account": user_of_account, "secret_key": serving.SECRET_KEY}
    (directory / "swift.conf").write_text(CONFIGURATION)
    (directory / "proxy-server.conf").write_text(PROXY.format(port=ports["proxy"], **words))
    for kind in PARTS:
        (directory / f"{kind}-server.conf").write_text(STORAGE.format(kind=kind, port=ports[kind], **words))
    (directory / "mime.types").touch()
    (directory / "runner.py").write_text(RUNNER)
    (directory / "ring_maker.py").write_text(RING_MAKER)
    run.call([PYTHON, "-B", "ring_maker.py", directory, DEVICE, json.dumps({kind: ports[kind] for kind in PARTS})])


def distinct_ports(names):
    ports = {}
    for name in names:
        port = serving.free_port()
        while port in ports.values():
            port = serving.free_port()
        ports[name] = port
    return ports


def start(run, options):
    check_programs()
    check_attributes(run.directory)
    ports = distinct_ports([*PARTS, "proxy", "memcached"])
    configure(run, ports)
    as_user = ["-u", pwd.getpwuid(os.geteuid()).pw_name] if os.geteuid() == 0 else []
    run.start("memcached", [shutil.which("memcached"), "-l", "127.0.0.1", "-p", ports["memcached"], "-U", 0, "-m", 32,
                            *as_user])
    for kind in (*PARTS, "proxy"):
        run.start(kind, [PYTHON, "-B", "runner.py", run.directory, f"{kind}-server"])
    run.wait_until(lambda: serving.listening(ports["memcached"]) and all(answers(ports[kind]) for kind in
                                                                         (*PARTS, "proxy")),
                   START_SECONDS, "all servers answer")
    return {"endpoint": f"http://127.0.0.1:{ports['proxy']}"}


if __name__ == "__main__":
    sys.exit(serving.main("swift", start, __doc__.splitlines()[0]))
