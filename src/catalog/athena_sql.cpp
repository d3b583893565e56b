#include "catalog/athena_sql.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/text.hpp"
#include "catalog/athena_ddl.hpp"

namespace bale::catalog {
namespace {

/// Statements that change nothing. One that changes something and has a query in it does not begin with the query.
constexpr auto reading =
    std::to_array<std::string_view>({"desc", "describe", "explain", "select", "show", "table", "values", "with"});

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

enum class TokenKind { blank, word, other };
struct Token {
  TokenKind kind;
  std::string_view text;
};

/// Length of what is quoted by the first character; a quote inside is two. The whole rest where it does not end.
std::size_t quoted_length(std::string_view sql) {
  const char quote = sql[0];
  for (std::size_t i = 1; i < sql.size(); ++i) {
    if (sql[i] != quote) continue;
    if (i + 1 == sql.size() || sql[i + 1] != quote) return i + 1;
    ++i;
  }
  return sql.size();
}

std::size_t comment_length(std::string_view sql) {
  const std::string_view end = sql.starts_with("--") ? "\n" : "*/";
  const std::size_t found = sql.find(end, 2);
  return found == std::string_view::npos ? sql.size() : found + end.size();
}

/// The token at the start of `sql`, which is not empty.
Token first_token(std::string_view sql) {
  if (sql.starts_with("--") || sql.starts_with("/*")) return {TokenKind::blank, sql.substr(0, comment_length(sql))};
  if (sql[0] == '\'' || sql[0] == '"' || sql[0] == '`') return {TokenKind::other, sql.substr(0, quoted_length(sql))};
  const auto run_of = [&](auto is) {
    return sql.substr(0, static_cast<std::size_t>(std::find_if_not(sql.begin(), sql.end(), is) - sql.begin()));
  };
  if (is_space(sql[0])) return {TokenKind::blank, run_of(is_space)};
  if (is_word(sql[0])) return {TokenKind::word, run_of(is_word)};
  return {TokenKind::other, sql.substr(0, 1)};
}

void check_verb(std::string_view word) {
  const std::string verb = to_lower(word);
  if (std::find(reading.begin(), reading.end(), verb) != reading.end()) return;
  throw Error(ErrorKind::invalid,
              fmt::format("a query only reads, and '{}' begins something else", escape_for_terminal(verb)), {},
              "write SELECT, WITH, VALUES, TABLE, SHOW, DESCRIBE or EXPLAIN; `bale catalog ddl --create` makes tables");
}

}  // namespace

std::string to_athena_sql(std::string_view sql) {
  std::string statement;
  bool has_verb = false, has_ended = false;
  while (!sql.empty()) {
    const Token token = first_token(sql);
    sql.remove_prefix(token.text.size());
    if (token.text == ";") {
      has_ended = true;
      continue;
    }
    if (has_ended && token.kind != TokenKind::blank)
      throw Error(ErrorKind::invalid, "there is more than one statement", {}, "ask one query at a time");
    if (has_ended) continue;
    if (!has_verb && token.kind != TokenKind::blank && token.text != "(") {
      check_verb(token.text);
      has_verb = true;
    }
    const bool is_place_holder = token.kind == TokenKind::word && to_lower(token.text) == documented_table_name;
    statement += is_place_holder ? athena_view_name : token.text;
  }
  if (!has_verb) throw Error(ErrorKind::invalid, "there is no query", {}, "write a SELECT");
  while (is_space(statement.back())) statement.pop_back();
  return statement;
}

}  // namespace bale::catalog
