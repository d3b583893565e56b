#include "os/world.hpp"

namespace bale::os {

World system_world() {
  return World{system_clock(), system_entropy(), system_environment(), system_files(), system_terminal(), {}};
}

}  // namespace bale::os
