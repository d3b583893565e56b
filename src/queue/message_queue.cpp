#include "queue/message_queue.hpp"
