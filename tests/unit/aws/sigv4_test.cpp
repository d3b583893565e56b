// Each step of SigV4 against examples that AWS published: those of the S3 API reference ("Authenticating Requests"),
// and the Signature Version 4 test suite.
#include "aws/sigv4.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using http::Method;
using http::Request;

const SigningScope s3_scope{"us-east-1", "s3", PathRule::as_sent};
const Credentials s3_keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
const TimePoint s3_time = parse_time("2013-05-24T00:00:00Z");

Request s3_request(Method method, std::string path, std::string query = {}, http::Headers headers = {}) {
  return {method, {"https", "examplebucket.s3.amazonaws.com"}, std::move(path), std::move(query), std::move(headers)};
}

std::string signature_of(const Request& request) {
  const std::string_view authorization = request.headers.get("authorization");
  return std::string(authorization.substr(authorization.find("Signature=") + 10));
}

std::string sign_for_s3(Request& request, std::string_view payload_hash = empty_payload) {
  Signer signer;
  signer.sign(request, s3_scope, s3_keys, s3_time, payload_hash);
  return signature_of(request);
}

TEST(SigV4OfS3, SignsGetObjectStepByStep) {
  Request request = s3_request(Method::get, "/test.txt", {},
                               {{"Range", "bytes=0-9"},
                                {"x-amz-content-sha256", std::string(empty_payload)},
                                {"x-amz-date", "20130524T000000Z"}});
  const CanonicalRequest canonical = make_canonical_request(request, PathRule::as_sent, empty_payload);
  EXPECT_EQ(canonical.text,
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
            "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
            "x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string to_sign = make_string_to_sign(s3_scope, s3_time, canonical.text);
  EXPECT_EQ(to_sign,
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
  const std::string signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
  EXPECT_EQ(make_signature(make_signing_key(s3_keys.secret_access_key, s3_scope, s3_time), to_sign), signature);
  EXPECT_EQ(sign_for_s3(request), signature);
  EXPECT_EQ(request.headers.get("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=" +
                signature);
}

TEST(SigV4OfS3, SignsPutObject) {
  Request request =
      s3_request(Method::put, "/test%24file.text", {},
                 {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}});
  EXPECT_EQ(sign_for_s3(request, to_hex(Sha256::of(as_bytes("Welcome to Amazon S3.")))),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4OfS3, SignsSubresourcesAndLists) {
  Request lifecycle = s3_request(Method::get, "/", "lifecycle");
  EXPECT_EQ(sign_for_s3(lifecycle), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  Request list = s3_request(Method::get, "/", "prefix=J&max-keys=2");
  EXPECT_EQ(sign_for_s3(list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4OfS3, PresignsGetObject) {
  Request request = s3_request(Method::get, "/test.txt");
  Signer().presign(request, s3_scope, s3_keys, s3_time, std::chrono::seconds(86400));
  EXPECT_EQ(http::url_of(request),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
            "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
            "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
            "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  for (const std::chrono::seconds expiry : {std::chrono::seconds(0), max_presign_expiry + std::chrono::seconds(1)}) {
    EXPECT_ERROR(ErrorKind::invalid, "", Signer().presign(request, s3_scope, s3_keys, s3_time, expiry));
  }
}

TEST(SigV4OfS3, TakesThePathAsItIsSent) {
  const Request request = s3_request(Method::get, "/a//../b%2520c/./");
  const std::string text = make_canonical_request(request, PathRule::as_sent, unsigned_payload).text;
  EXPECT_TRUE(text.starts_with("GET\n/a//../b%2520c/./\n\n")) << text;
  EXPECT_TRUE(text.ends_with("\nUNSIGNED-PAYLOAD"));
}

TEST(SigV4OfS3, SignsTheSessionTokenBothWays) {
  Credentials keys = s3_keys;
  keys.session_token = "token/with+signs=";
  Request request = s3_request(Method::get, "/a");
  Signer().sign(request, s3_scope, keys, s3_time, empty_payload);
  EXPECT_EQ(request.headers.get("x-amz-security-token"), keys.session_token);
  EXPECT_NE(request.headers.get("authorization").find("x-amz-date;x-amz-security-token,"), std::string_view::npos);
  // Computed with botocore 1.43 (S3SigV4QueryAuth) for the same keys and time.
  Request presigned = s3_request(Method::get, "/a");
  Signer().presign(presigned, s3_scope, keys, s3_time, std::chrono::seconds(60));
  EXPECT_NE(presigned.query.find("&X-Amz-Security-Token=token%2Fwith%2Bsigns%3D&"), std::string::npos);
  EXPECT_TRUE(presigned.query.ends_with("39481f79d93d0d6adca02a45972a3fab217e659d1c0234c3898fd421b353208a"))
      << presigned.query;
}

TEST(SigV4OfS3, NeverSignsWhatConnectionsChange) {
  http::Headers headers;
  for (const char* name : {"Connection", "Expect", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE",
                           "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Amzn-Trace-Id"})
    headers.add(name, "x");
  const Request request = s3_request(Method::get, "/", {}, headers);
  EXPECT_EQ(make_canonical_request(request, PathRule::as_sent, empty_payload).signed_headers, "host");
}

struct SuiteCase {
  const char* name;
  Request request;
  const char* signature;
};

Request suite_request(Method method, std::string path, std::string query = {}, http::Headers headers = {}) {
  return {method, {"https", "example.amazonaws.com"}, std::move(path), std::move(query), std::move(headers)};
}

std::vector<SuiteCase> suite() {
  const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return {
      {"get-vanilla", suite_request(Method::get, "/"),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case", suite_request(Method::get, "/", "Param2=value2&Param1=value1"),
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-value", suite_request(Method::get, "/", "Param1=value2&Param1=Value1"),
       "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
      {"get-vanilla-query-unreserved", suite_request(Method::get, "/", unreserved + "=" + unreserved),
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"post-vanilla", suite_request(Method::post, "/"),
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-vanilla-query", suite_request(Method::post, "/", "Param1=value1"),
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"get-relative", suite_request(Method::get, "/example/.."),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash-dot-slash", suite_request(Method::get, "/./"),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slashes", suite_request(Method::get, "//example//"),
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"get-slash-pointless-dot", suite_request(Method::get, "/./example"),
       "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
      {"get-space", suite_request(Method::get, "/example space/"),
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-utf8", suite_request(Method::get, "/\xE1\x88\xB4"),
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"post-header-key-case", suite_request(Method::post, "/", {}, {{"My-Header1", "VALUE1"}}),
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"get-header-key-duplicate",
       suite_request(Method::get, "/", {},
                     {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-trim",
       suite_request(Method::get, "/", {}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
  };
}

TEST(SigV4, AgreesWithTheTestSuiteOfAws) {
  const Credentials keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
  const SigningScope scope{"us-east-1", "service", PathRule::normalised};
  Signer signer;
  for (SuiteCase& one : suite()) {
    SCOPED_TRACE(one.name);
    signer.sign(one.request, scope, keys, parse_time("2015-08-30T12:36:00Z"), empty_payload);
    EXPECT_EQ(signature_of(one.request), one.signature)
        << make_canonical_request(one.request, scope.path_rule, empty_payload).text;
  }
}

TEST(Signer, ReplacesAFormerSignature) {
  Request request = s3_request(Method::get, "/test.txt", {}, {{"Range", "bytes=0-9"}});
  Credentials old = s3_keys;
  old.session_token = "old";
  Signer signer;
  signer.sign(request, s3_scope, old, s3_time - std::chrono::hours(24), unsigned_payload);
  signer.sign(request, s3_scope, s3_keys, s3_time, empty_payload);
  EXPECT_EQ(signature_of(request), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(request.headers.size(), 4u);
}

TEST(Signer, KeepsKeysOfDaysRegionsServicesAndSecretsApart) {
  Signer signer;
  std::set<std::string> signatures;
  for (int round = 0; round < 2; ++round) {
    for (int variant = 0; variant < 40; ++variant) {  // more than are kept
      Request request = s3_request(Method::get, "/");
      SigningScope scope = s3_scope;
      Credentials keys = s3_keys;
      if (variant % 4 == 0) scope.region += std::to_string(variant);
      if (variant % 4 == 1) scope.service += std::to_string(variant);
      if (variant % 4 == 2) keys.secret_access_key += std::to_string(variant);
      const TimePoint time = s3_time + std::chrono::days(variant % 4 == 3 ? variant : 0);
      signer.sign(request, scope, keys, time, empty_payload);
      const std::string text = make_canonical_request(request, scope.path_rule, empty_payload).text;
      EXPECT_EQ(signature_of(request), make_signature(make_signing_key(keys.secret_access_key, scope, time),
                                                      make_string_to_sign(scope, time, text)));
      signatures.insert(signature_of(request));
    }
  }
  EXPECT_EQ(signatures.size(), 40u);
}

}  // namespace
}  // namespace bale::aws
