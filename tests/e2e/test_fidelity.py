"""The fidelity list on the embedded backend; and what is too large for test servers."""
import hashlib

import pytest

from conftest import GiB, Bale, attributes
from fidelity_cases import *  # noqa: F403  (the tests)


@pytest.fixture(scope="module")
def new_bale():
    return Bale


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()


def test_larger_than_one_put(bale):
    """5 GiB and a byte: multipart everywhere. Sparse, but for three places that tell pieces apart."""
    bale.mixed()
    path = bale.directory / "large"
    size = 5 * GiB + 1
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, text in ((0, b"first"), (3 * GiB - 2, b"middle"), (size - 4, b"last")):
            file.seek(offset)
            file.write(text)
    expected = sha256_of(path)
    bale.put_file("source", "large", path, *attributes({"owner": "mathilda"}, {"team": "north"}))
    path.unlink()
    bale.until_idle(timeout=900)
    record = bale.search("large")[0]
    assert record["object_size"] == size and record["sha256"] == expected
    stat = bale.stat("copy", "large")
    assert stat["size"] == size and stat["metadata"]["owner"] == "mathilda" and stat["tags"]["team"] == "north"
    out = bale.directory / "out"
    bale.run("s3", "cp", "s3://copy/large", out, timeout=900)
    assert sha256_of(out) == expected
    out.unlink()
    bale.restore(bale.directory / "restored", "large", timeout=900)
    assert sha256_of(bale.directory / "restored/large") == expected
    bale.assert_idle()
