// One object from the source to the destination: one whole version, with everything that belongs to it.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

/// How copies are made.
struct CopyRules {
  std::string storage_class = "STANDARD_IA";  ///< of copies; empty: the source's
  /// Nobody asked for the class: where the destination does not know it, copies are STANDARD, after one warning.
  bool may_be_standard = false;
  /// Copies of fewer bytes stay STANDARD where the class bills small objects as 128 KiB; 0: none do.
  ByteCount ia_above = 0;
  std::string kms_key_arn;       ///< empty: the destination bucket's default encryption
  bool tags = true;              ///< false: tags are neither read nor copied
  bool through_program = false;  ///< the destination cannot copy from the source: bytes pass through this process
  /// Called before so many bytes are copied, by any thread: a limit on bandwidth. Absent: no limit.
  std::function<void(ByteCount)> pass_bytes;
};

/// Returns the class of a copy of `size` bytes whose source has the class `of_source`. Pure.
std::string copy_class(const CopyRules& rules, ByteCount size, const std::string& of_source);

/// A copy that was made.
struct Copied {
  store::ObjectInfo source;
  store::PutResult copy;
};

/// Copies objects. Thread-safe. Borrows all. Its functions must not be called on a thread of the connections.
class Copier {
 public:
  Copier(const Side& source, const Side& destination, const CopyRules& rules, const Tools& tools)
      : source_(source), destination_(destination), rules_(rules), tools_(tools) {}

  /// Copies the object as it is now, or the version. The source is read by HEAD, and copied on the condition that it is
  /// still that object; where it changes meanwhile it is read again, five times at most. `known`: what a HEAD told just
  /// now. Returns nullopt where there is no such object any more. Throws Error.
  std::optional<Copied> copy(std::string_view name, const VersionId& version = {},
                             const std::optional<store::ObjectInfo>& known = std::nullopt);

 private:
  store::PutResult copy_in_class(const ObjectAddress& from, const store::ObjectInfo& info, const ObjectAddress& to);
  store::PutResult copy_once(const ObjectAddress& from, const store::ObjectInfo& info, const ObjectAddress& to);
  const Side& source_;
  const Side& destination_;
  const CopyRules& rules_;
  const Tools& tools_;
  std::atomic<bool> is_class_unknown_{false};  ///< to the destination
};

}  // namespace bale::bucket
