// The ports of every region, as services get them.
#pragma once

#include <functional>

#include "base/names.hpp"
#include "queue/message_queue.hpp"
#include "records/record_store.hpp"
#include "store/object_store.hpp"

namespace bale::service {

/// Gives each port as seen from a region. The references stay valid as long as the service runs; thread-safe.
struct Ports {
  std::function<store::ObjectStore&(const Region&)> store;
  std::function<queue::MessageQueue&(const Region&)> queues;
  std::function<records::RecordStore&(const Region&)> records;
};

}  // namespace bale::service
