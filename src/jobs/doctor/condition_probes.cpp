// Probes of conditions: what keeps two writers, or a writer and a reader, apart.
//
// A condition that the server itself does not look at is asked again of the store as every command uses it: there Bale
// looks in the server's place (docs/invariants.md).
#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"
#include "jobs/doctor/probes.hpp"

namespace bale::doctor {
namespace {

const ETag other_etag("0123456789abcdef0123456789abcdef");  // of no object here

constexpr const char* overwritten =
    "a late, older version overwrites a newer one, and two workers do one piece of work";
constexpr const char* bale_looks =
    "Bale looks before it writes; what another writer does between the look and the write is overwritten";
constexpr const char* bale_takes_back =
    "Bale looks before it writes, and takes its version back where another writer was first";

/// Whether the condition of a request is refused. Other failures are let through. A condition on an object that is not
/// there counts as refused, however it is said.
bool is_refused(const std::function<void()>& request) {
  try {
    request();
    return false;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition && error.kind() != ErrorKind::not_found) throw;
    return true;
  }
}

void put_if(store::ObjectStore& store, const ObjectAddress& object, std::string_view content,
            const store::WriteConditions& conditions) {
  store::MemoryBody body(as_bytes(content));
  store.put(object, body, {}, conditions);
}

/// What became of a request on a condition.
enum class Fate {
  done,         ///< the condition held, or was ignored
  refused,      ///< the condition did not hold
  unsupported,  ///< the server does not take such conditions
};

/// Failures of other kinds are let through.
Fate fate_of(const std::function<void()>& request) {
  try {
    return is_refused(request) ? Fate::refused : Fate::done;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    return Fate::unsupported;
  }
}

constexpr const char* no_conditions =
    "conditional writes fail here, and overwrite nothing: `s3 cp --if-none-match`, `restore` into a bucket";

/// Judges a condition that does not hold: `request` writes with it, first to the server, then with Bale's own checks.
Outcome judge(Ground& ground, const char* what, const std::function<void(store::ObjectStore&)>& request) {
  const Fate bare = fate_of([&] { request(ground.bare()); });
  if (bare == Fate::refused) return ok(fmt::format("{} is looked at", what));
  const std::string seen =
      fmt::format("{} is {} by the server", what, bare == Fate::done ? "ignored" : "not supported");
  switch (fate_of([&] { request(ground.store()); })) {
    case Fate::refused: return limited(seen, bale_looks);
    case Fate::done: return failed(seen, overwritten);
    case Fate::unsupported: return failed(seen, no_conditions);
  }
  return failed(seen, overwritten);
}

/// What is limited among these, in one; else ok(all_well).
Outcome worst_of(const std::vector<Outcome>& outcomes, const char* all_well) {
  Outcome worst = ok(all_well);
  for (const Outcome& each : outcomes) {
    if (each.verdict == Verdict::ok) continue;
    const std::string before = worst.verdict == Verdict::ok ? "" : worst.seen + "; ";
    if (worst.verdict < each.verdict) worst = each;
    worst.seen = before + each.seen;
  }
  return worst;
}

Outcome probe_conditional_put(Ground& ground) {
  constexpr const char* name = "conditional-put";
  const ObjectAddress object = ground.at(name);
  const Fate first = fate_of([&] { put_if(ground.bare(), object, "first", {.if_none_match = true, .if_match = {}}); });
  if (first == Fate::refused)
    return failed("If-None-Match: * refuses an object that is not there yet", "nothing new can be landed here");
  if (first == Fate::unsupported) ground.put(name, "first");
  // Each with its own content: an equal object would count as the writer's own, were an answer lost.
  int writes = 0;
  const auto content = [&] { return fmt::format("write {}", ++writes); };
  const Outcome if_none_match = judge(ground, "If-None-Match of PutObject", [&](store::ObjectStore& store) {
    put_if(store, object, content(), {.if_none_match = true, .if_match = {}});
  });
  if (if_none_match.verdict == Verdict::failed) return if_none_match;
  const Outcome if_match = judge(ground, "If-Match of PutObject", [&](store::ObjectStore& store) {
    put_if(store, object, content(), {.if_none_match = false, .if_match = other_etag});
  });
  if (if_match.verdict == Verdict::failed) return if_match;
  const auto info = ground.bare().head(object);
  if (!info) return failed("an object that was just put is not there", "nothing that is stored here can be relied on");
  const auto replaces = [&](store::ObjectStore& store) {
    return fate_of([&] { put_if(store, object, "last", {.if_none_match = false, .if_match = info->etag}); }) ==
           Fate::done;
  };
  Outcome own_etag = ok("If-Match takes the object's own ETag");
  if (!replaces(ground.bare())) {
    const char* const seen = "If-Match of PutObject refuses the object's own ETag";
    if (!replaces(ground.store())) return failed(seen, "newer versions cannot replace older ones here");
    own_etag = limited(seen, bale_looks);
  }
  if (ground.read(name) != "last") return failed("a write on a condition is not what is read", overwritten);
  return worst_of({if_none_match, if_match, own_etag}, "If-None-Match and If-Match are looked at");
}

constexpr int writers = 8;

/// How many of several writers of one new object are let through, all at the same time.
int count_winners(store::ObjectStore& store, const ObjectAddress& object) {
  std::atomic<int> won{0};
  std::mutex mutex;  // of failure
  std::optional<Error> failure;
  {
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        try {
          put_if(store, object, fmt::format("writer {}", writer), {.if_none_match = true, .if_match = {}});
          ++won;
        } catch (...) {
          const Error error = current_error();
          if (error.kind() == ErrorKind::precondition) return;
          const std::scoped_lock lock(mutex);
          failure = error;
        }
      });
    }
  }
  if (failure) throw *failure;
  return won;
}

/// Absent where the store does not take the condition.
std::optional<int> winners_at(store::ObjectStore& store, const ObjectAddress& object) {
  std::optional<int> won;
  return fate_of([&] { won = count_winners(store, object); }) == Fate::unsupported ? std::nullopt : won;
}

Outcome probe_claims(Ground& ground) {
  const std::optional<int> won = winners_at(ground.bare(), ground.at("claims"));
  if (won == 1) return ok(fmt::format("of {} writers at the same time one was let through", writers));
  const std::string seen = won ? fmt::format("of {} writers at the same time {} were let through", writers, *won)
                               : "the server does not support If-None-Match of PutObject";
  const std::optional<int> helped = winners_at(ground.store(), ground.at("claims-helped"));
  if (!won && !helped) return skipped("depends on `conditional-put`: " + seen);
  if (won && helped == 1) return limited(seen, bale_takes_back);
  if (helped == 1) return limited(seen, bale_looks);
  return failed(won ? seen
                    : fmt::format("{}, and of {} writers at the same time {} were let through", seen, writers,
                                  helped.value_or(0)),
                overwritten);
}

Outcome probe_conditional_read(Ground& ground) {
  const std::string content = "content that a reader relies on";
  ground.put("conditional-read", content);
  const auto read_if = [&](const ETag& etag) {
    return ground.read("conditional-read", std::nullopt, {.version_id = {}, .if_match = etag});
  };
  if (!is_refused([&] { read_if(other_etag); }))
    return failed("If-Match of a GET is not looked at",
                  "an object that is replaced while it is read in ranges is mixed up with the new one");
  const auto info = ground.store().head(ground.at("conditional-read"));
  if (!info || read_if(info->etag) != content)
    return failed("If-Match of a GET refuses the object's own ETag", "large objects cannot be read here");
  return ok("a GET with If-Match reads the object that was meant, or nothing");
}

Outcome probe_conditional_complete(Ground& ground) {
  constexpr const char* name = "conditional-complete";
  ground.put(name, "there already");
  int uploads = 0;
  return judge(ground, "If-None-Match of CompleteMultipartUpload", [&](store::ObjectStore& store) {
    const UploadId upload = ground.begin_upload(name);
    // Each with its own content: an equal object would count as this upload's own, were an answer lost.
    const store::UploadedPart part = ground.put_part(name, upload, 1, fmt::format("from upload {}", ++uploads));
    store.complete_upload(ground.at(name), upload, {part}, {.if_none_match = true, .if_match = {}});
  });
}

Outcome probe_conditional_copy(Ground& ground) {
  ground.put("copy-source", "source");
  ground.put("copy-target", "there already");
  const Outcome source = judge(ground, "x-amz-copy-source-if-match", [&](store::ObjectStore& store) {
    store.copy({ground.at("copy-source"), {}, other_etag}, ground.at("copy-elsewhere"));
  });
  const Outcome target = judge(ground, "If-None-Match of CopyObject", [&](store::ObjectStore& store) {
    store.copy({ground.at("copy-source"), {}, {}}, ground.at("copy-target"), std::nullopt,
               {.if_none_match = true, .if_match = {}});
  });
  return worst_of({source, target}, "conditions on the source and on the target of a copy are looked at");
}

Outcome probe_copy(Ground& ground) {
  store::ObjectAttributes sent;
  sent.headers.content_type = "application/x-bale-doctor";
  sent.metadata = {{"owner", "bale"}};
  ground.put("copied", "content that is copied", sent);
  const auto copy_to = [&](store::ObjectStore& store, const char* name,
                           const std::optional<store::ObjectAttributes>& replace) {
    store.copy({ground.at("copied"), {}, {}}, ground.at(name), replace);
    return store.head(ground.at(name));
  };
  const auto kept = copy_to(ground.bare(), "copy-kept", std::nullopt);
  store::ObjectAttributes others;
  others.metadata = {{"owner", "someone else"}};
  const auto replaced = copy_to(ground.bare(), "copy-replaced", others);
  if (!kept || !replaced || ground.read("copy-kept") != "content that is copied")
    return failed("a copy inside the store is not its source",
                  "backups, which are copied into place, are damaged here");
  if (kept->metadata != sent.metadata || kept->headers.content_type != sent.headers.content_type)
    return failed("a copy loses the metadata of its source", "objects copied here lose their metadata");
  if (replaced->metadata != others.metadata)
    return failed("a copy keeps the metadata that it was to replace", "objects copied here have wrong metadata");
  return ok("copied inside the store, with its metadata or with others");
}

Outcome probe_copy_tags(Ground& ground) {
  if (!ground.takes_tags) return skipped("depends on `tags`: there are none here");
  ground.put("copied-tags", "content that is copied");
  store::ObjectAttributes sent;
  sent.tags = {{"project", "bale doctor"}};
  const auto tags_of_copy = [&](store::ObjectStore& store, const char* name) {
    store.copy({ground.at("copied-tags"), {}, {}}, ground.at(name), sent);
    return store.get_tags(ground.at(name));
  };
  if (tags_of_copy(ground.bare(), "copy-tags") == sent.tags) return ok("a copy has the tags that it was to have");
  const char* const seen = "a copy is made without the tags that it was to have";
  return tags_of_copy(ground.store(), "copy-tagged") == sent.tags
             ? limited(seen, "Bale sets them after the copy: until then, and after a kill, it is without")
             : failed(seen, "objects copied here lose their tags");
}

/// Bytes that change after they were read for the signature, as on a bad line. Reading starts with rewind(), or with
/// the first next().
class ChangingBody final : public store::Body {
 public:
  ByteCount size() const override { return original.size(); }
  ByteView next(std::size_t most) override {
    touched_ = true;
    // Every second reading is the one that is sent, also when all is tried again.
    const std::string_view text = readings_ % 2 == 0 ? original : changed;
    const std::string_view piece = text.substr(offset_, most);
    offset_ += piece.size();
    return as_bytes(piece);
  }
  void rewind() override {
    if (touched_) ++readings_;
    touched_ = false;
    offset_ = 0;
  }

  static constexpr std::string_view original = "the bytes that were signed";
  static constexpr std::string_view changed = "the bytes that were sent  ";
  static_assert(original.size() == changed.size());

 private:
  std::size_t offset_ = 0;
  int readings_ = 0;
  bool touched_ = false;
};

Outcome probe_checksums(Ground& ground) {
  ChangingBody body;
  try {
    ground.bare().put(ground.at("checksums"), body, {});
  } catch (const Error& error) {
    if (is_transient(error.kind()) || error.kind() == ErrorKind::internal) throw;
    if (ground.bare().head(ground.at("checksums")))
      return limited("a body that changed on the way is refused, and is there all the same",
                     "a damaged object stays until it is written again");
    return ok(fmt::format("a body that changed on the way is refused{}",
                          error.code().empty() ? "" : " (" + error.code() + ")"));
  }
  if (ground.read("checksums") == ChangingBody::original)
    return ok("bodies go straight to the store: nothing can change on the way");
  return limited("a body that changed on the way is taken: neither signature nor SHA-256 is compared",
                 "bytes that a bad line changes are found when they are read back, not when they are written",
                 "reach the store by https, which protects bytes on the way");
}

}  // namespace

std::vector<Probe> condition_probes() {
  return {
      {"conditional-put", "puts objects with If-None-Match and If-Match", true, Verdict::failed, overwritten,
       probe_conditional_put},
      {"claims", "puts one object from 8 writers at once, each only if it is not there", true, Verdict::failed,
       overwritten, probe_claims},
      {"conditional-read", "reads an object with If-Match", true, Verdict::failed, "large objects cannot be read here",
       probe_conditional_read},
      {"copy", "copies an object inside the store, with its metadata and with others", true, Verdict::failed,
       "backups, which are copied into place, cannot be made here", probe_copy},
      {"copy-tags", "copies an object inside the store, with tags for the copy", true, Verdict::limited,
       "objects cannot be copied here with other tags", probe_copy_tags},
      {"conditional-copy", "copies an object on conditions that do not hold", true, Verdict::limited, bale_looks,
       probe_conditional_copy},
      {"conditional-complete", "completes an upload only if there is no object", true, Verdict::limited, bale_looks,
       probe_conditional_complete},
      {"checksums", "puts an object whose bytes change between signature and sending", true, Verdict::limited,
       "bytes that a bad line changes are found when they are read back, not when they are written", probe_checksums},
  };
}

}  // namespace bale::doctor
