// One request to a scripted S3 server and its answer, with what the rules do to them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.hpp"
#include "support/scripted_s3/journal.hpp"
#include "support/scripted_s3/operations.hpp"
#include "support/scripted_s3/rules.hpp"
#include "support/scripted_s3/wire.hpp"

namespace bale::testing::s3 {

/// What all connections of a server share.
struct Core {
  Settings settings;
  Rules rules;
  Journal journal;
  Mutex mutex;
  State state BALE_GUARDED_BY(mutex);
  std::atomic<bool> over{false};
};

/// Reads a head. Absent where it is no request of HTTP/1.1.
std::optional<Request> parse_request(const std::string& head);

/// Reads the body of a request of the server's own pages. Returns false when the client goes first.
bool read_plain_body(Wire& wire, const Request& request, std::string& body);

/// Sends an answer as it is. Returns false when the client goes first.
bool send_answer(Wire& wire, const Request& request, const Answer& answer);

/// Carries out one request of S3.
class Exchange {
 public:
  Exchange(Core& core, Wire& wire, Request request);
  /// Returns whether the connection goes on.
  bool run();

 private:
  const Chosen* find(std::string_view action, std::string_view member = {}, std::string_view value = {}) const;
  bool receive();
  bool receive_raw(const std::function<std::size_t(std::string_view)>& take, ByteCount most,
                   const std::function<bool()>& is_done);
  bool pass_request_rules(std::size_t& step);
  void keep(std::string_view bytes, Digester& digester);
  bool rest(std::chrono::duration<double> time, bool anyway);
  bool wait_for_turn(std::string_view when);
  void change_world(std::string_view when);
  void write_as_another(const Rule& rule, Bucket& bucket) const BALE_REQUIRES(core_.mutex);
  bool may(const std::string& action);
  Answer work();
  Answer decide();
  bool answer_with(const Answer& answer);
  bool answer_after_spaces(const Answer& answer, const Chosen& rule);
  bool send_piece(std::string_view bytes);
  bool drop(const Chosen& rule);

  Core& core_;
  Wire& wire_;
  Request request_;
  std::vector<Chosen> chosen_;
  std::uint64_t number_;
  Received received_;
  std::string buffered_;      ///< of the content, not yet in received_
  ByteCount raw_bytes_ = 0;   ///< of the request's body, as on the wire
  ByteCount sent_bytes_ = 0;  ///< of the answer's body
  /// Rules about streams that are yet to come, first of the request's body, then of the answer's.
  const Chosen *cut_ = nullptr, *silence_ = nullptr, *flip_ = nullptr;
  ByteCount cut_at_ = 0;
  std::optional<Pace> pace_;
};

}  // namespace bale::testing::s3
