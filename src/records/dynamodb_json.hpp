// DynamoDB's JSON form as a document, for those who put items into a larger one.
#pragma once

#include <nlohmann/json.hpp>

#include "records/record_store.hpp"

namespace bale::records {

/// {"name": {"S": "text"}, ...}.
nlohmann::json item_to_json(const Item& item);
/// Throws Error{invalid} for what is no item.
Item item_from_json(const nlohmann::json& document);
/// {"S": "text"}.
nlohmann::json value_to_json(const Value& value);

}  // namespace bale::records
