#include "jobs/raw/evidence.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>

#include "base/crc.hpp"
#include "store/own_write.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::raw {
namespace {

using namespace literals;

constexpr std::size_t most_part_sizes = 4;

/// Part sizes of tools, the commonest first: the AWS command line and boto3 (8 MiB), what Bale's configuration and the
/// pipelines before it use (500 and 100 MiB), rclone and s5cmd (5 and 50 MiB), s3cmd (15 MiB), web consoles (16 MiB),
/// round sizes.
constexpr std::array common_part_sizes{8_MiB,  500_MiB, 100_MiB, 16_MiB,  64_MiB,  5_MiB,    50_MiB,
                                       15_MiB, 128_MiB, 32_MiB,  256_MiB, 512_MiB, 1024_MiB, 10_MiB,
                                       25_MiB, 20_MiB,  200_MiB, 250_MiB, 1000_MiB};

/// The number behind the "-" of an ETag of an upload in parts; 0 for another ETag.
std::uint32_t parts_of(const ETag& etag) {
  constexpr std::size_t digest_characters = 32;
  const std::string& text = etag.str();
  if (text.size() < digest_characters + 2 || text[digest_characters] != '-') return 0;
  std::uint32_t parts = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + digest_characters + 1, end, parts);
  return read.ec == std::errc() && read.ptr == end && parts <= store::max_parts ? parts : 0;
}

std::optional<std::uint64_t> crc64nvme_of(const store::ObjectInfo& object) {
  constexpr std::size_t crc_bytes = 8;
  if (!object.checksum || object.checksum->algorithm != store::Checksum::Algorithm::crc64nvme) return std::nullopt;
  if (object.checksum->value.size() != crc_bytes) return std::nullopt;
  std::uint64_t value = 0;
  for (const char byte : object.checksum->value) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

Evidence found(Verdict verdict, std::string by, const store::ObjectInfo& object, ByteCount part_bytes = 0) {
  return {verdict, std::move(by), object.etag, part_bytes};
}

bool has_md5(const store::ObjectInfo& object) { return !object.is_etag_opaque && store::is_md5(object.etag); }

/// Compares what was read of a file with its object. `sizes`: the part sizes of digests.etag and of `others`.
Evidence judge_digests(const transfer::FileDigests& digests, const store::ObjectInfo& object,
                       const std::vector<ByteCount>& sizes, std::deque<transfer::EtagBuilder>& others) {
  const auto crc = crc64nvme_of(object);
  if (crc)
    return found(*crc == digests.crc64nvme ? Verdict::same : Verdict::differs, "crc64nvme", object, object.part_bytes);
  if (sizes.empty()) {
    const bool is_same = object.etag.str() == to_hex_digest(digests.md5);
    return found(is_same ? Verdict::same : Verdict::differs, "etag", object);
  }
  if (digests.etag == object.etag) return found(Verdict::same, "etag", object, sizes.front());
  for (std::size_t i = 0; i < others.size(); ++i)
    if (others[i].finish() == object.etag) return found(Verdict::same, "etag", object, sizes[i + 1]);
  // Where the size of the parts was guessed, another ETag shows nothing.
  if (object.part_bytes > 0 || parts_of(object.etag) == 1)
    return found(Verdict::differs, "etag", object, object.part_bytes);
  return found(Verdict::unknown, "the part size of the object is unknown", object);
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::same: return "same";
    case Verdict::differs: return "differs";
    case Verdict::missing: return "missing";
    case Verdict::unknown: break;
  }
  return "unknown";
}

std::optional<Md5Digest> read_md5(std::string_view hex) noexcept {
  constexpr int base = 16;
  Md5Digest digest{};
  if (hex.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    unsigned value = 0;
    const char* first = hex.data() + 2 * i;
    if (std::from_chars(first, first + 2, value, base).ptr != first + 2) return std::nullopt;
    digest[i] = static_cast<std::byte>(value);
  }
  return digest;
}

Evidence compare_known(const KnownFile& file, const store::ObjectInfo& object) {
  if (file.size != object.size) return found(Verdict::differs, "size", object);
  const std::uint32_t parts = parts_of(object.etag);
  const bool is_known_etag = !file.etag.empty() && object.etag == file.etag;
  if (is_known_etag && !object.is_etag_opaque)
    return found(Verdict::same, "etag", object, parts == 0 ? 0 : file.part_bytes);
  const auto crc = crc64nvme_of(object);
  if (crc && file.crc64nvme)
    return found(*crc == *file.crc64nvme ? Verdict::same : Verdict::differs, "crc64nvme", object, object.part_bytes);
  if (is_known_etag && file.is_etag_of_object) return found(Verdict::same, "etag", object, file.part_bytes);
  if (has_md5(object) && file.md5) {
    const bool is_same = object.etag.str() == to_hex_digest(*file.md5);
    return found(is_same ? Verdict::same : Verdict::differs, "etag", object);
  }
  const bool is_of_known_parts = parts > 0 && !object.is_etag_opaque && file.part_bytes > 0 && !file.etag.empty() &&
                                 object.part_bytes == file.part_bytes;
  if (is_of_known_parts) return found(Verdict::differs, "etag", object, file.part_bytes);
  return found(Verdict::unknown,
               parts > 0 ? "the object was uploaded with another part size, so its ETag proves nothing"
                         : "the object's ETag is not an MD5 of its bytes, as with KMS",
               object);
}

std::vector<ByteCount> likely_part_sizes(ByteCount size, std::uint32_t parts, ByteCount told) {
  if (told > 0) return {told};
  std::vector<ByteCount> likely;
  if (parts == 1) return {std::max<ByteCount>(size, 1)};
  for (const ByteCount part : common_part_sizes)
    if (likely.size() < most_part_sizes && transfer::count_parts(size, part) == parts) likely.push_back(part);
  // Where exactly one whole number of MiB gives so many parts, it is the one.
  const ByteCount least = (size + parts - 1) / parts;
  const ByteCount whole = (least + 1_MiB - 1) / 1_MiB * 1_MiB;
  const bool is_new = std::find(likely.begin(), likely.end(), whole) == likely.end();
  if (likely.size() < most_part_sizes && is_new && transfer::count_parts(size, whole) == parts) likely.push_back(whole);
  return likely;
}

Evidence compare_reading(os::ReadableFile& file, const store::ObjectInfo& object, const Tools& tools) {
  if (file.size() != object.size) return found(Verdict::differs, "size", object);
  const std::uint32_t parts = object.is_etag_opaque ? 0 : parts_of(object.etag);
  const auto crc = crc64nvme_of(object);
  std::vector<ByteCount> sizes;
  if (!crc && parts > 0) sizes = likely_part_sizes(object.size, parts, object.part_bytes);
  if (!crc && parts == 0 && !has_md5(object))
    return found(Verdict::unknown, "the store keeps neither an MD5 nor a CRC64NVME of the object", object);
  if (!crc && parts > 0 && sizes.empty())
    return found(Verdict::unknown, "the part size of the object is unknown", object);
  // The first size is that of the digests; the others are computed beside it.
  std::deque<transfer::EtagBuilder> others;
  for (std::size_t i = 1; i < sizes.size(); ++i) others.emplace_back(sizes[i]);
  const ByteCount whole = object.size + 1;  // one MD5 only
  const transfer::FileDigests digests =
      transfer::read_digests(file,
                             {.part_bytes = sizes.empty() ? whole : sizes.front(),
                              .take =
                                  [&](ByteCount, ByteView bytes) {
                                    for (transfer::EtagBuilder& each : others) each.update(bytes);
                                  },
                              .moved = [&](ByteCount bytes) { tools.progress.bytes_done += bytes; },
                              .stop = tools.world.stop},
                             tools.pools, tools.budget);
  Evidence evidence = judge_digests(digests, object, sizes, others);
  evidence.digests = digests;
  return evidence;
}

}  // namespace bale::raw
