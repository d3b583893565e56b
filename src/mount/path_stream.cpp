#include "mount/path_stream.hpp"

#include "archive/member_name.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::mount {

void PathStream::add(std::string_view key, std::int64_t number) {
  if (begun_ && key <= last_)
    throw Error(ErrorKind::internal, "keys came out of their order, or twice", escape_name(key));
  last_ = key;
  begun_ = true;
  // Between "a" and "a/b" there are only keys that start with "a" ("a!b"): with another one, "a" is settled.
  while (!waiting_.empty() && !key.starts_with(waiting_.back().key)) settle_last();
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    const bool is_directory = key.size() > waiting.key.size() && key[waiting.key.size()] == '/';
    if (is_directory) escaped_(archive::escaped_path(waiting.key), waiting.number);
    return is_directory;
  });
  if (archive::safe_path(key) == key)
    waiting_.push_back({std::string(key), number});
  else
    escaped_(archive::escaped_path(key), number);
}

void PathStream::finish() {
  while (!waiting_.empty()) settle_last();
  begun_ = false;
}

void PathStream::settle_last() {
  plain_(waiting_.back().key, waiting_.back().number);
  waiting_.pop_back();
}

}  // namespace bale::mount
