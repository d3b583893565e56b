#include "jobs/bucket/batch_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* report_format = "Report_CSV_20180820";
constexpr std::size_t report_columns = 7;
constexpr std::size_t most_row_bytes = 64 << 10;  // a key of 1,024 bytes is 3,072 encoded; messages are short

std::string arn_of(const BucketName& bucket) { return "arn:aws:s3:::" + bucket.str(); }
std::string arn_of(const ObjectAddress& object) { return arn_of(object.bucket) + "/" + object.key.str(); }

Json job(const BatchOwner& owner, const BatchManifest& manifest, std::string_view what, Json operation) {
  Json fields = Json::array({"Bucket", "Key"});
  if (manifest.has_versions) fields.push_back("VersionId");
  const std::string md5 = to_hex(manifest.md5);
  std::string prefix = owner.reports.key.str();
  while (prefix.ends_with('/')) prefix.pop_back();
  Json report{{"Bucket", arn_of(owner.reports.bucket)}, {"Format", report_format}, {"Enabled", true}};
  if (!prefix.empty()) report["Prefix"] = prefix;
  report["ReportScope"] = "AllTasks";
  return {{"AccountId", owner.account},
          {"ConfirmationRequired", true},
          {"Operation", std::move(operation)},
          {"Report", std::move(report)},
          // The same manifest makes one job, however often it is sent.
          {"ClientRequestToken", fmt::format("bale-{}-{}", what, md5)},
          {"Manifest",
           {{"Spec", {{"Format", "S3BatchOperations_CSV_20180820"}, {"Fields", std::move(fields)}}},
            {"Location", {{"ObjectArn", arn_of(manifest.place)}, {"ETag", md5}}}}},
          {"Description", fmt::format("bale bucket restore: {}", what)},
          {"Priority", 10},
          {"RoleArn", owner.role_arn}};
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    throw Error(ErrorKind::corrupt, fmt::format("a result of the report has no {}", name), "manifest.json");
  }
  return found->get<std::string>();
}

}  // namespace

std::string manifest_line(const ObjectAddress& object, const std::optional<VersionId>& version) {
  std::string line = object.bucket.str() + "," + percent_encode(object.key.str(), /*keep_slash=*/true);
  if (version) line += "," + version->str();
  return line + "\n";
}

std::string account_of_role(std::string_view arn) {
  const std::vector<std::string_view> parts = split(arn, ':');
  const bool is_role = parts.size() == 6 && parts[0] == "arn" && parts[2] == "iam" && parts[5].starts_with("role/");
  const bool has_account =
      is_role && parts[4].size() == 12 && parts[4].find_first_not_of("0123456789") == std::string_view::npos;
  if (!has_account) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not the ARN of a role", escape_for_terminal(arn)), {},
                "write arn:aws:iam::123456789012:role/NAME");
  }
  return std::string(parts[4]);
}

std::string restore_job(const BatchOwner& owner, const BatchManifest& manifest, Tier tier, int days, bool of_tiering) {
  if (tier == Tier::expedited) {
    throw Error(ErrorKind::invalid, "S3 Batch Operations has no tier Expedited", {},
                "use --tier Standard or --tier Bulk");
  }
  Json operation = Json::object();
  if (!of_tiering) operation["ExpirationInDays"] = days;
  operation["GlacierJobTier"] = tier == Tier::bulk ? "BULK" : "STANDARD";
  return job(owner, manifest, "restore", {{"S3InitiateRestoreObject", std::move(operation)}}).dump(2) + "\n";
}

std::string copy_job(const BatchOwner& owner, const BatchManifest& manifest, const BucketName& to,
                     const std::string& key_prefix, const std::string& storage_class) {
  Json operation{{"TargetResource", arn_of(to)}, {"MetadataDirective", "COPY"}, {"StorageClass", storage_class}};
  // S3 puts the '/' between the prefix and the key itself.
  if (!key_prefix.empty()) operation["TargetKeyPrefix"] = key_prefix.substr(0, key_prefix.size() - 1);
  return job(owner, manifest, "copy", {{"S3PutObjectCopy", std::move(operation)}}).dump(2) + "\n";
}

void BatchReportReader::refuse(std::string_view what) const {
  throw Error(ErrorKind::corrupt, std::string(what), fmt::format("row {} of the report", row_));
}

void BatchReportReader::end_field() {
  fields_.push_back(std::exchange(field_, {}));
  state_ = State::begin;
  if (fields_.size() > report_columns) refuse("more columns than a completion report has");
}

void BatchReportReader::end_row() {
  const bool is_empty = fields_.empty() && field_.empty() && state_ == State::begin;
  if (!is_empty) {
    end_field();
    // A header that other programs add.
    const bool is_header = row_ == 1 && fields_[0] == "Bucket";
    if (!is_header) {
      if (fields_.size() != report_columns) refuse("not the columns of a completion report");
      const std::string status = to_lower(fields_[3]);
      if (status != "succeeded" && status != "failed") refuse("neither succeeded nor failed");
      BatchTask task;
      task.object = {BucketName(fields_[0]), ObjectKey(form_decode(fields_[1]))};
      task.version = VersionId(fields_[2]);
      task.has_succeeded = status == "succeeded";
      task.error_code = fields_[4];
      task.http_status = fields_[5];
      task.message = fields_[6];
      take_(task);
    }
  }
  fields_.clear();
  row_bytes_ = 0;
  ++row_;
}

void BatchReportReader::read(std::string_view piece) {
  for (const char c : piece) {
    if (++row_bytes_ > most_row_bytes) refuse("longer than a row of a completion report");
    if (state_ == State::quoted) {
      if (c == '"')
        state_ = State::after_quote;
      else
        field_ += c;
    } else if (c == '"' && state_ != State::plain) {
      if (state_ == State::after_quote) field_ += c;  // two quotation marks are one
      state_ = State::quoted;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      if (!field_.empty() && field_.back() == '\r') field_.pop_back();
      if (fields_.empty() && field_.empty()) state_ = State::begin;
      end_row();
      state_ = State::begin;
    } else if (state_ == State::after_quote && c != '\r') {
      refuse("text behind a quotation mark");
    } else {
      field_ += c;
      if (state_ == State::begin) state_ = State::plain;
    }
  }
}

void BatchReportReader::finish() {
  if (state_ == State::quoted) refuse("an open quotation mark");
  end_row();
}

std::vector<BatchReportFile> parse_report_manifest(std::string_view json) {
  const Json root = parse_json<Json>(json);
  if (root.is_discarded() || !root.is_object())
    throw Error(ErrorKind::corrupt, "the manifest of the report is not a JSON object", "manifest.json");
  if (root.value("Format", Json()) != Json(report_format))
    throw Error(ErrorKind::corrupt, fmt::format("the report is not of the format {}", report_format), "manifest.json");
  const auto results = root.find("Results");
  if (results == root.end() || !results->is_array())
    throw Error(ErrorKind::corrupt, "the manifest of the report has no results", "manifest.json");
  std::vector<BatchReportFile> files;
  for (const Json& result : *results) {
    if (!result.is_object())
      throw Error(ErrorKind::corrupt, "a result of the report is not an object", "manifest.json");
    files.push_back({{BucketName(text_of(result, "Bucket")), ObjectKey(text_of(result, "Key"))},
                     to_lower(text_of(result, "MD5Checksum"))});
  }
  return files;
}

}  // namespace bale::bucket
