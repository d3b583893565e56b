// The difference of two listings: a merge in bytewise order of names. Pure.
#pragma once

#include <string>
#include <string_view>

#include "jobs/bucket/journal.hpp"
#include "store/listing.hpp"

namespace bale::bucket {

/// What is known of one name. At least one side has it. All is valid until the next call of Difference::next().
struct Pair {
  std::string_view name;  ///< below the prefixes of both sides
  const store::ListedObject* left = nullptr;
  const store::ListedObject* right = nullptr;
  const JournalEntry* known = nullptr;  ///< of a journal, where it has the name
};

/// One side of a difference. The sequence is borrowed; its keys begin with the prefix.
struct ListedSide {
  store::ObjectSequence& objects;
  std::string prefix = {};
};

/// Merges two listings, and a journal of the right side, by the names below the prefixes. Keys of Bale's own
/// (own_prefix) are left out, and so is a key that is the prefix itself (the marker of a folder) where the other side
/// has no prefix. Memory: one object a side. Not thread-safe.
class Difference {
 public:
  /// `journal` is borrowed and may be null.
  Difference(ListedSide left, ListedSide right, EntrySequence* journal);
  /// Returns the next name of either side; null at the end. Throws what the sequences throw.
  const Pair* next();

 private:
  struct Head {
    ListedSide side;
    bool skips_nameless = false;  ///< the other side cannot have a key that is the prefix itself
    const store::ListedObject* object = nullptr;
    bool is_read = false;
    void read();
    std::string_view name() const { return std::string_view(object->key.str()).substr(side.prefix.size()); }
  };
  const JournalEntry* known(std::string_view name);
  Head left_, right_;
  EntrySequence* journal_;
  const JournalEntry* entry_ = nullptr;
  bool is_journal_read_ = false;
  Pair pair_;
};

}  // namespace bale::bucket
