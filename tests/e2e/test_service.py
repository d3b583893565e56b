"""Services as an operator runs them: health, metrics, JSON logs, SIGTERM."""
import json
import time

import pytest

from conftest import wait_until, write_tree
from service import Service


@pytest.fixture
def service(bale):
    bale.mixed()
    running = Service(bale, "run", "--config", str(bale.config))
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def test_counts_what_it_does(bale, service):
    assert service.metrics()["bale_packed_objects_total"] == 0
    write_tree(bale.directory / "in", {f"f{i}": b"x" * 1000 for i in range(20)})
    bale.put_tree("source", "", bale.directory / "in")
    wait_until(lambda: service.metrics()["bale_landed_objects_total"] == 20 and
               service.metrics()["bale_stored_backups_total"] >= 1)
    metrics = service.metrics()
    assert metrics["bale_packed_objects_total"] == 20
    assert metrics["bale_packed_object_bytes_total"] == 20000
    assert metrics["bale_failing_items"] == 0
    assert metrics["process_resident_memory_bytes"] > 1e6
    assert [name for name in metrics if name.startswith("bale_build_info{version=")]


def test_is_healthy_and_says_so(service):
    def loops():
        return {loop["name"].split()[0] for loop in json.loads(service.get("/healthz")[1])["loops"]}

    wait_until(lambda: loops() == {"source", "relay", "target"})  # they begin after the page does
    status, text = service.get("/healthz")
    assert status == 200 and json.loads(text)["status"] == "ok"
    assert service.get("/nothing")[0] == 404


def test_ends_soon_on_sigterm(service):
    status, seconds = service.stop()
    assert status == 0 and seconds < 30


def test_logs_lines_of_json_with_the_names_that_log_pipelines_know(bale, service):
    write_tree(bale.directory / "in", {"f": b"x"})
    bale.put_tree("source", "", bale.directory / "in")
    wait_until(lambda: any(line["name"] == "land.done" for line in service.lines()))
    service.stop()
    for line in service.lines():
        assert {"asctime", "levelname", "name", "message"} <= set(line), line
        time.strptime(line["asctime"], "%Y-%m-%d %H:%M:%S")
        assert line["levelname"] in ("INFO", "WARNING")


def test_an_address_that_is_taken_is_refused(bale, service):
    port = service.address.rsplit(":", 1)[1]
    refused = bale.run("replicate", "run", "--config", bale.config, "--listen", f"127.0.0.1:{port}", status=4)
    assert "cannot listen" in refused.err and "choose another port" in refused.err


def test_an_address_that_is_none_is_refused(bale, service):
    refused = bale.run("replicate", "run", "--config", bale.config, "--listen", "somewhere", status=2)
    assert "host:port" in refused.err


def test_a_service_without_configuration_names_what_it_misses(bale):
    refused = bale.run("replicate", "source", "--once", status=2)
    for name in ("SQS_QUEUE_URL", "AWS_DEFAULT_REGION", "BUCKET", "STACK_NAME", "REPLICATION_PARAMETERS_TABLE"):
        assert name in refused.err
    assert "--config" in refused.err
    refused = bale.run("replicate", "target", "--once", status=2)
    assert "SQS_QUEUE_URL" in refused.err and "BUCKET," not in refused.err
