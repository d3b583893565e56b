// The list of raw files of `bale raw backup --from`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobs/raw/run.hpp"

namespace bale::cli {

/// Reads a list: one JSON object a line with `id` and `path`, and optionally `project` and `instrument`; and, as
/// records of an earlier pipeline have them, `_id`, `project_id`, `instrument_id`, `created_at` and `file_info`
/// ({"name": [size, md5]} or {"name": [size, md5, etag]}). Empty lines are passed over. Throws Error{invalid} that
/// names file and line, for a list of more than 256 MiB too.
std::vector<raw::BackupRequest> read_raw_list(os::Files& files, const std::string& path);

/// The pure part: the text of a list; `file` names it in errors.
std::vector<raw::BackupRequest> parse_raw_list(std::string_view text, const std::string& file);

}  // namespace bale::cli
