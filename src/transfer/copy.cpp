#include "transfer/copy.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/multipart.hpp"

namespace bale::transfer {
namespace {

using namespace bale::literals;

/// Parts of a multipart copy move no bytes through us: large ones save requests, and one of 512 MiB still takes only
/// seconds.
constexpr ByteCount least_copy_part = 512_MiB;

store::PutResult copy_in_parts(store::ObjectStore& store, const store::CopySource& from, const ObjectAddress& to,
                               ByteCount size, const store::ObjectAttributes& attributes,
                               const store::WriteConditions& conditions, flow::ThreadPool& connections,
                               std::stop_token stop) {
  const ByteCount part_size = choose_part_size(size, least_copy_part);
  const std::uint32_t count = static_cast<std::uint32_t>((size + part_size - 1) / part_size);
  const auto check_stop = [&] {
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while copying", to_uri(to));
  };
  MultipartUpload upload(store, to, {.attributes = attributes, .stop = stop});
  try {
    flow::TaskGroup group;
    for (std::uint32_t i = 0; i < count; ++i) {
      group.run(connections, [&, i] {
        check_stop();
        const ByteCount offset = i * part_size;
        upload.copy(i + 1, from, store::ByteRange::at(offset, std::min(part_size, size - offset)));
      });
    }
    group.wait();
    check_stop();
    return upload.complete(conditions);
  } catch (const Error& error) {
    throw upload.failed_with(error);
  }
}

}  // namespace

store::ObjectAttributes attributes_of_copy(store::ObjectStore& source, const ObjectAddress& from,
                                           const store::ObjectInfo& info, const CopyOptions& options) {
  store::ObjectAttributes attributes;
  attributes.headers = options.headers.value_or(info.headers);
  attributes.metadata = options.metadata.value_or(info.metadata);
  attributes.storage_class = options.storage_class.value_or(info.storage_class);
  attributes.kms_key_arn = options.kms_key_arn.value_or("");
  if (options.tags)
    attributes.tags = *options.tags;
  else if (info.tag_count > 0)
    attributes.tags = source.get_tags(from, options.version_id);
  return attributes;
}

store::PutResult copy_object(store::ObjectStore& source, const ObjectAddress& from, store::ObjectStore& destination,
                             const ObjectAddress& to, const CopyOptions& options, flow::ThreadPool& connections,
                             std::stop_token stop) {
  const auto info = source.head(from, {.version_id = options.version_id, .if_match = {}});
  if (!info) {
    throw Error(ErrorKind::not_found, "the object to copy does not exist", to_uri(from)).with_code("NoSuchKey");
  }
  return copy_known(source, from, *info, destination, to, options, connections, std::move(stop));
}

store::PutResult copy_known(store::ObjectStore& source, const ObjectAddress& from, const store::ObjectInfo& info,
                            store::ObjectStore& destination, const ObjectAddress& to, const CopyOptions& options,
                            flow::ThreadPool& connections, std::stop_token stop) {
  const store::ObjectAttributes attributes = attributes_of_copy(source, from, info, options);
  const store::CopySource copy_source{from, info.version_id, info.etag};
  if (info.size <= store::max_part_bytes) return destination.copy(copy_source, to, attributes, options.conditions);
  return copy_in_parts(destination, copy_source, to, info.size, attributes, options.conditions, connections,
                       std::move(stop));
}

}  // namespace bale::transfer
