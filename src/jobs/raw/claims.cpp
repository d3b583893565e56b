#include "jobs/raw/claims.hpp"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/raw/verify.hpp"

namespace bale::raw {
namespace {

using records::Condition;
using records::Item;
using records::Value;

constexpr const char* claim_part = "claim";
constexpr const char* owner_attribute = "raw_file";

/// The id of a claim's item: a partition key has at most 2048 bytes.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
std::string item_id(const std::string& kind, const std::string& name) {
  constexpr std::size_t most_bytes = 1800;
  return kind + (name.size() <= most_bytes ? name : "sha256-" + to_hex_digest(Sha256::of(as_bytes(name))));
}

std::string owner_of(const Item& item) {
  const auto found = item.find(owner_attribute);
  const auto* text = found == item.end() ? nullptr : std::get_if<std::string>(&found->second.data);
  return text == nullptr ? std::string() : *text;
}

/// Claims one name for an id. Returns the id of the raw file that has it; empty where it is this one.
std::string claim(records::RecordStore& store, RawRecords& records, const std::string& id, const std::string& name) {
  const records::LeasePlace place = records.lease_place(name);
  Item key = place.key;
  key["part"] = Value(std::string(claim_part));
  Item item = key;
  item[owner_attribute] = Value(id);
  Condition free{owner_attribute, Condition::Test::not_exists, {}};
  for (;;) {
    try {
      store.put(place.table, item, {free});
      return {};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::precondition) throw;
    }
    const auto there = store.get(place.table, key);
    const std::string owner = there ? owner_of(*there) : std::string();
    if (owner == id) return {};
    const bool is_refused_again = free.test == Condition::Test::equal && free.operand == Value(owner);
    if (!owner.empty() && (is_refused_again || records.get(owner))) return owner;
    free = {owner_attribute, Condition::Test::equal, Value(owner)};
    if (!there) free = {owner_attribute, Condition::Test::not_exists, {}};
  }
}

Error taken(const std::string& what, const std::string& owner, const RawRecord& record, const char* code) {
  const std::string other = escape_name(owner);
  return Error(ErrorKind::precondition, fmt::format("{} belongs to another raw file, {}", what, other),
               escape_name(record.id),
               fmt::format("if it is the same acquisition, use the id {}; else choose an id that gives other names",
                           other))
      .with_code(code);
}

}  // namespace

void claim_names(records::RecordStore& store, RawRecords& records, const RawRecord& record, const Claims& claims) {
  if (claims.pool) {
    std::set<os::fs::path> names;
    for (const FileRecord& file : record.files)
      names.insert(*local_path(record, file).lexically_relative(record.pool_path).begin());
    for (const os::fs::path& name : names) {
      const std::string path = (os::fs::path(record.pool_path) / name).native();
      const std::string owner = claim(store, records, record.id, item_id("pool:", path));
      if (!owner.empty()) throw taken("the local file " + escape_name(path), owner, record, name_of_other_record);
    }
  }
  if (claims.key) {
    const std::string uri = to_uri(record.bucket, ObjectKey(record.s3_backup_key));
    const std::string owner = claim(store, records, record.id, item_id("key:", uri));
    if (!owner.empty()) throw taken("the key " + uri, owner, record, key_of_other_record);
  }
}

}  // namespace bale::raw
