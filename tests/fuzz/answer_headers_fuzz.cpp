// Header values of S3, as "Name: value" lines, and URLs: whatever comes, it is understood or a bale::Error.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "aws/s3.hpp"
#include "base/text.hpp"

using namespace bale;
using namespace bale::aws;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http::AnswerHead head{200, {}};
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos)
      head.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
  }
  clock_skew(head, {});
  decode_words(text);
  try {
    const store::ObjectInfo info = parse_object_info(head, "fuzz");
    const GotRange range = parse_got_range(head, "fuzz");
    if (range.offset > info.size || range.length > info.size - range.offset) std::abort();
  } catch (const Error&) {
    // Refused, as it should be.
  }
  try {
    const http::Url url = http::parse_url(text);
    http::Request request{http::Method::get, url.origin, url.path, url.query};
    const http::Url again = http::parse_url(http::url_of(request));
    if (again.origin != url.origin || again.path != url.path || again.query != url.query) std::abort();
  } catch (const Error&) {
    // Refused, as it should be.
  }
  return 0;
}
