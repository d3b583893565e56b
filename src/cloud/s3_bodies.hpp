// Bodies of requests to S3 and of its responses. Private to cloud/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "aws/s3.hpp"
#include "base/error.hpp"
#include "cloud/session.hpp"
#include "store/object_rules.hpp"

namespace bale::cloud {

/// A body of the store's port as one of http's.
class StoreBody final : public http::Body {
 public:
  explicit StoreBody(store::Body& body) : body_(body) {}
  ByteCount size() const override { return body_.size(); }
  ByteView next(std::size_t most) override { return body_.next(most); }
  void rewind() override { body_.rewind(); }
  void sent(ByteCount bytes) override { body_.sent(bytes); }

 private:
  store::Body& body_;
};

/// Throws unless the answer is of the object that was asked for: a proxy may drop the condition or the version.
inline void check_is_asked(const store::ObjectInfo& info, const store::ReadConditions& conditions,
                           const std::string& where) {
  if (!conditions.if_match.empty() && info.etag != conditions.if_match) {
    throw Error(ErrorKind::precondition, "the object is another one than was asked for: its ETag differs", where)
        .with_code("PreconditionFailed");
  }
  const bool is_other =
      !conditions.version_id.empty() && !info.version_id.empty() && info.version_id != conditions.version_id;
  if (is_other) throw Error(ErrorKind::corrupt, "the server answered with another version than was asked for", where);
}

/// The head of an answer, with a Content-Length that it does not have itself; empty: as it is.
inline http::AnswerHead with_length(http::AnswerHead head, const std::string& length) {
  if (!length.empty()) head.headers.add("Content-Length", length);
  return head;
}

/// The response to a GET.
class AnswerStream final : public store::GetStream {
 public:
  /// Throws Error{corrupt} when the answer has other bytes than the ones that were asked for, and what
  /// check_is_asked() throws.
  AnswerStream(OpenCall answer, const std::optional<store::ByteRange>& asked, const store::ReadConditions& conditions,
               const std::string& where)
      : AnswerStream(std::move(answer), {}, asked, conditions, where) {}
  /// The same, of an answer that does not say how long it is, for an object that is known to be empty.
  AnswerStream(OpenCall answer, const store::ReadConditions& conditions, const std::string& where)
      : AnswerStream(std::move(answer), "0", std::nullopt, conditions, where) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return range_.length; }
  ByteCount offset() const override { return range_.offset; }
  std::size_t read(MutableBytes bytes) override { return bytes.empty() ? 0 : answer_.exchange.read(bytes); }

 private:
  AnswerStream(OpenCall answer, const std::string& length, const std::optional<store::ByteRange>& asked,
               const store::ReadConditions& conditions, const std::string& where)
      : answer_(std::move(answer)),
        info_(aws::parse_object_info(with_length(answer_.exchange.head(), length), where)),
        range_(aws::parse_got_range(with_length(answer_.exchange.head(), length), where)) {
    check_is_asked(info_, conditions, where);
    const store::Extent wanted = store::resolve_range(asked, info_.size);
    if (wanted.offset != range_.offset || wanted.length != range_.length)
      throw Error(ErrorKind::corrupt, "the server sent other bytes than were requested", where);
  }
  OpenCall answer_;
  const store::ObjectInfo info_;
  const aws::GotRange range_;
};

}  // namespace bale::cloud
