#include "jobs/bucket/journal_keeper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

constexpr const char* base_name = "base";
constexpr const char* segment_prefix = "segment-";
/// A segment is written after so many entries or so much time: what a cut run forgets is at most this.
constexpr std::size_t segment_entries = 20'000;
constexpr std::chrono::seconds segment_time{30};
/// `base` is written anew when the segments have an eighth of its size, or are so many.
constexpr ByteCount fold_divisor = 8;
constexpr std::size_t most_segments = 64;
constexpr std::size_t write_bytes = 1 << 20;
/// A journal that cannot be written so often is given up, with a warning: its entries would fill the memory.
constexpr std::size_t most_failures = 4;

/// Ends where a file is damaged or gone, with a warning.
class Forgiving final : public EntrySequence {
 public:
  Forgiving(std::unique_ptr<EntrySequence> inner, JournalKeeper::Warn warn)
      : inner_(std::move(inner)), warn_(std::move(warn)) {}
  const JournalEntry* next() override {
    if (!inner_) return nullptr;
    try {
      return inner_->next();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::precondition) throw;
      warn_(fmt::format("{}; what it knew is found out again", error.what()));
      inner_.reset();
      return nullptr;
    }
  }

 private:
  std::unique_ptr<EntrySequence> inner_;
  const JournalKeeper::Warn warn_;
};

class Nothing final : public EntrySequence {
 public:
  const JournalEntry* next() override { return nullptr; }
};

/// Gives a sink what a JournalWriter writes, in pieces of some size.
class Pieces {
 public:
  explicit Pieces(transfer::ByteSink& sink) : sink_(sink) {}
  void take(std::string_view bytes) {
    text_ += bytes;
    if (text_.size() >= write_bytes) put();
  }
  void put() {
    Buffer buffer(std::max<std::size_t>(text_.size(), 1));
    buffer.append(as_bytes(text_));
    text_.clear();
    sink_.append({std::move(buffer), {}});
  }

 private:
  transfer::ByteSink& sink_;
  std::string text_;
};

}  // namespace

std::string JournalIdentity::text() const {
  nlohmann::ordered_json json{{"source_service", source_service},
                              {"source", to_hex(as_bytes(source))},
                              {"destination", to_hex(as_bytes(destination))}};
  if (versions) json["versions"] = true;
  return json.dump();
}

std::string JournalIdentity::folder() const {
  constexpr std::size_t digits = 16;
  const std::string digest = to_hex_digest(Sha256::of(as_bytes(text()))).substr(0, digits);
  return parse_s3_uri(source).bucket.str() + "-" + digest;
}

JournalKeeper::JournalKeeper(JournalFiles* files, JournalIdentity identity, os::World& world, Warn warn)
    : files_(files),
      identity_(identity.text()),
      world_(world),
      warn_(std::move(warn)),
      run_(fmt::format("{:013}-{:016x}", to_epoch_ms(world.clock.now()), world.entropy.next_u64())),
      flushed_(world.clock.steady()) {}

std::vector<JournalFile> JournalKeeper::known_files() {
  std::vector<JournalFile> found = files_->list();
  std::erase_if(
      found, [](const JournalFile& file) { return file.name != base_name && !file.name.starts_with(segment_prefix); });
  return found;
}

std::unique_ptr<EntrySequence> JournalKeeper::open(const JournalFile& file) {
  try {
    auto reader = std::make_unique<JournalReader>(files_->open(file), files_->where() + file.name);
    return std::make_unique<Forgiving>(std::move(reader), warn_);
  } catch (const Error& error) {
    // Another run may have folded it into `base` meanwhile.
    const bool is_gone = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::precondition;
    if (!is_gone && error.kind() != ErrorKind::corrupt) throw;
    warn_(fmt::format("{}; what it knew is found out again", error.what()));
    return std::make_unique<Nothing>();
  }
}

std::unique_ptr<EntrySequence> JournalKeeper::merge(const std::vector<JournalFile>& files) {
  std::vector<MergeInput> inputs;
  for (const JournalFile& file : files) {
    JournalHeader header;
    try {
      header = read_journal_header(files_->read_start(file, most_journal_header_bytes), files_->where() + file.name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::not_found) throw;
      warn_(fmt::format("{}; what it knew is found out again", error.what()));
      continue;
    }
    if (header.identity != identity_) {
      throw Error(ErrorKind::invalid, "the journal is about another source or destination", files_->where() + file.name,
                  "give each pair of buckets a journal of its own");
    }
    inputs.push_back({header.first, [this, file] { return open(file); }});
  }
  return std::make_unique<MergedEntries>(std::move(inputs));
}

std::unique_ptr<EntrySequence> JournalKeeper::entries() {
  if (files_ == nullptr) return nullptr;
  const std::vector<JournalFile> found = known_files();
  return found.empty() ? nullptr : merge(found);
}

void JournalKeeper::note(JournalEntry entry) {
  if (files_ == nullptr) return;
  entry.noted = world_.clock.now();
  {
    const Lock lock(mutex_);
    if (failures_ >= most_failures) return;  // it cannot be written
    noted_.push_back(std::move(entry));
    const bool is_due = noted_.size() >= segment_entries * (failures_ + 1) ||
                        world_.clock.steady() - flushed_ >= segment_time * static_cast<int>(failures_ + 1);
    if (!is_due) return;
  }
  try {
    flush();
  } catch (...) {
    bool is_last = false;
    {
      const Lock lock(mutex_);
      is_last = ++failures_ == most_failures;
      if (is_last) noted_.clear();
    }
    if (is_last) warn_(fmt::format("the journal cannot be written: {}", current_error().what()));
  }
}

void JournalKeeper::flush() {
  if (files_ == nullptr) return;
  std::vector<JournalEntry> entries;
  {
    const Lock lock(mutex_);
    entries.swap(noted_);
    flushed_ = world_.clock.steady();
  }
  if (entries.empty()) return;
  try {
    write_segment(entries);
  } catch (...) {
    const Lock lock(mutex_);
    noted_.insert(noted_.end(), std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
    throw;
  }
}

void JournalKeeper::write_segment(std::vector<JournalEntry> entries) {
  std::reverse(entries.begin(), entries.end());  // of two that were noted in one millisecond, the second is the latest
  std::stable_sort(entries.begin(), entries.end(), [](const JournalEntry& a, const JournalEntry& b) {
    return a.name != b.name ? a.name < b.name : a.noted > b.noted;
  });
  // Of several with one name the first is the latest.
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [](const JournalEntry& a, const JournalEntry& b) { return a.name == b.name; }),
                entries.end());
  std::string name;
  {
    const Lock lock(mutex_);
    name = fmt::format("{}{}-{:06}", segment_prefix, run_, segments_++);
  }
  const auto sink = files_->create(name, 0, nullptr);
  Pieces pieces(*sink);
  JournalWriter writer(identity_, [&](std::string_view bytes) { pieces.take(bytes); });
  for (const JournalEntry& entry : entries) writer.add(entry);
  writer.finish();
  pieces.put();
  sink->finish();
}

void JournalKeeper::fold() {
  if (files_ == nullptr) return;
  flush();
  const std::vector<JournalFile> found = known_files();
  const JournalFile* base = nullptr;
  ByteCount bytes = 0;
  for (const JournalFile& file : found) {
    if (file.name == base_name) base = &file;
    bytes += file.size;
  }
  const std::size_t segments = found.size() - (base != nullptr ? 1 : 0);
  const ByteCount base_bytes = base != nullptr ? base->size : 0;
  if (segments == 0 || (segments < most_segments && (bytes - base_bytes) * fold_divisor < base_bytes)) return;
  const auto merged = merge(found);
  const auto sink = files_->create(base_name, bytes, base);
  Pieces pieces(*sink);
  JournalWriter writer(identity_, [&](std::string_view part) { pieces.take(part); });
  while (const JournalEntry* entry = merged->next()) writer.add(*entry);
  writer.finish();
  pieces.put();
  try {
    sink->finish();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::precondition) return;  // another run folded; its successor folds the rest
    throw;
  }
  for (const JournalFile& file : found)
    if (file.name != base_name) files_->remove(file.name);
}

}  // namespace bale::bucket
