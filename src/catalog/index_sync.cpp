#include "catalog/index_sync.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>

#include "base/error.hpp"

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

constexpr const char* note_full_listing = "full_listing_ms";

struct FileToRead {
  ObjectKey key;
  ETag etag;
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

/// What a store gave of a file, or why it cannot give it whole.
struct FileText {
  std::string text;
  std::optional<Error> damage;
};

void read_rows(Group& group, const BucketName& bucket, std::vector<FileText>& texts) {
  for (std::size_t i = 0; i < group.files.size(); ++i) {
    const FileToRead& file = group.files[i];
    const std::string day = partition_day(file.key);
    const std::size_t rows_before = group.rows.size();
    FileRead read;
    const ObjectAddress address{bucket, file.key};
    if (texts[i].damage) {
      read.damage = unreadable_file(address, *texts[i].damage);
    } else {
      read.damage = read_catalog_file(address, texts[i].text, [&](Record record) {
        std::string row_day = day.empty() ? to_date(record.backup_time) : day;
        group.rows.push_back({std::move(record), file.number, std::move(row_day)});
      });
    }
    read.rows = group.rows.size() - rows_before;
    read.file.number = file.number;
    read.file.key = file.key;
    read.file.etag = file.etag;
    read.file.rows = read.rows;
    if (read.damage) {
      read.file.damage = read.damage->error.summary();
      read.file.archive_key = read.damage->archive_key;
      read.file.buckets = read.damage->buckets;
    }
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
    const bool full = is_full();
    next_number_ = index_.last_file_number() + 1;
    seen_.assign(static_cast<std::size_t>(next_number_), false);
    list_directory(place_.prefix, full);
    submit();
    while (!under_way_.empty()) write_first();
    if (full && !options_.since) take_out_gone();
    note_done(full);
    return counts_;
  }

 private:
  bool is_full() {
    if (options_.since) return true;
    const std::string last = index_.note(note_full_listing);
    const bool was_cut = !index_.note(note_since).empty();
    const bool has_damage = !index_.damaged_files().empty();  // which may lie in any partition
    if (options_.full || last.empty() || was_cut || has_damage) return true;
    return world_.clock.now() - from_epoch_ms(std::stoll(last)) >= full_listing_after;
  }

  void note_done(bool full) {
    writer();
    const TimePoint now = world_.clock.now();
    const std::string at = fmt::format("{}", to_epoch_ms(now));
    index_.set_note(note_synced, at);
    if (full && !options_.since) {
      index_.set_note(note_full_listing, at);
      index_.set_note(note_since, "");
    } else if (options_.since && index_.note(note_full_listing).empty()) {
      index_.set_note(note_since, to_date(*options_.since));
    }
    writer_->commit();
  }

  /// Directories down to those with partitions; catalog files outside of partitions count too.
  void list_directory(const std::string& directory, bool full) {
    store::ListRequest request;
    request.prefix = directory;
    request.delimiter = "/";
    std::vector<std::string> below;
    bool has_partitions = false;
    do {
      stop_if_asked();
      const store::ListPage page = place_.store.list(place_.bucket, request);
      for (const store::ListedObject& object : page.objects) take(object);
      for (const std::string& prefix : page.common_prefixes) {
        const bool is_partition = prefix.substr(directory.size()).starts_with("year=");
        has_partitions |= is_partition;
        if (!is_partition) below.push_back(prefix);
      }
      request.continuation = page.next;
    } while (!request.continuation.empty());
    if (has_partitions) list_partitions(directory, full);
    for (const std::string& prefix : below) list_directory(prefix, full);
  }

  void list_partitions(const std::string& source, bool full) {
    store::ListRequest request;
    request.prefix = source + "year=";
    request.start_after = first_partition(source, full);
    do {
      stop_if_asked();
      const store::ListPage page = place_.store.list(place_.bucket, request);
      for (const store::ListedObject& object : page.objects) take(object);
      request.continuation = page.next;
    } while (!request.continuation.empty());
  }

  /// A key in front of the first partition that may have something new.
  std::string first_partition(const std::string& source, bool full) {
    std::optional<TimePoint> from = options_.since;
    if (!full) {
      const std::string newest = partition_day(index_.last_key(source + "year="));
      if (!newest.empty()) from = parse_time(newest) - open_partitions;
    }
    if (!from) return {};
    const std::string day = to_date(*from);
    return fmt::format("{}year={}/month={}/day={}", source, day.substr(0, 4), day.substr(5, 2), day.substr(8, 2));
  }

  void take(const store::ListedObject& object) {
    if (!is_catalog_file(object.key)) return;
    FileToRead file{object.key, object.etag, index_.find_file(object.key), 0};
    if (file.old) seen_[static_cast<std::size_t>(file.old->number)] = true;
    // A damaged file may be whole again, with the very ETag that it had.
    if (file.old && file.old->etag == object.etag && file.old->damage.empty()) {
      ++counts_.files_known;
      return;
    }
    progress_.items_total.fetch_add(1);
    progress_.bytes_total.fetch_add(object.size);
    file.number = next_number_++;
    seen_.push_back(true);
    if (!gathered_) gathered_ = std::make_shared<Group>();
    gathered_->files.push_back(std::move(file));
    gathered_bytes_ += object.size;
    if (gathered_bytes_ >= group_bytes || gathered_->files.size() == most_group_files) submit();
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
      auto texts = std::make_shared<std::vector<FileText>>();
      std::erase_if(group->files, [&](const FileToRead& file) {
        stop_if_asked();
        auto text = fetch_file(file);
        if (text) texts->push_back(std::move(*text));
        return !text;
      });
      pools_.cores.submit([this, group, texts, first, done] { prepare(group, *texts, first, done); });
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  }

  /// The version that was listed; absent where it is there no more. Another one will be listed the next time.
  std::optional<FileText> fetch_file(const FileToRead& file) {
    try {
      const auto stream = place_.store.get({place_.bucket, file.key}, std::nullopt, {{}, file.etag});
      return FileText{store::read_all(*stream, most_file_bytes), std::nullopt};
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::precondition) return std::nullopt;
      if (error.kind() == ErrorKind::corrupt) return FileText{{}, error};
      throw;
    }
  }

  void prepare(const std::shared_ptr<Group>& group, std::vector<FileText>& texts, bool first,
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

  void write_first() {
    std::future<std::shared_ptr<Group>> first = std::move(under_way_.front());
    under_way_.pop_front();
    const std::shared_ptr<Group> group = first.get();
    IndexWriter& out = writer();
    for (const FileToRead& file : group->files) {
      if (file.old) out.remove_file(*file.old);
      ++(file.old ? counts_.files_changed : counts_.files_added);
    }
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
      writer_->add_file(read.file);
      counts_.rows_added += read.rows;
      if (read.damage) ++counts_.files_damaged;
      if (read.damage) damaged_(*read.damage);
    }
    counts_.bytes += group.bytes;
    progress_.items_done.fetch_add(group.files.size());
    progress_.bytes_done.fetch_add(group.bytes);
  }

  void take_out_gone() {
    for (const IndexedFile& file : index_.files_not_in(seen_)) {
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
  std::optional<IndexWriter> writer_;
  std::int64_t next_number_ = 1;
  std::vector<bool> seen_;  ///< by number of file
  std::shared_ptr<Group> gathered_;
  ByteCount gathered_bytes_ = 0;
  bool has_submitted_ = false;
  std::deque<std::future<std::shared_ptr<Group>>> under_way_;
};

}  // namespace

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
