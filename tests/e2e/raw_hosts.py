"""What the tests of `bale raw` share: hosts with the program, sparse files, and the AWS command line as a judge."""
import contextlib
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from conftest import MiB, binary, wait_until, write_tree
from servers import unavailable
from test_raw_servers import RawOn


class Host(RawOn):
    """A host with the program; `extra`: variables of its environment. Hosts of one `records` share their records."""

    def __init__(self, server, directory, records=None, **s3):
        self.extra = {} if records is None else {"BALE_RAW_RECORDS": str(records)}
        pathlib.Path(directory).mkdir(exist_ok=True)
        super().__init__(server, directory, **s3)

    def environment(self):
        return super().environment() | self.extra

    def begin(self, name="x.raw", raw_id="x", project="P"):
        """Starts a backup, and does not wait for it."""
        return self.start("raw", "backup", raw_id, "--path", self.instrument / name, "--project", project,
                          "--instrument", "i1")

    def copy_only(self, name="x.raw", raw_id="x", project="P"):
        return self.run("raw", "backup", raw_id, "--path", self.instrument / name, "--project", project, "--instrument",
                        "i1", "--copy-only")

    def upload(self, raw_id="x", status=0, **options):
        return self.run("raw", "upload", raw_id, status=status, **options)

    def write_folder(self, name="x.d"):
        """A folder of a Bruker instrument, with an empty file and an empty folder."""
        folder = self.instrument / name
        write_tree(folder, {"analysis.tdf": b"tdf" * 100, "analysis.tdf_bin": os.urandom(5 * MiB + 7),
                            "method/a.xml": b"<a/>", "zero": b""})
        (folder / "empty").mkdir()
        return folder

    def without_pool(self):
        """Files are uploaded from where they are."""
        text = self.yaml.read_text()
        self.yaml.write_text(text.replace(f'"pool_path": "{self.pool}", ', ""))
        assert "pool_path" not in self.yaml.read_text()
        return self

    def copies(self):
        """Every file below the pool, staged ones too."""
        return [path for path in self.pool.rglob("*") if path.is_file()]

    def staged(self):
        return [path for path in self.copies() if ".partial" in str(path)]


def sparse(path, size, head=b""):
    """A file that takes no room: `head`, then zeros."""
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(size)
    return path


@contextlib.contextmanager
def place_of_giants():
    """A directory whose file system takes files of 49 TiB, which ext4 does not."""
    for parent in (None, "/dev/shm"):
        with tempfile.TemporaryDirectory(prefix="bale-giants-", dir=parent) as directory:
            try:
                sparse(pathlib.Path(directory) / "probe", 49 << 40).unlink()
            except OSError:
                continue
            yield pathlib.Path(directory)
            return
    pytest.skip("neither the temporary directory nor /dev/shm takes a sparse file of 49 TiB")


def aws_s3_cp(server, directory, path, uri, part):
    """Copies a file by the AWS command line, in parts of that size from that size on."""
    if shutil.which("aws") is None:
        if shutil.which("dpkg-query"):
            pytest.fail("no aws on PATH: scripts/install-deps.sh test installs awscli", pytrace=False)
        unavailable("awscli", "no aws on PATH, and this is no Debian, whose awscli is installed")
    config = pathlib.Path(directory) / "aws-config"
    config.write_text("[default]\ns3 =\n  addressing_style = path\n"
                      f"  multipart_threshold = {part}\n  multipart_chunksize = {part}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BALE_"))} | {
        "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": server.region, "AWS_CONFIG_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}  # trailers, which newer versions send, are no matter here
    done = subprocess.run(["aws", "--endpoint-url", server.endpoint, "s3", "cp", "--only-show-errors", str(path), uri],
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done


def boto3_upload(server, path, bucket, key, part):
    """Uploads a file by boto3, in parts of that size from that size on. Returns the object's ETag."""
    from boto3.s3.transfer import TransferConfig
    client = server.client("s3")
    config = TransferConfig(multipart_threshold=part, multipart_chunksize=part)
    client.upload_file(str(path), bucket, key, Config=config)
    return etag_of(client, bucket, key)


def etag_of(client, bucket, key):
    return client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')


def stop(process):
    """Freezes a process, and waits until it stands still."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(process) in "TZ")
    assert state_of(process) == "T", "it had ended"


def state_of(process):
    """R, S, T (stopped), Z (ended), ..."""
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def stop_while_reading(host, process):
    """Freezes a backup whose step 1 reads: something is staged, and nothing has its name."""
    wait_until(lambda: any(path.stat().st_size > 0 for path in host.staged()) or state_of(process) == "Z")
    stop(process)
    assert host.staged() == host.copies() != []


def go_on(process):
    """Wakes a process, and waits for its end. Returns its exit status and what it wrote to standard error."""
    process.send_signal(signal.SIGCONT)
    return ended(process)


def ended(process):
    _, err = process.communicate(timeout=120)
    return process.returncode, err.decode()


def interrupt(process):
    """Ends a process as Ctrl-C does, and waits for its end."""
    process.send_signal(signal.SIGINT)
    status, err = ended(process)
    assert status == 130, err
    return err


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def on_a_terminal(host, *arguments):
    """Runs the program where a person watches it. Returns everything that it wrote there."""
    terminal, program_side = pty.openpty()
    seen = bytearray()

    def read():
        with contextlib.suppress(OSError):  # its last writer has ended
            while piece := os.read(terminal, 65536):
                seen.extend(piece)

    process = subprocess.Popen([binary(), *map(str, arguments)], cwd=host.directory,
                               env=host.environment() | {"TERM": "xterm"}, stdin=subprocess.DEVNULL,
                               stdout=program_side, stderr=program_side)
    os.close(program_side)
    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(timeout=600) == 0, seen
    reader.join()
    os.close(terminal)
    return seen.decode()


def is_quiet(server):
    """Whether the server has ended every request for a part."""
    return all(request["ended"] is not None for request in server.asked("UploadPart"))


def part_requests(server):
    """Bytes of each part that was sent as a whole, by number of the part, in order."""
    sent = {}
    for request in server.asked("UploadPart"):
        if request["status"] == 200:
            sent.setdefault(int(request["query"]["partNumber"]), []).append(request["content_bytes"])
    return sent
