#include "records/decimal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace bale::records {
namespace {

constexpr std::size_t most_digits = 38;
constexpr int least_exponent = -129;  // 1E-130 is 0.1 * 10^-129
constexpr int most_exponent = 126;    // 9.9E+125 is 0.99 * 10^126

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("ValidationException"); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads an exponent, "E+12"; exponents beyond any limit are cut, not overflowed.
bool take_exponent(std::string_view& text, int& exponent) {
  if (text.empty() || (text[0] != 'e' && text[0] != 'E')) return true;
  text.remove_prefix(1);
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  if (text.empty()) return false;
  int value = 0;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1))
    value = std::min(value * 10 + (text[0] - '0'), 9999);
  exponent += negative ? -value : value;
  return true;
}

/// Digits written without exponent, with zeros on either side where needed.
std::string plain(const std::string& digits, int exponent) {
  const int size = static_cast<int>(digits.size());
  if (exponent <= 0) return "0." + std::string(static_cast<std::size_t>(-exponent), '0') + digits;
  if (exponent >= size) return digits + std::string(static_cast<std::size_t>(exponent - size), '0');
  return digits.substr(0, static_cast<std::size_t>(exponent)) + "." + digits.substr(static_cast<std::size_t>(exponent));
}

/// a + b of two strings of digits of one length; a carry makes the result longer.
std::string add_digits(const std::string& a, const std::string& b) {
  std::string sum(a.size(), '0');
  int carry = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    const int digit = (a[i] - '0') + (b[i] - '0') + carry;
    sum[i] = static_cast<char>('0' + digit % 10);
    carry = digit / 10;
  }
  return carry == 0 ? "0" + sum : "1" + sum;
}

/// a - b of two strings of digits of one length, a >= b.
std::string subtract_digits(const std::string& a, const std::string& b) {
  std::string difference(a.size(), '0');
  int borrow = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    int digit = (a[i] - '0') - (b[i] - '0') - borrow;
    borrow = digit < 0 ? 1 : 0;
    if (borrow != 0) digit += 10;
    difference[i] = static_cast<char>('0' + digit);
  }
  return "0" + difference;
}

}  // namespace

Decimal Decimal::make(bool negative, std::string digits, int exponent) {
  const auto first = digits.find_first_not_of('0');
  if (first == std::string::npos) return {};
  exponent -= static_cast<int>(first);
  digits = digits.substr(first, digits.find_last_not_of('0') + 1 - first);
  if (digits.size() > most_digits)
    throw refuse(fmt::format("a number has {} significant digits; DynamoDB keeps 38", digits.size()));
  if (exponent > most_exponent) throw refuse("a number is larger than 9.9E+125");
  if (exponent < least_exponent) throw refuse("a number is smaller than 1E-130");
  Decimal value;
  value.negative_ = negative;
  value.digits_ = std::move(digits);
  value.exponent_ = exponent;
  return value;
}

Decimal Decimal::parse(std::string_view whole) {
  std::string_view text = whole;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  std::string digits;
  int exponent = 0;
  bool point = false;
  for (; !text.empty() && (is_digit(text[0]) || (text[0] == '.' && !point)); text.remove_prefix(1)) {
    if (text[0] == '.') {
      point = true;
      continue;
    }
    digits += text[0];
    if (!point) ++exponent;
  }
  if (digits.empty() || !take_exponent(text, exponent) || !text.empty())
    throw refuse(fmt::format("'{}' is not a number", whole.substr(0, 80)));
  return make(negative, std::move(digits), exponent);
}

Decimal operator+(const Decimal& a, const Decimal& b) {
  if (a.digits_.empty()) return b;
  if (b.digits_.empty()) return a;
  // Both as whole numbers of one length: at most 255 digits apart, so this stays small.
  const int top = std::max(a.exponent_, b.exponent_);
  const int bottom =
      std::min(a.exponent_ - static_cast<int>(a.digits_.size()), b.exponent_ - static_cast<int>(b.digits_.size()));
  const auto aligned = [&](const Decimal& value) {
    std::string digits(static_cast<std::size_t>(top - value.exponent_), '0');
    digits += value.digits_;
    digits.resize(static_cast<std::size_t>(top - bottom), '0');
    return digits;
  };
  const std::string x = aligned(a), y = aligned(b);
  if (a.negative_ == b.negative_) return Decimal::make(a.negative_, add_digits(x, y), top + 1);
  return x >= y ? Decimal::make(a.negative_, subtract_digits(x, y), top + 1)
                : Decimal::make(b.negative_, subtract_digits(y, x), top + 1);
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  return a.sort_key().compare(b.sort_key()) <=> 0;
}

std::string Decimal::to_string() const {
  if (digits_.empty()) return "0";
  const int zeros = std::max(exponent_ - static_cast<int>(digits_.size()), -exponent_);
  std::string text;
  if (zeros <= static_cast<int>(most_digits)) {
    text = plain(digits_, exponent_);
  } else {
    text = digits_.substr(0, 1);
    if (digits_.size() > 1) text += "." + digits_.substr(1);
    text += fmt::format("E{:+}", exponent_ - 1);
  }
  return negative_ ? "-" + text : text;
}

std::string Decimal::magnitude_key() const {
  std::string key(1, static_cast<char>(exponent_ - least_exponent));  // 0..255
  return key + digits_;  // no trailing zeros: the shorter of two with one beginning is the smaller
}

std::string Decimal::sort_key() const {
  if (digits_.empty()) return "\x01";
  if (!negative_) return "\x02" + magnitude_key();
  std::string key(1, '\0');
  for (const char c : magnitude_key()) key += static_cast<char>(~c);
  return key + '\xff';  // above every complemented digit: the shorter of two is the greater here
}

}  // namespace bale::records
