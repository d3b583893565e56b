"""check_promises.py finds the tests that are there, and names those that are not."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_promises  # noqa: E402

TREE = {
    "tests/unit/a_test.cpp": "TEST(Alone, Holds) {}\nTEST_F(Fixture, Holds) {}\nTEST_P(\n    Many, HoldsForEach) {}\n",
    "tests/e2e/test_b.py": "def test_one(bale):\n    pass\n\nclass TestAll:\n    def test_two(self):\n        pass\n",
}


class Promises(unittest.TestCase):
    def problems(self, text):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for name, content in TREE.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
            return check_promises.problems_of("page.md", text, check_promises.tests_of(root))

    def test_tests_that_are_there(self):
        text = "`Alone.Holds`, `Fixture.*`, `All/Many.HoldsForEach`, `test_one`, `test_two`, `test_b`, `test_o*`"
        self.assertEqual(self.problems(text), [])

    def test_tests_that_are_missing(self):
        for name in ("Alone.Breaks", "Absent.*", "All/Many.Breaks", "test_three", "test_x*"):
            self.assertEqual(self.problems(f"`Alone.Holds`\n\n`{name}`"), [f"page.md:3: there is no test {name}"])

    def test_a_page_without_tests(self):
        self.assertEqual(self.problems("All is well."), ["page.md: names no test"])


if __name__ == "__main__":
    unittest.main()
