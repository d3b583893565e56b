// Records come back out of a list as they went in, and take little room in it.
#include "catalog/record_list.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bale::catalog {
namespace {

/// As landing writes them: 1,000 records of an archive.
Record usual(std::size_t i) {
  Record record;
  record.backup_file = "backup_1737623107250_" + std::to_string(i / 1000) + ".tar.zst";
  record.backup_time = from_epoch_ms(1'737'623'107'000);
  record.source_bucket = BucketName("instruments");
  record.source_prefix = "raw";
  record.object_path = ObjectKey("raw/2025-01-23/run-42/frame-" + std::to_string(1'000'000 + i) + ".tif");
  record.object_name = basename(record.object_path.str());
  record.object_size = 10'000 + i;
  record.last_modified = from_epoch_ms(1'737'623'000'123 + static_cast<std::int64_t>(i));
  record.target_buckets = {BucketName("vault-us"), BucketName("vault-eu")};
  record.source_region = Region("eu-central-1");
  record.archive_bucket = BucketName("vault-us");
  record.archive_key = ObjectKey("instruments/raw/" + record.backup_file);
  record.archive_etag = ETag("0123456789abcdef0123456789abcdef-12");
  record.version_id = VersionId("3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY");
  record.sequencer = "0055AED6DCD90281E5";
  record.etag = ETag("d41d8cd98f00b204e9800998ecf8427e");
  record.sha256 = std::string(64, 'a');
  record.storage_class = "STANDARD";
  record.headers.content_type = "image/tiff";
  record.location = archive::MemberLocation{i * 100, 5000, i};
  return record;
}

TEST(RecordList, RecordsComeBack) {
  std::vector<Record> records;
  for (std::size_t i = 0; i < 5; ++i) records.push_back(usual(i));
  records[1].object_path = ObjectKey("slash/");
  records[1].object_name = "another";
  records[1].source_bucket = BucketName("second");
  records[2] = Record();
  records[2].object_path = ObjectKey(std::string("\xff\0\n", 3));
  records[2].deleted = true;
  records[3].headers = {"a", "b", "c", "d", "e", "f", "g"};
  records[3].metadata = {{"", "empty"}, {"long", std::string(3 << 20, 'x')}};
  records[3].tags = {{"team", "n\xc3\xb6rd"}, {"z", ""}};
  records[3].location.reset();
  records[3].target_buckets.clear();
  records[4].backup_time = from_epoch_ms(-1);
  RecordList list;
  EXPECT_TRUE(list.empty());
  for (const Record& record : records) list.add(record);
  const RecordList moved = std::move(list);
  ASSERT_EQ(moved.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(moved[i], records[i]) << i;
    EXPECT_EQ(moved[i].archive_etag, records[i].archive_etag) << i;
    EXPECT_EQ(moved.object_path(i), records[i].object_path.str()) << i;
    EXPECT_EQ(moved.object_size(i), records[i].object_size) << i;
    EXPECT_EQ(moved.last_modified(i), records[i].last_modified) << i;
    EXPECT_EQ(moved.location(i).has_value(), records[i].location.has_value()) << i;
  }
}

TEST(RecordList, ARecordTakesFewHundredBytes) {
  constexpr std::size_t count = 20'000;
  RecordList list;
  for (std::size_t i = 0; i < count; ++i) list.add(usual(i));
  EXPECT_LT(list.memory(), count * 400);
  EXPECT_EQ(list[count - 1], usual(count - 1));
}

}  // namespace
}  // namespace bale::catalog
