#include "embedded/backend.hpp"

#include <system_error>

#include "base/error.hpp"
#include "embedded/bucket_settings.hpp"
#include "embedded/core.hpp"
#include "embedded/message_queue.hpp"
#include "embedded/object_store.hpp"
#include "embedded/record_store.hpp"

namespace bale::embedded {

std::unique_ptr<Backend> Backend::open(const os::fs::path& directory, os::World& world, const std::stop_token& stop) {
  // Absolute, so that a later change of the working directory changes nothing.
  std::error_code failed;
  const os::fs::path absolute = os::fs::absolute(directory, failed);
  if (failed) {
    throw Error(ErrorKind::not_found, "the current directory is gone: " + failed.message(), directory.native(),
                "change to a directory that exists, or write the whole path of the store");
  }
  return std::unique_ptr<Backend>(new Backend(std::make_unique<Core>(absolute, world, stop)));
}

bool Backend::exists(const os::fs::path& directory, os::Files& files) {
  return files.info_followed(directory / database_name) || has_object_files(files, directory);
}

Backend::Backend(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Backend::~Backend() = default;

const LostFiles& Backend::lost() const noexcept { return core_->lost; }

std::unique_ptr<store::ObjectStore> Backend::store(const Region& region) {
  return std::make_unique<EmbeddedStore>(*core_, region);
}

std::unique_ptr<store::BucketSettings> Backend::bucket_settings(const Region&) {
  return std::make_unique<EmbeddedBucketSettings>(*core_);  // buckets of all regions are reached from each
}

std::unique_ptr<queue::MessageQueue> Backend::queues(const Region& region) {
  return std::make_unique<EmbeddedQueues>(*core_, region);
}

std::unique_ptr<records::RecordStore> Backend::records(const Region& region) {
  return std::make_unique<EmbeddedRecords>(*core_, region);
}

}  // namespace bale::embedded
