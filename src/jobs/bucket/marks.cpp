#include "jobs/bucket/marks.hpp"

#include "base/error.hpp"

namespace bale::bucket {

std::string deleted_at_text(TimePoint time) {
  constexpr std::size_t to_the_minute = 16;  // YYYY-MM-DDTHH:MM
  return to_iso8601(time).substr(0, to_the_minute);
}

bool is_marked(const store::Tags& tags) {
  const auto found = tags.find(deleted_tag);
  return found != tags.end() && (found->second == "True" || found->second == "true");
}

std::optional<TimePoint> deleted_at(const store::Tags& tags) {
  const auto found = tags.find(deleted_at_tag);
  if (!is_marked(tags) || found == tags.end()) return std::nullopt;
  constexpr std::size_t to_the_minute = 16;
  std::string text = found->second;
  if (text.size() == to_the_minute) text += ":00";
  try {
    return parse_time(text);
  } catch (const Error&) {
    return std::nullopt;  // somebody else's text
  }
}

std::optional<store::Tags> with_marks(const store::Tags& tags, TimePoint now) {
  if (is_marked(tags)) return tags;
  store::Tags marked = tags;
  marked[deleted_tag] = "True";
  marked[deleted_at_tag] = deleted_at_text(now);
  if (marked.size() > store::max_tags) return std::nullopt;
  return marked;
}

store::Tags without_marks(store::Tags tags) {
  tags.erase(deleted_tag);
  tags.erase(deleted_at_tag);
  return tags;
}

}  // namespace bale::bucket
