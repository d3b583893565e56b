// What libcurl's results mean. Private to http/.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace bale::http {

/// The Error for a transfer that failed; `detail` is libcurl's own text, `where` names the request.
Error to_error(CURLcode result, std::string_view detail, std::string where);

}  // namespace bale::http
