#include "cli/level_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/context.hpp"
#include "compression/cpu_benchmark.hpp"

namespace bale::cli {
namespace {

/// The highest level whose compressors take a quarter of the memory at most.
int most_level_for(Context& context, const config::ReplicationConfig& config) {
  ByteCount frame_size = archive::min_frame_size;
  for (const config::Rule& rule : config.rules)
    frame_size = std::max(frame_size, rule.source.frame_size.value_or(archive::default_frame_size));
  int level = archive::max_level;
  const ByteCount most = context.memory_limit() / 4;
  while (level > 1 && archive::compressor_bytes(level, frame_size) * context.pools().cores.size() > most) --level;
  return level;
}

}  // namespace

std::optional<int> level_of(const std::string& text, bool is_local) {
  if (text.empty() && is_local) return archive::default_level;
  if (text.empty() || text == "auto") return std::nullopt;
  int level = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (error != std::errc() || end != text.data() + text.size() || level < archive::min_level ||
      level > archive::max_level) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no level", escape_name(text)), "--level",
                fmt::format("auto, or {} to {}", archive::min_level, archive::max_level));
  }
  return level;
}

std::vector<int> levels_of(std::string_view text) {
  const auto level_in = [text](std::string_view number) {
    int level = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), level);
    if (error == std::errc() && end == number.data() + number.size() && level >= archive::min_level &&
        level <= archive::max_level)
      return level;
    throw Error(ErrorKind::invalid, fmt::format("'{}' are no levels", escape_name(text)), "--levels",
                fmt::format("levels from {} to {}: 3, or 1-12, or 0,3,9-12", archive::min_level, archive::max_level));
  };
  std::set<int> levels;
  if (text.empty()) level_in(text);
  for (const std::string_view part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const int first = level_in(part.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : level_in(part.substr(dash + 1));
    if (first > last) level_in({});
    for (int level = first; level <= last; ++level) levels.insert(level);
  }
  return {levels.begin(), levels.end()};
}

compression::Prices configured_prices(Context& context) {
  compression::PricesRead read = compression::read_prices(context.world().environment);
  for (const std::string& warning : read.warnings) context.log().warning("levels.prices", warning);
  return std::move(read.prices);
}

service::LevelOptions level_options(Context& context, const config::ReplicationConfig& config, bool is_short_run) {
  service::LevelOptions options;
  options.prices = configured_prices(context);
  options.cores = context.pools().cores.size();
  options.most_level = most_level_for(context, config);
  const auto measured =
      compression::measure_cpu(context.world().clock, is_short_run ? Milliseconds(200) : Milliseconds(1500));
  options.cpu_factor = measured.factor;
  context.log().info("levels.cpu", "measured the processor",
                     {{"factor", measured.factor}, {"milliseconds", measured.spent.count()}});
  return options;
}

}  // namespace bale::cli
