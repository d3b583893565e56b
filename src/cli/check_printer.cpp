#include "cli/check_printer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/catalog_places.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// As add_name() writes it.
std::string shown_name(const std::string& name) { return is_utf8(name) ? name : escape_name(name); }

using Json = nlohmann::ordered_json;

constexpr std::size_t most_rows = 1000;

Json json_of(const check::Finding& finding) {
  Json line = {{"type", "finding"},
               {"finding", check::to_string(finding.type)},
               {"severity", check::to_string(check::severity_of(finding.type))}};
  add_name(line, "where", finding.where);
  if (!finding.archive.empty()) add_name(line, "archive", finding.archive.str());
  if (finding.objects.size() == 1) {
    add_name(line, "object", to_uri(finding.objects.front()));
    add_key_bytes(line, finding.objects.front().key);
  } else if (!finding.objects.empty()) {
    line["objects"] = Json::array();
    for (const ObjectAddress& object : finding.objects) line["objects"].push_back(shown_name(to_uri(object)));
  }
  line["what"] = finding.what;
  if (!finding.hint.empty()) line["hint"] = finding.hint;
  if (finding.repair != check::Repair::none) line["repair"] = finding.repair == check::Repair::done ? "done" : "dryrun";
  return line;
}

std::string objects_text(const std::vector<ObjectAddress>& objects) {
  if (objects.empty()) return "-";
  const std::string first = escape_name(to_uri(objects.front()));
  return objects.size() == 1 ? first : fmt::format("{} and {} more", first, format_count(objects.size() - 1));
}

std::string what_text(const check::Finding& finding) {
  switch (finding.repair) {
    case check::Repair::done: return finding.what + " (its catalog file was rebuilt)";
    case check::Repair::would: return finding.what + " (dryrun: its catalog file would be rebuilt)";
    case check::Repair::none: break;
  }
  return finding.what;
}

/// "12 objects, 3.4 MiB, were read and hashed, ..."
std::string read_text(const check::Counts& counts) {
  return fmt::format("{} ({}) {} read and hashed{}", format_count(counts.objects_read, "object"),
                     format_bytes(counts.bytes_read), counts.objects_read == 1 ? "was" : "were",
                     counts.not_verifiable == 0
                         ? std::string()
                         : fmt::format(", {} not verifiable (no SHA-256)", format_count(counts.not_verifiable)));
}

std::string destinations_text(const check::Counts& counts) {
  std::string text = fmt::format("{} compared with the catalog, {} of them by their content",
                                 format_count(counts.destination_objects, "destination object"),
                                 format_count(counts.destination_read));
  if (counts.destination_newer > 0) text += fmt::format(", {} newer", format_count(counts.destination_newer));
  if (counts.destination_unknown > 0) {
    text += fmt::format(", of {} only the size (their ETags tell nothing: --read-data)",
                        format_count(counts.destination_unknown));
  }
  return text;
}

/// Lines about what was not looked at, which nobody should take for sound.
std::vector<std::string> unseen_lines(const check::Counts& counts) {
  std::vector<std::string> lines;
  if (counts.not_readable > 0) {
    lines.push_back(fmt::format("not readable now: {} in an archive class (GLACIER, DEEP_ARCHIVE)",
                                format_count(counts.not_readable)));
  }
  if (counts.without_places > 0) {
    lines.push_back(fmt::format("not opened: {} without random access; --read-data reads them as a whole",
                                format_count(counts.without_places)));
  }
  if (counts.left_out > 0) {
    lines.push_back(
        fmt::format("left out: {} of archives and catalog files older than --since", format_count(counts.left_out)));
  }
  if (counts.unknown_files > 0) {
    lines.push_back(
        fmt::format("passed over: {} neither archive nor catalog file", format_count(counts.unknown_files, "object")));
  }
  return lines;
}

Json summary_json(const check::Counts& counts, bool dryrun) {
  return {{"type", "summary"},
          {"archives", counts.archives},
          {"copies", counts.copies},
          {"archive_bytes", counts.archive_bytes},
          {"catalog_files", counts.catalog_files},
          {"rows", counts.rows},
          {"opened", counts.opened},
          {"without_random_access", counts.without_places},
          {"not_readable", counts.not_readable},
          {"unknown_files", counts.unknown_files},
          {"left_out", counts.left_out},
          {"objects_read", counts.objects_read},
          {"bytes_read", counts.bytes_read},
          {"not_verifiable", counts.not_verifiable},
          {"catalog_files_written", dryrun ? 0 : counts.files_written},
          {"destination_objects", counts.destination_objects},
          {"destination_newer", counts.destination_newer},
          {"destination_read", counts.destination_read},
          {"destination_unknown", counts.destination_unknown},
          {"damage", counts.damage},
          {"unexamined", counts.unexamined},
          {"notices", counts.notices},
          {"repaired", counts.repaired},
          {"dryrun", dryrun}};
}

}  // namespace

void CheckPrinter::add(const check::Finding& finding) {
  if (!finding.hint.empty()) hints_.try_emplace(std::string(check::to_string(finding.type)), finding.hint);
  if (context_.json()) return emit_json(context_, json_of(finding));
  const std::string objects = objects_text(finding.objects);
  rows_.push_back({finding.where,
                   objects,
                   {std::string(check::to_string(finding.type)), objects, escape_name(finding.where),
                    escape_for_terminal(what_text(finding))}});
  if (rows_.size() == most_rows) print_table();
}

void CheckPrinter::print_table() {
  if (rows_.empty()) return;
  // Archives are examined side by side: what is printed does not depend on who was first.
  std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return std::tie(a.where, a.cells.front(), a.object) < std::tie(b.where, b.cells.front(), b.object);
  });
  Table table({{"FINDING"}, {"OBJECTS"}, {"WHERE"}, {"WHAT"}});
  for (Row& row : rows_) table.add(std::move(row.cells));
  rows_.clear();
  context_.print(table.text());
}

void CheckPrinter::print_hints() {
  if (context_.json()) return;
  for (const auto& [type, hint] : hints_) context_.print(fmt::format("hint: {}: {}", type, escape_for_terminal(hint)));
}

void print_check_summary(Context& context, const check::Counts& counts, bool read_data, bool destinations) {
  const bool dryrun = context.options().dryrun;
  emit_json(context, summary_json(counts, dryrun));
  if (context.json()) return;
  context.print(fmt::format("{} ({}, {}), {} ({})", format_count(counts.archives, "archive"),
                            counts.copies == 1 ? "1 copy" : format_count(counts.copies) + " copies",
                            format_bytes(counts.archive_bytes), format_count(counts.catalog_files, "catalog file"),
                            format_count(counts.rows, "row")));
  if (read_data) context.print(read_text(counts));
  if (destinations) context.print(destinations_text(counts));
  for (const std::string& line : unseen_lines(counts)) context.print(line);
  if (counts.files_written > 0) {
    const std::string files = format_count(counts.files_written, "catalog file");
    context.print(dryrun ? fmt::format("(dryrun) {} would be rebuilt", files) : files + " rebuilt");
  }
  if (counts.damage + counts.unexamined == 0) {
    context.print(counts.repaired == 0 ? "all is there, and sound" : "what was found is repaired");
    return;
  }
  context.print(fmt::format("{} of damage or loss, {} could not be examined", format_count(counts.damage, "finding"),
                            format_count(counts.unexamined)));
}

}  // namespace bale::cli
