// DynamoDB's numbers: exact decimals of up to 38 digits. Pure.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace bale::records {

/// A decimal number, kept as sign, digits and exponent, and always in its shortest form. Immutable.
/// Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
class Decimal {
 public:
  Decimal() = default;  ///< 0
  /// Reads "12", "-0.5", "1.5E-3". Throws Error{invalid} ValidationException for anything else, for more than 38
  /// significant digits, and for magnitudes outside of 1E-130 .. 9.9..E+125.
  static Decimal parse(std::string_view text);
  /// The exact sum. Throws as parse does when it needs more than 38 digits or is too large.
  friend Decimal operator+(const Decimal& a, const Decimal& b);
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);
  friend bool operator==(const Decimal& a, const Decimal& b) = default;
  /// Without exponent where that takes no more than 38 zeros; "1E+100" else.
  std::string to_string() const;
  /// Bytes that compare as the numbers do; 1 to 41 of them.
  std::string sort_key() const;

 private:
  static Decimal make(bool negative, std::string digits, int exponent);
  std::string magnitude_key() const;
  bool negative_ = false;
  std::string digits_;  ///< '0'-'9', neither first nor last is '0'; empty for 0
  int exponent_ = 0;    ///< the value is 0.digits * 10^exponent
};

}  // namespace bale::records
