#include "store/listing.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

constexpr std::size_t most_empty_pages = 100;

}  // namespace

Listing::Listing(ObjectStore& store, BucketName bucket, ListRequest request)
    : store_(store), bucket_(std::move(bucket)), request_(std::move(request)) {}

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

void Listing::refuse(const std::string& fault) const {
  throw Error(ErrorKind::corrupt, "the server's listing is wrong: " + fault,
              to_uri(bucket_, ObjectKey(request_.prefix)),
              "the service, or a proxy in front of it, does not list as S3 does: `bale doctor` examines it");
}

}  // namespace bale::store
