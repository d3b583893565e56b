// Bytes that are not those that the store says: damaged in the store, damaged on the way, or torn from two versions.
#include <gmock/gmock.h>

#include <fstream>

#include "archive/reader.hpp"
#include "catalog/file.hpp"
#include "jobs/check/check.hpp"
#include "store/retrying_store.hpp"
#include "support/odd_store.hpp"
#include "transfer/byte_io.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Content of `size` bytes that does not repeat itself, and differs by `seed`.
std::string noise(std::size_t size, int seed) {
  std::string text;
  for (int n = 0; text.size() < size; ++n)
    text += to_hex_digest(Sha256::of(as_bytes(std::to_string(seed) + "/" + std::to_string(n))));
  text.resize(size);
  return text;
}

/// The bytes of another stream, with one bit of one of them flipped.
class FlippingStream final : public store::GetStream {
 public:
  FlippingStream(std::unique_ptr<store::GetStream> inner, ByteCount at) : inner_(std::move(inner)), at_(at) {}
  const store::ObjectInfo& info() const override { return inner_->info(); }
  ByteCount length() const override { return inner_->length(); }
  ByteCount offset() const override { return inner_->offset(); }
  std::size_t read(MutableBytes bytes) override {
    const std::size_t got = inner_->read(bytes);
    if (at_ >= done_ && at_ < done_ + got) bytes[at_ - done_] ^= std::byte{0x10};
    done_ += got;
    return got;
  }

 private:
  std::unique_ptr<store::GetStream> inner_;
  ByteCount at_, done_ = 0;
};

class SourceDamage : public ReplicationKit {
 protected:
  SourceDamage() {
    way.get_ = [this](const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                      const store::ReadConditions& conditions) -> std::unique_ptr<store::GetStream> {
      auto stream = store->get(object, range, conditions);
      const bool is_struck = object.key.str() == "bad" && (!range || range->first >= struck_from) && strikes > 0;
      if (!is_struck) return stream;
      --strikes;
      return std::make_unique<FlippingStream>(std::move(stream), stream->length() / 2);
    };
  }

  /// Flips a bit in the data file of an object, behind the store's back.
  void rot(const std::string& content, std::size_t at) {
    int found = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(outside.path("local"))) {
      if (!entry.is_regular_file() || entry.file_size() != content.size()) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      std::string bytes(content.size(), '\0');
      file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      if (bytes != content) continue;
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(content[at] ^ 1));
      ++found;
    }
    ASSERT_EQ(found, 1);
  }

  void put_in_parts(const std::string& key, const std::string& content, const std::vector<ByteCount>& sizes) {
    const ObjectAddress object{src, ObjectKey(key)};
    const UploadId upload = store->create_upload(object, {});
    std::vector<store::UploadedPart> parts;
    ByteCount at = 0;
    for (const ByteCount size : sizes) {
      store::MemoryBody body(as_bytes(content).subspan(at, size));
      const auto number = static_cast<std::uint32_t>(parts.size() + 1);
      parts.push_back({number, store->upload_part(object, upload, number, body), size});
      at += size;
    }
    store->complete_upload(object, upload, parts);
  }

  pack::PackResult pack_from(store::ObjectStore& from, const std::vector<pack::Item>& items) {
    pack::Packer packer(plan(), from, *store, world, log, pools, budget);
    return packer.pack(items, {});
  }
  /// "bad" is what the store says cannot be, and alone has failed.
  void expect_only_bad_failed(const pack::PackResult& result) {
    ASSERT_EQ(result.items.size(), 3U);
    EXPECT_EQ(result.items[0].fate, pack::Fate::packed);
    EXPECT_EQ(result.items[2].fate, pack::Fate::packed);
    ASSERT_EQ(result.items[1].fate, pack::Fate::failed);
    EXPECT_EQ(result.items[1].error->kind(), ErrorKind::corrupt);
    EXPECT_THAT(result.items[1].error->what(), HasSubstr("s3://src-bucket/bad"));
    ASSERT_EQ(result.archives.size(), 1U);
    EXPECT_EQ(objects_in(outbound), 1U);
    EXPECT_THAT(store->list_uploads(outbound), IsEmpty());
  }
  std::string packed_sha256(const pack::PackResult& result, const std::string& key) {
    for (const pack::PackedArchive& each : result.archives) {
      const auto bytes = transfer::open_object_source(*store, {outbound, each.key});
      const auto reader = archive::open_archive(*bytes);
      for (const archive::ManifestObject& object : reader->manifest().objects)
        if (object.key.str() == key) return object.sha256;
    }
    return "not packed";
  }
  static std::string sha256(const std::string& content) { return to_hex_digest(Sha256::of(as_bytes(content))); }

  static constexpr std::size_t small = 1000, large = 300 << 10;  // below and above the frame size of 64 KiB
  OddStore way{*store};  ///< the network: flips a bit as often as `strikes` says
  flow::Retrier retrier{world};
  store::RetryingStore behind{way, retrier};
  int strikes = 0;
  ByteCount struck_from = 0;  ///< of an object in ranges: those from here on
};

TEST_F(SourceDamage, InTheStoreFailsTheObjectAlone) {
  for (const std::size_t size : {small, large}) {
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      const std::string content = noise(size, static_cast<int>(size + at));
      put("a", noise(10, 1));
      put("bad", content);
      put("z", noise(200 << 10, 3));
      rot(content, at);
      const pack::PackResult result = pack({item("a"), item("bad"), item("z")});
      expect_only_bad_failed(result);
      for (const pack::PackedArchive& archive : result.archives) store->remove({outbound, archive.key});
    }
  }
}

TEST_F(SourceDamage, OfAnObjectUploadedInPartsIsNoticedByTheEtagOfItsParts) {
  const std::string content = noise(store::min_part_bytes + 1000, 7);
  put_in_parts("bad", content, {store::min_part_bytes, 1000});
  put("a", "1");
  put("z", "2");
  EXPECT_EQ(pack({item("bad")}).items[0].fate, pack::Fate::packed);
  for (const store::ListedObject& each : store->list(outbound, {}).objects) store->remove({outbound, each.key});
  rot(content, content.size() - 1);
  expect_only_bad_failed(pack({item("a"), item("bad"), item("z")}));
}

TEST_F(SourceDamage, OnTheWayIsReadAgain) {
  for (const std::size_t size : {small, large}) {
    const std::string content = noise(size, static_cast<int>(size));
    put("bad", content);
    strikes = 1;
    const pack::PackResult result = pack_from(behind, {item("bad")});
    EXPECT_EQ(strikes, 0);
    ASSERT_EQ(result.items[0].fate, pack::Fate::packed) << size << ' ' << result.items[0].error->what();
    EXPECT_EQ(packed_sha256(result, "bad"), sha256(content));
    put("a", "1");
    put("z", "2");
    for (const store::ListedObject& each : store->list(outbound, {}).objects) store->remove({outbound, each.key});
    strikes = 1000;
    expect_only_bad_failed(pack_from(behind, {item("a"), item("bad"), item("z")}));
  }
}

TEST_F(SourceDamage, OfARangeIsNoticedByAChecksumOfTheWholeAsByTheEtag) {
  for (const bool by_etag : {false, true}) {
    const std::string content = noise(large, by_etag ? 9 : 10);
    store::ObjectAttributes attributes;  // of an encrypted object the ETag says nothing, the checksum does
    if (!by_etag) attributes.kms_key_arn = "arn:aws:kms:eu-west-1:000000000000:key/1";
    put("bad", content, attributes);
    put("a", "1");
    put("z", "2");
    const std::vector<pack::Item> items{item("a"), item("bad"), item("z")};
    way.head_ = [&](const ObjectAddress& object) {
      auto info = store->head(object);
      if (by_etag) info->checksum.reset();
      return info;
    };
    strikes = 0;
    const pack::PackResult sound = pack_from(behind, items);
    EXPECT_EQ(packed_sha256(sound, "bad"), sha256(content));
    for (const store::ListedObject& each : store->list(outbound, {}).objects) store->remove({outbound, each.key});
    struck_from = 100 << 10;  // a range in the middle
    strikes = 1000;
    expect_only_bad_failed(pack_from(behind, items));
    for (const store::ListedObject& each : store->list(outbound, {}).objects) store->remove({outbound, each.key});
  }
}

TEST_F(SourceDamage, IsNotKnownWhereTheStoreGivesNoEvidence) {
  const std::string content = noise(2 * store::min_part_bytes + 1, 11);
  put_in_parts("bad", content, {store::min_part_bytes, store::min_part_bytes + 1});  // unlike ones
  rot(content, 5);
  EXPECT_EQ(pack({item("bad")}).items[0].fate, pack::Fate::packed);
}

TEST_F(SourceDamage, ATornObjectIsReadAnewThoughTheConditionIsDropped) {
  for (const std::size_t size : {small, large}) {
    const std::string old = noise(size, 20), fresh = noise(size, 21);
    put("torn", old);
    const pack::Item announced = item("torn");
    int gets = 0;
    way.get_ = [&](const ObjectAddress& object, const std::optional<store::ByteRange>& range,
                   const store::ReadConditions&) {
      if (++gets == (size == small ? 1 : 3)) put("torn", fresh);
      return store->get(object, range, {});  // as a proxy that passes no If-Match on
    };
    const pack::PackResult result = pack_from(behind, {announced});
    ASSERT_EQ(result.items[0].fate, pack::Fate::packed);
    EXPECT_EQ(packed_sha256(result, "torn"), sha256(fresh));
  }
}

TEST_F(SourceDamage, ThatWasLandedOnceIsFoundByReadingTheDestination) {
  const std::string content = noise(small, 30), damaged = noise(small, 31);
  put("a", damaged);
  const pack::Item announced = item("a");
  // As an earlier program packed it: damaged bytes, with the ETag of the sound ones.
  const pack::PackResult result = pack({announced});
  const ObjectAddress made{outbound, result.archives.at(0).key};
  put("a", content);
  EXPECT_THAT(land(bring_to_inbound(made.key)).failures, IsEmpty());
  const ObjectAddress file{catalog, store->list(catalog, {}).objects.at(0).key};
  std::vector<bale::catalog::Record> rows;
  bale::catalog::read_file_text(*read(catalog, file.key.str()),
                                [&](bale::catalog::Record row) { rows.push_back(std::move(row)); });
  ASSERT_EQ(rows.size(), 1U);
  rows[0].etag = item("a").etag;
  const std::string text = bale::catalog::to_file_text(rows);
  store::MemoryBody body(as_bytes(text));
  store->put(file, body, {});
  std::vector<check::Finding> findings;
  flow::Progress progress;
  check::Options options;
  options.read_data = check::Share{};
  const auto run = [&](store::ObjectStore* asked) {
    findings.clear();
    check::Report report([&](const check::Finding& finding) { findings.push_back(finding); }, progress);
    const check::Tools tools{pools, budget, outside.clock, outside.stop.get_token()};
    check::check_destinations({{store.get(), catalog, region, src, "", "", {{&target, copy}}, asked}}, options, tools,
                              report);
    return report.counts();
  };
  EXPECT_EQ(run(store.get()).damage, 1U);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_THAT(findings[0].what, HasSubstr("before it was packed"));
  EXPECT_EQ(run(nullptr).destination_unknown, 1U) << "without the source nobody knows";
}

}  // namespace
}  // namespace bale::testing
