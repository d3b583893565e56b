// A listing that is not what S3 would answer ends with an error, and soon.
#include "store/listing.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "base/error.hpp"
#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "store/parallel_listing.hpp"
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

/// Pages of a sorted list of keys, as S3 gives them; requests are counted.
class ListedKeys {
 public:
  explicit ListedKeys(std::vector<std::string> keys) : keys_(std::move(keys)) { std::sort(keys_.begin(), keys_.end()); }
  ListPage list(const ListRequest& request) {
    ++requests;
    const std::string after = std::max(request.start_after, request.continuation);
    ListPage page;
    for (auto key = std::upper_bound(keys_.begin(), keys_.end(), after); key != keys_.end(); ++key) {
      if (!key->starts_with(request.prefix)) continue;
      if (page.objects.size() == request.max_keys) {
        page.next = page.objects.back().key.str();
        break;
      }
      page.objects.push_back({ObjectKey(*key), 1, ETag("e"), {}, "STANDARD"});
    }
    return page;
  }
  std::atomic<int> requests{0};

 private:
  std::vector<std::string> keys_;
};

std::vector<std::string> numbered(int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back(fmt::format("k-{:06}", i));
  return keys;
}

template <typename Item>
std::vector<std::string> all_of(store::Sequence<Item>& sequence) {
  std::vector<std::string> keys;
  while (const Item* const item = sequence.next()) keys.push_back(item->key.str());
  EXPECT_EQ(sequence.next(), nullptr) << "the end stays the end";
  return keys;
}

class SequenceTest : public ListingTest {
 protected:
  void serve(ListedKeys& keys) {
    odd.list_ = [&](const ListRequest& request) { return keys.list(request); };
  }
  const BucketName bucket{"bucket"};
  flow::ThreadPool pool{8, "test"};
};

TEST_F(SequenceTest, GivesWhatWasAskedFor) {
  ListedKeys keys({"a", "b/1", "b/2", "b/3", "b/4", "b/5", "c"});
  serve(keys);
  const auto listed = [&](const store::SequenceOptions& options) {
    store::StreamedListing streamed(odd, bucket, options, pool);
    const auto found = all_of(streamed);
    store::ParallelListing parallel(odd, bucket, options, pool, {.listers = 3});
    EXPECT_EQ(all_of(parallel), found);
    return found;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(listed({.page_keys = 2}), ElementsAre("a", "b/1", "b/2", "b/3", "b/4", "b/5", "c"));
  EXPECT_THAT(listed({.prefix = "b/", .page_keys = 2}), ElementsAre("b/1", "b/2", "b/3", "b/4", "b/5"));
  EXPECT_THAT(listed({.start_after = "b/3", .page_keys = 2}), ElementsAre("b/4", "b/5", "c"));
  EXPECT_THAT(listed({.start_after = "a", .until = "b/3", .page_keys = 2}), ElementsAre("b/1", "b/2", "b/3"));
  EXPECT_THAT(listed({.until = "b/3x", .page_keys = 3}), ElementsAre("a", "b/1", "b/2", "b/3"));
  EXPECT_THAT(listed({.prefix = "z"}), ::testing::IsEmpty());
}

TEST_F(SequenceTest, AsksForNothingBehindItsEnd) {
  ListedKeys keys(numbered(100));
  serve(keys);
  store::StreamedListing listing(odd, bucket, {.until = "k-000019", .page_keys = 10}, pool);
  EXPECT_EQ(all_of(listing).size(), 20u);
  EXPECT_EQ(keys.requests, 2);
  EXPECT_EQ(listing.requests(), 2u);
}

TEST_F(SequenceTest, ReadsABoundedNumberOfPagesAhead) {
  ListedKeys keys(numbered(100));
  serve(keys);
  flow::ThreadPool one(1, "one");
  store::StreamedListing listing(odd, bucket, {.page_keys = 10}, one, 2);
  const auto settled = [&] {  // the only thread has come to what was submitted last
    std::promise<void> done;
    one.submit([&] { done.set_value(); });
    done.get_future().wait();
    return keys.requests.load();
  };
  EXPECT_EQ(settled(), 2);
  listing.next();
  EXPECT_EQ(settled(), 3);
  listing.next();
  EXPECT_EQ(settled(), 3);
}

TEST_F(SequenceTest, AFailedPageIsNeverTheEnd) {
  ListedKeys keys(numbered(1000));
  for (const bool is_parallel : {false, true}) {
    std::atomic<int> calls{0};
    odd.list_ = [&](const ListRequest& request) {
      if (++calls == 7) throw Error(ErrorKind::denied, "no more").with_code("AccessDenied");
      return keys.list(request);
    };
    std::unique_ptr<store::ObjectSequence> listing;
    const store::SequenceOptions options{.page_keys = 10};
    if (is_parallel)
      listing = std::make_unique<store::ParallelListing>(odd, bucket, options, pool, store::ListingSplit{.listers = 4});
    else
      listing = std::make_unique<store::StreamedListing>(odd, bucket, options, pool);
    EXPECT_ERROR(ErrorKind::denied, "AccessDenied", all_of(*listing));
    EXPECT_ERROR(ErrorKind::denied, "AccessDenied", listing->next());
  }
}

TEST_F(SequenceTest, AStopEndsTheListing) {
  ListedKeys keys(numbered(1000));
  serve(keys);
  for (const bool is_parallel : {false, true}) {
    std::stop_source stop;
    std::unique_ptr<store::ObjectSequence> listing;
    const store::SequenceOptions options{.page_keys = 10, .stop = stop.get_token()};
    if (is_parallel)
      listing = std::make_unique<store::ParallelListing>(odd, bucket, options, pool);
    else
      listing = std::make_unique<store::StreamedListing>(odd, bucket, options, pool);
    EXPECT_NE(listing->next(), nullptr);
    stop.request_stop();
    EXPECT_ERROR(ErrorKind::cancelled, "", all_of(*listing));
  }
}

TEST_F(SequenceTest, ManyListersGiveTheSameInTheSameOrder) {
  ListedKeys keys(numbered(20'000));
  serve(keys);
  for (const std::size_t listers : {1u, 2u, 8u}) {
    store::ParallelListing listing(odd, bucket, {.page_keys = 50}, pool, {.listers = listers});
    const auto found = all_of(listing);
    EXPECT_EQ(found.size(), 20'000u);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  }
}

TEST_F(SequenceTest, AServerThatIgnoresTheStartIsRefused) {
  ListedKeys keys(numbered(1000));
  odd.list_ = [&](ListRequest request) {
    request.start_after.clear();
    return keys.list(request);
  };
  store::StreamedListing streamed(odd, bucket, {.start_after = "k-000500"}, pool);
  EXPECT_ERROR(ErrorKind::corrupt, "", all_of(streamed));
  store::ParallelListing parallel(odd, bucket, {.page_keys = 10}, pool);
  EXPECT_ERROR(ErrorKind::corrupt, "", all_of(parallel));
}

TEST_F(SequenceTest, AListingMayBeGivenUp) {
  ListedKeys keys(numbered(10'000));
  serve(keys);
  store::ParallelListing parallel(odd, bucket, {.page_keys = 10}, pool);
  EXPECT_NE(parallel.next(), nullptr);
  store::StreamedListing streamed(odd, bucket, {.page_keys = 10}, pool);
  EXPECT_NE(streamed.next(), nullptr);
}

TEST_F(SequenceTest, VersionsComeByKeyAndNewestFirst) {
  const auto version = [](const std::string& key, const char* id, int time, bool is_latest) {
    store::ListedVersion made;
    made.key = ObjectKey(key);
    made.version_id = VersionId(id);
    made.last_modified = from_epoch_ms(time);
    made.is_latest = is_latest;
    return made;
  };
  store::VersionPage page;
  page.versions = {version("a", "a1", 1, false), version("b", "b2", 2, true), version("a", "a2", 3, true)};  // as moto
  odd.list_versions_ = [&](const ListRequest&) { return page; };
  store::StreamedVersions listing(odd, bucket, {}, pool);
  std::vector<std::string> ids;
  while (const auto* const each = listing.next()) ids.push_back(each->version_id.str());
  EXPECT_THAT(ids, ::testing::ElementsAre("a2", "a1", "b2"));

  page.versions = {version("x/1", "v", 1, true)};
  store::StreamedVersions elsewhere(odd, bucket, {.prefix = "y/"}, pool);
  EXPECT_ERROR(ErrorKind::corrupt, "", elsewhere.next());
  page.versions = {version("a", "v", 1, true)};
  page.next = "again";
  store::StreamedVersions endless(odd, bucket, {}, pool);
  EXPECT_ERROR(ErrorKind::corrupt, "", all_of(endless));
}

}  // namespace
}  // namespace bale::testing
