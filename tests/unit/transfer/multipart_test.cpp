#include "transfer/multipart.hpp"

#include <random>

#include "embedded/backend.hpp"
#include "flow/retrier.hpp"
#include "store/retrying_store.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "support/odd_store.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

Error failure_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::internal, "nothing was thrown");
}

PartDigests digests_of(const std::string& bytes) { return {bytes.size(), Md5::of(as_bytes(bytes)), {}}; }

const Error lost(ErrorKind::unavailable, "the response is lost");

class MultipartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    stored_ = backend_->store(Region("eu-west-1"));
    stored_->create_bucket(object_.bucket);
    faulty_ = std::make_unique<bale::testing::FaultyStore>(*stored_);
    odd_ = std::make_unique<bale::testing::OddStore>(*faulty_);
  }

  void send(MultipartUpload& upload, std::uint32_t number, const std::string& bytes) {
    store::MemoryBody body(as_bytes(bytes));
    upload.send(number, body, [&] { return digests_of(bytes); });
  }
  void send_both(MultipartUpload& upload) {
    send(upload, 2, second_);
    send(upload, 1, first_);
  }
  /// An upload of both parts, with its own token in the metadata.
  std::unique_ptr<MultipartUpload> sent(store::ObjectStore& store, MultipartOptions options = {}) {
    options.attributes.metadata = {{"token", "mine"}};
    auto upload = std::make_unique<MultipartUpload>(store, object_, std::move(options));
    send_both(*upload);
    return upload;
  }
  void put(const std::string& content, const store::UserMetadata& metadata) {
    store::MemoryBody body(as_bytes(content));
    store::ObjectAttributes attributes;
    attributes.metadata = metadata;
    stored_->put(object_, body, attributes);
  }
  std::string content() { return store::read_all(*stored_->get(object_), 1_GiB); }
  std::size_t uploads() { return stored_->list_uploads(object_.bucket).size(); }
  ETag own_etag() { return *store::multipart_etag({{1, md5_of(first_), 0}, {2, md5_of(second_), 0}}); }
  static ETag md5_of(const std::string& bytes) { return ETag(to_hex_digest(Md5::of(as_bytes(bytes)))); }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> stored_;
  std::unique_ptr<bale::testing::FaultyStore> faulty_;
  std::unique_ptr<bale::testing::OddStore> odd_;
  const ObjectAddress object_{BucketName("bucket"), ObjectKey("dir/object")};
  const std::string first_ = noise(5_MiB, 1), second_ = noise(1000, 2);
};

// ---- Beginning

TEST_F(MultipartTest, MakesAnObjectOfPartsInAnyOrder) {
  const auto upload = sent(*odd_);
  EXPECT_EQ(upload->complete().etag, own_etag());
  EXPECT_EQ(content(), first_ + second_);
  EXPECT_EQ(uploads(), 0U);
  EXPECT_EQ(failure_of([&] { upload->complete(); }).code(), no_such_upload) << "there is nothing to complete any more";
}

TEST_F(MultipartTest, NamesTheUploadBeforeTheFirstPart) {
  UploadId remembered;
  MultipartUpload upload(*odd_, object_, {.attributes = {}, .remember = [&](const UploadId& id) {
                                            EXPECT_EQ(faulty_->faults.calls("upload_part"), 0);
                                            remembered = id;
                                          }});
  EXPECT_EQ(upload.id(), remembered);
  EXPECT_FALSE(remembered.empty());
}

TEST_F(MultipartTest, AbortsAnUploadThatCannotBeRemembered) {
  MultipartOptions options{.attributes = {}, .remember = [](const UploadId&) { throw lost; }};
  options.stays_when_destroyed = true;
  EXPECT_EQ(failure_of([&] { MultipartUpload(*odd_, object_, options); }).summary(), lost.summary());
  EXPECT_EQ(uploads(), 0U);
}

TEST_F(MultipartTest, AbortsNothingThatWasNotBegun) {
  faulty_->arm("create_upload", "dir", Error(ErrorKind::denied, "no"));
  EXPECT_EQ(failure_of([&] { MultipartUpload(*odd_, object_, {}); }).kind(), ErrorKind::denied);
  EXPECT_EQ(faulty_->faults.calls("abort_upload"), 0);
}

TEST_F(MultipartTest, IsAbortedWhenItIsDestroyedUnlessItStays) {
  { const auto upload = sent(*odd_); }
  EXPECT_EQ(uploads(), 0U);
  { const auto upload = sent(*odd_, {.attributes = {}, .remember = {}, .stays_when_destroyed = true}); }
  EXPECT_EQ(uploads(), 1U);
}

// ---- Resumption

TEST_F(MultipartTest, AdoptsOnlyPartsWithTheBytesOfTheSource) {
  const UploadId id = sent(*odd_, {.attributes = {}, .remember = {}, .stays_when_destroyed = true})->id();
  MultipartOptions options;
  options.attributes.metadata = {{"token", "mine"}};
  const auto upload = MultipartUpload::resume(*odd_, object_, id, options);
  ASSERT_TRUE(upload);
  EXPECT_TRUE(upload->has_stored(1, first_.size()));
  EXPECT_FALSE(upload->has_stored(1, first_.size() - 1));
  EXPECT_FALSE(upload->adopt(3, digests_of(second_))) << "no such part";
  EXPECT_FALSE(upload->adopt(2, digests_of(second_.substr(1)))) << "another size";
  EXPECT_FALSE(upload->adopt(2, digests_of(noise(1000, 3)))) << "other bytes";
  EXPECT_FALSE(upload->adopt(2, {second_.size(), {}, {}})) << "nothing can tell";
  EXPECT_TRUE(upload->adopt(1, digests_of(first_)));
  EXPECT_TRUE(upload->adopt(2, digests_of(second_)));
  EXPECT_EQ(upload->complete().etag, own_etag());
  EXPECT_EQ(faulty_->faults.calls("upload_part"), 2);
}

TEST_F(MultipartTest, AdoptsByTheChecksumWhereETagsAreNoMd5s) {
  const store::Checksum checksum{store::Checksum::Algorithm::crc64nvme, "12345678"};
  odd_->list_parts_ = [&] { return std::vector<store::UploadedPart>{{1, md5_of("ciphertext"), 5, checksum}}; };
  const auto upload = MultipartUpload::resume(*odd_, object_, UploadId("u"), {});
  store::Checksum other = checksum;
  other.value = "87654321";
  EXPECT_FALSE(upload->adopt(1, {5, Md5::of(as_bytes("bytes")), other}));
  other = checksum;
  other.algorithm = store::Checksum::Algorithm::crc32c;
  EXPECT_FALSE(upload->adopt(1, {5, Md5::of(as_bytes("bytes")), other}));
  EXPECT_TRUE(upload->adopt(1, {5, Md5::of(as_bytes("bytes")), checksum}));
}

TEST_F(MultipartTest, ResumesNothingThatTheStoreDoesNotKnow) {
  EXPECT_EQ(MultipartUpload::resume(*odd_, object_, UploadId("gone"), {}), nullptr);
  EXPECT_EQ(faulty_->faults.calls("abort_upload"), 0);
}

TEST_F(MultipartTest, ResumesWithoutTheRightToListParts) {
  const UploadId id = sent(*odd_, {.attributes = {}, .remember = {}, .stays_when_destroyed = true})->id();
  faulty_->arm("list_parts", "dir", Error(ErrorKind::denied, "AccessDenied"));
  MultipartOptions options;
  options.attributes.metadata = {{"token", "mine"}};
  const auto upload = MultipartUpload::resume(*odd_, object_, id, options);
  ASSERT_TRUE(upload);
  EXPECT_FALSE(upload->knows_stored_parts());
  EXPECT_FALSE(upload->has_stored(1, first_.size()));
  send_both(*upload);
  EXPECT_EQ(upload->complete().etag, own_etag());
}

TEST_F(MultipartTest, KeepsAnUploadThatCannotBeLookedAt) {
  const UploadId id = sent(*odd_, {.attributes = {}, .remember = {}, .stays_when_destroyed = true})->id();
  faulty_->arm("list_parts", "dir", lost);
  EXPECT_EQ(failure_of([&] { MultipartUpload::resume(*odd_, object_, id, {}); }).summary(), lost.summary());
  EXPECT_EQ(uploads(), 1U);
}

// ---- Parts

TEST_F(MultipartTest, SendsAPartAgainThatArrivedOtherwise) {
  int wrong = 1;
  odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& b) {
    const ETag etag = faulty_->upload_part(o, u, n, b);
    return n == 2 && wrong-- > 0 ? md5_of("other bytes") : etag;
  };
  const auto upload = sent(*odd_);
  EXPECT_EQ(faulty_->faults.calls("upload_part"), 3);
  EXPECT_EQ(upload->complete().etag, own_etag());
}

TEST_F(MultipartTest, RefusesAPartThatArrivesOtherwiseTwice) {
  odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& b) {
    const ETag etag = faulty_->upload_part(o, u, n, b);
    return n == 2 ? md5_of("other bytes") : etag;
  };
  MultipartUpload upload(*odd_, object_, {});
  send(upload, 1, first_);
  EXPECT_EQ(failure_of([&] { send(upload, 2, second_); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(faulty_->faults.calls("upload_part"), 3);
  MultipartUpload other(*odd_, object_, {});
  send(other, 2, second_);  // it may have been encrypted, as far as one part tells
  EXPECT_EQ(failure_of([&] { send(other, 1, first_); }).kind(), ErrorKind::corrupt)
      << "the first part's ETag is an MD5";
}

TEST_F(MultipartTest, TakesETagsThatAreNoMd5sOnTheWordOfTheStore) {
  for (const bool is_opaque : {true, false}) {
    SCOPED_TRACE(is_opaque);
    const int before = faulty_->faults.calls("upload_part");
    odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& b) {
      faulty_->upload_part(o, u, n, b);
      return md5_of("ciphertext" + std::to_string(n));
    };
    odd_->complete_upload_ = [&](const auto& o, const auto& u, auto parts, const auto& c) {
      EXPECT_EQ(parts.at(0).etag, md5_of("ciphertext1"));
      parts[0].etag = md5_of(first_), parts[1].etag = md5_of(second_);
      return faulty_->complete_upload(o, u, parts, c);
    };
    odd_->head_ = [&](const ObjectAddress& o) {
      auto info = faulty_->head(o, {});
      info->is_etag_opaque = is_opaque;
      return info;
    };
    const auto upload = sent(*odd_);
    EXPECT_EQ(faulty_->faults.calls("upload_part") - before, 3) << "one part is sent twice to learn what ETags are";
    if (is_opaque)
      EXPECT_EQ(upload->complete().etag, own_etag());
    else
      EXPECT_EQ(failure_of([&] { upload->complete(); }).kind(), ErrorKind::corrupt);
  }
}

TEST_F(MultipartTest, ComparesNoETagsUnderAKmsKeyOfItsOwn) {
  odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& b) {
    faulty_->upload_part(o, u, n, b);
    return md5_of("ciphertext");
  };
  MultipartOptions options;
  options.attributes.kms_key_arn = "arn:aws:kms:eu-west-1:1:key/k";
  const auto upload = sent(*odd_, options);
  EXPECT_EQ(faulty_->faults.calls("upload_part"), 2);
}

TEST_F(MultipartTest, CopiesParts) {
  put(first_ + second_, {});
  const auto info = stored_->head(object_);
  const ObjectAddress copy{object_.bucket, ObjectKey("copy")};
  MultipartUpload upload(*odd_, copy, {});
  upload.copy(1, {object_, {}, info->etag}, store::ByteRange::at(0, 5_MiB));
  upload.copy(2, {object_, {}, info->etag}, store::ByteRange::at(5_MiB, 1000));
  EXPECT_EQ(upload.complete().etag, own_etag());
  EXPECT_EQ(store::read_all(*stored_->get(copy), 1_GiB), first_ + second_);
}

// ---- Completion

TEST_F(MultipartTest, CompletesWithSizeAndChecksumAsConditions) {
  const store::Checksum whole{store::Checksum::Algorithm::crc64nvme, "12345678"};
  for (const bool has_algorithm : {false, true}) {
    store::WriteConditions seen;
    odd_->complete_upload_ = [&](const auto& o, const auto& u, const auto& parts, const auto& c) {
      seen = c;
      return stored_->complete_upload(o, u, parts, {});
    };
    MultipartOptions options;
    if (has_algorithm) options.attributes.checksum_algorithm = whole.algorithm;
    store::WriteConditions conditions;
    conditions.checksum = whole;
    sent(*odd_, options)->complete(conditions);
    EXPECT_EQ(seen.size, first_.size() + second_.size());
    EXPECT_EQ(seen.checksum.has_value(), has_algorithm);
  }
}

TEST_F(MultipartTest, R6aTakesItsOwnObjectForTheResponseThatWasLost) {
  // The store completed the upload; the request that was repeated met NoSuchUpload.
  for (const Error& failure : {lost, Error(ErrorKind::unavailable, "InternalError").with_code("InternalError"),
                               Error(ErrorKind::not_found, "no such upload").with_code(no_such_upload)}) {
    SCOPED_TRACE(failure.what());
    faulty_->arm("complete_upload", "dir", failure, 1, /*after=*/true);
    const auto upload = sent(*odd_);
    EXPECT_EQ(upload->complete().etag, own_etag());
    EXPECT_EQ(content(), first_ + second_);
  }
}

TEST_F(MultipartTest, R6bTellsAnUploadThatIsGoneFromOneThatWorked) {
  const auto upload = sent(*odd_);
  stored_->abort_upload(object_, upload->id());
  const Error failure = failure_of([&] { upload->complete(); });
  EXPECT_EQ(failure.code(), no_such_upload);
  EXPECT_EQ(failure.kind(), ErrorKind::not_found);
  EXPECT_EQ(faulty_->faults.calls("head"), 1);
  EXPECT_EQ(failure_of([&] { send(*upload, 1, first_); }).code(), no_such_upload);
}

TEST_F(MultipartTest, R6cNamesAnotherWritersObjectOfEqualSizeAConflict) {
  const std::string other = noise(first_.size() + second_.size(), 9);
  for (const auto& [content, token] : {std::pair{other, "mine"}, std::pair{first_ + second_, "another"}}) {
    const auto upload = sent(*odd_);
    stored_->abort_upload(object_, upload->id());
    put(content, {{"token", token}});
    const Error failure = failure_of([&] { upload->complete(); });
    EXPECT_EQ(failure.kind(), ErrorKind::precondition);
    EXPECT_EQ(failure.code(), upload_conflict);
    EXPECT_NE(failure.summary().find("conflict"), std::string::npos);
    EXPECT_EQ(this->content(), content);
  }
}

TEST_F(MultipartTest, AnObjectOfAnotherSizeIsNoConflictUnlessTheConditionsForbidIt) {
  put("an older version", {});
  const ETag older = stored_->head(object_)->etag;
  const auto code_on = [&](const store::WriteConditions& conditions) {
    const auto upload = sent(*odd_);
    stored_->abort_upload(object_, upload->id());
    return failure_of([&] { upload->complete(conditions); }).code();
  };
  EXPECT_EQ(code_on({}), no_such_upload);
  EXPECT_EQ(code_on({.if_none_match = false, .if_match = older}), no_such_upload);
  EXPECT_EQ(code_on({.if_none_match = true, .if_match = {}}), upload_conflict);
  EXPECT_EQ(code_on({.if_none_match = false, .if_match = md5_of("x")}), upload_conflict);
}

TEST_F(MultipartTest, SettlesByTheChecksumWhereTheETagDoesNotTell) {
  const store::Checksum whole{store::Checksum::Algorithm::crc64nvme, "12345678"};
  std::optional<store::Checksum> kept;
  odd_->head_ = [&](const ObjectAddress& o) {
    auto info = faulty_->head(o, {});
    info->etag = ETag("0123456789abcdef0123456789abcdef-2"), info->is_etag_opaque = true, info->checksum = kept;
    return info;
  };
  store::WriteConditions conditions;
  conditions.checksum = whole;
  const Error gone = Error(ErrorKind::not_found, "no such upload").with_code(no_such_upload);
  const auto complete = [&] {
    faulty_->arm("complete_upload", "dir", gone, 1, /*after=*/true);
    sent(*odd_)->complete(conditions);
  };
  kept = whole;
  EXPECT_NO_THROW(complete());
  kept->value = "87654321";
  EXPECT_EQ(failure_of(complete).code(), upload_conflict);
  kept.reset();
  const Error unknown = failure_of(complete);
  EXPECT_EQ(unknown.code(), upload_conflict);
  EXPECT_NE(unknown.hint().find("may be that of this upload"), std::string::npos);
}

TEST_F(MultipartTest, ACompletionThatFailedCanBeRepeated) {
  const auto upload = sent(*odd_);
  put("in the way", {});
  EXPECT_EQ(failure_of([&] { upload->complete({.if_none_match = true, .if_match = {}}); }).kind(),
            ErrorKind::precondition);
  faulty_->arm("complete_upload", "dir", lost);
  EXPECT_EQ(failure_of([&] { upload->complete(); }).summary(), lost.summary());
  EXPECT_EQ(upload->complete().etag, own_etag());
}

TEST_F(MultipartTest, DoesNotBelieveACompleteThatLies) {
  const auto completing = [&](ETag said, bool truly) {
    odd_->complete_upload_ = [=, this](const auto& o, const auto& u, const auto& parts, const auto& c) {
      if (truly) stored_->complete_upload(o, u, parts, c);
      return store::PutResult{said, {}};
    };
    return sent(*odd_)->complete();
  };
  EXPECT_EQ(failure_of([&] { completing(md5_of("other"), false); }).kind(), ErrorKind::corrupt) << "no object is there";
  put("another", {});
  EXPECT_EQ(failure_of([&] { completing(md5_of("other"), false); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(completing(md5_of("other"), true).etag, own_etag()) << "the object is right, only the response is not";
}

TEST_F(MultipartTest, WhatCannotBeLookedAtIsNeitherSuccessNorBegunAgain) {
  const auto upload = sent(*odd_);
  faulty_->arm("complete_upload", "dir", Error(ErrorKind::not_found, "gone").with_code(no_such_upload), 1, true);
  faulty_->arm("head", "dir", lost);
  const Error failure = failure_of([&] { upload->complete(); });
  EXPECT_EQ(failure.kind(), ErrorKind::unavailable);
  EXPECT_EQ(failure.code(), "");
}

TEST_F(MultipartTest, AStopComesBeforeTheCompletion) {
  std::stop_source stop;
  const auto upload =
      sent(*odd_, {.attributes = {}, .remember = {}, .stays_when_destroyed = false, .stop = stop.get_token()});
  stop.request_stop();
  EXPECT_EQ(failure_of([&] { upload->complete(); }).kind(), ErrorKind::cancelled);
  EXPECT_EQ(faulty_->faults.calls("complete_upload"), 0);
}

// ---- Abort

TEST_F(MultipartTest, R10AbortsUntilNoPartIsListed) {
  const auto upload = sent(*odd_);
  int left = 2;
  odd_->abort_upload_ = [&](const ObjectAddress& o, const UploadId& u) {
    if (--left == 0) stored_->abort_upload(o, u);  // a part under way came after the first abort
  };
  upload->abort();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(uploads(), 0U);
}

TEST_F(MultipartTest, R10SaysWhenPartsAreLeft) {
  int aborts = 0;
  odd_->abort_upload_ = [&](const auto&, const auto&) { ++aborts; };
  const auto upload = sent(*odd_);
  EXPECT_EQ(failure_of([&] { upload->abort(); }).kind(), ErrorKind::unavailable);
  EXPECT_EQ(aborts, 3);
  const Error told = upload->failed_with(Error(ErrorKind::corrupt, "why it ended"));
  EXPECT_EQ(told.summary(), "why it ended");
  EXPECT_NE(told.hint().find(upload->id().str()), std::string::npos) << told.hint();
  EXPECT_EQ(aborts, 6);
}

TEST_F(MultipartTest, R10AnAbortThatFailsInPassingIsRepeated) {
  flow::Retrier retrier(world_);
  store::RetryingStore retrying(*odd_, retrier);
  const auto upload = sent(retrying);
  faulty_->arm("abort_upload", "dir", Error(ErrorKind::unavailable, "InternalError"), 2);
  upload->abort();
  EXPECT_EQ(uploads(), 0U);
}

TEST_F(MultipartTest, AbortsWithoutTheRightToListParts) {
  const auto upload = sent(*odd_);
  faulty_->arm("list_parts", "dir", Error(ErrorKind::denied, "AccessDenied"));
  upload->abort();
  EXPECT_EQ(uploads(), 0U);
  MultipartUpload::abort(*odd_, object_, upload->id());  // no error where it is gone
}

TEST_F(MultipartTest, AbortsTheUploadAfterAFailure) {
  const auto upload = sent(*odd_);
  const Error failure = upload->failed_with(lost);
  EXPECT_EQ(failure.hint(), lost.hint());
  EXPECT_EQ(uploads(), 0U);
}

}  // namespace
}  // namespace bale::transfer
