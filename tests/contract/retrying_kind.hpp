// The retrying decorators over the embedded backend as kinds of the contract suites: over a sound service, and over one
// of whose calls every third fails and of whose bodies every second breaks.
#pragma once

#include "contract/embedded_kind.hpp"
#include "queue/retrying_queue.hpp"
#include "records/retrying_records.hpp"
#include "store/retrying_bucket_settings.hpp"
#include "store/retrying_store.hpp"
#include "support/faulty_bucket_settings.hpp"
#include "support/faulty_queue.hpp"
#include "support/faulty_records.hpp"
#include "support/faulty_store.hpp"

namespace bale::testing {

template <int FaultEvery>
class RetryingKind {
 public:
  RetryingKind() {
    faulty_store_.faults.every(FaultEvery);
    faulty_settings_.faults.every(FaultEvery);
    faulty_queues_.faults.every(FaultEvery);
    faulty_records_.faults.every(FaultEvery);
  }
  store::ObjectStore& store() { return store_; }
  store::BucketSettings& settings() { return settings_; }
  queue::MessageQueue& queues() { return queues_; }
  records::RecordStore& records() { return records_; }
  std::string name(const std::string& name) { return embedded_.name(name); }
  BucketName bucket(const std::string& name) { return embedded_.bucket(name); }
  bool advance(Milliseconds duration) { return embedded_.advance(duration); }

 private:
  EmbeddedKind embedded_;
  FakeWorld outside_;  ///< of the decorators: their waits do not move the backend's clock
  // Threads that call at the same time may meet several faults in a row.
  flow::Retrier retrier_{outside_.world(), {.max_attempts = 50, .budget = 100'000}};
  FaultyStore faulty_store_{embedded_.store()};
  FaultyBucketSettings faulty_settings_{embedded_.settings()};
  FaultyQueue faulty_queues_{embedded_.queues()};
  FaultyRecords faulty_records_{embedded_.records()};
  store::RetryingStore store_{faulty_store_, retrier_};
  store::RetryingBucketSettings settings_{faulty_settings_, retrier_};
  queue::RetryingQueue queues_{faulty_queues_, retrier_};
  records::RetryingRecords records_{faulty_records_, retrier_};
};

}  // namespace bale::testing
