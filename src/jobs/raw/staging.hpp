// A directory in which the files of a raw file wait until all of them are complete, beside the place where they belong.
#pragma once

#include <string>
#include <vector>

#include "os/files.hpp"

namespace bale::raw {

/// Returns ".bale-raw-ID.partial": where the files of an id wait. The id's characters that are unsafe in a name are
/// those that check_file_id() refuses.
std::string staging_name(const std::string& id);

/// Removes a directory and everything below it; does nothing where it is missing. Symbolic links are removed, not
/// followed. Throws Error.
void remove_tree(os::Files& files, const os::fs::path& path);

/// Gives staged files and folders their names below `directory`, in the order of `names` (relative, '/' between
/// components). A name's first component that `directory` does not have moves as a whole, with all that is staged below
/// it. No file that is there is replaced: Error{precondition}. The names are durable when it returns. `files` is
/// borrowed.
void give_names(os::Files& files, const os::fs::path& staging, const os::fs::path& directory,
                const std::vector<std::string>& names);

}  // namespace bale::raw
