#include "mount/service.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "mount/attributes.hpp"

namespace bale::mount {
namespace {

// What is shown never changes, so the kernel may keep what it knows for as long as it likes: a year, in seconds.
constexpr double kept_seconds = 365.0 * 24 * 60 * 60;
constexpr std::size_t reader_threads = 16;
// Somebody who pressed Ctrl-C waits this long at most.
constexpr Milliseconds interrupted_grace{2000};
constexpr std::uint64_t block_bytes = 4096;      // of statfs
constexpr std::uint64_t stat_block_bytes = 512;  // of st_blocks, whatever the file system; inode(7)
constexpr std::uint64_t read_bytes = 128 << 10;  // what programs are told to read at once
constexpr std::size_t entries_at_once = 512;     // of a directory, in one query
constexpr std::size_t most_name_bytes = 255;     // NAME_MAX

/// The errno that says most of a failure to a process.
int number_of_error(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::cancelled: return EINTR;
    case ErrorKind::timeout: return ETIMEDOUT;
    default: return EIO;
  }
}

void reply_bytes(fuse_req_t request, std::string_view bytes, std::size_t size) {
  if (size == 0)
    fuse_reply_xattr(request, bytes.size());
  else if (bytes.size() > size)
    fuse_reply_err(request, ERANGE);
  else
    fuse_reply_buf(request, bytes.data(), bytes.size());
}

/// Entries of a directory as the kernel wants them, up to a size.
class Listing {
 public:
  Listing(fuse_req_t request, std::size_t size, bool with_attributes)
      : request_(request), buffer_(size), with_attributes_(with_attributes) {}
  /// False where there is no room for it. `next`: the offset of the entry behind it.
  bool add(const char* name, const fuse_entry_param& entry, std::uint64_t next) {
    char* const at = buffer_.data() + used_;
    const std::size_t room = buffer_.size() - used_;
    const auto offset = static_cast<off_t>(next);
    const std::size_t taken = with_attributes_ ? fuse_add_direntry_plus(request_, at, room, name, &entry, offset)
                                               : fuse_add_direntry(request_, at, room, name, &entry.attr, offset);
    if (taken > room) return false;
    used_ += taken;
    return true;
  }
  void reply() { fuse_reply_buf(request_, buffer_.data(), used_); }

 private:
  fuse_req_t request_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  const bool with_attributes_;
};

}  // namespace

Service::Service(Tree& tree, ObjectReader& reader, telemetry::Log& log, os::Clock& clock, Owner owner)
    : tree_(tree),
      reader_(reader),
      log_(log),
      owner_(owner),
      pending_(clock, interrupted_grace),
      readers_(reader_threads, "bale-mount") {}

Service::~Service() { end(); }

void Service::end() {
  ending_.request_stop();
  pending_.give_up_all(EIO);
}

NodeId Service::node_of(fuse_ino_t number) const noexcept {
  return number == FUSE_ROOT_ID ? tree_.root() : static_cast<NodeId>(number);
}

fuse_ino_t Service::number_of(NodeId node) const noexcept {
  return node == tree_.root() ? FUSE_ROOT_ID : static_cast<fuse_ino_t>(node);
}

Node Service::existing(fuse_ino_t number) {
  const auto node = tree_.node(node_of(number));
  if (!node) throw Error(ErrorKind::internal, "the kernel asks for a file that was never shown");
  return *node;
}

struct stat Service::describe(const Node& node) const {
  struct stat is {};
  is.st_ino = number_of(node.id);
  is.st_mode = node.is_directory ? S_IFDIR | 0555 : S_IFREG | 0444;
  is.st_nlink = node.is_directory ? 2 + node.directories : 1;
  is.st_uid = owner_.user;
  is.st_gid = owner_.group;
  is.st_size = static_cast<off_t>(node.size);
  is.st_blocks = static_cast<blkcnt_t>((node.size + stat_block_bytes - 1) / stat_block_bytes);
  is.st_blksize = read_bytes;
  const std::int64_t ms = to_epoch_ms(node.modified);
  const std::int64_t rest = ((ms % 1000) + 1000) % 1000;  // times before 1970 too
  is.st_mtim = {static_cast<time_t>((ms - rest) / 1000), static_cast<long>(rest * 1'000'000)};
  is.st_atim = is.st_ctim = is.st_mtim;
  return is;
}

fuse_entry_param Service::entry_of(const Node& node) const {
  fuse_entry_param entry{};
  entry.ino = number_of(node.id);
  entry.generation = 1;
  entry.attr = describe(node);
  entry.attr_timeout = entry.entry_timeout = kept_seconds;
  return entry;
}

void Service::lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto node = tree_.find(node_of(parent), name);
  fuse_entry_param none{};  // number 0: there is no such name, and the kernel need not ask again
  none.entry_timeout = kept_seconds;
  const fuse_entry_param entry = node ? entry_of(*node) : none;
  fuse_reply_entry(request, &entry);
}

void Service::get_attributes(fuse_req_t request, fuse_ino_t node) {
  const struct stat is = describe(existing(node));
  fuse_reply_attr(request, &is, kept_seconds);
}

void Service::open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  if ((file->flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err(request, EROFS);
    return;
  }
  auto object = tree_.object(node_of(node));
  if (!object) {
    fuse_reply_err(request, EISDIR);
    return;
  }
  const auto opened = std::make_shared<OpenObject>(reader_, std::move(*object));
  try {
    size_of(opened->object().record);
  } catch (const Error& error) {
    // The kernel takes such a file for an empty one and reads nothing of it: only here can the caller be told.
    tell(*opened, error);
    fuse_reply_err(request, number_of_error(error));
    return;
  }
  {
    const Lock lock(mutex_);
    file->fh = ++last_handle_;
    objects_[file->fh] = opened;
  }
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void Service::read(fuse_req_t request, std::size_t size, off_t offset, const fuse_file_info* file) {
  std::shared_ptr<OpenObject> object;
  {
    const Lock lock(mutex_);
    object = objects_.at(file->fh);
  }
  const auto pending = pending_.begin(request);
  readers_.submit(
      [this, object, pending, size, offset] { read_now(object, pending, size, static_cast<ByteCount>(offset)); });
}

void Service::read_now(const std::shared_ptr<OpenObject>& object, const std::shared_ptr<PendingReads::Pending>& pending,
                       std::size_t size, ByteCount offset) {
  try {
    Buffer bytes(size);
    const std::size_t got = object->read(offset, {bytes.data(), size}, ending_.get_token());
    pending_.answer(pending, [&](fuse_req_t request) {
      fuse_reply_buf(request, reinterpret_cast<const char*>(bytes.data()), got);
    });
    read_ahead(object);
  } catch (...) {
    const Error error = current_error();
    if (error.kind() != ErrorKind::cancelled) tell(*object, error);
    pending_.answer(pending, [&](fuse_req_t request) { fuse_reply_err(request, number_of_error(error)); });
  }
}

void Service::read_ahead(const std::shared_ptr<OpenObject>& object) {
  const auto next = object->next_wanted();
  if (!next) return;
  readers_.submit([this, object, at = *next] {
    try {
      object->load(at, ending_.get_token());
    } catch (...) {
      // Whoever reads there will hear of it.
      static_cast<void>(current_error());
    }
  });
}

void Service::tell(OpenObject& object, const Error& error) {
  if (!object.is_first_failure()) return;
  const catalog::Record& record = object.object().record;
  log_.error("mount.read", error.summary(),
             {{"object", to_uri(record.source_bucket, record.object_path)},
              {"archive", to_uri(record.archive_bucket, record.archive_key)},
              {"where", error.where()},
              {"code", error.code()},
              {"hint", error.hint()}});
}

void Service::release(fuse_req_t request, const fuse_file_info* file) {
  {
    const Lock lock(mutex_);
    objects_.erase(file->fh);
  }
  fuse_reply_err(request, 0);
}

void Service::open_directory(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  if (!existing(node).is_directory) {
    fuse_reply_err(request, ENOTDIR);
    return;
  }
  {
    const Lock lock(mutex_);
    file->fh = ++last_handle_;
    directories_[file->fh] = std::make_shared<OpenDirectory>();
  }
  file->cache_readdir = 1;
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void Service::list(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, const fuse_file_info* file,
                   bool with_attributes) {
  std::shared_ptr<OpenDirectory> place;
  {
    const Lock lock(mutex_);
    place = directories_.at(file->fh);
  }
  const Node directory = existing(node);
  Listing listing(request, size, with_attributes);
  const Lock lock(place->mutex);
  std::uint64_t& at = place->answered;
  if (at != static_cast<std::uint64_t>(offset)) {  // somebody went back, or forth
    at = static_cast<std::uint64_t>(offset);
    place->last = at > 2 ? tree_.name_at(directory.id, at - 2) : std::string();
  }
  bool is_full = false;
  for (; at < 2 && !is_full; at += is_full ? 0 : 1) {
    const fuse_entry_param entry = entry_of(at == 0 ? directory : existing(number_of(directory.parent)));
    fuse_entry_param shown = entry;
    shown.ino = 0;  // "." and ".." are no lookups; the attributes say which directories they are
    is_full = !listing.add(at == 0 ? "." : "..", shown, at + 1);
  }
  while (!is_full) {
    const std::vector<Entry> entries = tree_.list(directory.id, place->last, entries_at_once);
    for (const Entry& entry : entries) {
      is_full = !listing.add(entry.name.c_str(), entry_of(entry.node), at + 1);
      if (is_full) break;
      ++at;
      place->last = entry.name;
    }
    if (entries.size() < entries_at_once) break;
  }
  listing.reply();
}

void Service::release_directory(fuse_req_t request, const fuse_file_info* file) {
  {
    const Lock lock(mutex_);
    directories_.erase(file->fh);
  }
  fuse_reply_err(request, 0);
}

void Service::statistics(fuse_req_t request) {
  const TreeTotals& totals = tree_.totals();
  struct statvfs is {};
  is.f_bsize = is.f_frsize = block_bytes;
  is.f_blocks = (totals.bytes + block_bytes - 1) / block_bytes;
  is.f_files = totals.objects + totals.directories + 1;
  is.f_namemax = most_name_bytes;
  fuse_reply_statfs(request, &is);
}

void Service::get_extended(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t size) {
  // The kernel asks for security.* and system.* all the time.
  const bool may_have = std::string_view(name).starts_with(attribute_prefix);
  const auto object = may_have ? tree_.object(node_of(node)) : std::nullopt;
  if (object) {
    for (const auto& [each, value] : attributes_of(object->record)) {
      if (each == name) return reply_bytes(request, value, size);
    }
  }
  fuse_reply_err(request, ENODATA);
}

void Service::list_extended(fuse_req_t request, fuse_ino_t node, std::size_t size) {
  std::string names;
  if (const auto object = tree_.object(node_of(node))) {
    for (const auto& [name, value] : attributes_of(object->record)) names.append(name).push_back('\0');
  }
  reply_bytes(request, names, size);
}

void Service::fail(fuse_req_t request, const Error& error) {
  log_.error("mount.answer", error.what(), {{"hint", error.hint()}});
  fuse_reply_err(request, EIO);
}

}  // namespace bale::mount
