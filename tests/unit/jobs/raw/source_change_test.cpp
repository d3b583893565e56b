#include "jobs/raw/source_change.hpp"

#include <gtest/gtest.h>

namespace bale::raw {
namespace {

os::FileInfo file_of(ByteCount size, std::int64_t modified_ms, std::int64_t changed_ms, std::uint64_t inode = 7) {
  return {.type = os::FileType::regular,
          .size = size,
          .modified = from_epoch_ms(modified_ms),
          .changed = from_epoch_ms(changed_ms),
          .device = 1,
          .inode = inode};
}

TEST(SourceChange, AFileThatIsLeftAloneIsTheSame) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(5, 1000, 1000)), Change::none);
}

TEST(SourceChange, ANameThatNothingHasIsGone) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000), std::nullopt), Change::gone);
}

TEST(SourceChange, AnotherSizeOrTimeIsAWrite) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(6, 1000, 1000)), Change::content);
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(5, 1002, 1002)), Change::content);
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(5, 998, 1000)), Change::content);
}

TEST(SourceChange, AFileInThePlaceOfTheOldOneIsAWrite) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000, 7), file_of(5, 1000, 1000, 8)), Change::content);
}

TEST(SourceChange, ARoundedTimeLeavesItToTheBytes) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(5, 1001, 1001)), Change::unclear);
}

TEST(SourceChange, AModificationTimeThatWasPutBackLeavesItToTheBytes) {
  EXPECT_EQ(compare(file_of(5, 1000, 1000), file_of(5, 1000, 9000)), Change::unclear);
}

TEST(SourceChange, TheDescriptionHasBothSizesAndTimes) {
  const std::string text = describe_change(file_of(5, 0, 0), file_of(6, 1000, 0));
  EXPECT_EQ(text,
            "changed while it was read: 5 bytes, modified 1970-01-01T00:00:00.000Z; now 6 bytes, modified "
            "1970-01-01T00:00:01.000Z");
}

}  // namespace
}  // namespace bale::raw
