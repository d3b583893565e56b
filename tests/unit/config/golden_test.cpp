// Every directory below golden/ is a configuration with what is found in it: expected.txt, empty where nothing is
// wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/replication.hpp"

namespace bale::config {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<fs::path> cases() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::path(BALE_TEST_DATA) / "unit/config/golden"))
    found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::string findings_of(const fs::path& directory) {
  try {
    load_replication_config(os::system_files(), directory);
    return "";
  } catch (const InvalidConfig& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    std::string text;
    for (const Finding& finding : error.findings()) {
      EXPECT_NE(std::string(error.what()).find(to_string(finding)), std::string::npos) << "what() leaves out a finding";
      text += to_string(finding) + "\n";
    }
    return text;
  }
}

class Golden : public ::testing::TestWithParam<fs::path> {};

TEST_P(Golden, FindsExactlyWhatIsWrong) { EXPECT_EQ(findings_of(GetParam()), read(GetParam() / "expected.txt")); }

INSTANTIATE_TEST_SUITE_P(Configurations, Golden, ::testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.filename().string(); });

}  // namespace
}  // namespace bale::config
