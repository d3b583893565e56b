// Archives as other programs write them, and their indexes, in memory.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "archive/compress.hpp"
#include "archive/sidecar_builder.hpp"
#include "archive/sidecar_reader.hpp"
#include "archive/tar.hpp"
#include "base/hash.hpp"
#include "support/archive_kit.hpp"

namespace bale::test {

/// A tar of the members as they are named, and its end.
inline std::string tar_of(const std::vector<TestMember>& members) {
  std::string tar;
  for (const TestMember& member : members) {
    std::string header(archive::tar_header_bytes(member.name, member.content.size()), '\0');
    archive::encode_tar_header({reinterpret_cast<std::byte*>(header.data()), header.size()}, member.name,
                               member.content.size(), member.modified);
    tar += header + member.content;
    tar.resize(archive::tar_padded(tar.size()));
  }
  return tar + std::string(1024, '\0');
}

/// A header of another type than a regular file's, with its checksum: '1' is a hard link, '2' a symlink to `target`.
inline std::string tar_header(const std::string& name, char type, const std::string& target = {}, ByteCount size = 0) {
  std::string header(512, '\0');
  archive::encode_tar_header({reinterpret_cast<std::byte*>(header.data()), header.size()}, name, size, {});
  header[156] = type;
  header.replace(157, target.size(), target);
  header.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  return header;
}

/// Tar blocks of one member, without the end of a tar.
inline std::string tar_member(const TestMember& member) {
  const std::string tar = tar_of({member});
  return tar.substr(0, tar.size() - 1024);
}

/// zstd frames of `frame_bytes` of content each, the last one shorter; 0: one frame.
inline std::string frames_of(const std::string& content, std::size_t frame_bytes = 0, int level = 3) {
  std::string frames;
  const std::size_t step = frame_bytes == 0 ? content.size() : frame_bytes;
  for (std::size_t at = 0; at < content.size(); at += step) {
    const auto part = as_bytes(std::string_view(content).substr(at, step));
    frames += as_text(archive::compress_frame_at(part, level, 1 << 20).bytes.view());
  }
  return frames;
}

/// A manifest of the reference, without digests; members are objects/ and their keys.
inline std::string reference_manifest(const std::vector<TestMember>& objects) {
  std::string json = R"({"targets": [], "objects": [)";
  for (const TestMember& object : objects) {
    json += (json.ends_with('[') ? "" : ", ");
    json += R"({"source_bucket": "s", "relative_key": ")" + object.name + R"(", "size": )" +
            std::to_string(object.content.size()) + "}";
  }
  return json + "]}";
}

/// The tar that the reference makes of objects: manifest.json last.
inline std::string reference_tar(const std::vector<TestMember>& objects) {
  std::vector<TestMember> members;
  for (const TestMember& object : objects) members.push_back({"objects/" + object.name, object.content});
  members.push_back({"manifest.json", reference_manifest(objects)});
  return tar_of(members);
}

inline archive::BuiltSidecar index_of(MemorySource& file) { return archive::build_sidecar(file, {}); }

/// An index with its checksum made right again, whatever was done to it.
inline std::string sealed(std::string index) {
  const std::uint64_t sum = xxh64(as_bytes(std::string_view(index).substr(0, index.size() - 8)));
  for (int i = 0; i < 8; ++i) index[index.size() - 8 + static_cast<std::size_t>(i)] = static_cast<char>(sum >> (8 * i));
  return index;
}

}  // namespace bale::test
