// What a scripted S3 server keeps: buckets, versions of objects, uploads. Plain data; copies share the bytes.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "support/scripted_s3/content.hpp"

namespace bale::testing::s3 {

/// A checksum that is kept of an object.
struct KeptChecksum {
  std::string name;       ///< "crc64nvme", ...
  std::string type;       ///< "FULL_OBJECT" or "COMPOSITE"
  std::string bytes;      ///< the most significant first
  std::size_t parts = 0;  ///< of a COMPOSITE one
  /// Returns it as headers and documents have it: base64, and "-N" for a composite one.
  std::string text() const;
};

/// What is stored with an object besides its bytes. Names of headers are lower case.
struct Attributes {
  std::map<std::string, std::string> headers;   ///< content-type, cache-control, ...
  std::map<std::string, std::string> metadata;  ///< without x-amz-meta-
  std::map<std::string, std::string> tags;
  std::string storage_class = "STANDARD";
  std::string encryption = "AES256";  ///< x-amz-server-side-encryption
  std::string kms_key;
};

/// One part of an object that was uploaded in parts.
struct KeptPart {
  std::uint32_t number = 0;
  ByteCount size = 0;
  std::string checksum;  ///< bytes; empty where none is kept
};

/// One version of an object, or a delete marker.
struct Version {
  std::string id = "null";
  bool is_marker = false;
  Content content;
  Digests digests;  ///< of the bytes as they came; of an object in parts only the size
  std::string etag;
  std::optional<KeptChecksum> checksum;
  Attributes attributes;
  std::vector<KeptPart> parts;
  TimePoint modified{};
  std::optional<TimePoint> restored_until;
  TimePoint restored_from{};   ///< the restore is in progress until then
  std::string archive_status;  ///< of INTELLIGENT_TIERING: ARCHIVE_ACCESS, DEEP_ARCHIVE_ACCESS
};

/// One part of an upload.
struct Part {
  Content content;
  Digests digests;
  std::string etag;
  TimePoint modified{};
};

struct Upload {
  std::string id, key;
  Attributes attributes;
  std::string checksum_name;  ///< empty: Create named no algorithm
  std::string checksum_type;
  std::map<std::uint32_t, Part> parts;
  TimePoint initiated{};
};

struct Bucket {
  std::string name, region, owner;
  bool is_foreign = false;                              ///< of another account that lets nobody in
  std::string versioning;                               ///< "", "Enabled" or "Suspended"
  std::map<std::string, std::string> documents;         ///< by the name of the query parameter: "lifecycle", ...
  std::map<std::string, std::vector<Version>> objects;  ///< the oldest first; never empty
  std::map<std::string, Upload> uploads;                ///< by ID
  TimePoint created{};
  std::chrono::seconds restore_takes{0};  ///< until a restored object can be read
  bool tells_restores = true;             ///< in listings

  /// Returns the newest version if it is no marker; else null. Valid until the next change.
  Version* current(const std::string& key);
  /// Adds a version as the bucket's versioning has it, and returns it with its ID.
  Version& add(const std::string& key, Version version);
};

struct State {
  std::map<std::string, Bucket> buckets;
  Milliseconds advanced{0};  ///< of the server's clock, beyond the machine's
  TimePoint now() const;
};

/// Returns an ID that this process has not given before.
std::string new_id();

/// Returns the state for people and tests: docs/testing.md describes it.
nlohmann::json describe(const State& state);

}  // namespace bale::testing::s3
