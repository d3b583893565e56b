#include "base/hash.hpp"

#include <gtest/gtest.h>

namespace bale {
namespace {

TEST(Sha256, GivesTheVectorsOfFips180) {
  EXPECT_EQ(to_hex_digest(Sha256::of({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex_digest(Sha256::of(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex_digest(Sha256::of(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
TEST(HmacSha256, GivesTheVectorsOfRfc4231) {
  EXPECT_EQ(to_hex_digest(hmac_sha256(as_bytes(std::string(20, '\x0b')), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex_digest(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex_digest(hmac_sha256(as_bytes(std::string(131, '\xaa')),
                                      as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Md5, GivesTheVectorsOfRfc1321) {
  EXPECT_EQ(to_hex_digest(Md5::of({})), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex_digest(Md5::of(as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex_digest(Md5::of(as_bytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
}

// https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
TEST(Xxh64, GivesKnownValues) {
  EXPECT_EQ(xxh64({}), 0xEF46DB3751D8E999u);
  EXPECT_EQ(xxh64(as_bytes("a")), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(xxh64(as_bytes("abc")), 0x44BC2CF5AD770999u);
}

template <typename Hash>
void pieces_equal_the_whole() {
  Hash running;
  running.update(as_bytes("mess"));
  running.update({});
  running.update(as_bytes("age digest"));
  EXPECT_EQ(running.finish(), Hash::of(as_bytes("message digest")));
  EXPECT_EQ(running.finish(), Hash::of({})) << "as if new after finish()";
  running.update(as_bytes("abc"));
  Hash moved = std::move(running);
  EXPECT_EQ(moved.finish(), Hash::of(as_bytes("abc")));
}

TEST(Sha256, DoesNotMindPieces) { pieces_equal_the_whole<Sha256>(); }
TEST(Md5, DoesNotMindPieces) { pieces_equal_the_whole<Md5>(); }

}  // namespace
}  // namespace bale
