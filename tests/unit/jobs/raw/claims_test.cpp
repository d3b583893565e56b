// Names belong to one raw file each; the pool that records name is not made anew; uploads of one host share slots.
#include "jobs/raw/claims.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "jobs/raw/pool.hpp"
#include "jobs/raw/upload_slots.hpp"
#include "support/fake_world.hpp"

namespace bale::raw {
namespace {

class ClaimsTest : public ::testing::Test {
 protected:
  ClaimsTest() { records.create_table(); }

  static RawRecord record_of(const std::string& id, const std::string& pool_path) {
    RawRecord record{.id = id, .source_path = "/instrument/x.raw", .pool_path = pool_path};
    record.bucket = BucketName("lab-p");
    record.s3_backup_key = "x.raw";
    record.files.push_back({.name = "x.raw", .source = "x.raw", .key = ObjectKey("x.raw"), .size = 4});
    return record;
  }
  void save(RawRecord record) {
    const auto lease = records::acquire_lease(*store, records.lease_place(record.id), {"host", 1, "run", "", ""}, {},
                                              outside.clock, outside.entropy);
    records.save(record, *lease, outside.clock.now());
  }
  void claim(const RawRecord& record, const Claims& claims = {}) { claim_names(*store, records, record, claims); }

  testing::FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<records::RecordStore> store = backend->records(Region("eu-west-1"));
  RawRecords records{*store, TableName("raw")};
};

TEST_F(ClaimsTest, ANameBelongsToTheFirstRawFileThatHasARecord) {
  claim(record_of("x", "/pool"));
  claim(record_of("x", "/pool"));
  claim(record_of("x.raw", "/pool"));  // the first one was never recorded
  save(record_of("x.raw", "/pool"));
  EXPECT_ERROR(ErrorKind::precondition, name_of_other_record, claim(record_of("x", "/pool")));
  EXPECT_ERROR(ErrorKind::precondition, key_of_other_record, claim(record_of("x", "/other")));
  claim(record_of("x", "/pool"), {.pool = false, .key = false});
}

TEST_F(ClaimsTest, ClaimsAreNoRecordsAndTakeLongPaths) {
  const std::string path = "/" + std::string(3000, 'p');
  claim(record_of("x", path));
  save(record_of("x", path));
  EXPECT_ERROR(ErrorKind::precondition, name_of_other_record, claim(record_of("y", path)));
  int count = 0;
  records.for_each([&](const StoredRecord&) { ++count; }, [](const std::string&, const Error&) { FAIL(); });
  EXPECT_EQ(count, 1);
}

TEST_F(ClaimsTest, APoolThatARecordNamesIsNotMadeAnew) {
  const os::fs::path pool = outside.path("pool");
  require_pool(*outside.files, pool, records, false);
  EXPECT_TRUE(os::fs::is_directory(pool));
  require_pool(*outside.files, pool, records, false);  // empty, and no record names it
  RawRecord copied = record_of("x", (pool / "i1").native());
  copied.copy.ended = outside.clock.now();
  save(copied);
  EXPECT_ERROR(ErrorKind::unavailable, pool_is_missing, require_pool(*outside.files, pool, records, false));
  os::fs::remove(pool);
  EXPECT_ERROR(ErrorKind::unavailable, pool_is_missing, require_pool(*outside.files, pool, records, false));
  require_pool(*outside.files, pool, records, true);
  outside.write("pool/i1/x.raw", "data");
  require_pool(*outside.files, pool, records, false);
  const os::fs::path nowhere = outside.path("mnt/pool");
  EXPECT_ERROR(ErrorKind::precondition, pool_is_missing, require_pool(*outside.files, nowhere, records, false));
  outside.write("file", "");
  EXPECT_ERROR(ErrorKind::precondition, pool_is_missing,
               require_pool(*outside.files, outside.path("file"), records, true));
}

TEST_F(ClaimsTest, SlotsAreSharedAndWaitedFor) {
  const os::fs::path directory = outside.path("slots");
  auto first = wait_for_slot(*outside.files, outside.clock, directory, 2, {});
  const auto second = wait_for_slot(*outside.files, outside.clock, directory, 2, {});
  EXPECT_TRUE(first && second);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_ERROR(ErrorKind::cancelled, "", wait_for_slot(*outside.files, outside.clock, directory, 2, stop.get_token()));
  first.reset();
  EXPECT_TRUE(wait_for_slot(*outside.files, outside.clock, directory, 2, stop.get_token()));
  EXPECT_FALSE(wait_for_slot(*outside.files, outside.clock, {}, 2, {}));
}

}  // namespace
}  // namespace bale::raw
