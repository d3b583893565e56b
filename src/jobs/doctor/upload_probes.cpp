// Probes of multipart uploads: parts, the ETag's rule, what is stored with them, copies of parts, giving up.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/doctor/probes.hpp"
#include "store/own_write.hpp"

namespace bale::doctor {
namespace {

constexpr const char* made_name = "multipart";
constexpr std::size_t second_part_bytes = 1000;

bool is_under_way(Ground& ground, std::string_view name, const UploadId& upload) {
  const auto uploads = ground.store().list_uploads(ground.place().bucket, ground.root());
  return std::any_of(uploads.begin(), uploads.end(), [&](const store::ListedUpload& each) {
    return each.upload_id == upload && each.key == ground.at(name).key;
  });
}

/// Whether the store shows the parts as they were sent.
bool same_parts(const std::vector<store::UploadedPart>& sent, const std::vector<store::UploadedPart>& listed) {
  return std::equal(sent.begin(), sent.end(), listed.begin(), listed.end(), [](const auto& a, const auto& b) {
    return a.number == b.number && a.etag == b.etag && a.size == b.size;
  });
}

Outcome probe_multipart(Ground& ground) {
  MadeInParts made;
  made.content = ground.noise(store::min_part_bytes + second_part_bytes);
  made.attributes.headers.content_type = "application/x-bale-doctor";
  made.attributes.metadata = {{"owner", "bale"}};
  const std::string_view content = made.content;
  const UploadId upload = ground.begin_upload(made_name, made.attributes);
  // The second first: parts may arrive in any order.
  const auto second = ground.put_part(made_name, upload, 2, content.substr(store::min_part_bytes));
  made.parts = {ground.put_part(made_name, upload, 1, content.substr(0, store::min_part_bytes)), second};
  const bool listed = is_under_way(ground, made_name, upload);
  const bool parts_listed = same_parts(made.parts, ground.store().list_parts(ground.at(made_name), upload));
  ground.bare().complete_upload(ground.at(made_name), upload, made.parts);
  if (ground.read(made_name) != made.content)
    return failed("an object of two parts came back with other bytes", "archives, which go up in parts, are damaged");
  const bool kept = is_under_way(ground, made_name, upload);
  ground.made_in_parts = std::move(made);
  if (!listed || !parts_listed)
    return limited(listed ? "an upload's parts are not listed as they were sent" : "uploads under way are not listed",
                   "uploads that a crash left cannot be found: this command cannot remove them",
                   "let the store itself remove old uploads (in S3 a lifecycle rule, AbortIncompleteMultipartUpload)");
  if (kept)
    return limited("a completed upload stays in the list of uploads under way", "leftover uploads are counted wrongly");
  return ok("5 MiB and 1000 B in two parts, listed, completed and read back");
}

Outcome probe_multipart_etag(Ground& ground) {
  if (!ground.made_in_parts) return skipped("depends on `multipart`: there is no object in parts");
  const auto info =
      ground.store().head(ground.at(made_name), {.version_id = {}, .if_match = {}, .with_evidence = true});
  if (!info) return failed("an object that was just completed is not there", "archives are lost here");
  const auto expected = store::multipart_etag(ground.made_in_parts->parts);
  const char* const consequence = "downloads of objects in parts are not compared with their ETag";
  if (!expected || info->etag != *expected)
    return limited("the ETag is not the MD5 of the parts' MD5s", consequence,
                   "this is what S3 does in buckets that are encrypted with a KMS key");
  if (info->checksum) return ok("the MD5 of the parts' MD5s; a checksum of the whole is told too");
  if (info->part_bytes != store::min_part_bytes)
    return limited("the ETag is made as S3 makes it; the size of the parts is not told", consequence);
  return ok("the MD5 of the parts' MD5s, and the size of the parts is told");
}

Outcome probe_multipart_attributes(Ground& ground) {
  if (!ground.made_in_parts) return skipped("depends on `multipart`: there is no object in parts");
  const store::ObjectAttributes& sent = ground.made_in_parts->attributes;
  const auto info = ground.bare().head(ground.at(made_name));
  if (!info || info->metadata != sent.metadata || info->headers.content_type != sent.headers.content_type)
    return failed("metadata or Content-Type of an object in parts are lost",
                  "large objects land here without what tells an older version from a newer one");
  return ok("headers and metadata that an upload began with are there");
}

Outcome probe_multipart_tags(Ground& ground) {
  if (!ground.takes_tags) return skipped("depends on `tags`: there are none here");
  constexpr const char* name = "multipart-tags";
  store::ObjectAttributes sent;
  sent.tags = {{"project", "bale doctor"}};
  const UploadId upload = ground.begin_upload(name, sent);
  const store::UploadedPart part = ground.put_part(name, upload, 1, "content of an upload with tags");
  ground.bare().complete_upload(ground.at(name), upload, {part});
  if (ground.bare().get_tags(ground.at(name)) != sent.tags)
    return limited("tags of an object in parts are lost",
                   "Bale sets them when the upload is complete: until then, and after a kill, the object is without");
  return ok("tags that an upload began with are there");
}

Outcome probe_part_copy(Ground& ground) {
  if (!ground.made_in_parts) return skipped("depends on `multipart`: there is no object in parts");
  constexpr const char* name = "part-copy";
  const UploadId upload = ground.begin_upload(name);
  const auto copy = [&](std::uint32_t number, ByteCount offset, ByteCount length) {
    return store::UploadedPart{
        number,
        ground.bare().upload_part_copy(ground.at(name), upload, number, {ground.at(made_name), {}, {}},
                                       store::ByteRange::at(offset, length)),
        length};
  };
  const std::vector<store::UploadedPart> parts = {copy(1, 0, store::min_part_bytes),
                                                  copy(2, store::min_part_bytes, second_part_bytes)};
  ground.bare().complete_upload(ground.at(name), upload, parts);
  if (ground.read(name) != ground.made_in_parts->content)
    return failed("an object copied in parts has other bytes than its source",
                  "backups of archives above 5 GiB are damaged here");
  return ok("two ranges of an object copied as parts of another");
}

Outcome probe_abort(Ground& ground) {
  constexpr const char* name = "abort";
  const char* const consequence = "parts of uploads that failed stay and cost";
  const UploadId upload = ground.begin_upload(name);
  ground.put_part(name, upload, 1, "a part that goes again");
  ground.bare().abort_upload(ground.at(name), upload);
  if (is_under_way(ground, name, upload)) return failed("an upload that was given up is still listed", consequence);
  if (ground.store().head(ground.at(name)))
    return failed("an upload that was given up became an object", "half-written archives appear here");
  try {
    if (!ground.store().list_parts(ground.at(name), upload).empty())
      return failed("the parts of an upload that was given up are still there", consequence);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
  }
  return ok("an upload that was given up is gone, with its parts");
}

}  // namespace

std::vector<Probe> upload_probes() {
  return {
      {"multipart", "uploads an object of 5 MiB and 1000 B in two parts", true, Verdict::failed,
       "archives, which go up in parts, cannot be written here", probe_multipart},
      {"multipart-etag", "compares the ETag of that object with S3's rule", true, Verdict::limited,
       "downloads of objects in parts are not compared with their ETag", probe_multipart_etag},
      {"multipart-attributes", "looks for the headers and metadata of that object", true, Verdict::limited,
       "whether large objects keep their metadata is not known", probe_multipart_attributes},
      {"multipart-tags", "uploads an object with tags in one part", true, Verdict::limited,
       "large objects with tags cannot be written here; without tags they can", probe_multipart_tags},
      {"part-copy", "copies that object in two parts inside the store", true, Verdict::limited,
       "objects above 5 GiB cannot be copied inside the store", probe_part_copy},
      {"abort", "begins an upload, sends a part and gives it up", true, Verdict::failed,
       "parts of uploads that failed stay and cost", probe_abort},
  };
}

}  // namespace bale::doctor
