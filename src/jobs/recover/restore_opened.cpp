// Objects of archives that have to be opened: of the reference, whose catalog rows know no places.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "archive/deliver.hpp"
#include "archive/manifest_forms.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/recover/restore_reader.hpp"
#include "transfer/byte_io.hpp"

namespace bale::recover {
namespace {

/// Counts what is read.
class CountedSource final : public transfer::RandomSource {
 public:
  CountedSource(transfer::RandomSource& inner, std::atomic<std::uint64_t>& requests, std::atomic<ByteCount>& bytes)
      : inner_(inner), requests_(requests), bytes_(bytes) {}
  ByteCount size() override { return inner_.size(); }
  void read_at(ByteCount offset, MutableBytes bytes) override {
    ++requests_;
    inner_.read_at(offset, bytes);
    bytes_ += bytes.size();
  }
  Buffer read_tail(ByteCount most) override {
    ++requests_;
    Buffer tail = inner_.read_tail(most);
    bytes_ += tail.size();
    return tail;
  }
  std::string name() const override { return inner_.name(); }

 private:
  transfer::RandomSource& inner_;
  std::atomic<std::uint64_t>& requests_;
  std::atomic<ByteCount>& bytes_;
};

/// Passes an object on and settles it when it is the recorded one. Throws Error{corrupt} when it is another.
class VerifiedWrite final : public archive::ObjectReceiver {
 public:
  /// `size`: the object's bytes in the archive.
  VerifiedWrite(const RestoreTools& tools, std::size_t index, ByteCount size, const ObjectAddress& copy,
                char& is_settled)
      : record_(tools.records[index]), copy_(copy), write_(tools, index, size), is_settled_(is_settled) {}
  void write(ByteView bytes) override {
    bytes_ += bytes.size();
    if (!record_.sha256.empty()) hash_.update(bytes);
    write_.write(bytes);
    is_settled_ = write_.is_settled();
  }
  void finish() override {
    if (write_.is_settled()) return;
    const bool differs = !record_.sha256.empty() && to_hex_digest(hash_.finish()) != record_.sha256;
    if (differs || (record_.object_size && bytes_ != *record_.object_size)) {
      throw Error(ErrorKind::corrupt, "the object in the archive is not the one that was packed", to_uri(copy_));
    }
    write_.finish();
    is_settled_ = 1;
  }

 private:
  const catalog::Record record_;
  const ObjectAddress& copy_;
  SettledWrite write_;
  char& is_settled_;
  Sha256 hash_;
  ByteCount bytes_ = 0;
};

/// One object, handed on in the order and at the pace of the reading.
class OneObject final : public archive::FrameVisitor {
 public:
  explicit OneObject(archive::ObjectReceiver& receiver) : receiver_(receiver) {}
  void frame(std::shared_ptr<const archive::FrameData>, const std::vector<archive::MemberPiece>& pieces) override {
    for (const archive::MemberPiece& piece : pieces) {
      if (!piece.bytes.empty()) receiver_.write(piece.bytes);
    }
  }
  void damaged(const archive::Damage& damage) override {
    if (!damage_) damage_ = damage.error;
  }
  void finish() {
    if (damage_) throw *damage_;
    receiver_.finish();
  }

 private:
  archive::ObjectReceiver& receiver_;
  std::optional<Error> damage_;
};

/// Objects of an archive by their full keys.
class ObjectsByKey {
 public:
  /// `wanted`: the keys that are looked for later. An object of an archive of another program is found by the key too
  /// that an earlier version of Bale wrote into its catalog row.
  ObjectsByKey(const archive::Manifest& manifest, const std::unordered_set<std::string>& wanted) {
    const archive::ObjectList& objects = manifest.objects;
    const bool is_foreign = manifest.version == 0;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const archive::ManifestObject object = objects[i];
      if (wanted.contains(object.key.str())) by_key_.emplace(object.key.str(), i);
      const std::string above = object.source_prefix.empty() ? "" : object.source_prefix + "/";
      if (wanted.contains(above + object.relative_key)) by_key_.emplace(above + object.relative_key, i);
    }
    // Last, so that a key that an object really has comes first.
    for (std::size_t i = 0; is_foreign && i < objects.size(); ++i) {
      const std::string misread = archive::misread_key(objects[i]);
      if (wanted.contains(misread)) by_key_.emplace(misread, i);
    }
  }
  std::optional<std::size_t> find(const ObjectKey& key) const {
    const auto found = by_key_.find(key.str());
    return found == by_key_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::unordered_map<std::string, std::size_t> by_key_;
};

/// One archive that is open.
class OpenedReading {
 public:
  OpenedReading(const RestoreTools& tools, archive::Reader& reader, const ObjectAddress& copy, ReadBatch& batch)
      : tools_(tools), reader_(reader), copy_(copy), batch_(batch), settled_(batch.records.size(), 0) {}

  void run() {
    find();
    try {
      read_together();
      for (const auto& [object, position] : large_) read_one(object, position);
    } catch (...) {
      forget_settled();
      throw;
    }
    forget_settled();
  }

 private:
  void find() {
    std::unordered_set<std::string> wanted;
    for (const auto& [position, error] : batch_.left)
      wanted.insert(catalog::Record(tools_.records[batch_.records[position]]).object_path.str());
    const ObjectsByKey objects(reader_.manifest(), wanted);
    for (auto& [position, error] : batch_.left) {
      const catalog::Record record = tools_.records[batch_.records[position]];
      const auto object = objects.find(record.object_path);
      if (!object)
        missing_.push_back(position);
      else
        (tools_.destination.takes_tickets(size_of(record, *object)) ? large_ : together_).emplace(*object, position);
    }
    const Error error(ErrorKind::not_found, "the archive does not hold the object", to_uri(copy_));
    for (const std::size_t position : missing_) batch_.blame(position, error);
  }

  void read_together() {
    if (together_.empty()) return;
    std::vector<std::size_t> objects;
    for (const auto& [object, position] : together_) objects.push_back(object);
    const auto make = [&](std::size_t object) { return receiver(object, together_.at(object)); };
    const archive::Delivery delivery =
        archive::deliver_objects(reader_, objects, make, tools_.pools, tools_.budget, tools_.world.stop);
    for (const auto& [object, error] : delivery.failures) {
      const std::size_t position = together_.at(object);
      if (settled_[position] == 0) batch_.blame(position, error);
    }
  }

  void read_one(std::size_t object, std::size_t position) {
    const auto write = receiver(object, position);
    OneObject visitor(*write);
    try {
      reader_.read({object}, visitor, tools_.pools, tools_.budget, tools_.world.stop);
      visitor.finish();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      if (settled_[position] == 0) batch_.blame(position, error);
    }
  }

  std::unique_ptr<archive::ObjectReceiver> receiver(std::size_t object, std::size_t position) {
    const std::size_t index = batch_.records[position];
    return std::make_unique<VerifiedWrite>(tools_, index, size_of(tools_.records[index], object), copy_,
                                           settled_[position]);
  }

  /// Returns the size that the record says; where it says none, that of the object in the archive.
  ByteCount size_of(const catalog::Record& record, std::size_t object) const {
    return record.object_size ? *record.object_size : reader_.manifest().objects.bytes_of(object);
  }

  void forget_settled() {
    for (std::size_t position = 0; position < settled_.size(); ++position) {
      if (settled_[position] != 0) batch_.left.erase(position);
    }
  }

  const RestoreTools& tools_;
  archive::Reader& reader_;
  const ObjectAddress& copy_;
  ReadBatch& batch_;
  std::vector<char> settled_;                            ///< by position; each touched by who writes that object
  std::map<std::size_t, std::size_t> together_, large_;  ///< object of the manifest -> position
  std::vector<std::size_t> missing_;
};

}  // namespace

void read_opened(const RestoreTools& tools, store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                 std::atomic<std::uint64_t>& requests, std::atomic<ByteCount>& bytes) {
  const auto source = transfer::open_object_source(store, copy);
  CountedSource counted(*source, requests, bytes);
  const auto reader = archive::open_archive(counted, {.budget = &tools.budget});
  OpenedReading(tools, *reader, copy, batch).run();
}

}  // namespace bale::recover
