// Bodies that are read in pieces, end too early, or go on for too long.
#include "store/read_exactly.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/odd_store.hpp"

namespace bale::testing {
namespace {

/// Gives at most three bytes a time, and announces a length of its own.
class SlowStream final : public store::GetStream {
 public:
  explicit SlowStream(std::string text, ByteCount announced) : text_(std::move(text)), announced_(announced) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return announced_; }
  ByteCount offset() const override { return 0; }
  std::size_t read(MutableBytes bytes) override {
    const std::size_t taken = std::min({bytes.size(), text_.size(), std::size_t{3}});
    std::copy_n(as_bytes(text_).begin(), taken, bytes.begin());
    text_.erase(0, taken);
    return taken;
  }

 private:
  store::ObjectInfo info_;
  std::string text_;
  ByteCount announced_;
};

TEST(ReadExactly, FillsAllOfTheMemory) {
  SlowStream stream("0123456789", 10);
  std::string text(8, '\0');
  ByteCount moved = 0;
  store::read_exactly(stream, std::as_writable_bytes(std::span(text)), "s3://b/k",
                      [&](ByteCount bytes) { moved += bytes; });
  EXPECT_EQ(text, "01234567");
  EXPECT_EQ(moved, 8u);
}

TEST(ReadExactly, AShortBodyIsABrokenConnection) {
  SlowStream stream("01234", 8);
  std::string text(8, '\0');
  try {
    store::read_exactly(stream, std::as_writable_bytes(std::span(text)), "s3://b/k");
    ADD_FAILURE() << "it was taken for whole";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_EQ(error.where(), "s3://b/k");
    EXPECT_STREQ(error.summary().c_str(), "the body ended after 5 of 8 bytes");
  }
  SlowStream again("01234", 8);
  EXPECT_ERROR(ErrorKind::unavailable, "", store::read_all(again, 100));
}

TEST(ReadExactly, AWholeBodyEndsWhereItWasAnnounced) {
  SlowStream longer("0123456789", 8);
  std::string text(8, '\0');
  EXPECT_ERROR(ErrorKind::corrupt, "", store::read_to_end(longer, std::as_writable_bytes(std::span(text))));
  SlowStream right("01234567", 8);
  store::read_to_end(right, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text, "01234567");
}

TEST(ReadExactly, AnotherRangeIsRefused) {
  FakeWorld outside;
  os::World world = outside.world();
  const auto backend = embedded::Backend::open(outside.path("local"), world);
  const auto store = backend->store(Region("eu-west-1"));
  const ObjectAddress object{BucketName("bucket"), ObjectKey("k")};
  store->create_bucket(object.bucket);
  store::MemoryBody body(as_bytes("0123456789"));
  store->put(object, body, {});
  const Buffer bytes = store::read_range(*store, object, store::ByteRange::at(2, 5));
  EXPECT_EQ(as_text(bytes.view()), "23456");
  EXPECT_ERROR(ErrorKind::corrupt, "", store::read_range(*store, object, store::ByteRange::at(8, 5)));
  OddStore odd(*store);
  odd.get_ = [&](const auto& address, const auto&, const auto& conditions) {
    return store->get(address, store::ByteRange::at(0, 5), conditions);
  };
  EXPECT_ERROR(ErrorKind::corrupt, "", store::read_range(odd, object, store::ByteRange::at(2, 5)));
}

}  // namespace
}  // namespace bale::testing
