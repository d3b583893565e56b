// Probes of the bucket as a whole: listings, versions, notifications, clock, speed.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "jobs/doctor/probes.hpp"

namespace bale::doctor {
namespace {

using store::ListRequest;

/// In the order of their bytes, which is neither that of a dictionary nor that of directories.
constexpr std::array<std::string_view, 9> sorted_names = {"B",
                                                          "a",
                                                          "a b",
                                                          "a-b",
                                                          "a/b",
                                                          "a/c",
                                                          "a0",
                                                          "b",
                                                          "\xC3\xA4"
                                                          "e"};

/// The names below `root` that pages of 3 give, at most as many pages as cannot be needed.
std::vector<std::string> list_in_pages(Ground& ground, ListRequest request, const std::string& root) {
  std::vector<std::string> names;
  request.max_keys = 3;
  for (std::size_t page_number = 0; page_number < 2 * sorted_names.size(); ++page_number) {
    const store::ListPage page = ground.store().list(ground.place().bucket, request);
    for (const store::ListedObject& object : page.objects) names.push_back(object.key.str().substr(root.size()));
    for (const std::string& prefix : page.common_prefixes) names.push_back(prefix.substr(root.size()));
    request.continuation = page.next;
    if (page.next.empty()) return names;
  }
  names.emplace_back("(listing has no end)");
  return names;
}

Outcome probe_listing(Ground& ground) {
  for (const std::string_view name : sorted_names) ground.put(fmt::format("list/{}", name), "x");
  const std::string root = ground.root() + "list/";
  std::vector<std::string> all(sorted_names.begin(), sorted_names.end());
  std::vector<std::string> listed = list_in_pages(ground, {.prefix = root}, root);
  if (listed != all) {
    std::sort(listed.begin(), listed.end());
    if (listed == all)
      return failed("keys are not listed in the order of their bytes",
                    "a backfill that goes on where it stopped leaves objects out");
    return failed("pages of a listing leave keys out, or repeat them",
                  "objects are left out of what works on listings");
  }
  const std::vector<std::string> after = list_in_pages(ground, {.prefix = root, .start_after = root + "a/b"}, root);
  if (after != std::vector<std::string>(all.begin() + 5, all.end()))
    return failed("a listing that starts behind a key gives others",
                  "a backfill that goes on where it stopped leaves objects out, or takes them twice");
  std::vector<std::string> level = list_in_pages(ground, {.prefix = root, .delimiter = "/"}, root);
  const std::string a_umlaut = "\xC3\xA4";  // apart from what follows, which would be part of the last number
  std::sort(level.begin(), level.end());
  if (level != std::vector<std::string>{"B", "a", "a b", "a-b", "a/", "a0", "b", a_umlaut + "e"})
    return limited("a listing down to '/' gives other names", "`bale s3 ls` without --recursive is wrong here");
  return ok("pages of 3, in the order of bytes, from a key on, and down to '/'");
}

Outcome probe_versioning(Ground& ground) {
  const store::Versioning state = ground.store().get_versioning(ground.place().bucket);
  if (state == store::Versioning::never) return ok("off: what is overwritten or removed is gone");
  if (state == store::Versioning::suspended) return ok("suspended: what is overwritten or removed now is gone");
  const store::PutResult first = ground.put("versions", "first");
  ground.put("versions", "second");
  const char* const consequence = "an object that is replaced while it is read cannot be read to its end";
  if (first.version_id.empty()) return limited("on, but a PUT does not tell its version", consequence);
  if (ground.read("versions", std::nullopt, {.version_id = first.version_id, .if_match = {}}) != "first")
    return failed("on, but an old version is read with the bytes of another", consequence);
  return ok("on: old versions are kept and can be read");
}

/// Whether events of objects below `root` match the rule, some of them at least.
bool tells_of(const store::NotificationRule& rule, const std::string& root) {
  return rule.suffix.empty() && (root.starts_with(rule.prefix) || rule.prefix.starts_with(root));
}

Outcome probe_notifications(Ground& ground) {
  const auto rules = ground.store().get_notifications(ground.place().bucket);
  if (rules.empty()) return ok("none are set up; they can be asked for");
  const auto own = std::count_if(rules.begin(), rules.end(), [&](const auto& r) { return tells_of(r, ground.root()); });
  std::string seen = fmt::format("{} rule{} to queues", rules.size(), rules.size() == 1 ? "" : "s");
  if (own > 0) seen += fmt::format("; {} would tell of these probes' objects too", own);
  return ok(seen);
}

Outcome probe_clock(Ground& ground) {
  constexpr Milliseconds tolerable{60'000};
  const TimePoint before = ground.world().clock.now();
  ground.put("clock", "x");
  const TimePoint after = ground.world().clock.now();
  const auto info = ground.store().head(ground.at("clock"));
  if (!info) return failed("an object that was just put is not there", "nothing that is stored here can be relied on");
  // The store tells whole seconds, cut off: half a second of it is nobody's fault.
  const Milliseconds ahead = info->last_modified + Milliseconds(500) - (before + (after - before) / 2);
  ground.clock_ahead = ahead;
  const Milliseconds apart = std::chrono::abs(ahead);
  if (apart <= tolerable) return ok("the store's clock and this machine's agree to a minute");
  return limited(
      fmt::format("the store's clock is {} {}", format_duration(apart), ahead.count() > 0 ? "ahead" : "behind"),
      "requests are signed with the store's time; ages and `--as-of` times are off by as much",
      "set this machine's clock (NTP)");
}

using Microseconds = std::chrono::microseconds;

Microseconds measure(os::Clock& clock, const auto& work) {
  const auto start = clock.steady();
  work();
  return std::chrono::duration_cast<Microseconds>(clock.steady() - start);
}

std::string rate(ByteCount bytes, Microseconds elapsed) {
  if (elapsed.count() <= 0) return "-";
  return format_bytes(bytes * 1'000'000 / static_cast<ByteCount>(elapsed.count())) + "/s";
}

Outcome probe_speed(Ground& ground) {
  constexpr std::size_t heads = 10;
  constexpr std::size_t bytes = 8 << 20;
  os::Clock& clock = ground.world().clock;
  const std::string content = ground.noise(bytes);
  const Microseconds up = measure(clock, [&] { ground.put("speed", content); });
  const Microseconds down = measure(clock, [&] { ground.read("speed"); });
  std::vector<Microseconds> times;
  for (std::size_t i = 0; i < heads; ++i)
    times.push_back(measure(clock, [&] { ground.store().head(ground.at("speed")); }));
  std::nth_element(times.begin(), times.begin() + heads / 2, times.end());
  return ok(fmt::format("a HEAD in {:.1f} ms (median of {}); 8 MiB over one connection: up {}, down {}",
                        static_cast<double>(times[heads / 2].count()) / 1000, heads, rate(bytes, up),
                        rate(bytes, down)));
}

}  // namespace

std::vector<Probe> bucket_probes() {
  return {
      {"listing", "puts 9 objects and lists them in pages", true, Verdict::failed,
       "nothing that works on listings can be done here", probe_listing},
      {"versioning", "asks whether versions are kept; where they are, reads an old one", true, Verdict::limited,
       "old versions cannot be read here", probe_versioning},
      {"clock", "compares an object's time with this machine's clock", true, Verdict::limited,
       "whether the clocks agree is not known", probe_clock},
      {"speed", "puts and reads 8 MiB, and sends 10 HEADs", true, Verdict::limited,
       "objects of 8 MiB cannot be put here in one request", probe_speed},
      {"notifications", "asks which queues are told of new objects", false, Verdict::limited,
       "`bale replicate` cannot be told of new objects by this store; `bale replicate backfill` finds them by listing",
       probe_notifications},
  };
}

}  // namespace bale::doctor
