// Event notifications: what is accepted can be announced again, and is then the same objects.
#include <cstdlib>

#include "base/error.hpp"
#include "store/events.hpp"

using namespace bale;
using namespace bale::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Notification notification = parse_notification({reinterpret_cast<const char*>(data), size});
    if (notification.is_test || notification.events.empty()) return 0;
    const std::string message = make_backfill_message(notification.events, Region("eu-west-1"));
    const Notification again = parse_notification(message);
    if (again.events.size() != notification.events.size()) std::abort();
    for (std::size_t i = 0; i < again.events.size(); ++i) {
      if (again.events[i].key != notification.events[i].key) std::abort();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
