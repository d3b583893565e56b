#include "catalog/index_sync.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>

#include "base/error.hpp"
#include "store/listing.hpp"

namespace bale::catalog {
namespace {

using namespace bale::literals;

// Files are read together until their rows, of about 600 bytes each, fill a few blocks.
constexpr ByteCount group_bytes = 2_MiB;
constexpr std::size_t most_group_files = 256;
constexpr std::size_t most_groups_at_once = 24;
/// What a group takes in memory, as text, as records and as columns, for a byte of its text.
constexpr ByteCount bytes_for_a_byte = 6;
constexpr std::int64_t commit_blocks = 4 * segment_blocks;

constexpr std::string_view made_at = "bucket made at ";
constexpr const char* note_full_listing = "full_listing_ms";
constexpr const char* note_newest_stored = "newest_stored_ms";

struct FileToRead {
  ObjectKey key;
  ETag etag;
  ByteCount size = 0;              ///< as listed
  std::optional<IndexedFile> old;  ///< what the index has of it
  std::int64_t number = 0;
};

/// What was read of a file.
struct FileRead {
  IndexedFile file;
  std::optional<DamagedFile> damage;
  std::size_t rows = 0;
};

struct Group {
  std::vector<FileToRead> files;
  std::vector<FileToRead> gone;  ///< listed, and removed before they were read
  std::vector<FileRead> read;
  std::vector<IndexedRow> rows;
  std::vector<PreparedBlock> blocks;  ///< empty where the rows are still to be prepared
  ByteCount bytes = 0;
  flow::Ticket ticket;
};

/// Cuts rows into blocks of about the same size.
std::vector<std::span<const IndexedRow>> cut_rows(std::span<const IndexedRow> rows) {
  std::vector<std::span<const IndexedRow>> pieces;
  const std::size_t count = (rows.size() + most_block_rows - 1) / most_block_rows;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = rows.size() * i / count, end = rows.size() * (i + 1) / count;
    pieces.push_back(rows.subspan(begin, end - begin));
  }
  return pieces;
}

IndexedRow indexed_row(Record record, std::int64_t file, const std::string& day_of_partition) {
  std::string day = day_of_partition.empty() ? to_date(record.backup_time) : day_of_partition;
  return {std::move(record), file, std::move(day)};
}

/// Sets what is known of a file that was read, but for its blocks.
void describe(FileRead& read, const FileToRead& file, const ETag& etag) {
  read.file.number = file.number;
  read.file.key = file.key;
  read.file.etag = etag;
  read.file.rows = read.rows;
  if (!read.damage) return;
  read.file.damage = read.damage->error.summary();
  read.file.damage_kind = read.damage->error.kind();
  read.file.archive_key = read.damage->archive_key;
  read.file.buckets = read.damage->buckets;
}

void read_rows(Group& group, const BucketName& bucket, std::vector<ListedFileText>& texts) {
  for (std::size_t i = 0; i < group.files.size(); ++i) {
    const FileToRead& file = group.files[i];
    const std::string day = partition_day(file.key);
    const std::size_t rows_before = group.rows.size();
    FileRead read;
    const ObjectAddress address{bucket, file.key};
    if (texts[i].unreadable) {
      read.damage = unreadable_file(address, *texts[i].unreadable);
    } else {
      read.damage = read_catalog_file(address, texts[i].text, [&](Record record) {
        group.rows.push_back(indexed_row(std::move(record), file.number, day));
      });
    }
    read.rows = group.rows.size() - rows_before;
    describe(read, file, texts[i].etag);
    group.bytes += texts[i].text.size();
    group.read.push_back(std::move(read));
    texts[i] = {};
  }
}

/// One sync: lists on the caller's thread, which also writes; reads and prepares on the pools.
class Sync {
 public:
  Sync(IndexFile& index, const SyncPlace& place, const SyncOptions& options, os::World& world, flow::Pools pools,
       flow::MemoryBudget& budget, flow::Progress& progress, const std::function<void(const DamagedFile&)>& damaged)
      : index_(index),
        place_(place),
        options_(options),
        world_(world),
        pools_(pools),
        budget_(budget),
        progress_(progress),
        damaged_(damaged) {}

  /// Groups that are being read refer to this sync.
  ~Sync() {
    for (auto& group : under_way_) group.wait();
  }

  SyncCounts run() {
    forget_other_store();
    const bool full = is_full();
    next_number_ = index_.last_file_number() + 1;
    seen_.assign(static_cast<std::size_t>(next_number_), false);
    newest_stored_ = index_.time_note(note_newest_stored);
    list_directory(place_.prefix, full);
    if (!has_listed_) list_whole();
    submit();
    while (!under_way_.empty()) write_first();
    take_out_gone();
    note_done(full);
    return counts_;
  }

 private:
  /// Rows of another store say nothing about this one. They go in one transaction with the note of the last sync, so
  /// that nobody reads an index that is half made.
  void forget_other_store() {
    const std::string known = index_.note(note_store);
    if (place_.store_identity.empty() || known.empty() || known == place_.store_identity) return;
    // An index of an older Bale has the time only.
    if (known.starts_with(made_at) && place_.store_identity.ends_with(", " + known)) return;
    writer().clear();
    counts_.is_of_new_store = true;
  }

  bool is_full() {
    if (options_.since) return true;
    const auto last = index_.time_note(note_full_listing);
    const bool was_cut = !index_.note(note_since).empty();
    const bool has_damage = !index_.damaged_files().empty();  // which may lie in any partition
    const bool is_adopted = !place_.store_identity.empty() && index_.note(note_store).empty();
    if (options_.full || !last || was_cut || has_damage || is_adopted) return true;
    if (index_.count_files() <= options_.files_always_listed) return true;
    const Milliseconds age = world_.clock.now() - *last;
    return age < Milliseconds(0) || age >= full_listing_after;  // below 0: one of the two times is of a wrong clock
  }

  void note_done(bool full) {
    writer();
    const std::string at = fmt::format("{}", to_epoch_ms(world_.clock.now()));
    index_.set_note(note_synced, at);
    if (!place_.store_identity.empty()) index_.set_note(note_store, place_.store_identity);
    if (newest_stored_) index_.set_note(note_newest_stored, fmt::format("{}", to_epoch_ms(*newest_stored_)));
    if (full && !options_.since) {
      index_.set_note(note_full_listing, at);
      index_.set_note(note_since, "");
    } else if (options_.since && index_.note(note_full_listing).empty()) {
      index_.set_note(note_since, to_date(*options_.since));
    }
    writer_->commit();
  }

  /// Lists the whole catalog, for servers that return no common prefixes.
  void list_whole() {
    store::ListRequest request;
    request.prefix = place_.prefix;
    for_each_page(request, [](const store::ListPage&) {});
  }

  /// Directories down to those with partitions; catalog files outside of partitions count too.
  void list_directory(const std::string& directory, bool full) {
    store::ListRequest request;
    request.prefix = directory;
    request.delimiter = "/";
    std::vector<std::string> below, years;
    for_each_page(request, [&](const store::ListPage& page) {
      for (const std::string& prefix : page.common_prefixes) {
        const bool is_partition = prefix.substr(directory.size()).starts_with("year=");
        (is_partition ? years : below).push_back(prefix);
      }
    });
    if (!years.empty()) list_partitions(directory, years, full);
    for (const std::string& prefix : below) list_directory(prefix, full);
  }

  void list_partitions(const std::string& source, const std::vector<std::string>& years, bool full) {
    const std::string first = source + "year=";
    std::string closed = last_closed_key(source, full);
    // A year that the index has no file of is new, however long ago it was: a packer's clock may be years behind.
    for (const std::string& year : years) {
      if (options_.since || year >= closed || !index_.last_key(year).empty()) continue;
      if (closed.starts_with(year)) {
        closed = year;  // the listing below has all of it
        continue;
      }
      store::ListRequest request;
      request.prefix = year;
      for_each_page(request, [](const store::ListPage&) {});
    }
    if (!closed.empty()) unlisted_.emplace_back(first, closed);
    store::ListRequest request;
    request.prefix = first;
    request.start_after = closed;
    for_each_page(request, [](const store::ListPage&) {});
  }

  template <typename Visit>
  void for_each_page(const store::ListRequest& request, Visit visit) {
    store::Listing listing(place_.store, place_.bucket, request);
    while (true) {
      stop_if_asked();
      const auto page = listing.next();
      if (!page) return;
      for (const store::ListedObject& object : page->objects) take(object);
      visit(*page);
    }
  }

  /// A key after all those of closed partitions, and in front of the first partition that may have something new; empty
  /// where none is closed.
  std::string last_closed_key(const std::string& source, bool full) {
    std::optional<TimePoint> from = options_.since;
    if (!full) {
      const ObjectKey newest = index_.last_key(source + "year=");
      if (!newest.empty()) from = first_open_day({world_.clock.now(), partition_time(newest), newest_stored_});
    }
    if (!from) return {};
    const std::string day = to_date(*from);
    return fmt::format("{}year={}/month={}/day={}", source, day.substr(0, 4), day.substr(5, 2), day.substr(8, 2));
  }

  void take(const store::ListedObject& object) {
    if (!is_catalog_file(object.key)) return;
    has_listed_ = true;
    note_times(object);
    FileToRead file{object.key, object.etag, object.size, index_.find_file(object.key), 0};
    if (file.old) mark_seen(*file.old);
    // A damaged file may be whole again, with the very ETag that it had.
    if (file.old && file.old->etag == object.etag && file.old->damage.empty()) {
      ++counts_.files_known;
      return;
    }
    progress_.items_total.fetch_add(1);
    progress_.bytes_total.fetch_add(object.size);
    file.number = next_number_++;
    seen_.push_back(true);
    if (file.size > most_in_memory()) return stream_file(file);
    if (!gathered_) gathered_ = std::make_shared<Group>();
    gathered_->files.push_back(std::move(file));
    gathered_bytes_ += object.size;
    if (gathered_bytes_ >= group_bytes || gathered_->files.size() == most_group_files) submit();
  }

  /// The longest text of a file that is read as a whole: what it takes is no more than half of the budget.
  ByteCount most_in_memory() const { return std::max<ByteCount>(budget_.limit() / 2 / bytes_for_a_byte, group_bytes); }

  /// Reads a file that is too large to be held, and writes its rows as they come. Nothing is committed before its end,
  /// so a failure leaves none of its rows behind.
  void stream_file(const FileToRead& file) {
    submit();
    while (!under_way_.empty()) write_first();
    writer().commit();
    const ByteCount held = budget_.limit() / 4;
    const flow::Ticket ticket = budget_.acquire(held + group_bytes * bytes_for_a_byte, world_.stop);
    FileRead read;
    std::vector<IndexedRow> rows;
    const auto write_rows = [&] {
      for (const auto piece : cut_rows(rows)) {
        const std::int64_t block = writer_->add(prepare_block(piece));
        if (read.file.last_block < 0) read.file.first_block = block;
        read.file.last_block = block;
      }
      read.rows += rows.size();
      rows.clear();
    };
    ByteCount unwritten = 0;
    const auto take_piece = [&](ByteCount bytes) {
      stop_if_asked();
      progress_.bytes_done.fetch_add(bytes);
      if ((unwritten += bytes) < group_bytes) return;
      write_rows();
      unwritten = 0;
    };
    const std::string day = partition_day(file.key);
    const auto take_row = [&](Record record) { rows.push_back(indexed_row(std::move(record), file.number, day)); };
    const auto visited =
        visit_listed_file(place_.store, {place_.bucket, file.key}, file.etag, take_row, take_piece, held);
    write_rows();
    replace(file, visited.has_value());
    if (visited) {
      counts_.bytes += visited->bytes;
      read.damage = visited->damage;
      describe(read, file, visited->etag);
      note_read(read);
    }
    progress_.items_done.fetch_add(1);
    writer_->commit();
  }

  void mark_seen(const IndexedFile& file) {
    const auto number = static_cast<std::size_t>(file.number);
    if (number >= seen_.size()) {
      throw Error(ErrorKind::corrupt, "the local catalog index is damaged: a file has a number that was not given",
                  index_.path().native(), damage_hint);
    }
    seen_[number] = true;
  }

  void note_times(const store::ListedObject& object) {
    const TimePoint stored = object.last_modified;
    if (stored != TimePoint{} && (!newest_stored_ || stored > *newest_stored_)) newest_stored_ = stored;
    const auto partition = partition_time(object.key);
    if (!partition || !is_in_future(*partition, stored, world_.clock.now())) return;
    ++counts_.files_in_future;
    if (counts_.future_files.size() < most_future_files)
      counts_.future_files.push_back({object.key, to_date(*partition), stored});
  }

  /// Sends the gathered files on their way: read on the connections, prepared on the cores.
  void submit() {
    if (!gathered_) return;
    while (under_way_.size() >= most_groups_at_once) write_first();
    const ByteCount memory = std::min(gathered_bytes_ * bytes_for_a_byte, budget_.limit() / 2);
    auto ticket = budget_.try_acquire(memory);
    while (!ticket && !under_way_.empty()) {
      write_first();  // gives memory back
      ticket = budget_.try_acquire(memory);
    }
    gathered_->ticket = ticket ? std::move(*ticket) : budget_.acquire(memory, world_.stop);
    const bool first = !std::exchange(has_submitted_, true);
    auto done = std::make_shared<std::promise<std::shared_ptr<Group>>>();
    under_way_.push_back(done->get_future());
    pools_.connections.submit([this, done, first, group = std::move(gathered_)] { fetch(group, first, done); });
    gathered_ = nullptr;
    gathered_bytes_ = 0;
  }

  using Done = std::shared_ptr<std::promise<std::shared_ptr<Group>>>;

  void fetch(const std::shared_ptr<Group>& group, bool first, const Done& done) noexcept {
    try {
      auto texts = std::make_shared<std::vector<ListedFileText>>();
      std::vector<FileToRead> read;
      for (FileToRead& file : group->files) {
        stop_if_asked();
        auto text = read_listed_file(place_.store, {place_.bucket, file.key}, file.etag, most_in_memory());
        (text ? read : group->gone).push_back(std::move(file));
        if (text) texts->push_back(std::move(*text));
      }
      group->files = std::move(read);
      pools_.cores.submit([this, group, texts, first, done] { prepare(group, *texts, first, done); });
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  }

  void prepare(const std::shared_ptr<Group>& group, std::vector<ListedFileText>& texts, bool first,
               const Done& done) noexcept {
    try {
      read_rows(*group, place_.bucket, texts);
      if (!first) {
        for (const auto rows : cut_rows(group->rows)) group->blocks.push_back(prepare_block(rows));
        group->rows = {};
      }
      done->set_value(group);
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  }

  IndexWriter& writer() {
    if (!writer_) writer_.emplace(index_);
    return *writer_;
  }

  /// Takes what the index had of a file out of it, before what was read is added: `is_there` tells whether the file
  /// was still listed.
  void replace(const FileToRead& file, bool is_there) {
    if (file.old) writer().remove_file(*file.old);
    if (is_there)
      ++(file.old ? counts_.files_changed : counts_.files_added);
    else if (file.old)
      ++counts_.files_gone;
  }

  /// Adds a file whose rows are in the index, counts it, and tells of its damage.
  void note_read(const FileRead& read) {
    writer_->add_file(read.file);
    counts_.rows_added += read.rows;
    if (!read.damage) return;
    failing_.check(*read.damage);
    ++(read.damage->error.kind() == ErrorKind::corrupt ? counts_.files_damaged : counts_.files_unreadable);
    damaged_(*read.damage);
  }

  void write_first() {
    std::future<std::shared_ptr<Group>> first = std::move(under_way_.front());
    under_way_.pop_front();
    const std::shared_ptr<Group> group = first.get();
    IndexWriter& out = writer();
    for (const FileToRead& file : group->files) replace(file, true);
    for (const FileToRead& file : group->gone) replace(file, false);
    std::size_t reopened = 0;
    if (group->blocks.empty() && !group->rows.empty()) {  // the first: rows of the last block go in front
      std::vector<IndexedRow> rows = out.reopen_last_block();
      reopened = rows.size();
      std::move(group->rows.begin(), group->rows.end(), std::back_inserter(rows));
      for (const auto piece : cut_rows(rows)) group->blocks.push_back(prepare_block(piece));
    }
    write(*group, reopened);
    if (out.uncommitted() >= commit_blocks) out.commit();
  }

  /// `before`: rows in front of the first file's.
  void write(Group& group, std::size_t before) {
    std::vector<std::int64_t> block_of_row;
    for (const PreparedBlock& block : group.blocks)
      block_of_row.insert(block_of_row.end(), block.rows, writer_->add(block));
    std::size_t row = before;
    for (FileRead& read : group.read) {
      if (read.rows > 0) {
        read.file.first_block = block_of_row[row];
        read.file.last_block = block_of_row[row + read.rows - 1];
      }
      row += read.rows;
      note_read(read);
    }
    counts_.bytes += group.bytes;
    progress_.items_done.fetch_add(group.files.size() + group.gone.size());
    progress_.bytes_done.fetch_add(group.bytes);
  }

  void take_out_gone() {
    const auto is_listed = [this](const std::string& key) {
      return std::none_of(unlisted_.begin(), unlisted_.end(),
                          [&](const auto& range) { return key >= range.first && key <= range.second; });
    };
    for (const IndexedFile& file : index_.files_not_in(seen_, is_listed)) {
      writer().remove_file(file);
      ++counts_.files_gone;
    }
  }

  void stop_if_asked() const {
    if (world_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while the catalog was read");
  }

  IndexFile& index_;
  const SyncPlace& place_;
  const SyncOptions& options_;
  os::World& world_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
  flow::Progress& progress_;
  const std::function<void(const DamagedFile&)>& damaged_;
  SyncCounts counts_;
  FailingFiles failing_;
  std::optional<IndexWriter> writer_;
  std::int64_t next_number_ = 1;
  std::vector<bool> seen_;                                     ///< by number of file
  bool has_listed_ = false;                                    ///< any catalog file
  std::vector<std::pair<std::string, std::string>> unlisted_;  ///< first and last key of what no listing covers
  std::optional<TimePoint> newest_stored_;
  std::shared_ptr<Group> gathered_;
  ByteCount gathered_bytes_ = 0;
  bool has_submitted_ = false;
  std::deque<std::future<std::shared_ptr<Group>>> under_way_;
};

}  // namespace

std::string store_identity(store::ObjectStore& store, const BucketName& bucket) {
  try {
    for (const store::BucketInfo& info : store.list_buckets()) {
      if (info.name != bucket || (info.created == TimePoint{} && info.store_id.empty())) continue;
      const std::string made = std::string(made_at) + to_iso8601(info.created);
      return info.store_id.empty() ? made : fmt::format("store {}, {}", info.store_id, made);
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;  // else: the service does not tell
  }
  return {};
}

SyncCounts sync_index(IndexFile& index, const SyncPlace& place, const SyncOptions& options, os::World& world,
                      flow::Pools pools, flow::MemoryBudget& budget, flow::Progress& progress,
                      const std::function<void(const DamagedFile&)>& damaged) {
  os::fs::path lock_path = index.path();
  lock_path += ".lock";
  const auto lock = world.files.try_lock(lock_path);
  if (!lock) {
    throw Error(ErrorKind::unavailable, "another sync of this catalog index is under way", index.path().native(),
                "wait until it has ended");
  }
  return Sync(index, place, options, world, pools, budget, progress, damaged).run();
}

}  // namespace bale::catalog
