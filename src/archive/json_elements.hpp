// JSON that others wrote, read element by element in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

/// Gives the next piece of a text; empty at its end. A piece is valid until the next call.
using NextText = std::function<std::string_view()>;

/// How deep lists and objects may nest. Manifests and catalog files nest four deep.
inline constexpr std::size_t most_json_depth = 32;
/// Bytes of text up to the end of the next string or number: the parser keeps them. The longest string that a store has
/// is a key of 1 KiB or user metadata of 2 KiB, of which JSON makes six times as much at most.
inline constexpr ByteCount most_json_token_bytes = 1 << 20;
/// Memory of one element: of an object of a manifest, or of a row of a catalog file. Metadata and tags of S3 take less
/// than 300 KiB even where each name has one letter.
inline constexpr ByteCount most_json_element_bytes = 4 << 20;

/// Puts one JSON value together out of the events of a parser. Of the members of an object that is the value itself,
/// those that are not known are dropped as they come.
class JsonElement {
 public:
  /// Whether a member is kept, by its name without "_base64" at its end.
  using IsKnown = bool (*)(std::string_view name);
  explicit JsonElement(IsKnown is_known) : is_known_(is_known) {}

  // One event each. They throw Error{corrupt} where the value would take more than most_json_element_bytes. True is
  // returned when the value is complete.
  void key(std::string& name);
  bool scalar(nlohmann::json value);
  bool start(nlohmann::json empty);
  bool end();

  /// The complete value; the next event begins another one.
  nlohmann::json take();

 private:
  nlohmann::json* add(nlohmann::json value);
  void count(ByteCount bytes);
  const IsKnown is_known_;
  nlohmann::json root_;
  nlohmann::json* slot_ = nullptr;  ///< of the member whose value comes next
  std::vector<nlohmann::json*> open_;
  std::size_t dropped_depth_ = 0;  ///< of what is being dropped
  bool drops_next_ = false;
  ByteCount bytes_ = 0;
};

/// What read_json_lists() finds. Called in the order of the text.
class JsonListVisitor {
 public:
  virtual ~JsonListVisitor() = default;
  /// Whether the elements of the member `name` of the outermost object come one by one, where it is a list.
  virtual bool is_list(std::string_view name) const = 0;
  /// Element `index` of the list `name`.
  virtual void element(std::string_view name, std::size_t index, const nlohmann::json& value) = 0;
};

/// Reads a JSON object whose members are lists of many elements, and others. Gives each element of a list to `visitor`
/// when it is complete, and returns the outermost value, with those of its other members that are known; the lists in
/// it are empty. Holds one element at a time, and drops members that are not known. `next` is called until it gives
/// nothing. Throws Error{corrupt}, with `where` as its place, for what is not JSON, for a list that comes twice, and
/// where a bound of this header is exceeded; and what `next` and `visitor` throw.
nlohmann::json read_json_lists(const NextText& next, JsonListVisitor& visitor, JsonElement::IsKnown is_known,
                               const std::string& where);

/// Reads one JSON value, and drops members of it that are not known. Throws as read_json_lists().
nlohmann::json read_json_element(std::string_view text, JsonElement::IsKnown is_known);

}  // namespace bale::archive
