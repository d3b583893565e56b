// What things cost, as a dated table that its user can replace: docs/estimate.md has the format. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/names.hpp"

namespace bale::estimate {

/// Prices in US dollars. "*" stands for everything that has no entry of its own.
struct PriceTable {
  using ByName = std::map<std::string, double, std::less<>>;
  std::string dated;                                    ///< "2026-01": when somebody last looked
  std::string note;                                     ///< where the prices are from
  std::map<std::string, ByName, std::less<>> transfer;  ///< of a GiB, by region from and region to
  ByName storage;                                       ///< of a GiB for a month, by storage class
  ByName put;                                           ///< of 1000 PUT, COPY or POST requests, by storage class
  double get = 0;                                       ///< of 1000 GET requests
  double queue = 0;                                     ///< of a million requests to SQS
  double compute = 0;                                   ///< of a core for a minute, with its share of memory

  /// 0 within a region.
  double transfer_between(const Region& from, const Region& to) const;
  double storage_of(std::string_view storage_class) const;
  double put_to(std::string_view storage_class) const;
};

/// The JSON text of the table that is built in.
std::string_view default_price_table();

/// Reads a table. Throws Error{invalid} that names the member which is missing or wrong ("transfer.us-east-1").
PriceTable parse_price_table(std::string_view json);

}  // namespace bale::estimate
