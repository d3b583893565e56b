// Uploads of local files: parts in parallel straight from the file, each byte read and hashed once, resumable.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"

namespace bale::transfer {

/// Code of the error for a file that is not the expected one.
inline constexpr const char* file_differs = "FileDiffers";

/// How a file is uploaded.
struct FileUpload {
  store::ObjectAttributes attributes;
  store::WriteConditions conditions;
  /// Size of every part but the last, as choose_part_size() gives it. A file of at least this size goes up in parts, as
  /// the AWS command line does it; a smaller one in one request.
  ByteCount part_bytes = 8ULL << 20;
  std::size_t most_parts_under_way = 16;
  /// An upload of this file with this part size, that an earlier process began. Parts of it that are equal to those of
  /// the file are not sent again. Where the store does not know it any more, an upload is begun.
  std::optional<UploadId> resume = {};
  /// As MultipartOptions::remember. Where it is given, an upload that fails stays in the store, to be resumed.
  std::function<void(const UploadId&)> remember = {};
  /// The CRC64NVME that the file should have. Where the bytes that were read have another, no object is made:
  /// Error{precondition} with the code file_differs. A file that goes up in one request is then read twice.
  std::optional<store::Checksum> expected_checksum = {};
  /// Called before the object is made (complete_upload(), or the one request): what it throws ends the upload.
  std::function<void()> before_complete = {};
  /// Told the bytes that are sent, and those that were sent before (resume); negative when a request starts again.
  std::function<void(std::int64_t)> moved = {};
  std::stop_token stop = {};
  /// Computes the digests of FileUploaded, and compares the ETags in the responses with them. False: `etag` is what the
  /// store says, and the signature covers the bytes; not together with `resume`.
  bool computes_digests = true;
  /// Hint of the error where the server takes fewer or smaller parts than S3: how a person sets part_bytes.
  std::string part_bytes_hint = "set a larger part size";
};

/// What an upload did. The digests are those of the bytes that were read from the file.
struct FileUploaded {
  store::PutResult object;
  ByteCount size = 0;
  ETag etag;                    ///< that the store should give: the MD5, or the MD5 of the parts' MD5s and their number
  store::Checksum checksum;     ///< CRC64NVME of the whole file; without a value where no digests were computed
  std::uint32_t parts = 0;      ///< 0: one request
  ByteCount sent_bytes = 0;     ///< in this run
  ByteCount adopted_bytes = 0;  ///< in parts that were there already
  /// The right to list the parts of the resumed upload is missing (s3:ListMultipartUploadParts): all were sent again.
  bool parts_were_not_listed = false;
};

/// Uploads a file. Each byte of it is read once; twice in a part that the resumed upload has with other bytes, and
/// where a request is repeated. The file must not change meanwhile: Error{precondition} when it gets shorter or longer.
/// Throws Error{corrupt} when the store's response shows twice other bytes than were sent. An upload that the store
/// does not know any more is begun again, two times at most, and `remember` is told. The checksum of the whole file is
/// a condition of the completion where `attributes.checksum_algorithm` is CRC64NVME. Memory: 1 MiB of `budget` for each
/// part under way. Borrows all. Call on a thread that is not one of `connections`.
FileUploaded upload_file(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                         os::ReadableFile& file, const ObjectAddress& to, const FileUpload& upload);

}  // namespace bale::transfer
