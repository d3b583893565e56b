#include "store/content_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "store/own_write.hpp"

namespace bale::store {

/// One kind of evidence.
class ContentCheck::Method {
 public:
  virtual ~Method() = default;
  virtual void update(ByteView bytes) = 0;
  virtual void add(ByteCount, ByteView) {}
  virtual void set_part(std::size_t, ByteView) {}
  virtual bool takes_ranges() const noexcept { return false; }
  virtual ByteCount part_bytes() const noexcept { return 0; }
  /// "MD5", and the values in words.
  virtual std::string name() const = 0;
  virtual std::string expected() const = 0;
  virtual std::string computed() = 0;
};

namespace {

constexpr std::size_t md5_digits = 32;

/// N of "digest-N".
std::optional<std::uint64_t> count_of_parts(std::string_view etag) {
  if (etag.size() <= md5_digits + 1 || etag[md5_digits] != '-') return std::nullopt;
  if (!is_md5(ETag(etag.substr(0, md5_digits)))) return std::nullopt;
  std::uint64_t count = 0;
  const char* const end = etag.data() + etag.size();
  const auto [stop, error] = std::from_chars(etag.data() + md5_digits + 1, end, count);
  if (error != std::errc() || stop != end || count == 0 || count > max_parts) return std::nullopt;
  return count;
}

class CrcMethod final : public ContentCheck::Method {
 public:
  CrcMethod(std::string name, const CrcPolynomial& crc, std::uint64_t expected)
      : name_(std::move(name)), crc_(crc), expected_(expected) {}
  void update(ByteView bytes) override { running_ = crc_of(crc_, bytes, running_); }
  void add(ByteCount offset, ByteView bytes) override {
    const std::uint64_t value = crc_of(crc_, bytes);
    const Lock lock(mutex_);
    ranges_.push_back({offset, bytes.size(), value});
  }
  bool takes_ranges() const noexcept override { return true; }
  std::string name() const override { return name_; }
  std::string expected() const override { return text_of(expected_); }
  std::string computed() override {
    const Lock lock(mutex_);
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
    for (const Range& range : ranges_) running_ = join_crcs(crc_, running_, range.value, range.length);
    ranges_.clear();
    return text_of(running_);
  }

 private:
  struct Range {
    ByteCount offset, length;
    std::uint64_t value;
  };
  std::string text_of(std::uint64_t value) const { return fmt::format("{:0{}x}", value, crc_.width / 4); }

  const std::string name_;
  const CrcPolynomial crc_;
  const std::uint64_t expected_;
  std::uint64_t running_ = 0;
  Mutex mutex_;
  std::vector<Range> ranges_ BALE_GUARDED_BY(mutex_);
};

template <typename Hash>
class DigestMethod final : public ContentCheck::Method {
 public:
  DigestMethod(std::string name, std::string expected) : name_(std::move(name)), expected_(std::move(expected)) {}
  void update(ByteView bytes) override { hash_.update(bytes); }
  std::string name() const override { return name_; }
  std::string expected() const override { return to_hex(as_bytes(expected_)); }
  std::string computed() override { return to_hex(hash_.finish()); }

 private:
  const std::string name_, expected_;
  Hash hash_;
};

/// An ETag that is made of MD5s.
class EtagMethod final : public ContentCheck::Method {
 public:
  EtagMethod(const ETag& etag, bool in_parts, std::size_t count, ByteCount part_bytes)
      : etag_(etag), in_parts_(in_parts), part_bytes_(part_bytes), parts_(count) {}

  void update(ByteView bytes) override {
    while (!bytes.empty()) {
      const ByteCount room = part_bytes_ - in_part_;
      // More bytes than the object has do not open another part: the digest of the last one is wrong then, as it must
      // be.
      const bool last = next_ + 1 == parts_.size();
      const std::size_t taken = last ? bytes.size() : static_cast<std::size_t>(std::min<ByteCount>(room, bytes.size()));
      part_.update(bytes.first(taken));
      in_part_ += taken;
      bytes = bytes.subspan(taken);
      if (!last && in_part_ == part_bytes_) end_part();
    }
  }
  void set_part(std::size_t index, ByteView bytes) override { parts_.at(index) = Md5::of(bytes); }
  ByteCount part_bytes() const noexcept override { return part_bytes_; }
  std::string name() const override { return "ETag"; }
  std::string expected() const override { return etag_.str(); }
  std::string computed() override {
    if (in_part_ > 0 || (next_ == 0 && part_bytes_ == 0)) end_part();
    if (!in_parts_) return to_hex_digest(parts_.front());
    Md5 all;
    for (const Md5Digest& part : parts_) all.update({part.data(), part.size()});
    return fmt::format("{}-{}", to_hex_digest(all.finish()), parts_.size());
  }

 private:
  void end_part() {
    parts_[next_++] = part_.finish();
    in_part_ = 0;
  }

  const ETag etag_;
  const bool in_parts_;  ///< the ETag ends with "-N"
  const ByteCount part_bytes_;
  Md5 part_;
  ByteCount in_part_ = 0;  ///< bytes of the part so far
  std::size_t next_ = 0;
  std::vector<Md5Digest> parts_;
};

std::unique_ptr<ContentCheck::Method> by_checksum(const Checksum& checksum) {
  using Algorithm = Checksum::Algorithm;
  std::uint64_t number = 0;
  for (const char c : checksum.value) number = (number << 8) | static_cast<unsigned char>(c);
  switch (checksum.algorithm) {
    case Algorithm::crc64nvme: return std::make_unique<CrcMethod>("CRC64NVME", crc64nvme, number);
    case Algorithm::crc32c: return std::make_unique<CrcMethod>("CRC32C", crc32c, number);
    case Algorithm::crc32: return std::make_unique<CrcMethod>("CRC32", crc32_ieee, number);
    case Algorithm::sha256: return std::make_unique<DigestMethod<Sha256>>("SHA-256", checksum.value);
    case Algorithm::sha1: return std::make_unique<DigestMethod<Sha1>>("SHA-1", checksum.value);
  }
  return nullptr;
}

std::unique_ptr<ContentCheck::Method> by_etag(const ObjectInfo& info) {
  if (info.is_etag_opaque || !info.kms_key_arn.empty()) return nullptr;
  if (is_md5(info.etag)) return std::make_unique<EtagMethod>(info.etag, /*in_parts=*/false, 1, info.size);
  const auto parts = count_of_parts(info.etag.str());
  const bool known = info.part_bytes > 0 && parts && (info.size + info.part_bytes - 1) / info.part_bytes == *parts;
  return known ? std::make_unique<EtagMethod>(info.etag, /*in_parts=*/true, *parts, info.part_bytes) : nullptr;
}

class CheckedStream final : public GetStream {
 public:
  CheckedStream(std::unique_ptr<GetStream> stream, ContentCheck check, const ObjectAddress& object)
      : stream_(std::move(stream)), check_(std::move(check)), object_(object) {}
  const ObjectInfo& info() const override { return stream_->info(); }
  ByteCount length() const override { return stream_->length(); }
  ByteCount offset() const override { return stream_->offset(); }
  std::size_t read(MutableBytes bytes) override {
    const std::size_t got = stream_->read(bytes);
    check_.update(bytes.first(got));
    if (got == 0 && !bytes.empty() && !std::exchange(is_checked_, true)) check_.finish(object_);
    return got;
  }

 private:
  const std::unique_ptr<GetStream> stream_;
  ContentCheck check_;
  const ObjectAddress object_;
  bool is_checked_ = false;
};

}  // namespace

ContentCheck::ContentCheck(const ObjectInfo& info)
    : method_(info.checksum ? by_checksum(*info.checksum) : by_etag(info)) {}
ContentCheck::~ContentCheck() = default;
ContentCheck::ContentCheck(ContentCheck&&) noexcept = default;
ContentCheck& ContentCheck::operator=(ContentCheck&&) noexcept = default;

bool ContentCheck::takes_ranges() const noexcept { return method_ && method_->takes_ranges(); }
ByteCount ContentCheck::part_bytes() const noexcept { return method_ ? method_->part_bytes() : 0; }

void ContentCheck::update(ByteView bytes) {
  if (method_) method_->update(bytes);
}

void ContentCheck::add(ByteCount offset, ByteView bytes) {
  if (method_) method_->add(offset, bytes);
}

void ContentCheck::set_part(std::size_t index, ByteView bytes) {
  if (method_) method_->set_part(index, bytes);
}

void ContentCheck::finish(const ObjectAddress& where) {
  if (!method_) return;
  const std::string computed = method_->computed();
  if (computed == method_->expected()) return;
  throw Error(ErrorKind::corrupt,
              fmt::format("the bytes are damaged: their {} is {}, the object's {}", method_->name(), computed,
                          method_->expected()),
              to_uri(where), "they were damaged in the store or on the way; try again, or get another copy or version");
}

std::unique_ptr<GetStream> checked(std::unique_ptr<GetStream> stream, const ObjectAddress& object) {
  if (stream->offset() != 0 || stream->length() != stream->info().size) return stream;
  ContentCheck check(stream->info());
  if (!check.is_possible()) return stream;
  return std::make_unique<CheckedStream>(std::move(stream), std::move(check), object);
}

}  // namespace bale::store
