#include "archive/json_elements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

using Json = nlohmann::json;

// What a value takes beside its text: its node of a map or its place in a list, and what the allocator adds.
constexpr ByteCount value_bytes = 96;
constexpr std::size_t piece_bytes = 16 << 10;
constexpr std::string_view base64_suffix = "_base64";
constexpr std::size_t most_message_bytes = 300;

Error wrong(std::string what) { return Error(ErrorKind::corrupt, std::move(what)); }

/// The characters of a text for the parser. It counts how many the parser takes between two strings or numbers: the
/// parser keeps them for its messages, brackets, spaces and literals too.
class Characters {
 public:
  explicit Characters(const NextText& next) : next_(next) {}

  bool more() { return at_ != end_ || refill(); }
  char present() const noexcept { return *at_; }
  void advance() noexcept { ++at_; }
  /// The parser ended a string or a number, and keeps nothing of what came before it.
  void token_ended() noexcept { kept_ = 0; }

 private:
  bool refill() {
    if (rest_.empty()) rest_ = next_();
    if (rest_.empty()) return false;
    const std::string_view piece = rest_.substr(0, piece_bytes);
    rest_.remove_prefix(piece.size());
    kept_ += piece.size();
    if (kept_ > most_json_token_bytes) {
      throw wrong(fmt::format("has a string, a number, or a run of brackets or spaces, of more than {}",
                              format_bytes(most_json_token_bytes)));
    }
    at_ = piece.data();
    end_ = piece.data() + piece.size();
    return true;
  }

  const NextText& next_;
  std::string_view rest_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  ByteCount kept_ = 0;
};

/// Characters as a range of the standard library; the end has none.
class CharacterIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;
  CharacterIterator() = default;
  explicit CharacterIterator(Characters& characters) : characters_(&characters) {}
  char operator*() const noexcept { return characters_->present(); }
  CharacterIterator& operator++() noexcept {
    characters_->advance();
    return *this;
  }
  CharacterIterator operator++(int) noexcept {
    const CharacterIterator before = *this;
    characters_->advance();
    return before;
  }
  /// Compared with the end only.
  bool operator!=(const CharacterIterator&) const { return characters_->more(); }
  bool operator==(const CharacterIterator&) const { return !characters_->more(); }

 private:
  Characters* characters_ = nullptr;
};

/// Takes the events of the parser, bounds the depth, and hands them to the derived class.
template <typename Derived>
class Events {
 public:
  explicit Events(Characters& characters) : characters_(characters) {}
  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(Json::number_integer_t value) { return token(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return token(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return token(value); }
  bool string(std::string& value) { return token(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }
  bool key(std::string& name) {
    characters_.token_ended();
    self().on_key(name);
    return true;
  }
  bool start_object(std::size_t) { return start(Json::object()); }
  bool start_array(std::size_t) { return start(Json::array()); }
  bool end_object() { return end(); }
  bool end_array() { return end(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    const std::string_view what = error.what();
    throw wrong(fmt::format("is not valid JSON: {}", escape_for_terminal(what.substr(0, most_message_bytes))));
  }

 protected:
  std::size_t depth() const noexcept { return depth_; }

 private:
  Derived& self() { return static_cast<Derived&>(*this); }
  bool token(Json value) {
    characters_.token_ended();
    return scalar(std::move(value));
  }
  bool scalar(Json value) {
    self().on_scalar(std::move(value));
    return true;
  }
  bool start(Json empty) {
    if (depth_ == most_json_depth) throw wrong(fmt::format("nests deeper than {} levels", most_json_depth));
    self().on_start(std::move(empty));
    ++depth_;
    return true;
  }
  bool end() {
    --depth_;
    self().on_end();
    return true;
  }
  Characters& characters_;
  std::size_t depth_ = 0;
};

/// One value, whole.
class OneElement : public Events<OneElement> {
 public:
  OneElement(Characters& characters, JsonElement::IsKnown is_known) : Events(characters), element_(is_known) {}
  void on_key(std::string& name) { element_.key(name); }
  void on_scalar(Json value) { element_.scalar(std::move(value)); }
  void on_start(Json empty) { element_.start(std::move(empty)); }
  void on_end() { element_.end(); }
  Json take() { return element_.take(); }

 private:
  JsonElement element_;
};

/// An object with lists, whose elements go to a visitor.
class Lists : public Events<Lists> {
 public:
  Lists(Characters& characters, JsonListVisitor& visitor, JsonElement::IsKnown is_known)
      : Events(characters), visitor_(visitor), root_(is_known), element_(is_known) {}

  void on_key(std::string& name) {
    if (depth() > 1 && in_list_) return element_.key(name);
    if (depth() == 1) list_ = visitor_.is_list(name) ? name : std::string();
    root_.key(name);
  }
  void on_scalar(Json value) {
    if (!in_list_)
      root_.scalar(std::move(value));
    else if (element_.scalar(std::move(value)))
      finish_element();
  }
  void on_start(Json empty) {
    if (in_list_) {
      element_.start(std::move(empty));
      return;
    }
    const bool begins_list = depth() == 1 && !list_.empty() && empty.is_array();
    root_.start(std::move(empty));
    if (!begins_list) return;
    if (std::find(seen_.begin(), seen_.end(), list_) != seen_.end()) throw wrong("has " + list_ + " twice");
    seen_.push_back(list_);
    in_list_ = true;
    index_ = 0;
  }
  void on_end() {
    if (in_list_ && depth() > 1) {
      if (element_.end()) finish_element();
      return;
    }
    in_list_ = false;
    root_.end();
  }
  Json take() { return root_.take(); }
  /// What is being read, for messages.
  std::string place() const { return in_list_ ? fmt::format("{}[{}]", list_, index_) : std::string(); }

 private:
  void finish_element() {
    visitor_.element(list_, index_, element_.take());
    ++index_;
  }

  JsonListVisitor& visitor_;
  JsonElement root_, element_;
  std::string list_;  ///< the member of the root that is being read, where it is a list of the visitor
  std::vector<std::string> seen_;
  bool in_list_ = false;
  std::size_t index_ = 0;
};

template <typename Handler>
void parse(Characters& characters, Handler& handler) {
  Json::sax_parse(CharacterIterator(characters), CharacterIterator(), &handler);
}

}  // namespace

// ---- JsonElement

void JsonElement::count(ByteCount bytes) {
  bytes_ += value_bytes + bytes;
  if (bytes_ > most_json_element_bytes)
    throw wrong(fmt::format("takes more than {}", format_bytes(most_json_element_bytes)));
}

void JsonElement::key(std::string& name) {
  if (dropped_depth_ > 0) return;
  if (open_.size() == 1) {
    std::string_view plain = name;
    if (plain.ends_with(base64_suffix)) plain.remove_suffix(base64_suffix.size());
    drops_next_ = !is_known_(plain);
    if (drops_next_) return;
  }
  count(name.size());
  slot_ = &(*open_.back())[std::move(name)];
}

Json* JsonElement::add(Json value) {
  count(value.is_string() ? value.get_ref<const std::string&>().size() : 0);
  if (open_.empty()) {
    root_ = std::move(value);
    return &root_;
  }
  if (open_.back()->is_array()) {
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }
  *slot_ = std::move(value);
  return slot_;
}

bool JsonElement::scalar(Json value) {
  if (dropped_depth_ > 0) return false;
  if (!std::exchange(drops_next_, false)) add(std::move(value));
  return open_.empty();
}

bool JsonElement::start(Json empty) {
  if (dropped_depth_ > 0 || drops_next_) {
    drops_next_ = false;
    ++dropped_depth_;
    return false;
  }
  open_.push_back(add(std::move(empty)));
  return false;
}

bool JsonElement::end() {
  if (dropped_depth_ > 0) {
    --dropped_depth_;
    return false;
  }
  open_.pop_back();
  return open_.empty();
}

Json JsonElement::take() {
  bytes_ = 0;
  return std::exchange(root_, nullptr);
}

// ---- Reading

Json read_json_lists(const NextText& next, JsonListVisitor& visitor, JsonElement::IsKnown is_known,
                     const std::string& where) {
  Characters characters(next);
  Lists lists(characters, visitor, is_known);
  try {
    parse(characters, lists);
  } catch (const Error& error) {
    if (!error.where().empty() || error.kind() != ErrorKind::corrupt) throw;
    const std::string place = lists.place();
    throw error.with_summary((place.empty() ? "the text" : place) + " " + error.summary()).with_where(where);
  }
  while (!next().empty()) {
  }
  return lists.take();
}

Json read_json_element(std::string_view text, JsonElement::IsKnown is_known) {
  const NextText next = [&] { return std::exchange(text, {}); };
  Characters characters(next);
  OneElement element(characters, is_known);
  try {
    parse(characters, element);
  } catch (const Error& error) {
    throw error.with_summary("it " + error.summary());
  }
  return element.take();
}

}  // namespace bale::archive
