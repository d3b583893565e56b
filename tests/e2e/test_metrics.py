"""Metrics in Amazon's embedded metric format: lines that CloudWatch would take, with what happened."""
import json
import math

from conftest import BACKUP_REGION, COPY_REGION, write_tree

UNITS = {"Bytes", "Seconds", "Count", "Percent", "None", "Megabytes/Second"}


def lines_of(output):
    """Those of the output that are metrics, each checked against the format's specification."""
    lines = []
    for text in output.splitlines():
        if not text.startswith('{"_aws":'):
            continue
        assert len(text.encode()) < 256 * 1024
        line = json.loads(text)
        assert isinstance(line["_aws"]["Timestamp"], int) and line["_aws"]["Timestamp"] > 1.6e12
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert 0 < len(directive["Namespace"]) < 256
            assert 0 < len(directive["Metrics"]) <= 100
            for names in directive["Dimensions"]:
                assert len(names) <= 30
                assert all(isinstance(line[name], str) and 0 < len(line[name]) <= 1024 for name in names)
            for metric in directive["Metrics"]:
                assert metric["Unit"] in UNITS
                values = line[metric["Name"]]
                values = values if isinstance(values, list) else [values]
                assert 0 < len(values) <= 100 and all(math.isfinite(value) for value in values)
        lines.append(line)
    return lines


def line_of(lines, **dimensions):
    found = [line for line in lines
             if sorted(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) == sorted(dimensions)
             and all(line[name] == value for name, value in dimensions.items())]
    assert len(found) == 1, (dimensions, lines)
    return found[0]


def test_cloudwatch_learns_what_happened(bale):
    bale.mixed()
    write_tree(bale.directory / "in", {f"f{i}": b"x" * 1000 for i in range(250)})
    bale.put_tree("source", "", bale.directory / "in")
    lines = lines_of(bale.run("replicate", "run", "--config", str(bale.config), "--until-idle", "--emf").out)
    source = line_of(lines, SourceBucket="source", SourcePrefix="root")
    assert source["ObjectsProcessed"] == 250
    assert source["ObjectSize"] == [1000] * 100
    assert len(source["ObjectProcessingTime"]) == 100
    for region in (BACKUP_REGION, COPY_REGION):
        way = line_of(lines, SourceBucket="source", SourcePrefix="root", TargetRegion=region)
        assert way["OriginalSize"] == 250000 and 0 < way["CompressedSize"] < 25000
    assert line_of(lines, TargetBucket="copy")["DecompressedSize"] == 250000
    backup = line_of(lines, TargetBucket="backup")
    assert backup["BackupUploadSuccess"] == 1 and backup["BackupFileSize"] == way["CompressedSize"]
    catalogs = [line for line in lines if "CatalogWriteSuccess" in line]
    assert [line["CatalogWriteSuccess"] for line in catalogs] == [1]
    assert line_of(lines, Function="source")["ProcessingTime"] > 0
    assert line_of(lines, Function="target")


def test_the_namespace_is_that_of_the_stack_or_the_environments(bale, monkeypatch):
    bale.mixed()
    environment = bale.environment()
    write_tree(bale.directory / "in", {"f": b"x"})
    for number, (variables, expected) in enumerate([({}, "e2e"), ({"AWS_EMF_NAMESPACE": "ours"}, "ours")]):
        bale.put_tree("source", str(number), bale.directory / "in")
        monkeypatch.setattr(bale, "environment", lambda: environment | variables)
        output = bale.run("replicate", "run", "--config", str(bale.config), "--until-idle", "--emf").out
        spaces = {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in lines_of(output)}
        assert spaces == {expected}


def test_nothing_is_told_twice_nor_unasked(bale):
    bale.mixed()
    write_tree(bale.directory / "in", {"f": b"x"})
    bale.put_tree("source", "", bale.directory / "in")
    assert lines_of(bale.until_idle().out) == []
    assert lines_of(bale.run("replicate", "run", "--config", str(bale.config), "--until-idle", "--emf").out) == []
