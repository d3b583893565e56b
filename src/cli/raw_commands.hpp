// What the commands of `bale raw` are asked to do, and the functions that do it. Each returns the exit status.
#pragma once

#include <string>
#include <vector>

#include "cli/raw_context.hpp"

namespace bale::cli {

struct RawBackupOptions {
  RawOptions common;
  std::string id;
  std::vector<std::string> paths;
  std::string project, instrument, settle, from, key_layout, metrics_file;
  bool copy_only = false;
  bool create_pool = false;
  bool exit_zero = false;
};
int raw_backup(Context& context, const RawBackupOptions& options);

struct RawUploadOptions {
  RawOptions common;
  std::string id, metrics_file;
  bool exit_zero = false;
};
int raw_upload(Context& context, const RawUploadOptions& options);

struct RawAbortOptions {
  RawOptions common;
  std::string id;
};
int raw_abort(Context& context, const RawAbortOptions& options);

struct RawVerifyOptions {
  RawOptions common;
  std::vector<std::string> ids;  ///< empty: every record
  bool purge_local = false;
  bool bucket_only = false;  ///< local files are not read
};
int raw_verify(Context& context, const RawVerifyOptions& options);

struct RawStatusOptions {
  RawOptions common;
  std::vector<std::string> ids;  ///< empty: every record
  std::string status, project, instrument, failed_since;
};
int raw_status(Context& context, const RawStatusOptions& options);

struct RawRestoreOptions {
  RawOptions common;
  std::string id, to;
};
int raw_restore(Context& context, const RawRestoreOptions& options);

}  // namespace bale::cli
