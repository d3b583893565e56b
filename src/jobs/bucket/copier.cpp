#include "jobs/bucket/copier.hpp"

#include "base/error.hpp"
#include "jobs/bucket/cost.hpp"
#include "transfer/copy.hpp"
#include "transfer/stream_copy.hpp"

namespace bale::bucket {
namespace {

/// A source that is written again and again is read this often before its copy fails.
constexpr int most_attempts = 5;

}  // namespace

std::string copy_class(const CopyRules& rules, ByteCount size, const std::string& of_source) {
  const std::string& wanted = rules.storage_class.empty() ? of_source : rules.storage_class;
  return bills_at_least(wanted) && size < rules.ia_above ? "STANDARD" : wanted;
}

store::PutResult Copier::copy_once(const ObjectAddress& from, const store::ObjectInfo& info, const ObjectAddress& to) {
  const std::string storage_class = is_class_unknown_ ? "STANDARD" : copy_class(rules_, info.size, info.storage_class);
  transfer::CopyOptions options{.version_id = info.version_id, .storage_class = storage_class};
  if (!rules_.kms_key_arn.empty()) options.kms_key_arn = rules_.kms_key_arn;
  if (!rules_.tags) options.tags = store::Tags();
  const std::stop_token stop = tools_.world.stop;
  if (rules_.through_program) {
    const transfer::StreamCopy how{.pass = rules_.pass_bytes, .stop = stop};
    return transfer::stream_copy(*source_.store, from, info, *destination_.store, to, options, how,
                                 tools_.pools.connections, tools_.budget);
  }
  if (rules_.pass_bytes) rules_.pass_bytes(info.size);
  return transfer::copy_known(*source_.store, from, info, *destination_.store, to, options, tools_.pools.connections,
                              stop);
}

/// Falls back to STANDARD where nobody asked for the class that the destination refuses to know.
store::PutResult Copier::copy_in_class(const ObjectAddress& from, const store::ObjectInfo& info,
                                       const ObjectAddress& to) {
  try {
    return copy_once(from, info, to);
  } catch (const Error& error) {
    const bool is_unknown = error.code() == "InvalidStorageClass" || error.kind() == ErrorKind::unsupported;
    if (!rules_.may_be_standard || !is_unknown || rules_.storage_class.empty()) throw;
    if (!is_class_unknown_.exchange(true)) {
      tools_.warn("the destination does not know the storage class " + rules_.storage_class +
                  ": copies are STANDARD (say --storage-class STANDARD to leave out this warning)");
    }
  }
  return copy_once(from, info, to);
}

std::optional<Copied> Copier::copy(std::string_view name, const VersionId& version,
                                   const std::optional<store::ObjectInfo>& known) {
  const ObjectAddress from = source_.at(name), to = destination_.at(name);
  for (int attempt = 1;; ++attempt) {
    std::optional<store::ObjectInfo> info = attempt == 1 ? known : std::nullopt;
    if (!info) {
      info =
          source_.store->head(from, {.version_id = version, .if_match = {}, .with_evidence = rules_.through_program});
    }
    if (!info) return std::nullopt;
    if (version.empty() && info->version_id.str() == "null") info->version_id = {};
    try {
      return Copied{*info, copy_in_class(from, *info, to)};
    } catch (const Error& error) {
      // The source was replaced or deleted since: it is looked at again.
      const bool is_gone = error.code() == "NoSuchKey" || error.code() == "NoSuchVersion";
      if (error.kind() != ErrorKind::precondition && !is_gone) throw;
      if (attempt == most_attempts) {
        if (is_gone) return std::nullopt;
        throw error.with_hint("the source is written faster than it is copied; the next run tries again");
      }
    }
  }
}

}  // namespace bale::bucket
