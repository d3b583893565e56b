// A listing that is not what S3 would answer ends with an error, and soon.
#include "store/listing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/odd_store.hpp"

namespace bale::testing {
namespace {

using store::ListPage;
using store::ListRequest;
using ::testing::HasSubstr;

class ListingTest : public ::testing::Test {
 protected:
  static ListPage page(const std::vector<std::string>& keys, const std::vector<std::string>& prefixes = {},
                       const std::string& next = {}) {
    ListPage made;
    for (const std::string& key : keys) made.objects.push_back({ObjectKey(key), 1, ETag("e"), {}, "STANDARD"});
    made.common_prefixes = prefixes;
    made.next = next;
    return made;
  }
  /// The words of the error that reading all pages ends with; fails the test after 1,000 pages.
  std::string fault(const ListRequest& request) {
    store::Listing listing(odd, BucketName("bucket"), request);
    try {
      for (int pages = 0; pages < 1000; ++pages) {
        if (!listing.next()) return "";
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_THAT(error.what(), HasSubstr("the server's listing is wrong"));
      EXPECT_THAT(error.where(), HasSubstr("s3://bucket/"));
      return error.what();
    }
    return "endless";
  }

  FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(Region("eu-west-1"));
  OddStore odd{*store};
};

TEST_F(ListingTest, GivesAllPagesOfARightListing) {
  odd.list_ = [](const ListRequest& request) {
    if (request.continuation.empty()) return page({"a/1", "a/2"}, {"a/b/"}, "2");
    if (request.continuation == "2") return page({}, {}, "3");
    return page({"a/z"}, {"a/c/"});
  };
  ListRequest request;
  request.prefix = "a/";
  request.delimiter = "/";
  EXPECT_EQ(fault(request), "");
}

TEST_F(ListingTest, AServerThatIgnoresThePrefixIsRefused) {
  ListRequest request;
  request.prefix = "a/";
  request.delimiter = "/";
  odd.list_ = [](const ListRequest&) { return page({}, {"b/"}); };
  EXPECT_THAT(fault(request), HasSubstr("b/"));
  odd.list_ = [](const ListRequest&) { return page({"b/1"}); };
  EXPECT_THAT(fault(request), HasSubstr("b/1"));
  odd.list_ = [](const ListRequest&) { return page({}, {"a/"}); };
  EXPECT_THAT(fault(request), HasSubstr("no directory below"));
}

TEST_F(ListingTest, PagesThatComeAgainAreRefused) {
  ListRequest request;
  odd.list_ = [](const ListRequest&) { return page({}, {}, "same"); };
  EXPECT_THAT(fault(request), HasSubstr("same page again"));
  int number = 0;
  odd.list_ = [&](const ListRequest&) { return page({"a"}, {}, "token " + std::to_string(++number)); };
  EXPECT_THAT(fault(request), HasSubstr("out of order"));
  odd.list_ = [&](const ListRequest&) { return page({}, {}, "token " + std::to_string(++number)); };
  EXPECT_THAT(fault(request), HasSubstr("are empty"));
}

TEST_F(ListingTest, KeysOutOfOrderOrTooLongAreRefused) {
  odd.list_ = [](const ListRequest&) { return page({"b", "a"}); };
  EXPECT_THAT(fault({}), HasSubstr("out of order"));
  odd.list_ = [](const ListRequest&) { return page({std::string(1025, 'x')}); };
  EXPECT_THAT(fault({}), HasSubstr("1025 bytes"));
}

}  // namespace
}  // namespace bale::testing
