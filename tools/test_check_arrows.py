"""Every rule of check_arrows.py fails a tree that breaks it."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_arrows  # noqa: E402

TREE = {
    "src/CMakeLists.txt": "# the ladder\nadd_subdirectory(base)\nadd_subdirectory(os)\nadd_subdirectory(archive)\n"
                          "add_subdirectory(jobs)\n",
    "src/base/CMakeLists.txt": "bale_module(base EXTERNAL OpenSSL::Crypto)\n",
    "src/os/CMakeLists.txt": "bale_module(os USES base)\n",
    "src/archive/CMakeLists.txt": "bale_module(archive\n  USES base\n  EXTERNAL zstd)\n",
    "src/jobs/CMakeLists.txt": "foreach(job pack land)\n  add_subdirectory(${job})\nendforeach()\n",
    "src/jobs/pack/CMakeLists.txt": "bale_module(jobs/pack USES base archive)\n",
    "src/jobs/land/CMakeLists.txt": "bale_module(jobs/land USES base)\n",
    "src/base/a.hpp": "#include <fmt/format.h>\n#include <openssl/evp.h>\n#include <string>\n",
    "src/os/a.cpp": '#include <unistd.h>\n#include "base/a.hpp"\n',
    "src/archive/a.cpp": '#include <zstd.h>\n#include "archive/b.hpp"\n',
    "ARCHITECTURE.md": f"Bale\n\n{check_arrows.BEGIN}\n{check_arrows.END}\n\nEnd.\n",
}


class Arrows(unittest.TestCase):
    def check(self, changes):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for name, text in {**TREE, **changes}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check_arrows.check(root, write="ARCHITECTURE.md" not in changes)

    def assert_one(self, findings, part):
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])

    def test_good_tree(self):
        self.assertEqual(self.check({}), [])

    def test_unlisted_module(self):
        self.assert_one(self.check({"src/archive/c.cpp": '#include "os/a.hpp"\n'}), "archive includes os")

    def test_upward_only(self):
        self.assert_one(self.check({"src/os/CMakeLists.txt": "bale_module(os USES base archive)\n"}), "not above it")

    def test_jobs_do_not_meet(self):
        self.assert_one(self.check({"src/jobs/land/CMakeLists.txt": "bale_module(jobs/land USES base jobs/pack)\n"}),
                        "durable")
        self.assert_one(self.check({"src/jobs/land/a.cpp": '#include "jobs/pack/a.hpp"\n'}), "does not list")

    def test_third_party(self):
        self.assert_one(self.check({"src/os/b.cpp": "#include <openssl/evp.h>\n"}), "belongs to base")
        self.assert_one(self.check({"src/os/b.cpp": "#include <boost/asio.hpp>\n"}), "does not know")

    def test_posix(self):
        self.assert_one(self.check({"src/archive/c.cpp": "#include <sys/stat.h>\n"}), "use os/")

    def test_document(self):
        stale = TREE["ARCHITECTURE.md"]
        self.assert_one(self.check({"ARCHITECTURE.md": stale}), "out of date")
        self.assert_one(self.check({"ARCHITECTURE.md": "Bale\n"}), "no place")


if __name__ == "__main__":
    unittest.main()
