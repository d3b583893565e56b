#include "jobs/doctor/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "jobs/doctor/probes.hpp"

namespace bale::doctor {
namespace {

/// An upload of this age is no longer under way, as far as anybody can guess.
constexpr Milliseconds old_upload = std::chrono::days(7);
constexpr std::size_t most_sized_uploads = 1000;
constexpr std::size_t most_named_grounds = 3;

std::vector<Probe> all_probes() {
  std::vector<Probe> all;
  for (const auto& some : {object_probes(), upload_probes(), condition_probes(), bucket_probes()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

std::string words_of(const Error& error) {
  const bool is_said = error.code().empty() || error.summary().find(error.code()) != std::string::npos;
  return is_said ? error.summary() : fmt::format("{} ({})", error.summary(), error.code());
}

/// Whether the store may not have answered at all: there is no code of its own, or something answered in its place.
bool is_without_answer(const Error& error) {
  return is_transient(error.kind()) && (error.code().empty() || error.code() == "NotFromService");
}

class Checkup {
 public:
  Checkup(const Place& place, const CheckupOptions& options, const Listener& listener)
      : place_(place), options_(options), listener_(listener), ground_(place) {}

  CheckupResult run() {
    result_.ground = ground_.root();
    try_access();
    if (options_.probes) {
      try {
        run_probes();
        if (lost_) throw *lost_;
      } catch (...) {
        clear_quietly();
        throw;
      }
      clear();
    }
    check_stop();
    look_for_leftovers();
    check_stop();
    return result_;
  }

 private:
  bool is_stopped() const { return place_.world.stop.stop_requested(); }

  void check_stop() const {
    if (is_stopped()) throw Error(ErrorKind::cancelled, "interrupted");
  }

  void tell(const char* probe, Outcome outcome) {
    switch (outcome.verdict) {
      case Verdict::ok: ++result_.ok; break;
      case Verdict::limited: ++result_.limited; break;
      case Verdict::failed: ++result_.failed; break;
      case Verdict::skipped: ++result_.skipped; break;
    }
    listener_.found({std::move(outcome), probe});
  }

  /// What throws here is the answer of the whole command: without a listing there is nothing to examine.
  void try_access() {
    listener_.begins("access");
    const auto bucket = place_.store.head_bucket(place_.bucket);
    if (!bucket) {
      throw Error(ErrorKind::not_found, "no such bucket", "s3://" + place_.bucket.str(), "`bale s3 mb` makes it")
          .with_code("NoSuchBucket");
    }
    const store::ListPage page = place_.store.list(place_.bucket, {.prefix = place_.directory, .max_keys = 1});
    tell("access", ok(fmt::format("signature and credentials are taken; the bucket is in {}, {}",
                                  bucket->region.empty() ? "no region" : bucket->region.str(),
                                  page.objects.empty() ? "with nothing here" : "with objects here")));
  }

  void run_probes() {
    bool may_write = true;
    for (const Probe& probe : all_probes()) {
      check_stop();
      listener_.begins(probe.name);
      if (probe.writes && options_.dryrun) {
        tell(probe.name, skipped(fmt::format("would be tried: {}", probe.tries)));
      } else if (probe.writes && !may_write) {
        tell(probe.name, skipped("nothing can be written"));
      } else if (lost_) {
        tell(probe.name, skipped("the store does not answer any more"));
      } else {
        Outcome outcome = try_probe(probe);
        if (probe.name == std::string_view("objects")) may_write = outcome.verdict != Verdict::failed;
        tell(probe.name, std::move(outcome));
      }
    }
  }

  Outcome try_probe(const Probe& probe) {
    try {
      return probe.run(ground_);
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::cancelled) throw;
      if (!is_without_answer(error)) return {probe.unless, words_of(error), probe.without, error.hint()};
      look_for_store();
      return skipped(fmt::format("no answer: {}", words_of(error)));
    }
  }

  /// After a request without an answer: the probes that are left are not tried where a HEAD of the bucket gets none
  /// either. (A listing may be no XML because of one key in it.)
  void look_for_store() {
    try {
      place_.store.head_bucket(place_.bucket);
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::cancelled) throw;
      if (is_without_answer(error)) lost_ = error;
    }
  }

  void clear() {
    if (options_.dryrun) return;
    listener_.begins("cleanup");
    try {
      const std::size_t removed = clear_ground();
      tell("cleanup", ok(fmt::format("{} objects and versions of these probes are gone again", removed)));
    } catch (...) {
      const Error error = current_error();
      tell("cleanup", failed(words_of(error), fmt::format("objects of these probes are left below {}", shown_ground()),
                             fmt::format("bale s3 rm --recursive --all-versions '{}'", shown_ground())));
    }
  }

  std::size_t clear_ground() {
    listener_.cleaning_up(true);
    try {
      const std::size_t removed = ground_.clear();
      listener_.cleaning_up(false);
      return removed;
    } catch (...) {
      listener_.cleaning_up(false);
      throw;
    }
  }

  /// On the way out with another failure, which is the one that is told.
  void clear_quietly() {
    if (options_.dryrun) return;
    try {
      clear_ground();
    } catch (...) {
      const Error error = current_error();
      try {
        tell("cleanup",
             failed(words_of(error), fmt::format("objects of these probes are left below {}", shown_ground()),
                    fmt::format("bale s3 rm --recursive --all-versions '{}'", shown_ground())));
      } catch (const Error&) {
        return;  // nobody listens any more
      }
    }
  }

  std::string shown_ground() const { return escape_name(to_uri(place_.bucket, ObjectKey(ground_.root()))); }

  /// The store's time, or an earlier one: nothing is to be taken for older than it is.
  TimePoint careful_now() const {
    const TimePoint now = place_.world.clock.now();
    return now + std::min(ground_.clock_ahead.value_or(Milliseconds(0)), Milliseconds(0));
  }

  void look_for_leftovers() {
    listener_.begins("leftovers");
    std::vector<Leftover> uploads;
    try {
      uploads = list_leftovers();
      tell("leftovers", outcome_of(uploads));
    } catch (const Error& error) {
      tell("leftovers", limited(words_of(error), "uploads that a crash left cannot be found here", error.hint()));
      if (options_.abort_older_than) ++result_.not_aborted;
      return;
    }
    if (options_.abort_older_than) {
      abort_leftovers(
          place_.store, place_.bucket, std::move(uploads), *options_.abort_older_than, options_.dryrun,
          place_.world.stop, [this] { return list_leftovers(); }, [this](const Aborted& each) { count(each); });
    }
  }

  std::vector<Leftover> list_leftovers() {
    return find_leftovers(place_.store, place_.bucket, options_.leftovers_prefix, careful_now(), most_sized_uploads,
                          place_.world.stop);
  }

  void count(const Aborted& each) {
    ++(each.error ? result_.not_aborted : result_.aborted);
    if (!each.error) result_.aborted_bytes += each.leftover.bytes.value_or(0);
    listener_.aborted(each);
  }

  Outcome outcome_of(const std::vector<Leftover>& uploads) {
    const std::vector<std::string> grounds = other_grounds();
    if (uploads.empty() && grounds.empty()) return ok("no multipart uploads are under way");
    ByteCount bytes = 0;
    bool all_sized = true;
    for (const Leftover& each : uploads) {
      bytes += each.bytes.value_or(0);
      all_sized = all_sized && each.bytes;
    }
    std::string seen;
    if (!uploads.empty()) {
      seen = fmt::format("{} multipart upload{} under way with {}{}, the oldest for {}", uploads.size(),
                         uploads.size() == 1 ? "" : "s", all_sized ? "" : "at least ", format_bytes(bytes),
                         shown_age(uploads.front().age));
    }
    if (!grounds.empty()) {
      return limited(fmt::format("{}{}objects of an earlier `bale doctor` that was killed, or of one that still runs",
                                 seen, seen.empty() ? "" : "; "),
                     "what it wrote is still there",
                     fmt::format("bale s3 rm --recursive --all-versions '{}'", escape_name(grounds.front())));
    }
    if (uploads.front().age < old_upload || options_.abort_older_than) return ok(seen);
    return limited(seen, "parts of uploads that nobody ends cost, and no listing of objects shows them",
                   "--abort-older-than 7d ends those that are a week old");
  }

  /// What earlier doctors left beside this ground: URIs, a few at most.
  std::vector<std::string> other_grounds() {
    std::vector<std::string> found;
    const std::string prefix = place_.directory + std::string(ground_name);
    const store::ListPage page =
        place_.store.list(place_.bucket, {.prefix = prefix, .delimiter = "/", .max_keys = most_named_grounds});
    for (const std::string& each : page.common_prefixes)
      if (each != ground_.root() && each.starts_with(prefix)) found.push_back(to_uri(place_.bucket, ObjectKey(each)));
    return found;
  }

  static std::string shown_age(Milliseconds age) {
    constexpr Milliseconds day = std::chrono::days(1);
    if (age < 2 * day) return format_duration(age);
    return fmt::format("{} days", age / day);
  }

  const Place& place_;
  const CheckupOptions& options_;
  const Listener& listener_;
  Ground ground_;
  std::optional<Error> lost_;  ///< why the store does not answer any more
  CheckupResult result_;
};

}  // namespace

CheckupResult examine(const Place& place, const CheckupOptions& options, const Listener& listener) {
  return Checkup(place, options, listener).run();
}

}  // namespace bale::doctor
