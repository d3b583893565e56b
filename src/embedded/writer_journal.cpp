#include "embedded/writer_journal.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::embedded {
namespace {

/// In ASCII order, so that ids sort as the numbers they spell.
constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t time_digits = 9;  // 45 bits of milliseconds: until the year 3084
constexpr std::size_t writer_digits = 4;
constexpr std::size_t number_digits = 5;
static_assert(time_digits + writer_digits + number_digits == file_id_length);
constexpr std::uint64_t most_number = (1ULL << (5 * number_digits)) - 1;

/// A chapter is closed at this length, and its file removed when all its names are settled.
constexpr ByteCount chapter_bytes = 512 << 10;
constexpr std::string_view header = "bale-writer 1 ";

std::string spell(std::uint64_t value, std::size_t length) {
  std::string text(length, '0');
  for (std::size_t i = length; i-- > 0; value >>= 5) text[i] = digits[value & 31];
  return text;
}

/// Calls `take` with every name in a journal; never with a torn one.
void for_each_name(std::string_view text, const std::function<void(std::string_view)>& take) {
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    const std::string_view line = text.substr(0, end);
    if (!line.empty() && !line.starts_with(header)) take(line);
  }
}

}  // namespace

std::string read_boot_id(os::Files& files) {
  const auto file = files.open_if_exists("/proc/sys/kernel/random/boot_id");
  if (!file) return {};
  std::string text(36, '\0');
  text.resize(file->read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

struct WriterJournal::Chapter {
  os::Files& files;
  os::fs::path path;
  std::unique_ptr<os::FileLock> lock;
  std::unique_ptr<os::WritableFile> file;
  ByteCount written = 0;
  std::atomic<bool> keep{false};

  Chapter(os::Files& files_to_use, os::fs::path where) : files(files_to_use), path(std::move(where)) {}
  Chapter(const Chapter&) = delete;
  Chapter& operator=(const Chapter&) = delete;
  ~Chapter() {
    if (keep) return;
    try {
      files.remove(path);  // still locked: nobody takes it for a dead one's
    } catch (const Error&) {
      // The next process that opens the directory finds it unlocked, and all its names settled.
    }
  }
  void append(std::string_view line) {
    file->write(as_bytes(line));
    written += line.size();
  }
};

void WriterJournal::Announcement::leave_to_sweep() noexcept { chapter_->keep = true; }

WriterJournal::WriterJournal(os::World& world, os::fs::path directory, std::int64_t number)
    : world_(world),
      directory_(std::move(directory)),
      writer_(spell(static_cast<std::uint64_t>(number), writer_digits)),
      boot_id_(read_boot_id(world.files)) {
  chapter_ = new_chapter();
}

WriterJournal::~WriterJournal() = default;

std::shared_ptr<WriterJournal::Chapter> WriterJournal::new_chapter() {
  for (;;) {
    const std::string unique = spell(world_.entropy.next_u64(), 8);
    auto chapter = std::make_shared<Chapter>(world_.files, directory_ / fmt::format("{}-{}", writer_, unique));
    try {
      chapter->file = world_.files.create_private(chapter->path);
    } catch (const Error& error) {
      chapter->keep = true;  // somebody else's
      if (error.kind() != ErrorKind::precondition) throw;
      continue;
    }
    chapter->lock = world_.files.try_lock(chapter->path);
    // Another process may have found the file before it was locked, and taken it for a dead one's.
    if (!chapter->lock || !world_.files.info(chapter->path)) continue;
    chapter->append(fmt::format("{}{}\n", header, boot_id_));
    chapter->file->sync();
    world_.files.sync_directory(directory_);
    return chapter;
  }
}

FileId WriterJournal::new_file_id() {
  const Lock lock(mutex_);
  const std::int64_t now = to_epoch_ms(world_.clock.now());
  if (now > last_time_ || next_file_ > most_number) {
    last_time_ = std::max(now, last_time_ + 1);
    next_file_ = 0;
  }
  return FileId(spell(static_cast<std::uint64_t>(last_time_), time_digits) + writer_ +
                spell(next_file_++, number_digits));
}

WriterJournal::Announcement WriterJournal::announce(const os::fs::path& path) {
  const Lock lock(mutex_);
  if (chapter_->written >= chapter_bytes) chapter_ = new_chapter();
  chapter_->append(path.native() + "\n");
  return Announcement(chapter_);
}

std::size_t WriterJournal::sweep(const std::function<void(const os::fs::path&)>& resolve) {
  std::size_t swept = 0;
  for (const os::DirectoryEntry& entry : world_.files.list(directory_)) {
    const os::fs::path path = directory_ / entry.name;
    if (entry.type != os::FileType::regular || !world_.files.info(path)) continue;
    const std::unique_ptr<os::FileLock> lock = world_.files.try_lock(path);
    // Its owner may have settled and removed it since it was found: what is locked then has no name any more.
    if (!lock || !world_.files.info(path)) continue;
    sweep_journal(path, resolve);
    world_.files.remove(path);
    ++swept;
  }
  return swept;
}

void WriterJournal::sweep_journal(const os::fs::path& path, const std::function<void(const os::fs::path&)>& resolve) {
  const std::string text = read(path);
  if (text.empty()) return;
  const std::string first_line = fmt::format("{}{}\n", header, boot_id_);
  // Another system start, or a beginning that was lost in one: lines that were not synced are in doubt themselves.
  if (!text.starts_with(first_line)) machine_restarted_ = true;
  for_each_name(text, [&](std::string_view name) { resolve(os::fs::path(name)); });
}

/// Empty where another process has settled and removed it.
std::string WriterJournal::read(const os::fs::path& path) const {
  try {
    return os::read_text_file(world_.files, path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return {};
  }
}

std::set<std::string> WriterJournal::announced() {
  std::set<std::string> names;
  for (const os::DirectoryEntry& entry : world_.files.list(directory_)) {
    const os::fs::path path = directory_ / entry.name;
    const bool is_own = entry.name.starts_with(writer_ + "-");
    if (entry.type != os::FileType::regular || (!is_own && world_.files.try_lock(path))) continue;
    for_each_name(read(path), [&](std::string_view name) { names.emplace(name); });
  }
  return names;
}

}  // namespace bale::embedded
