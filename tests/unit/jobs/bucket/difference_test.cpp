#include "jobs/bucket/difference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::bucket {
namespace {

class Listed final : public store::ObjectSequence {
 public:
  explicit Listed(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      store::ListedObject object;
      object.key = ObjectKey(key);
      objects_.push_back(std::move(object));
    }
  }
  const store::ListedObject* next() override { return at_ < objects_.size() ? &objects_[at_++] : nullptr; }
  std::uint64_t requests() const noexcept override { return 0; }

 private:
  std::vector<store::ListedObject> objects_;
  std::size_t at_ = 0;
};

class Known final : public EntrySequence {
 public:
  explicit Known(const std::vector<std::string>& names) {
    for (const std::string& name : names) entries_.push_back({.name = name});
  }
  const JournalEntry* next() override { return at_ < entries_.size() ? &entries_[at_++] : nullptr; }

 private:
  std::vector<JournalEntry> entries_;
  std::size_t at_ = 0;
};

/// "left name", "right name", "both name", with "!" where the journal knows it.
std::vector<std::string> merged(const std::vector<std::string>& left, const std::string& left_prefix,
                                const std::vector<std::string>& right, const std::string& right_prefix,
                                const std::vector<std::string>& journal = {}) {
  Listed a(left), b(right);
  Known known(journal);
  Difference difference({a, left_prefix}, {b, right_prefix}, journal.empty() ? nullptr : &known);
  std::vector<std::string> found;
  while (const Pair* pair = difference.next()) {
    const char* side = pair->left == nullptr ? "right " : pair->right == nullptr ? "left " : "both ";
    found.push_back(side + std::string(pair->name) + (pair->known != nullptr ? "!" : ""));
  }
  return found;
}

using testing::ElementsAre;

TEST(Difference, MergesInBytewiseOrder) {
  EXPECT_THAT(merged({"a", "a/", "b", "\xff"}, "", {"a/", "a/b", "c"}, ""),
              ElementsAre("left a", "both a/", "right a/b", "left b", "right c", "left \xff"));
  EXPECT_TRUE(merged({}, "", {}, "").empty());
}

TEST(Difference, PrefixesOfBothSidesAreNoPartOfTheNames) {
  EXPECT_THAT(merged({"x/a", "x/b"}, "x/", {"long/y/b", "long/y/c"}, "long/y/"),
              ElementsAre("left a", "both b", "right c"));
}

TEST(Difference, LeavesOutAMarkerThatTheOtherSideCannotHave) {
  EXPECT_THAT(merged({"x/", "x/b"}, "x/", {"b"}, ""), ElementsAre("both b"));
  EXPECT_THAT(merged({"x/", "x/b"}, "x/", {"y/", "y/b"}, "y/"), ElementsAre("both ", "both b"));
}

TEST(Difference, LeavesOutKeysOfBalesOwn) {
  EXPECT_THAT(merged({".bale/x", "a"}, "", {".bale/journal/base", "a"}, ""), ElementsAre("both a"));
}

TEST(Difference, TheJournalIsReadAlong) {
  EXPECT_THAT(merged({"a", "b", "d"}, "", {"b", "c"}, "", {"0", "b", "c", "cc", "d", "e"}),
              ElementsAre("left a", "both b!", "right c!", "left d!"));
}

}  // namespace
}  // namespace bale::bucket
