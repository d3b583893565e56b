#include "jobs/raw/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"

namespace bale::raw {
namespace {

using records::Item;
using records::Value;

constexpr const char* record_part = "record";
constexpr std::string_view page_beginning = "files#";
constexpr int most_readings = 5;  // of a record whose pages are replaced while they are read

/// Attributes of a record that may be absent: a save removes those that it does not write.
constexpr const char* optional_attributes[] = {
    "backup_status", "copy_begun", "copy_ended", "upload_begun", "upload_ended", "project",       "instrument",
    "month",         "layout",     "key_layout", "main",         "source_path",  "pool_path",     "region",
    "bucket",        "files",      "file_pages", "last_error",   "purged",       "s3_backup_key", "s3_etag"};

std::string page_prefix(std::int64_t fence) { return fmt::format("{}{}-", page_beginning, fence); }

/// The fencing number in a page's name; nullopt for a name that is not one of a page.
std::optional<std::int64_t> fence_of(std::string_view page) {
  if (!page.starts_with(page_beginning)) return std::nullopt;
  page.remove_prefix(page_beginning.size());
  std::int64_t fence = 0;
  const auto [end, error] = std::from_chars(page.data(), page.data() + page.size(), fence);
  if (error != std::errc() || end == page.data() + page.size() || *end != '-') return std::nullopt;
  return fence;
}

std::string text_of(const Item& item, const std::string& name) {
  const auto found = item.find(name);
  const auto* text = found == item.end() ? nullptr : std::get_if<std::string>(&found->second.data);
  return text == nullptr ? std::string() : *text;
}

/// Whether an item has more than its key and a lease.
bool has_record(const Item& item) {
  return std::any_of(item.begin(), item.end(), [](const auto& attribute) {
    return attribute.first != "id" && attribute.first != "part" && !attribute.first.starts_with("lease_");
  });
}

}  // namespace

std::string_view to_string(BackupStatus status) noexcept {
  switch (status) {
    case BackupStatus::in_progress: return "IN_PROGRESS";
    case BackupStatus::done: return "DONE";
    case BackupStatus::failed: return "FAILED";
  }
  return "";
}

std::string_view to_string(Step step) noexcept {
  switch (step) {
    case Step::copy: return "copy";
    case Step::upload: return "upload";
    case Step::done: return "done";
  }
  return "";
}

std::string_view to_string(FileState state) noexcept {
  switch (state) {
    case FileState::planned: return "planned";
    case FileState::copied: return "copied";
    case FileState::uploading: return "uploading";
    case FileState::uploaded: return "uploaded";
  }
  return "";
}

LastError last_error(const Error& error, Step step, TimePoint at) {
  // Printable: a name in it may be any bytes, and the record is UTF-8.
  std::string message = escape_for_terminal(error.what());
  if (message.size() > max_error_bytes) {
    constexpr std::string_view cut = "...";
    std::size_t end = max_error_bytes - cut.size();
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
    message = message.substr(0, end) + std::string(cut);
  }
  return {error.kind(), error.code(), std::move(message), step, at};
}

ByteCount RawRecord::bytes() const noexcept {
  ByteCount sum = 0;
  for (const FileRecord& file : files) sum += file.size;
  return sum;
}

Item RawRecords::key_of(const std::string& id, std::string_view part) const {
  return {{"id", Value(id)}, {"part", Value(std::string(part))}};
}

void RawRecords::create_table() {
  if (records_.describe_table(table_)) return;
  using records::KeyType;
  try {
    records_.create_table(table_, {{"id", KeyType::string}, records::KeyAttribute{"part", KeyType::string}});
  } catch (const Error& error) {
    // Another run makes it at the same time; describe_table() waits until it is there.
    if (error.kind() != ErrorKind::precondition || !records_.describe_table(table_)) throw;
  }
}

records::LeasePlace RawRecords::lease_place(const std::string& id) const {
  return {table_, key_of(id, record_part), escape_for_terminal(fmt::format("raw file {}", id))};
}

StoredRecord RawRecords::read(Item item) {
  for (int reading = 1;; ++reading) {
    const auto names = page_names(item);
    std::vector<Item> pages;
    for (const std::string& name : names)
      if (auto page = records_.get(table_, key_of(text_of(item, "id"), name))) pages.push_back(std::move(*page));
    if (pages.size() == names.size() || reading == most_readings) {
      StoredRecord stored{from_items(item, pages), records::lease_of(item)};
      stored.record.pages.names = names;
      return stored;
    }
    // A save has replaced the record, and then removed pages of the one that was read.
    auto newer = records_.get(table_, key_of(text_of(item, "id"), record_part));
    if (newer) item = std::move(*newer);
  }
}

std::optional<StoredRecord> RawRecords::get(const std::string& id) {
  try {
    auto item = records_.get(table_, key_of(id, record_part));
    if (!item || !has_record(*item)) return std::nullopt;
    return read(std::move(*item));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return std::nullopt;  // no table: nothing was backed up yet
    throw;
  }
}

void RawRecords::save(RawRecord& record, records::Lease& lease, TimePoint now) {
  lease.check();
  RawRecord saved = record;
  saved.updated = now;
  if (saved.created == TimePoint{}) saved.created = now;
  const RecordItems items = to_items(saved, page_prefix(lease.fence()));
  const std::set<std::string> present(record.pages.names.begin(), record.pages.names.end());
  std::vector<std::string> names;
  for (const Item& page : items.pages) {
    names.push_back(text_of(page, "part"));
    if (!present.contains(names.back())) records_.put(table_, page);
  }

  records::Update update;
  for (const auto& [name, value] : items.record)
    if (name != "id" && name != "part") update.set.push_back({{name}, value});
  for (const char* name : optional_attributes)
    if (!items.record.contains(name)) update.remove.push_back({name});
  try {
    records_.update(table_, key_of(record.id, record_part), update, lease.conditions());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition) throw;
    throw lease.lost_by(error);
  }

  saved.pages.names = names;
  record = std::move(saved);
  remove_pages(record, present, lease.fence());
}

void RawRecords::remove_pages(RawRecord& record, const std::set<std::string>& before, std::int64_t fence) {
  try {
    if (record.pages.swept_by != fence) {
      sweep_pages(record, fence);
      record.pages.swept_by = fence;
      return;
    }
    const std::set<std::string> named(record.pages.names.begin(), record.pages.names.end());
    for (const std::string& name : before)
      if (!named.contains(name)) records_.remove(table_, key_of(record.id, name));
  } catch (const Error&) {
    record.pages.swept_by = 0;  // the record is saved; the next save looks for what is left
  }
}

void RawRecords::sweep_pages(const RawRecord& record, std::int64_t fence) {
  const std::set<std::string> named(record.pages.names.begin(), record.pages.names.end());
  records::QueryRequest request{.partition = Value(record.id), .sort_prefix = std::string(page_beginning)};
  do {
    const records::ItemPage found = records_.query(table_, request);
    for (const Item& page : found.items) {
      const std::string name = text_of(page, "part");
      // Pages of a later owner may be about to be named.
      const auto owner = fence_of(name);
      if (owner && *owner <= fence && !named.contains(name)) records_.remove(table_, key_of(record.id, name));
    }
    request.start_after = found.last_key;
  } while (request.start_after);
}

void RawRecords::for_each(const std::function<void(const StoredRecord&)>& visit,
                          const std::function<void(const std::string&, const Error&)>& unreadable) {
  records::ScanRequest request;
  do {
    records::ItemPage found;
    try {
      found = records_.scan(table_, request);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return;  // no table: nothing was backed up yet
      throw;
    }
    for (Item& item : found.items) {
      if (text_of(item, "part") != record_part || !has_record(item)) continue;
      const std::string id = text_of(item, "id");
      std::optional<StoredRecord> stored;
      try {
        stored = read(std::move(item));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        unreadable(id, error);
      }
      if (stored) visit(*stored);
    }
    request.start_after = found.last_key;
  } while (request.start_after);
}

}  // namespace bale::raw
