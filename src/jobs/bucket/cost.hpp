// What a run costs: requests, and the storage of copies. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace bale::bucket {

/// Requests by what they are charged as.
struct RequestCounts {
  std::uint64_t list = 0;
  std::uint64_t head = 0;
  std::uint64_t get = 0;    ///< of objects and of tags
  std::uint64_t put = 0;    ///< objects and parts, and the two ends of uploads
  std::uint64_t copy = 0;   ///< objects and parts, copied in the store
  std::uint64_t tag = 0;    ///< tags written
  std::uint64_t other = 0;  ///< deletions, and questions to buckets
  std::uint64_t total() const noexcept { return list + head + get + put + copy + tag + other; }
};

/// List prices in US dollars, of a region.
struct Prices {
  double put = 0.005;          ///< of 1000 PUT, COPY, POST or LIST requests to class STANDARD
  double put_to_class = 0.01;  ///< of 1000 PUT or COPY requests to the class of the copies
  double get = 0.0004;         ///< of 1000 GET or HEAD requests
  double storage = 0.0125;     ///< of a GiB for a month in the class of the copies
  double standard = 0.023;     ///< the same in STANDARD
  double transfer = 0;         ///< of a GiB from the region of the source to that of the copies
};

/// Returns the price of the requests in US dollars. Deletions cost nothing.
double price_of(const RequestCounts& requests, const Prices& prices);

/// STANDARD_IA, ONEZONE_IA and GLACIER_IR bill an object of fewer bytes as this many.
/// https://aws.amazon.com/s3/storage-classes/
inline constexpr ByteCount least_billed_bytes = 128 << 10;
bool bills_at_least(std::string_view storage_class) noexcept;

/// What copies would be stored as.
struct StorageEstimate {
  std::uint64_t objects = 0;
  ByteCount bytes = 0;
  std::uint64_t small = 0;          ///< objects below least_billed_bytes in a class that bills more
  ByteCount small_bytes = 0;        ///< theirs
  ByteCount billed = 0;             ///< bytes that are billed, in all classes
  ByteCount in_class = 0;           ///< of `billed`, those in the class of the copies
  std::uint64_t kept_standard = 0;  ///< objects that stay STANDARD because they are small
  void add(ByteCount size, std::string_view storage_class, bool is_kept_standard);
};

/// Dollars for a month of storage.
double month_of(const StorageEstimate& estimate, const Prices& prices);
/// The same if all were STANDARD.
double month_in_standard(const StorageEstimate& estimate, const Prices& prices);

}  // namespace bale::bucket
