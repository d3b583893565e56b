#include <gtest/gtest.h>

#include "jobs/bucket/backup_versions.hpp"

namespace bale::bucket {
namespace {

using Versions = std::vector<store::ListedVersion>;

/// One version a letter, the oldest first; '-' is a delete marker.
Versions versions(std::string_view text, int first_id = 0) {
  Versions made;
  for (const char c : text) {
    store::ListedVersion version;
    version.key = ObjectKey("k");
    version.is_delete_marker = c == '-';
    if (c != '-') version.etag = ETag(std::string(1, c));
    version.size = 1;
    version.version_id = VersionId("v" + std::to_string(first_id + static_cast<int>(made.size())));
    version.last_modified = TimePoint(std::chrono::hours(first_id + static_cast<int>(made.size())));
    made.push_back(version);
  }
  return made;
}

JournalEntry known(const Versions& source, std::size_t index, const std::string& copy) {
  return {.name = "k",
          .source_etag = source[index].etag,
          .source_version = source[index].version_id,
          .size = 1,
          .source_modified = source[index].last_modified,
          .copy_etag = ETag(copy)};
}

TEST(FirstToCopy, WithoutAJournalEqualVersionsAreSkipped) {
  EXPECT_EQ(first_to_copy(versions("abc"), {}, nullptr), 0U);
  EXPECT_EQ(first_to_copy(versions("abc"), versions("ab"), nullptr), 2U);
  EXPECT_EQ(first_to_copy(versions("abc"), versions("abc"), nullptr), 3U);
  EXPECT_EQ(first_to_copy(versions("aba"), versions("a"), nullptr), 1U) << "not behind the newest that looks alike";
  EXPECT_EQ(first_to_copy(versions("a-b"), versions("a-"), nullptr), 2U);
  EXPECT_EQ(first_to_copy(versions("cd"), versions("abc"), nullptr), 1U) << "the source lost old versions";
  EXPECT_EQ(first_to_copy(versions("cd"), versions("xy"), nullptr), 0U);
}

TEST(FirstToCopy, TheJournalKnowsCopiesWithOtherETags) {
  const Versions source = versions("abcd");
  const JournalEntry entry = known(source, 1, "B");
  EXPECT_EQ(first_to_copy(source, versions("AB"), &entry), 2U);
  EXPECT_EQ(first_to_copy(versions("cd", 2), versions("AB"), &entry), 0U) << "what it knows is gone: what is younger";
  // A kill between a copy and its note: the copy is one more.
  EXPECT_EQ(first_to_copy(source, versions("ABC"), &entry), 3U);
  EXPECT_EQ(first_to_copy(source, versions("AB-"), &entry), 2U) << "that one is nobody's copy";
  JournalEntry marker = known(source, 1, marker_etag);
  EXPECT_EQ(first_to_copy(source, versions("A-"), &marker), 2U);
}

}  // namespace
}  // namespace bale::bucket
