#include "store/key_scale.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/text.hpp"

namespace bale::store {
namespace {

/// Products of radices left of the first column that differs, and altogether: keys of some pages ahead carry into the
/// columns on the left, and the rest of 64 bits goes to precision.
constexpr std::uint64_t most_left = 1ULL << 26, most_values = 1ULL << 60;

/// Takes the first character off UTF-8 that is_utf8() has found well-formed, and is not empty.
char32_t take_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t k = 1; k < length; ++k) point = point << 6 | (static_cast<unsigned char>(text[k]) & 0x3Fu);
  text.remove_prefix(length);
  return point;
}

std::u32string decode(std::string_view text) {
  std::u32string out;
  while (!text.empty()) out += take_character(text);
  return out;
}

void encode(std::string& out, char32_t point) {
  const auto add = [&](char32_t byte) { out += static_cast<char>(byte); };
  const auto rest = [&](int shift) { add(0x80 | (point >> shift & 0x3F)); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | point >> 6);
    rest(0);
  } else if (point < 0x10000) {
    add(0xE0 | point >> 12);
    rest(6);
    rest(0);
  } else {
    add(0xF0 | point >> 18);
    rest(12);
    rest(6);
    rest(0);
  }
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
/// Whether a character counts: others ('-', '/', '.') divide a key into parts.
bool counts(char32_t c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80; }

void sort_unique(std::u32string& text) {
  std::sort(text.begin(), text.end());
  text.erase(std::unique(text.begin(), text.end()), text.end());
}

std::u32string united(const std::u32string& one, const std::u32string& other) {
  std::u32string both = one + other;
  sort_unique(both);
  return both;
}

/// Columns behind the common part that are looked at: 64 bits never hold more digits.
constexpr std::size_t most_columns = 64;

/// The characters of one column.
class Characters {
 public:
  void add(char32_t c) {
    constexpr char32_t bits = 64, ascii = 128;
    if (c < ascii)
      ascii_[c / bits] |= 1ULL << (c % bits);
    else if (others_.find(c) == std::u32string::npos)
      others_ += c;
  }
  /// In ascending order.
  std::u32string sorted() const {
    std::u32string all;
    for (char32_t c = 0; c < 128; ++c) {
      if ((ascii_[c / 64] >> (c % 64) & 1) != 0) all += c;
    }
    std::u32string others = others_;
    std::sort(others.begin(), others.end());
    return all + others;
  }

 private:
  std::uint64_t ascii_[2] = {};
  std::u32string others_;
};

/// The keys behind what all of them have in common.
struct Rests {
  std::u32string common;                  ///< decoded
  std::vector<std::u32string> of_column;  ///< the characters of each column, ascending
  std::u32string counting;                ///< all characters in the columns that count
};

/// Adds the characters of a key, from the byte `begin` on, to its columns. Returns false where it is not UTF-8.
bool add_columns(std::string_view key, std::size_t begin, std::vector<Characters>& columns) {
  if (key.size() < begin || !is_utf8(key)) return false;
  std::size_t column = 0;
  for (std::string_view rest = key.substr(begin); !rest.empty() && column < most_columns; ++column) {
    if (column == columns.size()) columns.emplace_back();
    columns[column].add(take_character(rest));
  }
  return true;
}

/// Reads the columns of keys in ascending order.
std::optional<Rests> read_rests(std::span<const std::string> before, std::span<const ListedObject> page) {
  const std::string& first = before.empty() ? page.front().key.str() : before.front();
  const std::string& last = page.back().key.str();
  if (!is_utf8(first) || !is_utf8(last)) return std::nullopt;
  auto common = static_cast<std::size_t>(std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first -
                                         first.begin());
  // Back to the begin of a character.
  while (common > 0 && common < last.size() && (static_cast<unsigned char>(last[common]) & 0xC0) == 0x80) --common;
  std::vector<Characters> columns;
  for (const std::string& key : before) {
    if (!add_columns(key, common, columns)) return std::nullopt;
  }
  for (const ListedObject& object : page) {
    if (!add_columns(object.key.str(), common, columns)) return std::nullopt;
  }
  if (columns.empty()) return std::nullopt;
  Rests rests{decode(std::string_view(first).substr(0, common)), {}, {}};
  for (const Characters& characters : columns) {
    const std::u32string& digits = rests.of_column.emplace_back(characters.sorted());
    if (digits.size() < 2) continue;
    for (const char32_t c : digits) {
      if (counts(c)) rests.counting += c;
    }
  }
  sort_unique(rests.counting);
  return rests;
}

/// Returns the digits of a column that is the same in all keys: it changes when those on its right overflow.
std::u32string digits_of_constant(char32_t c, const std::u32string& counting) {
  if (!counts(c)) return {c};
  if (counting.find(c) != std::u32string::npos) return counting;
  return is_digit(c) ? std::u32string(U"0123456789") : std::u32string{c};
}

}  // namespace

std::optional<KeyScale> KeyScale::of(std::span<const ListedObject> page, std::span<const std::string> before) {
  if (page.size() < 2) return std::nullopt;
  std::optional<Rests> rests = read_rests(before, page);
  if (!rests) return std::nullopt;
  KeyScale scale;
  std::size_t begin = rests->common.size();
  std::uint64_t product = 1;
  while (begin > 0) {
    std::u32string digits = digits_of_constant(rests->common[begin - 1], rests->counting);
    if (product * digits.size() > most_left) break;
    product *= digits.size();
    scale.columns_.push_back({std::move(digits), 1});
    --begin;
  }
  std::reverse(scale.columns_.begin(), scale.columns_.end());
  for (std::size_t i = 0; i < begin; ++i) encode(scale.prefix_, rests->common[i]);
  constexpr std::size_t incomplete = 2;  // leading columns, in which a page shows only some of the digits
  for (std::size_t i = 0; i < rests->of_column.size(); ++i) {
    std::u32string& digits = rests->of_column[i];
    const bool is_number = std::all_of(digits.begin(), digits.end(), counts);
    if (i < incomplete && is_number && digits.size() > 1) digits = united(digits, rests->counting);
    if (product > most_values / digits.size()) break;
    product *= digits.size();
    scale.columns_.push_back({std::move(digits), 1});
  }
  scale.end_ = product;
  for (Column& column : scale.columns_) {
    product /= column.digits.size();
    column.weight = product;
  }
  // The second half of the page: what it begins with may be of another kind.
  const auto dense = page.subspan((page.size() - 1) / 2);
  const auto first = scale.value(dense.front().key.str()), last = scale.value(dense.back().key.str());
  if (!first || !last || *last <= *first) return std::nullopt;
  scale.per_key_ = static_cast<double>(*last - *first) / static_cast<double>(dense.size() - 1);
  return scale;
}

std::optional<std::uint64_t> KeyScale::value(std::string_view key) const {
  if (!key.starts_with(prefix_) || !is_utf8(key)) return std::nullopt;
  // Only the columns are read: a key may be long.
  constexpr std::size_t longest_character = 4;
  std::string_view rest = key.substr(prefix_.size());
  if (rest.size() > columns_.size() * longest_character) rest = rest.substr(0, columns_.size() * longest_character);
  while (!rest.empty() && !is_utf8(rest)) rest.remove_suffix(1);
  const std::u32string text = decode(rest);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < columns_.size() && i < text.size(); ++i) {
    const std::u32string& digits = columns_[i].digits;
    const auto found = std::lower_bound(digits.begin(), digits.end(), text[i]);
    const auto digit = static_cast<std::uint64_t>(found - digits.begin());
    sum += std::min<std::uint64_t>(digit, digits.size() - 1) * columns_[i].weight;
    // What is beyond a column's digits is beyond all that the columns on its right can tell.
    if (found == digits.end()) return std::min(sum + columns_[i].weight - 1, end_ - 1);
    if (*found != text[i]) break;
  }
  return sum;
}

std::optional<std::string> KeyScale::ahead(std::string_view from, double count) const {
  const std::optional<std::uint64_t> start = value(from);
  if (!start) return std::nullopt;
  const double step = std::max(1.0, count * per_key_);
  if (step >= static_cast<double>(end_ - *start)) return std::nullopt;
  std::uint64_t left = *start + static_cast<std::uint64_t>(step);
  std::string key = prefix_;
  for (const Column& column : columns_) {
    encode(key, column.digits[static_cast<std::size_t>(left / column.weight)]);
    left %= column.weight;
  }
  if (key <= from) return std::nullopt;
  return key;
}

std::optional<double> KeyScale::count_between(std::string_view from, std::string_view to) const {
  const auto first = value(from), last = value(to);
  if (!first || !last) return std::nullopt;
  return *last <= *first ? 0.0 : static_cast<double>(*last - *first) / per_key_;
}

std::optional<std::string> after_directory(std::string_view first, std::string_view last) {
  const auto common = static_cast<std::size_t>(
      std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first - first.begin());
  const std::size_t slash = last.substr(0, common).rfind('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  constexpr char after_slash = '/' + 1;
  return std::string(last.substr(0, slash)) + after_slash;
}

}  // namespace bale::store
