// What libcurl's results mean. Private to http/.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace bale::http {

/// The Error for a transfer that failed; `detail` is libcurl's own text, `where` names the request. `verified` is
/// CURLINFO_SSL_VERIFYRESULT, by which the reasons for refusing a certificate are told apart.
Error to_error(CURLcode result, std::string_view detail, std::string where, long verified = 0);

}  // namespace bale::http
