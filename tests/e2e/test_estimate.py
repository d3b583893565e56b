"""bale estimate: what it reads, what it says, and that it changes nothing."""
import json

import pytest
from conftest import SOURCE_REGION, COPY_REGION, text_of


@pytest.fixture
def bucket(bale, seeded):
    bale.make_bucket("bucket", SOURCE_REGION)
    for n in range(12):
        bale.put("bucket", f"in/{n}.log", text_of(seeded, 60_000))
        bale.put("bucket", f"in/{n}.jpg", seeded.randbytes(20_000))
    bale.put("bucket", "other/x.log", b"not asked for")
    return "bucket"


def test_says_what_it_found_and_what_it_costs(bale, bucket):
    *classes, total = bale.json("estimate", f"s3://{bucket}/in/", "--to", COPY_REGION)
    assert total["type"] == "estimate" and {line["type"] for line in classes} == {"class"}
    assert total["objects"] == 24 and total["bytes"] == 12 * 80_000
    assert 0 < total["ratio"] < 1 and 0 < total["ratio_error"] <= 1
    assert sum(line["share"] for line in classes) == pytest.approx(1)
    assert total["monthly_bytes"] == total["bytes"]
    assert total["bale_objects"]["transfer"] == pytest.approx(total["now"]["transfer"] * total["ratio"])
    assert total["now"]["transfer"] == pytest.approx(0.02 * total["bytes"] / 2**30)
    assert total["bale_archives"]["storage"] < total["now"]["storage"]


def test_a_person_reads_a_table(bale, bucket):
    shown = bale.run("estimate", f"s3://{bucket}/in/", "--to", f"{COPY_REGION},ap-southeast-2", "--monthly", "1TiB",
                     "--fixed", "87.60").out
    assert "24 objects, 937.5 KiB" in shown
    assert "(95 %)" in shown and "pays from" in shown
    assert f"from {SOURCE_REGION} to {COPY_REGION}, ap-southeast-2" in shown
    header = next(line for line in shown.splitlines() if line.startswith("US DOLLARS"))
    rows = {line.split("  ")[0]: line for line in shown.splitlines()}
    for name in ("transfer", "compute", "requests", "storage", "fixed", "total"):
        assert len(rows[name]) == len(header), shown


def test_prices_are_the_users(bale, bucket):
    table = json.loads(bale.run("estimate", "--show-prices").out)
    table["transfer"]["*"]["*"] = 2.0
    path = bale.directory / "prices.json"
    path.write_text(json.dumps(table))
    arguments = ("estimate", f"s3://{bucket}/in/", "--to", "eu-north-1", "--prices", path)
    total = bale.json(*arguments)[-1]
    assert total["now"]["transfer"] == pytest.approx(2.0 * total["bytes"] / 2**30)
    table["transfer"][SOURCE_REGION] = {"*": 4.0}
    path.write_text(json.dumps(table))
    assert bale.json(*arguments)[-1]["now"]["transfer"] == pytest.approx(4.0 * total["bytes"] / 2**30)
    del table["get"]
    path.write_text(json.dumps(table))
    refused = bale.run(*arguments, status=2).err
    assert "prices.json: get" in refused and "docs/estimate.md" in refused


def test_the_sample_is_bounded(bale, bucket):
    total = bale.json("estimate", f"s3://{bucket}/in/", "--to", COPY_REGION, "--sample", "200000")[-1]
    assert 0 < total["sample_bytes"] <= 200_000


def test_nothing_there_costs_nothing(bale, bucket):
    total = bale.json("estimate", f"s3://{bucket}/none/", "--to", COPY_REGION)[-1]
    assert total["objects"] == 0 and total["now"]["total"] == 0
    bale.run("estimate", f"s3://{bucket}/none/", "--to", COPY_REGION)


def test_what_is_missing_is_said(bale, bucket):
    assert "--to" in bale.run("estimate", f"s3://{bucket}", status=2).err
    bale.run("estimate", "s3://no-such-bucket", "--to", COPY_REGION, status=3)
