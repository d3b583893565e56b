// What the commands of `bale archive` are asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "archive/reader.hpp"
#include "archive/writer.hpp"
#include "cli/context.hpp"
#include "transfer/byte_io.hpp"

namespace bale::cli {

/// The options of all archive commands; each uses its own.
struct ArchiveOptions {
  std::string archive;  ///< a file, or s3://bucket/key
  std::vector<std::string> paths;
  std::vector<std::string> members;
  std::string to;
  std::string index;  ///< --index: the index to read the archive by; empty: the one beside it
  int level = archive::default_level;
  std::string frame_size;
  bool detailed = false;
};

int create_archive(Context& context, const ArchiveOptions& options);
int list_archive(Context& context, const ArchiveOptions& options);
int extract_archive(Context& context, const ArchiveOptions& options);
int verify_archive(Context& context, const ArchiveOptions& options);
int show_archive(Context& context, const ArchiveOptions& options);
int index_archive(Context& context, const ArchiveOptions& options);

/// An archive that is open for reading.
struct OpenArchive {
  std::unique_ptr<transfer::RandomSource> source;  ///< which the reader borrows
  std::unique_ptr<archive::Reader> reader;
  std::string index;  ///< name of the index that it is read by; empty: none beside its own
  /// Returns the exit status of a command that would end with `status`: 1 instead of 0 where a part of the archive was
  /// not read, which open_archive() has said.
  int status(int status) const;
};

/// A file, or s3://bucket/key. Throws as open_file_source(); an object is not asked for yet.
std::unique_ptr<transfer::RandomSource> open_archive_source(Context& context, const std::string& name);
/// The name of the index beside an archive.
std::string index_beside(const std::string& archive);
/// Opens options.archive. Where it has no seek table of its own, by the index options.index or, where that is empty and
/// one is there, by the one beside it; warns of an index that is damaged or of another archive, and goes on without.
/// Throws as archive::open_archive(), and Error{not_found} for an options.index that is not there.
OpenArchive open_archive(Context& context, const ArchiveOptions& options);

}  // namespace bale::cli
