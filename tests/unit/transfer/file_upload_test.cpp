#include "transfer/file_upload.hpp"

#include <fmt/format.h>

#include <atomic>
#include <random>

#include "base/crc.hpp"
#include "embedded/backend.hpp"
#include "flow/retrier.hpp"
#include "store/own_write.hpp"
#include "store/retrying_store.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "support/odd_store.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

constexpr ByteCount part = 5_MiB;

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes + sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), sizeof word, text.begin() + static_cast<std::ptrdiff_t>(at));
  }
  text.resize(bytes);
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

/// A file in memory that counts the bytes read of it.
class CountedFile final : public os::ReadableFile {
 public:
  explicit CountedFile(std::string bytes) : content(std::move(bytes)), size_(content.size()) {}
  ByteCount size() const override { return size_; }
  std::size_t read_at(ByteCount offset, MutableBytes bytes) override {
    const std::size_t there = offset < content.size() ? content.size() - offset : 0;
    const std::size_t got = std::min(there, bytes.size());
    std::copy_n(as_bytes(content).begin() + static_cast<std::ptrdiff_t>(std::min<ByteCount>(offset, content.size())),
                got, bytes.begin());
    read += got;
    return got;
  }
  std::string content;
  std::atomic<ByteCount> read{0};

 private:
  const ByteCount size_;  ///< when it was opened
};

std::string bytes_of(std::uint64_t crc) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(crc >> shift);
  return bytes;
}

class FileUploadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    stored_ = backend_->store(Region("eu-west-1"));
    stored_->create_bucket(object_.bucket);
    faulty_ = std::make_unique<bale::testing::FaultyStore>(*stored_);
    odd_ = std::make_unique<bale::testing::OddStore>(*faulty_);
    options_.part_bytes = part;
    options_.moved = [this](std::int64_t bytes) { moved_ += bytes; };
    options_.attributes.metadata = {{"token", "mine"}};
  }

  /// An upload that a later process may resume.
  void keep_id() {
    options_.remember = [this](const UploadId& id) {
      remembered_.push_back(id);
      options_.resume = id;
    };
  }
  FileUploaded upload(CountedFile& file) {
    const FileUpload options = options_;  // remember() changes them
    return upload_file(*odd_, connections_, budget_, file, object_, options);
  }
  std::string content() { return store::read_all(*stored_->get(object_), 1_GiB); }
  std::size_t uploads() { return stored_->list_uploads(object_.bucket).size(); }
  int calls(const char* method) { return faulty_->faults.calls(method); }
  static ETag md5_of(std::string_view bytes) { return ETag(to_hex_digest(Md5::of(as_bytes(bytes)))); }
  static ETag etag_of(const std::string& bytes) {
    if (bytes.size() < part) return md5_of(bytes);
    std::vector<store::UploadedPart> parts;
    for (std::size_t at = 0; at < bytes.size(); at += part) parts.push_back({1, md5_of(bytes.substr(at, part)), 0});
    return *store::multipart_etag(parts);
  }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> stored_;
  std::unique_ptr<bale::testing::FaultyStore> faulty_;
  std::unique_ptr<bale::testing::OddStore> odd_;
  flow::MemoryBudget budget_{64_MiB};
  flow::ThreadPool connections_{4, "connection"};
  const ObjectAddress object_{BucketName("bucket"), ObjectKey("dir/file.raw")};
  FileUpload options_;
  std::vector<UploadId> remembered_;
  std::atomic<std::int64_t> moved_{0};
};

// ---- Whole uploads

TEST_F(FileUploadTest, R2GivesTheETagOfTheAwsCommandLineAroundOnePart) {
  for (const ByteCount size : {ByteCount{0}, ByteCount{1}, part - 1, part, part + 1, 2 * part, 3 * part + 1}) {
    SCOPED_TRACE(size);
    CountedFile file(noise(size, 1));
    moved_ = 0;
    const FileUploaded uploaded = upload(file);
    EXPECT_EQ(uploaded.etag, etag_of(file.content));
    EXPECT_EQ(uploaded.object.etag, uploaded.etag);
    EXPECT_EQ(uploaded.checksum.value, bytes_of(crc_of(crc64nvme, as_bytes(file.content))));
    EXPECT_EQ(uploaded.size, size);
    EXPECT_EQ(uploaded.parts, size < part ? 0 : (size + part - 1) / part);
    EXPECT_EQ(uploaded.sent_bytes, size);
    EXPECT_EQ(uploaded.adopted_bytes, 0U);
    EXPECT_EQ(file.read, size) << "each byte is read once";
    EXPECT_EQ(moved_, static_cast<std::int64_t>(size));
    EXPECT_TRUE(content() == file.content);
  }
}

TEST_F(FileUploadTest, HashesNoByteAgainForARequestThatIsRepeated) {
  flow::Retrier retrier(world_);
  store::RetryingStore retrying(*odd_, retrier);
  CountedFile file(noise(part + 1, 1));
  faulty_->arm("upload_part", "dir", Error(ErrorKind::unavailable, "the response is lost"), 1, /*after=*/true);
  const FileUploaded uploaded = upload_file(retrying, connections_, budget_, file, object_, options_);
  EXPECT_EQ(uploaded.etag, etag_of(file.content));
  EXPECT_EQ(uploaded.object.etag, uploaded.etag);
  EXPECT_EQ(moved_, static_cast<std::int64_t>(part + 1)) << "what was sent twice counts once";
}

TEST_F(FileUploadTest, HoldsOneMebibyteForEachPartUnderWay) {
  options_.most_parts_under_way = 3;
  CountedFile file(noise(6 * part, 1));
  upload(file);
  EXPECT_LE(budget_.peak(), 3_MiB);
}

TEST_F(FileUploadTest, SaysThatTheResponseIsCompared) {
  std::vector<store::BodyDigests> seen;
  odd_->put_ = [&](const auto& o, store::Body& body, const auto& a, const auto& c) {
    seen.push_back(body.digests());
    return faulty_->put(o, body, a, c);
  };
  CountedFile file("content");
  upload(file);
  options_.computes_digests = false;
  const FileUploaded uploaded = upload(file);
  EXPECT_EQ(uploaded.etag, md5_of("content")) << "as the store says";
  EXPECT_EQ(uploaded.checksum.value, "");
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_TRUE(seen[0].response_is_compared);
  EXPECT_FALSE(seen[0].md5);
  EXPECT_FALSE(seen[1].response_is_compared);
}

TEST_F(FileUploadTest, MakesTheWholeChecksumAConditionWhereTheUploadHasItsAlgorithm) {
  options_.attributes.checksum_algorithm = store::Checksum::Algorithm::crc64nvme;
  store::WriteConditions seen;
  odd_->complete_upload_ = [&](const auto& o, const auto& u, const auto& parts, const auto& c) {
    seen = c;
    return stored_->complete_upload(o, u, parts, {});
  };
  CountedFile file(noise(part + 7, 1));
  const FileUploaded uploaded = upload(file);
  EXPECT_EQ(seen.checksum, uploaded.checksum);
  EXPECT_EQ(seen.size, part + 7);
}

TEST_F(FileUploadTest, AsksBeforeTheObjectIsMade) {
  for (const ByteCount size : {ByteCount{10}, part + 1}) {
    options_.before_complete = [&] {
      EXPECT_EQ(calls("put") + calls("complete_upload"), 0);
      throw Error(ErrorKind::precondition, "the lease is lost");
    };
    CountedFile file(noise(size, 1));
    EXPECT_EQ(failure_of([&] { upload(file); }).summary(), "the lease is lost");
    EXPECT_FALSE(stored_->head(object_));
    EXPECT_EQ(uploads(), 0U);
  }
}

// ---- Files that change

TEST_F(FileUploadTest, R4RefusesAFileThatGetsLongerOrShorter) {
  for (const ByteCount size : {ByteCount{10}, part + 10}) {
    for (const bool longer : {true, false}) {
      SCOPED_TRACE(fmt::format("{} {}", size, longer));
      CountedFile file(noise(size, 1));
      faulty_->before = [&](const std::string& method, const std::string&) {
        if (method == "put" || method == "create_upload") file.content.resize(longer ? size + 1 : size - 1);
      };
      EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::precondition);
      EXPECT_FALSE(stored_->head(object_));
      EXPECT_EQ(uploads(), 0U);
    }
  }
  CountedFile file("content");
  file.content += "more";
  EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::precondition) << "as a file of /proc";
}

// ---- Resumption

TEST_F(FileUploadTest, SendsOnlyWhatIsMissing) {
  keep_id();
  CountedFile file(noise(3 * part + 1, 1));
  faulty_->before = [&](const std::string& method, const std::string&) {
    if (method == "upload_part" && calls("upload_part") >= 2) throw Error(ErrorKind::unavailable, "the line is cut");
  };
  options_.most_parts_under_way = 1;
  EXPECT_EQ(failure_of([&] { upload(file); }).summary(), "the line is cut");
  EXPECT_EQ(uploads(), 1U);
  faulty_->before = nullptr;
  const int sent = calls("upload_part");
  file.read = 0, moved_ = 0;
  const FileUploaded uploaded = upload(file);
  EXPECT_EQ(calls("upload_part") - sent, 2);
  EXPECT_EQ(uploaded.adopted_bytes, 2 * part);
  EXPECT_EQ(uploaded.sent_bytes, part + 1);
  EXPECT_EQ(file.read, file.content.size()) << "each byte is read once, adopted or sent";
  EXPECT_EQ(moved_, static_cast<std::int64_t>(file.content.size()));
  EXPECT_EQ(uploaded.object.etag, etag_of(file.content));
  EXPECT_EQ(uploaded.checksum.value, bytes_of(crc_of(crc64nvme, as_bytes(file.content))));
  EXPECT_EQ(calls("create_upload"), 1);
  EXPECT_EQ(uploads(), 0U);
}

TEST_F(FileUploadTest, SendsAPartOfOtherBytesAgainWithItsDigests) {
  keep_id();
  options_.attributes.checksum_algorithm = store::Checksum::Algorithm::crc64nvme;
  CountedFile before(noise(2 * part, 1)), after(before.content);
  after.content[10] ^= 1;
  faulty_->arm("complete_upload", "dir", Error(ErrorKind::unavailable, "the line is cut"));
  EXPECT_EQ(failure_of([&] { upload(before); }).kind(), ErrorKind::unavailable);
  std::vector<store::BodyDigests> seen;
  odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& body) {
    seen.push_back(body.digests());
    return faulty_->upload_part(o, u, n, body);
  };
  const FileUploaded uploaded = upload(after);
  EXPECT_EQ(uploaded.adopted_bytes, part);
  EXPECT_EQ(after.read, 3 * part) << "the part that differs is read to compare it, and to send it";
  EXPECT_TRUE(content() == after.content);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].md5, Md5::of(as_bytes(after.content).first(part)));
  ASSERT_TRUE(seen[0].checksum);
  EXPECT_EQ(seen[0].checksum->value, bytes_of(crc_of(crc64nvme, as_bytes(after.content).first(part))));
}

TEST_F(FileUploadTest, AFailureAtAnyCallLeavesAnUploadToBeResumed) {
  CountedFile file(noise(3 * part + 1, 1));
  for (const char* method : {"upload_part", "complete_upload"}) {
    for (const bool after : {false, true}) {
      for (int call = 0; call < (method == std::string("upload_part") ? 4 : 1); ++call) {
        SCOPED_TRACE(fmt::format("{} {} {}", method, call, after));
        remembered_.clear();
        options_.resume.reset();
        keep_id();
        options_.most_parts_under_way = 1;
        stored_->remove(object_);
        int left = call;
        faulty_->before = [&](const std::string& called, const std::string&) {
          if (called == method && left-- == 0)
            faulty_->arm(method, "dir", Error(ErrorKind::unavailable, "killed"), 1, after);
        };
        bool was_killed = false;
        try {
          upload(file);
        } catch (const Error& error) {
          was_killed = true;
          EXPECT_EQ(error.summary(), "killed");
          EXPECT_EQ(uploads(), 1U);
        }
        // An object that is its own counts, whatever the response says.
        EXPECT_EQ(was_killed, !(after && method == std::string("complete_upload")));
        faulty_->before = nullptr;
        if (was_killed) {
          const FileUploaded uploaded = upload(file);
          EXPECT_EQ(uploaded.adopted_bytes, std::min<ByteCount>((call + (after ? 1 : 0)) * part, file.content.size()) +
                                                (method == std::string("complete_upload") ? file.content.size() : 0));
        }
        EXPECT_TRUE(content() == file.content);
        EXPECT_EQ(uploads(), 0U);
        EXPECT_EQ(remembered_.size(), 1U);
      }
    }
  }
}

TEST_F(FileUploadTest, ResumesWithoutTheRightToListParts) {
  keep_id();
  CountedFile file(noise(2 * part, 1));
  faulty_->arm("complete_upload", "dir", Error(ErrorKind::unavailable, "the line is cut"));
  EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::unavailable);
  faulty_->arm("list_parts", "dir", Error(ErrorKind::denied, "AccessDenied"));
  const FileUploaded uploaded = upload(file);
  EXPECT_TRUE(uploaded.parts_were_not_listed);
  EXPECT_EQ(uploaded.sent_bytes, 2 * part);
  EXPECT_EQ(calls("create_upload"), 1) << "no second upload takes space";
  EXPECT_EQ(uploads(), 0U);
}

TEST_F(FileUploadTest, R6bBeginsAnUploadAgainThatIsGone) {
  keep_id();
  CountedFile file(noise(2 * part + 1, 1));
  for (const std::string method : {"list_parts", "upload_part", "complete_upload"}) {
    SCOPED_TRACE(method);
    remembered_.clear();
    options_.resume.reset();
    stored_->remove(object_);
    if (method == "list_parts") options_.resume = UploadId("gone");
    bool is_over = false;
    faulty_->before = [&](const std::string& called, const std::string&) {
      if (called != method || std::exchange(is_over, true)) return;
      for (const auto& each : stored_->list_uploads(object_.bucket)) stored_->abort_upload(object_, each.upload_id);
    };
    options_.most_parts_under_way = 1;
    moved_ = 0;
    const FileUploaded uploaded = upload(file);
    faulty_->before = nullptr;
    EXPECT_TRUE(is_over || method == "list_parts");
    EXPECT_EQ(uploaded.object.etag, etag_of(file.content));
    EXPECT_EQ(remembered_.size(), method == "list_parts" ? 1U : 2U) << "the new id is remembered too";
    EXPECT_EQ(moved_, static_cast<std::int64_t>(file.content.size()));
    EXPECT_EQ(uploads(), 0U);
  }
}

TEST_F(FileUploadTest, DoesNotBeginAgainForEver) {
  faulty_->arm("upload_part", "dir", Error(ErrorKind::not_found, "gone").with_code("NoSuchUpload"), 3);
  options_.most_parts_under_way = 1;
  CountedFile file(noise(part, 1));
  EXPECT_EQ(failure_of([&] { upload(file); }).code(), "NoSuchUpload");
  EXPECT_EQ(calls("create_upload"), 3);
}

TEST_F(FileUploadTest, AStopLeavesAnUploadThatIsRememberedAndNoOther) {
  for (const bool is_remembered : {false, true}) {
    std::stop_source stop;
    options_.stop = stop.get_token();
    if (is_remembered) keep_id();
    faulty_->before = [&](const std::string& method, const std::string&) {
      if (method == "upload_part") stop.request_stop();
    };
    CountedFile file(noise(2 * part, 1));
    EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::cancelled);
    EXPECT_EQ(uploads(), is_remembered ? 1U : 0U);
    EXPECT_FALSE(stored_->head(object_));
  }
}

// ---- Responses of other bytes

TEST_F(FileUploadTest, SendsAFileAgainThatArrivedOtherwise) {
  std::vector<store::WriteConditions> seen;
  int damaged = 1;
  odd_->put_ = [&](const auto& o, store::Body& body, const auto& a, const store::WriteConditions& c) {
    seen.push_back(c);
    if (damaged-- <= 0) return stored_->put(o, body, a, c);
    while (!body.next(1_MiB).empty()) continue;
    store::MemoryBody other(as_bytes("damaged"));
    return stored_->put(o, other, a, c);
  };
  options_.conditions.if_none_match = true;
  CountedFile file("content");
  const FileUploaded uploaded = upload(file);
  EXPECT_EQ(uploaded.object.etag, md5_of("content"));
  EXPECT_EQ(content(), "content");
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_FALSE(seen[1].if_none_match);
  EXPECT_EQ(seen[1].if_match, md5_of("damaged")) << "nobody else's object is replaced";
}

TEST_F(FileUploadTest, RefusesAFileThatArrivesOtherwiseTwice) {
  int puts = 0;
  bool is_opaque = false;
  odd_->put_ = [&](const auto& o, store::Body& body, const auto& a, const auto& c) {
    ++puts;
    store::PutResult result = stored_->put(o, body, a, c);
    result.etag = md5_of("ciphertext");
    return result;
  };
  odd_->head_ = [&](const ObjectAddress& o) {
    auto info = stored_->head(o);
    info->is_etag_opaque = is_opaque;
    return info;
  };
  CountedFile file("content");
  EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(puts, 2);
  is_opaque = true;  // the bucket encrypts with a KMS key: the ETag tells nothing
  EXPECT_EQ(upload(file).object.etag, md5_of("ciphertext"));
  EXPECT_EQ(puts, 3);
}

TEST_F(FileUploadTest, DoesNotBelieveACompleteThatLies) {
  odd_->complete_upload_ = [&](const auto&, const auto&, const auto&, const auto&) {
    return store::PutResult{md5_of("other"), {}};
  };
  CountedFile file(noise(part + 1, 1));
  EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::corrupt);
}

TEST_F(FileUploadTest, SaysWhatToDoWhereAServerTakesFewerParts) {
  odd_->upload_part_ = [&](const auto& o, const auto& u, auto n, store::Body& body) {
    if (n == 2) throw Error(ErrorKind::invalid, "no such part number");
    return faulty_->upload_part(o, u, n, body);
  };
  options_.part_bytes_hint = "set --part-size";
  CountedFile file(noise(2 * part, 1));
  const Error failure = failure_of([&] { upload(file); });
  EXPECT_EQ(failure.summary(), "the server refuses part 2 of 2: no such part number");
  EXPECT_EQ(failure.hint(), "set --part-size");
}

TEST_F(FileUploadTest, R3RefusesMoreThanTenThousandPartsBeforeTheFirstByte) {
  options_.part_bytes = 1;
  CountedFile file(std::string(10'001, 'x'));
  EXPECT_EQ(failure_of([&] { upload(file); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(calls("create_upload"), 0);
  EXPECT_EQ(file.read, 0U);
}

}  // namespace
}  // namespace bale::transfer
