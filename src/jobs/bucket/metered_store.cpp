#include "jobs/bucket/metered_store.hpp"

#include "base/error.hpp"

namespace bale::bucket {

Meter::Meter(os::Clock& clock, std::uint64_t requests_a_second, std::stop_token stop) : stop_(std::move(stop)) {
  // A rate of requests is a rate of bytes, each request being one.
  if (requests_a_second > 0)
    limit_.emplace(clock, [requests_a_second] { return std::optional<ByteCount>(requests_a_second); });
}

void Meter::pass(Kind kind) {
  if (limit_) limit_->pass(1, stop_);
  if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
  ++counts_[kind];
}

RequestCounts Meter::counts() const noexcept {
  return {.list = counts_[list],
          .head = counts_[head],
          .get = counts_[get],
          .put = counts_[put],
          .copy = counts_[copy],
          .tag = counts_[tag],
          .other = counts_[other]};
}

}  // namespace bale::bucket
