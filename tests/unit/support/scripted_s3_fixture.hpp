// A scripted S3 server with a bucket "b", and a client that knows nothing.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "support/raw_http.hpp"
#include "support/scripted_s3.hpp"

namespace bale::testing {

inline constexpr std::string_view digits = "123456789";
// Check values of https://reveng.sourceforge.io/crc-catalogue/all.htm, most significant byte first, in base64.
inline constexpr std::string_view crc64nvme_of_digits = "rosUhgp5mIg=";  // AE8B14860A799888
inline constexpr std::string_view crc32c_of_digits = "4waSgw==";         // E3069283
inline constexpr std::string_view crc32_of_digits = "y/Q5Jg==";          // CBF43926

class ScriptedS3Test : public ::testing::Test {
 protected:
  ScriptedS3Test() { server_.set_bucket("b"); }

  static http::Headers with_credentials(http::Headers headers) {
    headers.add("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/s3/aws4_request, Signature=0");
    return headers;
  }
  RawAnswer ask(std::string_view method, std::string_view target, const http::Headers& headers = {},
                std::string_view body = {}) {
    return raw_ask(server_.port(), method, target, with_credentials(headers), body);
  }
  static std::string tag(const RawAnswer& answer, const std::string& name) {
    std::smatch found;
    return std::regex_search(answer.body, found, std::regex("<" + name + ">([^<]*)<")) ? found[1].str() : "";
  }
  static std::string code(const RawAnswer& answer) { return tag(answer, "Code"); }
  std::string begin(const http::Headers& headers = {}) { return tag(ask("POST", "/b/k?uploads", headers), "UploadId"); }
  RawAnswer part(const std::string& upload, int number, std::string_view content, const http::Headers& headers = {}) {
    return ask("PUT", fmt::format("/b/k?partNumber={}&uploadId={}", number, upload), headers, content);
  }
  /// Completes with these ETags, of parts 1, 2, ...; `more` is added to each part.
  RawAnswer complete(const std::string& upload, const std::vector<std::string>& etags,
                     const http::Headers& headers = {}, const std::vector<std::string>& more = {}) {
    std::string xml;
    for (std::size_t i = 0; i < etags.size(); ++i) {
      xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>{}</Part>", i + 1, etags[i],
                         i < more.size() ? more[i] : "");
    }
    return ask("POST", "/b/k?uploadId=" + upload, headers,
               "<CompleteMultipartUpload>" + xml + "</CompleteMultipartUpload>");
  }
  std::string upload_digits(const std::string& upload, const http::Headers& headers = {}) {
    const RawAnswer answer = part(upload, 1, digits, headers);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.header("etag");
  }
  static std::string base64_md5(std::string_view content) {
    const Md5Digest digest = Md5::of(as_bytes(content));
    return to_base64(digest);
  }

  ScriptedS3 server_;
};

}  // namespace bale::testing
