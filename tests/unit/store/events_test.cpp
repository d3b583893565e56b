#include "store/events.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/sequencer_order.hpp"

namespace bale::store {
namespace {

/// The example of the S3 user guide's event structure, shortened.
constexpr std::string_view put_event =
    R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2",
  "eventTime":"1970-01-01T00:00:01.500Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"X"},
  "s3":{"s3SchemaVersion":"1.0","configurationId":"rule","bucket":{"name":"photos","arn":"arn:aws:s3:::photos"},
  "object":{"key":"red+flower%2B1.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"v1",
  "sequencer":"0055AED6DCD90281E5"}}}]})";

TEST(Notification, ReadsAPutWithItsKeyDecoded) {
  const Notification notification = parse_notification(put_event);
  ASSERT_EQ(notification.events.size(), 1U);
  const ObjectEvent& event = notification.events[0];
  EXPECT_EQ(event.bucket.str(), "photos");
  EXPECT_EQ(event.key.str(), "red flower+1.jpg");
  EXPECT_EQ(event.size, 1024U);
  EXPECT_EQ(event.etag.str(), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(event.version_id.str(), "v1");
  EXPECT_EQ(event.sequencer, "0055AED6DCD90281E5");
  EXPECT_EQ(event.time, from_epoch_ms(1500));
  EXPECT_FALSE(event.deleted);
  EXPECT_FALSE(notification.is_test);
}

TEST(Notification, ReadsTheEventsOfCephAndMinio) {
  for (const auto& [source, name] : {std::pair("ceph:s3", "ObjectCreated:Put"), {"minio:s3", "s3:ObjectCreated:Put"}}) {
    std::string text(put_event);
    text.replace(text.find("aws:s3"), 6, source);
    text.replace(text.find("ObjectCreated:Put"), 17, name);
    const Notification notification = parse_notification(text);
    ASSERT_EQ(notification.events.size(), 1U) << source;
    EXPECT_EQ(notification.events[0].key.str(), "red flower+1.jpg");
  }
}

TEST(Notification, UnwrapsWhatCameThroughATopic) {
  const std::string text = nlohmann::json{
      {"Type", "Notification"},
      {"MessageId", "1"},
      {"TopicArn", "arn:aws:sns:us-west-2:000000000000:t"},
      {"Message", put_event}}.dump();
  const Notification notification = parse_notification(text);
  ASSERT_EQ(notification.events.size(), 1U);
  EXPECT_EQ(notification.events[0].key.str(), "red flower+1.jpg");
  const std::string test_event = R"({"Type":"Notification","TopicArn":"t","Message":"{\"Event\":\"s3:TestEvent\"}"})";
  EXPECT_TRUE(parse_notification(test_event).is_test);
}

/// The example of the S3 user guide, shortened; its keys are not encoded.
TEST(Notification, ReadsWhatEventBridgePassesOn) {
  const std::string text = R"({"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3",
    "time":"1970-01-01T00:00:02Z","region":"ca-central-1","detail":{"version":"0","bucket":{"name":"photos"},
    "object":{"key":"a+b c%41","size":5,"etag":"b1946ac92492d2347c6235b4d2611184","version-id":"v2",
    "sequencer":"00617F08299329D189"},"reason":"PutObject"}})";
  const Notification notification = parse_notification(text);
  ASSERT_EQ(notification.events.size(), 1U);
  const ObjectEvent& event = notification.events[0];
  EXPECT_EQ(event.bucket.str(), "photos");
  EXPECT_EQ(event.key.str(), "a+b c%41");
  EXPECT_EQ(event.size, 5U);
  EXPECT_EQ(event.etag.str(), "b1946ac92492d2347c6235b4d2611184");
  EXPECT_EQ(event.version_id.str(), "v2");
  EXPECT_EQ(event.sequencer, "00617F08299329D189");
  EXPECT_EQ(event.time, from_epoch_ms(2000));
  std::string removed = text;
  removed.replace(removed.find("Object Created"), 14, "Object Deleted");
  EXPECT_TRUE(parse_notification(removed).events.at(0).deleted);
  std::string other = text;
  other.replace(other.find("Object Created"), 14, "Object Tags Added");
  EXPECT_TRUE(parse_notification(other).events.empty());
}

TEST(Notification, KnowsBothFormsOfTheTestEvent) {
  EXPECT_TRUE(parse_notification(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"})").is_test);
  EXPECT_TRUE(parse_notification(R"({"Records":[{"eventName":"s3:TestEvent"}]})").is_test);
}

TEST(Notification, LeavesOutWhatIsNeitherCreationNorRemoval) {
  const std::string text(put_event);
  const auto with_name = [&](const std::string& name) {
    std::string changed = text;
    changed.replace(changed.find("ObjectCreated:Put"), 17, name);
    return parse_notification(changed);
  };
  EXPECT_TRUE(with_name("ObjectTagging:Put").events.empty());
  EXPECT_TRUE(with_name("ObjectRemoved:DeleteMarkerCreated").events.at(0).deleted);
  EXPECT_TRUE(with_name("LifecycleExpiration:Delete").events.at(0).deleted);
  EXPECT_FALSE(with_name("ObjectCreated:CompleteMultipartUpload").events.at(0).deleted);
}

TEST(Notification, RefusesWhatIsNoEvent) {
  for (const std::string_view text : {"", "not json", "[]", "{}", R"({"Records":{}})", R"({"Records":[1]})",
                                      R"({"Records":[{"eventSource":"aws:sqs","eventName":"ObjectCreated:Put"}]})",
                                      R"({"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]})"}) {
    try {
      parse_notification(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid) << text;
    }
  }
}

TEST(Notification, BackfillMessagesAreReadBack) {
  const ObjectEvent first{BucketName("b"),    ObjectKey("a b+c/\xC3\xA9"), false, 7, ETag("e"), VersionId(), "",
                          from_epoch_ms(1234)};
  const ObjectEvent second{BucketName("b"), ObjectKey("x"), false, 0, ETag("f"), VersionId("v"), "", from_epoch_ms(5)};
  const Notification read = parse_notification(make_backfill_message({first, second}, Region("eu-west-1")));
  ASSERT_EQ(read.events.size(), 2U);
  EXPECT_EQ(read.events[0].key, first.key);
  EXPECT_EQ(read.events[0].size, 7U);
  EXPECT_EQ(read.events[0].time, first.time);
  EXPECT_EQ(read.events[0].sequencer, "");
  EXPECT_EQ(read.events[1].version_id.str(), "v");
}

TEST(Sequencer, IsPaddedOnTheRightAndComparedAsText) {
  EXPECT_EQ(compare_sequencers("0055AED6DCD90281E5", "0055AED6DCD90281E5"), 0);
  EXPECT_EQ(compare_sequencers("0055AED6", "0055AED600"), 0);
  EXPECT_LT(compare_sequencers("0055AED6", "0055AED601"), 0);
  EXPECT_GT(compare_sequencers("0056", "0055FF"), 0);
}

TEST(SourceOrder, TimeDecidesWhereASequencerIsMissingOrEqual) {
  const auto at = [](const char* sequencer, int ms) { return SourceOrder{sequencer, from_epoch_ms(ms)}; };
  EXPECT_TRUE(at("02", 1).is_after(at("01", 9)));
  EXPECT_FALSE(at("01", 9).is_after(at("02", 1)));
  EXPECT_TRUE(at("", 9).is_after(at("02", 1)));
  EXPECT_TRUE(at("02", 9).is_after(at("02", 1)));
  EXPECT_FALSE(at("02", 1).is_after(at("02", 1)));
}

}  // namespace
}  // namespace bale::store
