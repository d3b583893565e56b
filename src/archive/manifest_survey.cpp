#include "archive/manifest_survey.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "archive/stream_reader.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::string_view noted = "the names in the tar";
constexpr ByteCount name_memory = 64;  // of a node of the map, and its share of the buckets

std::uint64_t hash_of(std::string_view name) { return xxh64(as_bytes(name)); }

}  // namespace

void ManifestSurvey::note(const TarStream::Member& member, std::size_t tars_before, MemoryShare& memory) {
  if (tars_before != tar_) {
    tar_ = tars_before;
    if (manifest_) {
      merge();
      ++group_;
    }
  }
  const std::uint64_t name = hash_of(member.name);
  const auto [place, is_new] = seen_.try_emplace(name);
  if (is_new) memory.add(name_memory, noted);
  Seen& seen = place->second;
  if (seen.group != group_) seen.before_group = seen.members;
  if (seen.group != group_) seen.is_unlisted_file = false;
  seen.group = group_;
  const Occurrence occurrence{name, seen.members++};
  const bool has_data = member.regular || member.is_strange || !member.hard_link_to.empty();
  if (has_data && !seen.is_unlisted_file && !is_manifest_name(member.name)) {
    seen.is_unlisted_file = true;
    ++unlisted_;
  }
  if (member.hard_link_to.empty()) return;
  const std::uint64_t target = hash_of(member.hard_link_to);
  const auto there = seen_.find(target);
  if (there == seen_.end() || (target == name && occurrence.second == 0)) return;
  const std::uint32_t members_before = there->second.members - (target == name ? 2 : 1);
  const auto link = links_.find({target, members_before});
  memory.add(2 * name_memory + member.hard_link_to.size(), noted);
  links_[occurrence] = link == links_.end() ? Content{member.hard_link_to, members_before} : link->second;
}

void ManifestSurvey::take(std::optional<Manifest> manifest) { manifest_ = std::move(manifest); }

std::uint32_t ManifestSurvey::before_group(std::uint64_t name) const {
  const auto seen = seen_.find(name);
  if (seen == seen_.end()) return 0;
  return seen->second.group == group_ ? seen->second.before_group : seen->second.members;
}

/// Adds the manifest of the present group to the others.
void ManifestSurvey::merge() {
  ObjectList& objects = manifest_->objects;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    ManifestObject object = objects[i];
    const std::uint64_t name = hash_of(object.member);
    const auto seen = seen_.find(name);
    if (seen != seen_.end() && seen->second.group == group_ && std::exchange(seen->second.is_unlisted_file, false))
      --unlisted_;
    const auto occurrence = static_cast<std::uint32_t>(before_group(name) + object.members_before);
    const auto link = links_.find({name, occurrence});
    if (link != links_.end()) {
      object.content_member = link->second.member == object.member ? std::string() : link->second.member;
      objects.set(i, object);
    }
    objects.set_place(i, object.data_offset, link == links_.end() ? occurrence : link->second.members_before);
  }
  // An archive of Bale may hold what is left of an object that failed while it was packed.
  left_out_ += manifest_->version > 0 ? 0 : unlisted_;
  unlisted_ = 0;
  if (merged_++ == 0) {
    all_ = std::move(*manifest_);
  } else {
    all_.version = 0;
    for (const ManifestObject& object : objects) all_.objects.push_back(object);
    all_.targets = std::move(manifest_->targets);
    all_.deletions.insert(all_.deletions.end(), manifest_->deletions.begin(), manifest_->deletions.end());
  }
  manifest_.reset();
}

void ManifestSurvey::keep_newest() {
  std::unordered_map<std::string, std::size_t> newest;
  std::vector<bool> is_kept(all_.objects.size(), true);
  for (std::size_t i = 0; i < all_.objects.size(); ++i) {
    const ManifestObject object = all_.objects[i];
    const auto [place, is_first] = newest.try_emplace(object.relative_key, i);
    if (is_first) continue;
    const ManifestObject other = all_.objects[place->second];
    if (other.key != object.key || other.source_bucket != object.source_bucket) ++replaced_;
    const bool is_newer = object.last_modified >= other.last_modified;
    is_kept[is_newer ? place->second : i] = false;
    if (is_newer) place->second = i;
  }
  all_.objects.keep_only(is_kept);
}

Manifest ManifestSurvey::finish(MemoryShare& memory) {
  if (manifest_) merge();
  if (merged_ > 1) {
    ByteCount keys = 0;
    for (const ManifestObject& object : all_.objects) keys += object.relative_key.size() + 2 * name_memory;
    memory.add(keys, "the objects of several manifests");
    keep_newest();
    memory.give_back(keys);
  }
  return std::move(all_);
}

std::vector<Remark> ManifestSurvey::remarks() const {
  std::vector<Remark> remarks;
  if (unlisted_ > 0) {
    remarks.push_back(
        {fmt::format("the last manifest.json is followed by a tar whose {} files no manifest lists: they are left out",
                     unlisted_),
         true});
  }
  if (left_out_ > 0) {
    remarks.push_back(
        {fmt::format("{} files of the tar are listed in no manifest.json: they are left out", left_out_), true});
  }
  if (replaced_ > 0) {
    remarks.push_back({fmt::format("{} objects have the same name in this archive as an object of another source: "
                                   "of each name the newest is read",
                                   replaced_),
                       true});
  }
  return remarks;
}

}  // namespace bale::archive
