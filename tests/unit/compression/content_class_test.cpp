#include "compression/content_class.hpp"

#include "archive/compress.hpp"

namespace bale::compression {
namespace {

TEST(ContentClassTest, ExtensionsHaveGroups) {
  const auto group = [](std::string_view key) { return classify(key, 0.3).group; };
  EXPECT_EQ(group("a/b/readme.TXT"), "text");
  EXPECT_EQ(group("app.log"), "log");
  EXPECT_EQ(group("app.log.17"), "log");
  EXPECT_EQ(group("x.csv"), "table");
  EXPECT_EQ(group("x.csv.gz"), "packed");
  EXPECT_EQ(group("lib.so"), "program");
  EXPECT_EQ(group("scan.raw"), "array");
  for (const char* key :
       {"", "a", ".txt", "a.txt/", "x.y z", "x.", "x.averyveryverylongone", "d.txt/file", "\xff\x00.\xfe"})
    EXPECT_EQ(group(key), "other") << key;
}

TEST(ContentClassTest, TheProbeGivesTheBand) {
  EXPECT_EQ(classify("a.txt", 0.1).name(), "text-0");
  EXPECT_EQ(classify("a.txt", 0.25).name(), "text-1");
  EXPECT_EQ(classify("a.txt", 0.6).name(), "text-2");
  EXPECT_EQ(classify("a.txt", 0.96).name(), "text-3");
  EXPECT_EQ(classify("a.txt", archive::incompressible_ratio).name(), "text-4");
  EXPECT_EQ(classify("a.txt", 1.5).band, content_bands - 1);
  EXPECT_EQ(classify("a.txt", std::nan("")).band, content_bands - 1);
}

}  // namespace
}  // namespace bale::compression
