// Which files make up a raw file, what they are called in the pool, and the keys of their objects. Pure; thread-safe.
//
// A raw file is what an instrument leaves of one acquisition: a file (x.raw), a folder (x.d), or files of one stem
// (x.wiff, x.wiff2, x.wiff.scan, x.timeseries.data). Its main path is the one that the instrument names it by.
// layouts() is the table of the kinds; a new kind is a row and one function.
//
// Names. Everything of a raw file is called after its file id, as the local copy of alphakraken and the examples of the
// requirements are ("raw_file_id/raw_file_id.wiff"): the stem of the main path is replaced by that of the file id. The
// stem of a file id is the id without the layout's extension, where it has it: ids "x" and "x.raw" of x.raw both give
// "x.raw".
//
// Keys, of config::KeyLayout:
//
//   |              | by_id                           | alphakraken                  |
//   | one file     | {stem}.raw                      | {stem}.raw                   |
//   | folder       | {file id}/{stem}.d/analysis.tdf | {stem}.d/analysis.tdf        |
//   | files of one | {file id}/{stem}.wiff           | {stem}.wiff/{stem}.wiff      |
//   | stem         |                                 |                              |
//   | no project   | {instrument}/{YYYY_MM}/ before all of these | the same         |
//
// The requirements give two rules for keys: "{file_id}.raw" for the files of one instrument, "{file_id}/{relative
// path}" for each file of file_info. The first is followed for raw files that are one file, the second for all others.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "config/raw.hpp"
#include "os/files.hpp"

namespace bale::raw {

/// Something that was found at the source.
struct Found {
  std::string path;  ///< relative to the directory of the main path, '/' between components: "x.d/analysis.tdf"
  os::FileType type = os::FileType::regular;
  ByteCount size = 0;
  TimePoint modified{};
  bool is_readable = true;  ///< false: it could not be opened or listed
};

/// What a raw file is called and where it belongs.
struct RawFileName {
  std::string file_id;
  std::string main_name;   ///< last component of the main path: "x.raw", "x.d", "x.wiff"
  std::string instrument;  ///< required where there is no project
  std::string month;       ///< "YYYY_MM" of the acquisition; see month_of()
  bool has_project = true;
};

/// A file of a raw file.
struct PlannedFile {
  std::string source;  ///< Found::path
  std::string name;    ///< relative to the directory of the copy in the pool: "{stem}.d/analysis.tdf"
  ObjectKey key;
  ByteCount size = 0;
  TimePoint modified{};
  friend bool operator==(const PlannedFile&, const PlannedFile&) = default;
};

/// All files of a raw file, and where they go.
struct Plan {
  std::string layout;  ///< name of its row: "file", "folder", "stem"
  std::string prefix;  ///< s3_backup_key: of one file its key, else what all keys begin with, with '/' at the end
  std::string main;    ///< PlannedFile::name of the main file: the one that the acquisition writes longest
  std::vector<PlannedFile> files;          ///< by name, bytewise
  std::vector<std::string> empty_folders;  ///< as PlannedFile::name, without '/' at the end, by name
  ByteCount bytes = 0;                     ///< of all files
  friend bool operator==(const Plan&, const Plan&) = default;
};

/// A kind of raw file.
struct Layout {
  std::string_view name;       ///< in records and messages
  std::string_view extension;  ///< of the main path, with its dot, compared without regard to case; empty: any
  os::FileType type;           ///< of the main path
  bool takes_siblings;         ///< files beside the main path belong to it
  std::vector<std::string_view> required;  ///< below the main path; a raw file without one is not whole
  std::string_view main_file;  ///< below the main path: the file to watch during the acquisition; empty: the main path
  /// Whether a path (Found::path) belongs to the raw file `main_name`.
  bool (*contains)(std::string_view path, std::string_view main_name);
};
/// The kinds, first match first.
const std::vector<Layout>& layouts();
/// Returns the kind of a main path, by its name and type (links followed). Throws Error{invalid} where there is none: a
/// pipe, a folder that is no .d folder, a name that is nothing but an extension.
const Layout& layout_of(std::string_view main_name, os::FileType type);
/// Whether a path beside or below the main path belongs to the raw file; by exact stem for files of one stem: "x.wiff2"
/// and "x.timeseries.data" belong to "x.wiff"; "x_2.wiff", "x.1.wiff" and "x_CORRUPTED.wiff" do not.
bool belongs_to(const Layout& layout, std::string_view path, std::string_view main_name);

/// Throws Error{invalid} unless a file id has 1-255 bytes of UTF-8 without '/', '\\' or control characters, and is not
/// "." or "..".
void check_file_id(std::string_view file_id);

/// Plans a raw file. `found`: the main path itself, and everything below it or, where the layout takes siblings, beside
/// it; what does not belong to the raw file is left out. The caller has decided on links: see below.
/// Throws Error{invalid} that names everything that is wrong, before a byte is read:
///  - the main path or a required file is missing;
///  - something cannot be read; something is a pipe, socket or device; something is a symbolic link. A link in a raw
///  file
///    leads to bytes that are not of the acquisition, so it is neither followed nor left out. (The main path itself may
///    be reached through links: its caller gives the type of what they lead to.)
///  - two files get one name, a name is no UTF-8, a name is longer than 255 bytes, or a key than 1024;
///  - the instrument is missing where there is no project, or has a '/'.
/// Files of 0 bytes are kept. Folders without anything in them are listed.
Plan plan_raw_file(const RawFileName& name, const std::vector<Found>& found, config::KeyLayout keys);

/// Returns what all keys of a raw file begin with, without looking at its files: for one file the key itself.
std::string key_prefix(const RawFileName& name, const Layout& layout, config::KeyLayout keys);
/// Returns the key of one file, from PlannedFile::name.
ObjectKey key_of(const RawFileName& name, const Layout& layout, config::KeyLayout keys, std::string_view file_name);
/// Returns the directory below the pool to which PlannedFile::name is relative: "{instrument}/{YYYY_MM}", or only the
/// month where there is no instrument.
std::string pool_directory(const RawFileName& name);

/// "2026_11", in UTC, as alphakraken forms it.
std::string month_of(TimePoint time);

}  // namespace bale::raw
