#include "aws/json.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

namespace bale::aws {

Call make_json_call(const Endpoint& endpoint, const std::string& target, const nlohmann::json& document) {
  Call call;
  call.request.method = http::Method::post;
  call.request.origin = endpoint.origin;
  call.request.path = endpoint.base_path + "/";
  call.request.headers.add("Content-Type", "application/x-amz-json-1.0");
  call.request.headers.add("X-Amz-Target", target);
  try {
    call.body = document.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::invalid, "text of the request is not UTF-8", target).with_cause(error);
  }
  return call;
}

nlohmann::json parse_json_answer(std::string_view body, const std::string& where) {
  nlohmann::json document = parse_json(body);
  if (!document.is_object()) throw not_from_service("the answer is not a JSON object", where);
  return document;
}

void require_member_unless_empty(const nlohmann::json& document, const char* name, const std::string& where) {
  if (!document.empty() && !document.contains(name))
    throw not_from_service(std::string("the answer has no ") + name + ", but other members", where);
}

std::string text_of(const nlohmann::json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const nlohmann::json& array_of(const nlohmann::json& document, const char* name, const std::string& where) {
  static const nlohmann::json empty = nlohmann::json::array();
  const auto found = document.find(name);
  if (found == document.end() || found->is_null()) return empty;
  if (!found->is_array()) throw Error(ErrorKind::corrupt, std::string(name) + " of the answer is no list", where);
  return *found;
}

}  // namespace bale::aws
