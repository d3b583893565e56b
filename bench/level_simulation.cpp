// Money saved by choosing levels as Bale does, against an oracle and the algorithm of S3 Cross-Region Compressor.
//
//   level_simulation [--curves FILE] [--batches N] [--seeds N] [--json]
//
// Exit status 1 when Bale is not within 3 % of the oracle, or behind the other algorithm, in any scenario.
#include <fmt/format.h>

#include <cstring>
#include <iostream>
#include <stdexcept>

#include "levels/simulation.hpp"

namespace {

using namespace bale::simulation;

// Less than this is a tie: where all levels do the same, a thousandth of next to nothing.
constexpr double tie = 0.001;

struct Options {
  std::string curves = "bench/levels/curves.csv";
  std::size_t batches = 2000;
  std::uint64_t seeds = 5;
  bool json = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (i + 1 < argc && argument == "--curves") {
      options.curves = argv[++i];
    } else if (i + 1 < argc && argument == "--batches") {
      options.batches = std::stoul(argv[++i]);
    } else if (i + 1 < argc && argument == "--seeds") {
      options.seeds = std::stoul(argv[++i]);
    } else {
      throw std::runtime_error("what is " + argument + "?");
    }
  }
  return options;
}

int most_used(const std::map<int, std::size_t>& levels) {
  int most = 0;
  std::size_t count = 0;
  for (const auto& [level, times] : levels)
    if (times > count) most = level, count = times;
  return most;
}

bool run(const Scenario& scenario, const Curves& curves, const Options& options) {
  Money all, last;
  std::map<int, std::size_t> levels;
  double worst = -1;
  bool good = true;
  for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
    const Result result = simulate(scenario, curves, seed);
    all += result.all;
    last += result.last;
    worst = std::max(worst, result.all.loss(result.all.bale));
    good = good && result.all.loss(result.all.bale) <= 0.03 && result.last.loss(result.last.bale) <= 0.03 &&
           result.all.loss(result.all.bale) <= result.all.loss(result.all.reference) + tie;
    for (const auto& [level, times] : result.bale_levels) levels[level] += times;
  }
  if (options.json) {
    std::cout << fmt::format(
        R"({{"bench":"levels","scenario":"{}","oracle":{:.4f},"bale":{:.4f},"reference":{:.4f},"level_12":{:.4f},)"
        R"("loss":{:.5f},"worst_loss":{:.5f},"last_loss":{:.5f},"reference_loss":{:.5f},"reference_last_loss":{:.5f}}})"
        "\n",
        scenario.name, all.oracle, all.bale, all.reference, all.level_12, all.loss(all.bale), worst,
        last.loss(last.bale), all.loss(all.reference), last.loss(last.reference));
  } else {
    std::cout << fmt::format("{:32} {:10.3f} {:7.2f} % {:7.2f} % {:7.2f} % {:8.2f} % {:8.2f} % {:8.2f} % {:4}  {}\n",
                             scenario.name, all.oracle, 100 * all.loss(all.bale), 100 * worst,
                             100 * last.loss(last.bale), 100 * all.loss(all.reference), 100 * last.loss(last.reference),
                             100 * all.loss(all.level_12), most_used(levels), good ? "" : "NOT MET");
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    const Curves curves = read_curves(options.curves);
    if (!options.json)
      std::cout << fmt::format("{:32} {:>10} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10} {:>4}\n", "behind the oracle",
                               "oracle, $", "bale", "worst", "bale, end", "reference", "ref., end", "level 12", "used");
    bool good = true;
    for (Scenario scenario : scenarios()) {
      for (Phase& phase : scenario.phases) phase.first_batch = phase.first_batch * options.batches / scenario.batches;
      scenario.batches = options.batches;
      good = run(scenario, curves, options) && good;
    }
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "level_simulation: " << error.what() << '\n';
    return 2;
  }
}
