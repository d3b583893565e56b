// The record of a raw file: its items, its pages, and who may write it.
#include "jobs/raw/record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "records/item_rules.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::raw {
namespace {

using records::Item;
using records::Value;
using ::testing::ElementsAre;
using testing::FaultTime;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const TimePoint noon = parse_time("2026-11-30T12:00:00Z");

RawRecord full_record() {
  RawRecord record;
  record.id = "x";
  record.backup_status = BackupStatus::failed;
  record.step = Step::upload;
  record.copy = {noon, noon + Milliseconds(1500)};
  record.upload = {noon + Milliseconds(2000), std::nullopt};
  record.created = noon;
  record.updated = noon + Milliseconds(3000);
  record.project = "PRID001";
  record.instrument = "tims1";
  record.month = "2026_11";
  record.layout = "folder";
  record.key_layout = "by_id";
  record.main = "x.d/analysis.tdf_bin";
  record.source_path = "/instruments/tims1/x.d";
  record.pool_path = "/pool/tims1/2026_11";
  record.region = Region("eu-central-1");
  record.bucket = BucketName("alphakraken-prid001");
  record.s3_backup_key = "x/";
  record.s3_etag = ETag("d41d8cd98f00b204e9800998ecf8427e-2");
  FileRecord file;
  file.name = "x.d/analysis.tdf_bin";
  file.source = "orig.d/analysis.tdf_bin";
  file.key = ObjectKey("x/x.d/analysis.tdf_bin");
  file.size = 600'000'000;
  file.modified = noon;
  file.state = FileState::uploading;
  file.md5 = "d41d8cd98f00b204e9800998ecf8427e";
  file.etag = ETag("d41d8cd98f00b204e9800998ecf8427e-2");
  file.part_bytes = 500ULL << 20;
  file.crc64nvme = 0xAE8B14860A799888;
  file.version_id = VersionId("v1");
  file.upload_id = UploadId("u1");
  file.upload_token = "t1";
  record.files = {file, {}};
  record.files[1].name = record.files[1].source = "x.d/empty";
  record.empty_folders = {"x.d/nothing"};
  record.attempts = 2;
  record.last_error = LastError{ErrorKind::timeout, "RequestTimeout", "no answer", Step::upload, noon};
  record.purged = noon;
  return record;
}

RawRecord with_files(std::size_t count) {
  RawRecord record = full_record();
  record.files.clear();
  for (std::size_t i = 0; i < count; ++i) {
    FileRecord file;
    file.name = file.source = "x.d/" + std::to_string(i);
    file.key = ObjectKey("x/x.d/" + std::to_string(i));
    file.size = i;
    file.md5 = std::string(32, 'a');
    record.files.push_back(std::move(file));
  }
  return record;
}

TEST(RecordItems, AreAsTheyHaveAlwaysBeen) {
  const RecordItems items = to_items(full_record(), "files#1-");
  EXPECT_THAT(items.pages, IsEmpty());
  EXPECT_EQ(records::to_dynamodb_json(items.record),
            R"({"attempts":{"N":"2"},"backup_status":{"S":"FAILED"},"bucket":{"S":"alphakraken-prid001"},)"
            R"("copy_begun":{"S":"2026-11-30T12:00:00.000Z"},"copy_ended":{"S":"2026-11-30T12:00:01.500Z"},)"
            R"("created":{"S":"2026-11-30T12:00:00.000Z"},"files":{"L":[{"M":{"crc64nvme":{"S":"rosUhgp5mIg="},)"
            R"("etag":{"S":"d41d8cd98f00b204e9800998ecf8427e-2"},"key":{"S":"x/x.d/analysis.tdf_bin"},)"
            R"("md5":{"S":"d41d8cd98f00b204e9800998ecf8427e"},"modified":{"S":"2026-11-30T12:00:00.000Z"},)"
            R"("name":{"S":"x.d/analysis.tdf_bin"},"part_bytes":{"N":"524288000"},"size":{"N":"600000000"},)"
            R"("source":{"S":"orig.d/analysis.tdf_bin"},"state":{"S":"uploading"},"upload_id":{"S":"u1"},)"
            R"("upload_token":{"S":"t1"},"version_id":{"S":"v1"}}},{"M":{"name":{"S":"x.d/empty"},"size":{"N":"0"},)"
            R"("state":{"S":"planned"}}},{"M":{"folder":{"BOOL":true},"name":{"S":"x.d/nothing"}}}]},"id":{"S":"x"},)"
            R"("instrument":{"S":"tims1"},"key_layout":{"S":"by_id"},"last_error":{"M":{)"
            R"("at":{"S":"2026-11-30T12:00:00.000Z"},"code":{"S":"RequestTimeout"},"kind":{"S":"timeout"},)"
            R"("message":{"S":"no answer"},"step":{"S":"upload"}}},"layout":{"S":"folder"},)"
            R"("main":{"S":"x.d/analysis.tdf_bin"},"month":{"S":"2026_11"},"part":{"S":"record"},)"
            R"("pool_path":{"S":"/pool/tims1/2026_11"},"project":{"S":"PRID001"},)"
            R"("purged":{"S":"2026-11-30T12:00:00.000Z"},"region":{"S":"eu-central-1"},"s3_backup_key":{"S":"x/"},)"
            R"("s3_etag":{"S":"d41d8cd98f00b204e9800998ecf8427e-2"},"size":{"N":"600000000"},)"
            R"("source_path":{"S":"/instruments/tims1/x.d"},"step":{"S":"upload"},)"
            R"("updated":{"S":"2026-11-30T12:00:03.000Z"},"upload_begun":{"S":"2026-11-30T12:00:02.000Z"}})");
}

TEST(RecordItems, ComeBackAsTheyWere) {
  for (const RawRecord& record : {full_record(), with_files(0), with_files(10), with_files(5000)}) {
    const RecordItems items = to_items(record, "files#1-");
    EXPECT_EQ(from_items(items.record, items.pages), record);
  }
  RawRecord least;
  least.id = "x";
  EXPECT_EQ(from_items(to_items(least, "files#1-").record, {}), least);
}

TEST(RecordItems, AreSmallEnoughForTheStoreAndForHeartbeats) {
  const RecordItems items = to_items(with_files(20'000), "files#1-");
  EXPECT_GT(items.pages.size(), 20u);
  EXPECT_LT(records::item_size(items.record), 16u << 10);
  for (const Item& page : items.pages) EXPECT_LT(records::item_size(page), records::max_item_bytes);
  EXPECT_EQ(page_names(items.record).size(), items.pages.size());
}

TEST(RecordItems, PagesAreCalledAfterTheirContent) {
  RawRecord record = with_files(2000);
  const auto before = page_names(to_items(record, "files#1-").record);
  record.files[1999].state = FileState::uploaded;
  const auto after = page_names(to_items(record, "files#1-").record);
  ASSERT_EQ(before.size(), after.size());
  EXPECT_NE(before.back(), after.back());
  EXPECT_TRUE(std::equal(before.begin(), before.end() - 1, after.begin())) << "the others are not written again";
}

TEST(RecordItems, AMissingPageIsNotTakenForFewerFiles) {
  RecordItems items = to_items(with_files(2000), "files#1-");
  items.pages.erase(items.pages.begin());
  EXPECT_ERROR(ErrorKind::corrupt, "", from_items(items.record, items.pages));
}

TEST(RecordItems, KeepTheLimitsOfTheirMembers) {
  const auto limit = [](const auto& change) {
    RawRecord record = full_record();
    change(record);
    return [record] { to_items(record, "files#1-"); };
  };
  limit([](RawRecord& record) { record.s3_backup_key = std::string(1024, 'k'); })();
  limit([](RawRecord& record) { record.s3_etag = ETag(std::string(128, 'e')); })();
  EXPECT_ERROR(ErrorKind::invalid, "",
               limit([](RawRecord& record) { record.s3_backup_key = std::string(1025, 'k'); })());
  EXPECT_ERROR(ErrorKind::invalid, "",
               limit([](RawRecord& record) { record.s3_etag = ETag(std::string(129, 'e')); })());
  EXPECT_ERROR(ErrorKind::invalid, "",
               limit([](RawRecord& record) { record.files[0].name = std::string(1025, 'n'); })());
}

TEST(RecordItems, AnErrorIsCutBetweenCharacters) {
  const LastError error = last_error(
      Error(ErrorKind::denied, std::string(1020, 'x') + "\xE2\x82\xAC\xE2\x82\xAC").with_code("AccessDenied"),
      Step::upload, noon);
  EXPECT_EQ(error.message, std::string(1020, 'x') + "...");
  EXPECT_EQ(error.code, "AccessDenied");
  EXPECT_EQ(last_error(Error(ErrorKind::denied, "short"), Step::copy, noon).message, "short");
}

TEST(RecordItems, WhatIsDamagedIsNotKnown) {
  Item item = to_items(full_record(), "files#1-").record;
  for (auto& [name, value] : item)
    if (name != "id") value = Value(true);
  const RawRecord record = from_items(item, {});
  RawRecord expected;
  expected.id = "x";
  EXPECT_EQ(record, expected);
}

TEST(PipelineRecord, IsReadWithoutBelievingThatAnythingIsUploaded) {
  const RawRecord record = from_pipeline_json(R"({"_id": "x.raw", "project_id": "PRID001", "instrument_id": "astral1",
      "created_at": {"$date": "2025-07-01T10:00:00Z"}, "status": "done", "backup_status": "upload_done",
      "s3_upload_path": "s3://alphakraken-prid001/x/", "size": 123.0,
      "file_info": {"x.raw": [{"$numberLong": "9000000000"}, "d41d8cd98f00b204e9800998ecf8427e"],
                    "y.raw": [12.0, "aa", "bb-3__100"]}})");
  EXPECT_EQ(record.id, "x.raw");
  EXPECT_EQ(record.project, "PRID001");
  EXPECT_EQ(record.instrument, "astral1");
  EXPECT_EQ(record.created, parse_time("2025-07-01 10:00:00"));
  EXPECT_EQ(record.backup_status, BackupStatus::done);
  EXPECT_EQ(record.bucket.str(), "alphakraken-prid001");
  EXPECT_EQ(record.s3_backup_key, "x/");
  ASSERT_THAT(record.files, SizeIs(2));
  EXPECT_EQ(record.files[0].size, 9'000'000'000u);
  EXPECT_EQ(record.files[0].md5, "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_TRUE(record.files[0].etag.empty());
  EXPECT_EQ(record.files[0].state, FileState::planned);
  EXPECT_EQ(record.files[1].size, 12u);
  EXPECT_EQ(record.files[1].etag.str(), "bb-3");
  EXPECT_EQ(record.files[1].part_bytes, 100ULL << 20);
}

TEST(PipelineRecord, WhatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", "{\"_id\": 5}", "\"x\"", "{\"$oid\": \"x\"}", "{\"_id\": \"x\""})
    EXPECT_ERROR(ErrorKind::invalid, "", from_pipeline_json(text));
  EXPECT_EQ(from_pipeline_json(R"({"name": "x", "created_at": {"$date": 9999999999999999}})").id, "x");
  EXPECT_EQ(from_pipeline_json(R"({"id": "x", "s3_upload_path": "s3://"})").bucket.str(), "");
}

class RawRecordsTest : public ::testing::Test {
 protected:
  RawRecordsTest() { raw.create_table(); }
  std::unique_ptr<records::Lease> lease(const std::string& id = "x", const records::HasEnded& has_ended = {}) {
    return records::acquire_lease(store, raw.lease_place(id), {"host", 1, "run", "", ""}, {}, outside.clock,
                                  outside.entropy, has_ended);
  }
  std::unique_ptr<records::Lease> take_over() {
    return lease("x", [](const records::LeaseHolder&) { return true; });
  }
  /// Names of the pages of "x" that are there.
  std::vector<std::string> stored_pages() {
    std::vector<std::string> names;
    for (const Item& item : inner->query(table, {.partition = Value("x"), .sort_prefix = "files#"}).items)
      names.push_back(std::get<std::string>(item.at("part").data));
    return names;
  }
  static std::vector<std::string> sorted(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
  }

  testing::FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<records::RecordStore> inner = backend->records(Region("eu-west-1"));
  testing::FaultyRecords store{*inner};
  const TableName table{"bale-raw"};
  RawRecords raw{store, table};
};

TEST_F(RawRecordsTest, KeepsARecordAndSaysWhoWorksOnIt) {
  EXPECT_FALSE(raw.get("x"));
  auto held = lease();
  EXPECT_FALSE(raw.get("x")) << "a lease is no record";
  RawRecord record = full_record();
  record.created = {};
  raw.save(record, *held, noon);
  EXPECT_EQ(record.created, noon);
  auto stored = raw.get("x");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->record, record);
  EXPECT_EQ(stored->lease->holder.host, "host");
  held->release();
  EXPECT_FALSE(raw.get("x")->lease);
  EXPECT_EQ(raw.get("x")->record, record);
}

TEST_F(RawRecordsTest, WithoutATableThereAreNone) {
  RawRecords none(store, TableName("other"));
  EXPECT_FALSE(none.get("x"));
  none.for_each([](const StoredRecord&) { FAIL(); }, [](const std::string&, const Error&) { FAIL(); });
  none.create_table();
  none.create_table();
  EXPECT_FALSE(none.get("x"));
}

TEST_F(RawRecordsTest, ASaveForgetsWhatIsNotKnownAnyMore) {
  auto held = lease();
  RawRecord record = full_record();
  raw.save(record, *held, noon);
  record = RawRecord{};
  record.id = "x";
  raw.save(record, *held, noon);
  EXPECT_EQ(raw.get("x")->record, record);
  EXPECT_FALSE(raw.get("x")->record.last_error);
}

TEST_F(RawRecordsTest, AttributesOfOthersStay) {
  inner->put(table, {{"id", Value("x")}, {"part", Value("record")}, {"metrics", Value("theirs")}});
  auto held = lease();
  RawRecord record = full_record();
  raw.save(record, *held, noon);
  EXPECT_EQ(inner->get(table, {{"id", Value("x")}, {"part", Value("record")}})->at("metrics"), Value("theirs"));
}

TEST_F(RawRecordsTest, AWriterThatLostItsLeaseCannotWrite) {
  auto frozen = lease();
  RawRecord record = with_files(1000);
  raw.save(record, *frozen, noon);
  auto taker = take_over();
  RawRecord theirs = raw.get("x")->record;
  theirs.backup_status = BackupStatus::done;
  raw.save(theirs, *taker, noon);

  record.backup_status = BackupStatus::in_progress;
  record.files[0].state = FileState::uploaded;
  EXPECT_ERROR(ErrorKind::precondition, "LeaseLost", raw.save(record, *frozen, noon));
  EXPECT_TRUE(frozen->is_lost());
  EXPECT_EQ(raw.get("x")->record, theirs);
}

TEST_F(RawRecordsTest, AWriterThatWasStoppedWritesNothing) {
  auto held = lease();
  RawRecord record = with_files(1000);
  outside.clock.advance(held->duration());
  EXPECT_ERROR(ErrorKind::precondition, "LeaseLost", raw.save(record, *held, noon));
  EXPECT_EQ(store.faults.calls("put"), 0);
  EXPECT_THAT(stored_pages(), IsEmpty());
}

TEST_F(RawRecordsTest, ASaveWritesOnlyPagesThatDiffer) {
  auto held = lease();
  RawRecord record = with_files(2000);
  raw.save(record, *held, noon);
  const int pages = store.faults.calls("put");
  EXPECT_GT(pages, 2);
  raw.save(record, *held, noon);
  EXPECT_EQ(store.faults.calls("put"), pages);
  record.files[1999].state = FileState::uploaded;
  raw.save(record, *held, noon);
  EXPECT_EQ(store.faults.calls("put"), pages + 1);
  EXPECT_EQ(stored_pages(), sorted(record.pages.names)) << "the page before is removed";
  record.files.resize(3);
  raw.save(record, *held, noon);
  EXPECT_THAT(stored_pages(), IsEmpty());
  EXPECT_EQ(raw.get("x")->record, record);
}

TEST_F(RawRecordsTest, PagesOfASaveThatFailedAreRemovedByTheNextOwner) {
  auto held = lease();
  RawRecord record = with_files(1000);
  raw.save(record, *held, noon);
  RawRecord changed = record;
  for (FileRecord& file : changed.files) file.state = FileState::uploaded;
  store.faults.arm("update", "bale-raw", Error(ErrorKind::unavailable, "no answer"));
  EXPECT_ERROR(ErrorKind::unavailable, "", raw.save(changed, *held, noon));
  EXPECT_GT(stored_pages().size(), record.pages.names.size());
  EXPECT_EQ(raw.get("x")->record, record) << "what was not acknowledged is not seen";

  auto next = take_over();
  record = raw.get("x")->record;
  raw.save(record, *next, noon);
  EXPECT_EQ(stored_pages(), sorted(record.pages.names));
  EXPECT_EQ(raw.get("x")->record, record);
}

TEST_F(RawRecordsTest, ASaveWhosePagesCannotBeRemovedIsASave) {
  auto held = lease();
  RawRecord record = with_files(1000);
  raw.save(record, *held, noon);
  record.files[0].state = FileState::uploaded;
  store.faults.arm("remove", "bale-raw", Error(ErrorKind::unavailable, "no answer"));
  raw.save(record, *held, noon);
  EXPECT_EQ(raw.get("x")->record, record);
  raw.save(record, *held, noon);
  EXPECT_EQ(stored_pages(), sorted(record.pages.names));
}

TEST_F(RawRecordsTest, ASaveWhoseAnswerIsLostCanBeRepeated) {
  auto held = lease();
  RawRecord record = with_files(1000);
  raw.save(record, *held, noon);
  RawRecord changed = record;
  changed.files[0].state = FileState::uploaded;
  store.faults.arm("update", "bale-raw", Error(ErrorKind::unavailable, "no answer"), 1, FaultTime::after);
  EXPECT_ERROR(ErrorKind::unavailable, "", raw.save(changed, *held, noon));
  EXPECT_EQ(raw.get("x")->record.files, changed.files);
  raw.save(record, *held, noon);
  EXPECT_EQ(raw.get("x")->record.files, record.files);
}

TEST_F(RawRecordsTest, AllRecordsAreVisitedAndDamagedOnesTold) {
  for (const char* id : {"a", "b", "c"}) {
    auto held = lease(id);
    RawRecord record = with_files(1000);
    record.id = id;
    raw.save(record, *held, noon);
  }
  auto only_held = lease("d");
  const auto broken = raw.get("b")->record.pages.names.front();
  inner->remove(table, {{"id", Value("b")}, {"part", Value(broken)}});
  std::vector<std::string> visited, told;
  raw.for_each([&](const StoredRecord& stored) { visited.push_back(stored.record.id); },
               [&](const std::string& id, const Error&) { told.push_back(id); });
  EXPECT_EQ(sorted(visited), (std::vector<std::string>{"a", "c"}));
  EXPECT_THAT(told, ElementsAre("b"));
}

}  // namespace
}  // namespace bale::raw
