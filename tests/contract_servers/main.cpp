// Runs the contract suites on the servers that with_servers.py has started. An instantiation's name starts with its
// server's; those of a server that cannot run here are left out, with the reason. Exit status 77: none can.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace {

/// A server's name in the names of tests, and the variable with the reason why it is missing (docs/testing.md).
constexpr std::array<std::pair<const char*, const char*>, 4> servers{{{"Rgw", "BALE_TEST_RGW_MISSING"},
                                                                      {"Moto", "BALE_TEST_MOTO_MISSING"},
                                                                      {"Dynalite", "BALE_TEST_DYNALITE_MISSING"},
                                                                      {"Swift", "BALE_TEST_SWIFT_MISSING"}}};
constexpr int status_skipped = 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  std::string filter = GTEST_FLAG_GET(filter);
  std::size_t missing = 0;
  for (const auto& [name, variable] : servers) {
    const char* const reason = std::getenv(variable);
    if (reason == nullptr) continue;
    std::printf("[ SKIPPED  ] %s/*: %s\n", name, reason);
    filter += (filter.find('-') == std::string::npos ? "-" : ":") + std::string(name) + "/*";
    ++missing;
  }
  if (missing == servers.size()) return status_skipped;
  GTEST_FLAG_SET(filter, filter);
  return RUN_ALL_TESTS();
}
