"""What `bale replicate status` shows of the levels learned."""
import pytest
from conftest import COPY_REGION, SOURCE_REGION, text_of, write_tree


@pytest.fixture
def learned(bale, seeded):
    """A bucket that was replicated to another region, at levels chosen by money."""
    bale.mixed()
    files = {f"{i}.log": text_of(seeded, 200_000) for i in range(6)}
    files |= {f"{i}.jpg": seeded.randbytes(100_000) for i in range(3)}
    write_tree(bale.directory / "in", files)
    bale.put_tree("source", "", bale.directory / "in")
    bale.until_idle("--level", "auto")
    return bale


def status(bale, *kinds):
    return [line for line in bale.json("replicate", "status", "--config", bale.config) if line["type"] in kinds]


def test_classes_and_sources_as_json(learned):
    *levels, source = status(learned, "level", "source_levels")
    assert {line["type"] for line in levels} == {"level"} and source["type"] == "source_levels"
    assert {line["source"] for line in (*levels, source)} == {"source/"}
    assert {line["region"] for line in (*levels, source)} == {SOURCE_REGION}
    logs = [line for line in levels if line["class"].startswith("log-")][0]
    assert logs["bytes"] >= 1_200_000 and 0 < logs["ratio"] < 0.9
    assert logs["ratio"] == pytest.approx(logs["stored_bytes"] / logs["bytes"])
    assert 0 <= logs["best_level"] <= 22 and 0 <= logs["most_used_level"] <= 22
    assert logs["saved_dollars_per_gib"] == pytest.approx(logs["saved_dollars"] / (logs["bytes"] / 2**30))
    assert source["files"] == 9 and source["cpu_factor"] > 0 and source["warnings"] == []
    assert source["trials"] == sum(line["trials"] for line in levels)
    assert source["bytes"] == sum(line["bytes"] for line in levels)
    assert source["saved_dollars"] == pytest.approx(sum(line["saved_dollars"] for line in levels))


def test_a_person_reads_tables(learned):
    shown = learned.replicate("status").out.splitlines()
    for heading in ("LEARNED FROM", "SOURCE  "):
        at = next(i for i, line in enumerate(shown) if line.startswith(heading))
        assert shown[at + 1].startswith("source/")
        assert len(shown[at]) == len(shown[at + 1]), shown
        assert "$" in shown[at + 1]
    assert shown[-1].startswith("idle")


def test_before_anything_was_learned(bale):
    bale.mixed()
    assert "levels: nothing learned yet" in bale.replicate("status").out
    source, = status(bale, "level", "source_levels")
    assert source["files"] == 0 and source["best_level"] is None and source["ratio"] is None


def test_a_missing_table_is_one_line_and_no_failure(bale):
    bale.make_bucket("elsewhere", COPY_REGION)  # a store, but nothing set up in it
    bale.configure([bale.rule()])
    unread, = status(bale, "level", "source_levels", "levels_unread")
    assert unread["type"] == "levels_unread" and not unread["exists"]
    shown = bale.replicate("status").out
    assert f"levels: {unread['table']} of {SOURCE_REGION} is not there" in shown
    assert "missing" in shown and shown.rstrip().endswith("run `bale replicate init`")


def test_prices_that_are_none_are_said(learned, monkeypatch):
    monkeypatch.setenv("DATA_TRANSFER_COST", "cheap")
    assert "cheap" in learned.replicate("status").err
    monkeypatch.setenv("DATA_TRANSFER_COST", "90")
    dear = [line for line in status(learned, "level") if line["class"].startswith("log-")][0]
    assert dear["best_level"] > 12, "where moving costs so much, computing pays"
