"""Every check of tidy.py finds what it is for, and leaves alone what only looks like it."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tidy  # noqa: E402


def findings(text, path="src/base/example.cpp"):
    return [check for _, check, _ in tidy.check_file(path, text)]


def body(lines):
    return "  f();\n" * lines


class Mode(unittest.TestCase):
    def test_a_script_that_may_not_be_executed(self):
        with tempfile.TemporaryDirectory() as directory:
            script = pathlib.Path(directory) / "a.sh"
            script.write_text("#!/bin/bash\n")
            script.chmod(0o644)
            self.assertEqual(len(list(tidy.check_mode("a.sh", script))), 1)
            script.chmod(0o755)
            self.assertEqual(list(tidy.check_mode("a.sh", script)), [])


class Length(unittest.TestCase):
    def test_function_at_the_limit(self):
        self.assertEqual(findings("void f() {\n" + body(68) + "}\n"), [])

    def test_function_over_the_limit(self):
        self.assertEqual(findings("void f() {\n" + body(69) + "}\n"), ["length"])

    def test_constructor_with_braced_members(self):
        self.assertEqual(findings("A::A(int a) : a_{a}, b_(a) {\n" + body(69) + "}\n"), ["length"])
        self.assertEqual(findings("A::A(int a) : a_{a}, b_(a) {}\n" + "int x;\n" * 80), [])

    def test_methods_count_one_by_one(self):
        method = "  int g() const noexcept override {\n" + body(40) + "  }\n"
        self.assertEqual(findings("namespace n {\nclass A final : public B {\n public:\n" + method * 4 + "};\n}\n"), [])

    def test_template_and_trailing_return(self):
        text = "template <class T>\nauto f(T t) -> int {\n" + body(69) + "}\n"
        self.assertEqual(findings(text), ["length"])

    def test_braces_in_strings_do_not_count(self):
        text = 'void f() {\n  g("}", \'{\', R"({{{)");\n' + body(69) + "}\n"
        self.assertEqual(findings(text), ["length"])

    def test_long_table_is_no_function(self):
        self.assertEqual(findings("constexpr std::array<int, 90> table = {\n" + "  1,\n" * 90 + "};\n"), [])

    def test_tests_may_be_longer(self):
        self.assertEqual(findings("TEST(A, B) {\n" + body(80) + "}\n", "tests/unit/base/a_test.cpp"), [])
        self.assertEqual(findings("TEST(A, B) {\n" + body(101) + "}\n", "tests/unit/base/a_test.cpp"), ["length"])

    def test_lines_and_files(self):
        self.assertEqual(findings("// " + "x" * 118 + "\n"), ["length"])
        self.assertEqual(findings("int a;\n" * 601), ["length"])


class Mutexes(unittest.TestCase):
    def test_that_guards_nothing(self):
        for line in ("  Mutex mutex_;\n", "  mutable Mutex mutex_;\n", "  std::mutex mutex_;\n",
                     "  std::shared_mutex mutex_;\n"):
            self.assertEqual(findings(line + "  int count_ BALE_GUARDED_BY(other_);\n"), ["mutex"])

    def test_that_says_what_it_guards(self):
        self.assertEqual(findings("  mutable Mutex mutex_;\n  int count_ BALE_GUARDED_BY(mutex_) = 0;\n"), [])
        self.assertEqual(findings("  Mutex mutex_;  ///< one line at a time\n"), [])

    def test_elsewhere(self):
        self.assertEqual(findings("std::mutex mutex;\n", path="tests/unit/a_test.cpp"), [])


class World(unittest.TestCase):
    def test_found(self):
        for call in ["std::getenv(\"A\")", "::getenv(\"A\")", "time(nullptr)", "std::chrono::system_clock::now()",
                     "std::random_device d", "rand()", "printf(\"\")", "std::cout << 1", "fmt::print(\"\")",
                     "std::this_thread::sleep_for(1s)", "usleep(1)"]:
            self.assertEqual(findings(f"auto a = [] {{ {call}; }};\n"), ["world"], call)

    def test_left_alone(self):
        for call in ["clock.time(0)", "operand(1)", "snprintf(a, 1, b)", "f(\"printf(\")", "stop_time(nullptr)",
                     "clock.sleep_until(t)", "a->print(x)"]:
            self.assertEqual(findings(f"auto a = [] {{ {call}; }};\n"), [], call)
        self.assertEqual(findings("// std::cout is not for us\n"), [])

    def test_os_may(self):
        self.assertEqual(findings("int a = time(nullptr);\n", "src/os/clock.cpp"), [])


class Swallow(unittest.TestCase):
    def test_found(self):
        self.assertEqual(findings("void f() {\n  try {\n  } catch (...) {\n    a = 1;\n  }\n}\n"), ["swallow"])

    def test_with_reason_or_kept(self):
        for inside in ["  // the log must not fail the job\n", "  throw;\n", "  keep(current_error());\n"]:
            self.assertEqual(findings("void f() {\n  try {\n  } catch (...) {\n" + inside + "  }\n}\n"), [], inside)
        self.assertEqual(findings("void f() {\n  try {\n  } catch (...) {  // why\n  }\n}\n"), [])


class Skip(unittest.TestCase):
    def test_a_skipped_test_says_why(self):
        path = "tests/unit/base/a_test.cpp"
        self.assertEqual(findings("TEST(A, B) {\n  if (c) GTEST_SKIP();\n}\n", path), ["skip"])
        self.assertEqual(findings('TEST(A, B) {\n  if (c) GTEST_SKIP() << "no c here";\n}\n', path), [])


class Words(unittest.TestCase):
    def test_leftovers_and_places(self):
        self.assertEqual(findings("// TO" + "DO: more\n"), ["leftover"])
        self.assertEqual(findings("// see /ro" + "ot/notes\n"), ["place"])
        self.assertEqual(findings("// https://example.org/wo" + "rk/a and a/work" + "/b\n"), [])


class Form(unittest.TestCase):
    def test_form(self):
        self.assertEqual(findings("int a;\n", "src/base/a.hpp"), ["form"])
        self.assertEqual(findings("int a;"), ["form"])
        self.assertEqual(findings("int a; \n"), ["form"])
        self.assertEqual(findings("\tint a;\n"), ["form"])


class Tree(unittest.TestCase):
    def test_exceptions_are_used_and_must_be_needed(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "src").mkdir()
            (root / "src/a.cpp").write_text("int a = rand();\n")
            self.assertEqual(len(tidy.check_tree(root, {})), 1)
            self.assertEqual(tidy.check_tree(root, {("src/a.cpp", "world"): "reason"}), [])
            (root / "src/a.cpp").write_text("int a = 1;\n")
            self.assertEqual(len(tidy.check_tree(root, {("src/a.cpp", "world"): "reason"})), 1)


if __name__ == "__main__":
    unittest.main()
