#include "catalog/athena_ddl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::catalog {
namespace {

struct AthenaColumn {
  std::string_view name, type;
};

/// In the order of docs/format/catalog.md. backup_timestamp has a fraction in catalogs of the replaced program, and a
/// bigint that has one is no bigint. creation_time has the one spelling that Athena reads as a timestamp.
/// https://docs.aws.amazon.com/athena/latest/ug/data-types.html
constexpr auto columns = std::to_array<AthenaColumn>({{"backup_file", "string"},
                                                      {"backup_timestamp", "double"},
                                                      {"backup_date", "string"},
                                                      {"source_bucket", "string"},
                                                      {"source_prefix", "string"},
                                                      {"object_name", "string"},
                                                      {"object_path", "string"},
                                                      {"object_size", "bigint"},
                                                      {"creation_time", "timestamp"},
                                                      {"creation_date", "string"},
                                                      {"target_buckets", "array<string>"},
                                                      {"source_region", "string"},
                                                      {"archive_bucket", "string"},
                                                      {"archive_key", "string"},
                                                      {"archive_etag", "string"},
                                                      {"event", "string"},
                                                      {"version_id", "string"},
                                                      {"sequencer", "string"},
                                                      {"etag", "string"},
                                                      {"sha256", "string"},
                                                      {"storage_class", "string"},
                                                      {"last_modified", "bigint"},
                                                      {"current_since", "bigint"},
                                                      {"headers", "map<string,string>"},
                                                      {"metadata", "map<string,string>"},
                                                      {"tags", "map<string,string>"},
                                                      {"frame_offset", "bigint"},
                                                      {"frame_length", "bigint"},
                                                      {"frame_skip", "bigint"},
                                                      {"row", "bigint"},
                                                      {"rows", "bigint"},
                                                      {"row_xxh64", "string"}});

/// https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
constexpr std::size_t most_name_bytes = 255;
constexpr std::size_t hash_digits = 8;

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string fold(std::string_view text) {
  std::string folded;
  for (const char c : to_lower(text)) {
    if (is_plain(c))
      folded += c;
    else if (!folded.empty() && folded.back() != '_')
      folded += '_';
  }
  while (folded.ends_with('_')) folded.pop_back();
  return folded;
}

/// `folded` with `digits` digits of the path's hash behind it, within the length that Glue has.
std::string with_hash(std::string folded, const AthenaSource& source, std::size_t digits) {
  const std::string hash = to_hex_digest(Sha256::of(as_bytes(athena_directory(source)))).substr(0, digits);
  folded.resize(std::min(folded.size(), most_name_bytes - 1 - digits));
  return folded + "_" + hash;
}

std::size_t count_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::count(names.begin(), names.end(), name));
}

/// A name in DDL, which is Hive's: in backticks.
std::string quote_name(std::string_view name) {
  std::string quoted = "`";
  for (const char c : name) {
    quoted += c;
    if (c == '`') quoted += '`';
  }
  return quoted + '`';
}

/// A name in a query, which is Trino's: in double quotes.
std::string quote_view_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += '"';
  }
  return quoted + '"';
}

/// Text in DDL: Hive's lexer takes a backslash, and would join two literals where SQL has one with a quote in it.
std::string quote_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '\'';
}

/// https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
void check_prefix(const AthenaSource& source) {
  const std::string path = athena_directory(source);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  const bool is_usable = path.find("//") == std::string::npos && path.find("${") == std::string::npos &&
                         std::none_of(path.begin(), path.end(), is_control) && is_utf8(path);
  if (is_usable) return;
  throw Error(ErrorKind::unsupported, "Athena has no table of a prefix with '//', '${' or control characters",
              escape_name(path), "`bale catalog search` and `bale catalog sql` read such a catalog without Athena");
}

std::string properties(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string text;
  for (const auto& [name, value] : all) {
    if (!text.empty()) text += ",\n";
    text += fmt::format("  {} = {}", quote_text(name), quote_text(value));
  }
  return text;
}

}  // namespace

std::string athena_database_name(std::string_view stack) { return to_lower(stack) + "_catalog_db"; }

std::vector<std::string> athena_table_names(const std::vector<AthenaSource>& sources) {
  std::vector<std::string> folded;
  for (const AthenaSource& source : sources) folded.push_back(fold(athena_directory(source)));
  std::vector<std::string> names = folded;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = folded[i];
    if (name.size() > most_name_bytes || name.empty() || name == athena_view_name || count_of(folded, name) > 1)
      names[i] = with_hash(name, sources[i], hash_digits);
  }
  constexpr std::size_t all_digits = 64;
  const std::vector<std::string> first = names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (count_of(first, first[i]) > 1) names[i] = with_hash(folded[i], sources[i], all_digits);
  }
  return names;
}

std::string athena_directory(const AthenaSource& source) {
  std::string directory = source.leading.empty() ? "" : source.leading.str() + "/";
  directory += source.bucket.str();
  if (!source.prefix.empty()) directory += "/" + source.prefix;
  return directory;
}

std::string athena_location(const BucketName& catalog, const AthenaSource& source) {
  return fmt::format("s3://{}/{}/", catalog.str(), athena_directory(source));
}

std::string create_database_statement(std::string_view database) {
  return fmt::format("CREATE DATABASE IF NOT EXISTS {}", quote_name(database));
}

std::string create_table_statement(std::string_view database, std::string_view table, const BucketName& catalog,
                                   const AthenaSource& source, YearRange years) {
  check_prefix(source);
  const std::string location = athena_location(catalog, source);
  std::string list;
  for (const AthenaColumn& column : columns) {
    if (!list.empty()) list += ",\n";
    list += fmt::format("  {} {}", quote_name(column.name), column.type);
  }
  // Names of tags and metadata differ by case: folded, two of them would be one key, and the row no JSON.
  const std::string reading = properties({{"ignore.malformed.json", "true"}, {"case.insensitive", "false"}});
  const std::string projection =
      properties({{"projection.enabled", "true"},
                  {"projection.year.type", "integer"},
                  {"projection.year.range", fmt::format("{},{}", years.first, years.last)},
                  {"projection.year.digits", "4"},
                  {"projection.month.type", "integer"},
                  {"projection.month.range", "1,12"},
                  {"projection.month.digits", "2"},
                  {"projection.day.type", "integer"},
                  {"projection.day.range", "1,31"},
                  {"projection.day.digits", "2"},
                  {"storage.location.template", location + "year=${year}/month=${month}/day=${day}/"}});
  return fmt::format(
      "CREATE EXTERNAL TABLE IF NOT EXISTS {}.{} (\n{}\n)\n"
      "PARTITIONED BY (`year` string, `month` string, `day` string)\n"
      "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n"
      "WITH SERDEPROPERTIES (\n{}\n)\n"
      "LOCATION {}\n"
      "TBLPROPERTIES (\n{}\n)",
      quote_name(database), quote_name(table), list, reading, quote_text(location), projection);
}

std::string create_view_statement(std::string_view database, const std::vector<std::string>& tables) {
  std::string rows;
  for (const std::string& table : tables) {
    if (!rows.empty()) rows += "\nUNION ALL\n";
    rows += fmt::format("SELECT * FROM {}.{}", quote_view_name(database), quote_view_name(table));
  }
  return fmt::format("CREATE OR REPLACE VIEW {}.{} AS\n{}", quote_view_name(database),
                     quote_view_name(athena_view_name), rows);
}

}  // namespace bale::catalog
