"""A minute of soak.py: services under load and faults do not grow in memory, descriptors or threads."""
from cloud import CloudBale
from servers import Road
from soak import soak, too_much

SECONDS = 60


def test_services_do_not_grow(rgw, moto, dynalite, tmp_path, seeded):
    road = Road(True, "soak")
    try:
        growth, did = soak(CloudBale(tmp_path, rgw, moto, dynalite, road), SECONDS, 15, seeded)
    finally:
        road.close()
    assert did["packed"] > 100 and did["landed"] > 100, did
    assert too_much(growth) == [], growth
