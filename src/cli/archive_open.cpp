// Opening archives: by their own seek table, or by an index beside them.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "archive/sidecar_reader.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/archive_commands.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// The bytes of an index, by one request. Absent where there is none, or nobody may say whether there is: S3 answers so
/// to those who may not list a bucket.
std::optional<Buffer> read_index(Context& context, const std::string& name) {
  try {
    const auto source = open_archive_source(context, name);
    const ByteCount most = std::min(archive::max_sidecar_bytes, context.budget().limit() / 4);
    Buffer bytes = source->read_tail(most);
    if (source->size() > most) {
      throw Error(ErrorKind::unsupported, fmt::format("it has {}; at most {} are read of an index",
                                                      format_bytes(source->size()), format_bytes(most)));
    }
    return bytes;
  } catch (const Error& error) {
    const bool is_absent = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::denied;
    if (!is_absent) throw;
    return std::nullopt;
  }
}

/// The index of just this archive; absent where there is none, which is said where one is there or was asked for.
std::optional<archive::Sidecar> find_index(Context& context, const ArchiveOptions& options, const std::string& name,
                                           const archive::ArchiveIdentity& present, archive::MemoryShare& memory) {
  const auto refuse = [&](std::string_view reason) {
    emit_warning(context, fmt::format("{} is not used: {}; bale archive index {} makes a new one", escape_name(name),
                                      reason, escape_name(options.archive)));
    return std::nullopt;
  };
  try {
    const auto bytes = read_index(context, name);
    if (!bytes && options.index.empty()) return std::nullopt;
    if (!bytes) {
      throw Error(ErrorKind::not_found, "no such index, or none that may be read", escape_name(name),
                  "bale archive index makes one");
    }
    archive::Sidecar sidecar = archive::decode_sidecar(bytes->view(), {}, memory);
    const std::string reason = archive::difference(sidecar.archive, present);
    if (!reason.empty()) return refuse(reason);
    return sidecar;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) throw;
    return refuse(error.summary());
  }
}

}  // namespace

std::unique_ptr<transfer::RandomSource> open_archive_source(Context& context, const std::string& name) {
  if (!is_s3_uri(name)) return transfer::open_file_source(context.world().files, name);
  return transfer::open_object_source(context.store(context.region()), parse_s3_uri(name));
}

std::string index_beside(const std::string& archive) { return archive + ".index"; }

OpenArchive open_archive(Context& context, const ArchiveOptions& options) {
  OpenArchive opened;
  opened.source = open_archive_source(context, options.archive);
  transfer::RandomSource& source = *opened.source;
  bool was_asked_for = false;
  const std::string name = options.index.empty() ? index_beside(options.archive) : options.index;
  const archive::ReaderLimits limits{.budget = &context.budget()};
  opened.reader = archive::open_archive(source, limits, [&](ByteView tail) -> std::unique_ptr<archive::Reader> {
    was_asked_for = true;
    archive::MemoryShare memory = limits.share();
    const auto present = archive::identity_of(source.size(), tail, source.etag());
    auto sidecar = find_index(context, options, name, present, memory);
    if (!sidecar) return nullptr;
    opened.index = name;
    return archive::open_with_sidecar(source, std::move(*sidecar), std::move(memory));
  });
  if (!options.index.empty() && !was_asked_for) {
    emit_warning(context, fmt::format("{} is not used: {} has a seek table of its own", escape_name(name),
                                      escape_name(options.archive)));
  }
  for (const archive::Remark& remark : opened.reader->remarks())
    emit_warning(context, fmt::format("{}: {}", escape_name(options.archive), remark.text));
  return opened;
}

int OpenArchive::status(int status) const {
  const auto remarks = reader->remarks();
  const bool has_unread = std::any_of(remarks.begin(), remarks.end(), [](const auto& each) { return each.is_unread; });
  return status == exit_ok && has_unread ? exit_some_failed : status;
}

}  // namespace bale::cli
