// SQS or DynamoDB as a test tells it to be: a scripted server that answers by operation, and a session with it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cloud/session.hpp"
#include "flow/retrier.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::testing {

/// An operation and its members, as the service got them.
struct Asked {
  std::string operation;
  nlohmann::json members;
};

/// The failure of a JSON service.
inline std::string refusal(int status, const std::string& code, const http::Headers& headers = {}) {
  return answer(status, nlohmann::json({{"__type", "com.amazonaws#" + code}, {"message", "scripted"}}).dump(), headers);
}

class JsonService : public ::testing::Test {
 protected:
  JsonService() {
    world_.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_EC2_METADATA_DISABLED", "true"},
                                    {"HOME", world_.path("home").string()}};
    session_ = std::make_unique<cloud::Session>(outside_, os::system_processes(),
                                                cloud::SessionOptions{.endpoint_url = server_->url()});
  }

  /// What is answered to this operation, one after the other; the last for ever. Others are 404.
  void on(const std::string& operation, std::vector<std::string> answers) {
    const std::scoped_lock lock(mutex_);
    answers_[operation] = std::move(answers);
  }

  /// What was asked since the last call.
  std::vector<Asked> asked() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(asked_, {});
  }
  /// The operations alone.
  std::vector<std::string> operations() {
    std::vector<std::string> names;
    for (const Asked& each : asked()) names.push_back(each.operation);
    return names;
  }

  std::string reply(const Received& request) {
    const std::string target(request.headers.get("x-amz-target"));
    const std::string operation = target.substr(target.find('.') + 1);
    const std::scoped_lock lock(mutex_);
    asked_.push_back({operation, nlohmann::json::parse(request.body)});
    const auto found = answers_.find(operation);
    if (found == answers_.end() || found->second.empty()) return answer(404);
    const std::string next = found->second.front();
    if (found->second.size() > 1) found->second.erase(found->second.begin());
    return next;
  }

  FakeWorld world_;
  os::World outside_ = world_.world();
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> answers_;
  std::vector<Asked> asked_;
  std::unique_ptr<ScriptedServer> server_ = ScriptedServer::answering([this](const Received& r) { return reply(r); });
  std::unique_ptr<cloud::Session> session_;
  flow::Retrier retrier_{outside_};
};

}  // namespace bale::testing
