// Retries of requests that carry many entries, each of which succeeds or fails on its own.
#pragma once

#include <cstddef>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "flow/retrier.hpp"

namespace bale::flow {

/// Entries on their way to a service, and what became of each.
template <typename Result, typename Entry>
class Batch {
 public:
  /// Borrows the entries.
  explicit Batch(const std::vector<Entry>& entries) : entries_(entries), results_(entries.size()) {
    pending_.resize(entries.size());
    std::iota(pending_.begin(), pending_.end(), std::size_t{0});
  }

  /// Sends the pending entries, and keeps as pending those whose failure is transient. Returns one such failure; absent
  /// when nothing is pending. Throws what `send` throws, with everything still pending. `settle(entry, result)` may
  /// change a result before it is judged.
  template <typename Send, typename FailureOf, typename Settle>
  std::optional<Error> send_pending(const Send& send, const FailureOf& failure_of, const Settle& settle) {
    std::vector<Result> sent = pending_.size() == entries_.size() ? send(entries_) : send(picked());
    std::optional<Error> passing;
    std::vector<std::size_t> still;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      settle(entries_[pending_[i]], sent.at(i));
      const std::optional<Error>& failure = failure_of(sent[i]);
      if (failure && retry_class(*failure) != RetryClass::never) {
        still.push_back(pending_[i]);
        passing = failure;
      }
      results_[pending_[i]] = std::move(sent[i]);
    }
    has_results_ = true;
    pending_ = std::move(still);
    return passing;
  }

  /// Makes `error` the failure of what is pending. False when nothing was ever sent, so that it holds for all.
  template <typename FailureOf>
  bool give_up(const Error& error, const FailureOf& failure_of) {
    for (const std::size_t i : pending_) failure_of(results_[i]) = error;
    return has_results_;
  }

  std::vector<Result> take_results() { return std::move(results_); }

 private:
  std::vector<Entry> picked() const {
    std::vector<Entry> entries;
    for (const std::size_t i : pending_) entries.push_back(entries_[i]);
    return entries;
  }

  const std::vector<Entry>& entries_;
  std::vector<Result> results_;
  std::vector<std::size_t> pending_;
  bool has_results_ = false;
};

/// Sends the entries, and those again whose failure is transient, as the retrier's settings say. `send(entries)`
/// returns one Result an entry, in their order; `failure_of(result)` is a reference to its std::optional<Error>;
/// `settle(attempts, entry, result)` may change a result before it is judged: a failure after a lost answer may be a
/// success. A stop of `stop` ends the repetitions, too. Returns a Result an entry. Throws the last Error where no
/// attempt was answered.
template <typename Result, typename Entry, typename Send, typename FailureOf, typename Settle>
std::vector<Result> retry_batch(Retrier& retrier, const std::vector<Entry>& entries, const Send& send,
                                const FailureOf& failure_of, const Settle& settle, const std::stop_token& stop = {}) {
  Batch<Result, Entry> batch(entries);
  Attempts attempts(retrier, stop);
  for (;;) {
    std::optional<Error> failure;
    try {
      failure = batch.send_pending(send, failure_of, [&](const Entry& entry, Result& result) {
        settle(std::as_const(attempts), entry, result);
      });
    } catch (const Error& error) {
      failure = error;
    }
    if (!failure) {
      attempts.succeeded();
      return batch.take_results();
    }
    if (attempts.again(*failure)) continue;
    if (!batch.give_up(attempts.report(), failure_of)) throw attempts.report();
    return batch.take_results();
  }
}

}  // namespace bale::flow
