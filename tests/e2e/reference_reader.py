"""What the target service of S3 Cross-Region Compressor makes of an archive, after its description and its behaviour.

Tests ask it whether that program would understand what Bale writes. It knows what that program knows, and no more: the
archive is decompressed as a whole, as one zstd stream; manifest.json is a member of the tar, wherever it stands; an
object is found by the name that follows from its `relative_key`; fields that it does not know are not looked at.
"""
import dataclasses
import io
import json
import os
import tarfile

from servers import unavailable


class Unreadable(Exception):
    """That program would log this, and put nothing anywhere."""


@dataclasses.dataclass(frozen=True)
class Upload:
    """An object as it would be put into a bucket; `tags` as a dictionary, `kms_key_arn` None for the bucket's own."""
    bucket: str
    key: str
    body: bytes
    tags: dict
    storage_class: str
    kms_key_arn: str


@dataclasses.dataclass
class Effect:
    """All that would be done: objects put, buckets that get the archive as it is, rows of the catalog, and members of
    the archive that are left out, since no object of the manifest has their name."""
    uploads: list
    backup_buckets: list
    rows: list
    skipped: list
    published_keys: list  # of all objects, by the rule of the published version


def zstandard():
    """Python's zstd; skips the test, or fails it, without it."""
    try:
        import zstandard as module
    except ImportError:
        unavailable("zstandard",
                    "no zstandard in this Python: install python3-zstandard (scripts/install-deps.sh test)")
    return module


def decompressed(archive):
    """All frames of a zstd stream, the skippable ones left out."""
    reader = zstandard().ZstdDecompressor().stream_reader(io.BytesIO(archive), read_across_frames=True)
    return reader.read()


def read(archive, region, directory):
    """What the service of `region` would do with the bytes of an archive, one file at a time below `directory`."""
    with tarfile.open(fileobj=io.BytesIO(decompressed(archive)), mode="r:") as tar:
        members = {member.name: member for member in tar.getmembers() if not member.isdir()}
        if "manifest.json" not in members:
            raise Unreadable("manifest.json not found")
        manifest = json.loads(tar.extractfile(members.pop("manifest.json")).read())
        here = [target for target in manifest.get("targets", []) if target.get("region") == region]
        backups = [target for target in here if target.get("backup", False)]
        normal = [target for target in here if not target.get("backup", False)]
        effect = Effect([], [target["bucket"] for target in backups], rows_of(manifest, backups), [],
                        [published_path_of(entry) for entry in manifest.get("objects", [])])
        if not normal:
            return effect
        objects = {"objects/" + relative_key(entry): entry for entry in manifest.get("objects", [])
                   if entry.get("object_name")}
        for name, member in members.items():
            if name not in objects:
                effect.skipped.append(name)
                continue
            tar.extract(member, path=directory)
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                body = file.read()
            os.remove(path)
            effect.uploads += [upload_of(objects[name], target, body) for target in normal]
    return effect


def relative_key(entry):
    return entry.get("relative_key", entry.get("object_name", ""))


def path_of(entry):
    prefix = entry.get("source_prefix", "")
    return f"{prefix}/{relative_key(entry)}" if prefix else relative_key(entry)


def published_path_of(entry):
    """The key by the rule of the published version, which has no backup mode."""
    prefix, name = entry.get("source_prefix", ""), entry.get("object_name", "")
    return f"{prefix}/{name}" if prefix else name


def upload_of(entry, target, body):
    tags = {name: value for tag in entry.get("tags", []) for name, value in tag.items()}
    for name, field in (("OriginalCreationTime", "creation_time"), ("OriginalETag", "etag")):
        if entry.get(field):
            tags[name] = entry[field]
    return Upload(target["bucket"], path_of(entry), body, tags,
                  target.get("storage_class") or entry.get("storage_class", "STANDARD"), target.get("kms_key_arn"))


def rows_of(manifest, backups):
    """The lines of the catalog, without those fields that follow from the clock and from the name that it invents."""
    if not backups:
        return []
    return [{"source_bucket": entry.get("source_bucket", ""), "source_prefix": entry.get("source_prefix", ""),
             "object_name": entry.get("object_name", ""), "object_path": path_of(entry),
             "object_size": entry.get("size", 0), "creation_time": entry.get("creation_time", ""),
             "creation_date": entry.get("creation_time", "").split(" ")[0],
             "target_buckets": [target["bucket"] for target in backups]} for entry in manifest.get("objects", [])]
