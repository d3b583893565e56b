"""A minute of soak.py: services under load and faults do not grow in memory, descriptors or threads."""
from cloud import CloudBale
from conftest import MiB
from servers import Road
from soak import soak, too_much

SECONDS = 60
# Memory still fills in the first minute: buffers of all sizes, an arena for each thread. What leaks with every request
# is for the ten minutes of `make soak`; here it would be seen if the objects of 12 MiB, or the archives, were kept.
MEMORY_MAY_GAIN = 32 * MiB


def test_services_do_not_grow(rgw, moto, dynalite, tmp_path, seeded):
    road = Road(True, "soak")
    try:
        growth, did = soak(CloudBale(tmp_path, rgw, moto, dynalite, road), SECONDS, 15, seeded)
    finally:
        road.close()
    print(growth, did)
    assert did["packed"] > 50 and did["landed"] > 50, did
    assert too_much(growth, MEMORY_MAY_GAIN) == [], growth
