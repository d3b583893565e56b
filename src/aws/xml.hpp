// XML answers, with their size bounded. Private to aws/: the only place that sees pugixml.
#pragma once

#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace bale::aws {

/// The longest XML answer that is read: a page of 1,000 versions with keys of 1 KiB has less than half of it.
inline constexpr ByteCount most_xml_bytes = 16 << 20;

/// Parses an answer; its root has the name `root`, or any where that is empty. Entities of a DTD are not expanded.
/// Throws Error{unavailable} naming `where` for what is not XML or has another root (not_from_service()), and
/// Error{corrupt} for an answer that is too long.
void parse_xml(pugi::xml_document& document, std::string_view text, std::string_view root, const std::string& where);

/// Text of a child; empty when there is none.
inline std::string child_text(const pugi::xml_node& node, const char* name) { return node.child(name).text().get(); }

/// A whole number that the text of a child is. Throws Error{corrupt} naming `where` when it is missing or none.
std::uint64_t child_number(const pugi::xml_node& node, const char* name, const std::string& where);

/// `text` with & < > " and what XML 1.0 would change on the way (CR, LF, tab) as references. Throws Error{invalid} for
/// a character that XML 1.0 cannot carry.
std::string escape_xml(std::string_view text);

}  // namespace bale::aws
