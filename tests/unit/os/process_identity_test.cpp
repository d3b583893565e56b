// A process of this machine that has ended is known to have; of no other process is anything claimed.
#include "os/process_identity.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bale::os {
namespace {

/// A child that only waits; ended and reaped at the end.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    while (true) ::pause();
  }
  ~Child() {
    if (pid_ > 0) reap();
  }
  pid_t pid() const { return pid_; }
  void kill() {
    ::kill(pid_, SIGKILL);
    siginfo_t ignored{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &ignored, WEXITED | WNOWAIT);  // ended, and not reaped
  }
  void reap() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

/// The start of a process, as this_process() tells it of this one: field 22 of proc_pid_stat(5).
ProcessIdentity identity_of(pid_t pid) {
  ProcessIdentity identity = this_process(system_files());
  identity.pid = pid;
  const std::string stat = read_text_file(system_files(), "/proc/" + std::to_string(pid) + "/stat");
  std::size_t at = stat.rfind(')');
  for (int i = 0; i < 20; ++i) at = stat.find(' ', at + 1);
  identity.started = stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
  return identity;
}

TEST(ProcessIdentity, SaysEverythingOfThisProcess) {
  const ProcessIdentity self = this_process(system_files());
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_EQ(self, identity_of(::getpid()));
  EXPECT_FALSE(self.host.empty());
  EXPECT_FALSE(self.machine.empty());
  EXPECT_FALSE(self.started.empty());
  EXPECT_FALSE(has_ended(system_files(), self));
}

TEST(ProcessIdentity, KnowsThatAProcessHasEnded) {
  Child child;
  const ProcessIdentity identity = identity_of(child.pid());
  EXPECT_FALSE(has_ended(system_files(), identity));
  ::kill(child.pid(), SIGSTOP);
  EXPECT_FALSE(has_ended(system_files(), identity)) << "stopped is not ended";
  child.kill();
  EXPECT_TRUE(has_ended(system_files(), identity)) << "not reaped yet";
  child.reap();
  EXPECT_TRUE(has_ended(system_files(), identity));
}

TEST(ProcessIdentity, TellsAProcessFromALaterOneOfItsPid) {
  ProcessIdentity earlier = this_process(system_files());
  earlier.started += "0";
  EXPECT_TRUE(has_ended(system_files(), earlier));
}

TEST(ProcessIdentity, ClaimsNothingInDoubt) {
  Child child;
  const ProcessIdentity gone = identity_of(child.pid());
  child.reap();
  const auto changed = [&](const auto& change) {
    ProcessIdentity other = gone;
    change(other);
    return has_ended(system_files(), other);
  };
  EXPECT_TRUE(changed([](auto&) {}));
  EXPECT_FALSE(changed([](auto& other) { other.machine += "x"; })) << "another boot or process namespace";
  EXPECT_FALSE(changed([](auto& other) { other.machine.clear(); }));
  EXPECT_FALSE(changed([](auto& other) { other.host += "x"; }));
  EXPECT_FALSE(changed([](auto& other) { other.started.clear(); }));
  for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40})
    EXPECT_FALSE(changed([&](auto& other) { other.pid = pid; }));
}

}  // namespace
}  // namespace bale::os
