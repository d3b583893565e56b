// The objects of a manifest, packed: an archive may list millions of them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "store/object_store.hpp"

namespace bale::archive {

/// One object of a manifest. Members that archives of the reference lack are empty or 0 there.
struct ManifestObject {
  BucketName source_bucket;
  std::string source_prefix;   ///< the monitored prefix, without trailing '/'; "" is the root
  std::string object_name;     ///< last component of the key; empty for keys that end in '/'
  std::string relative_key;    ///< the key minus prefix and the '/' behind it
  ObjectKey key;               ///< the full key
  std::string member;          ///< name of the tar member
  std::string content_member;  ///< of a hard link: name of the tar member that holds its bytes; else empty
  TimePoint last_modified{};   ///< also creation_time, to the second
  /// When the key began to have this content, where that is later: an older version came back, or a multipart upload
  /// ended, whose object is dated by its begin.
  std::optional<TimePoint> current_since;
  ETag etag;
  ByteCount size = 0;
  std::string storage_class = "STANDARD";
  store::Tags tags;
  VersionId version_id;
  std::string sequencer;  ///< of the event that brought it; empty after a backfill
  store::SystemHeaders headers;
  store::UserMetadata metadata;
  std::string sha256;                    ///< lower-case hex
  std::optional<std::uint32_t> mode;     ///< permission bits (0777) of the file; absent for objects of a store
  std::optional<ByteCount> data_offset;  ///< of the first byte of the object in the tar stream
  /// Returns the name of the tar member that holds the object's bytes.
  const std::string& data_member() const noexcept { return content_member.empty() ? member : content_member; }
  /// Members of the same name in front of data_member(), not to be taken for it: archives of the reference may hold a
  /// key several times, once for each of its events in a batch.
  std::size_t members_before = 0;
  friend bool operator==(const ManifestObject&, const ManifestObject&) = default;
};

/// What a store tells of an object beside its content, packed into a string of about as many bytes as its texts have:
/// last_modified, etag, size, storage_class, tags, version_id, headers and metadata.
std::string pack_attributes(const ManifestObject& object);
/// Sets these members of `object` from what pack_attributes() gave.
void unpack_attributes(std::string_view packed, ManifestObject& object);

/// A list of objects. Each takes about as many bytes as its texts have, a key that occurs in several members once, and
/// 50 bytes. An object is unpacked when it is asked for: hold it by value, or by a const reference that extends its
/// life. Not thread-safe while it is changed.
class ObjectList {
 public:
  class Iterator;

  ObjectList() = default;
  ObjectList(std::initializer_list<ManifestObject> objects) {
    for (const ManifestObject& object : objects) push_back(object);
  }

  void push_back(const ManifestObject& object);
  std::size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  /// A copy of object `i`, which must be less than size(). It is const, because a change of it would change no list.
  const ManifestObject operator[](std::size_t i) const;  // NOLINT(readability-const-return-type)
  /// The same; throws std::out_of_range where there is no such object.
  const ManifestObject at(std::size_t i) const;  // NOLINT(readability-const-return-type)
  Iterator begin() const noexcept;
  Iterator end() const noexcept;

  // Members of object `i` that are there without unpacking.
  ByteCount bytes_of(std::size_t i) const noexcept { return entries_[i].size; }
  std::optional<ByteCount> data_offset_of(std::size_t i) const noexcept {
    return entries_[i].data_offset == no_offset ? std::nullopt : std::optional(entries_[i].data_offset);
  }

  /// Sets data_offset and members_before of object `i`.
  void set_place(std::size_t i, std::optional<ByteCount> data_offset, std::size_t members_before = 0) noexcept;
  /// Replaces object `i`. The memory of the old one is not given back.
  void set(std::size_t i, const ManifestObject& object);
  /// Keeps the objects for which `kept` is true, in their order; `kept` has size() elements.
  void keep_only(const std::vector<bool>& kept);
  /// Bytes that the list takes.
  ByteCount memory() const noexcept;

  friend bool operator==(const ObjectList& a, const ObjectList& b);

 private:
  static constexpr ByteCount no_offset = ~ByteCount{0};
  /// Where the texts of an object are, and its numbers.
  struct Entry {
    std::uint32_t block = 0, at = 0, length = 0, source = 0;
    ByteCount size = 0, data_offset = no_offset;
    std::uint32_t members_before = 0;
  };
  /// What neighbouring objects have in common.
  struct Source {
    BucketName bucket;
    std::string prefix;
    friend bool operator==(const Source&, const Source&) = default;
  };
  Entry made(const ManifestObject& object);

  std::vector<Entry> entries_;
  std::vector<Source> sources_;
  std::vector<std::string> blocks_;  ///< the texts of many objects each
  ByteCount text_bytes_ = 0, source_bytes_ = 0;
};

/// Goes over the objects of a list; gives each by value.
class ObjectList::Iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = ManifestObject;
  using difference_type = std::ptrdiff_t;
  using pointer = const ManifestObject*;
  using reference = const ManifestObject;
  Iterator() = default;
  Iterator(const ObjectList& list, std::size_t i) : list_(&list), i_(i) {}
  const ManifestObject operator*() const { return (*list_)[i_]; }  // NOLINT(readability-const-return-type)
  Iterator& operator++() noexcept {
    ++i_;
    return *this;
  }
  Iterator operator++(int) noexcept {
    const Iterator before = *this;
    ++i_;
    return before;
  }
  friend bool operator==(const Iterator&, const Iterator&) = default;

 private:
  const ObjectList* list_ = nullptr;
  std::size_t i_ = 0;
};

inline ObjectList::Iterator ObjectList::begin() const noexcept { return {*this, 0}; }
inline ObjectList::Iterator ObjectList::end() const noexcept { return {*this, size()}; }

}  // namespace bale::archive
