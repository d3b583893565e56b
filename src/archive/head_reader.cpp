#include "archive/head_reader.hpp"

#include <algorithm>
#include <utility>

namespace bale::archive {
namespace {

class HeadReader final : public Reader {
 public:
  HeadReader(std::unique_ptr<HeadSource> head, std::unique_ptr<Reader> inner, ByteCount file_bytes,
             std::vector<Remark> remarks)
      : head_(std::move(head)), inner_(std::move(inner)), file_bytes_(file_bytes), remarks_(std::move(remarks)) {}

  const Manifest& manifest() const override { return inner_->manifest(); }
  bool random_access() const override { return inner_->random_access(); }
  std::optional<Error> flaw() const override { return inner_->flaw(); }
  std::vector<Remark> remarks() const override { return remarks_; }
  std::size_t frames() const override { return inner_->frames(); }
  ByteCount archive_bytes() const override { return file_bytes_; }
  ByteCount tar_bytes() const override { return inner_->tar_bytes(); }
  MemberLocation locate(std::size_t object) const override { return inner_->locate(object); }
  void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools pools,
            flow::MemoryBudget& budget, std::stop_token stop) override {
    inner_->read(objects, visitor, pools, budget, std::move(stop));
  }

 private:
  const std::unique_ptr<HeadSource> head_;  // which inner_ borrows
  const std::unique_ptr<Reader> inner_;
  const ByteCount file_bytes_;
  const std::vector<Remark> remarks_;
};

}  // namespace

Buffer HeadSource::read_tail(ByteCount most) {
  Buffer tail(std::min(most, bytes_));
  tail.resize(tail.capacity());
  whole_.read_at(bytes_ - tail.size(), {tail.data(), tail.size()});
  return tail;
}

std::unique_ptr<Reader> reader_of_head(std::unique_ptr<HeadSource> head, std::unique_ptr<Reader> inner,
                                       ByteCount file_bytes, std::vector<Remark> remarks) {
  return std::make_unique<HeadReader>(std::move(head), std::move(inner), file_bytes, std::move(remarks));
}

}  // namespace bale::archive
