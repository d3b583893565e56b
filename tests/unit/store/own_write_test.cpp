#include "store/own_write.hpp"

#include "base/hash.hpp"

namespace bale::store {
namespace {

constexpr const char* md5_of_a = "0cc175b9c0f1b6a831c399e269772661";
constexpr const char* md5_of_b = "92eb5ffee6ae2fec3ad71c777531578f";

TEST(OwnWriteTest, KnowsTheFormOfAnMd5) {
  EXPECT_TRUE(is_md5(ETag(md5_of_a)));
  EXPECT_FALSE(is_md5(ETag("0cc175b9c0f1b6a831c399e269772661-1")));
  EXPECT_FALSE(is_md5(ETag(std::string(32, 'g'))));
  EXPECT_FALSE(is_md5(ETag()));
}

TEST(OwnWriteTest, MakesTheEtagOfParts) {
  // printf 0cc1..92eb.. | xxd -r -p | md5sum
  EXPECT_EQ(multipart_etag({{1, ETag(md5_of_a), 1}, {2, ETag(md5_of_b), 1}}),
            ETag("96e024ba2074fe77e8e965ba43a704be-2"));
  EXPECT_FALSE(multipart_etag({{1, ETag(md5_of_a), 1}, {2, ETag("kms"), 1}}));
}

TEST(OwnWriteTest, MakesTheEtagOfABodyFromItsStart) {
  MemoryBody body(as_bytes("a"));
  body.next(1);
  EXPECT_EQ(content_etag(body), ETag(md5_of_a));
}

TEST(OwnWriteTest, TellsWhoseObjectItIs) {
  ObjectInfo found;
  found.size = 1;
  found.etag = ETag(md5_of_a);
  found.metadata = {{"owner", "me"}};
  int asked = 0;
  const auto whose = [&](const std::optional<ObjectInfo>& there, std::optional<ETag> own) {
    return whose_object(there, 1, {{"owner", "me"}}, [&] { return ++asked, own; });
  };
  EXPECT_EQ(whose(found, ETag(md5_of_a)), Whose::ours);
  EXPECT_EQ(whose(found, ETag(md5_of_b)), Whose::others);
  EXPECT_EQ(whose(found, std::nullopt), Whose::unknown);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(whose(std::nullopt, ETag(md5_of_a)), Whose::others);
  ObjectInfo longer = found, foreign = found, encrypted = found;
  longer.size = 2;
  foreign.metadata = {{"owner", "you"}};
  encrypted.etag = ETag("no-digest");
  EXPECT_EQ(whose(longer, ETag(md5_of_a)), Whose::others);
  EXPECT_EQ(whose(foreign, ETag(md5_of_a)), Whose::others);
  EXPECT_EQ(whose(encrypted, ETag(md5_of_a)), Whose::unknown);
  EXPECT_EQ(asked, 3);  // a large body is not read in vain
}

}  // namespace
}  // namespace bale::store
