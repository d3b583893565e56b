#include "levels/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "compression/cpu_benchmark.hpp"
#include "compression/level_chooser.hpp"
#include "levels/memory_records.hpp"
#include "levels/reference_levels.hpp"

namespace bale::simulation {
namespace {

using namespace compression;

/// A portion of a batch: the chunks of one kind.
struct Part {
  std::string kind;
  double bytes = 0, probed = 0;
  std::uint64_t objects = 0;
  std::array<double, level_count> stored{}, seconds{};  ///< seconds of the machine at hand
};

struct Batch {
  std::size_t machine = 0, phase = 0;
  std::vector<Part> parts;
};

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : entropy_(seed), normal_(entropy_) {}
  double uniform() { return static_cast<double>(entropy_.next_u64() >> 11) * 0x1p-53; }
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(entropy_.next_u64() % end); }
  /// A factor whose logarithm deviates by `deviation`.
  double factor(double deviation) { return std::exp(deviation * normal_()); }

 private:
  SeededEntropy entropy_;
  NormalNumbers normal_;
};

// What batches differ in beyond the recorded chunks, as deviations of logarithms.
constexpr double content_varies = 0.10;  // how well a chunk compresses, at all levels alike
constexpr double probe_errs = 0.03;      // the probe, which sees samples only
constexpr double time_varies = 0.15;     // other work on the machine, for a whole batch
constexpr double benchmark_errs = 0.03;  // the CPU benchmark
constexpr double most_chunks = 64;       // chunks in a batch: 1 to this, small numbers as likely as large ones
constexpr Milliseconds between_batches{5000};

void add_chunk(Part& part, const Chunk& chunk, double slowness, Chance& chance) {
  const double content = chance.factor(content_varies);
  part.bytes += chunk.bytes;
  part.probed += chunk.bytes * std::min(1.0, chunk.probe * content * chance.factor(probe_errs));
  for (std::size_t i = 0; i < level_count; ++i) {
    // What does not compress does not become larger either.
    part.stored[i] += i == 0 ? chunk.stored[0] : std::min(chunk.bytes * 1.0002, chunk.stored[i] * content);
    part.seconds[i] += chunk.seconds[i] * slowness;
  }
}

std::vector<Batch> make_batches(const Scenario& scenario, const Curves& curves, Chance& chance) {
  std::vector<Batch> batches(scenario.batches);
  for (std::size_t b = 0; b < batches.size(); ++b) {
    Batch& batch = batches[b];
    while (batch.phase + 1 < scenario.phases.size() && scenario.phases[batch.phase + 1].first_batch <= b) ++batch.phase;
    batch.machine = chance.below(scenario.cpu_factors.size());
    const double slowness = scenario.cpu_factors[batch.machine] * chance.factor(time_varies);
    const double chunks = std::exp(chance.uniform() * std::log(most_chunks));
    for (const auto& [kind, share] : scenario.phases[batch.phase].shares) {
      const std::vector<Chunk>& recorded = curves.at(kind);
      Part part{.kind = kind};
      const auto count = static_cast<std::size_t>(std::ceil(chunks * share));
      for (std::size_t i = 0; i < count; ++i) {
        add_chunk(part, recorded[chance.below(recorded.size())], slowness, chance);
        part.objects += 1 + chance.below(50);
      }
      batch.parts.push_back(std::move(part));
    }
  }
  return batches;
}

Outcome outcome_of(const Part& part, int level) {
  const auto i = static_cast<std::size_t>(level);
  return {part.bytes, part.stored[i], part.seconds[i]};
}

/// An extension that the class of a kind is known by.
std::string name_of(const std::string& kind) {
  static const std::map<std::string, std::string> extensions{
      {"text", "txt"},    {"code", "h"},         {"json", "json"},    {"logs", "log"},
      {"programs", "so"}, {"instrument", "raw"}, {"compressed", "gz"}};
  const auto found = extensions.find(kind);
  return "object." + (found == extensions.end() ? "bin" : found->second);
}

/// One task of the fleet, with all that Bale runs there.
struct Worker {
  Worker(records::RecordStore& records, SimulatedClock& clock, double cpu_factor, std::uint64_t seed)
      : entropy(seed),
        table(records, TableName("settings"), clock, {}),
        learned(&table, clock, [](const Error& error) { throw std::runtime_error(error.what()); }),
        chooser(learned, {.cpu_factor = cpu_factor}, entropy) {}
  SeededEntropy entropy;
  SettingsTable table;
  Learned learned;
  LevelChooser chooser;
};

/// The level of every part of every batch.
using Levels = std::vector<std::vector<int>>;

Levels choose_as_bale(const Scenario& scenario, const std::vector<Batch>& batches, const CostModel& cost,
                      const std::vector<double>& measured_factors, Chance& chance) {
  MemoryRecords records;
  SimulatedClock clock;
  std::vector<std::unique_ptr<Worker>> workers;
  for (const double factor : measured_factors)
    workers.push_back(std::make_unique<Worker>(records, clock, factor, chance.below(1 << 30)));
  const std::string key = settings_key(BucketName("bucket"), "prefix");
  Levels levels;
  for (const Batch& batch : batches) {
    clock.advance(between_batches / static_cast<std::int64_t>(scenario.cpu_factors.size()));
    LevelChooser& chooser = workers[batch.machine]->chooser;
    std::vector<Measured> measured;
    levels.emplace_back();
    for (const Part& part : batch.parts) {
      const double ratio = part.probed / part.bytes;
      const ContentClass of = classify(name_of(part.kind), ratio);
      const int level = chooser.choose(key, of, {part.bytes, ratio}, cost);
      levels.back().push_back(level);
      const Outcome outcome = outcome_of(part, level);
      measured.push_back({of, level, part.objects, part.bytes, part.probed, outcome.stored, outcome.core_seconds});
    }
    chooser.learn(key, measured, cost);
  }
  return levels;
}

Levels choose_as_reference(const std::vector<Batch>& batches, const CostModel& cost,
                           const std::vector<double>& measured_factors, Chance& chance) {
  ReferenceLevels algorithm;
  Levels levels;
  for (const Batch& batch : batches) {
    const double factor = measured_factors[batch.machine];
    const int level = algorithm.choose(factor, [&] { return chance.uniform(); });
    double benefit = 0;
    std::uint64_t objects = 0;
    for (const Part& part : batch.parts) {
      Outcome outcome = outcome_of(part, level);
      outcome.stored = std::min(outcome.stored, outcome.bytes);  // it counts nothing saved where more is stored
      benefit += cost.benefit(outcome);
      objects += part.objects;
    }
    algorithm.learn(level, benefit, objects, factor);
    levels.emplace_back(batch.parts.size(), level);
  }
  return levels;
}

Levels choose_as_oracle(const std::vector<Batch>& batches, const CostModel& cost) {
  std::map<std::tuple<std::string, std::size_t, std::size_t>, std::array<double, level_count>> sums;
  for (const Batch& batch : batches) {
    for (const Part& part : batch.parts) {
      auto& sum = sums[{part.kind, batch.phase, batch.machine}];
      for (int level = min_level; level <= max_level; ++level)
        sum[static_cast<std::size_t>(level)] += cost.benefit(outcome_of(part, level));
    }
  }
  Levels levels;
  for (const Batch& batch : batches) {
    levels.emplace_back();
    for (const Part& part : batch.parts) {
      const auto& sum = sums[{part.kind, batch.phase, batch.machine}];
      levels.back().push_back(static_cast<int>(std::max_element(sum.begin(), sum.end()) - sum.begin()));
    }
  }
  return levels;
}

double benefit_of(const Batch& batch, const std::vector<int>& levels, const CostModel& cost) {
  double sum = 0;
  for (std::size_t i = 0; i < batch.parts.size(); ++i) sum += cost.benefit(outcome_of(batch.parts[i], levels[i]));
  return sum;
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

}  // namespace

Curves read_curves(const std::filesystem::path& csv) {
  std::ifstream stream(csv);
  std::string line;
  if (!std::getline(stream, line)) throw std::runtime_error("cannot read " + csv.string());
  Curves curves;
  while (std::getline(stream, line)) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() != 7) throw std::runtime_error(fmt::format("{}: not seven fields: {}", csv.string(), line));
    std::vector<Chunk>& chunks = curves[fields[0]];
    chunks.resize(std::max<std::size_t>(chunks.size(), std::stoul(fields[1]) + 1));
    Chunk& chunk = chunks[std::stoul(fields[1])];
    const auto level = static_cast<std::size_t>(std::stoi(fields[2]));
    chunk.bytes = std::stod(fields[3]);
    chunk.probe = std::stod(fields[4]);
    chunk.stored.at(level) = std::stod(fields[5]);
    chunk.seconds.at(level) = std::stod(fields[6]);
  }
  return curves;
}

Money& Money::operator+=(const Money& other) {
  oracle += other.oracle;
  bale += other.bale;
  reference += other.reference;
  level_12 += other.level_12;
  bill += other.bill;
  return *this;
}

double Money::loss(double dollars) const { return (oracle - dollars) / std::max(oracle, 0.01 * bill); }

Result simulate(const Scenario& scenario, const Curves& curves, std::uint64_t seed) {
  Chance chance(seed);
  const CostModel cost(scenario.prices, scenario.regions, scenario.cores);
  const std::vector<Batch> batches = make_batches(scenario, curves, chance);
  std::vector<double> measured_factors;
  for (const double factor : scenario.cpu_factors) measured_factors.push_back(factor * chance.factor(benchmark_errs));
  const Levels oracle = choose_as_oracle(batches, cost);
  const Levels bale = choose_as_bale(scenario, batches, cost, measured_factors, chance);
  const Levels reference = choose_as_reference(batches, cost, measured_factors, chance);
  Result result;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    const Batch& batch = batches[b];
    Money money;
    money.oracle = benefit_of(batch, oracle[b], cost);
    money.bale = benefit_of(batch, bale[b], cost);
    money.reference = benefit_of(batch, reference[b], cost);
    money.level_12 = benefit_of(batch, std::vector<int>(batch.parts.size(), 12), cost);
    for (const Part& part : batch.parts) money.bill += part.bytes * cost.per_byte();
    result.all += money;
    if (b * 4 < batches.size() * 3) continue;
    result.last += money;
    for (const int level : bale[b]) ++result.bale_levels[level];
    for (const int level : reference[b]) ++result.reference_levels[level];
  }
  return result;
}

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  const auto add = [&](std::string name, std::vector<Phase> phases) -> Scenario& {
    Scenario scenario;
    scenario.name = std::move(name);
    scenario.phases = std::move(phases);
    all.push_back(std::move(scenario));
    return all.back();
  };
  const std::vector<std::string> kinds{"text", "code", "json", "logs", "programs", "instrument", "compressed"};
  for (const std::string& kind : kinds) add(kind, {{0, {{kind, 1}}}});
  const std::map<std::string, double> mixed{{"json", 0.3}, {"logs", 0.3}, {"compressed", 0.4}};
  add("mixed prefix", {{0, mixed}});
  add("unequal fleet", {{0, {{"programs", 1}}}}).cpu_factors = {0.6, 0.8, 1, 1.4, 2.5};
  add("unequal fleet, mixed", {{0, mixed}}).cpu_factors = {0.6, 0.8, 1, 1.4, 2.5};
  add("changes midway", {{0, {{"text", 1}}}, {1000, {{"programs", 1}}}});
  add("stops compressing midway", {{0, {{"instrument", 1}}}, {1000, {{"compressed", 1}}}});
  Scenario& dear = add("dear transfer, 3 regions", {{0, {{"logs", 0.5}, {"programs", 0.5}}}});
  dear.prices.transfer_per_gib = 0.09;
  dear.regions = {Region("eu-west-1"), Region("us-east-1"), Region("ap-southeast-2")};
  Scenario& cheap = add("cheap transfer", {{0, {{"json", 0.5}, {"programs", 0.5}}}});
  cheap.prices.transfer_per_gib = 0.002;
  cheap.cpu_factors = {1, 2};
  Scenario& free = add("transfer costs next to nothing", {{0, {{"programs", 1}}}});
  free.prices.transfer_per_gib = 0.00005;
  return all;
}

}  // namespace bale::simulation
