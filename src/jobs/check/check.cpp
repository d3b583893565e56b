#include "jobs/check/check.hpp"

#include <algorithm>
#include <memory>

#include "jobs/check/pair_check.hpp"

namespace bale::check {
namespace {

// Of an archive whose catalog file is not there, nobody knows how many objects it has.
constexpr ByteCount least_pair_bytes = 4ULL << 20;

ByteCount memory_for(const Pair& pair, ByteCount limit) {
  ByteCount bytes = least_pair_bytes;
  for (const CatalogFile& file : pair.files) bytes += file.size * bytes_per_file_byte;
  return std::min(bytes, limit);
}

void count_listed(const Pair& pair, Report& report) {
  report.count([&](Counts& counts) {
    if (!pair.copies.empty()) ++counts.archives;
    counts.copies += pair.copies.size();
    for (const Copy& copy : pair.copies) counts.archive_bytes += copy.size;
    counts.catalog_files += pair.files.size();
  });
}

void check_place(const Place& place, const Options& options, const Tools& tools, Report& report) {
  flow::MemoryBudget memory(options.row_bytes);
  // Threads of their own: they wait for tasks on the pools.
  flow::ThreadPool workers(std::max<std::size_t>(options.at_once, 1), "bale-check");
  flow::TaskGroup group;
  pair_up(place, report, [&](Pair pair) {
    if (tools.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while checking");
    count_listed(pair, report);
    // In the order of submission, so that nobody holds memory and waits for somebody behind.
    auto ticket = std::make_shared<flow::Ticket>(memory.acquire(memory_for(pair, options.row_bytes), tools.stop));
    group.run(workers, [&, ticket, held = std::make_shared<Pair>(std::move(pair))] {
      PairCheck(place, options, tools, report, std::move(*held)).run();
      ++report.progress().items_done;
    });
    if (group.failed()) group.wait();
    group.wait_until_at_most(2 * workers.size());
  });
  group.wait();
}

}  // namespace

void check_backups(const std::vector<Place>& places, const Options& options, const Tools& tools, Report& report) {
  for (const Place& place : places) {
    const std::string where = to_uri(place.catalog.bucket, {});
    try {
      check_place(place, options, tools, report);
    } catch (const Error& error) {
      // A listing failed, or what a task throws: only the first is of this place alone.
      if (error.code() == "EPIPE") throw;
      Finding finding = finding_of(error, FindingType::unexamined, where);
      finding.what = "the archives and catalog files of this place were not all examined: " + std::string(error.what());
      report.add(finding);
    }
  }
}

}  // namespace bale::check
