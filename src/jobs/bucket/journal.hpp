// The journal of a backup: what was copied from what. docs/format/bucket-journal.md describes the file. Pure.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::bucket {

/// How it became known that a copy has the content of its source.
enum class Origin : unsigned char {
  copied = 0,    ///< Bale made the copy under conditions
  etag = 1,      ///< equal ETags
  checksum = 2,  ///< equal checksums of the whole objects
  time = 3,      ///< equal sizes, and the copy was written after its source
  none = 4,      ///< nothing is known of the content: an entry that only tells the marks of a copy
};

/// What is remembered of one copy.
struct JournalEntry {
  std::string name;  ///< below the prefixes of both sides
  ETag source_etag;
  VersionId source_version;
  ByteCount size = 0;
  TimePoint source_modified{};  ///< to the second, as listings of S3 tell it
  ETag copy_etag;
  Origin origin = Origin::copied;
  std::optional<TimePoint> marked;  ///< since when the copy is marked as deleted
  TimePoint noted{};                ///< of two entries with one name, the later one holds
  bool is_forgotten = false;        ///< nothing is known of this name any more
  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

/// Entries in bytewise order of their names.
class EntrySequence {
 public:
  virtual ~EntrySequence() = default;
  /// Returns the next entry, valid until the next call; null at the end. Throws Error{corrupt} for a damaged journal.
  virtual const JournalEntry* next() = 0;
};

/// The beginning of a journal file.
struct JournalHeader {
  std::string identity;  ///< the two sides that the journal is about
  std::string first;     ///< name of the first entry; empty in a file without entries
};

inline constexpr std::string_view journal_magic = "BALEJRN1";
/// A header is at most this long: the identity and one key.
inline constexpr std::size_t most_journal_header_bytes = 8192;
/// A block is at most this long, its length and checksum not counted.
inline constexpr std::size_t most_journal_block_bytes = 1 << 20;

/// Builds a journal file from entries in order. Not thread-safe.
class JournalWriter {
 public:
  /// `take` is given the bytes of the file, in order.
  JournalWriter(std::string identity, std::function<void(std::string_view)> take)
      : identity_(std::move(identity)), take_(std::move(take)) {}
  /// Adds an entry whose name comes after that of the entry before. Throws Error{internal} otherwise.
  void add(const JournalEntry& entry);
  /// Writes what is left, and the end of the file.
  void finish();
  std::uint64_t entries() const noexcept { return entries_; }

 private:
  void begin(std::string_view first);
  void end_block();
  const std::string identity_;
  const std::function<void(std::string_view)> take_;
  bool has_begun_ = false;
  std::string block_, last_;
  std::uint64_t in_block_ = 0, entries_ = 0;
};

/// Reads the bytes of a journal file. Returns how many bytes it put to the start of the buffer; 0 at the end.
using ReadBytes = std::function<std::size_t(MutableBytes)>;

/// Reads a journal file as a stream, in the memory of one block. Not thread-safe.
class JournalReader final : public EntrySequence {
 public:
  /// Reads the header. Throws Error{corrupt} for what is no journal; `where` is named then.
  JournalReader(ReadBytes read, std::string where);
  const JournalHeader& header() const noexcept { return header_; }
  const JournalEntry* next() override;

 private:
  std::string take(std::size_t bytes);
  void read_block();
  void check_end();
  void read_entry();
  const std::string& last_name() const noexcept;
  [[noreturn]] void refuse(const char* what) const;
  const ReadBytes read_;
  const std::string where_;
  JournalHeader header_;
  std::string block_;
  std::string_view rest_;  ///< of the block
  std::uint64_t left_ = 0, entries_ = 0;
  bool is_at_end_ = false;
  bool begins_block_ = false;
  std::string last_;  ///< name of the last entry of the block before
  JournalEntry entry_;
};

/// Reads the header from the first bytes of a file. Throws Error{corrupt}; `where` is named then. Pure.
JournalHeader read_journal_header(std::string_view bytes, const std::string& where);

/// One source of a merge.
struct MergeInput {
  std::string first;                                     ///< no name of it comes before this one
  std::function<std::unique_ptr<EntrySequence>()> open;  ///< called when the merge comes to `first`
};

/// Merges journals. Of entries with one name, the one that was noted last is returned; forgotten ones are left out.
/// Inputs are opened when their names come, and closed at their end, so that few are open at once. Not thread-safe.
class MergedEntries final : public EntrySequence {
 public:
  explicit MergedEntries(std::vector<MergeInput> inputs);
  const JournalEntry* next() override;

 private:
  struct Open {
    std::unique_ptr<EntrySequence> entries;
    const JournalEntry* head = nullptr;
  };
  void open_until(const std::string* name);
  std::vector<MergeInput> waiting_;  ///< the one with the least `first` last
  std::vector<Open> open_;
  JournalEntry entry_;
};

}  // namespace bale::bucket
