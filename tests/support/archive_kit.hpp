// Archives in memory, for tests: members, sinks, sources that count, and visitors that collect.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "archive/reader.hpp"
#include "archive/writer.hpp"
#include "base/text.hpp"

namespace bale::test {

/// Text of words, so that it compresses; equal seeds give equal text.
inline std::string words(std::size_t bytes, unsigned seed) {
  static constexpr const char* vocabulary[] = {"archive ", "frame ",   "bucket ", "of ",
                                               "the ",     "object\n", "key ",    "0x"};
  std::mt19937 random(seed);
  std::string text;
  text.reserve(bytes + 16);
  while (text.size() < bytes) {
    text += vocabulary[random() % std::size(vocabulary)];
    if (random() % 4 == 0) text += std::to_string(random() % 100000);
  }
  text.resize(bytes);
  return text;
}

/// Bytes that do not compress.
inline std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// Letters and digits that hardly compress.
inline std::string noise_text(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = "abcdefghijklmnopqrstuvwxyzABCDEF0123456789"[random() % 42];
  return text;
}

/// Members with their content, in the order of the plan.
struct TestMember {
  std::string name;
  std::string content;
  TimePoint modified = from_epoch_ms(1'700'000'000'123);
};

class TestSource : public archive::MemberSource {
 public:
  explicit TestSource(std::vector<TestMember> members) : members_(std::move(members)) {}
  std::vector<archive::PlannedMember> plan() const {
    std::vector<archive::PlannedMember> planned;
    for (const TestMember& member : members_) planned.push_back({member.name, member.content.size()});
    return planned;
  }
  const std::vector<TestMember>& members() const { return members_; }
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override {
    ++fetches;
    if (on_fetch) on_fetch(index, offset);
    const TestMember& member = members_.at(index);
    const std::string_view part = std::string_view(member.content).substr(offset, into.size());
    if (part.size() != into.size()) throw Error(ErrorKind::internal, "asked for more than the member has");
    std::copy_n(as_bytes(part).data(), part.size(), into.data());
    return member.modified;
  }
  std::function<void(std::size_t, ByteCount)> on_fetch;  ///< may throw
  std::atomic<int> fetches{0};

 private:
  std::vector<TestMember> members_;
};

class MemorySink : public transfer::ByteSink {
 public:
  void append(transfer::OutputPiece piece) override {
    if (on_append) on_append(bytes.size());
    bytes.append(as_text(piece.bytes.view()));
  }
  void finish() override {
    if (on_finish) on_finish();
    finished = true;
  }
  ByteCount written() const override { return bytes.size(); }
  std::string name() const override { return "memory"; }
  std::string bytes;
  bool finished = false;
  std::function<void(std::size_t)> on_append;
  std::function<void()> on_finish;
};

class MemorySource : public transfer::RandomSource {
 public:
  explicit MemorySource(std::string content) : bytes(std::move(content)) {}
  ByteCount size() override { return bytes.size(); }
  void read_at(ByteCount offset, MutableBytes into) override {
    if (on_read) on_read(offset, into.size());
    ++requests;
    bytes_read += into.size();
    if (offset > bytes.size() || into.size() > bytes.size() - offset) throw Error(ErrorKind::corrupt, "ends early");
    std::copy_n(as_bytes(bytes).data() + offset, into.size(), into.data());
  }
  Buffer read_tail(ByteCount most) override {
    Buffer tail(std::min<ByteCount>(most, bytes.size()));
    tail.resize(tail.capacity());
    read_at(bytes.size() - tail.size(), {tail.data(), tail.size()});
    return tail;
  }
  std::string name() const override { return "memory.tar.zst"; }
  std::string bytes;
  std::atomic<std::size_t> requests{0}, bytes_read{0};
  std::function<void(ByteCount, std::size_t)> on_read;
};

/// Puts objects together from their pieces, and collects damage.
class Collector : public archive::FrameVisitor {
 public:
  void frame(std::shared_ptr<const archive::FrameData> data, const std::vector<archive::MemberPiece>& pieces) override {
    ++frames;
    if (keep_frames) kept.push_back(data);
    for (const archive::MemberPiece& piece : pieces) {
      if (damaged_objects().contains(piece.object)) continue;
      std::string& content = objects[piece.object];
      if (content.size() != piece.offset) throw Error(ErrorKind::internal, "pieces of an object out of order");
      content.append(as_text(piece.bytes));
    }
    if (on_frame) on_frame();
  }
  void damaged(const archive::Damage& damage) override { damages.push_back(damage); }
  std::set<std::size_t> damaged_objects() const {
    std::set<std::size_t> all;
    for (const auto& damage : damages) all.insert(damage.objects.begin(), damage.objects.end());
    return all;
  }
  std::map<std::size_t, std::string> objects;
  std::vector<archive::Damage> damages;
  std::vector<std::shared_ptr<const archive::FrameData>> kept;
  bool keep_frames = false;
  int frames = 0;
  std::function<void()> on_frame;
};

/// Pools and a budget, as a job has them.
struct Machine {
  explicit Machine(std::size_t connection_threads = 4, std::size_t core_threads = 2, ByteCount memory = 256ULL << 20)
      : budget(memory), connections(connection_threads, "connection"), cores(core_threads, "core") {}
  flow::Pools pools() { return {connections, cores}; }
  flow::MemoryBudget budget;
  flow::ThreadPool connections, cores;
};

/// Changes object `i` of a list.
template <typename Change>
void change(archive::ObjectList& objects, std::size_t i, Change change) {
  archive::ManifestObject object = objects[i];
  change(object);
  objects.set(i, object);
}

/// The manifest that a job would write for these members.
inline archive::Manifest manifest_of(const std::vector<TestMember>& members,
                                     const std::vector<archive::WrittenMember>& written, int level) {
  archive::Manifest manifest;
  manifest.source_region = Region("eu-west-1");
  manifest.created = from_epoch_ms(1'700'000'000'000);
  manifest.level = level;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (written[i].failure) continue;
    archive::ManifestObject object;
    object.source_bucket = BucketName("source");
    object.relative_key = members[i].name;
    object.object_name = std::string(basename(members[i].name));
    object.key = ObjectKey(members[i].name);
    object.member = written[i].member;
    object.last_modified = written[i].modified;
    object.size = members[i].content.size();
    object.sha256 = to_hex_digest(written[i].sha256);
    object.data_offset = written[i].data_offset;
    manifest.objects.push_back(object);
  }
  return manifest;
}

struct TestArchive {
  std::string bytes;
  archive::WriteResult result;
};

inline TestArchive write(TestSource& source, Machine& machine, const archive::WriterOptions& options = {.level = 3}) {
  MemorySink sink;
  auto result = archive::write_archive(
      source.plan(), source,
      [&](const auto& written) {
        return archive::to_json(manifest_of(source.members(), written.members, options.level));
      },
      sink, machine.pools(), machine.budget, options);
  if (!sink.finished) throw Error(ErrorKind::internal, "the sink was not finished");
  return {std::move(sink.bytes), std::move(result)};
}

}  // namespace bale::test
