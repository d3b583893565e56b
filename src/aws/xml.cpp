#include "aws/xml.hpp"

#include <fmt/format.h>

#include <charconv>

#include "aws/answer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {

void parse_xml(pugi::xml_document& document, std::string_view text, std::string_view root, const std::string& where) {
  if (text.size() > most_xml_bytes)
    throw Error(ErrorKind::corrupt, "the answer is longer than " + format_bytes(most_xml_bytes), where);
  // A value may be nothing but spaces.
  constexpr unsigned options = pugi::parse_default | pugi::parse_ws_pcdata_single;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size(), options, pugi::encoding_utf8);
  if (!result)
    throw not_from_service(fmt::format("the answer is not XML: {} at byte {}", result.description(), result.offset),
                           where);
  const std::string_view name = document.document_element().name();
  if (!root.empty() && name != root)
    throw not_from_service(fmt::format("the answer is a {}, not a {}", escape_for_terminal(name), root), where);
}

std::uint64_t child_number(const pugi::xml_node& node, const char* name, const std::string& where) {
  const std::string_view text = node.child(name).text().get();
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::corrupt, fmt::format("{} of the answer is no number", name), where);
  return number;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#13;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          throw Error(ErrorKind::invalid, "XML cannot carry a control character", escape_for_terminal(text));
        out += c;
    }
  }
  return out;
}

}  // namespace bale::aws
