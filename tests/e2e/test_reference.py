"""Archives are exchanged with S3 Cross-Region Compressor in both directions, over servers of S3 and SQS: its target
service would understand what Bale writes, and Bale lands what its source service wrote. (A10, A12-A14, A23-A26)"""
import hashlib
import json
import random
import re

import pytest

import reference_reader
import reference_writer
from conftest import MiB, text_of, tree_of
from stacks import TARGET, Stack

OTHER = "ap-southeast-2"


RGW = "rgw-moto-dynalite"


@pytest.fixture
def stack(request, tmp_path):
    """On the servers that the test names, or on RGW with moto's queues and dynalite's tables."""
    names = getattr(request, "param", RGW).split("-")
    return Stack(tmp_path, *[request.getfixturevalue(name) for name in names * (3 // len(names))])


def stored(stack, bucket):
    """Key -> (content, tags, storage class)."""
    s3, found = stack.client("s3", TARGET), {}
    for key in stack.keys(bucket):
        got = s3.get_object(Bucket=bucket, Key=key)
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
        found[key] = got["Body"].read(), tags, got.get("StorageClass", "STANDARD")
    return found


def rows(stack):
    """The lines of all catalog files."""
    s3 = stack.client("s3", TARGET)
    return [json.loads(line) for key in stack.keys(stack.catalog)
            for line in s3.get_object(Bucket=stack.catalog, Key=key)["Body"].read().decode().splitlines()]


def put_objects(stack, prefix):
    """Objects of all kinds below `prefix`: one of them in several frames."""
    chance = random.Random(3)
    contents = {"plain": b"x", "empty": b"", "deep/er/one": b"line\n" * 1000, "with space+plus%": b"y",
                "ünï/日本": b"z", "a" * 150 + "/" + "b" * 150: b"long", "text": text_of(chance, MiB),
                "large": chance.randbytes(17 * MiB)}
    for number, (key, content) in enumerate(contents.items()):
        options = {"StorageClass": "STANDARD_IA"} if number % 2 else {"Tagging": f"kind=raw&site=north%2F{number}"}
        stack.put(prefix + key, content, **options)
    return {prefix + key: content for key, content in contents.items()}


@pytest.mark.parametrize("stack,prefix", [("moto", ""), (RGW, "logs/")], indirect=["stack"])
def test_its_target_would_do_with_an_archive_what_bale_does(stack, prefix):
    stack.add_targets(f"/{stack.name}/{stack.bucket}" + f"/{prefix}".rstrip("/"))
    contents = put_objects(stack, prefix)
    stack.service("source", MONITORED_PREFIX=prefix)
    name, = stack.keys(stack.outbound)
    archive = stack.client("s3").get_object(Bucket=stack.outbound, Key=name)["Body"].read()
    assert archive.count(b"\x28\xb5\x2f\xfd") > 2, "several frames"
    effect = reference_reader.read(archive, TARGET, stack.directory / "its")
    assert {upload.key: upload.body for upload in effect.uploads} == contents
    assert sorted(effect.published_keys) == sorted(contents), "its version without backup mode finds the keys too"
    assert effect.skipped == [] and effect.backup_buckets == [stack.vault]
    assert {(upload.bucket, upload.kms_key_arn) for upload in effect.uploads} == {(stack.copy, None)}
    for upload in effect.uploads:
        head = stack.client("s3").head_object(Bucket=stack.bucket, Key=upload.key)
        assert upload.tags["OriginalETag"] == head["ETag"].strip('"')
        assert upload.tags["OriginalCreationTime"] == head["LastModified"].strftime("%Y-%m-%d %H:%M:%S")
        assert ("kind" in upload.tags) != (upload.storage_class == "STANDARD_IA")
    # The same to the byte as Bale's own target.
    stack.replicate_as_s3_does()
    stack.service("target")
    assert stored(stack, stack.copy) == {upload.key: (upload.body, upload.tags, upload.storage_class)
                                         for upload in effect.uploads}
    assert stored(stack, stack.vault)[name][0] == archive
    # The name that suits both of its versions is the relative key; Bale's own rows have the last component.
    known = [field for field in effect.rows[0] if field != "object_name"]
    assert sorted(([row[field] for field in known] for row in rows(stack))) == sorted(
        [row[field] for field in known] for row in effect.rows)


def test_its_target_leaves_out_what_it_cannot_unpack(stack):
    """A key that is no safe path has another name in the archive, under which that program finds nothing; it would have
    written `../x` outside its directory."""
    stack.add_targets(backup=False)
    for key in ("../x", "a//b", "good"):
        stack.put(key, key.encode())
    stack.service("source")
    name, = stack.keys(stack.outbound)
    archive = stack.client("s3").get_object(Bucket=stack.outbound, Key=name)["Body"].read()
    effect = reference_reader.read(archive, TARGET, stack.directory / "its")
    assert [upload.key for upload in effect.uploads] == ["good"] and len(effect.skipped) == 2
    assert not (stack.directory / "x").exists()


def its_archive(stack, prefix, docs_form, published=False):
    """An archive as its source writes it, in the inbound bucket; returns its name and key -> (content, entry)."""
    contents = {"a b+c": b"one\n" * 999, "deep/er/ünï": b"two", "empty": b"",
                "big": text_of(random.Random(5), 3 * MiB)}
    objects = {}
    for number, (key, content) in enumerate(contents.items()):
        tags = [("kind", "raw"), ("n", str(number))]
        entry = reference_writer.entry(stack.bucket, prefix, f"{prefix}/{key}" if prefix else key, content,
                                       hashlib.md5(content).hexdigest(), tags,
                                       "STANDARD_IA" if key == "empty" else "STANDARD", published=published)
        if docs_form:
            entry["tags"] = [{"key": name, "value": value} for name, value in tags]
        objects[f"{prefix}/{key}" if prefix else key] = (content, entry)
    targets = [{"region": TARGET, "bucket": stack.copy}, {"region": OTHER, "bucket": "elsewhere"},
               {"region": TARGET, "bucket": stack.vault, "backup": True, "storage_class": "GLACIER_IR"}]
    # As in a batch that held two events of one key.
    twice = [(objects[key][1] | {"etag": "older", "size": 5}, b"older") for key in objects if key.endswith("a b+c")]
    written = [(entry, content) for content, entry in objects.values()]
    archive = reference_writer.archive(twice + written, targets)
    name = reference_writer.name(stack.bucket, prefix)
    stack.client("s3", TARGET).put_object(Bucket=stack.inbound, Key=name, Body=archive)
    stack.announce(TARGET, stack.arrivals, stack.inbound, name)
    return name, archive, objects


@pytest.mark.parametrize("stack,prefix,docs_form,published", [
    (RGW, "", False, False), ("moto", "logs/raw", True, False), ("moto", "", False, True),
    ("moto", "logs/raw", False, True)], indirect=["stack"])
def test_what_its_source_wrote_lands(stack, prefix, docs_form, published):
    name, archive, objects = its_archive(stack, prefix, docs_form, published)
    stack.service("target")
    assert stored(stack, stack.copy) == {key: (content, {
        "kind": "raw", "n": str(number), "OriginalCreationTime": "2025-01-23 09:05:07", "OriginalETag": entry["etag"]
    }, entry["storage_class"]) for number, (key, (content, entry)) in enumerate(objects.items())}
    assert stored(stack, stack.vault) == {name: (archive, {}, "GLACIER_IR")}
    catalog, = stack.keys(stack.catalog)
    directory, _, file = name.rpartition("/")
    assert re.fullmatch(rf"{directory}/year=\d{{4}}/month=\d\d/day=\d\d/{re.escape(file)}\.jsonl", catalog)
    assert {row["object_path"]: (row["object_size"], row["backup_file"], row["creation_time"])
            for row in rows(stack)} == {key: (len(content), name.rpartition("/")[2], "2025-01-23 09:05:07")
                                        for key, (content, _) in objects.items()}
    assert stack.keys(stack.inbound) == [] and stack.waiting(stack.arrivals, TARGET) == 0


def test_a_backup_of_its_own_can_be_listed_verified_and_extracted(stack):
    name, _, objects = its_archive(stack, "logs", False)
    stack.service("target")
    uri = f"s3://{stack.vault}/{name}"
    listed = {line["key"]: line["bytes"] for line in stack.json("archive", "list", uri) if "key" in line}
    contents = {key.removeprefix("logs/"): content for key, (content, _) in objects.items()}
    assert listed == {key: len(content) for key, content in contents.items()}
    stack.run("archive", "verify", uri)
    stack.run("archive", "extract", uri, "--to", stack.directory / "out")
    assert tree_of(stack.directory / "out") == contents


def test_a_torn_archive_of_its_own_stays_with_its_message(stack):
    name, archive, _ = its_archive(stack, "", False)
    s3 = stack.client("s3", TARGET)
    s3.put_object(Bucket=stack.inbound, Key=name, Body=archive[:len(archive) // 2])
    stack.announce(TARGET, stack.arrivals, stack.inbound, name)
    stack.service_variables("target")
    with stack.start("replicate", "target") as service:
        error = next(line for line in map(json.loads, service.stderr) if line["levelname"] == "ERROR")
        service.terminate()
        service.stdout.close()
    assert name in json.dumps(error)
    assert stack.keys(stack.inbound) == [name] and stack.waiting(stack.arrivals, TARGET) >= 1
    assert stack.keys(stack.copy) == stack.keys(stack.vault) == stack.keys(stack.catalog) == []
