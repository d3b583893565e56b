// Names of the buckets of projects. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"

namespace bale::raw {

/// Returns an identifier as a part of a bucket's name: A-Z as a-z; each character that is not a-z, 0-9 or '-' as one
/// '-' (a character of several bytes of UTF-8, too). "PRJ_001" and "prj.001" give the same: whoever uses the bucket
/// holds the project of its records against his own.
std::string normalize_for_bucket(std::string_view identifier);

/// Returns everything in which `name` is against S3's rules for general purpose buckets, one message a rule; empty for
/// a legal name.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
std::vector<std::string> bucket_name_findings(std::string_view name);

/// Returns the bucket of a project: "{prefix, in lower case}-{project, normalised}". The prefix is otherwise taken as
/// it is. `project`: with an empty one, the name is made of `fallback_project`. Throws Error{invalid} that lists
/// bucket_name_findings(), with prefix and project as its place.
BucketName project_bucket(std::string_view prefix, std::string_view project, std::string_view fallback_project);

/// Whether a raw file belongs to a project: `project` is neither empty nor `fallback_project`.
bool has_project(std::string_view project, std::string_view fallback_project) noexcept;

}  // namespace bale::raw
