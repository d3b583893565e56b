#include "jobs/check/pair_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "archive/deliver.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/replication.hpp"
#include "jobs/check/archive_end.hpp"
#include "store/own_write.hpp"
#include "store/read_exactly.hpp"

namespace bale::check {
namespace {

// Landing writes the catalog file right behind the archive; the first is how old an archive is of which that is over.
constexpr Milliseconds landing_time = std::chrono::minutes(1), second_look = std::chrono::seconds(2);
constexpr std::int64_t end_of_dates_ms = 253'402'300'800'000;  // the year 10000

/// A directory's name without the '/' at its end.
std::string_view without_last(std::string_view directory) {
  return directory.substr(0, directory.empty() ? 0 : directory.size() - 1);
}

void add_once(std::vector<BucketName>& buckets, const BucketName& bucket) {
  if (!bucket.empty() && std::find(buckets.begin(), buckets.end(), bucket) == buckets.end()) buckets.push_back(bucket);
}

/// Wants to know that an object is whole, and compares it with a hash that its manifest does not have.
class Hashing final : public archive::ObjectReceiver {
 public:
  explicit Hashing(std::string sha256) : sha256_(std::move(sha256)) {}
  void write(ByteView bytes) override {
    if (!sha256_.empty()) digest_.update(bytes);
  }
  void finish() override {
    if (!sha256_.empty() && to_hex_digest(digest_.finish()) != sha256_)
      throw Error(ErrorKind::corrupt, "its SHA-256 is not the one in the catalog");
  }

 private:
  const std::string sha256_;
  Sha256 digest_;
};

/// Where landing puts the catalog file of an archive: its name, "backup_{ms}_{hash}.tar.zst", has the date. Absent for
/// other names.
std::optional<ObjectKey> likely_catalog_key(const ObjectKey& archive) {
  constexpr std::string_view start = "backup_";
  const std::string_view name = basename(archive.str());
  if (!name.starts_with(start)) return std::nullopt;
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(name.data() + start.size(), name.data() + name.size(), ms);
  if (error != std::errc() || ms <= 0 || ms >= end_of_dates_ms) return std::nullopt;
  const std::string_view directory = std::string_view(archive.str()).substr(0, archive.str().size() - name.size());
  const std::size_t slash = directory.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view prefix = without_last(directory.substr(slash + 1));
  return catalog::catalog_key(BucketName(directory.substr(0, slash)), prefix, from_epoch_ms(ms), name);
}

ObjectAddress object_of(const archive::ManifestObject& object) { return {object.source_bucket, object.key}; }

}  // namespace

PairCheck::PairCheck(const Place& place, const Options& options, const Tools& tools, Report& report, Pair pair)
    : place_(place), options_(options), tools_(tools), report_(report), pair_(std::move(pair)) {}

PairCheck::~PairCheck() = default;

void PairCheck::run() {
  read_files();
  find_copies();
  open_copies();
  compare_copies();
  compare_etags();
  look_behind_ends();
  if (files_.empty()) look_for_file();
  compare_rows();
  read_contents();
  if (options_.repair) repair();
  for (const Finding& finding : findings_) report_.add(finding);
}

template <typename Step>
bool PairCheck::guarded(FindingType damage, const std::string& where, Step step) {
  if (tools_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while checking");
  try {
    step();
    return true;
  } catch (const Error& error) {
    Finding finding = finding_of(error, damage, where);
    finding.archive = pair_.archive;
    finding.objects = all_objects();
    if (finding.type == FindingType::not_readable) report_.count([](Counts& counts) { ++counts.not_readable; });
    findings_.push_back(std::move(finding));
    return false;
  }
}

Finding& PairCheck::add(FindingType type, const std::string& where, std::string what,
                        std::vector<ObjectAddress> objects) {
  findings_.push_back(
      {type, where, pair_.archive, std::move(objects), std::move(what), std::string(hint_of(type)), Repair::none});
  return findings_.back();
}

/// All objects that are known to be in the archive, by its manifest or else by the rows.
std::vector<ObjectAddress> PairCheck::all_objects() const {
  std::vector<ObjectAddress> objects;
  for (const OpenCopy& copy : open_) {
    for (const archive::ManifestObject& object : copy.reader->manifest().objects) objects.push_back(object_of(object));
    return objects;
  }
  for (const File& file : files_) {
    for (const catalog::Record& row : file.rows) {
      if (!row.deleted) objects.push_back(check::object_of(row));
    }
    if (!objects.empty()) break;
  }
  return objects;
}

// ---- catalog files

void PairCheck::read_files() {
  for (const CatalogFile& file : pair_.files) read_file(file);
}

void PairCheck::read_file(const CatalogFile& listed) {
  File file;
  file.address = {place_.catalog.bucket, listed.key};
  const std::string where = to_uri(file.address);
  const auto read = [&] {
    std::string text;
    try {
      const auto stream = place_.store->get(file.address);
      file.etag = stream->info().etag;
      if (stream->length() > options_.row_bytes / bytes_per_file_byte) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("the file has {}, whose rows take more than {} of memory",
                                format_bytes(stream->length()), format_bytes(options_.row_bytes)),
                    where, "run with a higher --memory-limit");
      }
      text = store::read_unchecked(*stream, stream->length());
    } catch (const Error& error) {
      if (error.code() == "InvalidObjectState") {
        throw Error(ErrorKind::unsupported, "the catalog file is in an archive class, and cannot be read", where,
                    "ask for it with RestoreObject, then copy it onto itself with --storage-class STANDARD");
      }
      if (error.kind() != ErrorKind::corrupt) throw;
      // The store cannot give what it has: nothing of it is known but that it has to be written anew.
      file.needs_write = true;
      if (const auto info = place_.store->head(file.address)) file.etag = info->etag;
      throw;
    }
    file.damage = catalog::read_file_text(text, [&](catalog::Record row) { file.rows.push_back(std::move(row)); });
    file.known = true;
  };
  guarded(FindingType::damaged_catalog_file, where, read);
  report_.count([&](Counts& counts) { counts.rows += file.rows.size(); });
  // Without a listed archive the rows say where it is; with one, they are held against it.
  if (pair_.copies.empty() && !file.rows.empty()) pair_.archive = archive_key_of(file.rows.front());
  files_.push_back(std::move(file));
}

/// Where an archive is, as a row says it. Rows of the replaced program say it in pieces, which leaves several keys: it
/// is the first that is there.
ObjectKey PairCheck::archive_key_of(const catalog::Record& row) {
  if (!row.archive_key.empty() && !place_.allowed.refusal_of(row)) return row.archive_key;
  for (const ObjectAddress& place : place_.allowed.places_of(row)) {
    try {
      if (place_.store->head(place)) return place.key;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;  // else it is told when copies are looked for
    }
  }
  return ObjectKey(config::archive_prefix(row.source_bucket, row.source_prefix) + row.backup_file);
}

// ---- copies

void PairCheck::find_copies() {
  std::vector<BucketName> named, missing;
  for (const File& file : files_) {
    for (const catalog::Record& row : file.rows) {
      const auto add = [&](const BucketName& bucket) {
        if (bucket.empty()) return;
        if (place_.allowed.allows(row.source_bucket, bucket))
          add_once(named, bucket);
        else
          refuse(row, bucket);
      };
      for (const BucketName& bucket : row.target_buckets) add(bucket);
      add(row.archive_bucket);
    }
  }
  const bool rows_name_places = !named.empty();
  // No row is left that says where the archive is: it may have come to a backup bucket after the listing.
  if (!rows_name_places && pair_.copies.empty()) {
    for (const Scope& scope : place_.backups) add_once(named, scope.bucket);
  }
  for (const BucketName& bucket : named) look_for_copy(bucket, missing);
  report_missing(named, missing);
  for (const Copy& copy : pair_.copies) {
    if (!rows_name_places || std::find(named.begin(), named.end(), copy.bucket) != named.end()) continue;
    add(FindingType::unnamed_copy, to_uri(copy.bucket, pair_.archive), "the rows of the archive do not name this copy");
  }
}

/// Names a bucket that rows of the catalog lead to, once; nothing in it is read.
void PairCheck::refuse(const catalog::Record& row, const BucketName& bucket) {
  if (std::find(refused_.begin(), refused_.end(), bucket) != refused_.end()) return;
  refused_.push_back(bucket);
  const std::string source = escape_for_terminal(row.source_bucket.str());
  add(FindingType::refused_bucket, to_uri(bucket, pair_.archive),
      fmt::format("the rows of {} name this bucket, which is no backup destination of {} in the configuration",
                  pair_.files.empty() ? "its catalog file" : to_uri(place_.catalog.bucket, pair_.files.front().key),
                  source),
      all_objects());
}

const Copy* PairCheck::copy_in(const BucketName& bucket) const {
  const auto found =
      std::find_if(pair_.copies.begin(), pair_.copies.end(), [&](const Copy& copy) { return copy.bucket == bucket; });
  return found == pair_.copies.end() ? nullptr : &*found;
}

/// Whether the archives of this bucket were listed.
bool PairCheck::is_listed(const BucketName& bucket) const {
  return std::any_of(place_.backups.begin(), place_.backups.end(),
                     [&](const Scope& scope) { return scope.bucket == bucket; });
}

void PairCheck::look_for_copy(const BucketName& bucket, std::vector<BucketName>& missing) {
  if (copy_in(bucket) != nullptr) return;
  const ObjectAddress address{bucket, pair_.archive};
  guarded(FindingType::damaged_archive, to_uri(address), [&] {
    std::optional<store::ObjectInfo> info;
    try {
      info = place_.store->head(address);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;  // else the bucket is gone too
    }
    if (!info) return missing.push_back(bucket);
    const bool first = pair_.copies.empty();
    pair_.copies.push_back({bucket, info->size, info->etag, false});
    if (is_listed(bucket)) return;  // it was counted then
    report_.count([&](Counts& counts) {
      counts.archives += first ? 1 : 0;
      ++counts.copies;
      counts.archive_bytes += info->size;
    });
  });
}

void PairCheck::report_missing(const std::vector<BucketName>& named, const std::vector<BucketName>& missing) {
  if (missing.empty()) return;
  if (missing.size() == named.size() && pair_.copies.empty()) {
    std::string places;
    for (const BucketName& bucket : missing) places += (places.empty() ? "" : ", ") + bucket.str();
    add(FindingType::missing_archive, to_uri(missing.front(), pair_.archive),
        missing.size() == 1 ? "the archive is not there" : "the archive is in none of its buckets: " + places,
        all_objects());
    return;
  }
  for (const BucketName& bucket : missing) {
    add(FindingType::missing_copy, to_uri(bucket, pair_.archive), "this copy of the archive is not there",
        all_objects());
  }
}

bool PairCheck::has_places() const {
  return std::any_of(files_.begin(), files_.end(), [](const File& file) {
    return std::any_of(file.rows.begin(), file.rows.end(),
                       [](const catalog::Record& row) { return row.location.has_value(); });
  });
}

void PairCheck::open_copies() {
  for (const Copy& copy : pair_.copies) open_copy(copy);
}

void PairCheck::open_copy(const Copy& copy) {
  OpenCopy made;
  made.address = {copy.bucket, pair_.archive};
  const std::string where = to_uri(made.address);
  // A second catalog file of an archive that was listed leads here again: its content was read then.
  const bool was_read = !copy.listed && is_listed(copy.bucket);
  made.read_data = options_.read_data && options_.read_data->holds(pair_.archive.str()) && !was_read;
  guarded(FindingType::damaged_archive, where, [&] {
    auto source = std::make_unique<ArchiveEnd>(transfer::open_object_source(*place_.store, made.address));
    if (!made.read_data && !source->has_seek_table()) {
      if (has_places())
        throw Error(ErrorKind::corrupt, "the archive has lost its seek table: the catalog has places in it");
      report_.count([](Counts& counts) { ++counts.without_places; });
      return;
    }
    made.source = std::move(source);
    made.reader = archive::open_archive(*made.source, {.budget = &tools_.budget});
    report_.count([](Counts& counts) { ++counts.opened; });
    const bool flawed = made.reader->flaw().has_value();
    const std::string what = flawed ? made.reader->flaw()->summary() : std::string();
    open_.push_back(std::move(made));
    if (flawed) add(FindingType::damaged_archive, where, what, all_objects());
  });
}

const PairCheck::OpenCopy* PairCheck::sound_copy() const {
  for (const OpenCopy& copy : open_) {
    if (!copy.reader->flaw()) return &copy;
  }
  return nullptr;
}

void PairCheck::compare_copies() {
  for (std::size_t i = 1; i < pair_.copies.size(); ++i) {
    const Copy &first = pair_.copies.front(), &other = pair_.copies[i];
    const std::string where = to_uri(other.bucket, pair_.archive);
    if (first.size != other.size) {
      add(FindingType::copies_differ, where,
          fmt::format("it has {} bytes, the copy in {} {}", other.size, first.bucket.str(), first.size), all_objects());
    } else if (is_other_content(other, first.etag) && is_other_content(first, other.etag)) {
      add(FindingType::copies_differ, where,
          fmt::format("its ETag is {}, that of the copy in {} {}", other.etag.str(), first.bucket.str(),
                      first.etag.str()),
          all_objects());
    }
  }
  const OpenCopy* const sound = sound_copy();
  for (const OpenCopy& copy : open_) {
    if (sound == nullptr || &copy == sound || copy.reader->manifest() == sound->reader->manifest()) continue;
    add(FindingType::copies_differ, to_uri(copy.address),
        fmt::format("its manifest is not that of the copy in {}", sound->address.bucket.str()), all_objects());
  }
}

/// Whether a copy surely has other bytes than those of this ETag: both are MD5s. With a KMS key they are none, and what
/// was copied in parts has another form.
bool PairCheck::is_other_content(const Copy& copy, const ETag& other) {
  if (copy.etag == other || !store::is_md5(copy.etag) || !store::is_md5(other)) return false;
  const ObjectAddress address{copy.bucket, pair_.archive};
  bool plain = false;
  guarded(FindingType::damaged_archive, to_uri(address), [&] {
    const auto info = place_.store->head(address);
    plain = info && info->kms_key_arn.empty();
  });
  return plain;
}

/// Compression has more than one spelling: a changed byte may leave every object as it was. The ETag tells.
void PairCheck::compare_etags() {
  for (File& file : files_) {
    std::vector<std::pair<BucketName, ETag>> said;
    for (const catalog::Record& row : file.rows) {
      std::pair<BucketName, ETag> each{row.archive_bucket, row.archive_etag};
      if (!each.second.empty() && std::find(said.begin(), said.end(), each) == said.end())
        said.push_back(std::move(each));
    }
    for (const auto& [bucket, etag] : said) {
      const Copy* const copy = copy_in(bucket);
      if (copy == nullptr || !is_other_content(*copy, etag)) continue;
      add(FindingType::replaced_archive, to_uri(bucket, pair_.archive),
          fmt::format("it is not the object that landed: its ETag is {}, in the catalog {}", copy->etag.str(),
                      etag.str()),
          all_objects());
      file.replaced = true;
    }
  }
}

/// Bytes behind the end of an archive change its ETag, which not every catalog row has.
void PairCheck::look_behind_ends() {
  for (const OpenCopy& copy : open_) {
    for (const archive::Remark& remark : copy.reader->remarks()) {
      if (remark.is_unread) add(FindingType::bytes_behind_archive, to_uri(copy.address), remark.text, {});
    }
  }
}

// ---- rows

std::vector<catalog::Record> PairCheck::expected_rows(const std::vector<BucketName>& buckets, TimePoint stored) const {
  return catalog::make_records(*sound_copy()->reader, stored, pair_.archive, buckets);
}

/// As landing lists them: in the order of the manifest's targets, those that have a copy; then copies that somebody
/// else made.
std::vector<BucketName> PairCheck::buckets_for_rows() const {
  std::vector<BucketName> buckets;
  for (const archive::Target& target : sound_copy()->reader->manifest().targets) {
    if (target.backup && copy_in(target.bucket) != nullptr) add_once(buckets, target.bucket);
  }
  for (const Copy& copy : pair_.copies) add_once(buckets, copy.bucket);
  return buckets;
}

/// An archive that no catalog file was listed for. One may have come meanwhile: first the archive is stored, then its
/// catalog file.
void PairCheck::look_for_file() {
  if (pair_.copies.empty()) return;
  const std::string where = to_uri(pair_.copies.front().bucket, pair_.archive);
  if (sound_copy() == nullptr) return look_for_file_by_name(where);
  guarded(FindingType::missing_catalog_file, where, [&] {
    const auto info = place_.store->head(sound_copy()->address);
    const auto rows = expected_rows(buckets_for_rows(), info ? info->last_modified : TimePoint());
    if (rows.empty()) return;  // nothing in it: no catalog file is due
    const catalog::Record& first = rows.front();
    const ObjectKey key =
        catalog::catalog_key(first.source_bucket, first.source_prefix, first.backup_time, first.backup_file);
    const ObjectAddress address{place_.catalog.bucket, key};
    if (const auto there = wait_for_file(address, info ? info->last_modified : TimePoint())) {
      read_file({key, there->size});
      return drop_file_of_another(where);
    }
    File file;
    file.address = address;
    file.needs_write = true;
    files_.push_back(std::move(file));
    add(FindingType::missing_catalog_file, to_uri(address),
        "no catalog file speaks of the archive " + escape_name(where), all_objects());
  });
}

/// Forgets the file that was read last, and reports it, where it speaks of another archive: it is that one's, which a
/// repair must not replace.
void PairCheck::drop_file_of_another(const std::string& where) {
  const File& file = files_.back();
  if (file.rows.empty() || file.rows.front().archive_key.empty() || file.rows.front().archive_key == pair_.archive)
    return;
  const std::string other = escape_name(file.rows.front().archive_key.str()), address = to_uri(file.address);
  files_.pop_back();
  add(FindingType::missing_catalog_file, where,
      fmt::format("the catalog file {} has the name for this archive, but belongs to the archive {}", address, other),
      all_objects())
      .hint =
      "compare both with `bale archive info`; one that is not the source's own can be removed, and one that is can "
      "be copied to a name of its own, and `bale check --repair-catalog` then adds it";
}

/// A catalog file, or nothing: of an archive that was stored just now, after a second look.
std::optional<store::ObjectInfo> PairCheck::wait_for_file(const ObjectAddress& file, TimePoint stored) {
  auto there = place_.store->head(file);
  if (there || tools_.clock.now() - stored > landing_time) return there;
  if (!tools_.clock.sleep_for(second_look, tools_.stop)) throw Error(ErrorKind::cancelled, "stopped while checking");
  return place_.store->head(file);
}

/// The same where nothing is known of the archive but its name.
void PairCheck::look_for_file_by_name(const std::string& where) {
  guarded(FindingType::missing_catalog_file, where, [&] {
    const auto key = likely_catalog_key(pair_.archive);
    if (key && place_.store->head({place_.catalog.bucket, *key})) return;
    add(FindingType::missing_catalog_file, where, "no catalog file speaks of this archive", all_objects()).hint =
        "where the archive can be read as a whole, `bale check --read-data --repair-catalog` rebuilds the catalog file";
  });
}

void PairCheck::compare_rows() {
  for (File& file : files_) {
    if (file.known) compare_file(file);
  }
}

void PairCheck::compare_file(File& file) {
  const std::string where = to_uri(file.address);
  const auto add_damage = [&](std::vector<ObjectAddress> lost) {
    const std::string rows = file.damage->rows_lost ? fmt::format("; rows lost: {}", *file.damage->rows_lost)
                                                    : std::string("; rows may be lost");
    add(FindingType::damaged_catalog_file, where, file.damage->first + rows, std::move(lost));
    file.needs_write = true;
  };
  if (sound_copy() == nullptr) {
    if (file.damage) add_damage({});
    return;
  }
  const bool has_rows = !file.rows.empty();
  std::vector<BucketName> buckets = has_rows ? file.rows.front().target_buckets : std::vector<BucketName>();
  if (buckets.empty()) buckets = buckets_for_rows();
  // An archive of the replaced program does not say when it was made; only the rows know when it came.
  const auto expected = expected_rows(buckets, has_rows ? file.rows.front().backup_time : TimePoint());
  RowComparison comparison = check::compare_rows(expected, file.rows);
  more_hashes_.merge(comparison.more_hashes);
  std::vector<ObjectAddress> lost;
  for (RowFinding& finding : comparison.findings) {
    if (file.damage && finding.type == FindingType::missing_row) {
      lost.push_back(std::move(finding.object));
      continue;
    }
    file.needs_write = true;
    add(finding.type, where, std::move(finding.what), {std::move(finding.object)});
  }
  if (file.damage) add_damage(std::move(lost));
}

// ---- content

void PairCheck::read_contents() {
  for (OpenCopy& copy : open_) {
    if (copy.read_data) guarded(FindingType::damaged_archive, to_uri(copy.address), [&] { read_content(copy); });
  }
}

void PairCheck::read_content(OpenCopy& copy) {
  const archive::ObjectList& objects = copy.reader->manifest().objects;
  if (objects.empty()) return;
  const auto hash_of = [&](std::size_t object) {
    const auto found = more_hashes_.find(object);
    return found == more_hashes_.end() ? std::string() : found->second;
  };
  const archive::Delivery delivery = archive::deliver_objects(
      *copy.reader, {}, [&](std::size_t object) { return std::make_unique<Hashing>(hash_of(object)); }, tools_.pools,
      tools_.budget, tools_.stop);
  const auto has_none = [&](std::size_t i) {
    return objects[i].sha256.empty() && hash_of(i).empty() && !delivery.failures.contains(i);
  };
  std::size_t unverifiable = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) unverifiable += has_none(i) ? 1 : 0;
  report_.count([&](Counts& counts) {
    counts.objects_read += delivery.delivered;
    counts.bytes_read += delivery.bytes;
    counts.not_verifiable += unverifiable;
  });
  report_.progress().bytes_done += delivery.bytes;
  copy.read_whole = delivery.failures.empty() && !copy.reader->flaw();
  const std::string where = to_uri(copy.address);
  for (const auto& [object, error] : delivery.failures) {
    const bool same_place = error.where().empty() || error.where() == where;
    add(FindingType::damaged_object, where, same_place ? error.summary() : std::string(error.what()),
        {object_of(objects[object])});
  }
}

// ---- repair

void PairCheck::repair() {
  if (sound_copy() == nullptr) return;
  const bool all_whole = std::all_of(open_.begin(), open_.end(), [](const OpenCopy& copy) { return copy.read_whole; });
  for (const File& file : files_) {
    // An archive that somebody replaced is taken as it is when all of it was read, and found to be what was packed.
    if (file.needs_write || (file.replaced && all_whole && open_.size() == pair_.copies.size())) repair_file(file);
  }
}

void PairCheck::repair_file(const File& file) {
  const std::string where = to_uri(file.address);
  const bool done = guarded(FindingType::unexamined, where, [&] {
    const std::string text = rebuilt_text(file);
    if (!options_.dryrun) write_file(file, text);
  });
  if (!done) return;
  report_.count([](Counts& counts) { ++counts.files_written; });
  for (Finding& finding : findings_) {
    const bool of_the_file =
        hint_of(finding.type) == hint_of(FindingType::damaged_catalog_file) && finding.where == where;
    const bool of_the_archive = finding.type == FindingType::replaced_archive && file.replaced;
    if (of_the_file || of_the_archive) finding.repair = options_.dryrun ? Repair::would : Repair::done;
  }
}

/// What landing wrote, or would have written.
std::string PairCheck::rebuilt_text(const File& file) const {
  TimePoint stored{};
  if (!file.rows.empty())
    stored = file.rows.front().backup_time;
  else if (const auto info = place_.store->head(sound_copy()->address))
    stored = info->last_modified;
  std::vector<catalog::Record> rows = expected_rows(buckets_for_rows(), stored);
  // Rows that are left know best how the archive was stored, unless it surely is another one now.
  const catalog::Record* const left = file.rows.empty() || file.replaced ? nullptr : &file.rows.front();
  for (catalog::Record& row : rows) {
    const bool known = left != nullptr && left->archive_bucket == row.archive_bucket;
    row.archive_etag = known ? left->archive_etag : copy_in(row.archive_bucket)->etag;
  }
  return catalog::to_file_text(rows);
}

void PairCheck::write_file(const File& file, const std::string& text) {
  store::MemoryBody body(as_bytes(text));
  store::ObjectAttributes attributes;
  attributes.headers.content_type = "application/x-ndjson";
  // Landing may write it at this very moment: what it wrote stays.
  store::WriteConditions conditions;
  conditions.if_none_match = file.etag.empty();
  conditions.if_match = file.etag;
  place_.store->put(file.address, body, attributes, conditions);
}

}  // namespace bale::check
