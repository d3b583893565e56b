// What the decorator makes good of what a server ignores, refuses or forgets.
#include "cloud/enforcing_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "embedded/backend.hpp"
#include "store/checksum.hpp"
#include "store/own_write.hpp"
#include "store/retrying_store.hpp"
#include "support/counted_body.hpp"
#include "support/digested_body.hpp"
#include "support/fake_world.hpp"
#include "support/lax_store.hpp"

namespace bale::cloud {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::CountedBody;
using testing::DigestedBody;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const Error passing(ErrorKind::unavailable, "the connection broke");
const store::Tags tags{{"t", "1"}};

/// The decorator over a store that is as lax as the test says, which keeps its objects in an embedded store.
class EnforcingStoreTest : public ::testing::Test {
 protected:
  EnforcingStoreTest() { inner_->create_bucket(bucket_); }

  void keep_versions() { inner_->set_versioning(bucket_, store::Versioning::enabled); }
  ObjectAddress at(const std::string& key) const { return {bucket_, ObjectKey(key)}; }
  /// Writes as another client, past the decorator and the lax store.
  ETag put_by_other(const std::string& key, std::string_view content) {
    store::MemoryBody body(as_bytes(content));
    return inner_->put(at(key), body, {}).etag;
  }
  store::PutResult put(const std::string& content, const store::WriteConditions& conditions) {
    store::MemoryBody body(as_bytes(content));
    return store().put(at("k"), body, {}, conditions);
  }
  std::string content(const std::string& key) { return store::read_all(*inner_->get(at(key)), 1000); }
  std::size_t version_count() { return inner_->list_versions(bucket_, {}).versions.size(); }

  /// Creates an upload of "k" with tags, and uploads its only part.
  UploadId begin(const std::string& text, const store::ObjectAttributes& attributes = {.tags = tags}) {
    const UploadId upload = store().create_upload(at("k"), attributes);
    store::MemoryBody body(as_bytes(text));
    parts_ = {{1, store().upload_part(at("k"), upload, 1, body), text.size()}};
    return upload;
  }
  store::PutResult complete(const UploadId& upload, const store::WriteConditions& conditions = {}) {
    return store().complete_upload(at("k"), upload, parts_, conditions);
  }
  store::Tags tags_of(const std::string& key) { return inner_->get_tags(at(key)); }

  /// Does `work` once, before or after the next call whose text begins like this.
  void once_before(const std::string& call, std::function<void()> work) { lax_.before = once(call, std::move(work)); }
  void once_after(const std::string& call, std::function<void()> work) { lax_.after = once(call, std::move(work)); }
  static std::function<void(const std::string&)> once(const std::string& call, std::function<void()> work) {
    return [call, work, left = 1](const std::string& text) mutable {
      if (text.starts_with(call) && left-- > 0) work();
    };
  }
  static std::function<void()> failing() {
    return [] { throw passing; };
  }
  std::vector<std::string> calls() { return lax_.calls(); }
  store::ObjectStore& store() { return enforcing_; }

  const BucketName bucket_{"bucket"};
  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<store::ObjectStore> inner_ = backend_->store(Region("eu-west-1"));
  testing::LaxStore lax_{*inner_};
  EnforcingStore enforcing_{lax_, outside_.clock};
  std::vector<store::UploadedPart> parts_;
  const store::WriteConditions if_new_{true, {}};
};

// --- Conditions of puts -------------------------------------------------------------------------------------------

TEST_F(EnforcingStoreTest, PutsWithoutVersionsAreLeftToTheServer) {
  put("x", if_new_);
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("x", if_new_));
  put("x", {});
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match", "put k if-none-match", "put k"))
      << "asked once a minute, and only for conditions";
  outside_.clock.advance(std::chrono::minutes(2));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("x", if_new_));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match"));
  store().set_versioning(bucket_, store::Versioning::enabled);
  calls();
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("x", if_new_));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "list_versions")) << "what was known is forgotten";
}

TEST_F(EnforcingStoreTest, IgnoredConditionsOfPutsAreCheckedWhereVersionsAreKept) {
  keep_versions();
  lax_.lax = testing::like_ceph_rgw();
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", put("x", {false, ETag("any")}));
  put("1", if_new_);
  EXPECT_THAT(calls(),
              ElementsAre("get_versioning", "list_versions", "list_versions", "put k if-none-match", "list_versions"));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("2", if_new_));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("2", {false, ETag("other")}));
  EXPECT_THAT(calls(), ElementsAre("list_versions", "list_versions")) << "nothing is written";
  inner_->remove(at("k"));
  put("3", if_new_);
  EXPECT_EQ(content("k"), "3") << "what was deleted is not there";
  put_by_other("k2", "a key that only starts with this one");
  put("4", {false, inner_->head(at("k"))->etag});
  EXPECT_EQ(content("k"), "4");
}

TEST_F(EnforcingStoreTest, PutsAreSentWithoutAConditionThatIsRefusedThoughItHolds) {
  keep_versions();
  const ETag first = put_by_other("k", "1");
  lax_.lax.refuses_put_if_match = true;
  const std::string text = "2";
  CountedBody body(text);
  store().put(at("k"), body, {}, {false, first});
  EXPECT_EQ(content("k"), "2") << "the body is read from its start";
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "list_versions", "put k if-match", "list_versions", "put k",
                                   "list_versions"));
  // Where the condition holds no longer, the refusal was right.
  const ETag second = inner_->head(at("k"))->etag;
  once_before("put k if-match", [&] { put_by_other("k", "3"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("4", {false, second}));
  EXPECT_THAT(calls(), ElementsAre("list_versions", "put k if-match", "list_versions"));
  EXPECT_EQ(content("k"), "3");
}

TEST_F(EnforcingStoreTest, PutsAreTakenBackWhereAnotherWriterCameFirst) {
  keep_versions();
  lax_.lax = testing::like_ceph_rgw();
  once_before("put k", [&] { put_by_other("k", "theirs"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("mine", if_new_));
  EXPECT_EQ(content("k"), "theirs");
  EXPECT_EQ(version_count(), 1U);
  EXPECT_THAT(calls(), Contains("remove k version"));
  // A deletion is another writer's work, too.
  const ETag theirs = inner_->head(at("k"))->etag;
  lax_.before = [&, puts = 0](const std::string& call) mutable {
    if (call.starts_with("put k") && ++puts == 2) inner_->remove(at("k"));
  };
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("mine", {false, theirs}));
  EXPECT_FALSE(inner_->head(at("k")));
}

TEST_F(EnforcingStoreTest, PutsStayWhereAnotherWriterComesLater) {
  keep_versions();
  lax_.lax = testing::like_ceph_rgw();
  once_after("put k", [&] { put_by_other("k", "later"); });
  put("mine", if_new_);
  EXPECT_EQ(version_count(), 2U);
  EXPECT_EQ(content("k"), "later");
}

TEST_F(EnforcingStoreTest, PutsStayWhereAServerListsDeleteMarkersLast) {
  keep_versions();
  lax_.lax = testing::like_ceph_rgw();
  lax_.lax.lists_markers_last = true;
  put_by_other("k", "deleted");
  inner_->remove(at("k"));
  put("mine", if_new_);
  EXPECT_EQ(content("k"), "mine");
  put("newer", {false, inner_->head(at("k"))->etag});
  EXPECT_EQ(content("k"), "newer");
}

TEST_F(EnforcingStoreTest, PutsAreTakenBackAloneWhereAnotherWriterComesLaterToo) {
  keep_versions();
  lax_.lax = testing::like_ceph_rgw();
  once_before("put k", [&] { put_by_other("k", "first"); });
  once_after("put k", [&] { put_by_other("k", "last"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("mine", if_new_));
  EXPECT_EQ(content("k"), "last");
  EXPECT_EQ(version_count(), 2U);
}

TEST_F(EnforcingStoreTest, AHeadHasToDoWhereVersionsMayNotBeListed) {
  const Error denied = Error(ErrorKind::denied, "no").with_code("AccessDenied");
  lax_.lax.versioning_refusal = lax_.lax.versions_refusal = denied;
  put_by_other("k", "1");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("2", if_new_));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "list_versions", "head k"));
  lax_.lax.versions_refusal = passing;
  EXPECT_EQ(error_of([&] { put("2", if_new_); }).kind(), ErrorKind::unavailable) << "no answer is no reason to write";
  EXPECT_EQ(content("k"), "1");
}

TEST_F(EnforcingStoreTest, AServerThatKnowsNoVersionsKeepsNone) {
  lax_.lax.versioning_refusal = Error(ErrorKind::unsupported, "no").with_code("NotImplemented");
  put("x", if_new_);
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match"));
}

// --- Conditions of copies, completed uploads and deletions --------------------------------------------------------

class IgnoredConditionsTest : public EnforcingStoreTest {
 protected:
  IgnoredConditionsTest() {
    lax_.lax = testing::like_ceph_rgw();
    put_by_other("source", "content");
  }
  const store::CopySource from_{at("source"), {}, {}};
};

TEST_F(IgnoredConditionsTest, OfCopiesAndUploadsAreChecked) {
  put_by_other("k", "there");
  const UploadId upload = begin("mine", {});
  calls();
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from_, at("k"), {}, if_new_));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from_, at("k"), {}, {false, ETag("x")}));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", complete(upload, if_new_));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "head k", "head k", "head k")) << "nothing is written";
  EXPECT_EQ(content("k"), "there");
  store().copy(from_, at("k"), {}, {false, inner_->head(at("k"))->etag});
  EXPECT_EQ(content("k"), "content");
  complete(upload, {false, inner_->head(at("k"))->etag});
  EXPECT_EQ(content("k"), "mine");
}

TEST_F(IgnoredConditionsTest, CopiesAndUploadsAreTakenBackWhereAnotherWriterCameFirst) {
  keep_versions();
  once_before("copy k", [&] { put_by_other("k", "theirs"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from_, at("k"), {}, if_new_));
  EXPECT_EQ(content("k"), "theirs");
  const ETag theirs = inner_->head(at("k"))->etag;
  const UploadId upload = begin("mine", {});
  once_before("complete k", [&] { put_by_other("k", "newer"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", complete(upload, {false, theirs}));
  EXPECT_EQ(content("k"), "newer");
}

TEST_F(IgnoredConditionsTest, OfDeletionsAreChecked) {
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", store().remove(at("k"), {}, {ETag("any")}));
  const ETag there = put_by_other("k", "there");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().remove(at("k"), {}, {ETag("other")}));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "head k", "head k")) << "nothing is deleted";
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", store().remove(at("k"), VersionId("v"), {there}));
  store().remove(at("k"), {}, {there});
  EXPECT_FALSE(inner_->head(at("k")));
  EXPECT_THAT(calls(), ElementsAre("head k", "remove k if-match"));
  store().remove(at("k"));
  EXPECT_THAT(calls(), ElementsAre("remove k"));
}

TEST_F(IgnoredConditionsTest, DeletionsAreTakenBackWhereAnotherWriterCameFirst) {
  keep_versions();
  const ETag first = put_by_other("k", "first");
  once_before("remove k if-match", [&] { put_by_other("k", "theirs"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().remove(at("k"), {}, {first}));
  EXPECT_EQ(content("k"), "theirs");
  EXPECT_TRUE(store().remove(at("k"), {}, {inner_->head(at("k"))->etag}).delete_marker);
  EXPECT_FALSE(inner_->head(at("k")));
}

TEST_F(IgnoredConditionsTest, OfBatchDeletionsAreCheckedOneByOne) {
  const ETag first = put_by_other("1", "1");
  put_by_other("2", "2");
  put_by_other("3", "3");
  const auto outcomes = store().remove_all(bucket_, {{ObjectKey("1"), {}, {first}},
                                                     {ObjectKey("2"), {}, {}},
                                                     {ObjectKey("3"), {}, {ETag("other")}},
                                                     {ObjectKey("4"), {}, {}}});
  ASSERT_EQ(outcomes.size(), 4U);
  EXPECT_FALSE(outcomes[0].error || outcomes[1].error || outcomes[3].error);
  EXPECT_EQ(outcomes[2].error.value().code(), "PreconditionFailed");
  EXPECT_FALSE(inner_->head(at("1")) || inner_->head(at("2")));
  EXPECT_EQ(content("3"), "3");
  EXPECT_THAT(calls(), ElementsAre("remove_all 2 4", "get_versioning", "head 1", "remove 1 if-match", "head 3"));
  store().remove_all(bucket_, {{ObjectKey("3"), {}, {}}});
  EXPECT_THAT(calls(), ElementsAre("remove_all 3"));
  const auto alone = store().remove_all(bucket_, {{ObjectKey("3"), {}, {first}}});
  EXPECT_EQ(alone.at(0).error.value().code(), "NoSuchKey");
  EXPECT_THAT(calls(), ElementsAre("head 3")) << "no empty batch";
}

// --- The condition on the source of a copy -------------------------------------------------------------------------

TEST_F(IgnoredConditionsTest, OfTheSourceAreChecked) {
  const store::CopySource changed{at("source"), {}, ETag("expected")}, none{at("none"), {}, ETag("expected")};
  const UploadId upload = begin("x", {});
  calls();
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(changed, at("k"), {}, {}));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               store().upload_part_copy(at("k"), upload, 1, changed, std::nullopt));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchKey", store().copy(none, at("k"), {}, {}));
  EXPECT_THAT(calls(), ElementsAre("head source", "head source", "head none")) << "nothing is copied";
}

TEST_F(IgnoredConditionsTest, ASourceThatChangesWhileItIsCopiedIsSeen) {
  store::CopySource from{at("source"), {}, inner_->head(at("source"))->etag};
  once_before("copy k", [&] { put_by_other("source", "changed"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from, at("k"), {}, {}));
  from.if_match = inner_->head(at("source"))->etag;
  calls();
  store().copy(from, at("k"), {}, {});
  EXPECT_THAT(calls(), ElementsAre("head source", "copy k source-if-match"))
      << "the copy has the ETag that was wanted: nothing more to check";
  const UploadId upload = begin("x", {});
  calls();
  once_before("upload_part_copy", [&] { put_by_other("source", "again"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               store().upload_part_copy(at("k"), upload, 1, from, std::nullopt));
  EXPECT_THAT(calls(), ElementsAre("head source", "upload_part_copy k source-if-match", "head source"));
}

/// A server that does not know the ETag of an upload in parts.
TEST_F(EnforcingStoreTest, MultipartSourcesAreCopiedThoughTheirConditionIsRefused) {
  complete(begin("in parts", {}));
  store::CopySource from{at("k"), {}, inner_->head(at("k"))->etag};
  lax_.lax.refuses_multipart_source = true;
  calls();
  store().copy(from, at("copy"), {}, {});
  EXPECT_EQ(content("copy"), "in parts");
  EXPECT_THAT(calls(), ElementsAre("head k", "copy copy source-if-match", "head k", "copy copy", "head k"));
  store().copy(from, at("copy"), {}, {});
  EXPECT_THAT(calls(), ElementsAre("head k", "copy copy", "head k")) << "once is enough";
  // The ETag of an object of one request is known: a refusal is one.
  put_by_other("source", "plain");
  once_before("copy copy", [&] { put_by_other("source", "changed"); });
  from = {at("source"), {}, inner_->head(at("source"))->etag};
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from, at("copy"), {}, {}));
  EXPECT_THAT(calls(), ElementsAre("head source", "copy copy source-if-match"));
}

// --- Conditions that are refused ----------------------------------------------------------------------------------

class RefusedConditionsTest : public EnforcingStoreTest, public ::testing::WithParamInterface<Error> {
 protected:
  RefusedConditionsTest() {
    put_by_other("source", "content");
    lax_.lax.refusal = GetParam();
  }
};
INSTANTIATE_TEST_SUITE_P(Servers, RefusedConditionsTest,
                         ::testing::Values(Error(ErrorKind::unsupported, "no").with_code("NotImplemented"),
                                           Error(ErrorKind::invalid, "no").with_code("InvalidArgument"),
                                           Error(ErrorKind::invalid, "no").with_code("InvalidRequest"),
                                           Error(ErrorKind::invalid, "no").with_code("NotImplemented")));

TEST_P(RefusedConditionsTest, OfPutsAreCheckedInstead) {
  put("1", if_new_);
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match", "head k", "put k"));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("2", if_new_));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("2", {false, ETag("other")}));
  EXPECT_THAT(calls(), ElementsAre("head k", "head k")) << "once is enough, and nothing is written";
  put("3", {false, inner_->head(at("k"))->etag});
  put("4", {});
  EXPECT_THAT(calls(), ElementsAre("head k", "put k", "put k"));
}

TEST_P(RefusedConditionsTest, ThatDoNotHoldWriteNothing) {
  put_by_other("k", "there");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("mine", if_new_));
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match", "head k"));
  EXPECT_EQ(content("k"), "there");
}

TEST_P(RefusedConditionsTest, AreRefusedAgainWhereVersionsAreKeptAndAnotherWriterCameFirst) {
  keep_versions();
  lax_.before = [&](const std::string& call) {
    if (call == "put k") put_by_other("k", "theirs");
  };
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", put("mine", if_new_));
  EXPECT_EQ(content("k"), "theirs");
  EXPECT_EQ(version_count(), 2U) << "the source, and theirs";
}

TEST_P(RefusedConditionsTest, OfCopiesUploadsAndDeletionsAreLeftOut) {
  const UploadId upload = begin("mine", {});
  calls();
  store().copy({at("source"), {}, {}}, at("k"), {}, if_new_);
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "head k", "copy k if-none-match", "head k", "copy k"));
  const ETag copied = inner_->head(at("k"))->etag;
  store().copy({at("source"), {}, {}}, at("k"), {}, {false, copied});
  EXPECT_THAT(calls(), ElementsAre("head k", "copy k")) << "once is enough";
  complete(upload, {false, copied});
  EXPECT_THAT(calls(), ElementsAre("head k", "complete k if-match", "head k", "complete k"));
  store().remove(at("k"), {}, {inner_->head(at("k"))->etag});
  EXPECT_THAT(calls(), ElementsAre("head k", "remove k if-match", "head k", "remove k"));
  EXPECT_FALSE(inner_->head(at("k")));
  const ETag again = put_by_other("k", "again");
  store().remove(at("k"), {}, {again});
  EXPECT_THAT(calls(), ElementsAre("head k", "remove k"));
}

TEST_P(RefusedConditionsTest, OfTheSourceAreCheckedInstead) {
  const store::CopySource from{at("source"), {}, inner_->head(at("source"))->etag};
  store().copy(from, at("k"), {}, {});
  EXPECT_THAT(calls(), ElementsAre("head source", "copy k source-if-match", "head source", "copy k"));
  const UploadId upload = begin("x", {});
  calls();
  store().upload_part_copy(at("k"), upload, 1, from, std::nullopt);
  EXPECT_THAT(calls(), ElementsAre("head source", "upload_part_copy k", "head source")) << "once is enough";
  once_before("copy k", [&] { put_by_other("source", "changed"); });
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store().copy(from, at("k"), {}, {}));
}

TEST_P(RefusedConditionsTest, StayAskedForWhereSomethingElseWasWrong) {
  lax_.before = [](const std::string& call) {
    if (call.starts_with("put")) throw GetParam();
  };
  EXPECT_EQ(error_of([&] { put("x", if_new_); }).code(), GetParam().code());
  EXPECT_THAT(calls(), ElementsAre("get_versioning", "put k if-none-match", "head k", "put k"));
  lax_.before = {};
  lax_.lax.refusal.reset();
  put("x", if_new_);
  EXPECT_THAT(calls(), ElementsAre("put k if-none-match")) << "the server is still asked";
}

// --- Tags ---------------------------------------------------------------------------------------------------------

TEST_F(IgnoredConditionsTest, TagsThatAServerForgetsAreSet) {
  complete(begin("x"));
  EXPECT_EQ(tags_of("k"), tags);
  store().copy(from_, at("copy"), {{.tags = tags}}, {});
  EXPECT_EQ(tags_of("copy"), tags);
  calls();
  complete(begin("x", {}));
  store().copy(from_, at("copy"), {{.metadata = {{"m", "1"}}}}, {});
  EXPECT_THAT(calls(), Not(Contains(HasSubstr("_tags")))) << "there are none";
}

TEST_F(EnforcingStoreTest, TagsThatAreThereAreNotSetAgain) {
  put_by_other("source", "content");
  complete(begin("x"));
  store().copy({at("source"), {}, {}}, at("copy"), {{.tags = tags}}, {});
  EXPECT_THAT(calls(), ElementsAre("create_upload k", "upload_part k", "complete k", "get_tags k", "copy copy",
                                   "get_tags copy"));
}

TEST_F(IgnoredConditionsTest, TagsAreSetAlsoAfterALostResponse) {
  const UploadId upload = begin("x");
  once_before("set_tags k", failing());
  EXPECT_EQ(error_of([&] { complete(upload); }).kind(), ErrorKind::unavailable);
  EXPECT_THAT(tags_of("k"), IsEmpty());
  // The caller comes again, and finds the upload gone and the object there.
  lax_.before = [](const std::string& call) {
    if (call.starts_with("complete")) throw Error(ErrorKind::not_found, "gone").with_code("NoSuchUpload");
  };
  calls();
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", complete(upload));
  EXPECT_THAT(calls(), ElementsAre("complete k", "head k", "get_tags k", "set_tags k"));
  EXPECT_EQ(tags_of("k"), tags);
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", complete(upload));
  EXPECT_THAT(calls(), ElementsAre("complete k")) << "once is enough";
}

TEST_F(IgnoredConditionsTest, TagsOfOthersAreLeftAlone) {
  const UploadId upload = begin("x");
  inner_->abort_upload(at("k"), upload);
  put_by_other("k", "of another");
  calls();
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", complete(upload));
  EXPECT_THAT(calls(), ElementsAre("complete k", "head k"));
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", complete(upload));
  EXPECT_THAT(calls(), ElementsAre("complete k")) << "the upload ended some other way";
  const UploadId aborted = begin("x");
  store().abort_upload(at("k"), aborted);
  calls();
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchUpload", complete(aborted));
  EXPECT_THAT(calls(), ElementsAre("complete k")) << "an aborted upload is forgotten";
}

TEST_F(IgnoredConditionsTest, TagsThatAreRefusedAreNamed) {
  lax_.lax.tags_refusal = Error(ErrorKind::unsupported, "no").with_code("NotImplemented");
  EXPECT_THAT(error_of([&] { store().copy(from_, at("copy"), {{.tags = tags}}, {}); }).hint(), HasSubstr("--no-tags"));
}

// --- Completed uploads --------------------------------------------------------------------------------------------

TEST_F(EnforcingStoreTest, TheETagOfACompletedUploadIsLookedUpWhereTheResponseHasNone) {
  lax_.lax.omits_complete_etag = true;
  const ETag completed = complete(begin("x", {})).etag;
  EXPECT_EQ(completed, store::multipart_etag(parts_));
  EXPECT_EQ(calls().back(), "head k");
  keep_versions();
  const UploadId upload = begin("y", {});
  once_after("complete k", [&] { put_by_other("k", "newer"); });
  EXPECT_EQ(complete(upload).etag, store::multipart_etag(parts_)) << "of its own version";
}

TEST_F(EnforcingStoreTest, ChecksumsOfPartsAreLeftOutWhereTheListIsRefused) {
  lax_.lax.refuses_part_checksums = true;
  const UploadId upload = begin("x", {.checksum_algorithm = store::Checksum::Algorithm::crc64nvme});
  calls();
  parts_[0].checksum = store::checksum_of(store::Checksum::Algorithm::crc64nvme, as_bytes("x"));
  complete(upload);
  EXPECT_THAT(calls(), ElementsAre("complete k", "complete k"));
  EXPECT_EQ(content("k"), "x");
  // Of a list without checksums something else is malformed.
  const UploadId other = begin("x", {});
  once_before("complete k", [] { throw Error(ErrorKind::invalid, "malformed").with_code("MalformedXML"); });
  calls();
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", complete(other));
  EXPECT_THAT(calls(), ElementsAre("complete k"));
}

// --- Failures -----------------------------------------------------------------------------------------------------

TEST_F(EnforcingStoreTest, AFailureBeforeTheWriteHadNoEffect) {
  put_by_other("source", "content");
  const UploadId upload = begin("x", {});
  const store::CopySource any{at("source"), {}, {}}, this_one{at("source"), {}, ETag("expected")};
  const auto fails_before = [&](const std::string& call, const std::function<void()>& write) {
    once_before(call, failing());
    const Error error = error_of(write);
    return error.kind() == ErrorKind::unavailable && error.had_no_effect();
  };
  EXPECT_TRUE(fails_before("get_versioning", [&] { put("x", if_new_); }));
  EXPECT_TRUE(fails_before("head k", [&] { store().copy(any, at("k"), {}, if_new_); }));
  EXPECT_TRUE(fails_before("head source", [&] { store().copy(this_one, at("k"), {}, {}); }));
  EXPECT_TRUE(fails_before("head source", [&] { store().upload_part_copy(at("k"), upload, 1, this_one, {}); }));
  EXPECT_TRUE(fails_before("head k", [&] { complete(upload, if_new_); }));
  EXPECT_TRUE(fails_before("head k", [&] { store().remove(at("k"), {}, {ETag("any")}); }));
  keep_versions();
  store().set_versioning(bucket_, store::Versioning::enabled);
  EXPECT_TRUE(fails_before("list_versions", [&] { put("x", if_new_); }));
  EXPECT_FALSE(fails_before("put k", [&] { put("x", if_new_); })) << "nobody knows";
}

TEST_F(EnforcingStoreTest, WhatS3RefusesIsRefusedBeforeAnythingIsAsked) {
  store::ObjectAttributes eleven;
  for (int i = 0; i < 11; ++i) eleven.tags[std::to_string(i)] = "";
  store::MemoryBody body(as_bytes("x"));
  const store::CopySource from{at("k"), {}, ETag("e")};
  EXPECT_EQ(error_of([&] { store().put(at("k"), body, eleven, if_new_); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { store().put(at(""), body, {}, if_new_); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { store().copy(from, at("copy"), eleven, if_new_); }).kind(), ErrorKind::invalid);
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", store().copy(from, at("k"), {}, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", store().upload_part_copy(at("k"), UploadId("u"), 0, from, {}));
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", store().complete_upload(at("k"), UploadId("u"), {}, if_new_));
  EXPECT_ERROR(ErrorKind::invalid, "MalformedXML", store().remove_all(bucket_, {}));
  EXPECT_THAT(calls(), IsEmpty());
}

// --- With retries -------------------------------------------------------------------------------------------------

/// The decorators in the order of the program: retries are outside.
class EnforcingWithRetriesTest : public IgnoredConditionsTest {
 protected:
  flow::Retrier retrier_{world_};
  store::RetryingStore retrying_{enforcing_, retrier_};
};

TEST_F(EnforcingWithRetriesTest, EachAttemptChecksTheConditionAgain) {
  const ETag first = put_by_other("k", "first");
  const UploadId upload = begin("mine", {});
  // No response, and nothing done; meanwhile another writer comes.
  const auto lose_to = [&](const std::string& call) {
    once_before(call, [&] {
      put_by_other("k", "theirs");
      throw passing;
    });
  };
  lose_to("copy k");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", retrying_.copy(from_, at("k"), {}, {false, first}));
  EXPECT_EQ(content("k"), "theirs");
  EXPECT_EQ(put_by_other("k", "first"), first);
  lose_to("complete k");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               retrying_.complete_upload(at("k"), upload, parts_, {false, first}));
  EXPECT_EQ(content("k"), "theirs");
  EXPECT_EQ(put_by_other("k", "first"), first);
  lose_to("remove k");
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", retrying_.remove(at("k"), {}, {first}));
  EXPECT_EQ(content("k"), "theirs");
  store().set_versioning(bucket_, store::Versioning::enabled);
  put_by_other("k", "first");
  lose_to("put k");
  store::MemoryBody body(as_bytes("mine"));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", retrying_.put(at("k"), body, {}, {false, first}));
  EXPECT_EQ(content("k"), "theirs");
}

TEST_F(EnforcingWithRetriesTest, AWriteWhoseResponseWasLostCountsAsDone) {
  keep_versions();
  store::MemoryBody body(as_bytes("mine"));
  once_after("put k", failing());
  const ETag put = retrying_.put(at("k"), body, {}, if_new_).etag;
  EXPECT_EQ(put, inner_->head(at("k"))->etag);
  EXPECT_EQ(version_count(), 2U) << "the source, and one version of the object";
  once_after("copy copy", failing());
  const ETag copied = retrying_.copy(from_, at("copy"), {}, if_new_).etag;
  EXPECT_EQ(copied, inner_->head(at("copy"))->etag);
  const UploadId upload = retrying_.create_upload(at("parts"), {.tags = tags});
  store::MemoryBody part(as_bytes("x"));
  const std::vector<store::UploadedPart> parts{{1, retrying_.upload_part(at("parts"), upload, 1, part), 1}};
  once_after("complete parts", failing());
  EXPECT_EQ(retrying_.complete_upload(at("parts"), upload, parts, if_new_).etag, store::multipart_etag(parts));
  EXPECT_EQ(tags_of("parts"), tags);
  once_after("remove k", failing());
  retrying_.remove(at("k"), {}, {inner_->head(at("k"))->etag});
  EXPECT_FALSE(inner_->head(at("k")));
}

TEST_F(EnforcingWithRetriesTest, AFailedCheckAfterTheWriteIsRepeated) {
  keep_versions();
  int listings = 0;
  lax_.before = [&](const std::string& call) {
    if (call == "list_versions" && ++listings == 2) throw passing;
  };
  store::MemoryBody body(as_bytes("mine"));
  retrying_.put(at("k"), body, {}, if_new_);
  EXPECT_EQ(content("k"), "mine");
  EXPECT_EQ(version_count(), 2U) << "the source, and one version of the object";
}

}  // namespace
}  // namespace bale::cloud
