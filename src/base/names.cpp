#include "base/names.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale {

std::string to_uri(const BucketName& bucket, const ObjectKey& key) { return "s3://" + bucket.str() + "/" + key.str(); }
std::string to_uri(const ObjectAddress& address) { return to_uri(address.bucket, address.key); }

bool is_s3_uri(std::string_view text) noexcept { return text.starts_with("s3://"); }

ObjectAddress parse_s3_uri(std::string_view uri) {
  const auto fail = [&] {
    return Error(ErrorKind::invalid, fmt::format("'{}' is not an S3 URI", escape_name(uri)), {},
                 "write s3://bucket or s3://bucket/key");
  };
  if (!is_s3_uri(uri)) throw fail();
  const std::string_view rest = uri.substr(5);
  const auto slash = rest.find('/');
  const std::string_view bucket = rest.substr(0, slash);
  if (bucket.empty()) throw fail();
  return {BucketName(bucket), ObjectKey(slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1))};
}

namespace {

bool looks_like_ipv4(std::string_view name) {
  int dots = 0;
  for (const char c : name) {
    if (c == '.')
      ++dots;
    else if (c < '0' || c > '9')
      return false;
  }
  return dots == 3;
}

}  // namespace

void check_bucket_name(const BucketName& bucket) {
  const std::string& name = bucket.str();
  const auto fail = [&](std::string_view why) {
    return Error(ErrorKind::invalid, fmt::format("'{}' is not a bucket name: {}", escape_name(name), why), {},
                 "use 3-63 characters of a-z, 0-9, '.' and '-', starting and ending with a letter or digit")
        .with_code("InvalidBucketName");
  };
  if (name.size() < 3 || name.size() > 63)
    throw fail(fmt::format("it has {} character{}", name.size(), name.size() == 1 ? "" : "s"));
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (const char c : name) {
    if (!alphanumeric(c) && c != '.' && c != '-') throw fail(fmt::format("it contains '{}'", escape_name({&c, 1})));
  }
  if (!alphanumeric(name.front()) || !alphanumeric(name.back())) throw fail("it starts or ends with '.' or '-'");
  if (name.find("..") != std::string::npos) throw fail("it contains '..'");
  if (looks_like_ipv4(name)) throw fail("it is an IP address");
}

void check_object_key(const ObjectKey& key) {
  constexpr std::size_t most_bytes = 1024;
  if (key.empty()) throw Error(ErrorKind::invalid, "an object key must not be empty").with_code("InvalidArgument");
  if (key.str().size() > most_bytes) {
    throw Error(ErrorKind::invalid, fmt::format("the key has {} bytes; S3 allows 1024", key.str().size()),
                escape_name(key.str().substr(0, 80)) + "...")
        .with_code("KeyTooLongError");
  }
  if (!is_utf8(key.str()))
    throw Error(ErrorKind::invalid, "the key is not UTF-8", escape_name(key.str())).with_code("InvalidURI");
}

std::string_view basename(std::string_view key) noexcept {
  if (key.empty()) return key;
  const void* const slash =
      ::memrchr(key.data(), '/', key.size());  // asked of every key of a catalog: faster than rfind
  if (slash == nullptr) return key;
  return key.substr(static_cast<std::size_t>(static_cast<const char*>(slash) - key.data()) + 1);
}

}  // namespace bale
