// Frames that need more than usual: a long window is read where there is memory for it, a dictionary is not there.
#include <fstream>

#include "archive/stream_reader.hpp"
#include "support/foreign_archive.hpp"

namespace bale::archive {
namespace {

using test::Collector;
using test::index_of;
using test::Machine;
using test::MemorySource;
using ::testing::HasSubstr;

/// Files that zstd made: `a` holds "one", `b` "two" fifty times.
std::string kept(const std::string& name) {
  std::ifstream file(std::string(BALE_TEST_DATA) + "/fuzz/corpus/archive_stream/" + name, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

template <typename Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::internal, "none");
}

TEST(LongWindows, AreReadWhereThereIsMemory) {
  MemorySource file(kept("long-window"));
  Machine machine(2, 1, 3ULL << 30);
  const auto reader = open_archive(file, {.budget = &machine.budget});
  EXPECT_GE(machine.budget.peak(), 2ULL << 30) << "the window is counted";
  Collector all;
  reader->read({}, all, machine.pools(), machine.budget, {});
  EXPECT_EQ(all.objects[0], "one");
  const BuiltSidecar built = build_sidecar(file, {.limits = {.budget = &machine.budget}});
  Collector by_index;
  open_with_sidecar(file, built.sidecar)->read({}, by_index, machine.pools(), machine.budget, {});
  EXPECT_EQ(by_index.objects, all.objects);
}

TEST(LongWindows, AreUnsupportedWithoutMemoryAndTheHintSaysHowMuch) {
  MemorySource file(kept("long-window"));
  for (const ByteCount memory : {ByteCount{64} << 20, ByteCount{2000} << 20}) {
    Machine machine(2, 1, memory);
    const Error error = error_of([&] { open_archive(file, {.budget = &machine.budget}); });
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("a window of 2.0 GiB"));
    EXPECT_THAT(error.hint(), HasSubstr("--memory-limit 2816MiB"));
  }
  // By an index that was made where there was memory: no object is damaged.
  Machine large(2, 1, 3ULL << 30), little(2, 1, 64 << 20);
  const BuiltSidecar built = build_sidecar(file, {.limits = {.budget = &large.budget}});
  Collector all;
  const Error error =
      error_of([&] { open_with_sidecar(file, built.sidecar)->read({}, all, little.pools(), little.budget, {}); });
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_TRUE(all.damages.empty());
}

/// 2^41 bytes, which the format allows and no decoder has.
TEST(LongWindows, ThatNobodyReadsHaveAnotherHint) {
  std::string bytes = kept("long-window");
  bytes[5] = static_cast<char>(31 << 3);  // the window descriptor
  MemorySource file(bytes);
  const Error error = error_of([&] { open_archive(file); });
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("2.0 TiB"));
  EXPECT_THAT(error.hint(), ::testing::Not(HasSubstr("--memory-limit")));
}

TEST(Dictionaries, AreUnsupported) {
  MemorySource file(kept("dictionary"));
  for (const auto& call : std::vector<std::function<void()>>{[&] { open_archive(file); }, [&] { index_of(file); }}) {
    const Error error = error_of(call);
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("needs the dictionary with ID"));
    EXPECT_THAT(error.hint(), HasSubstr("zstd -d -D"));
  }
}

}  // namespace
}  // namespace bale::archive
