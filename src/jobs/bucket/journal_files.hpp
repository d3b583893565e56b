// Where the files of a journal are kept: below a prefix of a bucket, or in a directory.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/names.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/bucket/journal.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"
#include "transfer/byte_io.hpp"

namespace bale::bucket {

struct JournalFile {
  std::string name;
  ByteCount size = 0;
  ETag etag;  ///< empty in a directory
};

/// The files of one journal, by names without '/'. Thread-safe.
class JournalFiles {
 public:
  virtual ~JournalFiles() = default;
  /// Returns every file, in bytewise order of names; none where the place does not exist yet.
  virtual std::vector<JournalFile> list() = 0;
  /// Returns the first bytes of a file, at most `most`.
  virtual std::string read_start(const JournalFile& file, std::size_t most) = 0;
  /// Returns what reads the file from its start. Throws Error{not_found} where it is gone.
  virtual ReadBytes open(const JournalFile& file) = 0;
  /// Begins a file of at most `expected` bytes that appears under its name on finish(). Where `replaced` is given, that
  /// file is replaced, and no other: Error{precondition} where another writer came first, as far as the place can tell.
  virtual std::unique_ptr<transfer::ByteSink> create(const std::string& name, ByteCount expected,
                                                     const JournalFile* replaced) = 0;
  /// No error where the file is gone.
  virtual void remove(const std::string& name) = 0;
  /// "s3://bucket/prefix" or the path, for messages.
  virtual std::string where() const = 0;
};

/// Below a prefix of a bucket that ends with '/'. Borrows store and pool.
std::unique_ptr<JournalFiles> journal_in_bucket(store::ObjectStore& store, flow::ThreadPool& connections,
                                                const BucketName& bucket, const std::string& prefix);

/// In a directory, which is made when the first file is written. Borrows `files`.
std::unique_ptr<JournalFiles> journal_in_directory(os::Files& files, const os::fs::path& directory);

}  // namespace bale::bucket
