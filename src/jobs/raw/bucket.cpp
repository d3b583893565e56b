#include "jobs/raw/bucket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "transfer/multipart.hpp"

namespace bale::raw {
namespace {

constexpr const char* managed_tag = "ManagedBy";
constexpr const char* project_tag = "bale-project";

/// A project as the value of a tag, whose characters are limited.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
std::string tag_value(const std::string& project) {
  constexpr std::size_t most_characters = 256;
  const auto is_legal = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view(" +-=._:/@").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (project.size() <= most_characters && std::all_of(project.begin(), project.end(), is_legal)) return project;
  return "sha256-" + to_hex_digest(Sha256::of(as_bytes(project)));
}

std::string place_of(const BucketName& bucket, const Region& region) {
  return fmt::format("s3://{} in {}", bucket.str(), region.str());
}

Error of_other_project(const RawRecord& record, const std::string& other) {
  return Error(ErrorKind::precondition,
               fmt::format("the bucket is of the project {}, whose name gives the same bucket as {}",
                           escape_for_terminal(other), escape_for_terminal(record.project)),
               place_of(record.bucket, record.region), "rename one project, or set another backup.s3.bucket_prefix")
      .with_code(bucket_of_other_project);
}

/// Claims the bucket for the project in the table of records.
void claim(const BucketPorts& ports, const RawRecord& record, const std::string& project) {
  records::LeasePlace place = ports.records.lease_place("bucket:" + record.bucket.str());
  records::Item key = place.key;
  key["part"] = records::Value("bucket");
  records::Item item = key;
  item["project"] = records::Value(project);
  try {
    ports.record_store.put(place.table, item, {{"project", records::Condition::Test::not_exists, {}}});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition) throw;
    const auto there = ports.record_store.get(place.table, key);
    if (!there || !there->contains("project") || there->at("project") == item["project"]) return;
    const auto* other = std::get_if<std::string>(&there->at("project").data);
    throw of_other_project(record, other == nullptr ? "?" : *other);
  }
}

/// Whether the bucket refuses a part of an upload. Leaves nothing in the bucket.
bool refuses_uploads(store::ObjectStore& store, const BucketName& bucket) {
  transfer::MultipartUpload upload(store, {bucket, ObjectKey(".bale/probe")}, {});
  store::MemoryBody byte(as_bytes("x"));
  try {
    upload.send(1, byte);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::denied) return true;
    throw;
  }
  return false;
}

/// Makes and completes the settings of one bucket.
class Settings {
 public:
  Settings(const BucketPorts& ports, const RawRecord& record, const config::RawS3& wanted,
           const std::function<void(const std::string&)>& remark)
      : store_(ports.store),
        settings_(*ports.settings),
        is_aws_(ports.is_aws),
        record_(record),
        wanted_(wanted),
        remark_(remark) {}

  void repair(const std::string& project) {
    const BucketName& bucket = record_.bucket;
    apply("versioning", [&] {
      if (store_.get_versioning(bucket) == store::Versioning::never)
        store_.set_versioning(bucket, store::Versioning::enabled);
    });
    apply("default encryption", [&] {
      if (settings_.get_encryption(bucket)) return;
      const bool is_kms = !wanted_.kms_key_arn.empty() || wanted_.sse == "aws:kms";
      settings_.set_encryption(
          bucket,
          {.algorithm = is_kms ? "aws:kms" : "AES256", .kms_key = wanted_.kms_key_arn, .has_bucket_key = is_kms});
    });
    apply("public access block", [&] {
      // Of a bucket that is there, BlockPublicAcls may have been taken out on purpose: see allow_acls().
      const store::PublicAccessBlock block = settings_.get_public_access_block(bucket);
      const bool has_rest = block.ignores_acls && block.blocks_policy && block.restricts_buckets;
      if (has_rest) return;
      settings_.set_public_access_block(bucket, store::PublicAccessBlock::all());
      if (!is_aws_ && refuses_uploads(store_, bucket) && allow_acls(settings_, bucket))
        remark_(without_acl_block(bucket));
    });
    apply("lifecycle rule for incomplete uploads", [&] {
      const store::Lifecycle lifecycle = settings_.get_lifecycle(bucket);
      if (store::days_of_uploads(lifecycle)) return;
      settings_.set_lifecycle(bucket, store::with_rule(lifecycle, {.id = "bale-abort-incomplete-uploads",
                                                                   .abort_uploads_days = abort_uploads_after_days}));
    });
    apply("tags", [&] {
      store::Tags tags = settings_.get_tags(bucket);
      const store::Tags before = tags;
      tags.emplace(managed_tag, "bale");
      tags.emplace(project_tag, tag_value(project));
      if (tags != before) settings_.set_tags(bucket, tags);
    });
  }

 private:
  template <typename Step>
  void apply(const char* what, Step step) {
    try {
      step();
    } catch (const Error& error) {
      const bool is_refused = error.kind() == ErrorKind::denied || error.kind() == ErrorKind::unsupported ||
                              error.kind() == ErrorKind::invalid || error.code() == "NotFromService";
      if (!is_refused) throw;
      remark_(fmt::format("the bucket {} is left without {}: {}", record_.bucket.str(), what, error.summary()));
    }
  }
  store::ObjectStore& store_;
  store::BucketSettings& settings_;
  const bool is_aws_;
  const RawRecord& record_;
  const config::RawS3& wanted_;
  const std::function<void(const std::string&)>& remark_;
};

/// Makes the bucket. Somebody who makes it at the same moment is welcome, if the bucket is ours afterwards.
void create(store::ObjectStore& store, const RawRecord& record, const Tools& tools) {
  constexpr int most_looks = 10;
  constexpr Milliseconds between_looks{500};
  try {
    store.create_bucket(record.bucket);
    return;
  } catch (const Error& error) {
    if (error.code() == "BucketAlreadyExists") {
      throw Error(ErrorKind::denied, "another account owns a bucket of this name",
                  place_of(record.bucket, record.region), "choose another bucket_prefix")
          .with_code(error.code());
    }
    const bool is_race = error.code() == "BucketAlreadyOwnedByYou" || error.code() == "OperationAborted";
    if (!is_race) throw;
  }
  for (int look = 0; look < most_looks && !store.head_bucket(record.bucket); ++look)
    if (!tools.world.clock.sleep_for(between_looks, tools.world.stop)) throw Error(ErrorKind::cancelled, "interrupted");
}

void check_project_tag(store::BucketSettings& settings, const RawRecord& record, const std::string& project) {
  store::Tags tags;
  try {
    tags = settings.get_tags(record.bucket);
  } catch (const Error& error) {
    if (is_transient(error.kind()) || error.kind() == ErrorKind::cancelled) throw;
    return;  // not readable: the claim in the record store is what holds
  }
  const auto tag = tags.find(project_tag);
  if (tag != tags.end() && tag->second != tag_value(project)) throw of_other_project(record, tag->second);
}

}  // namespace

void prepare_bucket(const BucketPorts& ports, const RawRecord& record, const config::RawS3& settings,
                    const Tools& tools, const std::function<void(const std::string&)>& remark) {
  const std::string project = record.project.empty() ? settings.fallback_project : record.project;
  const std::string place = place_of(record.bucket, record.region);
  ports.store.expect_owner(record.bucket, settings.expected_bucket_owner);
  if (ports.settings != nullptr) ports.settings->expect_owner(record.bucket, settings.expected_bucket_owner);
  claim(ports, record, project);
  std::optional<store::BucketInfo> bucket;
  try {
    bucket = ports.store.head_bucket(record.bucket);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) throw;
    remark(fmt::format(
        "cannot check whether {} exists (403): the permission s3:ListBucket is missing, or another account owns it{}",
        place, settings.expected_bucket_owner.empty() ? "" : ", not expected_bucket_owner"));
    return;
  }
  if (!bucket && !settings.auto_create_buckets) {
    throw Error(ErrorKind::not_found, "the bucket does not exist", place,
                "create it, or set backup.s3.auto_create_buckets: true")
        .with_code("NoSuchBucket");
  }
  if (bucket && !bucket->region.empty() && bucket->region != record.region) {
    throw Error(ErrorKind::precondition, fmt::format("the bucket is in another region, {}", bucket->region.str()),
                place, fmt::format("set backup.s3.region: {}", bucket->region.str()))
        .with_code(bucket_elsewhere);
  }
  if (bucket && ports.settings != nullptr) check_project_tag(*ports.settings, record, project);
  if (!settings.auto_create_buckets) return;
  if (!bucket) {
    create(ports.store, record, tools);
    tools.log.info("raw.bucket.created", "created the bucket",
                   {{"bucket", record.bucket.str()}, {"region", record.region.str()}});
  }
  if (ports.settings != nullptr) Settings(ports, record, settings, remark).repair(project);
}

Error explain_refusal(const Error& error, const BucketName& bucket, const Region& region) {
  if (error.code() == "NoSuchBucket")
    return error.with_summary("the bucket does not exist")
        .with_where(place_of(bucket, region))
        .with_hint("create it, or set backup.s3.auto_create_buckets: true");
  if (error.kind() != ErrorKind::denied || error.code() == "InvalidObjectState") return error;
  return error
      .with_summary(fmt::format(
          "the bucket refuses the upload: another account owns it, or the permission s3:PutObject is missing ({})",
          error.summary()))
      .with_where(place_of(bucket, region))
      .with_hint("check the bucket's owner and policy, and the rights of the credentials");
}

bool allow_acls(store::BucketSettings& settings, const BucketName& bucket) {
  store::PublicAccessBlock block = settings.get_public_access_block(bucket);
  if (!block.blocks_acls) return false;
  block.blocks_acls = false;
  settings.set_public_access_block(bucket, block);
  return true;
}

std::string without_acl_block(const BucketName& bucket) {
  return fmt::format("the server refuses every upload to {} while BlockPublicAcls is set: the bucket goes without it",
                     bucket.str());
}

namespace {

/// Aborts what the bucket lists of uploads to the keys of the record. Returns how many there were.
std::size_t abort_unrecorded(const RawRecord& record, store::ObjectStore& store,
                             const std::function<void(const std::string&)>& remark) {
  std::size_t aborted = 0;
  for (const FileRecord& file : record.files) {
    if (record.bucket.empty() || file.key.empty()) continue;
    try {
      for (const store::ListedUpload& upload : store.list_uploads(record.bucket, file.key.str())) {
        if (upload.key != file.key) continue;
        transfer::MultipartUpload::abort(store, {record.bucket, file.key}, upload.upload_id);
        ++aborted;
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return aborted;  // no bucket, no uploads
      if (error.kind() != ErrorKind::denied && error.kind() != ErrorKind::unsupported) throw;
      remark(fmt::format("uploads to s3://{} that no record names cannot be listed: {}", record.bucket.str(),
                         error.summary()));
      return aborted;
    }
  }
  return aborted;
}

}  // namespace

std::size_t abort_uploads(RawRecord& record, store::ObjectStore& store, const std::function<void()>& save,
                          const std::function<void(const std::string&)>& remark) {
  std::size_t aborted = 0;
  std::optional<Error> failure;
  for (FileRecord& file : record.files) {
    if (file.upload_id.empty()) continue;
    try {
      transfer::MultipartUpload::abort(store, {record.bucket, file.key}, file.upload_id);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      if (!failure) failure = error;
      continue;  // it stays in the record
    }
    file.upload_id = {};
    if (file.state == FileState::uploading) file.state = FileState::copied;
    ++aborted;
    save();
  }
  if (failure) throw *failure;
  return aborted + abort_unrecorded(record, store, remark);
}

}  // namespace bale::raw
