// A journal whose owner ends while another process looks for journals of dead ones.
#include <gtest/gtest.h>

#include <fstream>

#include "crash/crash_files.hpp"
#include "embedded/writer_journal.hpp"
#include "support/fake_world.hpp"

namespace bale::embedded {
namespace {

/// Files whose owner settles and removes them at the worst moment.
class VanishingFiles final : public testing::ForwardingFiles {
 public:
  enum class Moment { never, locked, looked_at };
  std::unique_ptr<os::FileLock> try_lock(const os::fs::path& path) override {
    auto lock = real_.try_lock(path);  // of what was opened, whether or not it has its name still
    if (moment == Moment::locked) fired = real_.remove(path);
    is_locked_ = true;
    return lock;
  }
  std::optional<os::FileInfo> info(const os::fs::path& path) override {
    auto found = real_.info(path);
    if (moment == Moment::looked_at && is_locked_) fired = real_.remove(path);
    return found;
  }
  Moment moment = Moment::never;
  bool fired = false;

 private:
  bool is_locked_ = false;
};

TEST(WriterJournalRace, AJournalThatIsRemovedWhileItIsSweptIsSettled) {
  using Moment = VanishingFiles::Moment;
  for (const Moment moment : {Moment::never, Moment::locked, Moment::looked_at}) {
    testing::FakeWorld outside;
    VanishingFiles files;
    os::World world{outside.clock, outside.entropy,  outside.environment,
                    files,         outside.terminal, outside.stop.get_token()};
    const os::fs::path directory = outside.path("writers");
    os::fs::create_directories(directory);
    std::ofstream(directory / "0s05-a389ym4s") << "bale-writer 1 \ns3/eu/file\n";
    WriterJournal journal(world, directory, 7);
    files.moment = moment;
    std::size_t resolved = 0;
    EXPECT_NO_THROW(journal.sweep([&](const os::fs::path&) { ++resolved; }));
    EXPECT_EQ(resolved, moment == Moment::never ? 1u : 0u);
    EXPECT_EQ(files.fired, moment != Moment::never);
    EXPECT_FALSE(os::fs::exists(directory / "0s05-a389ym4s"));
  }
}

}  // namespace
}  // namespace bale::embedded
