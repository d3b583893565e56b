// What the JSON 1.0 protocols of SQS and DynamoDB share. Private to aws/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "aws/answer.hpp"
#include "aws/endpoint.hpp"

namespace bale::aws {

/// A POST of `document` for "AmazonSQS.SendMessage" and the like. Throws Error{invalid} for text that is not UTF-8.
Call make_json_call(const Endpoint& endpoint, const std::string& target, const nlohmann::json& document);

/// Parses an answer, which is a JSON object. Throws not_from_service() naming `where` for anything else; the message
/// does not quote the answer.
nlohmann::json parse_json_answer(std::string_view body, const std::string& where);

/// Throws not_from_service() for an object that has members, but not `name`. AWS leaves a member out where there is
/// nothing to say; a portal's own JSON has other members.
void require_member_unless_empty(const nlohmann::json& document, const char* name, const std::string& where);

/// Text of a member; empty when it is missing or no text.
std::string text_of(const nlohmann::json& document, const char* name);
/// A member that is an array; an empty one when it is missing.
const nlohmann::json& array_of(const nlohmann::json& document, const char* name, const std::string& where);

}  // namespace bale::aws
