#include "archive/deliver.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "archive/file_name.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "flow/sequencer.hpp"
#include "os/target.hpp"

namespace bale::archive {
namespace {

// Small objects are handed to a pool in groups, so that thousands of them in a frame are not thousands of tasks.
constexpr std::size_t group_objects = 32;
constexpr ByteCount group_bytes = 1ULL << 20;

/// Whether a failure concerns the one object alone; a full disk, a lost connection or a stop concerns all.
bool is_of_one_object(const Error& error) noexcept {
  const ErrorKind kind = error.kind();
  const bool may_be = kind == ErrorKind::denied || kind == ErrorKind::precondition || kind == ErrorKind::invalid ||
                      kind == ErrorKind::corrupt;
  return may_be && !os::is_of_whole_target(error);
}

/// One object on its way to its receiver.
class Transfer {
 public:
  Transfer(std::string sha256, std::unique_ptr<ObjectReceiver> receiver)
      : sha256_(std::move(sha256)), receiver_(std::move(receiver)) {}
  void write(ByteView bytes) {
    digest_.update(bytes);
    if (!bytes.empty()) receiver_->write(bytes);
  }
  /// Returns whether there was a digest to compare with.
  bool finish() {
    // Archives of the reference have no digests; their frames' checksums and sizes were verified.
    if (!sha256_.empty() && to_hex_digest(digest_.finish()) != sha256_)
      throw Error(ErrorKind::corrupt, "its SHA-256 is not the one in the manifest");
    receiver_->finish();
    return !sha256_.empty();
  }

 private:
  const std::string sha256_;
  std::unique_ptr<ObjectReceiver> receiver_;
  Sha256 digest_;
};

class Deliverer final : public FrameVisitor {
 public:
  Deliverer(Reader& reader, const std::function<std::unique_ptr<ObjectReceiver>(std::size_t)>& make, flow::Pools pools,
            flow::Progress* progress, const std::stop_token& stop)
      : objects_(reader.manifest().objects),
        make_(make),
        pools_(pools),
        progress_(progress),
        stop_with_caller_(stop, [this] { stop_.request_stop(); }) {}

  std::stop_token token() const { return stop_.get_token(); }

  void frame(std::shared_ptr<const FrameData> frame, const std::vector<MemberPiece>& pieces) override {
    std::vector<MemberPiece> group;
    ByteCount bytes = 0;
    const auto flush = [&] {
      if (!group.empty()) start_group(frame, std::exchange(group, {}));
      bytes = 0;
    };
    for (const MemberPiece& piece : pieces) {
      if (piece.bytes.size() != objects_.bytes_of(piece.object)) {
        start_part(frame, piece);
        continue;
      }
      group.push_back(piece);
      bytes += piece.bytes.size();
      if (group.size() == group_objects || bytes >= group_bytes) flush();
    }
    flush();
  }

  void damaged(const Damage& damage) override {
    for (const std::size_t object : damage.objects) {
      fail(object, damage.error);
      if (const auto found = large_.find(object); found != large_.end()) found->second->failed = true;
    }
  }

  Delivery finish() {
    tasks_.wait();
    if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive");
    const Lock lock(mutex_);
    return std::move(delivery_);
  }

  /// Waits for what is under way; throws what a task failed with, if one did.
  void give_up() {
    stop_.request_stop();
    tasks_.wait();
  }

 private:
  using Part = std::pair<std::shared_ptr<const FrameData>, MemberPiece>;
  /// An object that comes in several frames. Its parts arrive from several threads and are written in order.
  struct LargeObject {
    std::optional<flow::Sequencer<Part>> parts;
    std::uint64_t next_part = 0;  ///< counted by frame(), one call at a time
    std::atomic<bool> failed{false};
    std::unique_ptr<Transfer> transfer;
  };

  void start_group(std::shared_ptr<const FrameData> frame, std::vector<MemberPiece> group) {
    run_task([this, held = std::move(frame), pieces = std::move(group)] {
      for (const MemberPiece& piece : pieces) {
        guarded(piece.object, [&] {
          Transfer transfer(objects_[piece.object].sha256, make_(piece.object));
          transfer.write(piece.bytes);
          count(piece.object, transfer.finish());
        });
      }
    });
  }

  void start_part(const std::shared_ptr<const FrameData>& frame, const MemberPiece& piece) {
    std::shared_ptr<LargeObject>& large = large_[piece.object];
    if (!large) {
      large = std::make_shared<LargeObject>();
      large->parts.emplace(
          [this, &object = *large](std::uint64_t, const Part& part) { write_part(object, part.second); });
    }
    run_task([large, number = large->next_part++, frame, piece] { large->parts->put(number, {frame, piece}); });
  }

  void write_part(LargeObject& large, const MemberPiece& piece) {
    if (large.failed) return large.transfer.reset();
    const bool sound = guarded(piece.object, [&] {
      if (piece.offset == 0)
        large.transfer = std::make_unique<Transfer>(objects_[piece.object].sha256, make_(piece.object));
      // The first part was in a damaged frame.
      if (!large.transfer) throw Error(ErrorKind::corrupt, "the beginning of the object is lost");
      large.transfer->write(piece.bytes);
      if (piece.offset + piece.bytes.size() < objects_.bytes_of(piece.object)) return;
      const bool verified = large.transfer->finish();
      large.transfer.reset();
      count(piece.object, verified);
    });
    if (sound) return;
    large.failed = true;
    large.transfer.reset();
  }

  void run_task(std::function<void()> task) {
    tasks_.run(pools_.connections, [this, work = std::move(task)] {
      try {
        if (!stop_.stop_requested()) work();
      } catch (...) {
        tasks_.fail(std::current_exception());
        stop_.request_stop();  // the reader stops as well
        throw;
      }
    });
  }

  /// Runs a step of one object; what concerns that object alone is recorded, and false returned.
  template <typename Step>
  bool guarded(std::size_t object, Step step) {
    try {
      step();
      return true;
    } catch (const Error& error) {
      if (!is_of_one_object(error)) throw;
      fail(object, error);
      return false;
    }
  }

  void fail(std::size_t object, const Error& error) {
    const Lock lock(mutex_);
    const bool first = delivery_.failures.try_emplace(object, error).second;
    if (first && progress_ != nullptr) ++progress_->items_failed;
  }

  void count(std::size_t object, bool verified) {
    {
      const Lock lock(mutex_);
      ++delivery_.delivered;
      if (!verified) ++delivery_.unverifiable;
      delivery_.bytes += objects_.bytes_of(object);
    }
    if (progress_ == nullptr) return;
    ++progress_->items_done;
    progress_->bytes_done += objects_.bytes_of(object);
  }

  const ObjectList& objects_;
  const std::function<std::unique_ptr<ObjectReceiver>(std::size_t)>& make_;
  const flow::Pools pools_;
  flow::Progress* const progress_;
  Mutex mutex_;
  Delivery delivery_ BALE_GUARDED_BY(mutex_);
  // Touched by frame() and damaged() alone, which are called one at a time.
  std::unordered_map<std::size_t, std::shared_ptr<LargeObject>> large_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> stop_with_caller_;
  flow::TaskGroup tasks_;  // last: waits for the tasks before what they use is gone
};

class FileReceiver final : public ObjectReceiver {
 public:
  FileReceiver(std::unique_ptr<os::TreeFile> file, TimePoint modified) : file_(std::move(file)), modified_(modified) {}
  void write(ByteView bytes) override {
    data_end_ = std::max(data_end_, os::write_leaving_holes(file_->file(), written_, bytes));
    written_ += bytes.size();
  }
  void finish() override {
    if (data_end_ < written_) file_->file().extend_to(written_);
    file_->commit(modified_);
  }

 private:
  const std::unique_ptr<os::TreeFile> file_;
  const TimePoint modified_;
  ByteCount written_ = 0, data_end_ = 0;
};

class DirectoryReceiver final : public ObjectReceiver {
 public:
  DirectoryReceiver(os::DirectoryTree& tree, std::string name) : tree_(tree), name_(std::move(name)) {}
  void write(ByteView) override {}
  void finish() override { tree_.make_directories(name_); }

 private:
  os::DirectoryTree& tree_;
  const std::string name_;
};

constexpr std::uint16_t no_mode = 0xFFFF;

}  // namespace

Delivery deliver_objects(Reader& reader, const std::vector<std::size_t>& objects,
                         const std::function<std::unique_ptr<ObjectReceiver>(std::size_t object)>& make,
                         flow::Pools pools, flow::MemoryBudget& budget, const std::stop_token& stop,
                         flow::Progress* progress) {
  const ObjectList& all = reader.manifest().objects;
  if (progress != nullptr) {
    progress->items_total += objects.empty() ? all.size() : objects.size();
    for (const std::size_t object : objects) progress->bytes_total += all.bytes_of(object);
    for (std::size_t i = 0; objects.empty() && i < all.size(); ++i) progress->bytes_total += all.bytes_of(i);
  }
  Deliverer deliverer(reader, make, pools, progress, stop);
  try {
    reader.read(objects, deliverer, pools, budget, deliverer.token());
  } catch (...) {
    deliverer.give_up();
    throw;
  }
  return deliverer.finish();
}

FileExtractor::FileExtractor(os::Files& files, os::TreeRoot directory, const ObjectList& objects)
    : files_(files),
      tree_(files, std::move(directory), os::Durability::together),
      is_directory_(objects.size()),
      may_be_replaced_(objects.size()) {
  // An archive of S3 Cross-Region Compressor may hold a key twice; both then lead to one file.
  std::vector<std::pair<std::string, bool>> keys;
  keys.reserve(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const ManifestObject object = objects[i];
    is_directory_[i] = is_folder_marker(object.relative_key, object.size);
    if (object.mode && modes_.empty()) modes_.resize(objects.size(), no_mode);
    if (object.mode) modes_[i] = static_cast<std::uint16_t>(*object.mode);
    keys.emplace_back(object.relative_key, is_directory_[i]);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<std::string> repeated;
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].first == keys[i - 1].first) repeated.push_back(keys[i].first);
  }
  // Of a key that is there with and without content, the file is kept.
  keys.erase(std::unique(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
             keys.end());
  std::vector<NamedKey> named;
  named.reserve(keys.size());
  for (const auto& [key, is_directory] : keys) named.push_back({key, is_directory});
  const std::vector<std::string> paths = file_paths(named);
  paths_.reserve(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const std::string key = objects[i].relative_key;
    const auto found = std::lower_bound(keys.begin(), keys.end(), std::pair(key, false));
    paths_.push_back(paths[static_cast<std::size_t>(found - keys.begin())]);
    is_directory_[i] = found->second;
    may_be_replaced_[i] = std::binary_search(repeated.begin(), repeated.end(), key);
  }
}

FileExtractor::FileExtractor(os::Files& files, os::TreeRoot directory, const std::vector<ExtractedKey>& keys)
    : files_(files), tree_(files, std::move(directory), os::Durability::together), may_be_replaced_(keys.size()) {
  std::vector<NamedKey> named;
  named.reserve(keys.size());
  for (const ExtractedKey& key : keys) {
    named.push_back({key.key, is_folder_marker(key.key, key.size)});
    is_directory_.push_back(named.back().is_directory);
  }
  paths_ = file_paths(named);
}

void FileExtractor::look(const std::vector<std::size_t>& objects, std::optional<TimePoint> began) {
  const std::set<std::string> top = tree_.top_names();
  const auto now = began && !top.empty() ? os::file_system_time(files_, tree_.path_of({})) : std::nullopt;
  // A time later than now is of a clock that was wrong, and says nothing.
  const auto has_appeared = [&](TimePoint changed) { return began && now && changed > *began && changed <= *now; };
  const auto look_at = [&](std::size_t object) {
    const std::string& name = paths_[object];
    if (!top.contains(name.substr(0, name.find('/')))) return;  // most often all of them: the directory is new
    try {
      const auto changed = tree_.changed(name);
      if (changed && !has_appeared(*changed)) may_be_replaced_[object] = true;
    } catch (const Error&) {
      // Something is in the way, which receive() tells.
    }
  };
  for (const std::size_t object : objects) look_at(object);
  for (std::size_t object = 0; objects.empty() && !top.empty() && object < paths_.size(); ++object) look_at(object);
}

os::Existing FileExtractor::found(std::size_t object) const {
  return may_be_replaced_.at(object) ? os::Existing::replace : os::Existing::keep;
}

std::unique_ptr<ObjectReceiver> FileExtractor::receive(std::size_t object, TimePoint modified, os::Existing existing) {
  if (is_directory_.at(object)) return std::make_unique<DirectoryReceiver>(tree_, paths_.at(object));
  std::optional<std::uint32_t> mode;
  if (!modes_.empty() && modes_[object] != no_mode) mode = modes_[object];
  return std::make_unique<FileReceiver>(tree_.create(paths_.at(object), existing, mode), modified);
}

}  // namespace bale::archive
