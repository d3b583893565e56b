// What was learned of the levels of each source, read from the settings tables.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "compression/cost_model.hpp"
#include "config/replication.hpp"
#include "records/record_store.hpp"

namespace bale::service {

/// Trials that were recorded, summed. Dollars are those of transfer not paid, less processor time.
struct LearnedSums {
  std::uint64_t trials = 0, objects = 0;
  double bytes = 0;   ///< before
  double stored = 0;  ///< after
  double saved = 0;   ///< dollars; negative where compressing lost money
  /// Dollars for each GiB before compressing; nothing where there is none.
  std::optional<double> saved_per_gib() const noexcept;
};

/// One content class of a source: the newest trials, 200 to 400 where there are so many.
struct ClassLevels {
  std::string content_class;  ///< "text-2"; as the table has it, so any text
  LearnedSums sums;
  std::optional<int> best_level;  ///< that is believed to save most now; nothing where nothing crosses regions
  int most_used_level = 0;        ///< that most of the bytes went through
};

/// All rules with one region, bucket and prefix: they share what is learned.
struct SourceLevels {
  Region region;
  std::string source;  ///< "bucket/prefix/"
  std::optional<int> configured_level;
  std::vector<ClassLevels> classes;  ///< most bytes first
  LearnedSums sums;                  ///< of the classes together
  // Of the item that S3 Cross-Region Compressor knows, since it was made:
  std::uint64_t files = 0;
  std::uint64_t archives = 0;          ///< an archive counts once for each level in it
  double saved = 0;                    ///< dollars, at the prices of their time
  std::optional<double> cpu_factor;    ///< mean of the fleet: below 1 is faster than the reference machine
  std::optional<int> best_level;       ///< that pays best for all content together
  std::optional<int> most_used_level;  ///< that most objects went through
  std::vector<std::string> warnings;   ///< what could not be understood and is left out, for people
  bool is_empty() const noexcept { return classes.empty() && files == 0 && archives == 0; }
};

/// A table that could not be read, and why.
struct UnreadTable {
  Region region;
  TableName table;
  Error error;  ///< kind not_found: it is not there
};

struct LevelStatus {
  std::vector<SourceLevels> sources;  ///< of tables that were read; in the order of the rules
  std::vector<UnreadTable> unread;
};

/// Reads the settings table of every region that has a source, page by page. `prices` are those of now; a task has the
/// cores of the source's `cpu`, and levels are not limited by memory. Rules that share bucket and prefix are reckoned
/// with the destinations of the first. Throws only Error{cancelled} of the record store.
LevelStatus level_status(const config::ReplicationConfig& config,
                         const std::function<records::RecordStore&(const Region&)>& records,
                         const compression::Prices& prices);

}  // namespace bale::service
