#include "catalog/record.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

Record full_record() {
  Record record;
  record.backup_file = "backup_1753329108085_0a1b2c3d.tar.zst";
  record.backup_time = from_epoch_ms(1753329108000);
  record.source_bucket = BucketName("src");
  record.source_prefix = "docs";
  record.object_name = "a.txt";
  record.object_path = ObjectKey("docs/x/a.txt");
  record.object_size = 42;
  record.last_modified = from_epoch_ms(1753329100123);
  record.target_buckets = {BucketName("vault"), BucketName("vault-2")};
  record.source_region = Region("us-west-2");
  record.archive_bucket = BucketName("vault");
  record.archive_key = ObjectKey("src/docs/backup_1753329108085_0a1b2c3d.tar.zst");
  record.archive_etag = ETag("0123456789abcdef0123456789abcdef");
  record.version_id = VersionId("v9");
  record.sequencer = "00AA";
  record.etag = ETag("abc");
  record.sha256 = std::string(64, 'f');
  record.storage_class = "STANDARD_IA";
  record.headers.content_type = "text/plain";
  record.metadata = {{"k", "v"}};
  record.tags = {{"t", "u"}};
  record.location = archive::MemberLocation{100, 200, 512};
  return record;
}

TEST(CatalogRecord, LineHasTheDocumentedFields) {
  EXPECT_EQ(to_json_line(full_record()),
            R"({"backup_file":"backup_1753329108085_0a1b2c3d.tar.zst","backup_timestamp":1753329108,)"
            R"("backup_date":"2025-07-24","source_bucket":"src","source_prefix":"docs","object_name":"a.txt",)"
            R"("object_path":"docs/x/a.txt","object_size":42,"creation_time":"2025-07-24 03:51:40",)"
            R"("creation_date":"2025-07-24","target_buckets":["vault","vault-2"],"source_region":"us-west-2",)"
            R"("archive_bucket":"vault","archive_key":"src/docs/backup_1753329108085_0a1b2c3d.tar.zst",)"
            R"("archive_etag":"0123456789abcdef0123456789abcdef","event":"put",)"
            R"("version_id":"v9","sequencer":"00AA","etag":"abc","sha256":")" +
                std::string(64, 'f') +
                R"(","storage_class":"STANDARD_IA","last_modified":1753329100123,)"
                R"("headers":{"content_type":"text/plain"},"metadata":{"k":"v"},"tags":{"t":"u"},)"
                R"("frame_offset":100,"frame_length":200,"frame_skip":512})");
}

TEST(CatalogRecord, IsReadBackWhole) {
  EXPECT_EQ(parse_json_line(to_json_line(full_record())), full_record());
  Record deletion;
  deletion.backup_file = "b";
  deletion.source_bucket = BucketName("src");
  deletion.object_path = ObjectKey("k\nl");
  deletion.deleted = true;
  deletion.last_modified = from_epoch_ms(5);
  EXPECT_EQ(parse_json_line(to_json_line(deletion)), deletion);
}

TEST(CatalogRecord, WhatIsNotUtf8IsKeptByteForByte) {
  Record record = full_record();
  record.source_prefix = "d\xff";
  record.object_name = "\xfe.txt";
  record.object_path = ObjectKey("d\xff/\xfe.txt");
  record.archive_key = ObjectKey("src/d\xff/backup.tar.zst");
  record.headers.content_disposition = "attachment; filename=\xe4";
  record.metadata = {{"who", "J\xfcrgen"}};
  const std::string line = to_json_line(record);
  EXPECT_NE(line.find(R"("object_path":"d\\xff/\\xfe.txt","object_path_base64":"ZP8v/i50eHQ=")"), std::string::npos)
      << line;
  EXPECT_EQ(parse_json_line(line), record);
}

TEST(CatalogRecord, ANameOfTheUsersThatEndsInBase64IsNoEncoding) {
  Record record = full_record();
  record.metadata = {{"icon", "a.png"}, {"icon_base64", "aGVsbG8="}, {"x_base64", "not base64"}};
  record.tags = {{"k", "v"}, {"k_base64", ""}};
  EXPECT_EQ(parse_json_line(to_json_line(record)), record);
}

TEST(CatalogRecord, RowsOfTheReferenceAreRead) {
  const Record record = parse_json_line(
      R"({"backup_file":"0123.tar.zst","backup_timestamp":1753329108.085,"backup_date":"2025-07-24",)"
      R"("source_bucket":"src",)"
      R"("source_prefix":"","object_name":"a","object_path":"a","object_size":3,"creation_time":"2025-07-01 10:00:00",)"
      R"("creation_date":"2025-07-01","target_buckets":["vault"]})");
  EXPECT_EQ(record.object_path.str(), "a");
  EXPECT_EQ(to_timestamp(record.last_modified), "2025-07-01 10:00:00");
  EXPECT_FALSE(record.location.has_value());
  EXPECT_FALSE(record.deleted);
}

TEST(CatalogRecord, TakesWholeNumbersWithAFraction) {
  const auto size_of = [](const std::string& number) {
    return parse_json_line(R"({"backup_file":"f","source_bucket":"b","object_path":"p","object_size":)" + number + "}")
        .object_size;
  };
  EXPECT_EQ(size_of("5.0"), 5u);
  EXPECT_EQ(size_of("0.0"), 0u);
  EXPECT_EQ(size_of("1.5e3"), 1500u);
  EXPECT_EQ(size_of("4294967296.0"), 4294967296u);
  for (const char* number : {"5.5", "-1.0", "1e300", "\"5\"", "true"}) EXPECT_THROW(size_of(number), Error) << number;
}

TEST(CatalogRecord, ASizeThatIsNotSaidIsUnknown) {
  const std::string start = R"({"backup_file":"f","source_bucket":"b","object_path":"p")";
  for (const std::string& rest : {std::string(R"(,"object_size":null})"), std::string("}")}) {
    const Record record = parse_json_line(start + rest);
    EXPECT_FALSE(record.object_size) << rest;
    EXPECT_NE(to_json_line(record).find(R"("object_size":null,)"), std::string::npos);
    EXPECT_EQ(parse_json_line(to_json_line(record)), record);
  }
  EXPECT_EQ(parse_json_line(start + R"(,"object_size":0})").object_size, 0U);
}

TEST(CatalogRecord, ATimeThatIsNotSaidIsTheDay) {
  const Record record = parse_json_line(
      R"({"backup_file":"f","source_bucket":"b","object_path":"p","backup_timestamp":null,"backup_date":"2025-07-24",)"
      R"("creation_time":null,"creation_date":"2025-07-01"})");
  EXPECT_EQ(to_timestamp(record.backup_time), "2025-07-24 00:00:00");
  EXPECT_EQ(to_timestamp(record.last_modified), "2025-07-01 00:00:00");
}

TEST(CatalogRecord, SaysWhichMemberIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"nonsense", "not a JSON object"},
      {"[]", "not a JSON object"},
      {R"({"source_bucket":"b","object_path":"p"})", "backup_file"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":7})", "object_path"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","object_size":-1})", "object_size"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","event":"move"})", "event"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","backup_timestamp":253402300800})", "timestamp"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","frame_offset":1})", "frame_length"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","tags":{"a":1}})", "tags"},
      {R"({"backup_file":"f","source_bucket":"b","object_path":"p","object_path_base64":"*"})", "object_path_base64"},
  };
  for (const auto& [line, member] : cases) {
    try {
      parse_json_line(line);
      ADD_FAILURE() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_NE(std::string(error.what()).find(member), std::string::npos) << error.what();
    }
  }
}

TEST(CatalogKey, IsPartitionedByTheDateOfTheBackup) {
  const TimePoint time = parse_time("2025-01-23T23:59:59Z");
  EXPECT_EQ(catalog_key(BucketName("src"), "docs/x", time, "b.tar.zst").str(),
            "src/docs/x/year=2025/month=01/day=23/b.tar.zst.jsonl");
  EXPECT_EQ(catalog_key(BucketName("src"), "", time, "b.tar.zst").str(),
            "src/year=2025/month=01/day=23/b.tar.zst.jsonl");
}

}  // namespace
}  // namespace bale::catalog
