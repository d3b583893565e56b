"""A rule that is edited takes its messages along, and what is left behind is named."""
from conftest import COPY_REGION, SOURCE_REGION, STACK, tree_of


def orphans(bale, *arguments):
    lines = bale.json("replicate", *arguments, "--config", bale.config)
    return {(line["kind"], line["name"]): line for line in lines if line["type"] == "orphan"}


def test_a_prefix_that_is_added_strands_nothing(bale):
    bale.mixed()
    bale.until_idle()  # takes the s3:TestEvent of init
    old = f"{STACK}-source-source"
    for key in ("a/1", "a/2", "b/3"):
        bale.put("source", key, key.encode())
    bale.configure([bale.rule({"prefix_filter": "a"})])
    assert orphans(bale, "status")["queue", old]["waiting"] == 3
    assert "wait where no rule looks" in bale.replicate("status").out
    checked = bale.json("config", "check", "--config", bale.config)
    assert [line["name"] for line in checked if line["type"] == "orphan" and line["kind"] == "queue"] == [old]
    dry = bale.json("replicate", "init", "--config", bale.config, "--dryrun")
    assert [line["queue"] for line in dry if line["type"] == "moved"] == [old]
    assert orphans(bale, "status")["queue", old]["waiting"] == 3
    done = bale.json("replicate", "init", "--config", bale.config)
    moved, = [line for line in done if line["type"] == "moved"]
    assert sum(moved["to"].values()) == 2 and moved["kept"] == 1
    bale.put("source", "a/4", b"a/4")
    bale.until_idle()
    assert bale.keys("copy") == ["a/1", "a/2", "a/4"]
    assert orphans(bale, "status")["queue", old]["waiting"] == 1
    assert f"kept 1 message in {old}" in bale.replicate("init").out


def test_a_suffix_and_back(bale):
    bale.mixed()
    bale.put("source", "x.gz", b"x")
    bale.put("source", "y.txt", b"y")
    bale.configure([bale.rule({"suffix_filter": ".gz"})])
    bale.replicate("init")
    bale.configure([bale.rule()])
    bale.replicate("init")
    bale.until_idle()
    assert bale.keys("copy") == ["x.gz", "y.txt"]
    assert all(line["waiting"] == 0 for line in orphans(bale, "status").values())


def test_a_rule_that_is_gone_is_named_with_its_notification(bale):
    bale.mixed()
    bale.until_idle()  # takes the s3:TestEvent of init
    bale.make_bucket("other", SOURCE_REGION)
    bale.put("source", "a", b"a")
    bale.configure([bale.rule({"bucket": "other"})])
    found = orphans(bale, "init")
    assert found["queue", f"{STACK}-source-source"]["waiting"] == 1
    assert found["notification", "source/*"]["queue"] == f"{STACK}-source-source"
    bale.configure([bale.rule()])
    bale.replicate("init")
    bale.until_idle()
    bale.restore(bale.directory / "out", "a")
    assert tree_of(bale.directory / "out") == {"a": b"a"}


def test_archives_of_a_region_that_is_not_used_any_more_are_named(bale):
    bale.mixed()
    bale.put("source", "a", b"a")
    bale.replicate("source", "--once")
    bale.replicate("relay", "--once")
    backup_alone = {**bale.rule(), "destinations": bale.rule()["destinations"][1:]}
    bale.configure([backup_alone])
    staging = [line for line in orphans(bale, "status").values() if line["kind"] == "staging"]
    assert [line["region"] for line in staging] == [COPY_REGION] and staging[0]["waiting"] == 1
