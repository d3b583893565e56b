// What an instrument left of an acquisition, as it is on disk.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "jobs/raw/layout.hpp"
#include "os/clock.hpp"
#include "os/files.hpp"

namespace bale::raw {

/// The files of one acquisition, looked at once.
struct SourceSet {
  os::fs::path directory;  ///< that Found::path is relative to
  std::string main_name;   ///< of the main path
  std::vector<Found> found;
  std::map<std::string, os::FileInfo> infos;  ///< of the files, by Found::path
  TimePoint newest{};                         ///< the latest modification time of a file
};

/// Looks at the main path and at what belongs to it: everything below a folder, or the files of one stem beside a file.
/// Opens each file to learn whether it can be read. `others`: further paths that the user named; each must be a part of
/// the acquisition. `files` is borrowed.
/// Throws Error: not_found with the code SourceGone for a main path that is not there, invalid for a kind of path that
/// no layout takes and for another path that does not belong to the acquisition.
SourceSet look_at_source(os::Files& files, const os::fs::path& main_path, const std::vector<os::fs::path>& others = {});

/// Waits until an acquisition is over: until no file was written for `rest`, and none came or went. A newest
/// modification time that is `rest` in the past is enough; where it is in the future, because the instrument's clock is
/// ahead, the files are watched for `rest` instead. Looks every 10 s, or more often for a short rest. Returns the last
/// look. `waits` is told how long the wait will still last at least. Throws as look_at_source() does, Error{cancelled}
/// after a stop.
SourceSet wait_until_settled(os::Files& files, os::Clock& clock, const os::fs::path& main_path,
                             const std::vector<os::fs::path>& others, Milliseconds rest, const std::stop_token& stop,
                             const std::function<void(Milliseconds)>& waits = {});

}  // namespace bale::raw
