#include "os/world.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/error.hpp"
#include "os/machine.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

using namespace std::chrono_literals;

TEST(SystemClock, SleepsForTheWholeTime) {
  const auto before = system_clock().steady();
  EXPECT_TRUE(system_clock().sleep_for(20ms));
  EXPECT_GE(system_clock().steady() - before, 20ms);
}

TEST(SystemClock, WakesWhenItIsStopped) {
  std::stop_source stop;
  const auto before = system_clock().steady();
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(system_clock().sleep_for(1min, stop.get_token()));
  EXPECT_LT(system_clock().steady() - before, 30s);
  EXPECT_FALSE(system_clock().sleep_for(1min, stop.get_token())) << "stopped before";
}

TEST(SystemEntropy, GivesOtherBytesEachTime) {
  EXPECT_NE(system_entropy().next_u64(), system_entropy().next_u64());
  std::string bytes(1000, '\0');
  system_entropy().fill(std::as_writable_bytes(std::span(bytes)));
  EXPECT_NE(bytes.find_first_not_of('\0', 900), std::string::npos) << "filled to the end";
}

TEST(SystemEnvironment, TellsUnsetFromEmpty) {
  ::setenv("BALE_TEST_EMPTY", "", 1);
  EXPECT_EQ(system_environment().get("BALE_TEST_EMPTY"), "");
  ::unsetenv("BALE_TEST_EMPTY");
  EXPECT_EQ(system_environment().get("BALE_TEST_EMPTY"), std::nullopt);
}

/// Standard error is a pipe meanwhile.
class StandardErrorPipe {
 public:
  StandardErrorPipe() : kept_(::dup(STDERR_FILENO)) {
    if (::pipe(ends_) != 0) throw std::runtime_error("no pipe");
    ::dup2(ends_[1], STDERR_FILENO);
    ::close(ends_[1]);
  }
  ~StandardErrorPipe() {
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
    ::close(ends_[0]);
  }
  std::string read(std::size_t most) const {
    std::string text(most, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends_[0], text.data(), most))));
    return text;
  }

 private:
  int kept_, ends_[2];
};

TEST(SystemTerminal, DropsLogLinesThatNobodyReads) {
  std::string line(2999, 'x');
  line += '\n';
  int taken = 0;
  std::string got;
  {
    const StandardErrorPipe pipe;
    const auto began = std::chrono::steady_clock::now();
    while (taken < 1000 && system_terminal().log(line)) ++taken;
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(system_terminal().log(line));
    const auto waited = std::chrono::steady_clock::now() - began;
    EXPECT_GE(waited, 900ms);
    EXPECT_LT(waited, 10s) << "once, not for every line";
    got += pipe.read(1 << 20);
    EXPECT_TRUE(system_terminal().log("next\n")) << "the reader is back";
    got += pipe.read(1 << 20);
  }
  EXPECT_LT(taken, 1000);
  EXPECT_TRUE(got.ends_with("\nnext\n")) << "a line that was cut is ended";
}

TEST(SystemTerminal, WaitsForASlowReader) {
  std::string got;
  const std::string text(1'000'000, 'x');
  {
    const StandardErrorPipe pipe;
    std::jthread reader([&] {
      while (got.size() < text.size()) {
        got += pipe.read(100'000);
        std::this_thread::sleep_for(20ms);
      }
    });
    system_terminal().err(text);
  }
  EXPECT_EQ(got.size(), text.size());
}

TEST(FakeClock, MovesWhenSomebodySleeps) {
  testing::FakeClock clock;
  const TimePoint before = clock.now();
  const auto steady = clock.steady();
  EXPECT_TRUE(clock.sleep_for(1h));
  EXPECT_EQ(clock.now() - before, 1h);
  EXPECT_EQ(clock.steady() - steady, 1h);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.sleep_for(1h, stop.get_token()));
  EXPECT_EQ(clock.now() - before, 1h);
}

TEST(Machine, TellsSomethingHere) {
  EXPECT_GT(usable_memory(system_files()), ByteCount{1} << 20);
  EXPECT_GE(usable_cores(system_files()), 1u);
}

/// A system whose /proc and /sys are what a test says.
class ProcFiles : public Files {
 public:
  explicit ProcFiles(std::map<fs::path, std::string> content) {
    for (const auto& [path, text] : content) world_.write(path.relative_path(), text);
  }
  std::unique_ptr<ReadableFile> open_if_exists(const fs::path& path) override {
    return system_files().open_if_exists(world_.path(path.relative_path()));
  }
  std::unique_ptr<WritableFile> create(const fs::path&) override { return nullptr; }
  void rename(const fs::path&, const fs::path&) override {}
  bool remove(const fs::path&) override { return false; }
  std::vector<fs::path> make_directories(const fs::path&) override { return {}; }
  std::optional<FileInfo> info(const fs::path&) override { return std::nullopt; }
  std::optional<FileInfo> info_followed(const fs::path&) override { return std::nullopt; }
  std::vector<DirectoryEntry> list(const fs::path&) override { return {}; }
  void sync_directory(const fs::path&) override {}
  void sync_filesystem(const fs::path&) override {}
  void set_modified(const fs::path&, TimePoint) override {}

 private:
  testing::FakeWorld world_;
};

constexpr const char* meminfo = "MemTotal:        8000000 kB\nMemFree:         1000 kB\n";
constexpr ByteCount total = 8'000'000ull * 1024;

TEST(Machine, WithoutLimitsAllMemoryCounts) {
  ProcFiles files(
      {{"/proc/meminfo", meminfo}, {"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/memory.max", "max\n"}});
  EXPECT_EQ(usable_memory(files), total);
  ProcFiles nothing({});
  EXPECT_EQ(usable_memory(nothing), 0u);
  EXPECT_GE(usable_cores(nothing), 1u);
}

TEST(Machine, TheLeastLimitOfTheGroupsCounts) {
  ProcFiles v2({{"/proc/meminfo", meminfo},
                {"/proc/self/cgroup", "0::/a/b\n"},
                {"/sys/fs/cgroup/a/b/memory.max", "max\n"},
                {"/sys/fs/cgroup/a/memory.max", "1073741824\n"},
                {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                {"/sys/fs/cgroup/a/cpu.max", "50000 100000\n"}});
  EXPECT_EQ(usable_memory(v2), 1u << 30);
  EXPECT_EQ(usable_cores(v2), 1u);
}

TEST(Machine, AContainerSeesItsLimitsAtTheRoot) {
  ProcFiles v2({{"/proc/meminfo", meminfo},
                {"/proc/self/cgroup", "0::/docker/0123456789\n"},
                {"/sys/fs/cgroup/memory.max", "536870912\n"}});
  EXPECT_EQ(usable_memory(v2), 512u << 20);
}

TEST(Machine, ControlGroupsOfTheFirstKindCountToo) {
  ProcFiles v1({{"/proc/meminfo", meminfo},
                {"/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n"},
                {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                {"/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "268435456\n"},
                {"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n"},
                {"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"},
                {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}});
  EXPECT_EQ(usable_memory(v1), 256u << 20);
  EXPECT_EQ(usable_cores(v1), 1u);
}

}  // namespace
}  // namespace bale::os
