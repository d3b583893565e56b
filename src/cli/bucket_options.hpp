// What the commands of `bale bucket` take as the scripts of s3-backup-restore did: flags and environment variables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/names.hpp"
#include "cli/context.hpp"
#include "os/environment.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// The command whose options are meant: each takes those of its script.
enum class BucketVerb { backup, compare, restore };

/// What the command line says of buckets, before environment variables are considered.
struct BucketArguments {
  std::string source, destination;                ///< positional: s3://bucket[/prefix]
  std::string source_bucket, destination_bucket;  ///< -s, -d: a bucket's name, or s3://bucket[/prefix]
  std::optional<std::string> prefix;
  std::optional<std::uint32_t> threads_per_process;  ///< --thread-count-per-proc
  std::optional<std::uint32_t> timeout;              ///< seconds; accepted, and has no effect
  std::optional<std::uint64_t> objects_count;        ///< --objects-count
  std::optional<std::uint32_t> last_modified_since;  ///< hours
  std::string profile;                               ///< -p
  std::string dimension;                             ///< --cloudwatch-dimension-name
  bool emf = false;                                  ///< --emf
  bool all = false;
  bool tag_deleted = false;
  bool check_deleted_tag = false;
  int verbose = 0;  ///< how often -v was given
};

/// What they come to.
struct BucketOptions {
  ObjectAddress source, destination;  ///< the key is a prefix, empty for the whole bucket
  std::string prefix;                 ///< only keys that start with it, behind that of the address
  std::optional<std::uint32_t> threads_per_process;
  std::optional<std::uint64_t> objects_count;        ///< copy at most so many objects
  std::optional<std::uint32_t> last_modified_since;  ///< hours
  std::string profile;                               ///< empty: as without -p
  std::string dimension;                             ///< of metrics for CloudWatch: its name
  bool wants_metrics = false;                        ///< --emf, or a dimension was named
  bool all = false;                                  ///< copy everything, without comparing
  bool tag_deleted = false;
  bool check_deleted_tag = false;
  std::string log_level;  ///< empty: --log-level
  /// The buckets were given as the scripts took them: by -s and -d, or by S3_SRC_BUCKET and S3_DEST_BUCKET.
  bool is_script_form = false;
};

/// The dimension's name in CloudWatch unless another is given: as in the scripts.
inline constexpr const char* default_dimension = "Dev";

/// Adds the positional SRC and DST, and the flags of the scripts, to a command. `arguments` is filled when the command
/// line is parsed, and outlives the parser.
void add_bucket_options(CLI::App& command, BucketVerb verb, BucketArguments& arguments);

/// Returns the options of a command. Environment variables of the scripts (S3_SRC_BUCKET, PREFIX, ALL, ...) fill in
/// what the command line leaves open, but only where the buckets are given as the scripts took them: names like PREFIX
/// are too common to count otherwise. A flag's variable counts as set unless it is empty, 0, false, no or off. Throws
/// Error{invalid} that names what is missing, given twice, or malformed. Pure.
BucketOptions bucket_options(const BucketArguments& arguments, BucketVerb verb, const os::Environment& environment);

/// Returns how many requests may be under way at once where a script had `threads_per_process` threads in each of its
/// processes, one a core. Pure.
std::size_t connections_of(std::uint32_t threads_per_process, std::size_t cores);

/// Lets the profile, the log level and the number of connections count in the context. To be called before any port is
/// asked for.
void apply_to(Context& context, const BucketOptions& options);

}  // namespace bale::cli
