#include "embedded/object_path.hpp"

#include <fmt/format.h>

#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::embedded {
namespace {

/// A component may have 255 bytes (NAME_MAX); this leaves room for "%+", or for '@' and the file id.
constexpr std::size_t most_component_bytes = 200;
constexpr std::string_view empty_piece = "%";
constexpr std::string_view continues = "%+";

bool is_plain(unsigned char c) { return c >= 0x20 && c != 0x7f && c != '%' && c != '@'; }

/// The bytes of one UTF-8 character, or one byte that belongs to none.
std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    if (is_utf8(text.substr(0, length))) return length;
  }
  return 1;
}

/// One character of a key as it is written in a name; never cut in two.
std::string escape_character(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  if (is_plain(first) && (first < 0x80 || character.size() > 1)) return std::string(character);
  return fmt::format("%{:02X}", first);
}

/// Appends the components of one piece of a key, the last one unfinished: the file id may follow.
void escape_piece(std::string_view piece, std::vector<std::string>& components) {
  if (piece.empty()) {
    components.emplace_back(empty_piece);
    return;
  }
  std::string component;
  while (!piece.empty()) {
    const std::size_t length = character_length(piece);
    const std::string escaped = escape_character(piece.substr(0, length));
    if (component.size() + escaped.size() > most_component_bytes) {
      components.push_back(component.append(continues));
      component.clear();
    }
    component += escaped;
    piece.remove_prefix(length);
  }
  // Whole pieces, and what is left of long ones: as names these would be this directory and the one above.
  if (component == "." || component == "..") component.replace(0, 1, "%2E");
  components.push_back(std::move(component));
}

}  // namespace

std::filesystem::path object_path(const ObjectKey& key, const FileId& file) {
  std::vector<std::string> components;
  for (const std::string_view piece : split(key.str(), '/')) escape_piece(piece, components);
  std::string path;
  for (const std::string& component : components) {
    if (!path.empty()) path += '/';
    path += component;
  }
  return path + "@" + file.str();
}

std::optional<LocatedFile> parse_object_path(const std::filesystem::path& path) {
  std::string_view text = path.native();
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || text.size() - at - 1 != file_id_length) return std::nullopt;
  const FileId file(text.substr(at + 1));
  std::string key;
  bool continued = true;  // no '/' before the first piece
  for (std::string_view component : split(text.substr(0, at), '/')) {
    if (!continued) key += '/';
    continued = component.ends_with(continues);
    if (continued) component.remove_suffix(continues.size());
    if (component != empty_piece) key += percent_decode(component);
  }
  LocatedFile located{ObjectKey(key), file};
  if (object_path(located.key, file) != path) return std::nullopt;  // spelt by somebody else
  return located;
}

}  // namespace bale::embedded
