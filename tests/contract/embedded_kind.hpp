// The embedded backend as a kind of the contract suites.
#pragma once

#include <memory>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"

namespace bale::testing {

class EmbeddedKind {
 public:
  store::ObjectStore& store() { return *store_; }
  store::BucketSettings& settings() { return *settings_; }
  queue::MessageQueue& queues() { return *queues_; }
  records::RecordStore& records() { return *records_; }
  std::string name(const std::string& name) { return "contract-" + name; }
  BucketName bucket(const std::string& name) {
    const BucketName bucket("contract-" + name);
    store_->create_bucket(bucket);
    return bucket;
  }
  bool advance(Milliseconds duration) {
    outside_.clock.advance(duration);
    return true;
  }

 private:
  FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<store::ObjectStore> store_ = backend_->store(Region("eu-west-1"));
  std::unique_ptr<store::BucketSettings> settings_ = backend_->bucket_settings(Region("eu-west-1"));
  std::unique_ptr<queue::MessageQueue> queues_ = backend_->queues(Region("eu-west-1"));
  std::unique_ptr<records::RecordStore> records_ = backend_->records(Region("eu-west-1"));
};

}  // namespace bale::testing
