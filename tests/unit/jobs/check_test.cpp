// A check of backups: what is lost, damaged or says something else is found and named; what is whole is called whole.
#include "jobs/check/check.hpp"

#include <gmock/gmock.h>

#include <set>

#include "catalog/file.hpp"
#include "catalog/scan.hpp"
#include "jobs/check/rows.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using check::FindingType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Check : public ReplicationKit {
 protected:
  Check() { store->create_bucket(second); }

  /// Packs and lands objects as one archive; returns its key.
  ObjectKey back_up(const std::map<std::string, std::string>& contents) {
    std::vector<pack::Item> items;
    for (const auto& [key, content] : contents) {
      put(key, content);
      items.push_back(item(key, std::to_string(10 + ++sequence_)));
    }
    const ObjectKey key = pack(items).archives.at(0).key;
    EXPECT_THAT(land(bring_to_inbound(key)).failures, IsEmpty());
    outside.clock.advance(Milliseconds(1));
    return key;
  }

  check::Counts run() {
    findings.clear();
    flow::Progress progress;
    check::Report report([&](const check::Finding& finding) { findings.push_back(finding); }, progress);
    check::check_backups({place}, options, tools(), report);
    return report.counts();
  }

  check::Tools tools() { return {pools, budget, outside.clock, outside.stop.get_token()}; }

  std::vector<FindingType> types() const {
    std::vector<FindingType> all;
    for (const check::Finding& finding : findings) all.push_back(finding.type);
    return all;
  }
  std::set<std::string> named() const {
    std::set<std::string> keys;
    for (const check::Finding& finding : findings) {
      for (const ObjectAddress& object : finding.objects) keys.insert(object.key.str());
    }
    return keys;
  }

  void write(const BucketName& bucket, const ObjectKey& key, const std::string& content,
             const store::ObjectAttributes& attributes = {}) {
    store::MemoryBody body(as_bytes(content));
    store->put({bucket, key}, body, attributes);
  }
  ObjectKey only_file() { return store->list(catalog, {}).objects.at(0).key; }
  std::string file_text() { return *read(catalog, only_file().str()); }
  std::vector<catalog::Record> rows() {
    std::vector<catalog::Record> found;
    catalog::read_file_text(file_text(), [&](catalog::Record row) { found.push_back(std::move(row)); });
    return found;
  }
  std::string noise(std::size_t bytes) {
    std::string text(bytes, '\0');
    outside.entropy.fill({reinterpret_cast<std::byte*>(text.data()), text.size()});
    return text;
  }

  const BucketName second{"second-vault"};
  check::Place place{&target, {catalog, ""}, {{vault, ""}, {second, ""}}};
  check::Options options;
  std::vector<check::Finding> findings;

 private:
  int sequence_ = 0;
};

TEST_F(Check, WhatIsWholeIsCalledWhole) {
  back_up({{"a", "1"}, {"b/c", ""}, {"large", noise(300'000)}});
  back_up({{"a", "2"}});
  options.read_data = check::Share{};
  const check::Counts counts = run();
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.damage + counts.unexamined + counts.notices, 0U);
  EXPECT_EQ(counts.archives, 2U);
  EXPECT_EQ(counts.copies, 2U);
  EXPECT_EQ(counts.catalog_files, 2U);
  EXPECT_EQ(counts.rows, 4U);
  EXPECT_EQ(counts.objects_read, 4U);
  EXPECT_EQ(counts.bytes_read, 300'002U);
}

TEST_F(Check, WithoutContentOnlyTheEndsOfArchivesAreRead) {
  back_up({{"a", "1"}, {"large", noise(2 << 20)}});
  const int before = target.faults.calls("get");
  run();
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(target.faults.calls("get") - before, 1 + 1) << "the catalog file; the end of the archive";
}

TEST_F(Check, AFlippedByteAnywhereInAnArchiveIsFoundAndItsObjectsAreNamed) {
  const ObjectKey key = back_up({{"small", "one"}, {"words", std::string(3000, 'w')}, {"noise", noise(70'000)}});
  const std::string whole = *read(vault, key.str());
  options.read_data = check::Share{};
  std::size_t flips = 0;
  const auto is_sampled = [&](std::size_t at) { return at < 64 || at % 613 == 0 || at + 260 > whole.size(); };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    if (!is_sampled(at)) continue;
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (flips++ % 8)));
    write(vault, key, damaged);
    EXPECT_GT(run().damage, 0U) << "byte " << at << " of " << whole.size();
    EXPECT_THAT(named(), Not(IsEmpty())) << "byte " << at;
  }
  EXPECT_GT(flips, 400U);
  write(vault, key, whole);
  EXPECT_EQ(run().damage, 0U);
}

TEST_F(Check, AByteThatChangesNoObjectIsFoundAllTheSame) {
  const ObjectKey key = back_up({{"a", "1"}, {"b", "2"}});
  std::string damaged = *read(vault, key.str());
  damaged[4] ^= 0x10;  // RFC 8878, 3.1.1.1.1.3: the unused bit of a frame's header
  write(vault, key, damaged);
  EXPECT_EQ(run().damage, 1U) << "nothing but the end is read";
  EXPECT_THAT(types(), ElementsAre(FindingType::replaced_archive));
  EXPECT_THAT(named(), ElementsAre("a", "b"));
  options.read_data = check::Share{};
  options.repair = true;
  const check::Counts read_through = run();
  EXPECT_GT(read_through.damage, 1U) << "the frame's own hash tells";
  EXPECT_EQ(read_through.repaired, 0U);
}

TEST_F(Check, AnArchiveThatWasPackedAnewIsBelievedWhenItWasRead) {
  const ObjectKey key = back_up({{"a", "1"}, {"b", "2"}});
  const ObjectKey file = only_file();
  const std::string whole = *read(vault, key.str()), text = file_text();
  const ObjectKey anew = pack({item("a", "11"), item("b", "12")}).archives.at(0).key;
  write(vault, key, *read(outbound, anew.str()));  // the same objects, other bytes
  EXPECT_GT(run().damage, 0U);
  EXPECT_THAT(types(), ::testing::Contains(FindingType::replaced_archive));
  options.repair = true;
  EXPECT_EQ(run().repaired, 0U) << "without reading, nobody knows whether it is whole";
  options.read_data = check::Share{};
  EXPECT_EQ(run().repaired, 1U);
  options.repair = false;
  EXPECT_EQ(run().damage, 0U);
  EXPECT_NE(file_text(), text);
  std::string damaged = whole;
  damaged[rows().at(0).location->frame_offset + 9] ^= 1;
  write(vault, key, damaged);
  options.repair = true;
  EXPECT_GT(run().damage, 0U);
  EXPECT_THAT(types(), ::testing::Contains(FindingType::replaced_archive));
  write(vault, key, whole);
  run();
  EXPECT_EQ(read(catalog, file.str()), text);
}

TEST_F(Check, RowsOfEarlierVersionsHaveNoETagAndAreRebuiltWithoutOne) {
  back_up({{"a", "1"}, {"b", "2"}});
  std::vector<catalog::Record> earlier = rows();
  for (catalog::Record& row : earlier) row.archive_etag = ETag();
  const std::string text = catalog::to_file_text(earlier);
  write(catalog, only_file(), text);
  EXPECT_EQ(run().damage, 0U);
  write(catalog, only_file(), text.substr(0, text.find('\n') + 1));
  options.repair = true;
  EXPECT_EQ(run().repaired, 1U);
  EXPECT_EQ(file_text(), text);
}

TEST_F(Check, AnArchiveThatWasCutOrGrewIsFound) {
  const ObjectKey key = back_up({{"a", noise(1000)}});
  const std::string whole = *read(vault, key.str());
  for (const std::string& other : {whole.substr(0, whole.size() - 1), whole.substr(0, 500), std::string(), whole + "x",
                                   whole + whole, std::string(2000, '\0')}) {
    write(vault, key, other);
    EXPECT_GT(run().damage, 0U) << other.size() << " bytes instead of " << whole.size();
    EXPECT_THAT(named(), ElementsAre("a"));
  }
}

TEST_F(Check, BytesBehindAnArchiveAreToldWhereNoETagTells) {
  const ObjectKey key = back_up({{"a", noise(1000)}});
  std::vector<catalog::Record> earlier = rows();
  for (catalog::Record& row : earlier) row.archive_etag = ETag();
  write(catalog, only_file(), catalog::to_file_text(earlier));
  write(vault, key, *read(vault, key.str()) + "garbage");
  EXPECT_EQ(run().damage, 0U);
  EXPECT_THAT(types(), ElementsAre(FindingType::bytes_behind_archive));
  options.read_data = check::Share{};
  EXPECT_EQ(run().damage, 0U);
  EXPECT_THAT(types(), ElementsAre(FindingType::bytes_behind_archive));
}

TEST_F(Check, OnlyTheObjectsOfADamagedFrameAreNamed) {
  const ObjectKey key = back_up({{"a.txt", noise(50'000)}, {"b.txt", noise(50'000)}, {"c.txt", noise(50'000)}});
  const auto all = rows();
  const auto& middle = all.at(1);
  std::string damaged = *read(vault, key.str());
  damaged[middle.location->frame_offset + middle.location->frame_length / 2] ^= 1;
  write(vault, key, damaged);
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::replaced_archive)) << "by its ETag: the content is not looked at";
  options.read_data = check::Share{};
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::replaced_archive, FindingType::damaged_object));
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_THAT(findings[1].objects, ElementsAre(ObjectAddress{src, middle.object_path}));
  EXPECT_EQ(findings[1].where, to_uri(vault, key));
}

TEST_F(Check, AFlippedByteAnywhereInACatalogFileIsFoundAndItsRowIsNamed) {
  back_up({{"a", "1"}, {"b", "2"}});
  const ObjectKey key = only_file();
  const std::string whole = file_text();
  for (std::size_t at = 0, flips = 0; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (flips++ % 8)));
    write(catalog, key, damaged);
    EXPECT_GT(run().damage, 0U) << "byte " << at;
    EXPECT_EQ(findings.at(0).type, FindingType::damaged_catalog_file);
    EXPECT_TRUE(named().contains(at < whole.find('\n') ? "a" : "b")) << "byte " << at;
  }
  for (const std::string& other : {std::string(), whole.substr(0, whole.find('\n') + 1), whole + whole}) {
    write(catalog, key, other);
    EXPECT_EQ(run().damage, 1U);
    EXPECT_THAT(types(), ElementsAre(FindingType::damaged_catalog_file));
  }
}

TEST_F(Check, RowsThatSaySomethingElseAreNamedWithTheMember) {
  back_up({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const ObjectKey key = only_file();
  const std::vector<catalog::Record> sound = rows();
  const auto changed = [&](const std::function<void(catalog::Record&)>& change) {
    std::vector<catalog::Record> made = sound;
    change(made[1]);
    write(catalog, key, catalog::to_file_text(made));
    run();
    EXPECT_THAT(types(), ElementsAre(FindingType::different_row));
    EXPECT_THAT(named(), ElementsAre(sound[1].object_path.str()));
    return findings.empty() ? std::string() : findings[0].what;
  };
  EXPECT_EQ(changed([](auto& row) { row.object_size = 12; }), "object_size is 12, in the archive 1");
  EXPECT_THAT(changed([](auto& row) { row.sha256[0] ^= 1; }), HasSubstr("sha256 is"));
  EXPECT_THAT(changed([](auto& row) { row.location->frame_offset += 1; }), HasSubstr("frame_offset"));
  EXPECT_THAT(changed([](auto& row) { row.location.reset(); }), HasSubstr("frame_skip is absent"));
  EXPECT_THAT(changed([](auto& row) { row.metadata["x"] = "y"; }), HasSubstr("metadata"));
  EXPECT_THAT(changed([](auto& row) { row.last_modified += Milliseconds(1); }), HasSubstr("last_modified"));
  EXPECT_THAT(changed([](auto& row) { row.target_buckets.emplace_back("vault-bucket"); }), HasSubstr("target_buckets"));
  EXPECT_THAT(changed([](auto& row) { row.archive_key = ObjectKey("elsewhere.tar.zst"); }), HasSubstr("archive_key"));

  std::vector<catalog::Record> fewer{sound[0], sound[2]};
  write(catalog, key, catalog::to_file_text(fewer));
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_row));
  EXPECT_THAT(named(), ElementsAre(sound[1].object_path.str()));

  std::vector<catalog::Record> more = sound;
  more.push_back(sound[0]);
  more.back().object_path = ObjectKey("invented");
  write(catalog, key, catalog::to_file_text(more));
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::surplus_row));
  EXPECT_THAT(named(), ElementsAre("invented"));
}

TEST_F(Check, AnArchiveThatIsGoneIsNamedWithWhatItHeld) {
  const ObjectKey key = back_up({{"a", "1"}, {"b", "2"}});
  back_up({{"c", "3"}});
  store->remove({vault, key});
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_archive));
  EXPECT_THAT(named(), ElementsAre("a", "b"));
  EXPECT_EQ(findings[0].where, to_uri(vault, key));
}

TEST_F(Check, EveryCopyThatTheRowsNameMustBeThere) {
  targets.push_back({region, second, "", "", true});
  const ObjectKey key = back_up({{"a", "1"}});
  EXPECT_EQ(run().copies, 2U);
  EXPECT_THAT(findings, IsEmpty());
  store->remove({second, key});
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_copy));
  EXPECT_EQ(findings[0].where, to_uri(second, key));
  place.backups = {{vault, ""}};  // nobody lists the second bucket: the rows lead there
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_copy));
  store->remove({vault, key});
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_archive));
}

TEST_F(Check, EveryCopyIsExamined) {
  targets.push_back({region, second, "", "", true});
  const ObjectKey key = back_up({{"a", noise(1000)}});
  const std::string whole = *read(second, key.str());
  std::string damaged = whole;
  damaged[rows().at(0).location->frame_offset + 600] ^= 1;
  write(second, key, damaged);
  options.read_data = check::Share{};
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::copies_differ, FindingType::damaged_object));
  EXPECT_EQ(findings.back().where, to_uri(second, key));
  write(second, key, whole + "x");  // what is behind an archive is no damage of it
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::copies_differ, FindingType::bytes_behind_archive));
  write(second, key, whole);
  const ObjectKey other = back_up({{"z", noise(1000)}});
  write(second, key, *read(second, other.str()));
  run();
  EXPECT_THAT(types(), ::testing::Contains(FindingType::copies_differ));
}

TEST_F(Check, ACopyThatNoRowNamesIsToldAndIsNoFailure) {
  const ObjectKey key = back_up({{"a", "1"}});
  write(second, key, *read(vault, key.str()));
  const check::Counts counts = run();
  EXPECT_EQ(counts.damage + counts.unexamined, 0U);
  EXPECT_THAT(types(), ElementsAre(FindingType::unnamed_copy));
}

TEST_F(Check, AnArchiveWithoutCatalogFileIsNamedAndRepairedToTheByte) {
  back_up({{"a", "1"}, {"b", "2"}});
  const ObjectKey key = only_file();
  const std::string text = file_text();
  store->remove({catalog, key});
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_catalog_file));
  EXPECT_THAT(named(), ElementsAre("a", "b"));
  EXPECT_EQ(findings[0].where, to_uri(catalog, key));

  options.repair = options.dryrun = true;
  EXPECT_EQ(run().damage, 1U);
  EXPECT_EQ(findings.at(0).repair, check::Repair::would);
  EXPECT_FALSE(read(catalog, key.str()));

  options.dryrun = false;
  const check::Counts counts = run();
  EXPECT_EQ(counts.damage, 0U);
  EXPECT_EQ(counts.repaired, 1U);
  EXPECT_EQ(read(catalog, key.str()), text);
  EXPECT_EQ(store->head({catalog, key})->headers.content_type, "application/x-ndjson");
  options.repair = false;
  EXPECT_EQ(run().damage, 0U);
}

TEST_F(Check, DamagedAndWrongCatalogFilesAreRepaired) {
  targets.push_back({region, second, "", "", true});
  back_up({{"a", "1"}, {"b", "2"}});
  const ObjectKey key = only_file();
  const std::string text = file_text();
  std::vector<catalog::Record> wrong = rows();
  wrong[1].object_size = 77;
  options.repair = true;
  for (const std::string& damaged : {text.substr(0, text.size() / 2), std::string(), catalog::to_file_text(wrong),
                                     catalog::to_file_text({wrong[0]})}) {
    write(catalog, key, damaged);
    const check::Counts counts = run();
    EXPECT_EQ(counts.damage, 0U);
    EXPECT_GT(counts.repaired, 0U);
    EXPECT_EQ(read(catalog, key.str()), text);
  }
}

TEST_F(Check, NothingIsRepairedFromAnArchiveThatIsNotWhole) {
  const ObjectKey archive = back_up({{"a", "1"}, {"b", "2"}});
  const ObjectKey key = only_file();
  const std::string text = file_text();
  std::string damaged = *read(vault, archive.str());
  damaged[damaged.size() - 3] ^= 1;  // the seek table's magic number: the objects can be read, as a stream
  write(vault, archive, damaged);
  write(catalog, key, text.substr(0, 100));
  options.repair = true;
  options.read_data = check::Share{};
  EXPECT_GT(run().damage, 1U);
  EXPECT_EQ(read(catalog, key.str()), text.substr(0, 100));
}

TEST_F(Check, ARepairDoesNotOverwriteWhatLandedMeanwhile) {
  back_up({{"a", "1"}});
  const ObjectKey key = only_file();
  write(catalog, key, "{}\n");
  options.repair = true;
  target.before = [&](const std::string& method, const std::string& name) {
    if (method == "put" && name == key.str()) write(catalog, key, "somebody else's\n");
  };
  const check::Counts counts = run();
  target.before = nullptr;
  EXPECT_EQ(counts.damage, 1U);
  EXPECT_EQ(counts.unexamined, 1U);
  EXPECT_EQ(read(catalog, key.str()), "somebody else's\n");
}

TEST_F(Check, ACatalogFileThatCameDuringTheCheckIsNotMissed) {
  back_up({{"a", "1"}});
  const ObjectKey key = only_file();
  const std::string text = file_text();
  store->remove({catalog, key});
  target.before = [&](const std::string& method, const std::string& name) {
    if (method == "get" && name.ends_with(".tar.zst")) write(catalog, key, text);
  };
  const check::Counts counts = run();
  target.before = nullptr;
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.rows, 1U);
}

TEST_F(Check, ACatalogFileThatIsOnItsWayIsWaitedFor) {
  back_up({{"a", "1"}});
  const ObjectKey key = only_file();
  const std::string text = file_text();
  store->remove({catalog, key});
  int looks = 0;
  target.before = [&](const std::string& method, const std::string& name) {
    if (method == "head" && name == key.str() && ++looks == 2) write(catalog, key, text);
  };
  EXPECT_EQ(run().damage, 0U);
  EXPECT_EQ(looks, 2);
  store->remove({catalog, key});
  outside.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(run().damage, 1U);
  EXPECT_EQ(looks, 3) << "an old archive has no file on its way";
  target.before = nullptr;
}

TEST_F(Check, ARepairLeavesTheCatalogFileOfAnArchiveOfTheSameName) {
  const ObjectKey first = back_up({{"a", "1"}});
  const std::string text = file_text();
  const std::string name = first.str().substr(first.str().rfind('/') + 1);
  store->copy({{vault, first}, {}, {}}, {vault, ObjectKey(src.str() + "/x/" + name)});
  options.repair = true;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(run().damage, 1U) << "it is not repaired, and not called so";
    EXPECT_THAT(types(), ElementsAre(FindingType::missing_catalog_file));
    EXPECT_THAT(findings[0].what, HasSubstr(first.str()));
    EXPECT_EQ(file_text(), text);
  }
}

TEST_F(Check, AnArchivedCatalogFileIsUnexamined) {
  back_up({{"a", "1"}});
  write(catalog, only_file(), file_text(), {.storage_class = "GLACIER"});
  EXPECT_EQ(run().unexamined, 1U);
  EXPECT_EQ(findings.at(0).where, to_uri(catalog, only_file()));
  EXPECT_THAT(findings[0].hint, HasSubstr("STANDARD"));
}

TEST_F(Check, WhatIsArchivedIsCountedAndNamedAndNoFailure) {
  targets = {{region, vault, "", "GLACIER", true}};
  const ObjectKey key = back_up({{"a", "1"}});
  options.read_data = check::Share{};
  const check::Counts counts = run();
  EXPECT_EQ(counts.damage + counts.unexamined, 0U);
  EXPECT_EQ(counts.not_readable, 1U);
  EXPECT_THAT(types(), ElementsAre(FindingType::not_readable));
  EXPECT_EQ(findings[0].where, to_uri(vault, key));
  EXPECT_THAT(findings[0].hint, HasSubstr("RestoreObject"));
  const ObjectKey file = only_file();
  store->remove({catalog, file});
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(types(), UnorderedElementsAre(FindingType::not_readable, FindingType::missing_catalog_file));
}

TEST_F(Check, WhatIsRefusedIsNotTakenForDamageAndTheOthersAreExamined) {
  const ObjectKey first = back_up({{"a", "1"}});
  back_up({{"b", "2"}});
  target.arm("get", "year=", Error(ErrorKind::denied, "access denied"), 1);
  check::Counts counts = run();
  EXPECT_EQ(counts.damage, 0U);
  EXPECT_EQ(counts.unexamined, 1U);
  EXPECT_EQ(counts.opened, 2U);
  target.arm("get", first.str(), Error(ErrorKind::unavailable, "no route"), 1);
  counts = run();
  EXPECT_EQ(counts.damage, 0U);
  EXPECT_EQ(counts.unexamined, 1U);
  EXPECT_THAT(named(), ElementsAre("a"));
  target.arm("list", "", Error(ErrorKind::denied, "access denied"), 1);
  counts = run();
  EXPECT_EQ(counts.damage, 0U);
  EXPECT_EQ(counts.unexamined, 1U);
}

TEST_F(Check, ABucketThatIsGoneIsAFinding) {
  const ObjectKey key = back_up({{"a", "1"}});
  store->remove({vault, key});
  store->delete_bucket(vault);
  run();
  EXPECT_THAT(types(), UnorderedElementsAre(FindingType::missing_bucket, FindingType::missing_archive));
}

TEST_F(Check, AStopEndsIt) {
  back_up({{"a", "1"}});
  outside.stop.request_stop();
  try {
    run();
    ADD_FAILURE() << "not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST_F(Check, SharesOfContentTogetherAreAllOfIt) {
  for (int i = 0; i < 12; ++i) back_up({{"key-" + std::to_string(i), "content"}});
  std::uint64_t read = 0;
  for (std::uint32_t n = 1; n <= 4; ++n) {
    options.read_data = check::Share{n, 4};
    const check::Counts counts = run();
    EXPECT_LT(counts.objects_read, 12U);
    read += counts.objects_read;
  }
  EXPECT_EQ(read, 12U);
}

TEST_F(Check, UnknownFilesAreCountedAndNoFindings) {
  back_up({{"a", "1"}});
  write(vault, ObjectKey("notes.txt"), "x");
  write(catalog, ObjectKey("results/query.csv"), "x");
  write(catalog, ObjectKey("odd.jsonl"), "x");
  const check::Counts counts = run();
  EXPECT_EQ(counts.unknown_files, 3U);
  EXPECT_THAT(findings, IsEmpty());
}

TEST_F(Check, WhatIsOlderThanAskedForIsLeftOut) {
  const ObjectKey expired = back_up({{"a", "1"}});
  store->remove({vault, expired});
  EXPECT_EQ(run().damage, 1U);
  outside.clock.advance(std::chrono::hours(24));
  const ObjectKey other = back_up({{"b", "2"}});
  place.since = std::chrono::floor<std::chrono::days>(outside.clock.now());
  check::Counts counts = run();
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.archives, 1U);
  EXPECT_EQ(counts.left_out, 1U);
  store->remove({vault, other});
  EXPECT_EQ(run().damage, 1U);
}

TEST_F(Check, PackedBeforeMidnightAndStoredAfterIt) {
  const ObjectKey key = back_up({{"a", "1"}});
  outside.clock.advance(std::chrono::hours(24));
  write(vault, key, *read(vault, key.str()));
  place.since = std::chrono::floor<std::chrono::days>(outside.clock.now());
  const check::Counts counts = run();
  EXPECT_THAT(findings, IsEmpty()) << "its catalog file of the day before is found";
  EXPECT_EQ(counts.left_out, 1U);
  EXPECT_EQ(counts.rows, 1U);
}

TEST_F(Check, WithACatalogAloneTheRowsLeadToTheArchives) {
  const ObjectKey key = back_up({{"a", "1"}});
  place.backups.clear();
  options.read_data = check::Share{};
  const check::Counts counts = run();
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.archives, 1U);
  EXPECT_EQ(counts.objects_read, 1U);
  store->remove({vault, key});
  run();
  EXPECT_THAT(types(), ElementsAre(FindingType::missing_archive));
}

// ---- pairing

class Pairing : public Check {
 protected:
  std::map<std::string, std::pair<std::size_t, std::size_t>> pairs() {
    std::map<std::string, std::pair<std::size_t, std::size_t>> found;
    flow::Progress progress;
    check::Report report([&](const check::Finding& finding) { findings.push_back(finding); }, progress);
    check::pair_up(place, report, [&](const check::Pair& pair) {
      EXPECT_FALSE(found.contains(pair.archive.str()));
      found[pair.archive.str()] = {pair.copies.size(), pair.files.size()};
    });
    return found;
  }
  void archive(const std::string& key, const BucketName& bucket) { write(bucket, ObjectKey(key), "x"); }
  void file(const std::string& key) { write(catalog, ObjectKey(key), "x"); }
};

TEST_F(Pairing, EveryArchiveMeetsItsFileWhateverTheOrderOfTheirKeys) {
  const std::string day = "year=2025/month=01/day=23/";
  for (const std::string directory : {"src/", "src/docs/", "src/a/b/", "src/year=2024/", "src-b/"}) {
    for (const std::string name : {"backup_1.tar.zst", "backup_2.tar.zst", "0f.tar.zst", "ff.tar.zst"}) {
      archive(directory + name, vault);
      file(directory + day + name + ".jsonl");
    }
  }
  archive("src/backup_1.tar.zst", second);
  const auto found = pairs();
  EXPECT_EQ(found.size(), 20U);
  for (const auto& [key, counts] : found)
    EXPECT_EQ(counts, std::pair(std::size_t{key == "src/backup_1.tar.zst" ? 2U : 1U}, std::size_t{1})) << key;
}

TEST_F(Pairing, ARegionInFrontOfTheCatalogKeyIsPassedOver) {
  archive("src/0f.tar.zst", vault);
  file("us-gov-east-1/src/year=2025/month=01/day=23/0f.tar.zst.jsonl");
  archive("eu-west-1/docs/1f.tar.zst", vault);  // a bucket with such a name
  file("eu-west-1/docs/year=2025/month=01/day=23/1f.tar.zst.jsonl");
  archive("eu-west-1/2f.tar.zst", vault);
  file("eu-west-1/year=2025/month=01/day=23/2f.tar.zst.jsonl");
  const std::pair<std::size_t, std::size_t> whole{1, 1};
  EXPECT_THAT(pairs(),
              UnorderedElementsAre(std::pair("src/0f.tar.zst", whole), std::pair("eu-west-1/docs/1f.tar.zst", whole),
                                   std::pair("eu-west-1/2f.tar.zst", whole)));
}

TEST_F(Pairing, WhatIsAloneComesAlone) {
  archive("src/1f.tar.zst", vault);
  file("src/year=2025/month=01/day=23/2f.tar.zst.jsonl");
  EXPECT_THAT(pairs(), UnorderedElementsAre(std::pair("src/1f.tar.zst", std::pair<std::size_t, std::size_t>(1, 0)),
                                            std::pair("src/2f.tar.zst", std::pair<std::size_t, std::size_t>(0, 1))));
}

// ---- rows of the replaced program

catalog::Record reference_row(const std::string& path, ByteCount size) {
  catalog::Record row;
  row.backup_file = "0f.tar.zst";
  row.source_bucket = BucketName("src");
  row.source_prefix = "docs/";
  row.object_name = path;
  row.object_path = ObjectKey("docs/" + path);
  row.object_size = size;
  row.last_modified = from_epoch_ms(1'700'000'000'000);
  row.target_buckets = {BucketName("vault")};
  return row;
}

catalog::Record expected_row(const std::string& path, ByteCount size) {
  catalog::Record row = reference_row(path, size);
  row.source_prefix = "docs";
  row.archive_bucket = BucketName("vault");
  row.archive_key = ObjectKey("src/docs/0f.tar.zst");
  row.etag = ETag("e");
  row.last_modified += Milliseconds(123);
  return row;
}

TEST(CheckRows, ThoseOfTheReplacedProgramAreComparedInWhatTheyHave) {
  const std::vector<catalog::Record> expected{expected_row("a", 1), expected_row("b", 2)};
  EXPECT_THAT(check::compare_rows(expected, {reference_row("a", 1), reference_row("b", 2)}).findings, IsEmpty());
  // A key that was packed several times: its manifest, as it is read, has the newest alone.
  EXPECT_THAT(
      check::compare_rows(expected, {reference_row("a", 9), reference_row("a", 1), reference_row("b", 2)}).findings,
      IsEmpty());
  const auto different = check::compare_rows(expected, {reference_row("a", 9), reference_row("b", 2)}).findings;
  ASSERT_EQ(different.size(), 1U);
  EXPECT_EQ(different[0].type, FindingType::different_row);
  EXPECT_THAT(different[0].what, HasSubstr("object_size is 9, in the archive 1"));
  EXPECT_EQ(check::compare_rows(expected, {reference_row("a", 1)}).findings.at(0).type, FindingType::missing_row);
  catalog::Record without_size = reference_row("a", 1);
  without_size.object_size.reset();
  EXPECT_THAT(check::compare_rows(expected, {without_size, reference_row("b", 2)}).findings, IsEmpty());
}

TEST(CheckRows, TwoRowsOfOneObjectAreOneTooMany) {
  const std::vector<catalog::Record> expected{expected_row("a", 1)};
  const auto good = expected_row("a", 1), bad = expected_row("a", 2);
  for (const auto& found : {std::vector{good, good}, std::vector{good, bad}, std::vector{bad, good}}) {
    const auto findings = check::compare_rows(expected, found).findings;
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].type, FindingType::surplus_row);
  }
}

TEST(CheckRows, ADeletionIsNotTheObject) {
  catalog::Record deletion = expected_row("a", 0);
  deletion.deleted = true;
  EXPECT_THAT(check::compare_rows({expected_row("a", 1), deletion}, {deletion, expected_row("a", 1)}).findings,
              IsEmpty());
  EXPECT_EQ(check::compare_rows({deletion}, {expected_row("a", 0)}).findings.size(), 2U);
}

TEST(CheckRows, AHashThatOnlyTheCatalogHasIsKept) {
  catalog::Record row = expected_row("a", 1);
  row.sha256 = "ab";
  const auto compared = check::compare_rows({row}, {row});
  EXPECT_THAT(compared.findings, IsEmpty());
  EXPECT_THAT(compared.more_hashes, IsEmpty());
}

TEST(CheckShare, IsReadAndRefused) {
  const check::Share share = check::parse_share("2/7");
  EXPECT_EQ(share.number, 2U);
  EXPECT_EQ(share.of, 7U);
  for (const char* const wrong : {"", "2", "0/7", "8/7", "1/0", "-1/2", "1/2/3", "a/b", "1/99999999", "1/ 2"})
    EXPECT_THROW(check::parse_share(wrong), Error) << wrong;
}

}  // namespace
}  // namespace bale::testing
