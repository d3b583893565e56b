#include "embedded/writer_journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

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
/// The second line of a journal: the number, in as many digits as the largest std::int64_t has, written in place. An
/// earlier Bale takes it for the name of a file that is not there.
constexpr std::string_view number_label = "number ";
constexpr std::size_t number_line_digits = 19;
/// How much of a journal is read for its number: header, boot id and number line, with room to spare.
constexpr std::size_t most_head_bytes = 256;
/// A journal's file is named by its writer, a dash, and so many random digits.
constexpr std::size_t unique_digits = 8;

std::string spell(std::uint64_t value, std::size_t length) {
  std::string text(length, '0');
  for (std::size_t i = length; i-- > 0; value >>= 5) text[i] = digits[value & 31];
  return text;
}

/// Calls `take` with every name in a journal; never with a torn one.
void for_each_name(std::string_view text, const std::function<void(std::string_view)>& take) {
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    const std::string_view line = text.substr(0, end);
    if (!line.empty() && !line.starts_with(header) && !line.starts_with(number_label)) take(line);
  }
}

std::string spell_number(std::int64_t number) { return fmt::format("{:0{}d}\n", number, number_line_digits); }

/// Returns the number in the second line of a journal; 0 where there is none (an earlier Bale wrote it) or it is
/// damaged.
std::int64_t parse_number(std::string_view text) {
  const auto line_end = text.find('\n');
  if (line_end == std::string_view::npos) return 0;
  text.remove_prefix(line_end + 1);
  if (!text.starts_with(number_label)) return 0;
  text.remove_prefix(number_label.size());
  if (text.size() <= number_line_digits || text[number_line_digits] != '\n') return 0;
  std::int64_t number = 0;
  const char* const end = text.data() + number_line_digits;
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end ? number : 0;
}

/// Returns the last 20 bits of the number of the writer that a journal's file is named by, which are at most that
/// number; 0 for any other file name.
std::int64_t parse_writer(std::string_view name) {
  if (name.size() != writer_digits + 1 + unique_digits || name[writer_digits] != '-') return 0;
  std::int64_t writer = 0;
  for (const char character : name.substr(0, writer_digits)) {
    const auto digit = digits.find(character);
    if (digit == std::string_view::npos) return 0;
    writer = writer * 32 + static_cast<std::int64_t>(digit);
  }
  return writer;
}

std::int64_t read_journal_number(os::Files& files, const os::fs::path& path) {
  const auto file = files.open_if_exists(path);
  if (!file) return 0;  // settled and removed meanwhile
  std::string text(most_head_bytes, '\0');
  text.resize(file->read_at(0, std::as_writable_bytes(std::span(text))));
  if (!text.starts_with(header)) return 0;
  return std::max(parse_number(text), parse_writer(path.filename().native()));
}

}  // namespace

std::string read_boot_id(os::Files& files) {
  const auto file = files.open_if_exists("/proc/sys/kernel/random/boot_id");
  if (!file) return {};
  std::string text(36, '\0');
  text.resize(file->read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

std::int64_t newest_number_in_journals(os::Files& files, const os::fs::path& directory) {
  std::int64_t newest = 0;
  for (const os::DirectoryEntry& entry : files.list(directory)) {
    if (entry.type == os::FileType::regular)
      newest = std::max(newest, read_journal_number(files, directory / entry.name));
  }
  return newest;
}

struct WriterJournal::Chapter {
  os::Files& files;
  os::fs::path path;
  const std::shared_ptr<const std::atomic<std::int64_t>> number;  ///< the newest of the writer
  std::unique_ptr<os::FileLock> lock;
  std::unique_ptr<os::WritableFile> file;
  ByteCount written = 0;
  std::atomic<bool> keep{false};

  ByteCount number_offset = 0;  ///< of the number in the file; 0 until it is written

  Chapter(os::Files& files_to_use, os::fs::path where, std::shared_ptr<const std::atomic<std::int64_t>> newest)
      : files(files_to_use), path(std::move(where)), number(std::move(newest)) {}
  Chapter(const Chapter&) = delete;
  Chapter& operator=(const Chapter&) = delete;
  ~Chapter() {
    if (keep) {
      write_number();  // its names may have been committed in the time of a later chapter, which is removed
      return;
    }
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
  void begin(const std::string& boot_id) {
    append(fmt::format("{}{}\n{}", header, boot_id, number_label));
    number_offset = written;
    append(spell_number(*number));
    file->sync();
  }
  /// Writes the number in its place, which takes no space on the disk. A failure is ignored: see note().
  void write_number() noexcept {
    if (number_offset == 0) return;
    try {
      file->write_at(number_offset, as_bytes(spell_number(*number)));
    } catch (const std::exception&) {
      // The number in the journal stays lower than that of the newest commit.
    }
  }
};

void WriterJournal::Announcement::leave_to_sweep() noexcept { chapter_->keep = true; }

WriterJournal::WriterJournal(os::World& world, os::fs::path directory, std::int64_t number)
    : world_(world),
      directory_(std::move(directory)),
      writer_(spell(static_cast<std::uint64_t>(number), writer_digits)),
      boot_id_(read_boot_id(world.files)),
      number_(std::make_shared<std::atomic<std::int64_t>>(number)) {
  chapter_ = new_chapter();
}

WriterJournal::~WriterJournal() = default;

std::shared_ptr<WriterJournal::Chapter> WriterJournal::new_chapter() {
  for (;;) {
    const std::string unique = spell(world_.entropy.next_u64(), unique_digits);
    const os::fs::path path = directory_ / fmt::format("{}-{}", writer_, unique);
    auto chapter = std::make_shared<Chapter>(world_.files, path, number_);
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
    chapter->begin(boot_id_);
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

void WriterJournal::note(std::int64_t number) noexcept {
  const Lock lock(mutex_);
  if (number <= *number_) return;
  *number_ = number;
  chapter_->write_number();
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
