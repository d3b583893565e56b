// Writes a catalog as `replicate` would: for bench/catalog.py.
//
//     catalog_generator --store DIR --records N [--bucket NAME]
//
// Rows of three sources over two years, a thousand to an archive, with names of the kinds that people have. The same
// arguments give the same catalog.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "base/error.hpp"
#include "catalog/file.hpp"
#include "catalog/record.hpp"
#include "embedded/backend.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"

namespace bale {
namespace {

constexpr std::size_t rows_of_file = 1000;
constexpr const char* words[] = {"invoice", "report", "scan",  "backup", "ledger", "photo",  "order",
                                 "payroll", "sample", "trace", "export", "signal", "weekly", "contract"};
constexpr const char* endings[] = {".pdf", ".raw", ".json.gz", ".jpg", ".csv", ".mzML", ".txt", ".parquet"};
constexpr const char* customers[] = {"acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell"};

std::string hex(std::mt19937_64& random, std::size_t digits) {
  std::string text;
  while (text.size() < digits) text += fmt::format("{:016x}", random());
  return text.substr(0, digits);
}

template <std::size_t n>
const char* one_of(std::mt19937_64& random, const char* const (&values)[n]) {
  return values[random() % n];
}

std::string key_of(std::mt19937_64& random, std::size_t source, const std::string& date) {
  switch (source) {
    case 0:
      return fmt::format("{}/{}-{:07}-{}{}", date.substr(0, 7), one_of(random, words), random() % 10'000'000,
                         one_of(random, customers), one_of(random, endings));
    case 1:
      return fmt::format("raw/PRJ-{:04}/{}_{:05}/{}_{:06}{}", random() % 300, one_of(random, words), random() % 20'000,
                         one_of(random, words), random() % 1'000'000, one_of(random, endings));
    default:
      return fmt::format("users/u-{}/{}/IMG_{:05}{}", hex(random, 8), one_of(random, words), random() % 100'000,
                         one_of(random, endings));
  }
}

ByteCount size_of(std::mt19937_64& random) {
  // Most are a few kilobytes, one of some thousands is larger than 100 MB.
  std::lognormal_distribution<double> size(9.5, 2.5);
  return static_cast<ByteCount>(std::min(size(random), 5e12));
}

std::vector<catalog::Record> rows_of(std::size_t file, std::size_t files) {
  std::mt19937_64 random(file);
  constexpr std::int64_t begin_s = 1'704'067'200, days = 731;  // 2024-01-01 to 2025-12-31
  const std::int64_t at = begin_s + static_cast<std::int64_t>(static_cast<double>(file) / static_cast<double>(files) *
                                                              static_cast<double>(days * 86'400));
  catalog::Record common;
  const std::size_t source = file % 3;
  constexpr const char* sources[] = {"accounts-prod", "instruments", "photos-eu"};
  common.source_bucket = BucketName(sources[source]);
  common.source_prefix = source == 1 ? "raw" : "";
  common.backup_time = from_epoch_ms(at * 1000);
  common.backup_file = fmt::format("backup_{}_{:08x}.tar.zst", at * 1000, file);
  common.source_region = Region("eu-west-1");
  common.target_buckets = {BucketName("backups-us")};
  common.archive_bucket = common.target_buckets.front();
  common.archive_key =
      ObjectKey(fmt::format("{}/{}{}", common.source_bucket.str(), source == 1 ? "raw/" : "", common.backup_file));
  common.storage_class = "STANDARD";
  std::vector<catalog::Record> rows(rows_of_file, common);
  ByteCount offset = 0, skip = 512;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    catalog::Record& row = rows[i];
    row.object_path = ObjectKey(key_of(random, source, to_date(common.backup_time)));
    row.object_name = basename(row.object_path.str());
    row.object_size = size_of(random);
    row.last_modified = common.backup_time - Milliseconds(random() % 300'000);
    row.version_id = VersionId(hex(random, 32));
    row.sequencer = hex(random, 18);
    row.etag = ETag(hex(random, 32));
    row.sha256 = hex(random, 64);
    row.headers.content_type = "application/octet-stream";
    if (i % 200 == 199) offset += 4'000'000;
    row.location = archive::MemberLocation{offset, 4'000'000, skip};
    skip += 1024 + *row.object_size % 100'000;
  }
  return rows;
}

void generate(const os::fs::path& directory, const BucketName& bucket, std::size_t records) {
  os::World world = os::system_world();
  const auto backend = embedded::Backend::open(directory, world);
  const auto opened = backend->store(Region("us-east-1"));
  store::ObjectStore& store = *opened;
  store.create_bucket(bucket);
  flow::ThreadPool cores(2, "generate");
  flow::TaskGroup group;
  const std::size_t files = records / rows_of_file;
  for (std::size_t file = 0; file < files; ++file) {
    group.wait_until_at_most(16);
    group.run(cores, [&store, &bucket, file, files] {
      const std::vector<catalog::Record> rows = rows_of(file, files);
      const std::string text = catalog::to_file_text(rows);
      store::MemoryBody body(as_bytes(text));
      const catalog::Record& first = rows.front();
      store.put({bucket,
                 catalog::catalog_key(first.source_bucket, first.source_prefix, first.backup_time, first.backup_file)},
                body, {});
    });
  }
  group.wait();
}

int run(int count, char** arguments) {
  std::string store, bucket = "catalog";
  std::size_t records = 0;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    if (name == "--store") store = arguments[i + 1];
    if (name == "--bucket") bucket = arguments[i + 1];
    if (name == "--records") records = std::stoull(arguments[i + 1]);
  }
  if (store.empty() || records < rows_of_file) {
    std::cerr << "usage: catalog_generator --store DIR --records N [--bucket NAME]\n";
    return 2;
  }
  generate(store, BucketName(bucket), records);
  return 0;
}

}  // namespace
}  // namespace bale

int main(int count, char** arguments) {
  try {
    return bale::run(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << "catalog_generator: " << error.what() << '\n';
    return 1;
  }
}
