#include "http/message.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::http {
namespace {

TEST(Headers, FindWithoutRegardToCase) {
  Headers headers{{"Content-Type", "a"}, {"x-amz-meta-one", "1"}};
  EXPECT_EQ(headers.get("content-type"), "a");
  EXPECT_EQ(headers.find("content-typ"), nullptr);
  headers.set("CONTENT-TYPE", "b");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers.get("Content-Type"), "b");
  headers.remove("X-Amz-Meta-One");
  EXPECT_EQ(headers.size(), 1u);
}

TEST(Url, IsReadIntoItsParts) {
  const Url url = parse_url("HTTPS://[::1]:8443/a//../b%20c?x=1&y#part");
  EXPECT_EQ(url.origin, (Origin{"https", "[::1]", 8443}));
  EXPECT_EQ(url.origin.authority(), "[::1]:8443");
  EXPECT_EQ(url.path, "/a//../b%20c");
  EXPECT_EQ(url.query, "x=1&y");
  EXPECT_EQ(parse_url("http://host").path, "/");
  EXPECT_EQ(parse_url("http://host:80").origin.authority(), "host");
  EXPECT_EQ(parse_url("http://host?a").query, "a");
}

TEST(Url, IsRefusedWhereItIsNone) {
  for (const char* text : {"", "host", "ftp://host", "http://", "http://host:", "http://host:0", "http://host:65536",
                           "http://host:8x", "http://user@host", "http://a b", "http://[::1", "http://::1]"}) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(ErrorKind::invalid, "", parse_url(text));
  }
}

TEST(Url, IsWrittenAsTheRequestSays) {
  Request request{Method::get, {"http", "host", 9000}, "/b/../c//d", "list-type=2"};
  EXPECT_EQ(url_of(request), "http://host:9000/b/../c//d?list-type=2");
}

TEST(SpanBody, GivesItsPiecesInOrderAndAgain) {
  SpanBody body({as_bytes("ab"), {}, as_bytes("cde")});
  EXPECT_EQ(body.size(), 5u);
  for (int round = 0; round < 2; ++round) {
    std::string all;
    for (ByteView piece = body.next(2); !piece.empty(); piece = body.next(2)) all += as_text(piece);
    EXPECT_EQ(all, "abcde");
    body.rewind();
  }
}

}  // namespace
}  // namespace bale::http
