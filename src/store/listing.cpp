#include "store/listing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

constexpr std::size_t most_empty_pages = 100;

Error wrong_listing(const BucketName& bucket, const std::string& prefix, const std::string& fault) {
  return Error(ErrorKind::corrupt, "the server's listing is wrong: " + fault, to_uri(bucket, ObjectKey(prefix)),
               "the service, or a proxy in front of it, does not list as S3 does: `bale doctor` examines it");
}

std::vector<ListedObject> take_items(ListPage& page) { return std::move(page.objects); }
std::vector<ListedVersion> take_items(VersionPage& page) { return std::move(page.versions); }

/// Whether nothing up to the key `until` can come behind this item, which is that key or greater.
bool is_past(const ListedObject&, const std::string&) { return true; }
/// Other versions of the same key may.
bool is_past(const ListedVersion& version, const std::string& until) { return version.key.str() > until; }

}  // namespace

Listing::Listing(ObjectStore& store, BucketName bucket, ListRequest request)
    : store_(store), bucket_(std::move(bucket)), request_(std::move(request)) {
  if (!request_.start_after.empty()) last_key_ = request_.start_after;
}

std::optional<ListPage> Listing::next() {
  if (is_at_end_) return std::nullopt;
  ListPage page = store_.list(bucket_, request_);
  check(page);
  is_at_end_ = page.next.empty();
  request_.continuation = page.next;
  return page;
}

void Listing::check(const ListPage& page) {
  for (const ListedObject& object : page.objects) check_name(object.key.str(), last_key_);
  for (const std::string& prefix : page.common_prefixes) {
    check_name(prefix, last_prefix_);
    const bool is_directory = prefix.size() > request_.prefix.size() && prefix.ends_with(request_.delimiter);
    if (!is_directory || request_.delimiter.empty())
      refuse(fmt::format("the common prefix {} is no directory below the prefix", escape_for_terminal(prefix)));
  }
  if (!page.next.empty() && page.next == request_.continuation) refuse("the next page is the same page again");
  const bool is_empty = page.objects.empty() && page.common_prefixes.empty();
  empty_pages_ = is_empty ? empty_pages_ + 1 : 0;
  if (empty_pages_ > most_empty_pages) refuse(fmt::format("{} pages in a row are empty", empty_pages_));
}

void Listing::check_name(const std::string& name, std::optional<std::string>& last) const {
  if (!name.starts_with(request_.prefix))
    refuse(fmt::format("{} does not begin with the prefix that was asked for", escape_for_terminal(name)));
  if (name.size() > max_key_bytes) refuse(fmt::format("a key has {} bytes", name.size()));
  if (last && name <= *last) refuse(fmt::format("{} is out of order", escape_for_terminal(name)));
  last = name;
}

void Listing::refuse(const std::string& fault) const { throw wrong_listing(bucket_, request_.prefix, fault); }

VersionListing::VersionListing(ObjectStore& store, BucketName bucket, ListRequest request)
    : store_(store), bucket_(std::move(bucket)), request_(std::move(request)), last_key_(request_.start_after) {}

std::optional<VersionPage> VersionListing::next() {
  if (is_at_end_) return std::nullopt;
  VersionPage page = store_.list_versions(bucket_, request_);
  const auto by_key = [](const ListedVersion& one, const ListedVersion& other) { return one.key < other.key; };
  if (!std::is_sorted(page.versions.begin(), page.versions.end(), by_key)) {
    std::stable_sort(page.versions.begin(), page.versions.end(), [](const auto& one, const auto& other) {
      if (one.key != other.key) return one.key < other.key;
      if (one.is_latest != other.is_latest) return one.is_latest;
      return one.last_modified > other.last_modified;
    });
  }
  check(page);
  is_at_end_ = page.next.empty();
  request_.continuation = page.next;
  return page;
}

void VersionListing::check(const VersionPage& page) {
  for (const ListedVersion& version : page.versions) {
    const std::string& key = version.key.str();
    if (!key.starts_with(request_.prefix))
      refuse(fmt::format("{} does not begin with the prefix that was asked for", escape_for_terminal(key)));
    if (key.size() > max_key_bytes) refuse(fmt::format("a key has {} bytes", key.size()));
    const bool is_start = request_.continuation.empty() && !request_.start_after.empty();
    if (key < last_key_ || (is_start && key <= request_.start_after))
      refuse(fmt::format("{} is out of order", escape_for_terminal(key)));
    last_key_ = key;
  }
  if (!page.next.empty() && page.next == request_.continuation) refuse("the next page is the same page again");
  empty_pages_ = page.versions.empty() ? empty_pages_ + 1 : 0;
  if (empty_pages_ > most_empty_pages) refuse(fmt::format("{} pages in a row are empty", empty_pages_));
}

void VersionListing::refuse(const std::string& fault) const { throw wrong_listing(bucket_, request_.prefix, fault); }

ListRequest to_request(const SequenceOptions& options) {
  ListRequest request;
  request.prefix = options.prefix;
  request.start_after = options.start_after;
  request.max_keys = options.page_keys;
  request.with_restore_status = options.with_restore_status;
  return request;
}

void check_stop(const SequenceOptions& options, const BucketName& bucket) {
  if (options.stop.stop_requested())
    throw Error(ErrorKind::cancelled, "stopped while listing", to_uri(bucket, ObjectKey(options.prefix)));
}

template <typename Item, typename Pages>
Streamed<Item, Pages>::Streamed(ObjectStore& store, const BucketName& bucket, SequenceOptions options,
                                flow::ThreadPool& pool, std::size_t pages_ahead)
    : options_(std::move(options)),
      bucket_(bucket),
      pages_(store, bucket, to_request(options_)),
      ahead_(pool, pages_ahead, [this] { return read(); }) {}

template <typename Item, typename Pages>
std::optional<std::vector<Item>> Streamed<Item, Pages>::read() {
  if (is_past_end_) return std::nullopt;
  check_stop(options_, bucket_);
  auto page = pages_.next();
  if (!page) return std::nullopt;
  ++requests_;
  std::vector<Item> items = take_items(*page);
  if (options_.until && !items.empty() && items.back().key.str() >= *options_.until) {
    is_past_end_ = is_past(items.back(), *options_.until);
    const auto end = std::upper_bound(items.begin(), items.end(), *options_.until,
                                      [](const std::string& key, const Item& each) { return key < each.key.str(); });
    items.erase(end, items.end());
  }
  return items;
}

template <typename Item, typename Pages>
const Item* Streamed<Item, Pages>::next() {
  while (index_ == page_.size()) {
    auto page = ahead_.next();
    page_.clear();
    index_ = 0;
    if (!page) return nullptr;
    page_ = std::move(*page);
  }
  check_stop(options_, bucket_);
  return &page_[index_++];
}

template class Streamed<ListedObject, Listing>;
template class Streamed<ListedVersion, VersionListing>;

}  // namespace bale::store
