// What is readable, what has to be requested, and what that costs.
#include "jobs/bucket/glacier.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "contract/errors.hpp"

namespace bale::bucket {
namespace {

using namespace bale::literals;
using std::chrono::hours;

const TimePoint now = parse_time("2025-01-23T12:00:00Z");

store::ListedObject listed(const char* storage_class, std::optional<store::ListedRestore> restore = {}) {
  store::ListedObject object;
  object.storage_class = storage_class;
  object.restore = std::move(restore);
  return object;
}

store::ObjectInfo headed(const char* storage_class, const char* restore = "", const char* archive_status = "") {
  store::ObjectInfo info;
  info.storage_class = storage_class;
  info.restore = restore;
  info.archive_status = archive_status;
  return info;
}

TEST(Readiness, OfAListing) {
  for (const char* readable : {"STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "REDUCED_REDUNDANCY"})
    EXPECT_EQ(readiness_of(listed(readable), true, now), Readiness::readable) << readable;
  for (const char* archive : {"GLACIER", "DEEP_ARCHIVE"}) {
    EXPECT_EQ(readiness_of(listed(archive), true, now), Readiness::archived);
    EXPECT_EQ(readiness_of(listed(archive), false, now), Readiness::unknown) << "this server's listings tell nothing";
    EXPECT_EQ(readiness_of(listed(archive, store::ListedRestore{true, {}}), false, now), Readiness::coming);
    EXPECT_EQ(readiness_of(listed(archive, store::ListedRestore{false, now + hours(1)}), true, now),
              Readiness::readable);
    EXPECT_EQ(readiness_of(listed(archive, store::ListedRestore{false, now - hours(1)}), true, now),
              Readiness::archived)
        << "the copy has expired";
  }
  EXPECT_EQ(readiness_of(listed("INTELLIGENT_TIERING"), true, now), Readiness::unknown);
}

TEST(Readiness, OfAHead) {
  EXPECT_EQ(readiness_of(headed("GLACIER_IR"), now), Readiness::readable);
  EXPECT_EQ(readiness_of(headed("GLACIER"), now), Readiness::archived);
  EXPECT_EQ(readiness_of(headed("GLACIER", "ongoing-request=\"true\""), now), Readiness::coming);
  const char* const until_friday = "ongoing-request=\"false\", expiry-date=\"Fri, 24 Jan 2025 00:00:00 GMT\"";
  EXPECT_EQ(readiness_of(headed("DEEP_ARCHIVE", until_friday), now), Readiness::readable);
  EXPECT_EQ(readiness_of(headed("DEEP_ARCHIVE", until_friday), now + hours(24)), Readiness::archived);
  EXPECT_EQ(readiness_of(headed("INTELLIGENT_TIERING"), now), Readiness::readable);
  EXPECT_EQ(readiness_of(headed("INTELLIGENT_TIERING", "", "ARCHIVE_ACCESS"), now), Readiness::archived);
  EXPECT_EQ(readiness_of(headed("INTELLIGENT_TIERING", "ongoing-request=\"true\"", "DEEP_ARCHIVE_ACCESS"), now),
            Readiness::coming);
}

TEST(Archive, OfClassAndStatus) {
  EXPECT_EQ(archive_of("GLACIER", ""), Archive::glacier);
  EXPECT_EQ(archive_of("DEEP_ARCHIVE", ""), Archive::deep_archive);
  EXPECT_EQ(archive_of("GLACIER_IR", ""), std::nullopt);
  EXPECT_EQ(archive_of("INTELLIGENT_TIERING", ""), std::nullopt);
  EXPECT_EQ(archive_of("INTELLIGENT_TIERING", "ARCHIVE_ACCESS"), Archive::tiering_access);
  EXPECT_EQ(archive_of("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS"), Archive::tiering_deep_access);
  EXPECT_EQ(days_for(Archive::glacier, 3), 3);
  EXPECT_EQ(days_for(Archive::tiering_access, 3), 0) << "INTELLIGENT_TIERING refuses days";
  EXPECT_TRUE(has_tier(Archive::glacier, Tier::expedited));
  EXPECT_FALSE(has_tier(Archive::deep_archive, Tier::expedited));
}

TEST(Tiers, AreReadInAnyCase) {
  EXPECT_EQ(parse_tier("bulk"), Tier::bulk);
  EXPECT_EQ(to_string(parse_tier("EXPEDITED")), "Expedited");
  EXPECT_ERROR(ErrorKind::invalid, "", parse_tier("fast"));
}

TEST(RestoreDollars, AreThoseOfThePriceList) {
  // 1 TiB in 1,000 objects for 30 days: 0.01 a GiB, 0.05 for the requests, 0.023 a GiB for the readable copies.
  RestoreEstimate standard(Tier::standard, 30);
  for (int i = 0; i < 1024; ++i) standard.add(Archive::glacier, 1_GiB);
  EXPECT_NEAR(standard.dollars(), 1024 * (0.01 + 0.00005 + 0.023), 1e-6);
  EXPECT_EQ(standard.objects(), 1024U);
  EXPECT_EQ(standard.wait(), hours(5));
  RestoreEstimate bulk(Tier::bulk, 1);
  bulk.add(Archive::deep_archive, 1_GiB);
  EXPECT_NEAR(bulk.dollars(), 0.0025 + 0.000025 + 0.023 / 30, 1e-9);
  EXPECT_EQ(bulk.wait(), hours(48));
  RestoreEstimate tiering(Tier::standard, 30);
  tiering.add(Archive::tiering_deep_access, 1_GiB);
  EXPECT_EQ(tiering.dollars(), 0) << "INTELLIGENT_TIERING charges nothing for it";
  EXPECT_EQ(RestoreEstimate(Tier::standard, 1).wait().count(), 0);
}

TEST(CopyDollars, CountWhatInfrequentAccessCharges) {
  EXPECT_NEAR(copy_dollars("STANDARD", "STANDARD", 1_GiB), 0.0054 / 1000, 1e-9);
  EXPECT_NEAR(copy_dollars("GLACIER_IR", "STANDARD", 1_GiB), 0.03 + 0.0054 / 1000, 1e-9);
  EXPECT_NEAR(copy_dollars("STANDARD_IA", "STANDARD_IA", 0), 0.0104 / 1000, 1e-9);
}

}  // namespace
}  // namespace bale::bucket
