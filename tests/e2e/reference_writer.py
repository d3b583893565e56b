"""Archives as the source service of S3 Cross-Region Compressor writes them, after its description and its behaviour.

Files in a tar as Python makes it, members `objects/{relative_key}`, manifest.json last; all of it one zstd frame that
does not tell its size, since that program compresses a stream; no seek table, nothing behind the frame.
"""
import io
import json
import os
import tarfile
import time
import uuid

from reference_reader import zstandard


def entry(bucket, prefix, key, content, etag, tags=(), storage_class="STANDARD", created="2025-01-23 09:05:07",
          published=False):
    """An object of the manifest; `prefix` is the monitored one, and `tags` are (key, value). `published`: as the
    published version writes it, which has no backup mode: `source_prefix` is the folder of the object."""
    folder, _, name = key.rpartition("/")
    relative = key[len(prefix):].lstrip("/") if prefix and key.startswith(prefix) else key
    return {"source_bucket": bucket, "source_prefix": folder if published else prefix, "object_name": name,
            "relative_key": relative, "tags": [{tag: value} for tag, value in tags], "creation_time": created,
            "etag": etag, "size": len(content), "storage_class": storage_class}


def add(tar, name, content):
    """As a file of a work directory is added: with a mode, a time and an owner."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o644, time.time()
    member.uid = member.gid = 1000
    member.uname = member.gname = "app"
    tar.addfile(member, io.BytesIO(content))


def archive(objects, targets, level=12):
    """`objects` are (entry, content). Returns the bytes of the archive."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for described, content in objects:
            add(tar, "objects/" + described["relative_key"], content)
        manifest = {"targets": targets, "objects": [described for described, _ in objects]}
        add(tar, "manifest.json", json.dumps(manifest, indent=4).encode())
    compressor = zstandard().ZstdCompressor(level=level, threads=os.cpu_count(), write_content_size=False).compressobj()
    return compressor.compress(plain.getvalue()) + compressor.flush()


def name(bucket, prefix):
    """Where that program puts an archive, in the outbound bucket and so in the inbound bucket."""
    return "/".join(part for part in (bucket, prefix, f"{uuid.uuid4().hex}.tar.zst") if part)
