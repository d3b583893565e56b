"""The scripted S3 server, judged by boto3: what it does as S3 does, and each action of its rules."""
import base64
import binascii
import contextlib
import hashlib
import os
import random
import subprocess
import threading
import time

import pytest

from conftest import MiB, wait_until
from scripted_s3 import ScriptedS3, program

ClientError = pytest.importorskip("botocore.exceptions").ClientError
botocore = pytest.importorskip("botocore")
DIGITS, CRC64NVME_OF_DIGITS = b"123456789", base64.b64encode(bytes.fromhex("AE8B14860A799888")).decode()
PART = 5 * MiB


@contextlib.contextmanager
def refused(code):
    """A refusal with this code, or status, of S3."""
    with pytest.raises(ClientError) as error:
        yield
    assert error.value.response["Error"]["Code"] == code


def bytes_of(size, seed=1):
    return random.Random(seed).randbytes(size)


def base64_of(number, size=4):
    return base64.b64encode(number.to_bytes(size, "big")).decode()


def etag_of(parts):
    """What S3 gives an object in parts."""
    return '"%s-%d"' % (hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest(), len(parts))


class Boto:
    """boto3 with a bucket "bucket", and any header that this boto3 does not know."""

    def __init__(self, server):
        self.s3, self.extra = server.client("s3"), {}
        self.s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": server.region})
        self.s3.meta.events.register("before-call.s3", self._add)

    def _add(self, params, **_):
        params["headers"].update(self.extra)

    @contextlib.contextmanager
    def headers(self, **headers):
        """Sends these headers, with '-' for '_', within the block."""
        self.extra = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            yield
        finally:
            self.extra = {}

    def put(self, key="k", body=DIGITS, **headers):
        with self.headers(**headers):
            return self.s3.put_object(Bucket="bucket", Key=key, Body=body)

    def get(self, key="k", **options):
        return self.s3.get_object(Bucket="bucket", Key=key, **options)["Body"].read()

    def head(self, key="k", **headers):
        with self.headers(**headers):
            answer = self.s3.head_object(Bucket="bucket", Key=key)
        return answer | answer["ResponseMetadata"]["HTTPHeaders"]

    def begin(self, key="k", **headers):
        with self.headers(**headers):
            return self.s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]

    def part(self, upload, number=1, body=DIGITS, key="k", **headers):
        with self.headers(**headers):
            return self.s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]

    def complete(self, upload, etags, key="k", **headers):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        with self.headers(**headers):
            return self.s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload,
                                                     MultipartUpload={"Parts": parts})


@pytest.fixture
def boto(scripted_s3):
    return Boto(scripted_s3)


# As S3


def test_objects(boto):
    content = bytes_of(100_000)
    put = boto.s3.put_object(Bucket="bucket", Key="a b/ü+%.txt", Body=content, ContentType="text/plain",
                             Metadata={"m": "v"}, Tagging="t=1", StorageClass="STANDARD_IA")
    assert put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    got = boto.s3.get_object(Bucket="bucket", Key="a b/ü+%.txt")
    assert got["Body"].read() == content
    assert (got["ContentType"], got["Metadata"], got["TagCount"], got["StorageClass"]) == (
        "text/plain", {"m": "v"}, 1, "STANDARD_IA")
    assert boto.get("a b/ü+%.txt", Range="bytes=10-19") == content[10:20]
    assert boto.get("a b/ü+%.txt", Range="bytes=-5") == content[-5:]
    with refused("InvalidRange"):
        boto.get("a b/ü+%.txt", Range="bytes=100000-")
    boto.s3.put_object_tagging(Bucket="bucket", Key="a b/ü+%.txt", Tagging={"TagSet": [{"Key": "k", "Value": "w"}]})
    assert boto.s3.get_object_tagging(Bucket="bucket", Key="a b/ü+%.txt")["TagSet"] == [{"Key": "k", "Value": "w"}]
    boto.s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "a b/ü+%.txt"})
    assert boto.get("copy") == content
    boto.s3.delete_object(Bucket="bucket", Key="a b/ü+%.txt")
    with refused("NoSuchKey"):
        boto.get("a b/ü+%.txt")
    with refused("404"):
        boto.head("a b/ü+%.txt")


def test_a_file_in_parts(boto, scripted_s3, tmp_path):
    """What boto3's own transfers do, at sizes around a part."""
    transfer = pytest.importorskip("boto3.s3.transfer")
    config = transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=3)
    for size in (0, 1, PART - 1, PART, PART + 1, 3 * PART + 1):
        content = bytes_of(size)
        (tmp_path / "file").write_bytes(content)
        boto.s3.upload_file(str(tmp_path / "file"), "bucket", "file", Config=config)
        parts = [content[i:i + PART] for i in range(0, size, PART)]
        assert boto.head("file")["ETag"] == (
            etag_of(parts) if size >= PART else f'"{hashlib.md5(content).hexdigest()}"')
        boto.s3.download_file("bucket", "file", str(tmp_path / "back"), Config=config)
        assert (tmp_path / "back").read_bytes() == content
    assert scripted_s3.state("bucket")["uploads"] == []
    assert scripted_s3.state("bucket")["objects"][0]["part_sizes"] == [PART, PART, PART, 1]
    answer = boto.s3.head_object(Bucket="bucket", Key="file", PartNumber=4)
    assert (answer["ContentLength"], answer["PartsCount"]) == (1, 4)


def test_checksums(boto):
    for name, value in (("crc64nvme", CRC64NVME_OF_DIGITS), ("crc32", base64_of(binascii.crc32(DIGITS)))):
        header = f"x_amz_checksum_{name}"
        boto.put(**{header: value})
        assert boto.head(x_amz_checksum_mode="ENABLED")[header.replace("_", "-")] == value
        with refused("BadDigest"):
            boto.put(body=b"12345678X", **{header: value})
    put = boto.s3.put_object(Bucket="bucket", Key="k", Body=DIGITS, ChecksumAlgorithm="CRC32")  # boto3 computes it
    assert put["ChecksumCRC32"] == base64_of(binascii.crc32(DIGITS))
    put = boto.s3.put_object(Bucket="bucket", Key="k", Body=DIGITS, ChecksumAlgorithm="SHA256")
    head = boto.s3.head_object(Bucket="bucket", Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == put["ChecksumSHA256"]
    with refused("BadDigest"):
        boto.put(content_md5=base64.b64encode(hashlib.md5(b"other").digest()).decode())


def test_checksums_of_parts(boto):
    upload = boto.begin(x_amz_checksum_algorithm="CRC64NVME", x_amz_checksum_type="FULL_OBJECT")
    first = b"\0" * PART
    etags = [boto.part(upload, 1, first), boto.part(upload, 2, x_amz_checksum_crc64nvme=CRC64NVME_OF_DIGITS)]
    with refused("InvalidRequest"):
        boto.part(upload, 3, x_amz_checksum_crc32=base64_of(binascii.crc32(DIGITS)))
    with refused("BadDigest"):
        boto.complete(upload, etags, x_amz_checksum_crc64nvme=CRC64NVME_OF_DIGITS)
    with refused("InvalidRequest"):
        boto.complete(upload, etags, x_amz_mp_object_size=str(PART))
    whole = boto.put("whole", first + DIGITS)["ResponseMetadata"]["HTTPHeaders"]["x-amz-checksum-crc64nvme"]
    boto.complete(upload, etags, x_amz_checksum_crc64nvme=whole, x_amz_mp_object_size=str(PART + len(DIGITS)))
    assert boto.head(x_amz_checksum_mode="ENABLED")["x-amz-checksum-crc64nvme"] == whole
    with refused("InvalidRequest"):  # Create named no algorithm
        boto.part(boto.begin(), x_amz_checksum_crc64nvme=CRC64NVME_OF_DIGITS)


def test_uploads(boto):
    upload = boto.begin()
    other = boto.begin("other")
    etags = [boto.part(upload, number, bytes_of(PART, number)) for number in (1, 2)]
    pages = boto.s3.get_paginator("list_parts").paginate(Bucket="bucket", Key="k", UploadId=upload,
                                                         PaginationConfig={"PageSize": 1})
    assert [part["ETag"] for page in pages for part in page["Parts"]] == etags
    pages = boto.s3.get_paginator("list_multipart_uploads").paginate(Bucket="bucket", PaginationConfig={"PageSize": 1})
    assert [found["UploadId"] for page in pages for found in page["Uploads"]] == [upload, other]
    boto.s3.abort_multipart_upload(Bucket="bucket", Key="other", UploadId=other)
    with refused("NoSuchUpload"):
        boto.part(other, key="other")
    small = boto.part(upload, 1)
    with refused("EntityTooSmall"):
        boto.complete(upload, [small, etags[1]])
    with refused("InvalidPart"):
        boto.complete(upload, etags)  # the first was replaced
    etags[0] = boto.part(upload, 1, bytes_of(PART, 1))
    assert boto.complete(upload, etags)["ETag"] == etag_of([bytes_of(PART, 1), bytes_of(PART, 2)])
    with refused("NoSuchUpload"):
        boto.complete(upload, etags)


def test_conditions(boto):
    first = boto.put(If_None_Match="*")["ETag"]
    with refused("PreconditionFailed"):
        boto.put(body=b"2", If_None_Match="*")
    with refused("PreconditionFailed"):
        boto.put(body=b"2", If_Match='"0"')
    upload = boto.begin()
    etag = boto.part(upload)
    with refused("PreconditionFailed"):
        boto.complete(upload, [etag], If_None_Match="*")
    boto.complete(upload, [etag], If_Match=first)
    with refused("PreconditionFailed"):
        boto.get(IfMatch=first)
    with refused("304"):
        boto.get(IfNoneMatch=boto.head()["ETag"])


def test_listings(boto):
    for key in ("a", "b/1", "b/2", "c d", "e/"):
        boto.put(key)
    page = boto.s3.list_objects_v2(Bucket="bucket", Delimiter="/")
    assert [found["Key"] for found in page["Contents"]] == ["a", "c d"]
    assert [found["Prefix"] for found in page["CommonPrefixes"]] == ["b/", "e/"]
    pages = boto.s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", PaginationConfig={"PageSize": 2})
    assert [found["Key"] for page in pages for found in page["Contents"]] == ["a", "b/1", "b/2", "c d", "e/"]
    page = boto.s3.list_objects_v2(Bucket="bucket", StartAfter="b/1", Prefix="b")
    assert [found["Key"] for found in page["Contents"]] == ["b/2"]
    boto.s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "a"}, {"Key": "none"}]})
    assert boto.s3.list_objects_v2(Bucket="bucket", Prefix="a")["KeyCount"] == 0


def test_versions(boto):
    boto.s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    assert boto.s3.get_bucket_versioning(Bucket="bucket")["Status"] == "Enabled"
    one, two = (boto.put(body=body)["VersionId"] for body in (b"1", b"2"))
    marker = boto.s3.delete_object(Bucket="bucket", Key="k")
    assert marker["DeleteMarker"] is True
    assert boto.get(VersionId=one) == b"1"
    pages = boto.s3.get_paginator("list_object_versions").paginate(Bucket="bucket", PaginationConfig={"PageSize": 1})
    assert [found["VersionId"] for page in pages for kind in ("Versions", "DeleteMarkers")
            for found in page.get(kind, [])] == [marker["VersionId"], two, one]


def test_buckets(boto, scripted_s3):
    s3 = boto.s3
    with refused("BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with refused("IllegalLocationConstraintException"):
        s3.create_bucket(Bucket="new-bucket")
    scripted_s3.bucket("theirs", owner="999988887777", foreign=True)
    with refused("BucketAlreadyExists"):
        s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with refused("403"):
        s3.head_bucket(Bucket="theirs")
    with refused("404"):
        s3.head_bucket(Bucket="none-here")
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    assert [found["Name"] for found in s3.list_buckets()["Buckets"]] == ["bucket"]
    boto.put(x_amz_expected_bucket_owner="111122223333")
    with refused("AccessDenied"):
        boto.put(body=b"x", x_amz_expected_bucket_owner="999988887777")
    assert boto.get() == DIGITS
    america = scripted_s3.client("s3", region_name="us-east-1")
    for _ in range(2):
        america.create_bucket(Bucket="america")
    assert america.get_bucket_location(Bucket="america")["LocationConstraint"] is None


def test_settings_of_buckets(boto):
    s3 = boto.s3
    with refused("NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket="bucket")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = dict.fromkeys(names, True)
    s3.put_public_access_block(Bucket="bucket", PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket="bucket")["PublicAccessBlockConfiguration"] == block
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key"}}]
    s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": rules})
    assert s3.get_bucket_encryption(Bucket="bucket")["ServerSideEncryptionConfiguration"]["Rules"] == rules
    put = boto.put()
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", "key")
    assert put["ETag"] != f'"{hashlib.md5(DIGITS).hexdigest()}"'
    with refused("NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="bucket")
    rule = {"ID": "seven", "Filter": {"Prefix": ""}, "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket="bucket")["Rules"] == [rule]
    assert s3.create_multipart_upload(Bucket="bucket", Key="k")["AbortRuleId"] == "seven"
    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket="bucket")
    s3.put_bucket_tagging(Bucket="bucket", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_bucket_tagging(Bucket="bucket")["TagSet"] == [{"Key": "k", "Value": "v"}]


def test_discarded_bodies_keep_their_digests():
    with ScriptedS3(discard=True) as server:
        boto = Boto(server)
        parts = [bytes_of(PART), b"\0" * (PART + 1), DIGITS]
        upload = boto.begin()
        etags = [boto.part(upload, number, part) for number, part in enumerate(parts, 1)]
        assert boto.complete(upload, etags)["ETag"] == etag_of(parts)
        assert boto.head()["ContentLength"] == sum(map(len, parts))
        assert boto.get(Range="bytes=0-9") == b"\0" * 10


def test_zeros_take_no_memory():
    """A sparse file: its parts are zeros, and the server keeps but their number."""
    with ScriptedS3() as server:
        boto = Boto(server)
        upload = boto.begin()
        zeros = b"\0" * (128 * MiB)
        etags = [boto.part(upload, number, zeros) for number in range(1, 4)]
        assert boto.complete(upload, etags)["ETag"] == etag_of([zeros] * 3)
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        assert peak < 64 << 10, f"{peak} KiB"


def test_tls(tmp_path):
    with ScriptedS3(tls=tmp_path / "ca.pem") as server:
        boto = Boto(server)
        server.rules([{"action": "flip", "of": "stored", "offset": 8}])
        boto.s3.put_object(Bucket="bucket", Key="k", Body=DIGITS, ChecksumAlgorithm="CRC32")  # in a trailer
        assert boto.get() == b"123456788"
        put, = server.asked("PutObject")
        assert put["headers"]["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        assert (put["content_bytes"], put["crc64nvme"]) == (9, CRC64NVME_OF_DIGITS)
        assert server.environment()["AWS_CA_BUNDLE"] == str(tmp_path / "ca.pem")


def test_program_ends_with_its_input():
    with ScriptedS3() as server:
        assert server.stop() == 0
    done = subprocess.run([program(), "no json"], capture_output=True, check=False)
    assert done.returncode == 1 and b"scripted_s3:" in done.stderr


# Rules: each action fires once, and the fixture fails a test whose rules do nothing


def test_rule_respond(boto, scripted_s3):
    scripted_s3.rules([{"action": "respond", "operation": "PutObject", "status": 503, "code": "SlowDown"}])
    with refused("SlowDown"):
        boto.put()
    boto.put()
    assert [request["status"] for request in scripted_s3.asked("PutObject")] == [503, 200]


def test_rule_lose_answer(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "lose_answer", "operation": "CompleteMultipartUpload"}])
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        boto.complete(upload, [etag])
    with refused("NoSuchUpload"):
        boto.complete(upload, [etag])
    assert boto.get() == DIGITS


def test_rule_fail_answer(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "fail_answer", "operation": "CompleteMultipartUpload", "code": "InternalError"}])
    with pytest.raises(ClientError):  # boto3 takes a 200 with an error for a 500
        boto.complete(upload, [etag])
    assert scripted_s3.asked("CompleteMultipartUpload")[0]["status"] == 200
    assert boto.get() == DIGITS


def test_rule_lie(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "lie", "operation": "CompleteMultipartUpload"}])
    assert boto.complete(upload, [etag])["ETag"] == etag_of([DIGITS])
    with refused("404"):
        boto.head()
    assert len(scripted_s3.state("bucket")["uploads"]) == 1


def test_rule_delay_and_hold(boto, scripted_s3):
    scripted_s3.rules([{"action": "delay", "seconds": 0.3}])
    begin = time.monotonic()
    boto.put()
    assert time.monotonic() - begin >= 0.3
    scripted_s3.arm({"action": "hold", "name": "gate", "operation": "PutObject"})
    writer = threading.Thread(target=boto.put, args=("held",))
    writer.start()
    wait_until(lambda: scripted_s3.hits("gate") == 1)
    assert [found["key"] for found in scripted_s3.state("bucket")["objects"]] == ["k"]
    scripted_s3.release("gate")
    writer.join()
    assert len(scripted_s3.state("bucket")["objects"]) == 2


def test_rule_spaces(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "spaces", "seconds": 0.3}])
    assert boto.complete(upload, [etag])["ETag"] == etag_of([DIGITS])


def test_rule_throttle(boto, scripted_s3):
    content = bytes_of(MiB)
    scripted_s3.rules([{"action": "throttle", "of": "request", "bytes_per_second": 2 * MiB},
                       {"action": "throttle", "of": "response", "bytes_per_second": 2 * MiB}])
    for move in (lambda: boto.put(body=content), boto.get):
        begin = time.monotonic()
        move()
        assert 0.45 <= time.monotonic() - begin < 20


def test_rule_silence_and_cut(boto, scripted_s3):
    content = bytes_of(MiB)
    scripted_s3.rules([{"action": "silence", "of": "request", "operation": "PutObject", "bytes": 500_000,
                        "seconds": 0.3},
                       {"action": "cut", "of": "request", "operation": "PutObject", "bytes": 700_000, "after": 1}])
    begin = time.monotonic()
    boto.put(body=content)
    assert time.monotonic() - begin >= 0.3
    with pytest.raises((botocore.exceptions.ConnectionClosedError, botocore.exceptions.EndpointConnectionError,
                        botocore.exceptions.HTTPClientError)):
        boto.put("cut", content)
    assert scripted_s3.asked("PutObject")[1]["body_bytes"] == 700_000
    scripted_s3.arm({"action": "cut", "of": "response", "operation": "GetObject", "bytes": 1000})
    with pytest.raises((botocore.exceptions.ResponseStreamingError, botocore.exceptions.IncompleteReadError)):
        boto.get()


def test_rule_flip(boto, scripted_s3):
    scripted_s3.rules([{"action": "flip", "of": "request", "offset": 8}])
    with refused("BadDigest"):
        boto.put(x_amz_checksum_crc64nvme=CRC64NVME_OF_DIGITS)
    scripted_s3.arm({"action": "flip", "of": "stored", "offset": 8})
    boto.put(x_amz_checksum_crc64nvme=CRC64NVME_OF_DIGITS)
    assert boto.get() == b"123456788"
    scripted_s3.arm({"action": "flip", "of": "response", "offset": 0, "bit": 1})
    assert boto.get() == b"323456788"


def test_rule_deny(boto, scripted_s3):
    """Exactly the rights of an uploader: what it may, and that absence is told to nobody who may not list."""
    scripted_s3.rules([{"allow": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]}])
    upload = boto.begin()
    boto.complete(upload, [boto.part(upload)])
    assert boto.get() == DIGITS
    for what in (lambda: boto.head("none"), lambda: boto.s3.head_bucket(Bucket="bucket")):
        with refused("403"):
            what()
    with refused("AccessDenied"):
        boto.s3.list_multipart_uploads(Bucket="bucket")
    denied = [request["denied"] for request in scripted_s3.requests()["requests"] if request["denied"]]
    assert denied == [["s3:ListBucket"], ["s3:ListBucket"], ["s3:ListBucketMultipartUploads"]]


def test_rule_other_writer(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "other_writer", "operation": "CompleteMultipartUpload", "when": "after",
                        "size": len(DIGITS), "metadata": {"by": "them"}}])
    assert boto.complete(upload, [etag])["ETag"] == etag_of([DIGITS])
    assert boto.head()["Metadata"] == {"by": "them"} and boto.head()["ContentLength"] == len(DIGITS)


def test_rule_abort_uploads_and_advance(boto, scripted_s3):
    upload = boto.begin()
    etag = boto.part(upload)
    scripted_s3.rules([{"action": "advance", "seconds": 8 * 86400, "operation": "CompleteMultipartUpload"},
                       {"action": "abort_uploads", "operation": "CompleteMultipartUpload"}])
    with refused("NoSuchUpload"):
        boto.complete(upload, [etag])
    boto.put()
    assert boto.head()["LastModified"].timestamp() > time.time() + 7 * 86400


def test_a_rule_that_never_fired_is_found(boto, scripted_s3):
    scripted_s3.rules([{"name": "never", "action": "lie", "operation": "CopyObject"}])
    boto.put()
    assert [rule["name"] for rule in scripted_s3.unused()] == ["never"]
    scripted_s3.rules([])
    with pytest.raises(ValueError, match="no action 'explode'"):
        scripted_s3.rules([{"action": "explode"}])


def test_requests_are_noted(boto, scripted_s3):
    boto.put(x_amz_meta_m="v")
    upload = boto.begin()
    boto.part(upload)
    noted = scripted_s3.requests()
    assert noted["operations"]["UploadPart"] == {"count": 1, "body_bytes": 9, "statuses": {"200": 1}}
    put, = scripted_s3.asked("PutObject")
    assert put["headers"]["x-amz-meta-m"] == "v" and put["crc64nvme"] == CRC64NVME_OF_DIGITS
    assert put["md5"] == hashlib.md5(DIGITS).hexdigest() and put["query"] == {}
    assert scripted_s3.asked("UploadPart")[0]["query"] == {"partNumber": "1", "uploadId": upload}
    scripted_s3.forget()
    assert scripted_s3.requests()["count"] == 0


def test_the_environment_leads_a_program_here(scripted_s3):
    environment = scripted_s3.environment()
    assert environment["AWS_ENDPOINT_URL_S3"] == scripted_s3.endpoint
    assert environment["AWS_CONFIG_FILE"] == os.devnull
