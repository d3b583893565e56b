#include "os/stream_io.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "contract/errors.hpp"

namespace bale::os {
namespace {

using namespace std::chrono_literals;

class StreamIo : public ::testing::Test {
 protected:
  StreamIo() { EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0); }
  ~StreamIo() override {
    close_end(0);
    close_end(1);
  }
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(ends_[which]);
    ends_[which] = -1;
  }
  void put(std::string_view text) { EXPECT_EQ(::write(ends_[1], text.data(), text.size()), std::ssize(text)); }
  std::string read() {
    std::array<std::byte, 100> bytes;
    const std::size_t got = read_stream(ends_[0], bytes, stop_.get_token(), "the pipe");
    return std::string(as_text(ByteView(bytes).first(got)));
  }

  int ends_[2] = {-1, -1};
  std::stop_source stop_;
};

TEST_F(StreamIo, ReadsWhatIsThereAndTheEnd) {
  put("abc");
  EXPECT_EQ(read(), "abc");
  close_end(1);
  EXPECT_EQ(read(), "");
}

TEST_F(StreamIo, AnEndAfterAStopIsNoEnd) {
  put("abc");
  close_end(1);
  EXPECT_EQ(read(), "abc");
  stop_.request_stop();
  EXPECT_ERROR(ErrorKind::cancelled, "", read());
}

TEST_F(StreamIo, BytesAfterAStopAreNotTaken) {
  put("abc");
  stop_.request_stop();
  EXPECT_ERROR(ErrorKind::cancelled, "", read());
}

TEST_F(StreamIo, AStopEndsTheWaitForASilentWriter) {
  const std::jthread stopper([this] {
    std::this_thread::sleep_for(20ms);
    stop_.request_stop();
  });
  EXPECT_ERROR(ErrorKind::cancelled, "", read());
}

TEST_F(StreamIo, ADescriptorThatIsClosedIsAnError) {
  constexpr int no_descriptor = 987'654;
  std::array<std::byte, 1> bytes;
  EXPECT_ERROR(ErrorKind::unavailable, "", read_stream(no_descriptor, bytes, {}, "the pipe"));
}

/// What `check` returns in a child process that has the given standard streams closed.
template <typename Check>
int in_child_without(std::initializer_list<int> closed, Check check) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int fd : closed) ::close(fd);
    open_closed_standard_streams();
    ::_exit(check());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ClosedStandardStreams, GetTheirNumbersBack) {
  const auto next = [] { return ::open("/dev/null", O_RDONLY); };
  EXPECT_GT(in_child_without({0, 1, 2}, next), 2);
  EXPECT_GT(in_child_without({1}, next), 2);
  EXPECT_GT(in_child_without({0, 2}, next), 2);
  EXPECT_GT(in_child_without({}, next), 2);
}

TEST(ClosedStandardStreams, TakeWhatIsWrittenAndGiveNoEndOfInput) {
  EXPECT_EQ(in_child_without({1, 2}, [] { return ::write(1, "x", 1) == 1 && ::write(2, "x", 1) == 1 ? 0 : 1; }), 0);
  EXPECT_EQ(in_child_without({0},
                             [] {
                               char byte = 0;
                               return ::read(0, &byte, 1) < 0 ? 0 : 1;
                             }),
            0);
}

}  // namespace
}  // namespace bale::os
