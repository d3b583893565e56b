// SQS over HTTP: the AWS kind of the MessageQueue port.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "aws/sqs.hpp"
#include "base/mutex.hpp"
#include "cloud/session.hpp"
#include "queue/message_queue.hpp"

namespace bale::cloud {

/// SQS, or a server that speaks its JSON protocol, in one region. All requests go to the session's endpoint, whatever
/// host a queue's URL names. Tries nothing twice: retrying is a decorator's work. Thread-safe; each call takes a
/// connection of the session's for itself.
///
/// The name of a queue may be its URL too: the queue of another account, or one that was given by URL alone.
///
/// What SQS does late, it does late here: a destroyed queue may be seen for a minute, and settings and permissions take
/// as long to be known everywhere.
class SqsQueues final : public queue::MessageQueue {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  SqsQueues(Session& session, Region region);
  /// Waits until receives that were stopped have ended: as long as SQS was asked to wait, and 3 s more at most.
  ~SqsQueues() override;
  SqsQueues(const SqsQueues&) = delete;
  SqsQueues& operator=(const SqsQueues&) = delete;

  void create(const QueueName& queue, const queue::QueueSettings& settings) override;
  bool exists(const QueueName& queue) override;
  std::string notification_target(const QueueName& queue) override;
  std::chrono::seconds visibility_timeout(const QueueName& queue) override;
  void destroy(const QueueName& queue) override;
  std::vector<QueueName> list(const std::string& prefix) override;
  queue::QueueDepth depth(const QueueName& queue) override;

  std::vector<queue::EntryResult> send(const QueueName& queue, const std::vector<std::string>& bodies,
                                       std::chrono::seconds delay = {}) override;
  /// `wait` is rounded up to whole seconds; below a second the queue is asked without waiting, and the call waits here.
  /// A request under way when `stop` is requested is not broken off, since the queue would hold its messages for
  /// nobody: it goes on in the background, and what it brings is made visible again. The destructor waits for that.
  std::vector<queue::Message> receive(const QueueName& queue, std::size_t most, Milliseconds wait,
                                      std::stop_token stop) override;
  std::vector<queue::EntryResult> remove(const QueueName& queue, const std::vector<Receipt>& receipts) override;
  std::vector<queue::EntryResult> set_visibility(const QueueName& queue, const std::vector<Receipt>& receipts,
                                                 std::chrono::seconds timeout) override;
  void purge(const QueueName& queue) override;

 private:
  struct Receive;
  /// A receive whose caller was stopped.
  struct LeftReceive {
    std::shared_ptr<Receive> receive;
    std::jthread thread;
  };
  void run(const std::shared_ptr<Receive>& receive);
  void give_back(const QueueName& queue, const std::vector<queue::Message>& messages) noexcept;
  void leave(const std::shared_ptr<Receive>& receive, std::jthread thread);

  /// Makes the request for a queue's URL.
  using Build = std::function<aws::Call(const aws::QueueUrl&)>;
  /// Makes the request for the entries [first, first + count).
  using BuildBatch = std::function<aws::Call(const aws::QueueUrl&, std::size_t first, std::size_t count)>;

  std::string where_of(const QueueName& queue) const;
  std::optional<aws::QueueUrl> ask_url(const QueueName& queue);
  /// Throws Error{not_found}.
  aws::QueueUrl url_of(const QueueName& queue);
  void forget(const QueueName& queue);
  /// Sends a request and reads the whole answer; a refusal is an Error.
  std::string fetch(aws::Call call, const std::string& where, const SendOptions& options = {});
  std::string fetch(const QueueName& queue, const Build& build, const SendOptions& options = {});
  /// One batch; the result of each of its entries.
  std::vector<queue::EntryResult> run_batch(const QueueName& queue, const BuildBatch& build, std::size_t first,
                                            std::size_t count);
  std::vector<queue::EntryResult> run_batches(const QueueName& queue, const std::vector<std::size_t>& sizes,
                                              const BuildBatch& build);
  void allow_events(const QueueName& queue, const std::vector<BucketName>& buckets);

  Session& session_;
  const Region region_;
  const aws::SqsRequests requests_;
  Mutex mutex_;
  std::map<QueueName, aws::QueueUrl> urls_ BALE_GUARDED_BY(mutex_);
  std::stop_source abandon_;  ///< breaks left receives off
  std::vector<LeftReceive> left_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cloud
