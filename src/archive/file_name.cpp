#include "archive/file_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "archive/layout.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

/// '%' and the digits of a hash.
constexpr std::size_t mark_bytes = 9;

/// Calls `visit` with every component of a key that is left in its path, and where the component ends in the key.
template <typename Visit>
void for_each_component(std::string_view key, Visit visit) {
  for (std::size_t begin = 0; begin < key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view component = key.substr(begin, end - begin);
    if (!component.empty() && component != ".") visit(component, end);
    begin = end + 1;
  }
}

/// `name` cut to leave room for the mark, at the beginning of a character where it is UTF-8.
std::string_view cut(std::string_view name) {
  constexpr std::size_t most = layout::max_component_bytes - mark_bytes;
  if (name.size() <= most) return name;
  std::size_t length = most;
  while (length > most - 4 && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) --length;
  return name.substr(0, (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80 ? most : length);
}

/// Returns an escaped name: `name`, '%' and a hash of `of` and `attempt`.
std::string marked(std::string_view name, std::string_view of, std::size_t attempt) {
  std::string hashed(of);
  if (attempt > 0) hashed += fmt::format("/{}", attempt);
  return fmt::format("{}%{:08x}", cut(name), xxh64(as_bytes(hashed)) >> 32);
}

/// The component as a file system can hold it.
std::string holdable(std::string_view component) {
  if (component == "..") return "%2E%2E";
  std::string name;
  for (const char c : component) {
    if (c == '\0')
      name += "%00";
    else
      name += c;
  }
  return name.size() <= layout::max_component_bytes ? name : marked(name, component, 0);
}

/// The paths that were given so far.
class Places {
 public:
  void add_file(const std::string& path) {
    taken_[path] = Taken::file;
    add_parents(path);
  }
  void add_directory(const std::string& path) {
    if (path.empty()) return;
    taken_[path] = Taken::directory;
    add_parents(path);
  }
  Taken at(const std::string& path) const {
    const auto found = taken_.find(path);
    return found == taken_.end() ? Taken::nothing : found->second;
  }

 private:
  void add_parents(std::string_view path) {
    for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos; slash = path.rfind('/')) {
      path = path.substr(0, slash);
      if (!taken_.try_emplace(std::string(path), Taken::directory).second) return;
    }
  }
  std::unordered_map<std::string, Taken> taken_;
};

}  // namespace

bool is_folder_marker(std::string_view key, ByteCount size) noexcept {
  return size == 0 && (key.empty() || key.ends_with('/'));
}

std::string normalised(std::string_view key) {
  std::string path;
  for_each_component(
      key, [&](std::string_view component, std::size_t) { path.append(path.empty() ? "" : "/").append(component); });
  return path;
}

NameChange change_of(std::string_view key, std::string_view path) {
  if (normalised(key) != path) return NameChange::escaped;
  return key.starts_with('/') && !path.empty() ? NameChange::leading_slash : NameChange::none;
}

bool is_file_path(std::string_view key) noexcept {
  if (key.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const std::size_t slash = key.find('/');
    const std::string_view name = key.substr(0, slash);
    if (name.empty() || name == "." || name == ".." || name.size() > layout::max_component_bytes) return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
  }
}

std::string place_of(const NamedKey& key, const std::function<Taken(const std::string& path)>& taken) {
  struct Component {
    std::string name;
    std::string_view of;  ///< the key up to and including the component
  };
  std::vector<Component> components;
  for_each_component(key.key, [&](std::string_view component, std::size_t end) {
    components.push_back({holdable(component), key.key.substr(0, end)});
  });
  if (components.empty() && key.is_directory) return {};
  // A file needs a name, even if its key has no component.
  if (components.empty()) components.push_back({marked({}, key.key, 0), key.key});
  std::string path;
  for (std::size_t i = 0; i < components.size(); ++i) {
    const auto& [name, of] = components[i];
    const bool is_file = i + 1 == components.size() && !key.is_directory;
    const std::string directory = path.empty() ? "" : path + "/";
    path = directory + name;
    for (std::size_t attempt = 0;; ++attempt) {
      const Taken there = taken(path);
      if (there == Taken::nothing || (there == Taken::directory && !is_file)) break;
      path = directory + marked(name, is_file ? key.key : of, attempt);
    }
  }
  return path;
}

std::vector<std::string> file_paths(const std::vector<NamedKey>& keys) {
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a].key < keys[b].key; });
  std::vector<std::string> paths(keys.size());
  std::vector<std::size_t> odd;
  PathStream stream(
      {.file = [&](std::string_view path, std::int64_t i) { paths[static_cast<std::size_t>(i)] = path; },
       .directory = [&](std::string_view path, std::int64_t i) { paths[static_cast<std::size_t>(i)] = path; },
       .odd = [&](std::string_view, std::int64_t i) { odd.push_back(static_cast<std::size_t>(i)); }});
  for (const std::size_t i : order) stream.add(keys[i], static_cast<std::int64_t>(i));
  stream.finish();
  if (odd.empty()) return paths;
  Places places;
  std::vector<bool> is_odd(keys.size(), false);
  for (const std::size_t i : odd) is_odd[i] = true;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (is_odd[i]) continue;
    if (keys[i].is_directory)
      places.add_directory(paths[i]);
    else
      places.add_file(paths[i]);
  }
  std::sort(odd.begin(), odd.end(), [&](std::size_t a, std::size_t b) { return keys[a].key < keys[b].key; });
  for (const std::size_t i : odd) {
    paths[i] = place_of(keys[i], [&](const std::string& path) { return places.at(path); });
    if (keys[i].is_directory)
      places.add_directory(paths[i]);
    else
      places.add_file(paths[i]);
  }
  return paths;
}

// ---- PathStream

void PathStream::add(const NamedKey& added, std::int64_t number) {
  const std::string_view key = added.key;
  if (begun_ && key <= last_) throw Error(ErrorKind::invalid, "keys are out of order, or come twice", escape_name(key));
  last_ = key;
  begun_ = true;
  // Between "a" and "a/b" there are only keys that start with "a" ("a!b"): with another one, "a" is settled.
  while (!waiting_.empty() && !key.starts_with(waiting_.back().key)) settle_last();
  const bool is_plain_directory = added.is_directory && !key.empty() && is_file_path(key.substr(0, key.size() - 1));
  const bool is_plain = is_plain_directory || (!added.is_directory && is_file_path(key));
  if (!is_plain) return sinks_.odd(key, number);
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    const bool is_directory = key.size() > waiting.key.size() && key[waiting.key.size()] == '/';
    if (is_directory) sinks_.odd(waiting.key, waiting.number);
    return is_directory;
  });
  if (is_plain_directory)
    sinks_.directory(key.substr(0, key.size() - 1), number);
  else
    waiting_.push_back({std::string(key), number});
}

void PathStream::finish() {
  while (!waiting_.empty()) settle_last();
  begun_ = false;
}

void PathStream::settle_last() {
  sinks_.file(waiting_.back().key, waiting_.back().number);
  waiting_.pop_back();
}

}  // namespace bale::archive
