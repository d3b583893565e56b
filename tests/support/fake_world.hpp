// A world for tests: a clock that only tests move, captured output, an environment of its own, random bytes that are
// the same in every run, and real files in a directory that goes away with it.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "os/world.hpp"

namespace bale::testing {

/// An empty directory, removed with its content at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "bale-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp: cannot make " + name);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Time stands still until a test moves it. sleep_for() moves it too and returns at once, so that waiting costs
/// nothing; now() and steady() move together. Thread-safe.
class FakeClock final : public os::Clock {
 public:
  /// Starts at 2025-01-23 09:05:07.000 UTC.
  FakeClock() = default;
  TimePoint now() override { return from_epoch_ms(now_ms_.load()); }
  std::chrono::steady_clock::time_point steady() override {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(steady_ms_.load()));
  }
  bool sleep_for(Milliseconds duration, std::stop_token stop = {}) override {
    if (stop.stop_requested()) return false;
    advance(duration);
    return true;
  }
  void advance(Milliseconds duration) {
    now_ms_ += duration.count();
    steady_ms_ += duration.count();
  }
  /// Makes the wall clock jump; steady() does not move.
  void set(TimePoint time) { now_ms_ = to_epoch_ms(time); }
  /// Makes steady() begin anew, as a restart of the machine does.
  void restart() { steady_ms_ = 1'000'000; }

 private:
  std::atomic<std::int64_t> now_ms_{1'737'623'107'000};
  std::atomic<std::int64_t> steady_ms_{1'000'000};
};

/// The same "random" bytes in every run (splitmix64). Thread-safe.
class FakeEntropy final : public os::Entropy {
 public:
  explicit FakeEntropy(std::uint64_t seed = 1) : state_(seed) {}
  void fill(MutableBytes bytes) override {
    for (std::byte& b : bytes) {
      std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      b = static_cast<std::byte>(z ^ (z >> 31));
    }
  }

 private:
  std::atomic<std::uint64_t> state_;
};

/// Variables that a test sets; the process's own are not seen.
class FakeEnvironment final : public os::Environment {
 public:
  std::optional<std::string> get(const std::string& name) const override {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  }
  std::map<std::string, std::string> variables;
};

/// Keeps what was written. Thread-safe, apart from the settings.
class FakeTerminal final : public os::Terminal {
 public:
  void out(std::string_view text) override {
    const std::scoped_lock lock(mutex_);
    if (before_out) before_out();
    out_ += text;
  }
  std::size_t in(MutableBytes bytes, const std::stop_token& stop) override {
    if (before_in) before_in();
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const std::size_t taken = std::min(bytes.size(), input.size());
    std::copy_n(reinterpret_cast<const std::byte*>(input.data()), taken, bytes.begin());
    input.erase(0, taken);
    return taken;
  }
  void err(std::string_view text) override {
    const std::scoped_lock lock(mutex_);
    err_ += text;
  }
  bool err_is_terminal() const override { return is_terminal; }
  bool out_is_terminal() const override { return is_terminal; }
  int columns() const override { return width; }

  std::string output() const {
    const std::scoped_lock lock(mutex_);
    return out_;
  }
  std::string errors() const {
    const std::scoped_lock lock(mutex_);
    return err_;
  }
  /// What was written since the last call.
  std::string take_output() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(out_, {});
  }
  std::string take_errors() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(err_, {});
  }

  std::string input;  ///< standard input, from the next byte on
  bool is_terminal = false;
  int width = 80;
  std::function<void()> before_in;   ///< called before each in()
  std::function<void()> before_out;  ///< called before each out(); may throw, as a reader that is gone makes out() do

 private:
  mutable std::mutex mutex_;
  std::string out_, err_;
};

/// Everything together. world() is valid as long as this object.
class FakeWorld {
 public:
  os::World world() { return os::World{clock, entropy, environment, *files, terminal, stop.get_token()}; }
  /// A path in the test's own directory.
  std::filesystem::path path(const std::filesystem::path& relative = {}) const {
    return relative.empty() ? directory.path() : directory.path() / relative;
  }
  /// Writes a file below the test's directory, making its parents, and returns its path.
  std::filesystem::path write(const std::filesystem::path& relative, std::string_view content) const {
    const std::filesystem::path where = path(relative);
    std::filesystem::create_directories(where.parent_path());
    std::ofstream stream(where, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!stream.flush()) throw std::runtime_error("cannot write " + where.string());
    return where;
  }
  /// The content of a file below the test's directory.
  std::string read(const std::filesystem::path& relative) const {
    std::ifstream stream(path(relative), std::ios::binary);
    if (!stream) throw std::runtime_error("cannot read " + path(relative).string());
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  TemporaryDirectory directory;
  FakeClock clock;
  FakeEntropy entropy;
  FakeEnvironment environment;
  FakeTerminal terminal;
  os::Files* files = &os::system_files();  ///< borrowed; a test may put a failing one in its place
  std::stop_source stop;
};

}  // namespace bale::testing
