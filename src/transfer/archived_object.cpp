#include "transfer/archived_object.hpp"

#include "base/error.hpp"
#include "store/object_rules.hpp"

namespace bale::transfer {
namespace {

constexpr std::string_view deep = "DEEP_ARCHIVE", tiering = "INTELLIGENT_TIERING", expedited = "Expedited";

/// Returns the value of `name="value"` in a header; nullopt where it is not there.
std::optional<std::string_view> quoted_value(std::string_view header, std::string_view name) {
  const std::size_t found = header.find(name);
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(found + name.size());
  if (!rest.starts_with("=\"")) return std::nullopt;
  rest.remove_prefix(2);
  const std::size_t end = rest.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

Access access_by(const std::optional<store::ListedRestore>& restore, bool is_archived) {
  if (restore) return restore->in_progress ? Access::restoring : Access::readable;
  return is_archived ? Access::archived : Access::readable;
}

}  // namespace

std::optional<store::ListedRestore> parse_restore(std::string_view header) {
  const std::optional<std::string_view> ongoing = quoted_value(header, "ongoing-request");
  if (ongoing != "true" && ongoing != "false") return std::nullopt;
  store::ListedRestore restore{.in_progress = ongoing == "true", .expiry = {}};
  if (const auto expiry = quoted_value(header, "expiry-date")) restore.expiry = parse_http_date(*expiry);
  return restore;
}

Access access_of(const store::ObjectInfo& info) {
  // An object in INTELLIGENT_TIERING that is back has no archive status; while it comes, it has both.
  return access_by(parse_restore(info.restore),
                   store::is_archive_class(info.storage_class) || !info.archive_status.empty());
}

std::optional<Access> access_of(const store::ListedObject& object) {
  if (object.storage_class == tiering) return std::nullopt;
  return access_by(object.restore, store::is_archive_class(object.storage_class));
}

RestoreOutcome request_restore(store::ObjectStore& store, const ObjectAddress& object, const VersionId& version,
                               std::string_view storage_class, const RestoreRequest& request) {
  if (request.tier == expedited && storage_class == deep) {
    throw Error(ErrorKind::invalid, "objects in DEEP_ARCHIVE cannot be had with the tier Expedited", to_uri(object),
                "use --tier Standard (12 hours) or --tier Bulk (48 hours, the cheapest)");
  }
  try {
    store.restore(object, storage_class == tiering ? 0 : request.days, request.tier, version);
    return RestoreOutcome::requested;
  } catch (const Error& error) {
    if (error.code() == "RestoreAlreadyInProgress") return RestoreOutcome::in_progress;
    if (error.code() == "ObjectAlreadyInActiveTierError") return RestoreOutcome::readable;
    if (error.code() == "GlacierExpeditedRetrievalNotAvailable")
      throw error.with_hint("there is no room for expedited requests now: try again later, or use --tier Standard");
    throw;
  }
}

std::string_view usual_wait(std::string_view storage_class, std::string_view tier) {
  const bool is_deep = storage_class == deep;
  if (tier == expedited) return is_deep ? "" : "1 to 5 minutes";
  if (tier == "Bulk") return is_deep ? "up to 48 hours" : "5 to 12 hours";
  return is_deep ? "up to 12 hours" : "3 to 5 hours";
}

}  // namespace bale::transfer
