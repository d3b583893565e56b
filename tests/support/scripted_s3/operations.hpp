// The operations of S3 on a State, as functions from a request to an answer. No socket, no rule.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.hpp"
#include "support/scripted_s3/content.hpp"
#include "support/scripted_s3/rules.hpp"
#include "support/scripted_s3/state.hpp"

namespace bale::testing::s3 {

/// The body of a request as it came.
struct Received {
  Content content;
  Digests digests;
  std::map<std::string, std::string> trailers;  ///< of aws-chunked bodies; names in lower case
};

/// What the server says.
struct Answer {
  int status = 200;
  http::Headers headers = {};
  std::string body = {};  ///< where `content` is absent
  std::optional<Content> content = {};
  ByteCount offset = 0, length = 0;  ///< of what is sent of `content`
};

/// An error that S3 answers with. Thrown by operations.
struct Refusal {
  int status = 400;
  std::string code, message;
  http::Headers headers = {};
  std::string more = {};  ///< further elements of the error document
};

/// Returns the answer that says so.
Answer to_answer(const Refusal& refusal, const Request& request);

/// What does not change while a server runs.
struct Settings {
  std::string region = "eu-west-1";      ///< of the buckets that are made without another
  std::string account = "111122223333";  ///< who asks, and owns what is made
  /// Bodies of objects and parts are not kept: GET gives zeros. Digests, sizes and ETags are those of what came.
  bool discard = false;
  std::size_t page = 1000;  ///< the most entries in a page of a listing
};

/// Returns S3's name of what a request asks for; empty where there is none.
std::string operation_of(const Request& request);

/// Whether the body of this operation is that of an object or a part.
bool takes_content(const std::string& operation);

/// Carries out one request on a state. Used once, by one thread that holds the state.
class Operations {
 public:
  /// `may` says whether an action of IAM ("s3:PutObject") is allowed; it is asked once for each that is needed.
  Operations(State& state, const Settings& settings, std::function<bool(const std::string&)> may)
      : state_(state), settings_(settings), may_(std::move(may)) {}

  /// Returns what S3 would say. Thrown is nothing: refusals are answers.
  Answer handle(const Request& request, const Received& received);

 private:
  struct Row;
  static const std::map<std::string, Row>& rows();

  // operations.cpp
  void check_access(const Request& request, const Row& row);
  void demand(const std::string& action);
  Bucket& bucket_of(const Request& request);
  Answer list_buckets(const Request& request, const Received& received);
  Answer create_bucket(const Request& request, const Received& received);
  Answer delete_bucket(const Request& request, const Received& received);
  Answer head_bucket(const Request& request, const Received& received);
  Answer location(const Request& request, const Received& received);
  Answer get_document(const Request& request, const Received& received);
  Answer put_document(const Request& request, const Received& received);
  Answer delete_document(const Request& request, const Received& received);

  // objects.cpp
  Version& find(const Request& request, Bucket& bucket, const std::string& key, const std::string& version_id);
  Attributes attributes_of(const Request& request, const Bucket& bucket);
  Answer put_object(const Request& request, const Received& received);
  Answer get_object(const Request& request, const Received& received);
  Answer delete_object(const Request& request, const Received& received);
  Answer delete_objects(const Request& request, const Received& received);
  Answer copy_object(const Request& request, const Received& received);
  Answer get_tags(const Request& request, const Received& received);
  Answer put_tags(const Request& request, const Received& received);
  Answer delete_tags(const Request& request, const Received& received);
  Answer restore_object(const Request& request, const Received& received);
  Answer get_attributes(const Request& request, const Received& received);
  Version& copy_source(const Request& request);

  // uploads.cpp
  void end_old_uploads(Bucket& bucket);
  Upload& upload_of(const Request& request, Bucket& bucket);
  Answer create_upload(const Request& request, const Received& received);
  Answer upload_part(const Request& request, const Received& received);
  Answer upload_part_copy(const Request& request, const Received& received);
  Answer complete_upload(const Request& request, const Received& received);
  Answer abort_upload(const Request& request, const Received& received);
  Answer list_parts(const Request& request, const Received& received);
  Answer list_uploads(const Request& request, const Received& received);

  // listings.cpp
  Answer list_objects(const Request& request, const Received& received);
  Answer list_versions(const Request& request, const Received& received);
  std::size_t page_of(const Request& request, const char* parameter) const;

  State& state_;
  const Settings& settings_;
  std::function<bool(const std::string&)> may_;
};

// What the files of operations share

/// Returns <name>text</name>, escaped.
std::string element(std::string_view name, std::string_view text);
/// Returns an XML document in S3's namespace, as an answer.
Answer document(std::string_view root, const std::string& content);
/// Parses the XML of a request. Throws Refusal MalformedXML.
void parse(pugi::xml_document& document, const Received& received);
std::string in_quotes(const std::string& etag);
/// Returns an ETag without its quotes.
std::string unquoted(std::string_view etag);
/// Throws Refusal where an ETag condition of a write does not hold; `current` is null where there is no object.
void check_write_conditions(const Request& request, const Version* current);
/// Verifies Content-MD5 and x-amz-content-sha256 against what came. Throws Refusal.
void verify_digests(const Request& request, const Received& received);
/// The same, and the checksum that the request gives of its body. Returns the name of the checksum that
/// the request gives; empty where it gives none. Throws Refusal.
std::string verify_body(const Request& request, const Received& received);
/// Returns the checksum that the request gives, and its name: of the one header, or trailer. Throws Refusal if there
/// are several.
std::optional<std::pair<std::string, std::string>> given_checksum(const Request& request, const Received& received);
/// Returns the bytes of a checksum that `text` is, in base64. Throws Refusal where it is none of that algorithm.
std::string checksum_from(const std::string& name, const std::string& text);
/// Adds the headers of a checksum.
void add_checksum(http::Headers& headers, const KeptChecksum& checksum);
/// Returns the elements of a checksum, as in CompleteMultipartUploadResult.
std::string checksum_elements(const KeptChecksum& checksum);
/// "crc64nvme" to "ChecksumCRC64NVME".
std::string checksum_element_name(const std::string& name);
/// Adds the headers that tell how an object is encrypted.
void add_encryption(http::Headers& headers, const Attributes& attributes);
/// Returns the ETag of bytes in one piece: of an encrypted object one that is no MD5.
std::string etag_of(const Digests& digests, const Attributes& attributes);
/// Returns the ETag of parts that have these ETags.
std::string etag_of_parts(const std::vector<std::string>& etags);
/// Reads "bytes=first-last" and its kin of an object of `size` bytes. Absent where the text is no range. Throws
/// Refusal InvalidRange.
std::optional<std::pair<ByteCount, ByteCount>> range_of(const std::string& text, ByteCount size);
/// Returns `name`, encoded where the request asks for that.
std::string listed_name(const Request& request, const std::string& name);
/// Returns the number that a parameter is, or `otherwise` where it is absent. Throws Refusal InvalidArgument.
std::uint64_t number_of(const Request& request, const char* parameter, std::uint64_t otherwise);

}  // namespace bale::testing::s3
