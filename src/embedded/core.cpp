#include "embedded/core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "embedded/schema.hpp"
#include "embedded/sweep.hpp"

namespace bale::embedded {
namespace {

constexpr std::size_t most_idle_readers = 64;
constexpr const char* journal_directory = "writers";

/// Makes a directory for its owner alone, with durable names.
os::fs::path make_durable_directory(os::Files& files, const os::fs::path& path) {
  for (const os::fs::path& made : files.make_private_directories(path))
    files.sync_directory(made.has_parent_path() ? made.parent_path() : os::fs::path("."));
  return path;
}

/// As make_durable_directory(). The directory of a store that others could look into, as an earlier Bale made it, is
/// closed to them. One that a group may write to is shared on purpose, and stays open to the group; one with the sticky
/// bit (/tmp) is everybody's.
os::fs::path make_store_directory(os::Files& files, const os::fs::path& path) {
  make_durable_directory(files, path);
  const std::uint32_t mode = files.info_followed(path)->mode;
  if ((mode & 01000) != 0 || !files.info_followed(path / database_name)) return path;
  const std::uint32_t wanted = mode & ((mode & 0020) != 0 ? ~007u : ~077u);
  try {
    if (wanted != mode) files.set_mode(path, wanted);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) throw;  // another user's, who decides
  }
  return path;
}

}  // namespace

bool has_object_files(os::Files& files, const os::fs::path& directory) {
  const auto data = files.info_followed(directory / "s3");
  return data && data->type == os::FileType::directory && !files.list(directory / "s3").empty();
}

namespace {

/// Without its database a store is a heap of files: a new one in its place would call them nothing.
void refuse_lost_database(os::Files& files, const os::fs::path& directory) {
  const os::fs::path file = directory / database_name;
  const auto there = files.info_followed(file);
  if (there && there->size > 0) return;
  const auto log = files.info_followed(directory / (std::string(database_name) + "-wal"));
  if (there && log && log->size > 0) return;  // it is all in the log still
  if (!has_object_files(files, directory)) return;
  throw Error(ErrorKind::corrupt, there ? "the store's database is empty" : "the store's database is gone",
              file.native(),
              "there are files of objects below s3/: bring the database back from a copy, or use another directory");
}

os::fs::path prepare_database(os::World& world, const os::fs::path& directory, const std::stop_token& stop) {
  os::Files& files = world.files;
  refuse_lost_database(files, directory);
  os::fs::path file = directory / database_name;
  try {
    if (!files.info_followed(file)) files.create_private(file);  // SQLite gives its other files the same permissions
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition) throw;  // made by another process meanwhile
  }
  Database database(file, {.damage_hint = {}, .stop = stop});
  prepare_schema(database, fmt::format("{:016x}", world.entropy.next_u64()));
  files.sync_directory(directory);
  return file;
}

}  // namespace

ReaderPool::Reader ReaderPool::borrow() {
  std::unique_ptr<Database> database;
  {
    const Lock lock(mutex_);
    if (!idle_.empty()) {
      database = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!database) database = std::make_unique<Database>(file_, sqlite::OpenOptions{.damage_hint = {}, .stop = stop_});
  return Reader(*this, std::move(database));
}

void ReaderPool::give_back(std::unique_ptr<Database> database) noexcept {
  const Lock lock(mutex_);
  if (idle_.size() < most_idle_readers) idle_.push_back(std::move(database));
}

void ReceiverSignal::notify() {
  {
    const Lock lock(mutex_);
    ++count_;
  }
  changed_.notify_all();
}

std::uint64_t ReceiverSignal::wait(std::uint64_t seen, Milliseconds most, const std::stop_token& stop) {
  Lock lock(mutex_);
  changed_.wait_for(lock, stop, most, [&]() BALE_REQUIRES(mutex_) { return count_ != seen; });
  return count_;
}

std::uint64_t ReceiverSignal::count() {
  const Lock lock(mutex_);
  return count_;
}

Core::Core(const os::fs::path& directory, os::World& outside, const std::stop_token& stop)
    : world(outside),
      files(outside.files, make_store_directory(outside.files, directory)),
      readers(prepare_database(outside, directory, stop), stop),
      time(outside, read_boot_id(outside.files)),
      newest(outside.files, directory / "newest-number"),
      commits(
          directory / database_name,
          [this](const CommitQueue::Committed& committed) {
            if (committed.receivers_wake) receivers.notify();
            if (committed.foreign_commits) files.forget_directories();
            if (committed.number > 0) newest.note(committed.number);
            if (committed.number > 0 && has_journal) journal.note(committed.number);
          },
          &time, stop),
      journal(outside, directory / journal_directory,
              start(make_durable_directory(outside.files, directory / journal_directory))) {
  has_journal = true;
  sweep_leftovers(*this);
  // Last: a store without the file is searched again when this process is killed during the search.
  newest.begin(writer);
}

/// Returns a number that no other writer has. Durable, so that no number is given twice; and no number of a database
/// that was replaced by an older copy is given again, as far as `newest-number` or a journal shows it.
std::int64_t Core::start(const os::fs::path& journals) {
  // Before the transaction: what other processes commit meanwhile is not newer than the database then.
  const std::int64_t in_journals = newest_number_in_journals(world.files, journals);
  commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    time.start(context);
    const auto newest_known = newest.read();
    is_age_known = newest_known || context.last_sequence() == 0;
    const std::int64_t newest_number = std::max(newest_known.value_or(0), in_journals);
    if (context.last_sequence() < newest_number) {
      files.mark(older_database_mark);
      context.raise_sequence(newest_number);
    }
    writer = context.next_sequence();
  });
  return writer;
}

os::fs::path bucket_directory(const BucketName& bucket) { return os::fs::path("s3") / bucket.str(); }
os::fs::path upload_directory(const UploadId& upload) { return os::fs::path("uploads") / upload.str(); }

}  // namespace bale::embedded
