"""OpenStack Swift's S3 API, a server that refuses what it does not have (501) where others ignore it."""
import hashlib
import os
import subprocess

from conftest import Finished, MiB, binary, tree_of, write_tree
from test_servers import refused


def run(swift, directory, *arguments, status=0):
    """Runs the program on the server; `status` is what it must end with (None: anything)."""
    environment = {name: value for name, value in swift.environment().items() if not name.startswith("BALE_")}
    command = [binary(), "--endpoint-url", swift.endpoint, *map(str, arguments)]
    done = subprocess.run(command, env={**environment, "HOME": str(directory)}, cwd=directory,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120)
    finished = Finished([word.encode() for word in command], done.returncode, done.stdout, done.stderr)
    assert status is None or finished.status == status, repr(finished)
    return finished


def test_swift_checks_signatures(swift):
    assert refused(swift.client("s3", aws_secret_access_key="wrong").list_buckets) == (403, "SignatureDoesNotMatch")


def test_swift_refuses_what_it_does_not_have(swift):
    """What docs/testing.md says of this server."""
    s3, bucket = swift.client("s3"), swift.bucket()
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", Tagging="a=1") == (501, "NotImplemented")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")[0] == 400
    assert refused(s3.get_bucket_notification_configuration, Bucket=bucket) == (501, "NotImplemented")


def test_objects_there_and_back(swift, tmp_path):
    bucket = swift.bucket()
    files = {"small": b"content", "empty": b"", "deep/er/with space+%2F": b"x" * 1000, "parts": os.urandom(17 * MiB)}
    write_tree(tmp_path / "in", files)
    run(swift, tmp_path, "s3", "cp", "--recursive", "in", f"s3://{bucket}/p/", "--metadata", "owner=me")
    listed = run(swift, tmp_path, "--output", "json", "s3", "ls", "--recursive", f"s3://{bucket}").lines()
    assert {line["key"]: line["size"] for line in listed} == {f"p/{name}": len(data) for name, data in files.items()}
    stat = run(swift, tmp_path, "--output", "json", "s3", "stat", f"s3://{bucket}/p/small").lines()[0]
    assert stat["etag"] == hashlib.md5(b"content").hexdigest() and stat["metadata"] == {"owner": "me"}
    run(swift, tmp_path, "s3", "cp", "--recursive", f"s3://{bucket}/p/", "out")
    assert tree_of(tmp_path / "out") == files
    run(swift, tmp_path, "s3", "rm", f"s3://{bucket}/p/small")
    run(swift, tmp_path, "s3", "rm", "--recursive", f"s3://{bucket}/p/")
    run(swift, tmp_path, "s3", "ls", f"s3://{bucket}/p/", status=3)


def test_every_version_is_removed(swift, tmp_path):
    """Swift's listing says that it goes on after a version that is not there; a page of this server has 100."""
    s3, bucket = swift.client("s3"), swift.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(120):
        s3.put_object(Bucket=bucket, Key=f"k{number % 24}", Body=b"")
    s3.delete_object(Bucket=bucket, Key="k7")
    listed = run(swift, tmp_path, "--output", "json", "s3", "ls", "--versions", f"s3://{bucket}").lines()
    assert len({(line["key"], line["version_id"]) for line in listed}) == len(listed) == 121
    run(swift, tmp_path, "--connections", "4", "s3", "rm", "--recursive", "--all-versions", f"s3://{bucket}")
    versions = s3.list_object_versions(Bucket=bucket)
    assert versions.get("Versions", []) == [] and versions.get("DeleteMarkers", []) == []
