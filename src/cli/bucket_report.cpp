#include "cli/bucket_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::cli {
namespace {

constexpr std::size_t read_bytes = 1 << 20;
constexpr std::size_t most_line_bytes = 64 << 10;

}  // namespace

ReportReader::ReportReader(os::Files& files, const std::string& path, std::string prefix)
    : file_(files.open(path)), path_(path), prefix_(std::move(prefix)) {}

std::optional<std::string> ReportReader::next_line() {
  for (;;) {
    const std::size_t end = waiting_.find('\n');
    if (end != std::string::npos) {
      std::string line = waiting_.substr(0, end);
      waiting_.erase(0, end + 1);
      ++line_;
      return line;
    }
    if (waiting_.size() > read_bytes + most_line_bytes)
      throw Error(ErrorKind::invalid, "a line is too long", fmt::format("{}: line {}", path_, line_ + 1));
    const std::size_t before = waiting_.size();
    waiting_.resize(before + read_bytes);
    const std::size_t got = file_->read_at(at_, {reinterpret_cast<std::byte*>(waiting_.data()) + before, read_bytes});
    waiting_.resize(before + got);
    at_ += got;
    if (got > 0) continue;
    if (waiting_.empty()) return std::nullopt;
    ++line_;
    return std::exchange(waiting_, {});
  }
}

std::optional<std::string> ReportReader::next() {
  while (const auto line = next_line()) {
    if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path_, line_);
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
