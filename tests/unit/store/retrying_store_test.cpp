// The retrying store over the embedded one, with faults to order. Time is a fake: no test waits.
#include "store/retrying_store.hpp"

#include "base/hash.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "support/odd_store.hpp"

namespace bale::store {
namespace {

Error unavailable() { return Error(ErrorKind::unavailable, "the connection broke"); }
Error throttled() { return Error(ErrorKind::throttled, "slow down").with_code("SlowDown"); }
constexpr bool after = true;

class RetryingStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { embedded_->create_bucket(bucket_); }

  ObjectAddress at(const std::string& key) const { return {bucket_, ObjectKey(key)}; }
  static PutResult put_into(ObjectStore& store, const ObjectAddress& object, std::string_view content,
                            const WriteConditions& conditions = {}, const UserMetadata& metadata = {}) {
    MemoryBody body(as_bytes(content));
    ObjectAttributes attributes;
    attributes.metadata = metadata;
    return store.put(object, body, attributes, conditions);
  }
  PutResult put(const std::string& key, std::string_view content, const WriteConditions& conditions = {},
                const UserMetadata& metadata = {}) {
    return put_into(retrying_, at(key), content, conditions, metadata);
  }
  /// As another writer does it.
  PutResult put_behind(const std::string& key, std::string_view content) {
    return put_into(*embedded_, at(key), content);
  }
  std::string content(const std::string& key) { return read_all(*embedded_->get(at(key)), 64 << 20); }
  std::string get(const std::string& key, const std::optional<ByteRange>& range = std::nullopt) {
    return read_all(*retrying_.get(at(key), range, {}), 64 << 20);
  }
  template <typename Call>
  static Error failure_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::internal, "nothing");
  }
  static std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
  }
  /// An upload of one part, ready to be completed.
  std::pair<UploadId, std::vector<UploadedPart>> begin_upload(const std::string& key, std::string_view content) {
    const UploadId upload = embedded_->create_upload(at(key), {});
    MemoryBody body(as_bytes(content));
    return {upload, {{1, embedded_->upload_part(at(key), upload, 1, body), content.size()}}};
  }

  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<ObjectStore> embedded_ = backend_->store(Region("eu-west-1"));
  BucketName bucket_{"bucket"};
  testing::FaultyStore faulty_{*embedded_};
  flow::Retrier retrier_{world_, {.max_attempts = 4}};
  RetryingStore retrying_{faulty_, retrier_};
};

// ---- Every call

TEST_F(RetryingStoreTest, EveryCallIsTriedAgain) {
  put_behind("k", "content");
  const auto [upload, parts] = begin_upload("parts", "part");
  for (const char* method : {"create_bucket",
                             "delete_bucket",
                             "head_bucket",
                             "list_buckets",
                             "set_versioning",
                             "get_versioning",
                             "set_notifications",
                             "get_notifications",
                             "put",
                             "get",
                             "head",
                             "remove",
                             "remove_all",
                             "copy",
                             "list",
                             "list_versions",
                             "get_tags",
                             "set_tags",
                             "create_upload",
                             "upload_part",
                             "upload_part_copy",
                             "complete_upload",
                             "abort_upload",
                             "list_parts",
                             "list_uploads",
                             "restore"}) {
    faulty_.arm(method, "", throttled());
    faulty_.arm(method, "", unavailable().without_effect());
  }
  retrying_.create_bucket(BucketName("another"));
  retrying_.delete_bucket(BucketName("another"));
  EXPECT_TRUE(retrying_.head_bucket(bucket_));
  EXPECT_EQ(retrying_.list_buckets().size(), 1u);
  EXPECT_EQ(retrying_.get_versioning(bucket_), Versioning::never);
  retrying_.set_notifications(bucket_, {});
  EXPECT_TRUE(retrying_.get_notifications(bucket_).empty());
  put("new", "content");
  EXPECT_EQ(get("new"), "content");
  EXPECT_TRUE(retrying_.head(at("new"), {}));
  retrying_.copy({at("k"), {}, {}}, at("copy"), std::nullopt, {});
  EXPECT_EQ(retrying_.list(bucket_, {}).objects.size(), 3u);
  EXPECT_EQ(retrying_.list_versions(bucket_, {}).versions.size(), 3u);
  retrying_.set_tags(at("k"), {{"a", "b"}}, {});
  EXPECT_EQ(retrying_.get_tags(at("k"), {}).size(), 1u);
  retrying_.remove(at("copy"), {}, {});
  EXPECT_FALSE(embedded_->head(at("copy")));
  put_behind("many", "x");
  EXPECT_FALSE(retrying_.remove_all(bucket_, {{ObjectKey("many")}}).at(0).error);
  EXPECT_FALSE(embedded_->head(at("many")));
  const UploadId second = retrying_.create_upload(at("second"), {});
  MemoryBody body(as_bytes("part"));
  retrying_.upload_part(at("second"), second, 1, body);
  retrying_.upload_part_copy(at("second"), second, 2, {at("k"), {}, {}}, std::nullopt);
  EXPECT_EQ(retrying_.list_parts(at("second"), second).size(), 2u);
  EXPECT_EQ(retrying_.list_uploads(bucket_, "").size(), 2u);
  retrying_.abort_upload(at("second"), second);
  retrying_.complete_upload(at("parts"), upload, parts, {});
  EXPECT_EQ(content("parts"), "part");
  ObjectAttributes cold;
  cold.storage_class = "GLACIER";
  MemoryBody frozen(as_bytes("ice"));
  embedded_->put(at("cold"), frozen, cold);
  retrying_.restore(at("cold"), 1, "Standard", {});
  retrying_.set_versioning(bucket_, Versioning::enabled);
  EXPECT_EQ(embedded_->get_versioning(bucket_), Versioning::enabled);
  for (const char* method : {"put", "complete_upload", "restore", "head"}) EXPECT_EQ(faulty_.faults.calls(method), 3);
}

TEST_F(RetryingStoreTest, GivesUpInTheEnd) {
  faulty_.arm("head", "k", unavailable(), 4);
  const Error error = failure_of([&] { retrying_.head(at("k"), {}); });
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_EQ(error.summary(), "the connection broke; gave up after 4 attempts");
}

TEST_F(RetryingStoreTest, DoesNotTryAgainWhatIsRefused) {
  faulty_.arm("put", "k", Error(ErrorKind::denied, "no"));
  EXPECT_EQ(failure_of([&] { put("k", "x"); }).kind(), ErrorKind::denied);
  EXPECT_EQ(faulty_.faults.calls("put"), 1);
}

TEST_F(RetryingStoreTest, DoesNothingAfterAStop) {
  faulty_.arm("put", "k", unavailable());
  faulty_.before = [&](const std::string&, const std::string&) { outside_.stop.request_stop(); };
  EXPECT_EQ(failure_of([&] { put("k", "x"); }).kind(), ErrorKind::cancelled);
  EXPECT_EQ(faulty_.faults.calls("put"), 1);
  EXPECT_FALSE(embedded_->head(at("k")));
}

// ---- Bodies that go up

TEST_F(RetryingStoreTest, RewindsBodies) {
  const std::string bytes = noise(300'000);
  MemoryBody body({as_bytes(bytes).first(100'000), as_bytes(bytes).subspan(100'000)});
  int taken = 0;
  faulty_.before = [&](const std::string& method, const std::string&) {
    if ((method != "put" && method != "upload_part") || ++taken % 2 == 0) return;
    body.next(70'000);  // half of it went out with the attempt that breaks
    body.next(70'000);
  };
  faulty_.arm("put", "k", unavailable());
  EXPECT_EQ(retrying_.put(at("k"), body, {}, {}).etag.str(), to_hex_digest(Md5::of(as_bytes(bytes))));
  EXPECT_EQ(content("k"), bytes);
  const UploadId upload = embedded_->create_upload(at("parts"), {});
  body.rewind();
  faulty_.arm("upload_part", "parts", unavailable());
  EXPECT_EQ(retrying_.upload_part(at("parts"), upload, 1, body).str(), to_hex_digest(Md5::of(as_bytes(bytes))));
  EXPECT_EQ(taken, 4);
}

// ---- Bodies that come down

TEST_F(RetryingStoreTest, ResumesBrokenBodies) {
  const std::string bytes = noise(500'000);
  put_behind("k", bytes);
  faulty_.arm_break("k", 100'000, 3);
  EXPECT_EQ(get("k"), bytes);
  EXPECT_EQ(faulty_.faults.calls("get"), 4);
  faulty_.arm_break("k", 0, 3);  // before the first byte
  EXPECT_EQ(get("k", ByteRange::at(1000, 77)), bytes.substr(1000, 77));
  faulty_.arm_break("k", 10, 2);
  const auto tail = retrying_.get(at("k"), ByteRange::tail(1000), {});
  EXPECT_EQ(tail->offset(), 499'000u);
  EXPECT_EQ(tail->length(), 1000u);
  EXPECT_EQ(tail->info().size, 500'000u);
  EXPECT_EQ(read_all(*tail, 1000), bytes.substr(499'000));
  EXPECT_EQ(tail->length(), 1000u);
}

TEST_F(RetryingStoreTest, ResumesThroughFailuresOfTheResumingRequest) {
  const std::string bytes = noise(500'000);
  put_behind("k", bytes);
  faulty_.arm_break("k", 100'000, 1);
  const auto stream = retrying_.get(at("k"), std::nullopt, {});
  faulty_.arm("get", "k", unavailable(), 2);
  EXPECT_EQ(read_all(*stream, 1 << 20), bytes);
  EXPECT_EQ(faulty_.faults.calls("get"), 4);
}

TEST_F(RetryingStoreTest, BreaksThatComeForwardAreCountedAnew) {
  const std::string bytes = noise(100'000);
  put_behind("k", bytes);
  faulty_.arm_break("k", 5'000, 15);  // more than there are attempts
  EXPECT_EQ(get("k"), bytes);
  faulty_.arm_break("k", 0, 4);
  EXPECT_EQ(failure_of([&] { get("k"); }).summary(), "the body broke; gave up after 4 attempts");
}

TEST_F(RetryingStoreTest, SaysThatTheObjectWasReplacedWhileItWasRead) {
  put_behind("k", noise(100'000));
  faulty_.arm_break("k", 1000);
  auto stream = retrying_.get(at("k"), std::nullopt, {});
  put_behind("k", noise(200'000));
  const Error error = failure_of([&] { read_all(*stream, 1 << 20); });
  EXPECT_EQ(error.kind(), ErrorKind::precondition);
  EXPECT_EQ(error.summary(), "the object was replaced while it was read");
  EXPECT_EQ(error.where(), "s3://bucket/k");
  faulty_.arm_break("k", 1000);
  stream = retrying_.get(at("k"), std::nullopt, {});
  embedded_->remove(at("k"));
  const Error gone = failure_of([&] { read_all(*stream, 1 << 20); });
  EXPECT_EQ(gone.kind(), ErrorKind::not_found);
  EXPECT_EQ(gone.summary(), "the object was removed while it was read");
}

TEST_F(RetryingStoreTest, FindsTheReplacedVersionWhereThereAreVersions) {
  embedded_->set_versioning(bucket_, Versioning::enabled);
  const std::string bytes = noise(100'000);
  put_behind("k", bytes);
  for (const bool removed : {false, true}) {
    faulty_.arm_break("k", 1000);
    const auto stream = retrying_.get(at("k"), std::nullopt, {});
    const PutResult other = put_behind("k", "another");
    if (removed) embedded_->remove(at("k"));
    EXPECT_EQ(read_all(*stream, 1 << 20), bytes);
    embedded_->remove(at("k"), other.version_id);
  }
}

// ---- Writes whose answer is lost

TEST_F(RetryingStoreTest, PutsAgainAfterALostAnswer) {
  faulty_.arm("put", "k", unavailable(), 1, after);
  put("k", "content");
  EXPECT_EQ(content("k"), "content");
  EXPECT_EQ(faulty_.faults.calls("put"), 2);
}

TEST_F(RetryingStoreTest, RecognisesItsOwnConditionalPut) {
  faulty_.arm("put", "k", unavailable(), 1, after);
  const PutResult result = put("k", "content", {.if_none_match = true, .if_match = {}}, {{"owner", "me"}});
  EXPECT_EQ(result.etag, embedded_->head(at("k"))->etag);
  faulty_.arm("put", "k", unavailable(), 1, after);
  put("k", "next", {.if_none_match = false, .if_match = result.etag});
  EXPECT_EQ(content("k"), "next");
}

TEST_F(RetryingStoreTest, DoesNotTakeAnothersObjectForItsOwn) {
  for (const char* theirs : {"their content", "own content", ""}) {
    // The own request never comes through; another writer's does.
    faulty_.arm("put", "k", unavailable());
    faulty_.before = [&](const std::string& method, const std::string&) {
      if (method == "put") put_behind("k", theirs);
    };
    const Error error = failure_of([&] {
      put("k", "own content", {.if_none_match = true, .if_match = {}}, {{"owner", "me"}});
    });
    EXPECT_EQ(error.kind(), ErrorKind::precondition) << theirs;
    EXPECT_EQ(error.code(), "PreconditionFailed");
    EXPECT_EQ(content("k"), theirs);
  }
}

TEST_F(RetryingStoreTest, LooksAtNothingWhenTheFirstAttemptCertainlyFailed) {
  put_behind("k", "content");
  faulty_.arm("put", "k", throttled());
  EXPECT_EQ(failure_of([&] { put("k", "content", {.if_none_match = true, .if_match = {}}); }).kind(),
            ErrorKind::precondition);
  EXPECT_EQ(faulty_.faults.calls("head"), 0);
}

TEST_F(RetryingStoreTest, SaysWhenItCannotTellWhoseObjectItIs) {
  const auto [upload, parts] = begin_upload("k", "content");
  faulty_.arm("put", "k", unavailable());
  bool completed = false;
  faulty_.before = [&, upload = upload, parts = parts](const std::string& method, const std::string&) {
    if (method == "put" && !std::exchange(completed, true)) embedded_->complete_upload(at("k"), upload, parts);
  };
  // Same content, but an ETag that is no MD5.
  const Error error = failure_of([&] { put("k", "content", {.if_none_match = true, .if_match = {}}); });
  EXPECT_EQ(error.kind(), ErrorKind::precondition);
  EXPECT_NE(error.hint().find("may be this request's own"), std::string::npos) << error.hint();
  faulty_.arm("put", "denied", unavailable(), 1, after);
  faulty_.arm("head", "denied", Error(ErrorKind::denied, "no"));
  const Error unseen = failure_of([&] { put("denied", "x", {.if_none_match = true, .if_match = {}}); });
  EXPECT_NE(unseen.hint().find("may be this request's own"), std::string::npos) << unseen.hint();
}

TEST_F(RetryingStoreTest, SendsConflictingWritesAgain) {
  faulty_.arm("put", "k", Error(ErrorKind::precondition, "in progress").with_code("ConditionalRequestConflict"));
  put("k", "content", {.if_none_match = true, .if_match = {}});
  EXPECT_EQ(faulty_.faults.calls("put"), 2);
  EXPECT_EQ(faulty_.faults.calls("head"), 0);
}

TEST_F(RetryingStoreTest, RecognisesItsOwnConditionalCopy) {
  put_behind("k", "content");
  faulty_.arm("copy", "copy", unavailable(), 1, after);
  const PutResult result = retrying_.copy({at("k"), {}, {}}, at("copy"), std::nullopt, {true, {}});
  EXPECT_EQ(result.etag, embedded_->head(at("copy"))->etag);
  put_behind("taken", "something else");
  faulty_.arm("copy", "taken", unavailable());
  EXPECT_EQ(failure_of([&] {
              retrying_.copy({at("k"), {}, {}}, at("taken"), std::nullopt, {true, {}});
            }).kind(),
            ErrorKind::precondition);
  EXPECT_EQ(content("taken"), "something else");
}

// ---- Deletions

TEST_F(RetryingStoreTest, OfManyDeletionsOnlyThoseThatFailedAreSentAgain) {
  for (const char* key : {"a", "b", "c"}) put_behind(key, "x");
  testing::OddStore odd(*embedded_);
  RetryingStore retrying(odd, retrier_);
  std::vector<std::size_t> sizes;
  odd.remove_all_ = [&](const std::vector<ObjectToRemove>& objects) {
    sizes.push_back(objects.size());
    auto outcomes = embedded_->remove_all(bucket_, objects);
    if (sizes.size() == 1) {
      outcomes[1].error = throttled();
      outcomes[2].error = Error(ErrorKind::denied, "no").with_code("AccessDenied");
    }
    return outcomes;
  };
  const std::vector<ObjectToRemove> objects{{ObjectKey("a")}, {ObjectKey("b")}, {ObjectKey("c")}};
  auto outcomes = retrying.remove_all(bucket_, objects);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{3, 1}));
  EXPECT_FALSE(outcomes.at(0).error || outcomes.at(1).error);
  EXPECT_EQ(outcomes.at(2).error.value().code(), "AccessDenied");

  odd.remove_all_ = [&](const std::vector<ObjectToRemove>& all) {
    return std::vector<RemoveOutcome>(all.size(), RemoveOutcome{{}, throttled()});
  };
  outcomes = retrying.remove_all(bucket_, objects);
  EXPECT_EQ(outcomes.at(0).error.value().kind(), ErrorKind::throttled) << "each is told of, and nothing is thrown";
  odd.remove_all_ = [&](const std::vector<ObjectToRemove>&) -> std::vector<RemoveOutcome> { throw throttled(); };
  EXPECT_EQ(failure_of([&] { retrying.remove_all(bucket_, objects); }).kind(), ErrorKind::throttled);
}

TEST_F(RetryingStoreTest, AConditionalDeletionWhoseAnswerIsLostIsDone) {
  const DeleteConditions condition{.if_match = put_behind("k", "x").etag};
  faulty_.arm("remove", "k", unavailable(), 1, /*after=*/true);
  retrying_.remove(at("k"), {}, condition);
  EXPECT_FALSE(embedded_->head(at("k")));
  EXPECT_EQ(failure_of([&] { retrying_.remove(at("k"), {}, condition); }).code(), "NoSuchKey") << "of another writer";
  put_behind("k", "another");
  EXPECT_EQ(failure_of([&] { retrying_.remove(at("k"), {}, condition); }).code(), "PreconditionFailed");

  const ETag many = put_behind("many", "x").etag;
  faulty_.arm("remove_all", "many", unavailable(), 1, /*after=*/true);
  EXPECT_FALSE(retrying_.remove_all(bucket_, {{ObjectKey("many"), {}, {.if_match = many}}}).at(0).error);
}

// ---- Uploads

TEST_F(RetryingStoreTest, FindsOutThatALostCompletionWorked) {
  for (const WriteConditions& conditions : {WriteConditions{}, WriteConditions{true, {}}}) {
    const std::string key = conditions.if_none_match ? "new" : "k";
    const auto [upload, parts] = begin_upload(key, "content");
    faulty_.arm("complete_upload", key, Error(ErrorKind::timeout, "no answer"), 1, after);
    const PutResult result = retrying_.complete_upload(at(key), upload, parts, conditions);
    EXPECT_EQ(result.etag, embedded_->head(at(key))->etag);
    EXPECT_EQ(content(key), "content");
  }
  EXPECT_EQ(faulty_.faults.calls("complete_upload"), 4);
  EXPECT_EQ(faulty_.faults.calls("head"), 2);
}

TEST_F(RetryingStoreTest, ALostCompletionWhoseObjectIsNotThereHasFailed) {
  const auto [upload, parts] = begin_upload("k", "content");
  faulty_.arm("complete_upload", "k", unavailable());
  faulty_.before = [&, upload = upload](const std::string& method, const std::string&) {
    if (method == "complete_upload") embedded_->abort_upload(at("k"), upload);
  };
  EXPECT_EQ(failure_of([&] { retrying_.complete_upload(at("k"), upload, parts, {}); }).code(), "NoSuchUpload");
  put_behind("k", "content of another");
  EXPECT_EQ(failure_of([&] { retrying_.complete_upload(at("k"), upload, parts, {}); }).code(), "NoSuchUpload");
  EXPECT_EQ(content("k"), "content of another");
}

TEST_F(RetryingStoreTest, ACompletionThatWasSentTwiceOnItsWayWorked) {
  const auto [upload, parts] = begin_upload("k", "content");
  faulty_.before = [&, upload = upload, parts = parts](const std::string& method, const std::string&) {
    if (method == "complete_upload") embedded_->complete_upload(at("k"), upload, parts);
  };
  const PutResult result = retrying_.complete_upload(at("k"), upload, parts, {});
  EXPECT_EQ(result.etag, embedded_->head(at("k"))->etag);
  EXPECT_EQ(faulty_.faults.calls("complete_upload"), 1);
}

TEST_F(RetryingStoreTest, AsksOnUntilItKnowsWhatBecameOfACompletion) {
  const auto [upload, parts] = begin_upload("k", "content");
  faulty_.arm("complete_upload", "k", unavailable(), 1, after);
  faulty_.arm("head", "k", unavailable(), 3);
  retrying_.complete_upload(at("k"), upload, parts, {});
  EXPECT_EQ(faulty_.faults.calls("head"), 4);
}

TEST_F(RetryingStoreTest, AConflictingCompletionIsNotSentAgain) {
  const auto [upload, parts] = begin_upload("k", "content");
  faulty_.arm("complete_upload", "k", Error(ErrorKind::precondition, "x").with_code("ConditionalRequestConflict"));
  EXPECT_EQ(failure_of([&] {
              retrying_.complete_upload(at("k"), upload, parts, {true, {}});
            }).code(),
            "ConditionalRequestConflict");
  EXPECT_EQ(faulty_.faults.calls("complete_upload"), 1);
}

TEST_F(RetryingStoreTest, BucketsThatAreThereOrGoneAreDone) {
  const BucketName other("other");
  faulty_.arm("create_bucket", "", unavailable(), 1, after);
  retrying_.create_bucket(other);
  EXPECT_TRUE(embedded_->head_bucket(other));
  EXPECT_EQ(failure_of([&] { retrying_.create_bucket(other); }).code(), "BucketAlreadyOwnedByYou");
  faulty_.arm("delete_bucket", "", unavailable(), 1, after);
  retrying_.delete_bucket(other);
  EXPECT_FALSE(embedded_->head_bucket(other));
  EXPECT_EQ(failure_of([&] { retrying_.delete_bucket(other); }).code(), "NoSuchBucket");
}

TEST_F(RetryingStoreTest, ALostCreateUploadLeavesAnUploadForTheSweep) {
  faulty_.arm("create_upload", "k", unavailable(), 1, after);
  const UploadId upload = retrying_.create_upload(at("k"), {});
  const auto all = embedded_->list_uploads(bucket_);
  EXPECT_EQ(all.size(), 2u);
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.upload_id == upload; }));
  EXPECT_FALSE(embedded_->head(at("k")));
}

}  // namespace
}  // namespace bale::store
