#include "mount/attributes.hpp"

#include "base/time.hpp"

namespace bale::mount {
namespace {

constexpr std::size_t most_name_bytes = 255;  // XATTR_NAME_MAX

class Attributes {
 public:
  void add(const std::string& name, const std::string& value) {
    const std::string whole = attribute_prefix + name;
    const bool is_possible = whole.size() <= most_name_bytes && whole.find('\0') == std::string::npos;
    if (is_possible && !value.empty()) list_.emplace_back(whole, value);
  }
  void add_all(const std::string& start, const std::map<std::string, std::string>& values) {
    for (const auto& [name, value] : values) add(start + name, value);
  }
  std::vector<std::pair<std::string, std::string>> take() { return std::move(list_); }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> attributes_of(const catalog::Record& record) {
  Attributes list;
  list.add("uri", to_uri(record.source_bucket, record.object_path));
  list.add("version_id", record.version_id.str());
  list.add("etag", record.etag.str());
  list.add("sha256", record.sha256);
  list.add("storage_class", record.storage_class);
  list.add("last_modified", to_iso8601(record.last_modified));
  if (!record.archive_key.empty()) list.add("archive", to_uri(record.archive_bucket, record.archive_key));
  list.add("content_type", record.headers.content_type);
  list.add("cache_control", record.headers.cache_control);
  list.add("content_disposition", record.headers.content_disposition);
  list.add("content_encoding", record.headers.content_encoding);
  list.add("content_language", record.headers.content_language);
  list.add("expires", record.headers.expires);
  list.add("website_redirect", record.headers.website_redirect);
  list.add("metadata", catalog::map_to_json(record.metadata));
  list.add("tags", catalog::map_to_json(record.tags));
  list.add_all("metadata.", record.metadata);
  list.add_all("tag.", record.tags);
  return list.take();
}

}  // namespace bale::mount
