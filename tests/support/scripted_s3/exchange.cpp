#include "support/scripted_s3/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

constexpr std::size_t piece_bytes = 1 << 20, read_bytes = 64 << 10;

std::map<std::string, std::string> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  if (text.empty()) return query;
  for (const std::string_view pair : split(text, '&')) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    query[percent_decode(pair.substr(0, equals))] = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
  }
  return query;
}

/// The slow digests that the request needs.
DigestChoice digests_of(const Request& request) {
  constexpr std::size_t hex_digits = 64;
  std::string named = request.header("x-amz-trailer") + request.header("x-amz-sdk-checksum-algorithm");
  for (const http::Header& header : request.headers) named += " " + header.name;
  named = to_lower(named);
  const bool is_small = std::strtoull(request.header("content-length").c_str(), nullptr, 10) <= piece_bytes;
  return {is_small || request.header("x-amz-content-sha256").size() == hex_digits ||
              named.find("checksum-sha256") != std::string::npos,
          named.find("sha1") != std::string::npos};
}

bool is_chunked(const Request& request) {
  return to_lower(request.header("transfer-encoding")).find("chunked") != std::string::npos;
}

/// Whether the body is in chunks of aws-chunked, inside what HTTP says of it.
bool is_aws_chunked(const Request& request) {
  return request.header("x-amz-content-sha256").starts_with("STREAMING-") ||
         request.header("content-encoding").find("aws-chunked") != std::string::npos;
}

ByteCount length_of(const Request& request) {
  return std::strtoull(request.header("content-length").c_str(), nullptr, 10);
}

std::string head_of(const Answer& answer, const Request& request, ByteCount length) {
  const bool has_body = answer.status != 204 && answer.status != 304;
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, answer.status < 300 ? "OK" : "Scripted");
  for (const http::Header& header : answer.headers) head += header.name + ": " + header.value + "\r\n";
  if (has_body) head += fmt::format("Content-Length: {}\r\n", length);
  head += fmt::format("x-amz-request-id: {}\r\nx-amz-id-2: scripted\r\nServer: AmazonS3\r\n", request.connection);
  return head + "\r\n";
}

ByteCount length_of(const Answer& answer) { return answer.content ? answer.length : answer.body.size(); }

Answer error_answer(const Rule& rule, const Request& request, int status) {
  const std::string code = rule.text("code", status == 503 ? "SlowDown" : "InternalError");
  Answer answer = to_answer({status, code, rule.text("message", "scripted by a test")}, request);
  if (!rule.source.contains("answer_headers")) return answer;
  for (const auto& [name, value] : rule.source.at("answer_headers").items())
    answer.headers.set(name, value.get<std::string>());
  return answer;
}

Answer scripted_answer(const Rule& rule, const Request& request) {
  const int status = static_cast<int>(rule.number("status", 503));
  Answer answer = error_answer(rule, request, status);
  if (status < 300 && !rule.source.contains("code")) answer.body.clear();
  if (rule.source.contains("body")) answer.body = rule.text("body");
  return answer;
}

}  // namespace

std::optional<Request> parse_request(const std::string& head) {
  std::string_view rest = head;
  const auto next_line = [&] {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(std::min(line.size() + 2, rest.size()));
    return line;
  };
  const auto words = split(next_line(), ' ');
  if (words.size() != 3 || !words[1].starts_with('/')) return std::nullopt;
  Request request;
  request.method = words[0];
  request.target = words[1];
  for (std::string_view line = next_line(); !line.empty(); line = next_line()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    request.headers.add(std::string(line.substr(0, colon)), std::string(value));
  }
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  request.path = percent_decode(std::string_view(request.target).substr(0, mark));
  request.query = parse_query(std::string_view(request.target).substr(std::min(mark + 1, request.target.size())));
  const std::size_t slash = std::min(request.path.find('/', 1), request.path.size());
  request.bucket = request.path.substr(1, slash - 1);
  request.key = request.path.substr(std::min(slash + 1, request.path.size()));
  request.operation = operation_of(request);
  return request;
}

bool read_plain_body(Wire& wire, const Request& request, std::string& body) {
  if (!request.header("expect").empty() && !wire.send("HTTP/1.1 100 Continue\r\n\r\n")) return false;
  const ByteCount length = length_of(request);
  while (body.size() < length) {
    const std::string more = wire.read_some(length - body.size());
    if (more.empty()) return false;
    body += more;
  }
  return true;
}

bool send_answer(Wire& wire, const Request& request, const Answer& answer) {
  if (!wire.send(head_of(answer, request, length_of(answer)))) return false;
  if (request.method == "HEAD") return true;
  if (!answer.content) return wire.send(answer.body);
  return answer.content->read(answer.offset, answer.length, [&](std::string_view bytes) { return wire.send(bytes); });
}

Exchange::Exchange(Core& core, Wire& wire, Request request)
    : core_(core),
      wire_(wire),
      request_(std::move(request)),
      chosen_(core.rules.choose(request_)),
      number_(core.journal.begin(request_, chosen_)) {}

/// Returns the first of the request's rules with this action, and this value of a member: absent, "of" is "request" and
/// "when" is "before".
const Chosen* Exchange::find(std::string_view action, std::string_view member, std::string_view value) const {
  for (const Chosen& each : chosen_) {
    if (each.rule->action != action) continue;
    if (member.empty()) return &each;
    const std::string otherwise = member == "of" ? "request" : "before";
    if (each.rule->text(std::string(member).c_str(), otherwise) == value) return &each;
  }
  return nullptr;
}

bool Exchange::drop(const Chosen& rule) {
  if (rule.rule->source.value("reset", false)) wire_.reset_at_end();
  core_.rules.hit(rule.id);
  return false;
}

void Exchange::keep(std::string_view bytes, Digester& digester) {
  const Chosen* const flip = find("flip", "of", "request");
  const ByteCount begin = received_.digests.size;
  received_.digests.size += bytes.size();
  std::string changed;
  if (flip != nullptr) {
    const ByteCount offset = flip->rule->bytes("offset", 0);
    if (offset >= begin && offset < begin + bytes.size()) {
      changed = bytes;
      char& byte = changed[offset - begin];
      byte = static_cast<char>(byte ^ (1 << flip->rule->bytes("bit", 0)));
      bytes = changed;
      core_.rules.hit(flip->id);
    }
  }
  digester.update(bytes);
  if (core_.settings.discard && takes_content(request_.operation)) {
    received_.content.append_zeros(bytes.size());
    return;
  }
  buffered_ += bytes;
  if (buffered_.size() >= piece_bytes) received_.content.append(std::exchange(buffered_, {}));
}

/// Does what rules want at this place of the request's body; makes `step` end at the next such place. Returns false at
/// the end of the connection.
bool Exchange::pass_request_rules(std::size_t& step) {
  if (silence_ != nullptr) {
    const ByteCount begins = silence_->rule->bytes("bytes", 0);
    if (raw_bytes_ >= begins) {
      core_.rules.hit(silence_->id);
      const std::chrono::duration<double> time(std::exchange(silence_, nullptr)->rule->number("seconds", 1));
      if (!wire_.pause(time)) return false;
    } else {
      step = std::min<ByteCount>(step, begins - raw_bytes_);
    }
  }
  if (cut_ == nullptr) return true;
  if (raw_bytes_ >= cut_at_) return drop(*cut_);
  step = std::min<ByteCount>(step, cut_at_ - raw_bytes_);
  return true;
}

/// Reads the body, at most `most` bytes, and gives it to `take`, which returns how many bytes belong to it, until
/// `is_done`.
bool Exchange::receive_raw(const std::function<std::size_t(std::string_view)>& take, ByteCount most,
                           const std::function<bool()>& is_done) {
  cut_ = find("cut", "of", "request");
  silence_ = find("silence", "of", "request");
  if (cut_ != nullptr) cut_at_ = cut_->rule->bytes("bytes", length_of(request_) / 2);
  const Chosen* const throttle = find("throttle", "of", "request");
  if (throttle != nullptr && !is_done()) {
    pace_.emplace(throttle->rule->number("bytes_per_second", 1 << 18));
    core_.rules.hit(throttle->id);
  }
  if (pace_ || silence_ != nullptr) wire_.receive_little();
  while (!is_done()) {
    std::size_t step = std::min<ByteCount>(pace_ ? pace_->step() : read_bytes, most - raw_bytes_);
    if (!pass_request_rules(step)) return false;
    const std::string bytes = wire_.read_some(step);
    if (bytes.empty()) return false;
    const std::size_t taken = take(bytes);
    raw_bytes_ += taken;
    core_.journal.received(number_, raw_bytes_);
    if (taken < bytes.size()) wire_.unread(bytes.substr(taken));
    if (pace_ && !pace_->wait(wire_, bytes.size())) return false;
  }
  std::size_t step = 0;
  return pass_request_rules(step);
}

/// Reads the whole body.
bool Exchange::receive() {
  if (!request_.header("expect").empty() && !wire_.send("HTTP/1.1 100 Continue\r\n\r\n")) return false;
  Digester digester(digests_of(request_));
  Chunks outer, inner;
  const bool has_inner = is_aws_chunked(request_);
  const auto take_content = [&](std::string_view bytes) { keep(bytes, digester); };
  const auto take = [&](std::string_view bytes) {
    if (has_inner)
      inner.feed(bytes, take_content);
    else
      take_content(bytes);
  };
  bool is_whole = false;
  if (is_chunked(request_)) {
    is_whole = receive_raw([&](std::string_view bytes) { return outer.feed(bytes, take); }, UINT64_MAX,
                           [&] { return outer.done(); });
  } else {
    const auto take_all = [&](std::string_view bytes) {
      take(bytes);
      return bytes.size();
    };
    is_whole = receive_raw(take_all, length_of(request_), [&] { return raw_bytes_ >= length_of(request_); });
  }
  if (!is_whole) return false;
  received_.content.append(std::exchange(buffered_, {}));
  received_.digests = digester.finish();
  received_.trailers = has_inner ? inner.trailers() : outer.trailers();
  core_.journal.digested(number_, received_.digests);
  return true;
}

/// Waits until `time` is over; `anyway`: also when the client has gone, and what it asked for is done all the same.
bool Exchange::rest(std::chrono::duration<double> time, bool anyway) {
  if (!anyway) return wire_.pause(time);
  const auto until = std::chrono::steady_clock::now() + time;
  while (!core_.over && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return !core_.over;
}

/// Waits for as long as rules want before the work, or between it and the answer.
bool Exchange::wait_for_turn(std::string_view when) {
  if (const Chosen* const delay = find("delay", "when", when)) {
    core_.rules.hit(delay->id);
    const std::chrono::duration<double> time(delay->rule->number("seconds", 1));
    if (!rest(time, delay->rule->source.value("anyway", false))) return false;
  }
  if (const Chosen* const hold = find("hold", "when", when)) {
    core_.rules.hit(hold->id);
    while (core_.rules.holds(hold->id)) {
      if (!rest(std::chrono::milliseconds(5), hold->rule->source.value("anyway", false))) return false;
    }
  }
  return true;
}

/// Puts the object of another writer in the request's place, or removes what is there.
void Exchange::write_as_another(const Rule& rule, Bucket& bucket) const {
  if (rule.source.value("remove", false)) {
    bucket.objects.erase(request_.key);
    return;
  }
  std::string text = rule.text("body", "of another writer");
  Version version;
  if (rule.source.contains("size")) text.resize(std::min<ByteCount>(text.size(), rule.bytes("size", 0)));
  version.content.append(text);
  version.content.append_zeros(std::max<ByteCount>(rule.bytes("size", 0), text.size()) - text.size());
  version.digests = digest(version.content, {});
  version.etag = etag_of(version.digests, version.attributes);
  version.checksum = KeptChecksum{"crc64nvme", "FULL_OBJECT", checksum_bytes(version.digests, "crc64nvme"), 0};
  version.attributes.headers["content-type"] = "binary/octet-stream";
  version.attributes.metadata = rule.source.value("metadata", std::map<std::string, std::string>());
  version.modified = core_.state.now();
  bucket.add(request_.key, std::move(version));
}

/// Does what others do to the bucket before the work, or after it.
void Exchange::change_world(std::string_view when) {
  const Lock lock(core_.mutex);
  const auto bucket = core_.state.buckets.find(request_.bucket);
  const bool has_bucket = bucket != core_.state.buckets.end();
  for (const Chosen& each : chosen_) {
    const Rule& rule = *each.rule;
    if (rule.text("when", "before") != when) continue;
    if (rule.action == "advance") {
      core_.state.advanced += Milliseconds(static_cast<std::int64_t>(rule.number("seconds", 0) * 1000));
    } else if (rule.action == "other_writer" && has_bucket) {
      write_as_another(rule, bucket->second);
    } else if (rule.action == "abort_uploads" && has_bucket && !bucket->second.uploads.empty()) {
      bucket->second.uploads.clear();
    } else {
      continue;
    }
    core_.rules.hit(each.id);
  }
}

bool Exchange::may(const std::string& action) {
  for (const Chosen& each : chosen_) {
    if (each.rule->action != "deny") continue;
    const nlohmann::json& source = each.rule->source;
    const auto names = [&](const char* member) {
      const auto list = source.value(member, std::vector<std::string>());
      return std::find(list.begin(), list.end(), action) != list.end();
    };
    if (!names("deny") && (!source.contains("allow") || names("allow"))) continue;
    core_.rules.hit(each.id);
    core_.journal.denied(number_, action);
    return false;
  }
  return true;
}

/// Carries out the operation; where a rule says so, on a copy of the state that is then forgotten.
Answer Exchange::work() {
  const Lock lock(core_.mutex);
  const Chosen* const lie = find("lie");
  State copy;
  if (lie != nullptr) {
    copy = core_.state;
    core_.rules.hit(lie->id);
  }
  State& state = lie != nullptr ? copy : core_.state;
  Answer answer = Operations(state, core_.settings, [this](const std::string& action) {
                    return may(action);
                  }).handle(request_, received_);
  const Chosen* const flip = find("flip", "of", "stored");
  const bool is_stored = answer.status == 200 && takes_content(request_.operation);
  if (flip == nullptr || !is_stored || received_.content.size() == 0) return answer;
  const ByteCount offset = std::min(flip->rule->bytes("offset", 0), received_.content.size() - 1);
  const auto bit = static_cast<unsigned>(flip->rule->bytes("bit", 0));
  Bucket& bucket = state.buckets.at(request_.bucket);
  if (request_.operation == "PutObject") {
    bucket.objects.at(request_.key).back().content.flip(offset, bit);
  } else {
    const auto number = static_cast<std::uint32_t>(number_of(request_, "partNumber", 0));
    bucket.uploads.at(request_.parameter("uploadId")).parts.at(number).content.flip(offset, bit);
  }
  core_.rules.hit(flip->id);
  return answer;
}

/// Returns the answer that the client is to get.
Answer Exchange::decide() {
  if (const Chosen* const respond = find("respond")) {
    core_.rules.hit(respond->id);
    return scripted_answer(*respond->rule, request_);
  }
  change_world("before");
  Answer answer = work();
  change_world("after");
  if (const Chosen* const fail = find("fail_answer")) {
    core_.rules.hit(fail->id);
    answer = error_answer(*fail->rule, request_, static_cast<int>(fail->rule->number("status", 200)));
  }
  return answer;
}

/// Sends a piece of the answer's body, with what rules do to it.
bool Exchange::send_piece(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t step = pace_ ? std::min(pace_->step(), bytes.size()) : bytes.size();
    if (silence_ != nullptr) {
      const ByteCount begins = silence_->rule->bytes("bytes", 0);
      if (sent_bytes_ >= begins) {
        core_.rules.hit(silence_->id);
        const std::chrono::duration<double> time(std::exchange(silence_, nullptr)->rule->number("seconds", 1));
        if (!wire_.pause(time)) return false;
      } else {
        step = std::min<ByteCount>(step, begins - sent_bytes_);
      }
    }
    if (cut_ != nullptr) {
      if (sent_bytes_ >= cut_at_) return drop(*cut_);
      step = std::min<ByteCount>(step, cut_at_ - sent_bytes_);
    }
    std::string piece(bytes.substr(0, step));
    const ByteCount flipped = flip_ != nullptr ? flip_->rule->bytes("offset", 0) : UINT64_MAX;
    if (flipped >= sent_bytes_ && flipped - sent_bytes_ < step) {
      char& byte = piece[flipped - sent_bytes_];
      byte = static_cast<char>(byte ^ (1 << flip_->rule->bytes("bit", 0)));
      core_.rules.hit(flip_->id);
    }
    if (!wire_.send(piece)) return false;
    sent_bytes_ += step;
    bytes.remove_prefix(step);
    if (pace_ && !pace_->wait(wire_, step)) return false;
  }
  return true;
}

/// Sends the head at once, then spaces, then the document: as S3 does while it completes an upload of many parts.
bool Exchange::answer_after_spaces(const Answer& answer, const Chosen& rule) {
  core_.rules.hit(rule.id);
  std::string head = head_of(answer, request_, 0);
  const std::string length = "Content-Length: 0\r\n";
  head.replace(head.find(length), length.size(), "Transfer-Encoding: chunked\r\n");
  const auto send_chunk = [&](std::string_view bytes) {
    return bytes.empty() || wire_.send(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
  };
  const std::size_t declared = answer.body.starts_with("<?xml") ? answer.body.find("?>") + 2 : 0;
  if (!wire_.send(head) || !send_chunk(std::string_view(answer.body).substr(0, declared))) return false;
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(rule.rule->number("seconds", 1));
  while (std::chrono::steady_clock::now() < until) {
    if (!send_chunk(" ") || !wire_.pause(std::chrono::milliseconds(50))) return false;
  }
  return send_chunk(std::string_view(answer.body).substr(declared)) && wire_.send("0\r\n\r\n");
}

bool Exchange::answer_with(const Answer& answer) {
  const Chosen* const spaces = find("spaces");
  if (spaces != nullptr && !answer.content && !answer.body.empty()) return answer_after_spaces(answer, *spaces);
  const std::string head = head_of(answer, request_, length_of(answer));
  const ByteCount length = request_.method == "HEAD" ? 0 : length_of(answer);
  cut_ = find("cut", "of", "response");
  silence_ = find("silence", "of", "response");
  flip_ = find("flip", "of", "response");
  pace_.reset();
  if (const Chosen* const throttle = find("throttle", "of", "response"); throttle != nullptr && length > 0) {
    pace_.emplace(throttle->rule->number("bytes_per_second", 1 << 18));
    wire_.send_little();
    core_.rules.hit(throttle->id);
  }
  if (silence_ != nullptr && silence_->rule->bytes("bytes", 0) == 0) {
    core_.rules.hit(silence_->id);
    const std::chrono::duration<double> time(std::exchange(silence_, nullptr)->rule->number("seconds", 1));
    if (!wire_.pause(time)) return false;
  }
  if (cut_ != nullptr && length == 0) {  // no body to cut: in the head
    wire_.send(std::string_view(head).substr(0, head.size() / 2));
    return drop(*cut_);
  }
  if (cut_ != nullptr) cut_at_ = cut_->rule->bytes("bytes", length / 2);
  if (!wire_.send(head)) return false;
  if (request_.method == "HEAD") return true;
  if (!answer.content) return send_piece(answer.body);
  return answer.content->read(answer.offset, answer.length, [&](std::string_view bytes) { return send_piece(bytes); });
}

bool Exchange::run() {
  const Chosen* const respond = find("respond");
  if (respond != nullptr && respond->rule->source.value("early", false)) {
    Answer answer = decide();
    answer.headers.set("Connection", "close");
    core_.journal.end(number_, answer.status);
    send_answer(wire_, request_, answer);
    wire_.end();
    return false;
  }
  bool goes_on = receive() && wait_for_turn("before");
  if (!goes_on) {
    core_.journal.end(number_, 0);
    return false;
  }
  Answer answer = decide();
  if (const Chosen* const lose = find("lose_answer")) {
    core_.journal.end(number_, 0);
    return drop(*lose);
  }
  goes_on = wait_for_turn("after");
  // Before it is sent: who has the answer finds it in the journal.
  core_.journal.end(number_, goes_on ? answer.status : 0);
  if (goes_on && !answer_with(answer)) {
    goes_on = false;
    core_.journal.end(number_, 0);
  }
  return goes_on;
}

}  // namespace bale::testing::s3
