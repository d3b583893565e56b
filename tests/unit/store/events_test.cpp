#include "store/events.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

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

std::string changed(std::string_view text, const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string result(text);
  for (const auto& [from, to] : changes) result.replace(result.find(from), from.size(), to);
  return result;
}

/// As RGW 16.2.15 pushed it, shortened: the key is not encoded, and the sequencer is a struct of two numbers in hex.
constexpr std::string_view ceph_event =
    R"({"Records":[{"eventVersion":"2.2","eventSource":"ceph:s3","awsRegion":"",
  "eventTime":"2026-11-21T18:27:15.623615Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"test"},
  "s3":{"s3SchemaVersion":"1.0","configurationId":"all","bucket":{"name":"bbb","arn":"arn:aws:s3:::bbb"},
  "object":{"key":"a b+c/\u00fc%41","size":1,"eTag":"9dd4e461268c8034f5c8564e155c67a6","versionId":"",
  "sequencer":"83E2016BE9F6FB25","metadata":[],"tags":[]}},"eventId":"1","opaqueData":""}]})";

TEST(Notification, ReadsTheEventsOfCeph) {
  const ObjectEvent event = parse_notification(ceph_event).events.at(0);
  EXPECT_EQ(event.bucket.str(), "bbb");
  EXPECT_EQ(event.key.str(), "a b+c/\xC3\xBC%41");
  EXPECT_EQ(event.etag.str(), "9dd4e461268c8034f5c8564e155c67a6");
  EXPECT_TRUE(event.version_id.empty());
  EXPECT_EQ(event.sequencer, "6B01E28325FBF6E9");
  EXPECT_EQ(event.time, parse_time("2026-11-21T18:27:15.623Z"));
}

TEST(Notification, CephsSequencersAreBroughtIntoTheOrderOfTime) {
  const auto at = [](const char* time, const char* sequencer) {
    return parse_notification(changed(ceph_event, {{"2026-11-21T18:27:15", time}, {"83E2016BE9F6FB25", sequencer}}))
        .events.at(0);
  };
  const ObjectEvent first = at("2026-11-21T18:29:19", "FFE2016BFFFFFF00");
  const ObjectEvent second = at("2026-11-21T18:29:19", "FFE2016B00000001");
  const ObjectEvent third = at("2026-11-21T18:29:20", "00E3016B00000000");
  EXPECT_TRUE(is_newer(second, first));
  EXPECT_TRUE(is_newer(third, second));
  EXPECT_TRUE(is_newer(third, first));
  EXPECT_FALSE(is_newer(first, third));
  EXPECT_EQ(at("2026-11-21T18:27:15", "6B01E28325FBF6E9").sequencer, "6B01E28325FBF6E9") << "a big-endian machine";
  EXPECT_EQ(at("2020-11-21T18:27:15", "83E2016BE9F6FB25").sequencer, "6B01E28325FBF6E9") << "an old object expired";
  EXPECT_EQ(at("2026-11-21T18:27:15", "83E2016B").sequencer, "");
  EXPECT_EQ(at("2026-11-21T18:27:15", "83E2016BE9F6FB2x").sequencer, "");
}

/// As MinIO documents and sends it: "s3:" in front of the name, the slashes of the key encoded too.
TEST(Notification, ReadsTheEventsOfMinio) {
  const std::string text = R"({"EventName":"s3:ObjectCreated:Put","Key":"photos/in/red flower.jpg","Records":[{
    "eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"","eventTime":"2018-10-26T11:18:32.500Z",
    "eventName":"s3:ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","configurationId":"Config",
    "bucket":{"name":"photos","arn":"arn:aws:s3:::photos"},"object":{"key":"in%2Fred+flower%2B1.jpg","size":629648,
    "eTag":"b7ce786cd89b182bfd5ae765557bbc37","contentType":"image/jpeg","sequencer":"15612487A9DF732C"}},
    "source":{"host":""}}]})";
  const ObjectEvent event = parse_notification(text).events.at(0);
  EXPECT_EQ(event.key.str(), "in/red flower+1.jpg");
  EXPECT_EQ(event.size, 629648U);
  EXPECT_EQ(event.sequencer, "15612487A9DF732C");
  EXPECT_FALSE(event.deleted);
  EXPECT_TRUE(parse_notification(changed(text, {{"s3:ObjectCreated:Put\",\"s3", "s3:ObjectRemoved:Delete\",\"s3"}}))
                  .events.at(0)
                  .deleted);
  EXPECT_TRUE(parse_notification(changed(text, {{"s3:ObjectCreated:Put\",\"s3", "s3:ObjectAccessed:Get\",\"s3"}}))
                  .events.empty());
}

/// What a topic makes of a message, unless it delivers it raw.
std::string through_a_topic(std::string_view message) {
  return nlohmann::json{{"Type", "Notification"},
                        {"MessageId", "1"},
                        {"TopicArn", "arn:aws:sns:us-west-2:000000000000:t"},
                        {"Subject", "Amazon S3 Notification"},
                        {"Message", message},
                        {"Timestamp", "2024-01-01T00:00:00.000Z"},
                        {"SignatureVersion", "1"}}
      .dump();
}

TEST(Notification, ATopicWithRawDeliveryOrWithoutMakesNoDifference) {
  for (const std::string_view raw : {put_event, ceph_event}) {
    const ObjectEvent plain = parse_notification(raw).events.at(0);
    const ObjectEvent wrapped = parse_notification(through_a_topic(raw)).events.at(0);
    EXPECT_EQ(wrapped.key, plain.key);
    EXPECT_EQ(wrapped.sequencer, plain.sequencer);
    EXPECT_EQ(wrapped.time, plain.time);
  }
  EXPECT_TRUE(parse_notification(through_a_topic(R"({"Service":"Amazon S3","Event":"s3:TestEvent"})")).is_test);
}

/// The example of the S3 user guide, shortened; its keys are not encoded.
constexpr std::string_view bridged_event =
    R"({"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3",
  "time":"1970-01-01T00:00:02Z","region":"ca-central-1","detail":{"version":"0","bucket":{"name":"photos"},
  "object":{"key":"a+b c%41","size":5,"etag":"b1946ac92492d2347c6235b4d2611184","version-id":"v2",
  "sequencer":"00617F08299329D189"},"reason":"PutObject"}})";

TEST(Notification, ReadsWhatEventBridgePassesOn) {
  for (const std::string& text : {std::string(bridged_event), through_a_topic(bridged_event)}) {
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
    EXPECT_FALSE(event.deleted);
  }
  EXPECT_TRUE(parse_notification(changed(bridged_event, {{"Object Created", "Object Tags Added"}})).events.empty());
}

TEST(Notification, ReadsTheDeletionsThatEventBridgePassesOn) {
  const auto deletion = [](const char* type, const char* version) {
    return parse_notification(changed(
        bridged_event,
        {{"Object Created", "Object Deleted"},
         {R"("version-id":"v2",)", version},
         {R"("reason":"PutObject")", std::string(R"("reason":"DeleteObject","deletion-type":")") + type + "\""}}));
  };
  EXPECT_TRUE(deletion("Permanently Deleted", "").events.at(0).deleted);
  const ObjectEvent marker = deletion("Delete Marker Created", R"("version-id":"m",)").events.at(0);
  EXPECT_TRUE(marker.deleted);
  EXPECT_EQ(marker.version_id.str(), "m");
  const ObjectEvent old = deletion("Permanently Deleted", R"("version-id":"old",)").events.at(0);
  EXPECT_TRUE(old.ask_source) << "another version may be there";
  EXPECT_FALSE(old.deleted);
}

TEST(Notification, TheVersionNullNamesNoContent) {
  EXPECT_EQ(parse_notification(changed(put_event, {{R"("v1")", R"("null")"}})).events.at(0).version_id, VersionId());
  EXPECT_EQ(parse_notification(changed(bridged_event, {{R"("v2")", R"("null")"}})).events.at(0).version_id,
            VersionId());
}

TEST(Notification, KnowsBothFormsOfTheTestEvent) {
  EXPECT_TRUE(parse_notification(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"})").is_test);
  EXPECT_TRUE(parse_notification(R"({"Records":[{"eventName":"s3:TestEvent"}]})").is_test);
}

TEST(Notification, LeavesOutWhatIsNeitherCreationNorDeletion) {
  const auto with_name = [](const std::string& name, const std::string& version = "v1") {
    return parse_notification(changed(put_event, {{"ObjectCreated:Put", name}, {R"("v1")", '"' + version + '"'}}));
  };
  for (const char* other : {"ObjectTagging:Put", "ObjectAcl:Put", "ObjectRestore:Completed", "LifecycleTransition",
                            "Replication:OperationFailedReplication", "ObjectLifecycle:Expiration:NonCurrent"})
    EXPECT_TRUE(with_name(other).events.empty()) << other;
  EXPECT_TRUE(
      parse_notification(R"({"Records":[{"eventSource":"aws:s3","eventName":"ObjectTagging:Put"}]})").events.empty());
  for (const char* created : {"ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Copy", "ObjectCreated:Post"})
    EXPECT_FALSE(with_name(created).events.at(0).deleted) << created;
  for (const char* deleted : {"ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:DeleteMarkerCreated",
                              "ObjectLifecycle:Expiration:Current"})
    EXPECT_TRUE(with_name(deleted).events.at(0).deleted) << deleted;
  for (const char* removed : {"ObjectRemoved:Delete", "LifecycleExpiration:Delete"}) {
    EXPECT_TRUE(with_name(removed, "").events.at(0).deleted) << removed;
  }
  EXPECT_TRUE(with_name("LifecycleExpiration:Delete").events.empty()) << "never of the current version";
}

TEST(Notification, ARemovedVersionSaysThatTheSourceHasToBeAsked) {
  for (const char* version : {"v1", "null"}) {
    const ObjectEvent event = parse_notification(changed(put_event, {{"ObjectCreated:Put", "ObjectRemoved:Delete"},
                                                                     {R"("v1")", '"' + std::string(version) + '"'}}))
                                  .events.at(0);
    EXPECT_TRUE(event.ask_source) << version;
    EXPECT_FALSE(event.deleted);
    EXPECT_TRUE(event.version_id.empty() && event.etag.empty());
    EXPECT_EQ(event.sequencer, "0055AED6DCD90281E5");
  }
}

TEST(Notification, RefusesNamesThatNothingCanHave) {
  const std::vector<std::pair<std::string, std::string>> changes[] = {
      {{R"("name":"photos")", R"("name":"../photos")"}},
      {{R"("name":"photos")", R"("name":"")"}},
      {{R"("name":"photos")", R"("name":"a b")"}},
      {{R"("name":"photos")", R"("name":")" + std::string(300, 'b') + '"'}},
      {{"red+flower", std::string(10'000, 'k')}},
      {{R"("v1")", R"("v 1")"}},
      {{R"("v1")", '"' + std::string(2000, 'v') + '"'}},
      {{"d41d8cd98f00b204e9800998ecf8427e", "d41d\\r\\nx"}},
      {{"d41d8cd98f00b204e9800998ecf8427e", std::string(100'000, 'e')}},
      {{"0055AED6DCD90281E5", std::string(2 << 20, 'F')}},
      {{"0055AED6DCD90281E5", "00;55"}},
  };
  for (const auto& change : changes) {
    EXPECT_THROW(parse_notification(changed(put_event, change)), Error) << change[0].second.substr(0, 60);
  }
}

TEST(Notification, TakesNoSequencerThatS3DoesNotWrite) {
  const std::vector<std::string> not_hexadecimal{"zzzz", std::string(128, 'g'), "-1", "0x55", "00.55"};
  for (const std::string& none : not_hexadecimal) {
    const auto event = parse_notification(changed(put_event, {{"0055AED6DCD90281E5", none}}));
    EXPECT_EQ(event.events.at(0).sequencer, "") << none << ": the times decide";
  }
  const auto event = parse_notification(changed(put_event, {{"0055AED6DCD90281E5", "0055aed6dcd90281e5"}}));
  EXPECT_EQ(event.events.at(0).sequencer, "0055AED6DCD90281E5");
}

TEST(Notification, TakesNoSizeThatNoObjectHas) {
  for (const char* size : {"4611686018427387904", "18446744073709551615", "-1", "1e30", "\"1024\""}) {
    const auto event = parse_notification(changed(put_event, {{R"("size":1024)", R"("size":)" + std::string(size)}}));
    EXPECT_EQ(event.events.at(0).size, 0U) << size;
  }
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

TEST(Notification, RefusesWhatNestsTooDeep) {
  const auto nested = [](std::string_view opened, std::string_view closed) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += opened;
    text += "1";
    for (int i = 0; i < 200'000; ++i) text += closed;
    return text;
  };
  const std::string arrays = nested("[", "]"), objects = nested(R"({"Records":)", "}");
  const std::string wrapped = nlohmann::json{{"Type", "Notification"}, {"TopicArn", "t"}, {"Message", objects}}.dump();
  for (const std::string& text : {arrays, objects, R"({"Records":)" + arrays + "}", wrapped}) {
    try {
      parse_notification(text);
      ADD_FAILURE() << text.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid) << text.substr(0, 40);
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

TEST(SourceOrder, InOneSecondAnEventIsLaterThanABackfill) {
  const SourceOrder backfill{"", from_epoch_ms(1000)}, event{"02", from_epoch_ms(1000)};
  EXPECT_TRUE(event.is_after(backfill));
  EXPECT_FALSE(backfill.is_after(event));
  EXPECT_FALSE(backfill.is_after(backfill));
}

}  // namespace
}  // namespace bale::store
