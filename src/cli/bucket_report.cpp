#include "cli/bucket_report.hpp"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::cli {
namespace {

std::function<std::size_t(MutableBytes)> reading(std::shared_ptr<os::ReadableFile> file) {
  return [file = std::move(file), at = ByteCount(0)](MutableBytes bytes) mutable {
    const std::size_t got = file->read_at(at, bytes);
    at += got;
    return got;
  };
}

}  // namespace

ReportReader::ReportReader(os::Files& files, const std::string& path, std::string prefix)
    : path_(path), prefix_(std::move(prefix)), lines_(reading(files.open(path))) {}

std::optional<std::string> ReportReader::next() {
  while (const auto line = lines_.next()) {
    if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path_, lines_.number());
    try {
      const auto key = bucket::key_to_copy(*line);
      if (!key) continue;
      if (key->starts_with(prefix_) && key->size() > prefix_.size()) return key->substr(prefix_.size());
    } catch (const Error& error) {
      throw error.with_where(where).with_hint("give a report of `bale bucket compare` or `bale bucket backup`");
    }
    throw Error(ErrorKind::invalid, "the key is not below the prefix of the source", where);
  }
  return std::nullopt;
}

void emit_mark(BucketContext& bucket, const char* type, const char* doing, const std::string& name) {
  Context& context = bucket.context();
  const std::string uri = to_uri(bucket.destination().at(name));
  nlohmann::ordered_json line{{"type", type}, {"dryrun", context.options().dryrun}};
  add_name(line, "key", bucket.destination().prefix + name);
  emit(context, line, fmt::format("{}{}: {}", context.options().dryrun ? "(dryrun) " : "", doing, escape_name(uri)));
}

}  // namespace bale::cli
