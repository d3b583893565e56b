#include "http/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::http {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::uint16_t default_port(std::string_view scheme) noexcept { return scheme == "https" ? 443 : 80; }

/// The host and port of "host:port"; brackets round an IPv6 address stay.
Origin parse_authority(std::string scheme, std::string_view authority, const Error& refusal) {
  Origin origin{std::move(scheme), std::string(authority), 0};
  const std::size_t bracket = authority.find(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), origin.port);
    if (failure != std::errc() || end != digits.data() + digits.size() || origin.port == 0) throw refusal;
    origin.host.resize(colon);
  }
  const auto is_bad = [](char c) { return c <= ' ' || c == '@' || c == '\\' || c == 0x7F; };
  if (origin.host.empty() || std::any_of(origin.host.begin(), origin.host.end(), is_bad)) throw refusal;
  if ((bracket != std::string_view::npos) != (origin.host.front() == '[' && origin.host.back() == ']')) throw refusal;
  if (origin.port == default_port(origin.scheme)) origin.port = 0;
  return origin;
}

}  // namespace

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::put: return "PUT";
    case Method::post: return "POST";
    case Method::del: return "DELETE";
  }
  return "GET";
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  add(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Header& field) { return same_name(field.name, name); });
}

const std::string* Headers::find(std::string_view name) const noexcept {
  for (const Header& field : fields_) {
    if (same_name(field.name, name)) return &field.value;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const noexcept {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view{} : std::string_view{*value};
}

std::string Origin::authority() const {
  if (port == 0 || port == default_port(scheme)) return host;
  return host + ":" + std::to_string(port);
}

Url parse_url(std::string_view text) {
  const Error refusal(ErrorKind::invalid, "that is no http or https URL", redact_url(text),
                      "write it as https://host or http://host:port");
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) throw refusal;
  std::string scheme = to_lower(text.substr(0, colon));
  if (scheme != "http" && scheme != "https") throw refusal;
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  Url url{parse_authority(std::move(scheme), rest.substr(0, end), refusal)};
  rest.remove_prefix(end);
  const std::size_t question = rest.find('?');
  if (question != std::string_view::npos) url.query = rest.substr(question + 1);
  if (!rest.substr(0, question).empty()) url.path = rest.substr(0, question);
  return url;
}

std::string url_of(const Request& request) {
  std::string url;
  url.reserve(request.origin.host.size() + request.path.size() + request.query.size() + 20);
  url += request.origin.scheme;
  url += "://";
  url += request.origin.authority();
  url += request.path;
  if (!request.query.empty()) {
    url += '?';
    url += request.query;
  }
  return url;
}

SpanBody::SpanBody(std::vector<ByteView> pieces) : pieces_(std::move(pieces)) {
  for (const ByteView piece : pieces_) size_ += piece.size();
}

ByteView SpanBody::next(std::size_t most) {
  while (piece_ < pieces_.size() && offset_ == pieces_[piece_].size()) {
    ++piece_;
    offset_ = 0;
  }
  if (piece_ == pieces_.size()) return {};
  const ByteView rest = pieces_[piece_].subspan(offset_);
  const ByteView bytes = rest.first(std::min(rest.size(), most));
  offset_ += bytes.size();
  return bytes;
}

void SpanBody::rewind() { piece_ = offset_ = 0; }

}  // namespace bale::http
