"""Kills on Ceph RGW with moto's queues and dynalite's tables, each service a process of its own; boto3 is the judge."""
import pytest

import kill_cases
from cloud import CloudBale
from kill_cases import *  # noqa: F403  (the tests)


# Each test takes most of a minute: this one only past faults, where nine of ten requests have none.
@pytest.mark.parametrize("road", ["faults"], indirect=True, scope="module")
def test_killed_with_every_event_three_times(bale, seeded):
    kill_cases.test_killed_with_every_event_three_times(bale, seeded)


@pytest.fixture
def bale(rgw, moto, dynalite, road, tmp_path):
    return CloudBale(tmp_path, rgw, moto, dynalite, road)
