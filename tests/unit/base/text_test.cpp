#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale {
namespace {

using ::testing::ElementsAre;

std::string every_byte() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  return bytes;
}

TEST(Utf8, AcceptsWhatIsWellFormed) {
  for (const char* text : {"", "plain", "é", "日本", "🎈", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"})
    EXPECT_TRUE(is_utf8(text)) << text;
  EXPECT_TRUE(is_utf8(std::string_view("\0", 1)));
}

TEST(Utf8, RefusesWhatIsNot) {
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xE2\x82", "\xC3("}) {
    EXPECT_FALSE(is_utf8(text)) << testing::PrintToString(text);
  }
}

TEST(Escape, LeavesNothingThatMovesACursor) {
  EXPECT_EQ(escape_for_terminal("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(escape_for_terminal("é日🎈"), "é日🎈");
  EXPECT_EQ(escape_for_terminal("\xff\xc3"), "\\xff\\xc3");
  EXPECT_TRUE(is_utf8(escape_for_terminal(every_byte())));
  EXPECT_EQ(escape_for_terminal("a\\b"), "a\\b");
  EXPECT_EQ(escape_for_terminal("\xc2\x9b"), "\\xc2\\x9b") << "C1 control: CSI in one character";
  EXPECT_EQ(escape_for_terminal("a\u202Egpj.exe"), "a\\xe2\\x80\\xaegpj.exe") << "would be shown as aexe.jpg";
  for (const char* text : {"\u061C", "\u200E", "\u2028", "\u2029", "\u2066", "\u2069"})
    EXPECT_THAT(escape_for_terminal(text), testing::StartsWith("\\x")) << testing::PrintToString(text);
  for (const char* text : {"\u061B", "\u200D", "\u2027", "\u202F", "\u2065", "\u206A", "\u0600"})
    EXPECT_EQ(escape_for_terminal(text), text);
}

TEST(EscapeName, NoTwoNamesAreShownAlike) {
  EXPECT_EQ(escape_name("a\nb"), "a\\x0ab");
  EXPECT_EQ(escape_name("a\\x0ab"), "a\\\\x0ab");
  EXPECT_EQ(escape_name("\xff"), "\\xff");
  EXPECT_EQ(escape_name("é日/plain"), "é日/plain");
  EXPECT_EQ(escape_for_terminal(escape_name(every_byte())), escape_name(every_byte()));
}

TEST(Percent, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ09-_.~"), "aZ09-_.~");
  EXPECT_EQ(percent_encode("a b/ä+%"), "a%20b%2F%C3%A4%2B%25");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
}

TEST(Percent, ComesBackForEveryByte) {
  EXPECT_EQ(percent_decode(percent_encode(every_byte())), every_byte());
  EXPECT_EQ(form_decode(form_encode(every_byte())), every_byte());
}

TEST(Percent, LeavesBrokenEscapes) {
  EXPECT_EQ(percent_decode("%"), "%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%41"), "%zzA");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
}

TEST(Form, IsWhatS3WritesIntoEvents) {
  EXPECT_EQ(form_encode("a b+c/d"), "a+b%2Bc/d");
  EXPECT_EQ(form_decode("a+b%2Bc"), "a b+c");
}

TEST(Hex, ComesBackForEveryByte) {
  EXPECT_EQ(to_hex(as_bytes("\x01\xff")), "01ff");
  EXPECT_EQ(from_hex(to_hex(as_bytes(every_byte()))), every_byte());
  EXPECT_EQ(from_hex("AbCd"), "\xab\xcd");
  EXPECT_THROW(from_hex("abc"), Error);
  EXPECT_THROW(from_hex("0g"), Error);
}

TEST(Base64, GivesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(from_base64(encoded), plain);
  }
  EXPECT_EQ(from_base64(to_base64(as_bytes(every_byte()))), every_byte());
}

TEST(Base64, RefusesWhatIsNotPaddedStandardBase64) {
  for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zg=a", "Zm9v=Zm9", "Zm-_", "Zm9v\n", "=Zm9"})
    EXPECT_THROW(from_base64(text), Error) << text;
}

TEST(Split, GivesEveryPiece) {
  EXPECT_THAT(split("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(split(",a,,", ','), ElementsAre("", "a", "", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(Base64, ThePairThatStandsForBytesIsTold) {
  EXPECT_EQ(bytes_behind("a\\xff", "Yf8="), "a\xff");
  EXPECT_EQ(bytes_behind("b\\xff", "Yf8="), std::nullopt) << "another text";
  EXPECT_EQ(bytes_behind("ab", "YWI="), std::nullopt) << "UTF-8 needs no second form";
  EXPECT_EQ(bytes_behind("ab", "*"), std::nullopt) << "not base64";
}

TEST(ClosestMatch, FindsTheNearestNameOrNone) {
  const std::vector<std::string> names = {"prefix_filter", "suffix_filter", "cpu", "memory"};
  EXPECT_EQ(closest_match("prefix_fliter", names), "prefix_filter");
  EXPECT_EQ(closest_match("PrefixFilter", names), "prefix_filter");
  EXPECT_EQ(closest_match("cpus", names), "cpu");
  EXPECT_EQ(closest_match("colour", names), "");
  EXPECT_EQ(closest_match("", names), "");
  EXPECT_EQ(closest_match(std::string(100'000, 'x'), names), "");
}

}  // namespace
}  // namespace bale
