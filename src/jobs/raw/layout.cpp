#include "jobs/raw/layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::raw {
namespace {

constexpr std::size_t max_key_bytes = 1024;
constexpr std::size_t max_name_bytes = 255;  // of one component of a path in Linux's file systems
constexpr std::size_t max_id_bytes = max_name_bytes;
constexpr std::size_t most_named_problems = 20;  // an error is read by a person

bool has_extension(std::string_view name, std::string_view extension) {
  return name.size() >= extension.size() &&
         to_lower(name.substr(name.size() - extension.size())) == to_lower(extension);
}

/// What is behind the stem of a main path, with its dot, as it is spelt there.
std::string_view extension_of(std::string_view main_name, const Layout& layout) {
  if (!layout.extension.empty()) return main_name.substr(main_name.size() - layout.extension.size());
  const auto dot = main_name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : main_name.substr(dot);
}

std::string_view without_extension(std::string_view name, std::string_view extension) {
  return has_extension(name, extension) ? name.substr(0, name.size() - extension.size()) : name;
}

// Which paths belong to a raw file: one function a kind.

bool is_main_path(std::string_view path, std::string_view main_name) { return path == main_name; }

bool is_in_folder(std::string_view path, std::string_view main_name) {
  return path == main_name || (path.starts_with(main_name) && path.substr(main_name.size()).starts_with('/'));
}

/// What SCIEX's software writes beside x.wiff: x.wiff.scan, x.wiff2, x.timeseries.data. The stem is compared exactly
/// and what follows it is known, so that the files of "x.1.wiff", of which "x." is the beginning too, stay out.
bool is_of_stem(std::string_view path, std::string_view main_name) {
  const std::string_view stem = without_extension(main_name, ".wiff");
  if (!path.starts_with(stem)) return false;
  const std::string rest = to_lower(path.substr(stem.size()));
  if (rest == ".wiff") return path == main_name;  // x.WIFF beside x.wiff is another raw file
  const auto begins = [&](std::string_view known) {
    return rest == known || rest.starts_with(std::string(known) + ".");
  };
  // x.wiff.wiff and its companions are of another raw file.
  const bool is_of_another = rest.find(".wiff", 1) != std::string::npos || rest.find('/') != std::string::npos;
  return !is_of_another && (begins(".wiff") || begins(".wiff2") || rest == ".timeseries.data");
}

/// Extensions of files that belong to the set of a .wiff file.
constexpr std::string_view companions_of_wiff[] = {".wiff2", ".wiff.scan", ".timeseries.data"};

std::string_view type_words(os::FileType type) {
  switch (type) {
    case os::FileType::regular: return "a file";
    case os::FileType::directory: return "a folder";
    case os::FileType::symlink: return "a symbolic link";
    case os::FileType::other: return "a pipe, socket or device";
  }
  return "";
}

bool has_odd_component(std::string_view path) {
  const auto parts = split(path, '/');
  return std::any_of(parts.begin(), parts.end(),
                     [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

bool has_long_component(std::string_view path) {
  const auto parts = split(path, '/');
  return std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part.size() > max_name_bytes; });
}

std::string folder_before_keys(const RawFileName& name) {
  return name.has_project ? std::string() : fmt::format("{}/{}/", name.instrument, name.month);
}

std::string stem_of_id(const RawFileName& name, const Layout& layout) {
  return std::string(without_extension(name.file_id, extension_of(name.main_name, layout)));
}

/// What the main path is called in the pool: "{stem}.d".
std::string stored_main(const RawFileName& name, const Layout& layout) {
  return stem_of_id(name, layout) + std::string(extension_of(name.main_name, layout));
}

/// What a path that belongs to the raw file is called in the pool.
std::string stored_name(const RawFileName& name, const Layout& layout, std::string_view path) {
  const auto stem = name.main_name.size() - extension_of(name.main_name, layout).size();
  return stem_of_id(name, layout) + std::string(path.substr(stem));
}

bool is_one_file(const Layout& layout) { return layout.type == os::FileType::regular && !layout.takes_siblings; }

/// What stands before PlannedFile::name in a key.
std::string key_folder(const RawFileName& name, const Layout& layout, config::KeyLayout keys) {
  const std::string before = folder_before_keys(name);
  if (is_one_file(layout)) return before;
  if (keys == config::KeyLayout::by_id) return before + name.file_id + "/";
  return layout.takes_siblings ? before + stored_main(name, layout) + "/" : before;
}

/// Collects what is wrong with a raw file, and throws it together.
class Problems {
 public:
  explicit Problems(const RawFileName& name) : name_(name) {}
  void add(std::string_view path, std::string_view what) {
    ++count_;
    if (named_.size() < most_named_problems) named_.push_back(fmt::format("{}: {}", escape_for_terminal(path), what));
  }
  void throw_if_any() const {
    if (count_ == 0) return;
    std::string text = fmt::format("{}", fmt::join(named_, "; "));
    if (count_ > named_.size()) text += fmt::format("; and {} more", count_ - named_.size());
    throw Error(ErrorKind::invalid, "the raw file cannot be backed up: " + text,
                escape_for_terminal(fmt::format("{} ({})", name_.file_id, name_.main_name)));
  }

 private:
  const RawFileName& name_;
  std::vector<std::string> named_;
  std::size_t count_ = 0;
};

void check_name(const RawFileName& name, const Layout& layout, Problems& problems) {
  check_file_id(name.file_id);
  if (stem_of_id(name, layout).empty()) problems.add(name.file_id, "the file id is nothing but an extension");
  const bool is_instrument = !name.instrument.empty() && name.instrument.find('/') == std::string::npos &&
                             name.instrument != "." && name.instrument != ".." && is_utf8(name.instrument);
  if (!name.has_project && name.instrument.empty())
    problems.add(name.main_name, "the instrument has to be given where there is no project");
  else if (!name.instrument.empty() && !is_instrument)
    problems.add(name.instrument, "an instrument cannot be called that");
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string& month = name.month;
  if (month.size() != 7 || month[4] != '_' || std::count_if(month.begin(), month.end(), is_digit) != 6)
    problems.add(month, "is not a month of the form YYYY_MM");
}

void check_main_path(const RawFileName& name, const Layout& layout, const std::vector<Found>& found,
                     Problems& problems) {
  const auto is_regular = [&](const std::string& path) {
    return std::any_of(found.begin(), found.end(),
                       [&](const Found& entry) { return entry.path == path && entry.type == os::FileType::regular; });
  };
  const auto main =
      std::find_if(found.begin(), found.end(), [&](const Found& entry) { return entry.path == name.main_name; });
  if (main == found.end()) return problems.add(name.main_name, "is missing");
  if (main->type != layout.type)
    return problems.add(name.main_name, fmt::format("is {}, not {}", type_words(main->type), type_words(layout.type)));
  for (const std::string_view required : layout.required) {
    const std::string path = fmt::format("{}/{}", name.main_name, required);
    if (!is_regular(path)) problems.add(path, "is missing: the acquisition is not complete, or failed");
  }
}

/// What keeps one thing that belongs to the raw file from being backed up; empty: nothing.
std::string problem_of(const Found& entry) {
  if (has_odd_component(entry.path)) return "is not the name of a file";
  if (entry.type == os::FileType::other) return "is a pipe, socket or device";
  if (entry.type == os::FileType::symlink) return "is a symbolic link; links in a raw file are not followed";
  if (!entry.is_readable) return "cannot be read";
  if (!is_utf8(entry.path)) return "has a name that is not UTF-8";
  return {};
}

/// The folders among `members` that nothing is in, by their stored names.
std::vector<std::string> empty_folders(const RawFileName& name, const Layout& layout,
                                       const std::vector<const Found*>& members) {
  std::set<std::string_view> empty;
  for (const Found* entry : members)
    if (entry->type == os::FileType::directory) empty.insert(entry->path);
  for (const Found* entry : members) {
    const auto slash = entry->path.rfind('/');
    if (slash != std::string::npos) empty.erase(std::string_view(entry->path).substr(0, slash));
  }
  std::vector<std::string> names;
  for (const std::string_view path : empty) names.push_back(stored_name(name, layout, path));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

const std::vector<Layout>& layouts() {
  using os::FileType;
  static const std::vector<Layout> all = {
      // Bruker timsTOF: the index of the frames, and the frames.
      {"folder",
       ".d",
       FileType::directory,
       false,
       {"analysis.tdf", "analysis.tdf_bin"},
       "analysis.tdf_bin",
       is_in_folder},
      {"stem", ".wiff", FileType::regular, true, {}, "", is_of_stem},
      {"file", "", FileType::regular, false, {}, "", is_main_path},
  };
  return all;
}

const Layout& layout_of(std::string_view main_name, os::FileType type) {
  const auto refused = [&](std::string what, std::string hint) {
    return Error(ErrorKind::invalid, std::move(what), escape_for_terminal(main_name), std::move(hint));
  };
  if (main_name.find('/') != std::string_view::npos || has_odd_component(main_name))
    throw refused("this is not the name of a raw file", "");
  for (const std::string_view companion : companions_of_wiff) {
    if (type == os::FileType::regular && has_extension(main_name, companion))
      throw refused(
          "the file belongs to the set of a .wiff file",
          fmt::format("Give the path of {}.wiff.", escape_for_terminal(without_extension(main_name, companion))));
  }
  for (const Layout& layout : layouts()) {
    if (layout.type != type || !has_extension(main_name, layout.extension)) continue;
    if (extension_of(main_name, layout).size() == main_name.size())
      throw refused("the name of the raw file is nothing but an extension", "Rename it.");
    return layout;
  }
  throw refused(fmt::format("{} of this name is no raw file", type_words(type)),
                "Give the path of a file, of a .d folder, or of the .wiff file of a set.");
}

bool belongs_to(const Layout& layout, std::string_view path, std::string_view main_name) {
  return layout.contains(path, main_name);
}

void check_file_id(std::string_view file_id) {
  const auto is_bad = [](char c) { return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  const char* problem = nullptr;
  if (file_id.empty() || file_id.size() > max_id_bytes)
    problem = "a file id has 1 to 255 bytes";
  else if (!is_utf8(file_id))
    problem = "a file id is UTF-8";
  else if (file_id == "." || file_id == ".." || std::any_of(file_id.begin(), file_id.end(), is_bad))
    problem = "a file id is a name without '/', '\\' and control characters";
  if (problem != nullptr) throw Error(ErrorKind::invalid, problem, escape_for_terminal(file_id));
}

Plan plan_raw_file(const RawFileName& name, const std::vector<Found>& found, config::KeyLayout keys) {
  const auto main =
      std::find_if(found.begin(), found.end(), [&](const Found& entry) { return entry.path == name.main_name; });
  // A main path that is missing is told together with all else; by its name it may be a folder.
  const os::FileType type = main != found.end()                   ? main->type
                            : has_extension(name.main_name, ".d") ? os::FileType::directory
                                                                  : os::FileType::regular;
  const Layout& layout = layout_of(name.main_name, type);
  Problems problems(name);
  check_name(name, layout, problems);
  check_main_path(name, layout, found, problems);

  Plan plan;
  plan.layout = layout.name;
  plan.prefix = key_prefix(name, layout, keys);
  plan.main = stored_main(name, layout);
  if (!layout.main_file.empty()) plan.main += fmt::format("/{}", layout.main_file);
  std::vector<const Found*> members;
  for (const Found& entry : found) {
    if (!layout.contains(entry.path, name.main_name)) continue;
    if (const std::string problem = problem_of(entry); !problem.empty()) {
      problems.add(entry.path, problem);
      continue;
    }
    if (layout.type == os::FileType::regular && entry.type == os::FileType::directory) {
      problems.add(entry.path, "is a folder");
      continue;
    }
    members.push_back(&entry);
    const std::string stored = stored_name(name, layout, entry.path);
    if (has_long_component(stored))
      problems.add(entry.path,
                   fmt::format("its name in the pool, which begins with the file id, would be longer than {} "
                               "bytes: choose a shorter file id",
                               max_name_bytes));
    if (entry.type != os::FileType::regular) continue;
    plan.files.push_back({entry.path, stored, key_of(name, layout, keys, stored), entry.size, entry.modified});
    plan.bytes += entry.size;
    if (plan.files.back().key.str().size() > max_key_bytes)
      problems.add(entry.path, fmt::format("its key would be longer than {} bytes", max_key_bytes));
  }
  plan.empty_folders = empty_folders(name, layout, members);
  std::sort(plan.files.begin(), plan.files.end(),
            [](const PlannedFile& a, const PlannedFile& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < plan.files.size(); ++i)
    if (plan.files[i].name == plan.files[i - 1].name) problems.add(plan.files[i].source, "is there twice");
  problems.throw_if_any();
  return plan;
}

std::string key_prefix(const RawFileName& name, const Layout& layout, config::KeyLayout keys) {
  const std::string folder = key_folder(name, layout, keys);
  if (is_one_file(layout)) return folder + stored_main(name, layout);
  // alphakraken puts a folder as it is: its name is the beginning of all its keys.
  const bool is_bare_folder = keys == config::KeyLayout::alphakraken && !layout.takes_siblings;
  return is_bare_folder ? folder + stored_main(name, layout) + "/" : folder;
}

ObjectKey key_of(const RawFileName& name, const Layout& layout, config::KeyLayout keys, std::string_view file_name) {
  return ObjectKey(key_folder(name, layout, keys) + std::string(file_name));
}

std::string pool_directory(const RawFileName& name) {
  return name.instrument.empty() ? name.month : fmt::format("{}/{}", name.instrument, name.month);
}

std::string month_of(TimePoint time) {
  std::string month = to_date(time).substr(0, 7);
  month[4] = '_';
  return month;
}

}  // namespace bale::raw
