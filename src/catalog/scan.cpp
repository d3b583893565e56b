#include "catalog/scan.hpp"

#include <fmt/format.h>

#include <mutex>

#include "base/text.hpp"

namespace bale::catalog {
namespace {

/// A catalog file has a line of about 600 bytes per object; a batch of a million objects is well below this.
constexpr ByteCount most_file_bytes = 2ULL << 30;

class Scan {
 public:
  Scan(store::ObjectStore& store, const std::function<void(Record)>& visit,
       const std::function<void(const Error&)>& damaged)
      : store_(store), visit_(visit), damaged_(damaged) {}

  void read_file(const ObjectAddress& file) {
    const auto stream = store_.get(file);
    const std::string text = store::read_all(*stream, most_file_bytes);
    std::size_t line_number = 0;
    for (const std::string_view line : split(text, '\n')) {
      ++line_number;
      if (!line.empty()) take_line(file, line_number, line);
    }
    const std::scoped_lock lock(mutex_);
    ++counts.files;
    counts.bytes += text.size();
  }

  ScanCounts counts;

 private:
  void take_line(const ObjectAddress& file, std::size_t number, std::string_view line) {
    try {
      Record record = parse_json_line(line);
      const std::scoped_lock lock(mutex_);
      ++counts.records;
      visit_(std::move(record));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      const std::scoped_lock lock(mutex_);
      ++counts.damaged_lines;
      damaged_(error.with_where(fmt::format("{} line {}", to_uri(file), number)));
    }
  }

  store::ObjectStore& store_;
  const std::function<void(Record)>& visit_;
  const std::function<void(const Error&)>& damaged_;
  std::mutex mutex_;
};

}  // namespace

ScanCounts scan(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                flow::ThreadPool& connections, const std::function<void(Record)>& visit,
                const std::function<void(const Error&)>& damaged) {
  Scan scan(store, visit, damaged);
  store::ListRequest request;
  request.prefix = prefix;
  do {
    const store::ListPage page = store.list(bucket, request);
    flow::TaskGroup group;
    for (const store::ListedObject& object : page.objects) {
      if (!object.key.str().ends_with(".jsonl")) continue;
      group.run(connections, [&scan, file = ObjectAddress{bucket, object.key}] { scan.read_file(file); });
    }
    group.wait();
    request.continuation = page.next;
  } while (!request.continuation.empty());
  return scan.counts;
}

}  // namespace bale::catalog
