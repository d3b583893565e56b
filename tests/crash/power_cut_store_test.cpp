// What the embedded store promises about power cuts, kill -9 and full disks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <random>

#include "crash/crash_files.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"

namespace bale::testing {
namespace {

const Region region("eu-west-1");
const BucketName bucket("crash-bucket");
const QueueName queue("crash-queue");

ObjectAddress at(const std::string& key) { return {bucket, ObjectKey(key)}; }

/// The same content for the same seed; no two pieces of it are alike.
std::string content_of(unsigned seed, std::size_t size) {
  std::mt19937 random(seed);
  std::string content(size, '\0');
  for (char& c : content) c = static_cast<char>(random());
  return content;
}

/// What a client was told, and what it was waiting for when everything ended.
struct Ledger {
  std::map<std::string, std::optional<std::string>> acknowledged;  ///< absent: deleted
  std::string pending_key;
  std::optional<std::string> pending;

  void begin(const std::string& key, std::optional<std::string> content) {
    pending_key = key;
    pending = std::move(content);
  }
  void end() {
    acknowledged[pending_key] = pending;
    pending_key.clear();
  }
};

void put(store::ObjectStore& store, Ledger& ledger, const std::string& key, const std::string& content) {
  ledger.begin(key, content);
  store::MemoryBody body(as_bytes(content));
  store.put(at(key), body, {});
  ledger.end();
}

void remove(store::ObjectStore& store, Ledger& ledger, const std::string& key) {
  ledger.begin(key, std::nullopt);
  store.remove(at(key));
  ledger.end();
}

void copy(store::ObjectStore& store, Ledger& ledger, const std::string& from, const std::string& to) {
  ledger.begin(to, ledger.acknowledged.at(from));
  store.copy({at(from), {}, {}}, at(to));
  ledger.end();
}

void put_parts(store::ObjectStore& store, Ledger& ledger, const std::string& key, const std::vector<std::string>& parts,
               bool last_first) {
  std::string whole;
  for (const std::string& part : parts) whole += part;
  ledger.begin(key, whole);
  const UploadId upload = store.create_upload(at(key), {});
  std::vector<store::UploadedPart> listed(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t which = last_first ? parts.size() - 1 - i : i;
    store::MemoryBody body(as_bytes(parts[which]));
    const auto number = static_cast<std::uint32_t>(which + 1);
    listed[which] = {number, store.upload_part(at(key), upload, number, body), parts[which].size()};
  }
  store.complete_upload(at(key), upload, listed);
  ledger.end();
}

/// Every way in which data get in, over other data, and out.
void run_workload(store::ObjectStore& store, Ledger& ledger) {
  std::string sparse(5 << 20, '\0');
  sparse.replace(1'000'000, 4, "data");
  put(store, ledger, "a", content_of(1, 5000));
  put(store, ledger, "deep/er/b", content_of(2, 100'000));
  put(store, ledger, "a", content_of(3, 300));
  copy(store, ledger, "deep/er/b", "deep/copy");
  put_parts(store, ledger, "parts/uniform", {sparse, content_of(4, 1000)}, false);
  put_parts(store, ledger, "parts/last-first", {sparse, content_of(5, 1000)}, true);
  put_parts(store, ledger, "parts/one", {content_of(6, 1000)}, false);
  remove(store, ledger, "deep/er/b");
  put(store, ledger, "deep/er/c", content_of(7, 10));
  remove(store, ledger, "a");
  put(store, ledger, "a", content_of(8, 70'000));
}

std::optional<std::string> read(store::ObjectStore& store, const std::string& key) {
  if (!store.head(at(key))) return std::nullopt;
  return store::read_all(*store.get(at(key)), 64 << 20);
}

/// Regular files below a directory; 0 when it is not there.
std::size_t count_files(const fs::path& directory) {
  std::size_t files = 0;
  std::error_code missing;
  for (const auto& entry : fs::recursive_directory_iterator(directory, missing))
    files += entry.is_regular_file() ? 1 : 0;
  return files;
}

/// Everything acknowledged is there, byte for byte; what was under way is there wholly or not at all.
void check(store::ObjectStore& store, const Ledger& ledger, const fs::path& directory) {
  for (const auto& [key, content] : ledger.acknowledged) {
    if (key == ledger.pending_key) continue;
    EXPECT_TRUE(read(store, key) == content) << key << " is not what was acknowledged";
  }
  if (!ledger.pending_key.empty()) {
    const auto before = ledger.acknowledged.find(ledger.pending_key);
    const auto found = read(store, ledger.pending_key);
    const bool old = before == ledger.acknowledged.end() ? !found.has_value() : found == before->second;
    EXPECT_TRUE(old || found == ledger.pending) << ledger.pending_key << " is half done";
  }
  const auto uploads = store.list_uploads(bucket);
  EXPECT_EQ(count_files(directory / "s3"), store.list(bucket, {}).objects.size()) << "stray files";
  EXPECT_TRUE(!uploads.empty() || count_files(directory / "uploads") == 0) << "stray parts";
}

/// Real files under another system start.
class RestartedFiles final : public ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const fs::path& path) override {
    if (path == "/proc/sys/kernel/random/boot_id") return nullptr;
    return ForwardingFiles::open_if_exists(path);
  }
};

TEST(PowerCut, LosesNothingAcknowledgedWhereverItHappens) {
  for (std::uint64_t cut_at = 1;; ++cut_at) {
    SCOPED_TRACE("at sync " + std::to_string(cut_at));
    FakeWorld outside;
    {
      os::World world = outside.world();
      embedded::Backend::open(outside.path("local"), world)->store(region)->create_bucket(bucket);
    }
    PowerCutFiles files(cut_at, static_cast<unsigned>(cut_at));
    Ledger ledger;
    try {
      os::World world{outside.clock, outside.entropy, outside.environment, files, outside.terminal, {}};
      const auto backend = embedded::Backend::open(outside.path("local"), world);
      run_workload(*backend->store(region), ledger);
    } catch (const Error& error) {
      ASSERT_TRUE(files.is_cut()) << error.what();
    }
    if (!files.is_cut()) {
      EXPECT_GT(cut_at, 30u) << "the workload hardly syncs";
      return;
    }
    files.lose_unsynced();
    RestartedFiles after;
    os::World world{outside.clock, outside.entropy, outside.environment, after, outside.terminal, {}};
    const auto backend = embedded::Backend::open(outside.path("local"), world);
    check(*backend->store(region), ledger, outside.path("local"));
    if (HasFailure()) return;
  }
}

TEST(FullDisk, ChangesNothingAndRecovers) {
  FakeWorld outside;
  FullDiskFiles files;
  os::World world{outside.clock, outside.entropy, outside.environment, files, outside.terminal, {}};
  const auto backend = embedded::Backend::open(outside.path("local"), world);
  const auto store = backend->store(region);
  store->create_bucket(bucket);
  Ledger ledger;
  put(*store, ledger, "k", "before");
  int failures = 0;
  for (std::int64_t room = 0;; ++room) {
    SCOPED_TRACE("room for " + std::to_string(room));
    files.fill_after(room);
    Ledger attempt = ledger;
    std::optional<Error> failure;
    try {
      put(*store, attempt, "new/k" + std::to_string(room), content_of(1, 3 << 20));
      put_parts(*store, attempt, "k", {content_of(2, 1000)}, false);
    } catch (const Error& error) {
      failure = error;
    }
    files.free();
    for (const auto& upload : store->list_uploads(bucket)) store->abort_upload({bucket, upload.key}, upload.upload_id);
    attempt.pending_key.clear();
    attempt.pending.reset();
    check(*store, attempt, outside.path("local"));
    if (!failure) break;
    ++failures;
    EXPECT_EQ(failure->kind(), ErrorKind::unavailable);
    ledger = attempt;
  }
  EXPECT_GT(failures, 5);
}

TEST(FullDisk, AnAbortedUploadLeavesNoParts) {
  FakeWorld outside;
  FullDiskFiles files;
  os::World world{outside.clock, outside.entropy, outside.environment, files, outside.terminal, {}};
  const auto backend = embedded::Backend::open(outside.path("local"), world);
  const auto store = backend->store(region);
  store->create_bucket(bucket);
  const UploadId upload = store->create_upload(at("k"), {});
  for (std::uint32_t number = 1; number <= 3; ++number) {
    const std::string content = content_of(number, 5 << 20);
    store::MemoryBody body(as_bytes(content));
    store->upload_part(at("k"), upload, number, body);
  }
  files.fill_after(0);
  // Nothing can be written any more: neither that the upload is gone nor anything else.
  EXPECT_THROW(store->abort_upload(at("k"), upload), Error);
  EXPECT_EQ(count_files(outside.path("local") / "uploads"), 0u) << "what takes the space is gone first";
  files.free();
  store->abort_upload(at("k"), upload);
  EXPECT_TRUE(store->list_uploads(bucket).empty());
  Ledger ledger;
  put(*store, ledger, "k", "after");
  check(*store, ledger, outside.path("local"));
}

/// Puts and deletes for ever, and says on the descriptor what begins and what is done.
[[noreturn]] void be_killed(const fs::path& directory, int out, unsigned seed) {
  try {
    os::World world = os::system_world();
    const auto backend = embedded::Backend::open(directory, world);
    const auto store = backend->store(region);
    std::mt19937 random(seed);
    for (;;) {
      const std::string key = "d" + std::to_string(random() % 4) + "/k" + std::to_string(random() % 4);
      const unsigned content = random() % 4 == 0 ? 0 : random() | 1u;
      const auto say = [&](char what) {
        const std::string line = what + key + " " + std::to_string(content) + "\n";
        if (::write(out, line.data(), line.size()) < 0) ::_exit(3);
      };
      say('B');
      if (content == 0) {
        store->remove(at(key));
      } else {
        const std::string bytes = content_of(content, content % 100'000);
        store::MemoryBody body(as_bytes(bytes));
        store->put(at(key), body, {});
      }
      say('A');
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  }
  ::_exit(2);
}

std::string read_to_end(int fd) {
  std::string text;
  char block[4096];
  for (ssize_t got; (got = ::read(fd, block, sizeof block)) > 0;) text.append(block, static_cast<std::size_t>(got));
  return text;
}

void take_notes(Ledger& ledger, const std::string& notes) {
  std::size_t start = 0;
  for (std::size_t end; (end = notes.find('\n', start)) != std::string::npos; start = end + 1) {
    const std::string line = notes.substr(start, end - start);
    const auto space = line.find(' ');
    const auto content = static_cast<unsigned>(std::stoul(line.substr(space + 1)));
    if (line[0] == 'A') {
      ledger.end();
    } else {
      ledger.begin(line.substr(1, space - 1),
                   content == 0 ? std::nullopt : std::optional(content_of(content, content % 100'000)));
    }
  }
}

TEST(Kill, LosesNothingAcknowledged) {
  FakeWorld outside;
  const fs::path directory = outside.path("local");
  os::World world = os::system_world();
  embedded::Backend::open(directory, world)->store(region)->create_bucket(bucket);
  std::mt19937 random(7);
  Ledger ledger;
  for (unsigned kill = 0; kill < 40; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    int notes[2];
    ASSERT_EQ(::pipe2(notes, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) be_killed(directory, notes[1], kill + 1);
    ::close(notes[1]);
    ::usleep(20'000 + random() % 100'000);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    take_notes(ledger, read_to_end(notes[0]));
    ::close(notes[0]);
    const auto backend = embedded::Backend::open(directory, world);
    const auto store = backend->store(region);
    check(*store, ledger, directory);
    if (HasFailure()) return;
    if (!ledger.pending_key.empty()) ledger.acknowledged[ledger.pending_key] = read(*store, ledger.pending_key);
    ledger.pending_key.clear();
  }
  EXPECT_FALSE(ledger.acknowledged.empty());
}

}  // namespace
}  // namespace bale::testing
