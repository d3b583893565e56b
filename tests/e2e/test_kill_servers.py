"""Kills on Ceph RGW with moto's queues and dynalite's tables, each service a process of its own; boto3 is the judge."""
import pytest

from cloud import CloudBale
from kill_cases import *  # noqa: F403  (the tests)

# Each test takes half a minute: only past faults, where nine of ten requests meet none.
pytestmark = pytest.mark.parametrize("road", ["faults"], indirect=True, scope="module")


@pytest.fixture
def bale(rgw, moto, dynalite, road, tmp_path):
    return CloudBale(tmp_path, rgw, moto, dynalite, road)
