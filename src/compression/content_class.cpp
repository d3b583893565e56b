#include "compression/content_class.hpp"

#include <fmt/format.h>

#include <array>

#include "archive/compress.hpp"
#include "base/names.hpp"
#include "base/text.hpp"

namespace bale::compression {
namespace {

struct Group {
  std::string_view name;
  std::string_view extensions;  ///< each between spaces
};

// By what is inside, not by what it is for. Unknown ones are "other"; the probe tells them apart.
constexpr std::array<Group, 6> groups{{
    {"text",
     " txt md rst tex html htm xhtml xml svg css js ts jsx tsx c h cc cpp hpp cs go rs java kt py rb php pl sh sql "
     "yaml yml toml ini cfg conf properties eml vtt srt "},
    {"log", " log out err trace audit "},
    {"table", " csv tsv json jsonl ndjson geojson psv dat sam vcf bed gff fasta fa fastq fq "},
    {"program", " exe dll so dylib o a lib bin elf wasm pyc class img iso vmdk qcow2 vdi db sqlite mdb bak dmp "},
    {"packed",
     " gz tgz zst zstd bz2 xz lz4 br zip 7z rar jar war apk whl docx xlsx pptx odt ods pdf png jpg jpeg gif webp "
     "heic avif jp2 mp3 m4a aac ogg opus flac mp4 m4v mov mkv webm avi mpg mpeg parquet orc avro bam cram "},
    {"array",
     " raw npy npz h5 hdf5 nc fits fit mat wiff scan d tdf bruker mzml wav aiff pcm tif tiff bmp dng nef cr2 "
     "las e57 stl ply bin32 f32 f64 grib grb "},
}};

// Bytes out per byte in, at the fastest level, of small samples. The last is what archive calls incompressible.
constexpr std::array<double, content_bands - 1> band_ends{0.25, 0.5, 0.75, archive::incompressible_ratio};

std::string extension_of(std::string_view key) {
  const std::string_view name = basename(key);
  const std::size_t dot = name.rfind('.');
  // ".profile" has no extension; a long or spaced one is no extension but part of the name.
  if (dot == std::string_view::npos || dot == 0 || name.size() - dot > 12) return {};
  return to_lower(name.substr(dot + 1));
}

std::string_view group_of(const std::string& extension) {
  if (extension.empty() || extension.find(' ') != std::string::npos) return "other";
  // A rotated log ("app.log.1") ends in its number.
  if (extension.find_first_not_of("0123456789") == std::string::npos) return "log";
  const std::string wanted = " " + extension + " ";
  for (const Group& group : groups)
    if (group.extensions.find(wanted) != std::string_view::npos) return group.name;
  return "other";
}

}  // namespace

std::string ContentClass::name() const { return fmt::format("{}-{}", group, band); }

ContentClass classify(std::string_view key, double probed_ratio) {
  ContentClass found{.group = group_of(extension_of(key))};
  while (found.band < content_bands - 1 && !(probed_ratio < band_ends[static_cast<std::size_t>(found.band)]))
    ++found.band;
  return found;
}

}  // namespace bale::compression
