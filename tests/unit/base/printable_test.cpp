#include "base/printable.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace bale {
namespace {

TEST(EscapeLines, LeavesNothingThatMovesTheCursorButLineEndsAndTabs) {
  EXPECT_EQ(escape_lines("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(escape_lines("\x1b[2J\r\a\x7f"), "\\x1b[2J\\x0d\\x07\\x7f");
  EXPECT_EQ(escape_lines("\xc2\x9b"
                         "31m \xe2\x80\xaegpj.exe \xe2\x81\xa6 \xd8\x9c"),
            "\\xc2\\x9b31m \\xe2\\x80\\xaegpj.exe \\xe2\\x81\\xa6 \\xd8\\x9c");
  EXPECT_EQ(escape_lines("\xff\xc2"), "\\xff\\xc2") << "no UTF-8";
  EXPECT_EQ(escape_lines("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
  const std::string once = escape_lines("\x1b\\x1b\xff");
  EXPECT_EQ(escape_lines(once), once);
}

TEST(EscapeJson, KeepsTheValue) {
  std::string text =
      "\x1b \x7f \xc2\x85 \xc2\x9b \xe2\x80\xae \xe2\x80\xa8 \xe2\x81\xa9 \xd8\x9c \xc3\xa4 \xf0\x9f\x98\x80 \" \\ \n";
  const nlohmann::json value = {{"text", text}, {"list", {1, 2}}};
  const std::string shown = escape_json(value.dump());
  EXPECT_EQ(nlohmann::json::parse(shown), value);
  EXPECT_EQ(escape_lines(shown), shown) << "nothing is left to escape";
  EXPECT_NE(shown.find("\\u007f \\u0085 \\u009b \\u202e \\u2028 \\u2069 \\u061c \xc3\xa4"), std::string::npos) << shown;
}

TEST(RedactUrl, ShowsNoPassword) {
  EXPECT_EQ(redact_url("https://host:8443/path"), "https://host:8443/path");
  EXPECT_EQ(redact_url("https://user:secret@host/path"), "https://***@host/path");
  EXPECT_EQ(redact_url("https://user:sec/r?t#@x@host/path"), "https://***@host/path") << "written without encoding";
  EXPECT_EQ(redact_url("user:secret@host:3128"), "***@host:3128");
  EXPECT_EQ(redact_url("ftp://secret@host"), "ftp://***@host");
  EXPECT_EQ(redact_url("https://host/?token=secret"), "https://host/?***");
  EXPECT_EQ(redact_url("http://\x1b[31mhost"), "http://\\x1b[31mhost");
  EXPECT_EQ(redact_url(""), "");
  EXPECT_EQ(redact_url("@"), "***@");
}

TEST(RedactSecrets, FindsUrlsInText) {
  EXPECT_EQ(redact_secrets("no URL: a@b, s3://bucket/k@y"), "no URL: a@b, s3://bucket/k@y");
  EXPECT_EQ(redact_secrets("GET http://user:secret@host:80/p (see HTTPS://x@y)"),
            "GET http://***@host:80/p (see HTTPS://***@y)");
  EXPECT_EQ(redact_secrets("'https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature=abc&x-amz-security-token=t%2F&"
                           "X-Amz-Credential=AKID%2F1' failed"),
            "'https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature=***&x-amz-security-token=***&"
            "X-Amz-Credential=***' failed");
  EXPECT_EQ(redact_secrets("https://h/?AWSAccessKeyId=a&Signature=b&Expires=1"),
            "https://h/?AWSAccessKeyId=***&Signature=***&Expires=1");
  EXPECT_EQ(redact_secrets("http://host/a@b?c=d"), "http://host/a@b?c=d") << "an '@' in the path";
  EXPECT_EQ(redact_secrets("://u:p@h http://"), "://u:p@h http://");
}

}  // namespace
}  // namespace bale
