"""Landing takes processor time in proportion to an archive's bytes and members."""
import resource

from conftest import Bale, write_tree


def processor_seconds():
    """Of the processes that were run so far: what a busy machine hardly changes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds_to_land(bale, chance, members):
    bale.directory.mkdir()
    bale.mixed(source={"batch": {"max_objects": 20000, "max_wait_seconds": 5}, "level": 3})
    write_tree(bale.directory / "in", {f"{n % 50}/{n}": chance.randbytes(1000) for n in range(members)})
    bale.put_tree("source", "", bale.directory / "in")
    bale.replicate("source", "--once", timeout=300)
    bale.replicate("relay", "--once", timeout=300)
    assert len([name for name in bale.staging() if f"{'eu-west-1'}-inbound" in name]) == 1, "not one archive"
    before = processor_seconds()
    bale.replicate("target", "--once", timeout=600)
    seconds = processor_seconds() - before
    assert len(bale.keys("copy")) == members
    return seconds


def test_landing_is_linear(bale, seeded):
    few = seconds_to_land(Bale(bale.directory / "few"), seeded, 2500)
    many = seconds_to_land(Bale(bale.directory / "many"), seeded, 10000)
    print(f"2,500 members: {few:.2f} s; 10,000 members: {many:.2f} s; ratio {many / few:.2f}")
    # Four times the members; 6 leaves room for caches that are colder. Quadratic would be 16.
    assert many / few < 6
