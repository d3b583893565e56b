// Digests, checksums and conditions of requests.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing::s3 {
namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

/// Bytes of base64, or nothing where the text is none.
std::optional<std::string> decoded(const std::string& text) {
  try {
    return from_base64(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<ByteCount> whole_number(std::string_view text) {
  ByteCount number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void verify_digests(const Request& request, const Received& received) {
  if (const std::string* const md5 = request.headers.find("content-md5")) {
    const std::optional<std::string> bytes = decoded(*md5);
    if (!bytes || bytes->size() != received.digests.md5.size())
      throw Refusal{400, "InvalidDigest", "The Content-MD5 you specified was invalid."};
    if (*bytes != as_text(received.digests.md5))
      throw Refusal{400, "BadDigest", "The Content-MD5 you specified did not match what we received."};
  }
  constexpr std::size_t hex_digits = 64;
  const std::string sha256 = request.header("x-amz-content-sha256");
  if (sha256.size() == hex_digits && received.digests.sha256 && sha256 != to_hex_digest(*received.digests.sha256)) {
    throw Refusal{400, "XAmzContentSHA256Mismatch",
                  "The provided 'x-amz-content-sha256' header does not match what was computed."};
  }
  const std::optional<ByteCount> length = whole_number(request.header("x-amz-decoded-content-length"));
  if (length && *length != received.digests.size) {
    throw Refusal{400, "IncompleteBody",
                  "You did not provide the number of bytes specified by the Content-Length HTTP header"};
  }
}

std::optional<std::pair<std::string, std::string>> given_checksum(const Request& request, const Received& received) {
  std::optional<std::pair<std::string, std::string>> given;
  for (const std::string& name : checksum_names()) {
    const std::string header = "x-amz-checksum-" + name;
    const std::string* text = request.headers.find(header);
    const auto trailer = received.trailers.find(header);
    if (text == nullptr && trailer != received.trailers.end()) text = &trailer->second;
    if (text == nullptr) continue;
    if (given) {
      throw Refusal{400, "InvalidRequest",
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."};
    }
    given.emplace(name, *text);
  }
  if (!given && !request.header("x-amz-sdk-checksum-algorithm").empty() && request.header("content-md5").empty()) {
    throw Refusal{400, "InvalidRequest",
                  "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                  "headers were found."};
  }
  return given;
}

std::string checksum_from(const std::string& name, const std::string& text) {
  const std::optional<std::string> bytes = decoded(text);
  if (!bytes || bytes->size() != checksum_of_bytes("", name).size())
    throw Refusal{400, "InvalidRequest", fmt::format("Value for x-amz-checksum-{} header is invalid.", name)};
  return *bytes;
}

std::string verify_body(const Request& request, const Received& received) {
  verify_digests(request, received);
  const auto given = given_checksum(request, received);
  if (!given) return {};
  const auto& [name, text] = *given;
  if (checksum_from(name, text) != checksum_bytes(received.digests, name)) {
    throw Refusal{400, "BadDigest",
                  fmt::format("The {} you specified did not match the calculated checksum.", upper(name))};
  }
  return name;
}

void add_checksum(http::Headers& headers, const KeptChecksum& checksum) {
  headers.add("x-amz-checksum-" + checksum.name, checksum.text());
  headers.add("x-amz-checksum-type", checksum.type);
}

std::string checksum_element_name(const std::string& name) { return "Checksum" + upper(name); }

std::string checksum_elements(const KeptChecksum& checksum) {
  return element(checksum_element_name(checksum.name), checksum.text()) + element("ChecksumType", checksum.type);
}

void add_encryption(http::Headers& headers, const Attributes& attributes) {
  headers.add("x-amz-server-side-encryption", attributes.encryption);
  if (!attributes.kms_key.empty()) headers.add("x-amz-server-side-encryption-aws-kms-key-id", attributes.kms_key);
}

std::string etag_of(const Digests& digests, const Attributes& attributes) {
  if (!attributes.encryption.starts_with("aws:kms")) return to_hex_digest(digests.md5);
  // Of encrypted bytes: the same content has another ETag each time.
  return to_hex_digest(Md5::of(as_bytes(new_id())));
}

std::string etag_of_parts(const std::vector<std::string>& etags) {
  std::string digests;
  for (const std::string& etag : etags) digests += from_hex(etag);
  return fmt::format("{}-{}", to_hex_digest(Md5::of(as_bytes(digests))), etags.size());
}

void check_write_conditions(const Request& request, const Version* current) {
  const Refusal failed{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"};
  if (const std::string* const none = request.headers.find("if-none-match")) {
    if (*none != "*")
      throw Refusal{501, "NotImplemented", "A header you provided implies functionality that is not implemented"};
    if (current != nullptr) throw failed;
  }
  if (const std::string* const match = request.headers.find("if-match")) {
    if (current == nullptr) throw Refusal{404, "NoSuchKey", "The specified key does not exist."};
    if (*match != "*" && unquoted(*match) != current->etag) throw failed;
  }
}

std::optional<std::pair<ByteCount, ByteCount>> range_of(const std::string& text, ByteCount size) {
  constexpr std::string_view prefix = "bytes=";
  const std::size_t dash = text.find('-');
  if (!text.starts_with(prefix) || dash == std::string::npos) return std::nullopt;
  const auto first = whole_number(std::string_view(text).substr(prefix.size(), dash - prefix.size()));
  const auto last = whole_number(std::string_view(text).substr(dash + 1));
  const Refusal refusal{416,
                        "InvalidRange",
                        "The requested range is not satisfiable",
                        {{"Content-Range", fmt::format("bytes */{}", size)}}};
  if (!first) {
    if (!last) return std::nullopt;
    if (*last == 0 || size == 0) throw refusal;
    return std::pair(size - std::min(size, *last), size - 1);
  }
  if (last && *last < *first) return std::nullopt;
  if (*first >= size) throw refusal;
  return std::pair(*first, std::min(last.value_or(size - 1), size - 1));
}

}  // namespace bale::testing::s3
