// What can be read now, and what has to be requested.
#include "transfer/archived_object.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"

namespace bale::testing {
namespace {

using store::ListedRestore;
using enum transfer::Access;

TEST(ArchivedObject, TheRestoreHeaderIsParsed) {
  EXPECT_EQ(transfer::parse_restore(""), std::nullopt);
  EXPECT_EQ(transfer::parse_restore("ongoing-request=\"maybe\""), std::nullopt);
  EXPECT_EQ(transfer::parse_restore("ongoing-request"), std::nullopt);
  EXPECT_EQ(transfer::parse_restore("ongoing-request=\"true"), std::nullopt);
  EXPECT_EQ(transfer::parse_restore("ongoing-request=\"true\""), (ListedRestore{.in_progress = true, .expiry = {}}));
  EXPECT_EQ(transfer::parse_restore("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\""),
            (ListedRestore{.in_progress = false, .expiry = parse_time("2012-12-21T00:00:00Z")}));
  EXPECT_EQ(transfer::parse_restore("ongoing-request=\"false\", expiry-date=\"some day\""),
            (ListedRestore{.in_progress = false, .expiry = {}}));
}

TEST(ArchivedObject, TheRestoreHeaderDecidesAndThenTheClass) {
  const auto access = [](const std::string& storage_class, const std::string& restore,
                         const std::string& archive_status = {}) {
    store::ObjectInfo info;
    info.storage_class = storage_class;
    info.restore = restore;
    info.archive_status = archive_status;
    return transfer::access_of(info);
  };
  EXPECT_EQ(access("STANDARD", ""), readable);
  EXPECT_EQ(access("GLACIER_IR", ""), readable);
  EXPECT_EQ(access("GLACIER", ""), archived);
  EXPECT_EQ(access("DEEP_ARCHIVE", ""), archived);
  EXPECT_EQ(access("GLACIER", "ongoing-request=\"true\""), restoring);
  EXPECT_EQ(access("GLACIER", "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\""), readable);
  EXPECT_EQ(access("INTELLIGENT_TIERING", ""), readable);
  EXPECT_EQ(access("INTELLIGENT_TIERING", "", "ARCHIVE_ACCESS"), archived);
  EXPECT_EQ(access("INTELLIGENT_TIERING", "ongoing-request=\"true\"", "DEEP_ARCHIVE_ACCESS"), restoring);
}

TEST(ArchivedObject, AListingTellsAllButIntelligentTiering) {
  const auto access = [](const std::string& storage_class, const std::optional<ListedRestore>& restore = {}) {
    store::ListedObject object;
    object.storage_class = storage_class;
    object.restore = restore;
    return transfer::access_of(object);
  };
  EXPECT_EQ(access("STANDARD"), readable);
  EXPECT_EQ(access("GLACIER_IR"), readable);
  EXPECT_EQ(access("DEEP_ARCHIVE"), archived);
  EXPECT_EQ(access("GLACIER", ListedRestore{.in_progress = true, .expiry = {}}), restoring);
  EXPECT_EQ(access("GLACIER", ListedRestore{.in_progress = false, .expiry = TimePoint{}}), readable);
  EXPECT_EQ(access("INTELLIGENT_TIERING"), std::nullopt);
}

TEST(ArchivedObject, TheUsualWaitIsTold) {
  EXPECT_EQ(transfer::usual_wait("GLACIER", "Standard"), "3 to 5 hours");
  EXPECT_EQ(transfer::usual_wait("GLACIER", "Bulk"), "5 to 12 hours");
  EXPECT_EQ(transfer::usual_wait("GLACIER", "Expedited"), "1 to 5 minutes");
  EXPECT_EQ(transfer::usual_wait("DEEP_ARCHIVE", "Standard"), "up to 12 hours");
  EXPECT_EQ(transfer::usual_wait("DEEP_ARCHIVE", "Bulk"), "up to 48 hours");
  EXPECT_EQ(transfer::usual_wait("DEEP_ARCHIVE", "Expedited"), "");
}

class RestoreRequestTest : public ::testing::Test {
 protected:
  RestoreRequestTest() {
    store_->create_bucket(object_.bucket);
    store::MemoryBody body(as_bytes("x"));
    store::ObjectAttributes attributes;
    attributes.storage_class = "DEEP_ARCHIVE";
    store_->put(object_, body, attributes);
  }
  transfer::RestoreOutcome request(const std::string& tier, const std::string& storage_class = "DEEP_ARCHIVE") {
    return transfer::request_restore(faulty_, object_, {}, storage_class, {.days = 3, .tier = tier});
  }

  FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<store::ObjectStore> store_ = backend_->store(Region("eu-west-1"));
  const ObjectAddress object_{BucketName("bucket"), ObjectKey("cold")};
  FaultyStore faulty_{*store_};
};

TEST_F(RestoreRequestTest, TellsWhatItMet) {
  EXPECT_EQ(request("Bulk"), transfer::RestoreOutcome::requested);
  EXPECT_EQ(transfer::access_of(*store_->head(object_)), readable);
  faulty_.arm("restore", "", Error(ErrorKind::precondition, "busy").with_code("RestoreAlreadyInProgress"));
  EXPECT_EQ(request("Bulk"), transfer::RestoreOutcome::in_progress);
  faulty_.arm("restore", "", Error(ErrorKind::denied, "active").with_code("ObjectAlreadyInActiveTierError"));
  EXPECT_EQ(request("Standard", "INTELLIGENT_TIERING"), transfer::RestoreOutcome::readable);
}

TEST_F(RestoreRequestTest, RefusesWhatCannotBe) {
  EXPECT_ERROR(ErrorKind::invalid, "", request("Expedited"));
  EXPECT_EQ(faulty_.faults.calls("restore"), 0) << "nothing was asked for";
  faulty_.arm("restore", "", Error(ErrorKind::unavailable, "full").with_code("GlacierExpeditedRetrievalNotAvailable"));
  try {
    request("Expedited", "GLACIER");
    ADD_FAILURE() << "it went through";
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("--tier Standard"), std::string::npos);
  }
}

}  // namespace
}  // namespace bale::testing
