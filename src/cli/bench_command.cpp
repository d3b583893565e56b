// bale bench
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <span>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/level_options.hpp"
#include "cli/level_tables.hpp"
#include "cli/output.hpp"
#include "compression/cpu_benchmark.hpp"
#include "compression/level_bench.hpp"
#include "jobs/estimate/inventory.hpp"
#include "os/tree_walk.hpp"

namespace bale::cli {
namespace {

using compression::BenchPiece;
using compression::BenchResult;
using compression::ClassFigures;
using compression::LevelFigures;

constexpr double bytes_per_gib = 1ULL << 30;
// Held in memory at once, and files looked into: time suffices for less at most levels.
constexpr ByteCount most_sample = 64ULL << 20;
constexpr std::size_t most_files = 1000;
/// What the program takes whatever it does: code, libraries, threads. 17 MiB were measured.
constexpr ByteCount own_bytes = 24ULL << 20;
constexpr ByteCount builtin_bytes = 2ULL << 20;  ///< of each kind of built-in data
constexpr Milliseconds cpu_time{1500};           ///< for the CPU factor, but at most a fifth of all
constexpr int seconds_per_cpu_share = 5;

struct BenchOptions {
  std::vector<std::string> paths;
  std::string levels = "1-12";
  std::string frame_size = "2MiB";
  std::vector<std::string> to;
  int seconds = 10;
  std::string config_directory;
};

/// What is compressed, and what it is taken from.
struct Sample {
  std::vector<BenchPiece> pieces;
  std::uint64_t files = 0;  ///< there
  ByteCount bytes = 0;      ///< in these
  ByteCount taken = 0;
  std::uint64_t unread = 0;
};

/// Everything that is known when it is printed.
struct Report {
  compression::CpuBenchmark cpu;
  compression::CostModel cost;
  std::size_t cores;
  std::vector<std::string> regions;
  bool is_builtin;
  Sample sample;
  BenchResult result;
};

void warn_left_out(Context& context, Sample& sample, const os::fs::path& path, std::string_view reason) {
  ++sample.unread;
  emit_warning(context, fmt::format("left out: {}: {}", escape_name(path.native()), reason));
}

void take_stock(Context& context, const std::string& name, estimate::Inventory& inventory, Sample& sample) {
  os::Files& files = context.world().files;
  const auto add = [&](const os::fs::path& path, ByteCount size) {
    inventory.add({.key = ObjectKey(path.native()), .size = size});
  };
  const std::optional<os::FileInfo> info = files.info_followed(name);
  if (!info) throw Error(ErrorKind::not_found, "no such file or directory", escape_name(name));
  if (info->type == os::FileType::regular) return add(name, info->size);
  if (info->type != os::FileType::directory)
    throw Error(ErrorKind::invalid, "it is neither a file nor a directory", escape_name(name));
  const os::fs::path directory(name);
  os::walk_tree(files, directory, {.links = os::Links::follow},
                {.file =
                     [&](const os::WalkedFile& file) {
                       if (context.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
                       add(directory / file.name, file.info.size);
                     },
                 .skipped = [&](const os::fs::path& path,
                                const std::string& reason) { warn_left_out(context, sample, path, reason); },
                 .failed = [&](const os::fs::path& path,
                               const Error& error) { warn_left_out(context, sample, path, error.summary()); }});
}

/// The bytes of a piece; fewer where the file has become shorter.
std::string read_piece(os::Files& files, const estimate::Piece& piece) {
  const auto file = files.open(piece.object.key.str());
  std::string content(piece.bytes, '\0');
  std::size_t read = 0;
  while (read < content.size()) {
    const auto rest = std::as_writable_bytes(std::span(content)).subspan(read);
    const std::size_t more = file->read_at(piece.offset + read, rest);
    if (more == 0) break;
    read += more;
  }
  content.resize(read);
  return content;
}

/// Further pieces of the files that have more, in turns, until `left` bytes are taken: few files may be large.
void add_pieces(std::vector<estimate::Piece>& pieces, ByteCount frame_size, ByteCount left) {
  const std::size_t files = pieces.size();
  bool found = true;
  for (ByteCount turn = 1; found; ++turn) {
    found = false;
    for (std::size_t i = 0; i < files; ++i) {
      const estimate::Piece first = pieces[i];
      if (first.object.size / frame_size <= turn) continue;
      if (left < frame_size) return;
      left -= frame_size;
      found = true;
      // Behind the first one, and from the start again where the file ends.
      const ByteCount places = first.object.size - frame_size + 1;
      pieces.push_back({first.object, (first.offset + turn * frame_size) % places, frame_size});
    }
  }
}

/// How much of the files fits into the memory. It is there up to three times: in the pieces that were read, whose
/// memory the allocator may keep, in the frames that were made of them, and in what the largest frame is compressed to.
ByteCount most_of_files(ByteCount memory, const compression::BenchLimits& limits) {
  ByteCount compressor = compression::measure_cpu_bytes();
  for (const int level : limits.levels)
    compressor = std::max(compressor, archive::compressor_bytes(level, limits.frame_size));
  const ByteCount left = memory - std::min(own_bytes + compressor, memory);
  return std::clamp(left / 3, archive::min_frame_size, most_sample);
}

/// Pieces of the user's files, each byte as likely as any other to be in one; at most `most` bytes.
Sample sample_of(Context& context, const std::vector<std::string>& paths, ByteCount frame_size, ByteCount most) {
  Sample sample;
  estimate::Inventory inventory(most_files, context.world().entropy);
  for (const std::string& path : paths) take_stock(context, path, inventory, sample);
  sample.files = inventory.all().objects;
  sample.bytes = inventory.all().bytes;
  const ByteCount piece = std::min(frame_size, most);
  std::vector<estimate::Piece> pieces = estimate::plan_pieces(inventory.drawn(), piece, most, context.world().entropy);
  ByteCount left = most;
  for (const estimate::Piece& each : pieces) left -= each.bytes;
  add_pieces(pieces, piece, left);
  for (const estimate::Piece& each : pieces) {
    try {
      sample.pieces.push_back({each.object.key.str(), read_piece(context.world().files, each)});
      sample.taken += sample.pieces.back().content.size();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      warn_left_out(context, sample, each.object.key.str(), error.summary());
    }
  }
  if (sample.taken == 0) throw Error(ErrorKind::not_found, "nothing to compress in the files named");
  return sample;
}

Sample builtin_sample(ByteCount frame_size) {
  Sample sample;
  for (compression::BenchmarkFile& file : compression::benchmark_files(std::min(builtin_bytes, frame_size))) {
    ++sample.files;
    sample.taken += file.content.size();
    sample.pieces.push_back({std::string(file.name), std::move(file.content)});
  }
  sample.bytes = sample.taken;
  return sample;
}

ByteCount frame_size_of(const std::string& text) {
  ByteCount size = 0;
  try {
    size = parse_bytes(text);
  } catch (const Error& error) {
    throw error.with_where("--frame-size");
  }
  if (size >= archive::min_frame_size && size <= archive::max_frame_size) return size;
  throw Error(ErrorKind::invalid,
              fmt::format("{} is not from {} to {}", text, format_bytes(archive::min_frame_size),
                          format_bytes(archive::max_frame_size)),
              "--frame-size");
}

/// Throws Error{invalid} where one core's compressor would take more than half the memory.
void check_memory(Context& context, const compression::BenchLimits& limits) {
  for (const int level : limits.levels) {
    if (archive::compressor_bytes(level, limits.frame_size) <= context.memory_limit() / 2) continue;
    throw Error(ErrorKind::invalid, fmt::format("level {} does not fit into the memory", level), "--levels",
                "lower levels, smaller frames (--frame-size), or a higher --memory-limit");
  }
}

double saved_per_gib(const compression::CostModel& cost, const compression::Outcome& sum) {
  return cost.benefit(sum) / sum.bytes * bytes_per_gib;
}

void print_json(Context& context, const Report& report) {
  emit_json(context, {{"type", "machine"},
                      {"cpu_factor", report.cpu.factor},
                      {"rounds", report.cpu.rounds},
                      {"cores", report.cores},
                      {"milliseconds", report.cpu.spent.count()}});
  for (const ClassFigures& each : report.result.classes) {
    for (const LevelFigures& figures : each.levels) {
      const compression::Outcome& sum = figures.sum;
      nlohmann::ordered_json line = {{"type", "bench_level"},
                                     {"class", each.name},
                                     {"level", figures.level},
                                     {"bytes", bytes_of(sum.bytes)},
                                     {"stored_bytes", bytes_of(sum.stored)},
                                     {"ratio", sum.stored / sum.bytes},
                                     {"core_seconds", sum.core_seconds},
                                     {"saved_dollars_per_gib", saved_per_gib(report.cost, sum)}};
      emit_json(context, line);
    }
    emit_json(context,
              {{"type", "bench_class"},
               {"class", each.name},
               {"frames", each.frames},
               {"bytes", bytes_of(each.bytes)},
               {"probed_ratio", each.probed_ratio},
               {"best_level", each.best_level ? nlohmann::ordered_json(*each.best_level) : nlohmann::ordered_json()}});
  }
  emit_json(context, {{"type", "bench"},
                      {"builtin_data", report.is_builtin},
                      {"files", report.sample.files},
                      {"bytes", report.sample.bytes},
                      {"sample_bytes", report.sample.taken},
                      {"unread", report.sample.unread},
                      {"regions", report.regions},
                      {"transfer_dollars_per_gib", report.cost.per_byte() * bytes_per_gib},
                      {"core_minute_dollars", report.cost.per_core_second() * 60},
                      {"complete", report.result.is_complete}});
}

std::string speed_of(const compression::Outcome& sum) {
  if (sum.core_seconds <= 0) return "-";
  return fmt::format("{:.1f}", sum.bytes / sum.core_seconds / 1e6);
}

void print_tables(Context& context, const BenchResult& result, const compression::CostModel& cost) {
  using enum Align;
  Table classes({{"CLASS"}, {"FRAMES", right}, {"BYTES", right}, {"PROBED", right}, {"BEST LEVEL", right}});
  Table levels({{"CLASS"}, {"LEVEL", right}, {"RATIO", right}, {"MB/S A CORE", right}, {"SAVED PER GIB", right}});
  for (const ClassFigures& each : result.classes) {
    classes.add({each.name, format_count(each.frames), format_bytes(bytes_of(each.bytes)),
                 fmt::format("{:.2f}", 1 / each.probed_ratio),
                 each.best_level ? std::to_string(*each.best_level) : "-"});
    for (const LevelFigures& figures : each.levels)
      levels.add({each.name, std::to_string(figures.level),
                  format_ratio(bytes_of(figures.sum.bytes), bytes_of(figures.sum.stored)), speed_of(figures.sum),
                  format_dollars(saved_per_gib(cost, figures.sum))});
  }
  context.print(levels.text() + "\n");
  context.print(classes.text());
}

void print_text(Context& context, const Report& report) {
  const Sample& sample = report.sample;
  context.print(fmt::format("this machine: CPU factor {:.2f} (below 1 is faster than the reference machine), {}",
                            report.cpu.factor, format_count(report.cores, "core")));
  context.print(fmt::format("prices: {} to move a GiB to {}, {} for a minute of a core",
                            format_dollars(report.cost.per_byte() * bytes_per_gib),
                            report.regions.empty() ? "one region" : fmt::format("{}", fmt::join(report.regions, ", ")),
                            format_dollars(report.cost.per_core_second() * 60)));
  context.print(fmt::format("data: {} of {} in {}{}\n", format_bytes(sample.taken), format_bytes(sample.bytes),
                            format_count(sample.files, "file"), report.is_builtin ? ", built in" : ""));
  print_tables(context, report.result, report.cost);
  if (!report.result.is_complete)
    context.print("\ntime was up before every level was tried on every frame; --seconds gives more");
}

compression::CostModel cost_of(Context& context, const BenchOptions& options, std::size_t cores) {
  std::vector<Region> regions;
  for (const std::string& name : options.to) {
    if (std::find(regions.begin(), regions.end(), Region(name)) == regions.end()) regions.emplace_back(name);
  }
  if (regions.empty()) regions.emplace_back();  // one that has no price of its own
  return {configured_prices(context), regions, cores};
}

int bench(Context& context, const BenchOptions& options) {
  // Read first: what is wrong in it is said before anything takes time.
  std::optional<config::ReplicationConfig> config;
  if (!options.config_directory.empty())
    config = config::load_replication_config(context.world().files, options.config_directory);
  const auto time = std::chrono::duration_cast<Milliseconds>(std::chrono::seconds(options.seconds));
  compression::BenchLimits limits{levels_of(options.levels), time, frame_size_of(options.frame_size)};
  check_memory(context, limits);
  const std::size_t cores = context.pools().cores.size();
  Report report{.cpu = {},
                .cost = cost_of(context, options, cores),
                .cores = cores,
                .regions = options.to,
                .is_builtin = options.paths.empty(),
                .sample = options.paths.empty() ? builtin_sample(limits.frame_size)
                                                : sample_of(context, options.paths, limits.frame_size,
                                                            most_of_files(context.memory_limit(), limits)),
                .result = {}};
  auto frames = compression::make_bench_frames(std::move(report.sample.pieces), limits.frame_size);
  context.set_status("measuring the processor");
  report.cpu = compression::measure_cpu(context.world().clock, std::min(cpu_time, time / seconds_per_cpu_share));
  limits.time -= std::min(limits.time, report.cpu.spent);
  const auto tried = [&context](std::size_t done, std::size_t all) {
    context.set_status(fmt::format("tried {} of {} frames and levels", format_count(done), format_count(all)));
  };
  const compression::Workplace place{report.cost, report.cpu.factor};
  report.result = compression::try_levels(frames, limits, place, context.world().clock, context.stop(), tried);
  context.set_status("");
  if (context.json())
    print_json(context, report);
  else
    print_text(context, report);
  if (!config) return exit_ok;
  if (!context.json()) context.print("");
  print_learned_levels(context, *config);
  return exit_ok;
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("bench", "Measure what each compression level makes of your files, in money");
  const auto options = std::make_shared<BenchOptions>();
  command->add_option("FILES", options->paths, "files or directories [built-in data of several kinds]");
  command->add_option("--levels", options->levels, "levels to try: 0,3,9-12")
      ->type_name("LEVELS")
      ->capture_default_str();
  command->add_option("--frame-size", options->frame_size, "bytes to compress at once; replicate's default is 16MiB")
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_option("--to", options->to, "destination regions, for their prices [one, at the general price]")
      ->type_name("REGION")
      ->delimiter(',');
  command->add_option("--seconds", options->seconds, "when to end")->check(CLI::Range(1, 3600))->capture_default_str();
  command->add_option("--config", options->config_directory, "show also what was learned for this configuration")
      ->type_name("DIR");
  command->callback([&action, options] { action = [options](Context& context) { return bench(context, *options); }; });
}

}  // namespace bale::cli
