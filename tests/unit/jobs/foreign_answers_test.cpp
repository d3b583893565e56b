// What source, relay and target make of answers that S3 did not give: an event is never done on a proxy's word.
#include <gtest/gtest.h>

#include "cloud/enforcing_store.hpp"
#include "cloud/s3_store.hpp"
#include "contract/errors.hpp"
#include "jobs/relay/relay.hpp"
#include "store/retrying_store.hpp"
#include "support/scripted_server.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

const std::string no_key = answer(404, "<Error><Code>NoSuchKey</Code></Error>");
const http::Headers s3{{"x-amz-request-id", "r"}};

/// What answers in the place of S3: to HEAD, and to everything else.
struct Impostor {
  const char* name;
  std::string head, others;
};

/// Names the parameter in the names of tests.
void PrintTo(const Impostor& impostor, std::ostream* out) { *out << impostor.name; }

const std::vector<Impostor>& impostors() {
  static const std::vector<Impostor> all{
      {"page", answer(404), answer(404, "404 page not found\n", {{"Content-Type", "text/plain"}})},
      {"html", answer(404), answer(404, "<html><body>Not Found</body></html>", {{"Content-Type", "text/html"}})},
      {"empty", answer(404), answer(404)},
      {"gateway", answer(404),
       answer(404, R"({"message":"no Route matched"})", {{"Content-Type", "application/json"}})},
      {"other_xml", answer(404), answer(404, "<Fault><Code>NoSuchKey</Code></Fault>")},
      {"half_forwarded", answer(404, "", s3), answer(404, "404 page not found\n", s3)},
      {"portal", answer(200, "", {{"Content-Type", "text/html"}}), answer(200, "<html>log in</html>")},
      {"redirect", answer(302, "", {{"Location", "http://portal"}}), answer(302, "", {{"Location", "http://portal"}})},
      {"blocked", answer(403), answer(403, "<html>blocked</html>")},
  };
  return all;
}

class ForeignAnswersTo : public ReplicationKit, public ::testing::WithParamInterface<Impostor> {
 protected:
  ForeignAnswersTo() {
    outside.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                     {"AWS_SECRET_ACCESS_KEY", "secret"},
                                     {"AWS_EC2_METADATA_DISABLED", "true"},
                                     {"HOME", outside.path("home").string()}};
  }
  /// The store as the job sees it, with its retries.
  store::RetryingStore& behind(const Impostor& impostor) {
    server_ = ScriptedServer::answering(
        [impostor](const Received& request) { return request.method == "HEAD" ? impostor.head : impostor.others; });
    session_ = std::make_unique<cloud::Session>(world, os::system_processes(),
                                                cloud::SessionOptions{.endpoint_url = server_->url()});
    s3_ = std::make_unique<cloud::S3Store>(*session_, region);
    enforcing_ = std::make_unique<cloud::EnforcingStore>(*s3_, world.clock);
    retrying_ = std::make_unique<store::RetryingStore>(*enforcing_, retrier_);
    return *retrying_;
  }
  pack::PackResult pack_from(store::ObjectStore& from, const std::vector<pack::Item>& items) {
    pack::Packer packer(plan(), from, *store, world, log, pools, budget);
    return packer.pack(items, {});
  }
  relay::RelayResult relay_from(store::ObjectStore& from) {
    return relay::relay_archive(
        configuration(), region, archive_, [&](const Region&) -> store::ObjectStore& { return from; }, connections,
        budget, world, log);
  }
  land::LandResult land_from(store::ObjectStore& from) {
    const auto records = backend->records(region);
    const config::ReplicationConfig config = configuration();
    land::Lander lander(config, region, from, *records, world, log, pools, budget);
    return lander.land({inbound, archive_.key}, {});
  }
  static pack::Item announced(bool with_etag) {
    pack::Item made;
    made.key = ObjectKey("k");
    made.size = 3;
    if (with_etag) made.etag = ETag("900150983cd24fb0d6963f7d28e17f72");
    return made;
  }

  const ObjectAddress archive_{outbound, ObjectKey("a.tar.zst")};
  flow::Retrier retrier_{world, {.max_attempts = 2}};
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<cloud::Session> session_;
  std::unique_ptr<cloud::S3Store> s3_;
  std::unique_ptr<cloud::EnforcingStore> enforcing_;
  std::unique_ptr<store::RetryingStore> retrying_;
};

INSTANTIATE_TEST_SUITE_P(Impostors, ForeignAnswersTo, ::testing::ValuesIn(impostors()),
                         [](const auto& impostor) { return std::string(impostor.param.name); });

TEST_P(ForeignAnswersTo, TheSourceLeaveTheEventInPlace) {
  for (const bool with_etag : {true, false}) {
    const pack::PackResult result = pack_from(behind(GetParam()), {announced(with_etag)});
    ASSERT_EQ(result.items[0].fate, pack::Fate::failed) << with_etag;
    EXPECT_EQ(result.items[0].error->kind(), ErrorKind::unavailable);
    EXPECT_EQ(objects_in(outbound), 0U);
  }
}

TEST_P(ForeignAnswersTo, TheRelayLeaveTheEventInPlace) {
  store::ObjectStore& from = behind(GetParam());
  EXPECT_EQ(error_of([&] { relay_from(from); }).kind(), ErrorKind::unavailable);
}

TEST_P(ForeignAnswersTo, TheTargetLeaveTheEventInPlace) {
  store::ObjectStore& from = behind(GetParam());
  EXPECT_EQ(error_of([&] { land_from(from); }).kind(), ErrorKind::unavailable);
}

using AnswersOfS3 = ForeignAnswersTo;
INSTANTIATE_TEST_SUITE_P(S3, AnswersOfS3, ::testing::Values(Impostor{"absent", answer(404, "", s3), no_key}),
                         [](const auto& impostor) { return std::string(impostor.param.name); });

TEST_P(AnswersOfS3, ThatTheObjectIsGoneAreBelieved) {
  for (const bool with_etag : {true, false})
    EXPECT_EQ(pack_from(behind(GetParam()), {announced(with_etag)}).items[0].fate, pack::Fate::gone) << with_etag;
  EXPECT_FALSE(relay_from(behind(GetParam())).was_there);
  EXPECT_FALSE(land_from(behind(GetParam())).was_there);
}

}  // namespace
}  // namespace bale::testing
