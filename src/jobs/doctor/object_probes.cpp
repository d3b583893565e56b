// Probes of single objects: content, keys, ranges, and what is stored with an object.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/doctor/probes.hpp"

namespace bale::doctor {
namespace {

std::string md5_of(std::string_view content) { return to_hex_digest(Md5::of(as_bytes(content))); }

Outcome probe_objects(Ground& ground) {
  const std::string content = ground.noise(4096);
  const store::PutResult put = ground.put("object", content);
  const auto info = ground.store().head(ground.at("object"));
  if (!info) return failed("an object that was just put is not there", "nothing that is stored here can be relied on");
  if (info->size != content.size() || Sha256::of(as_bytes(ground.read("object"))) != Sha256::of(as_bytes(content)))
    return failed("an object of 4 KiB came back with other bytes", "what is stored here is damaged");
  if (put.etag.str() != md5_of(content))
    return limited("4 KiB came back as they went in; the ETag is not their MD5",
                   "downloads are not compared with the ETag; SHA-256 in archives and catalogs is checked as always",
                   "this is what S3 does in buckets that are encrypted with a KMS key");
  return ok("4 KiB put, read back, SHA-256 equal; the ETag is the MD5");
}

/// Keys that are legal in S3 and that stores, proxies and clients get wrong. The last one is as long as can be.
std::vector<std::string> awkward_names(std::size_t root_bytes) {
  const std::string greetings = "Gr\xC3\xBC\xC3\x9F";  // apart from what follows: "e" would be part of the last number
  std::vector<std::string> names = {"with space",
                                    "plus+sign",
                                    "percent%2Fsign%",
                                    greetings + "e-\xE6\x97\xA5\xE6\x9C\xAC-\xF0\x9F\x98\x80",
                                    "..",
                                    "../above",
                                    "./here",
                                    "double//slash",
                                    "a",
                                    "a/b",
                                    "a/",
                                    "quotes\"'<&>",
                                    "question?mark#hash;x=1&y",
                                    "back\\slash",
                                    "line\nend"};
  constexpr std::size_t most_key_bytes = 1024;
  const std::string directory = "keys/";
  names.push_back(std::string(most_key_bytes - root_bytes - directory.size(), 'k'));
  return names;
}

/// A name as short as a table wants it.
std::string shown(const std::string& name) {
  return name.size() > 40 ? fmt::format("one of {} bytes", name.size()) : "'" + escape_name(name) + "'";
}

std::string content_of(const std::string& name) { return "content of " + name; }

Outcome probe_keys(Ground& ground) {
  const std::vector<std::string> names = awkward_names(ground.root().size());
  std::vector<std::string> refused, wrong;
  std::vector<std::string> written;
  for (const std::string& name : names) {
    try {
      ground.put("keys/" + name, content_of(name));
      written.push_back(name);
    } catch (const Error& error) {
      if (is_transient(error.kind())) throw;
      refused.push_back(shown(name));
    }
  }
  std::set<std::string> listed;
  const std::string root = ground.root() + "keys/";
  for (const store::ListedObject& object : ground.store().list(ground.place().bucket, {.prefix = root}).objects)
    listed.insert(object.key.str().substr(root.size()));
  for (const std::string& name : written) {
    bool same = listed.contains(name);
    try {
      same = same && ground.read("keys/" + name) == content_of(name);
    } catch (const Error& error) {
      if (is_transient(error.kind())) throw;
      same = false;
    }
    if (!same) wrong.push_back(shown(name));
  }
  if (!wrong.empty())
    return failed(fmt::format("taken, and then not found under its name: {}", fmt::join(wrong, ", ")),
                  "objects with such keys are mixed up or lost here");
  if (!refused.empty())
    return limited(fmt::format("refused: {}", fmt::join(refused, ", ")),
                   "objects with such keys cannot be put here; archives, which have plain keys, can");
  return ok(fmt::format("{} keys of every kind, up to 1024 bytes, listed and read back", names.size()));
}

struct RangeCase {
  const char* name;
  store::ByteRange range;
  std::size_t offset, length;
};

constexpr std::size_t ranged_bytes = 100'000;

Outcome probe_ranges(Ground& ground) {
  const std::string content = ground.noise(ranged_bytes);
  ground.put("ranges", content);
  const RangeCase cases[] = {
      {"the first bytes", store::ByteRange::at(0, 10), 0, 10},
      {"a range in the middle", store::ByteRange::at(50'000, 1000), 50'000, 1000},
      {"the last byte", store::ByteRange::at(ranged_bytes - 1, 1), ranged_bytes - 1, 1},
      {"a range that reaches beyond the end", store::ByteRange::at(ranged_bytes - 10, 1000), ranged_bytes - 10, 10},
      {"the last bytes", store::ByteRange::tail(1000), ranged_bytes - 1000, 1000},
      {"a suffix that is longer than the object", store::ByteRange::tail(ranged_bytes * 2), 0, ranged_bytes},
  };
  std::vector<std::string> wrong;
  for (const RangeCase& each : cases) {
    const auto stream = ground.store().get(ground.at("ranges"), each.range);
    if (stream->offset() != each.offset || stream->info().size != ranged_bytes ||
        store::read_all(*stream, ranged_bytes) != content.substr(each.offset, each.length))
      wrong.emplace_back(each.name);
  }
  if (!wrong.empty())
    return failed(fmt::format("other bytes than were asked for: {}", fmt::join(wrong, ", ")),
                  "archives cannot be read by ranges: listing and restoring from them fails");
  try {
    ground.read("ranges", store::ByteRange::at(ranged_bytes + 1, 10));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::invalid) return ok("first, middle, last, suffix; beyond the end is refused");
    throw;
  }
  return limited("a range beyond the end of an object is not refused",
                 "a truncated archive is found by its checksums, not by the store's refusal");
}

store::ObjectAttributes test_attributes() {
  store::ObjectAttributes attributes;
  attributes.headers = {.content_type = "application/x-bale-doctor",
                        .cache_control = "max-age=60, private",
                        .content_disposition = "attachment; filename=\"a b.txt\"",
                        .content_encoding = "gzip",
                        .content_language = "de-CH",
                        .expires = "Thu, 01 Jan 2032 00:00:00 GMT",
                        .website_redirect = {}};
  attributes.metadata = {{"owner", "bale"}, {"with-dashes", "a; b=\"c\" d"}};
  return attributes;
}

Outcome probe_attributes(Ground& ground) {
  const store::ObjectAttributes sent = test_attributes();
  ground.put("attributes", "x", sent);
  const auto info = ground.store().head(ground.at("attributes"));
  if (!info) return failed("an object that was just put is not there", "nothing that is stored here can be relied on");
  std::vector<std::string> lost;
  const auto compare = [&](const char* name, const std::string& was, const std::string& is) {
    if (was != is) lost.push_back(is.empty() ? name : fmt::format("{} ('{}')", name, is));
  };
  compare("Content-Type", sent.headers.content_type, info->headers.content_type);
  compare("Cache-Control", sent.headers.cache_control, info->headers.cache_control);
  compare("Content-Disposition", sent.headers.content_disposition, info->headers.content_disposition);
  compare("Content-Encoding", sent.headers.content_encoding, info->headers.content_encoding);
  compare("Content-Language", sent.headers.content_language, info->headers.content_language);
  compare("Expires", sent.headers.expires, info->headers.expires);
  for (const auto& [name, value] : sent.metadata) {
    const auto found = info->metadata.find(name);
    compare(("x-amz-meta-" + name).c_str(), value, found == info->metadata.end() ? "" : found->second);
  }
  if (lost.empty()) return ok("6 system headers and user metadata came back as they went in");
  // By metadata a landed object knows the order of its versions.
  const bool order_lost = std::any_of(lost.begin(), lost.end(), [](const auto& n) { return n.starts_with("x-amz-"); });
  const std::string seen = fmt::format("changed or lost: {}", fmt::join(lost, ", "));
  if (order_lost)
    return failed(seen, "objects land without what tells an older version from a newer one, and are overwritten by it");
  return limited(seen, "objects that land here lose these; archives keep them");
}

Outcome probe_unicode_metadata(Ground& ground) {
  store::ObjectAttributes sent;
  sent.metadata = {{"unicode",
                    "Gr\xC3\xBC\xC3\x9F"
                    "e \xE6\x97\xA5\xE6\x9C\xAC"}};
  ground.put("unicode-metadata", "x", sent);
  const auto info = ground.store().head(ground.at("unicode-metadata"));
  if (!info) return failed("an object that was just put is not there", "nothing that is stored here can be relied on");
  const auto found = info->metadata.find("unicode");
  if (found != info->metadata.end() && found->second == sent.metadata["unicode"])
    return ok("metadata that are not ASCII came back as they went in");
  const std::string is = found == info->metadata.end() ? "nothing" : "'" + escape_name(found->second) + "'";
  return limited(fmt::format("metadata that are not ASCII came back as {}", is),
                 "non-ASCII metadata are changed by this server; archives and catalogs keep them");
}

Outcome probe_tags(Ground& ground) {
  store::ObjectAttributes sent;
  sent.tags = {{"project", "bale doctor"},
               {"unicode",
                "Gr\xC3\xBC\xC3\x9F"
                "e"}};
  store::MemoryBody body(as_bytes("x"));
  ground.bare().put(ground.at("tags"), body, sent);
  ground.takes_tags = true;
  if (ground.bare().get_tags(ground.at("tags")) == sent.tags)
    return ok("tags sent with a PUT are there with the object");
  ground.bare().set_tags(ground.at("tags"), sent.tags);
  const bool settable = ground.bare().get_tags(ground.at("tags")) == sent.tags;
  return failed(settable ? "tags sent with a PUT are dropped; set afterwards they are kept" : "tags are dropped",
                "objects land here without their tags; archives keep them");
}

Outcome probe_storage_classes(Ground& ground) {
  store::ObjectAttributes sent;
  sent.storage_class = "STANDARD_IA";
  const char* const consequence = "`storage_class` of destinations and --storage-class have no effect here";
  try {
    ground.put("storage-class", "x", sent);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid && error.kind() != ErrorKind::unsupported) throw;
    return limited(fmt::format("STANDARD_IA is refused ({})", error.code()),
                   "a destination with `storage_class`, or --storage-class, other than STANDARD fails here");
  }
  const auto info = ground.store().head(ground.at("storage-class"));
  if (info && info->storage_class == sent.storage_class)
    return ok("STANDARD_IA is taken and shown; whether it costs less only the bill tells");
  return limited(fmt::format("STANDARD_IA is taken; the object is in {}", info ? info->storage_class : "nothing"),
                 consequence);
}

}  // namespace

std::vector<Probe> object_probes() {
  constexpr const char* nothing = "nothing can be stored here";
  return {
      {"objects", "puts an object of 4 KiB, reads it back and compares its SHA-256 and ETag", true, Verdict::failed,
       nothing, probe_objects},
      {"keys", "puts, lists and reads 16 small objects with awkward keys", true, Verdict::limited,
       "objects with awkward keys cannot be put here", probe_keys},
      {"ranges", "reads the first, middle and last bytes of an object, a suffix, and beyond the end", true,
       Verdict::failed, "archives cannot be read by ranges: listing and restoring from them fails", probe_ranges},
      {"attributes", "puts an object with system headers and user metadata", true, Verdict::limited,
       "objects cannot land here with their headers and metadata; archives keep them", probe_attributes},
      {"unicode-metadata", "puts an object with user metadata that are not ASCII", true, Verdict::limited,
       "objects with metadata that are not ASCII cannot land here; archives and catalogs keep them",
       probe_unicode_metadata},
      {"tags", "puts an object with tags in the same request", true, Verdict::failed,
       "objects cannot land here with their tags, and those of `bale replicate` always have some; archives and backups "
       "can",
       probe_tags},
      {"storage-classes", "puts an object of one byte in STANDARD_IA", true, Verdict::limited,
       "a destination with `storage_class`, or --storage-class, other than STANDARD fails here", probe_storage_classes},
  };
}

}  // namespace bale::doctor
