#include "jobs/raw/upload_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "flow/stop_after.hpp"
#include "jobs/raw/claims.hpp"
#include "jobs/raw/evidence.hpp"
#include "jobs/raw/part_size.hpp"
#include "jobs/raw/verify.hpp"
#include "transfer/file_upload.hpp"
#include "transfer/multipart.hpp"

namespace bale::raw {
namespace {

/// Small files wait for the store most of the time.
constexpr std::size_t small_files_at_once = 4;
constexpr std::chrono::seconds between_saves{10};
constexpr const char* id_metadata = "bale-id";

class Uploading {
 public:
  Uploading(RawRecord& record, const config::RawS3& settings, store::ObjectStore& store, const UploadHooks& hooks,
            flow::RateLimit* limit, const Tools& tools)
      : record_(record),
        settings_(settings),
        store_(store),
        hooks_(hooks),
        limit_(limit),
        tools_(tools),
        failed_(tools.world.stop, tools.world.clock, std::nullopt) {}

  UploadReport run() {
    std::vector<std::size_t> small, large;
    for (std::size_t i = 0; i < record_.files.size(); ++i)
      (record_.files[i].size < settings_.part_bytes ? small : large).push_back(i);
    upload_small(small);
    for (const std::size_t i : large) upload(i);
    const Lock lock(mutex_);
    hooks_.save();
    return report_;
  }

 private:
  void upload_small(const std::vector<std::size_t>& files) {
    if (files.empty()) return;
    flow::ThreadPool threads(std::min(files.size(), small_files_at_once), "raw file");
    flow::TaskGroup group;
    for (const std::size_t i : files) {
      group.wait_until_at_most(2 * small_files_at_once);
      if (group.failed()) break;
      group.run(threads, [this, i] {
        try {
          upload(i);
        } catch (...) {
          failed_.request();
          throw;
        }
      });
    }
    group.wait();
  }

  void upload(std::size_t index) {
    FileRecord file = record_.files[index];  // no other thread changes it
    if (failed_.token().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const ObjectAddress to{record_.bucket, file.key};
    const std::optional<store::ObjectInfo> there = look(to);
    // What the record proves needs no local file, which may have been purged.
    if (there && adopt(file, compare_known(known_of(file), *there), *there))
      return keep(index, std::move(file), /*adopted=*/true, 0);
    const auto local = open_local(file);
    const bool may_be_same = there && compare_known(known_of(file), *there).verdict == Verdict::unknown;
    if (may_be_same && adopt(file, compare_reading(*local, *there, tools_), *there))
      return keep(index, std::move(file), /*adopted=*/true, 0);
    if (there) check_owner(*there, to);
    const transfer::FileUploaded uploaded = send(index, file, *local, to, there);
    check_object(file, uploaded, to);
    file.etag = uploaded.object.etag;
    file.version_id = uploaded.object.version_id;
    keep(index, std::move(file), /*adopted=*/false, uploaded.sent_bytes);
  }

  std::unique_ptr<os::ReadableFile> open_local(const FileRecord& file) const {
    const os::fs::path path = local_path(record_, file);
    const std::string shown = escape_name(path.native());
    auto local = tools_.world.files.open_if_exists(path);
    if (!local)
      throw Error(ErrorKind::not_found, "the local file is missing", shown, "run `bale raw backup` again")
          .with_code(copy_changed);
    if (local->size() != file.size) throw changed(file, shown, fmt::format("it has {} bytes", local->size()));
    return local;
  }

  static store::Checksum to_checksum(std::uint64_t crc) {
    store::Checksum checksum{store::Checksum::Algorithm::crc64nvme, {}};
    for (int shift = 56; shift >= 0; shift -= 8) checksum.value += static_cast<char>(crc >> shift & 0xFF);
    return checksum;
  }

  static Error changed(const FileRecord& file, const std::string& shown, const std::string& how) {
    return Error(ErrorKind::precondition,
                 fmt::format("the local file differs from its record ({} bytes): {}", file.size, how), shown,
                 "to back up the new content, run `bale raw backup` with a new id")
        .with_code(copy_changed);
  }

  /// Looks at the object. Absent where there is none, and where the credentials may not know.
  std::optional<store::ObjectInfo> look(const ObjectAddress& to) {
    try {
      return store_.head(to, {.version_id = {}, .if_match = {}, .with_evidence = true});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::denied) throw;
      remark_once(is_look_denied_,
                  "without the permission s3:ListBucket, existing objects cannot be detected: their files may be sent "
                  "again");
      may_look_ = false;
      return std::nullopt;
    }
  }

  /// Whether the evidence shows that the object has the file's bytes; the record of the file is then that of the
  /// object.
  bool adopt(FileRecord& file, const Evidence& evidence, const store::ObjectInfo& there) {
    if (evidence.digests) {
      const std::string md5 = to_hex_digest(evidence.digests->md5);
      if (!file.md5.empty() && file.md5 != md5)
        throw changed(file, escape_name(local_path(record_, file).native()), "its MD5 differs");
      file.md5 = md5;
      file.crc64nvme = evidence.digests->crc64nvme;
    }
    tools_.log.info("raw.compare", "compared with the existing object",
                    {{"file", file.name}, {"verdict", to_string(evidence.verdict)}, {"by", evidence.by}});
    if (evidence.verdict != Verdict::same) return false;
    file.etag = there.etag;
    file.part_bytes = evidence.part_bytes;
    file.version_id = there.version_id;
    return true;
  }

  /// Throws unless the object may be replaced: two ids of one name ("x" and "x.raw") have one key.
  void check_owner(const store::ObjectInfo& there, const ObjectAddress& to) const {
    const auto owner = there.metadata.find(id_metadata);
    if (owner == there.metadata.end() || owner->second == label_of_id()) return;
    throw Error(ErrorKind::precondition,
                fmt::format("the object was uploaded for another raw file, {}", escape_for_terminal(owner->second)),
                to_uri(to), "use the other id, or back up this file under another name")
        .with_code(key_of_other_record);
  }

  /// The id as metadata, whose values are US-ASCII.
  std::string label_of_id() const {
    const auto is_plain = [](unsigned char c) { return c > ' ' && c < 0x7F; };
    const std::string& id = record_.id;
    if (std::all_of(id.begin(), id.end(), is_plain)) return id;
    return "sha256-" + to_hex_digest(Sha256::of(as_bytes(id)));
  }

  transfer::FileUploaded send(std::size_t index, FileRecord& file, os::ReadableFile& local, const ObjectAddress& to,
                              const std::optional<store::ObjectInfo>& there) {
    const ByteCount part_bytes = part_size_of(file.size, settings_.part_bytes);
    if (part_bytes != settings_.part_bytes)
      remark_once(is_part_raised_,
                  fmt::format("part size raised from {} to {}: an upload has at most {} parts",
                              format_bytes(settings_.part_bytes), format_bytes(part_bytes), store::max_parts));
    const bool is_resumable = !file.upload_id.empty() && file.part_bytes == part_bytes;
    if (!is_resumable) file.upload_token = new_token();
    file.part_bytes = part_bytes;
    transfer::FileUpload upload{.attributes = attributes_of(file)};
    upload.conditions = conditions_for(there);
    upload.part_bytes = part_bytes;
    if (file.crc64nvme) upload.expected_checksum = to_checksum(*file.crc64nvme);
    if (is_resumable) upload.resume = file.upload_id;
    upload.remember = [&](const UploadId& id) {
      file.upload_id = id;
      file.state = FileState::uploading;
      const Lock lock(mutex_);
      record_.files[index] = file;
      hooks_.save();
    };
    upload.before_complete = [&] {
      const Lock lock(mutex_);
      hooks_.before_object(file);
    };
    upload.moved = [&](std::int64_t bytes) {
      tools_.progress.bytes_done += static_cast<std::uint64_t>(bytes);
      if (limit_ != nullptr && bytes > 0) limit_->pass(static_cast<ByteCount>(bytes), failed_.token());
    };
    upload.stop = failed_.token();
    const auto begun = tools_.world.clock.steady();
    tools_.log.info("raw.upload.begin", "upload started",
                    {{"file", file.name}, {"object", to_uri(to)}, {"bytes", file.size}, {"part_bytes", part_bytes}});
    transfer::FileUploaded uploaded = upload_expected(file, local, to, upload);
    const auto took = std::chrono::duration_cast<Milliseconds>(tools_.world.clock.steady() - begun);
    const double seconds = std::max(0.001, static_cast<double>(took.count()) / 1000);
    tools_.log.info("raw.upload.end", "uploaded",
                    {{"file", file.name},
                     {"object", to_uri(to)},
                     {"bytes", file.size},
                     {"sent_bytes", uploaded.sent_bytes},
                     {"seconds", seconds},
                     {"bytes_per_second", static_cast<double>(uploaded.sent_bytes) / seconds},
                     {"etag", uploaded.object.etag.str()}});
    return uploaded;
  }

  transfer::FileUploaded upload_expected(const FileRecord& file, os::ReadableFile& local, const ObjectAddress& to,
                                         const transfer::FileUpload& upload) {
    try {
      transfer::FileUploaded uploaded =
          transfer::upload_file(store_, tools_.pools.connections, tools_.budget, local, to, upload);
      if (uploaded.parts_were_not_listed)
        remark_once(is_list_denied_,
                    "without the permission s3:ListMultipartUploadParts, a resumed upload sends every part again");
      return uploaded;
    } catch (const Error& error) {
      // The key was free, or had the object that was looked at: another writer came in between.
      if (error.code() == "PreconditionFailed")
        throw error.with_summary("conflict: another writer's object has the key")
            .with_code(transfer::upload_conflict)
            .with_hint("compare the object with the file; to replace it, run `bale raw upload` again");
      if (error.code() != transfer::file_differs) throw;
      throw changed(file, escape_name(local_path(record_, file).native()), "its CRC64NVME differs");
    }
  }

  store::ObjectAttributes attributes_of(const FileRecord& file) const {
    store::ObjectAttributes attributes;
    attributes.headers.content_type = "binary/octet-stream";
    attributes.metadata = {
        {id_metadata, label_of_id()}, {"bale-upload", file.upload_token}, {"bale-modified", to_iso8601(file.modified)}};
    if (!settings_.storage_class.empty()) attributes.storage_class = settings_.storage_class;
    attributes.encryption = settings_.sse;
    attributes.kms_key_arn = settings_.kms_key_arn;
    attributes.checksum_algorithm = store::Checksum::Algorithm::crc64nvme;
    return attributes;
  }

  /// Nobody else's object is replaced that came since the look. Without a look there is no condition.
  store::WriteConditions conditions_for(const std::optional<store::ObjectInfo>& there) const {
    store::WriteConditions conditions;
    if (!may_look_) return conditions;
    if (there)
      conditions.if_match = there->etag;
    else
      conditions.if_none_match = true;
    return conditions;
  }

  std::string new_token() {
    constexpr std::size_t token_bytes = 16;
    Md5Digest random{};
    static_assert(sizeof(random) == token_bytes);
    tools_.world.entropy.fill(random);
    return to_hex_digest(random);
  }

  /// Compares the object with what was sent, by HEAD.
  void check_object(const FileRecord& file, const transfer::FileUploaded& uploaded, const ObjectAddress& to) {
    std::uint64_t crc = 0;
    for (const char byte : uploaded.checksum.value) crc = crc << 8 | static_cast<unsigned char>(byte);
    const KnownFile known{uploaded.size, std::nullopt, uploaded.etag, file.part_bytes, crc};
    const auto differs = [&](const std::string& how) {
      return Error(ErrorKind::corrupt, "the object differs from the file that was sent: " + how, to_uri(to),
                   "run `bale raw upload` again to replace the object")
          .with_code(upload_differs);
    };
    std::optional<store::ObjectInfo> object;
    try {
      // Without its version: that would need the permission s3:GetObjectVersion.
      object = store_.head(to, {.version_id = {}, .if_match = {}, .with_evidence = true});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::denied) throw;
      remark_once(is_head_denied_,
                  "without the permission s3:GetObject, uploads are verified only by the ETag of the response");
      if (uploaded.object.etag == uploaded.etag) return;
      throw differs("the response has another ETag");
    }
    if (!object) throw differs("the object does not exist");
    const VersionId& version = uploaded.object.version_id;
    if (!version.empty() && !object->version_id.empty() && object->version_id != version)
      throw differs("another writer has written the key since");
    const Evidence evidence = compare_known(known, *object);
    tools_.log.info("raw.verify", "compared the object with what was sent",
                    {{"file", file.name}, {"verdict", to_string(evidence.verdict)}, {"by", evidence.by}});
    if (evidence.verdict == Verdict::differs) throw differs("its " + evidence.by + " differs");
    if (evidence.verdict == Verdict::unknown)
      remark_once(is_unproven_, fmt::format("uploads are verified by size only: {}", evidence.by));
  }

  void keep(std::size_t index, FileRecord file, bool is_adopted, ByteCount sent) {
    file.state = FileState::uploaded;
    file.upload_id = {};
    const Lock lock(mutex_);
    ++(is_adopted ? report_.adopted : report_.uploaded);
    report_.sent_bytes += sent;
    if (is_adopted) {
      report_.adopted_bytes += file.size;
    }
    ++tools_.progress.items_done;
    record_.files[index] = std::move(file);
    const auto now = tools_.world.clock.steady();
    if (now - saved_ < between_saves) return;
    hooks_.save();
    saved_ = now;
  }

  void remark_once(bool& is_said, const std::string& text) {
    const Lock lock(mutex_);
    if (std::exchange(is_said, true)) return;
    hooks_.remark(text);
  }

  RawRecord& record_;
  const config::RawS3& settings_;
  store::ObjectStore& store_;
  const UploadHooks& hooks_;
  flow::RateLimit* const limit_;
  const Tools& tools_;
  flow::StopAfter failed_;
  Mutex mutex_;  ///< guards record_, report_, saved_ and what was remarked while files are uploaded
  std::atomic<bool> may_look_{true};
  bool is_look_denied_ = false, is_head_denied_ = false, is_list_denied_ = false, is_part_raised_ = false,
       is_unproven_ = false;
  std::chrono::steady_clock::time_point saved_{};
  UploadReport report_;
};

}  // namespace

UploadReport upload_files(RawRecord& record, const config::RawS3& settings, store::ObjectStore& store,
                          const UploadHooks& hooks, flow::RateLimit* limit, const Tools& tools) {
  return Uploading(record, settings, store, hooks, limit, tools).run();
}

}  // namespace bale::raw
