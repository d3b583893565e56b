#include "jobs/raw/bucket_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::raw {
namespace {

constexpr std::size_t least_length = 3, most_length = 63;
constexpr std::string_view reserved_beginnings[] = {"xn--", "sthree-", "amzn-s3-demo-"};
constexpr std::string_view reserved_endings[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_allowed(char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; }

/// Four numbers with dots between them, as S3 sees an address; whether they are below 256 makes no difference to it.
bool looks_like_ipv4(std::string_view name) {
  const auto parts = split(name, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.size() <= 3 &&
                  std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
         });
}

}  // namespace

std::string normalize_for_bucket(std::string_view identifier) {
  std::string name;
  bool is_inside = false;  // of a character of several bytes
  for (const char c : to_lower(identifier)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = is_inside && (byte & 0xC0) == 0x80;
    is_inside = continues || (byte >= 0xC0 && byte < 0xF8);
    if (!continues) name += is_letter_or_digit(c) ? c : '-';
  }
  return name;
}

std::vector<std::string> bucket_name_findings(std::string_view name) {
  std::vector<std::string> findings;
  if (name.size() < least_length || name.size() > most_length)
    findings.push_back(
        fmt::format("it has {} characters; {} to {} are allowed", name.size(), least_length, most_length));
  const auto foreign = std::find_if_not(name.begin(), name.end(), is_allowed);
  if (foreign != name.end())
    findings.push_back(fmt::format("it has a character at position {} that is not one of a-z, 0-9, '.' and '-'",
                                   foreign - name.begin() + 1));
  if (name.empty()) return findings;
  if (is_allowed(name.front()) && !is_letter_or_digit(name.front()))
    findings.push_back("it does not begin with a letter or digit");
  if (is_allowed(name.back()) && !is_letter_or_digit(name.back()))
    findings.push_back("it does not end with a letter or digit");
  if (name.find("..") != std::string_view::npos) findings.push_back("it has two dots in a row");
  if (looks_like_ipv4(name)) findings.push_back("it has the form of an IPv4 address");
  for (const std::string_view beginning : reserved_beginnings)
    if (name.starts_with(beginning)) findings.push_back(fmt::format("it begins with the reserved \"{}\"", beginning));
  for (const std::string_view ending : reserved_endings)
    if (name.ends_with(ending)) findings.push_back(fmt::format("it ends with the reserved \"{}\"", ending));
  return findings;
}

BucketName project_bucket(std::string_view prefix, std::string_view project, std::string_view fallback_project) {
  const std::string_view named = project.empty() ? fallback_project : project;
  const std::string name = fmt::format("{}-{}", to_lower(prefix), normalize_for_bucket(named));
  const auto findings = bucket_name_findings(name);
  if (findings.empty()) return BucketName(name);
  throw Error(
      ErrorKind::invalid,
      fmt::format("\"{}\" cannot be the name of a bucket: {}", escape_for_terminal(name), fmt::join(findings, "; ")),
      escape_for_terminal(fmt::format("bucket_prefix \"{}\", project \"{}\"", prefix, named)),
      "Choose another bucket_prefix or project.");
}

bool has_project(std::string_view project, std::string_view fallback_project) noexcept {
  return !project.empty() && project != fallback_project;
}

}  // namespace bale::raw
