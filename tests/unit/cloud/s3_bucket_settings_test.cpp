// What the S3 kind of bucket settings asks for, and what it makes of refusals that no server of the contract suite
// gives.
#include "cloud/s3_bucket_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::cloud {
namespace {

using testing::answer;
using ::testing::HasSubstr;
using testing::Received;
using testing::ScriptedServer;

class S3BucketSettingsTest : public ::testing::Test {
 protected:
  S3BucketSettingsTest() {
    world_.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_EC2_METADATA_DISABLED", "true"},
                                    {"HOME", world_.path("home").string()}};
    session_ =
        std::make_unique<Session>(outside_, os::system_processes(), SessionOptions{.endpoint_url = server_->url()});
    settings_ = std::make_unique<S3BucketSettings>(*session_, Region("eu-west-1"));
  }
  std::string reply(const Received&) {
    const std::scoped_lock lock(mutex_);
    return next_;
  }
  void on_any(std::string text) {
    const std::scoped_lock lock(mutex_);
    next_ = std::move(text);
  }
  void refuse(int status, const std::string& code) {
    on_any(answer(status, "<Error><Code>" + code + "</Code></Error>"));
  }
  Received last() const { return server_->requests().back(); }

  const BucketName bucket_{"b"};
  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  std::mutex mutex_;
  std::string next_ = answer(200, "", {{"x-amz-request-id", "r"}});
  std::unique_ptr<ScriptedServer> server_ = ScriptedServer::answering([this](const Received& r) { return reply(r); });
  std::unique_ptr<Session> session_;
  std::unique_ptr<S3BucketSettings> settings_;
};

TEST_F(S3BucketSettingsTest, TakesARefusalForNoneOnlyWhereItSaysSo) {
  refuse(404, "ServerSideEncryptionConfigurationNotFoundError");
  EXPECT_EQ(settings_->get_encryption(bucket_), std::nullopt);
  EXPECT_EQ(last().target, "/b?encryption");
  EXPECT_EQ(testing::error_of([&] { settings_->get_tags(bucket_); }).kind(), ErrorKind::not_found);
  refuse(404, "NoSuchPublicAccessBlockConfiguration");
  EXPECT_EQ(settings_->get_public_access_block(bucket_), store::PublicAccessBlock{});
  refuse(404, "NoSuchLifecycleConfiguration");
  EXPECT_EQ(settings_->get_lifecycle(bucket_), store::Lifecycle{});
  refuse(404, "NoSuchTagSet");
  EXPECT_TRUE(settings_->get_tags(bucket_).empty());
  for (const auto& [status, code, kind] :
       {std::tuple(404, "NoSuchBucket", ErrorKind::not_found), std::tuple(403, "AccessDenied", ErrorKind::denied),
        std::tuple(503, "SlowDown", ErrorKind::throttled)}) {
    refuse(status, code);
    EXPECT_ERROR(kind, code, settings_->get_encryption(bucket_));
    EXPECT_ERROR(kind, code, settings_->get_public_access_block(bucket_));
    EXPECT_ERROR(kind, code, settings_->get_lifecycle(bucket_));
    EXPECT_ERROR(kind, code, settings_->get_tags(bucket_));
    EXPECT_ERROR(kind, code, settings_->set_tags(bucket_, {}));
  }
  on_any(answer(404, "<html>not here</html>"));
  EXPECT_EQ(testing::error_of([&] { settings_->get_lifecycle(bucket_); }).kind(), ErrorKind::unavailable);
}

TEST_F(S3BucketSettingsTest, RemovesWhatIsSetToNothing) {
  settings_->set_lifecycle(bucket_, {});
  EXPECT_EQ(last().method + last().target, "DELETE/b?lifecycle");
  settings_->set_tags(bucket_, {});
  EXPECT_EQ(last().method + last().target, "DELETE/b?tagging");
}

TEST_F(S3BucketSettingsTest, SendsTheSizeOfTransitionsBackThatWasRead) {
  on_any(answer(200, "<LifecycleConfiguration><Rule><ID>x</ID><Odd/></Rule></LifecycleConfiguration>",
                {{"x-amz-transition-default-minimum-object-size", "varies_by_storage_class"}}));
  const store::Lifecycle read = settings_->get_lifecycle(bucket_);
  on_any(answer(200, "", {{"x-amz-request-id", "r"}}));
  settings_->set_lifecycle(bucket_, with_rule(read, {.id = "own", .abort_uploads_days = 7}));
  EXPECT_EQ(last().headers.get("x-amz-transition-default-minimum-object-size"), "varies_by_storage_class");
  EXPECT_THAT(last().body, HasSubstr("<Rule><ID>x</ID><Odd></Odd></Rule><Rule><ID>own</ID>"));
  settings_->set_lifecycle(bucket_, {.rules = {{.id = "own", .abort_uploads_days = 7}}});
  EXPECT_EQ(last().headers.find("x-amz-transition-default-minimum-object-size"), nullptr);
}

TEST_F(S3BucketSettingsTest, NamesTheExpectedOwner) {
  settings_->expect_owner(bucket_, "111122223333");
  settings_->set_public_access_block(bucket_, store::PublicAccessBlock::all());
  EXPECT_EQ(last().headers.get("x-amz-expected-bucket-owner"), "111122223333");
  settings_->set_public_access_block(BucketName("other"), store::PublicAccessBlock::all());
  EXPECT_EQ(last().headers.find("x-amz-expected-bucket-owner"), nullptr);
}

}  // namespace
}  // namespace bale::cloud
