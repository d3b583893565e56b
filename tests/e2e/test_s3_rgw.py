"""The program against an S3 server, Ceph RGW, with boto3 as the judge of what it left there, and of what it read."""
import hashlib
import json
import os
import pathlib
import pty
import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import Finished, MiB, attributes, binary, bytes_of, tree_of, write_tree
from fault_proxy import FaultProxy
from fault_rules import Rule

PART = 8 * MiB  # of an upload, as with `aws s3`
SECONDS = 60  # no command here takes longer
UNREPEATED = b"(?i)\r\nIf-None-Match:"  # servers.road: sent twice, such a write is refused, and nobody knows why

# Every character that means something else in a path, a query, a form, XML or a shell; S3 takes them all.
KEYS = ["a b", " a", "a+b", "a%b", "a%2Fb", "%", "ü/日本語", "e\u0301", "a//b", "/a", "//", "a/../b", "../a", "..",
        "a/./b", "a/", "a?b", "a#b", "a&b=c", "<a>\"'", "a\tb", "a\\b", "~*()!';:@$,[]{}^`|", "\U0001F600", "x" * 1024]


class Remote:
    """The program, told where a server is by its environment and `--endpoint-url`."""

    def __init__(self, server, directory, endpoint=None):
        self.server, self.directory = server, pathlib.Path(directory)
        self.endpoint = endpoint or server.endpoint
        self.environment = {name: value for name, value in server.environment().items() if not name.startswith("BALE_")}
        self.environment["HOME"] = str(directory)

    def run(self, *arguments, status=0, environment=None, endpoint=True):
        """Runs the program, which must end with `status`; `environment` changes variables (None takes one away)."""
        changed = {**self.environment, **(environment or {})}
        place = ["--endpoint-url", self.endpoint] if endpoint else []
        command = [bytes_of(word if isinstance(word, bytes) else str(word)) for word in (binary(), *place, *arguments)]
        done = subprocess.run(command, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS, env={n: v for n, v in changed.items() if v is not None})
        finished = Finished(command, done.returncode, done.stdout, done.stderr)
        assert status is None or finished.status == status, repr(finished)
        return finished

    def json(self, *arguments, **options):
        return self.run("--output", "json", *arguments, **options).lines()


@pytest.fixture
def remote(rgw, road, tmp_path):
    """Tests with a fault of their own make another, with an endpoint of their own."""
    return Remote(rgw, tmp_path, road.endpoint(rgw))


@pytest.fixture
def s3(rgw):
    return rgw.client("s3")


@pytest.fixture
def bucket(rgw, s3):
    return rgw.bucket(s3)


def keys_of(s3, bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sorted(item["Key"] for page in pages for item in page.get("Contents", []))


def content_of(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def tags_of(s3, bucket, key):
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


def etag_of_parts(content, size):
    digests = [hashlib.md5(content[start:start + size]).digest() for start in range(0, len(content), size)]
    return f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'


# Buckets

def test_buckets(remote, s3):
    name = "bale-e2e-" + hashlib.sha256(str(remote.directory).encode()).hexdigest()[:20]
    remote.run("s3", "mb", f"s3://{name}", "--versioning")
    assert name in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert name in [line["name"] for line in remote.json("s3", "ls")]
    assert "exists" in remote.run("s3", "mb", f"s3://{name}", status=4).err
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.put_object(Bucket=name, Key="k", Body=b"2")
    s3.delete_object(Bucket=name, Key="k")
    assert "delete what is in it first" in remote.run("s3", "rb", f"s3://{name}", status=4).err
    assert len(remote.json("s3", "ls", "--versions", f"s3://{name}")) == 3
    remote.run("s3", "rm", "--recursive", "--all-versions", f"s3://{name}/")
    remote.run("s3", "rb", f"s3://{name}")
    assert name not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


# Objects

@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:20])
def test_every_key(remote, s3, bucket, key):
    content = f"of {key}".encode()
    path = remote.directory / "file"
    path.write_bytes(content)
    uri = f"s3://{bucket}/{key}"
    remote.run("s3", "cp", "--exact-key", path, uri)
    assert keys_of(s3, bucket) == [key]
    assert content_of(s3, bucket, key) == content
    assert [line["key"] for line in remote.json("s3", "ls", "--recursive", f"s3://{bucket}")] == [key]
    assert remote.json("s3", "stat", uri)[0]["size"] == len(content)
    assert remote.run("s3", "cp", uri, "-").out.encode() == content
    remote.run("s3", "cp", "--exact-key", uri, f"s3://{bucket}/copy")
    assert content_of(s3, bucket, "copy") == content
    remote.run("s3", "rm", uri)
    assert keys_of(s3, bucket) == ["copy"]


def test_what_is_stored_with_an_object(remote, s3, bucket):
    path = remote.directory / "page.html"
    path.write_bytes(b"<p>")
    metadata, tags = {"owner": "Zoë", "empty": "", "plain": "a=b, c"}, {"team": "r+d = ü", "a/b": "c=d@e", "none": ""}
    headers = {"cache-control": "max-age=60", "content-disposition": 'attachment; filename="a b"',
               "content-language": "de", "content-encoding": "identity",
               "expires": "Thu, 01 Dec 2033 16:00:00 GMT"}
    remote.run("s3", "cp", path, f"s3://{bucket}/dir/", *attributes(metadata, tags, "STANDARD_IA", headers))
    head = s3.head_object(Bucket=bucket, Key="dir/page.html")
    from_wire = {name: str(value) for name, value in head["ResponseMetadata"]["HTTPHeaders"].items()}
    assert head["ContentType"] == "text/html" and head["StorageClass"] == "STANDARD_IA"
    assert {name: from_wire[name] for name in headers} == headers
    assert tags_of(s3, bucket, "dir/page.html") == tags
    stat = remote.json("s3", "stat", f"s3://{bucket}/dir/page.html")[0]
    assert stat["metadata"] == metadata and stat["tags"] == tags
    assert stat["etag"] == hashlib.md5(b"<p>").hexdigest()
    remote.run("s3", "cp", f"s3://{bucket}/dir/page.html", f"s3://{bucket}/copy")
    copy = remote.json("s3", "stat", f"s3://{bucket}/copy")[0]
    assert {name: copy[name] for name in ("metadata", "tags", "storage_class", "size")} == {
        name: stat[name] for name in ("metadata", "tags", "storage_class", "size")}


def test_metadata_that_boto3_wrote(remote, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"name": "value"}, Tagging="a=1&b=%20c",
                  ContentType="x/y")
    stat = remote.json("s3", "stat", f"s3://{bucket}/k")[0]
    assert (stat["metadata"], stat["tags"]) == ({"name": "value"}, {"a": "1", "b": " c"})
    assert "x/y" in json.dumps(stat)


def test_large_objects_go_in_parts(remote, s3, bucket, seeded):
    content = seeded.randbytes(2 * PART + 12345)
    path = remote.directory / "large"
    path.write_bytes(content)
    remote.run("s3", "cp", path, f"s3://{bucket}/large", *attributes({"m": "1"}, {"t": "2"}))
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ETag"] == etag_of_parts(content, PART)
    assert head["Metadata"] == {"m": "1"} and tags_of(s3, bucket, "large") == {"t": "2"}
    assert content_of(s3, bucket, "large") == content
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    remote.run("s3", "cp", f"s3://{bucket}/large", remote.directory / "back")
    assert (remote.directory / "back").read_bytes() == content
    remote.run("s3", "cp", f"s3://{bucket}/large", f"s3://{bucket}/copy")
    assert content_of(s3, bucket, "copy") == content and tags_of(s3, bucket, "copy") == {"t": "2"}


def test_an_archive_is_read_by_ranges(rgw, s3, bucket, tmp_path, seeded):
    tree = {f"dir/{number}": seeded.randbytes(2 * MiB) for number in range(12)}
    write_tree(tmp_path / "tree", tree)
    with FaultProxy(rgw.endpoint) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        remote.run("archive", "create", f"s3://{bucket}/all.tar.zst", tmp_path / "tree")
        size = s3.head_object(Bucket=bucket, Key="all.tar.zst")["ContentLength"]
        listed = remote.json("archive", "list", f"s3://{bucket}/all.tar.zst")
        names = [line["key"] for line in listed if "key" in line]
        assert len(names) == len(tree) and size > 20 * MiB
        one = next(name for name in names if name.endswith("dir/7"))
        remote.run("archive", "extract", f"s3://{bucket}/all.tar.zst", "--to", tmp_path / "one", one)
    assert list(tree_of(tmp_path / "one").values()) == [tree["dir/7"]]


def test_recursive_both_ways(remote, s3, bucket, seeded):
    tree = {f"d{number % 7}/ü {number}+%.txt": seeded.randbytes(seeded.randrange(2000)) for number in range(150)}
    tree |= {"large": seeded.randbytes(PART + 1), "empty": b""}
    write_tree(remote.directory / "from", tree)
    remote.run("s3", "cp", "--recursive", remote.directory / "from", f"s3://{bucket}/top")
    assert keys_of(s3, bucket) == sorted(f"top/{name}" for name in tree)
    remote.run("s3", "cp", "--recursive", f"s3://{bucket}/top/", remote.directory / "back")
    assert tree_of(remote.directory / "back") == tree
    remote.run("s3", "cp", "--recursive", f"s3://{bucket}/top/d1", f"s3://{bucket}/other", "--exclude", "*1+*")
    wanted = {name[3:]: content for name, content in tree.items() if name.startswith("d1/") and "1+" not in name}
    assert {key: content_of(s3, bucket, f"other/{key}") for key in wanted} == wanted
    assert len(keys_of(s3, bucket)) == len(tree) + len(wanted)
    remote.run("s3", "rm", "--recursive", f"s3://{bucket}/top/")
    assert keys_of(s3, bucket) == sorted(f"other/{key}" for key in wanted)


def test_more_keys_than_a_page(remote, s3, bucket):
    write_tree(remote.directory / "many", {f"{number:04}": b"" for number in range(1100)})
    remote.run("s3", "cp", "--recursive", remote.directory / "many", f"s3://{bucket}/")
    assert len(remote.json("s3", "ls", "--recursive", f"s3://{bucket}")) == len(keys_of(s3, bucket)) == 1100


def test_versions(remote, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert remote.run("s3", "cp", f"s3://{bucket}/k", "-").out == "new"
    assert remote.run("s3", "cp", f"s3://{bucket}/k", "-", "--version-id", old).out == "old"


def test_write_only_where_nothing_is(remote, s3, bucket, road):
    (remote.directory / "file").write_bytes(b"mine")
    (remote.directory / "large").write_bytes(b"mine" * 3 * MiB)
    s3.put_object(Bucket=bucket, Key="k", Body=b"theirs")
    for name in ("file", "large"):
        remote.run("s3", "cp", "--if-none-match", name, f"s3://{bucket}/k", status=4)
        remote.run("s3", "cp", "--if-none-match", name, f"s3://{bucket}/{name}")
    assert content_of(s3, bucket, "k") == b"theirs"
    assert keys_of(s3, bucket) == ["file", "k", "large"]
    # One may be left whose beginning was not answered: nobody knows its name.
    left = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert len(left) <= sum(road.fired().values()), left
    remote.run("doctor", "--no-probes", "--abort-older-than", "0s", f"s3://{bucket}")
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


# Servers that refuse to know what is optional, as OpenStack Swift does

@pytest.mark.parametrize("status, code", [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_server_that_refuses_conditions_gets_none(rgw, s3, bucket, tmp_path, status, code):
    refuse = Rule("error", times=None, status=status, code=code, header="^If-(None-)?Match:", match="^(PUT|POST) ")
    with FaultProxy(rgw.endpoint, refuse) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        (tmp_path / "small").write_bytes(b"mine")
        (tmp_path / "large").write_bytes(b"mine" * 3 * MiB)
        s3.put_object(Bucket=bucket, Key="there", Body=b"theirs")
        for name in ("small", "large"):
            remote.run("s3", "cp", "--if-none-match", name, f"s3://{bucket}/{name}")
            remote.run("s3", "cp", "--if-none-match", f"s3://{bucket}/{name}", f"s3://{bucket}/{name}-copy")
            assert content_of(s3, bucket, f"{name}-copy") == (tmp_path / name).read_bytes()
            for source in (name, f"s3://{bucket}/{name}"):
                refused = remote.run("s3", "cp", "--if-none-match", source, f"s3://{bucket}/there", status=4)
                assert "NotImplemented" not in refused.err
    assert content_of(s3, bucket, "there") == b"theirs"
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


@pytest.mark.parametrize("status, code", [(412, "PreconditionFailed"), (501, "NotImplemented")])
def test_uploads_in_parts_are_copied_though_their_etag_is_not_known(rgw, s3, bucket, tmp_path, status, code):
    refuse = Rule("error", times=None, status=status, code=code, header="^x-amz-copy-source-if-match: .*-3")
    (tmp_path / "large").write_bytes(b"mine" * 5 * MiB)
    with FaultProxy(rgw.endpoint, refuse) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        remote.run("s3", "cp", "large", f"s3://{bucket}/large")
        remote.run("s3", "cp", f"s3://{bucket}/large", f"s3://{bucket}/copy")
    assert content_of(s3, bucket, "copy") == (tmp_path / "large").read_bytes()


def test_the_error_says_what_a_write_can_go_without(rgw, bucket, tmp_path):
    refuse = Rule("error", times=None, status=501, code="NotImplemented", header="^x-amz-tagging:")
    (tmp_path / "file").write_bytes(b"x")
    with FaultProxy(rgw.endpoint, refuse) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        refused = remote.run("s3", "cp", "--tag", "a=1", "file", f"s3://{bucket}/k", status=2)
        assert "hint: if the server does not know one of these" in refused.err and "--tagging ''" in refused.err
        remote.run("s3", "cp", "--tagging", "", "file", f"s3://{bucket}/k")


def test_without_a_type_an_object_has_that_of_s3(rgw, s3, bucket, tmp_path):
    remote = Remote(rgw, tmp_path)
    for name, content in (("small", b"x"), ("large", b"x" * 17 * MiB)):
        (tmp_path / name).write_bytes(content)
        remote.run("s3", "cp", "--no-guess-mime-type", name, f"s3://{bucket}/{name}")
        assert s3.head_object(Bucket=bucket, Key=name)["ContentType"] == "binary/octet-stream"


# What is refused

@pytest.mark.parametrize("status", [400, 301, 403])
@pytest.mark.parametrize("arguments", ["stat s3://{}/k", "cp s3://{}/k s3://{}/copy"])
def test_a_refused_head_is_asked_again_as_get(rgw, s3, bucket, tmp_path, arguments, status):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    refuse = Rule("error", times=None, status=status, code="Any", match="^HEAD ")
    with FaultProxy(rgw.endpoint, refuse) as proxy:
        Remote(rgw, tmp_path, proxy.endpoint).run("s3", *arguments.format(bucket, bucket).split())


@pytest.mark.parametrize("arguments", ["ls s3://{}", "ls", "cp file s3://{}/k", "stat s3://{}/k", "cp s3://{}/k .",
                                       "rm s3://{}/k"])
def test_a_wrong_secret(remote, bucket, arguments):
    (remote.directory / "file").write_bytes(b"x")
    wrong = "wrong-secret-0123456789-abcdefghijklmnop"
    finished = remote.run("s3", *arguments.format(bucket).split(), status=4,
                          environment={"AWS_SECRET_ACCESS_KEY": wrong})
    assert "hint: " in finished.err and re.search("access key|credentials", finished.err), finished
    assert "SignatureDoesNotMatch" in finished.err  # also where a HEAD is what is refused
    for secret in (wrong, remote.server.secret_key):
        assert secret not in finished.err + finished.out


@pytest.mark.parametrize("arguments", [
    "ls s3://{}", "cp file s3://{}/k", "cp s3://{}/k .", "stat s3://{}/k", "rb s3://{}", "cp --recursive dir s3://{}/k",
    "cp --recursive s3://{}/k dir", "rm --recursive s3://{}/k"])
def test_a_missing_bucket(remote, arguments):
    write_tree(remote.directory, {"file": b"x", "dir/file": b"x"})
    finished = remote.run("s3", *arguments.format("bale-no-such-bucket").split(), status=3)
    assert "bale-no-such-bucket" in finished.err and "bucket" in finished.err


def test_a_missing_object(remote, bucket):
    for arguments in (["cp", f"s3://{bucket}/k", "."], ["stat", f"s3://{bucket}/k"],
                      ["cp", f"s3://{bucket}/k", f"s3://{bucket}/l"]):
        assert f"s3://{bucket}/k" in remote.run("s3", *arguments, status=3).err


def test_nobody_answers(remote, rgw):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        there = Remote(rgw, remote.directory, f"http://127.0.0.1:{unused.getsockname()[1]}")
        finished = there.run("s3", "ls", status=4)
    assert "no connection" in finished.err and "hint: check that the service runs and is reachable" in finished.err
    finished = remote.run("--endpoint-url", "ftp://host", "s3", "ls", status=2, endpoint=False)
    assert "--endpoint-url" in finished.err


def test_no_credentials(remote, bale):
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    finished = remote.run("s3", "ls", status=4, environment=nobody)
    assert "no credentials" in finished.err
    assert "AWS_ACCESS_KEY_ID" in finished.err and "--profile" in finished.err and "--local" in finished.err


# Who and where

def test_a_profile_says_who_and_where(remote, rgw, s3, bucket):
    write_tree(remote.directory, {
        "config": f"[profile work]\nregion = eu-central-1\nendpoint_url = {rgw.endpoint}\n".encode(),
        "credentials": (f"[work]\naws_access_key_id={rgw.access_key}\n"
                        f"aws_secret_access_key={rgw.secret_key}\n").encode()})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    environment = {"AWS_CONFIG_FILE": str(remote.directory / "config"), "AWS_REGION": None, "AWS_DEFAULT_REGION": None,
                   "AWS_SHARED_CREDENTIALS_FILE": str(remote.directory / "credentials"),
                   "AWS_SECRET_ACCESS_KEY": "wrong"}
    work = {"environment": environment, "endpoint": False}
    assert "k" in remote.run("s3", "ls", f"s3://{bucket}", "--profile", "work", **work).out
    url = remote.run("s3", "presign", f"s3://{bucket}/k", "--profile", "work", **work).out
    assert "eu-central-1" in url, "the profile's region"
    # Keys of the environment count more than a profile that the environment chooses, as with the AWS command line.
    remote.run("s3", "ls", status=4, environment={**environment, "AWS_PROFILE": "work"}, endpoint=False)
    missing = remote.run("s3", "ls", "--profile", "play", status=2, environment=environment)
    assert "there is no such profile" in missing.err


def test_a_service_has_an_endpoint_of_its_own(remote, rgw, bucket):
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": rgw.endpoint}
    remote.run("s3", "ls", f"s3://{bucket}", endpoint=False, environment=environment)


def test_a_ca_bundle_that_is_not_there(remote):
    there = ("--endpoint-url", remote.endpoint.replace("http:", "https:"), "--ca-bundle", remote.directory / "none.pem")
    finished = remote.run(*there, "s3", "ls", status=2, endpoint=False)
    assert "authorities" in finished.err and "--ca-bundle" in finished.err


def test_local_wins(remote, bale):
    bale.make_bucket("here", "eu-west-1")
    assert [line["name"] for line in remote.json("--local", bale.store, "s3", "ls")] == ["here"]


# Faults

def upload_and_back(remote, s3, bucket, content):
    path = remote.directory / "file"
    path.write_bytes(content)
    remote.run("s3", "cp", path, f"s3://{bucket}/k", *attributes({"m": "1"}, {"t": "2"}))
    assert content_of(s3, bucket, "k") == content and tags_of(s3, bucket, "k") == {"t": "2"}
    remote.run("s3", "cp", f"s3://{bucket}/k", remote.directory / "back")
    assert (remote.directory / "back").read_bytes() == content
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


@pytest.mark.parametrize("size", [1000, 2 * PART + 5], ids=["small", "parts"])
@pytest.mark.parametrize("method, fault, times, status", [
    ("PUT", "error", 2, 503), ("GET", "error", 2, 500), ("HEAD", "error", 1, 503), ("PUT", "lose_answer", 1, None),
    ("PUT", "cut_request", 1, None), ("GET", "cut_answer", 2, None), ("GET", "cut_before", 1, None),
    ("PUT", "fail_answer", 1, 500)])
def test_faults_that_pass_are_not_noticed(rgw, s3, bucket, tmp_path, seeded, size, method, fault, times, status):
    with FaultProxy(rgw.endpoint, Rule(fault, match=f"^{method}", times=times, status=status or 503)) as proxy:
        upload_and_back(Remote(rgw, tmp_path, proxy.endpoint), s3, bucket, seeded.randbytes(size))


@pytest.mark.parametrize("fault", ["error", "lose_answer", "fail_answer", "cut_after"])
@pytest.mark.parametrize("match", ["^POST .*uploads", "^POST .*uploadId"], ids=["begin", "complete"])
def test_uploads_begin_and_end_through_faults(rgw, s3, bucket, tmp_path, seeded, fault, match):
    with FaultProxy(rgw.endpoint, Rule(fault, match=match)) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        content = seeded.randbytes(PART + 5)
        (tmp_path / "file").write_bytes(content)
        remote.run("s3", "cp", "file", f"s3://{bucket}/k", *attributes({"m": "1"}, {"t": "2"}))
    assert content_of(s3, bucket, "k") == content
    assert tags_of(s3, bucket, "k") == {"t": "2"}, "tags are mended also by the attempt that finds the upload gone"


@pytest.mark.parametrize("size", [10, PART + 10], ids=["small", "parts"])
def test_a_condition_holds_though_the_answer_was_lost(rgw, s3, bucket, tmp_path, seeded, size):
    match = "^PUT" if size < PART else "^POST .*uploadId"
    content = seeded.randbytes(size)
    (tmp_path / "file").write_bytes(content)
    with FaultProxy(rgw.endpoint, Rule("lose_answer", match=match)) as proxy:
        Remote(rgw, tmp_path, proxy.endpoint).run("s3", "cp", "--if-none-match", "file", f"s3://{bucket}/k")
    assert content_of(s3, bucket, "k") == content


@pytest.mark.parametrize("fault", ["lose_answer", "fail_answer", "repeat", "error"])
def test_removing_a_bucket_through_faults(rgw, s3, bucket, tmp_path, fault):
    """Whether the bucket was there is not told by the second answer: it is looked for first."""
    with FaultProxy(rgw.endpoint, Rule(fault, match="^DELETE")) as proxy:
        Remote(rgw, tmp_path, proxy.endpoint).run("s3", "rb", f"s3://{bucket}")
    assert bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    rule = Rule(fault, match="^(HEAD|DELETE)")
    with FaultProxy(rgw.endpoint, rule) as proxy:
        missing = Remote(rgw, tmp_path, proxy.endpoint).run("s3", "rb", f"s3://{bucket}", status=3)
    assert bucket in missing.err and "no such bucket" in missing.err


def test_a_bucket_is_removed_by_who_may_not_look_at_it(rgw, s3, bucket, tmp_path):
    rule = Rule("error", match="^HEAD", times=None, status=403, code="AccessDenied")
    with FaultProxy(rgw.endpoint, rule) as proxy:
        remote = Remote(rgw, tmp_path, proxy.endpoint)
        remote.run("s3", "rb", f"s3://{bucket}")
        assert bucket in remote.run("s3", "rb", f"s3://{bucket}", status=3).err
    assert bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


def test_a_fault_that_stays_ends_with_a_reason(rgw, bucket, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with FaultProxy(rgw.endpoint, Rule("error", match="^PUT", times=None, status=500)) as proxy:
        finished = Remote(rgw, tmp_path, proxy.endpoint).run("s3", "cp", "file", f"s3://{bucket}/k", status=4)
    assert "InternalError" in finished.err and "8 attempts" in finished.err


# Links

def test_presign(remote, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b/ü+%?&.txt", Body=b"content", ContentType="text/x")
    url = remote.run("s3", "presign", f"s3://{bucket}/a b/ü+%?&.txt", "--expires-in", "60").out.strip()
    assert "X-Amz-Expires=60" in url and remote.server.secret_key not in url
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        assert answer.read() == b"content" and answer.headers["Content-Type"] == "text/x"
    for spoiled in (url.replace("Expires=60", "Expires=61"), url.replace(".txt", ".text")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(spoiled, timeout=SECONDS)
        assert refused.value.code == 403
    line = remote.json("s3", "presign", f"s3://{bucket}/k")[0]
    assert line["type"] == "url" and line["expires_in"] == 3600 and "X-Amz-Expires=3600" in line["url"]
    for wrong in ("0", "604801", "x"):
        assert "--expires-in" in remote.run("s3", "presign", f"s3://{bucket}/k", "--expires-in", wrong, status=2).err


def test_no_link_to_the_embedded_store(bale):
    bale.make_bucket("bucket", "eu-west-1")
    finished = bale.run("s3", "presign", "s3://bucket/k", status=2)
    assert "no server that could answer a URL" in finished.err and "hint: " in finished.err


def test_a_server_without_queues_says_where_to_name_one(rgw, tmp_path):
    environment = {**rgw.environment(), "AWS_ENDPOINT_URL": rgw.endpoint, "SQS_QUEUE_URL": "queue", "STACK_NAME": "s",
                   "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run([binary(), "replicate", "target", "--once"], env=environment, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2 and "AWS_ENDPOINT_URL_SQS" in done.stderr, done


# On a terminal

def on_terminal(remote, *arguments):
    """What a terminal is told, escape sequences included."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([binary(), "--endpoint-url", remote.endpoint, *arguments], cwd=remote.directory,
                          stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=remote.environment) as process:
        os.close(theirs)
        told = b""
        try:
            while block := os.read(ours, 65536):
                told += block
        except OSError:  # how Linux says that nobody is at the other end any more
            pass
        os.close(ours)
    assert process.returncode == 0, told
    return told.decode()


def test_progress_on_a_terminal(remote, rgw, bucket):
    (remote.directory / "large").write_bytes(os.urandom(3 * PART))
    write_tree(remote.directory / "many", {str(number): b"x" for number in range(12)})
    with FaultProxy(rgw.endpoint, latency=0.4) as proxy:
        remote.endpoint = proxy.endpoint
        up = on_terminal(remote, "s3", "cp", "large", f"s3://{bucket}/")
        down = on_terminal(remote, "s3", "cp", f"s3://{bucket}/large", "back")
        on_terminal(remote, "s3", "cp", "--recursive", "many", f"s3://{bucket}/many", "--quiet")
        gone = on_terminal(remote, "s3", "rm", "--recursive", f"s3://{bucket}/many", "--connections", "4")
    assert re.search(r"uploading  \S+ M?i?B of 24.0 MiB \(\d+%\)", up) and "object" not in up, up
    assert re.search(r"downloading  \S+ M?i?B of 24.0 MiB \(\d+%\)", down), down
    assert re.search(r"deleting  \d+ objects?\r", gone), gone
    for told in (up, down, gone):  # nothing of it stays
        assert told.endswith("\r\x1b[K"), told
