#include "jobs/bucket/difference.hpp"

#include "jobs/bucket/place.hpp"

namespace bale::bucket {

Difference::Difference(ListedSide left, ListedSide right, EntrySequence* journal)
    : left_{std::move(left)}, right_{std::move(right)}, journal_(journal) {
  left_.skips_nameless = right_.side.prefix.empty();
  right_.skips_nameless = left_.side.prefix.empty();
}

void Difference::Head::read() {
  if (is_read) return;
  do object = side.objects.next();
  while (object != nullptr && (is_own_key(object->key.str()) || (skips_nameless && name().empty())));
  is_read = true;
}

/// Returns the journal's entry of the name; the journal is read up to it.
const JournalEntry* Difference::known(std::string_view name) {
  if (journal_ == nullptr) return nullptr;
  if (!is_journal_read_) entry_ = journal_->next();
  is_journal_read_ = true;
  while (entry_ != nullptr && entry_->name < name) entry_ = journal_->next();
  return entry_ != nullptr && entry_->name == name ? entry_ : nullptr;
}

const Pair* Difference::next() {
  left_.read();
  right_.read();
  if (left_.object == nullptr && right_.object == nullptr) return nullptr;
  const int order = left_.object == nullptr ? 1 : right_.object == nullptr ? -1 : left_.name().compare(right_.name());
  pair_ = {};
  pair_.name = order <= 0 ? left_.name() : right_.name();
  if (order <= 0) pair_.left = left_.object;
  if (order >= 0) pair_.right = right_.object;
  left_.is_read = order > 0;
  right_.is_read = order < 0;
  pair_.known = known(pair_.name);
  return &pair_;
}

}  // namespace bale::bucket
