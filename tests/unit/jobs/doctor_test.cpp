// The doctor on a store that does as S3 does, and on stores each of which does one thing otherwise.
#include "jobs/doctor/doctor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <map>

#include "base/mutex.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "support/odd_store.hpp"

namespace bale::doctor {
namespace {

using bale::testing::FakeWorld;
using bale::testing::FaultyStore;
using bale::testing::OddStore;
using bale::testing::TextStream;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() { store->create_bucket(bucket); }

  CheckupResult check(store::ObjectStore& helped, store::ObjectStore& bare) {
    findings.clear();
    aborted.clear();
    const Listener listener{[this](const char* probe) {
                              if (before_probe) before_probe(probe);
                            },
                            [this](const Finding& f) { findings[f.probe] = f; },
                            [this](const Aborted& a) { aborted.push_back(a.leftover.upload.key.str()); }};
    return examine({helped, bare, outside, bucket, directory}, options, listener);
  }
  CheckupResult check(store::ObjectStore& both) { return check(both, both); }

  /// What the doctor finds where `odd` answers for the server and for Bale's own store alike.
  Finding found(const std::string& probe) {
    check(odd);
    return findings.at(probe);
  }
  void expect(const std::string& probe, Verdict verdict, const std::string& seen) {
    const Finding finding = found(probe);
    EXPECT_EQ(finding.verdict, verdict) << finding.seen;
    EXPECT_THAT(finding.seen, HasSubstr(seen));
    EXPECT_NE(finding.consequence, "");
    for (const auto& [name, other] : findings) {
      if (other.verdict != Verdict::ok && name != probe) others.push_back(name);
    }
  }

  std::vector<std::string> keys() {
    std::vector<std::string> all;
    for (const auto& version : store->list_versions(bucket, {}).versions) all.push_back(version.key.str());
    return all;
  }
  void expect_clean() {
    EXPECT_THAT(keys(), IsEmpty());
    EXPECT_THAT(store->list_uploads(bucket), IsEmpty());
  }
  void put(const std::string& key, const std::string& content) {
    store::MemoryBody body(as_bytes(content));
    store->put({bucket, ObjectKey(key)}, body, {});
  }
  void begin(const std::string& key, const std::string& part = {}) {
    const ObjectAddress object{bucket, ObjectKey(key)};
    const UploadId upload = store->create_upload(object, {});
    store::MemoryBody body(as_bytes(part));
    if (!part.empty()) store->upload_part(object, upload, 1, body);
  }

  FakeWorld world;
  os::World outside = world.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(world.path("store"), outside);
  std::unique_ptr<store::ObjectStore> store = backend->store(Region("eu-west-1"));
  OddStore odd{*store};
  const BucketName bucket{"bucket"};
  std::string directory;
  CheckupOptions options;
  std::map<std::string, Finding> findings;
  std::vector<std::string> others;  ///< probes that found something besides the expected one
  std::vector<std::string> aborted;
  std::function<void(std::string)> before_probe;
};

store::ByteRange whole_of(const store::ObjectInfo& info) { return store::ByteRange::at(0, info.size); }

TEST_F(DoctorTest, FindsTheEmbeddedStoreSound) {
  const CheckupResult result = check(*store);
  for (const auto& [name, finding] : findings) EXPECT_EQ(finding.verdict, Verdict::ok) << name << ": " << finding.seen;
  EXPECT_TRUE(result.is_sound());
  EXPECT_EQ(result.ok, findings.size());
  EXPECT_EQ(findings.size(), 29U);
  expect_clean();
}

TEST_F(DoctorTest, LeavesNothingInABucketWithVersions) {
  store->set_versioning(bucket, store::Versioning::enabled);
  EXPECT_TRUE(check(*store).is_sound());
  EXPECT_THAT(findings["versioning"].seen, HasSubstr("on: "));
  expect_clean();
}

TEST_F(DoctorTest, TouchesNothingButItsOwnPrefix) {
  directory = "deep/";
  for (const char* key : {"a", "deep/a", ".bale-doctor", "deep/.bale-doctor"}) put(key, "the user's own");
  begin("deep/upload", "part");
  Mutex mutex;  // claims are written by two threads
  std::vector<std::string> written;
  FaultyStore watched(*store);
  watched.before = [&](const std::string& method, const std::string& key) {
    const Lock lock(mutex);
    if (method == "put" || method == "remove" || method == "abort_upload" || method == "copy") written.push_back(key);
  };
  EXPECT_TRUE(check(watched).is_sound());
  EXPECT_GT(written.size(), 50U);
  for (const std::string& key : written) EXPECT_THAT(key, ::testing::StartsWith("deep/.bale-doctor-"));
  EXPECT_THAT(keys(), ElementsAre(".bale-doctor", "a", "deep/.bale-doctor", "deep/a"));
  EXPECT_EQ(store->list_uploads(bucket).size(), 1U);
}

TEST_F(DoctorTest, RemovesNothingOfTheUsersWhereTheServerIgnoresPrefixes) {
  put("user", "the user's own");
  begin("user-upload", "part");
  odd.list_versions_ = [&](const store::ListRequest&) { return store->list_versions(bucket, {}); };
  odd.list_uploads_ = [&](const std::string&) { return store->list_uploads(bucket); };
  options.leftovers_prefix = "elsewhere/";
  options.abort_older_than = Milliseconds(0);
  check(odd);
  EXPECT_THAT(keys(), ElementsAre("user"));
  EXPECT_EQ(store->list_uploads(bucket).size(), 1U);
  EXPECT_THAT(aborted, IsEmpty());
}

TEST_F(DoctorTest, WritesNothingInADryrun) {
  put("user", "the user's own");
  options.dryrun = true;
  FaultyStore watched(*store);
  const CheckupResult result = check(watched);
  for (const char* method : {"put", "copy", "create_upload", "remove", "abort_upload", "set_tags"})
    EXPECT_EQ(watched.faults.calls(method), 0) << method;
  EXPECT_EQ(findings["claims"].verdict, Verdict::skipped);
  EXPECT_THAT(findings["claims"].seen, HasSubstr("would be tried: puts one object from 8 writers"));
  EXPECT_EQ(findings["notifications"].verdict, Verdict::ok);
  EXPECT_GT(result.skipped, 15U);
  EXPECT_TRUE(result.is_sound());
}

TEST_F(DoctorTest, ThrowsWhereTheBucketIsMissingOrClosed) {
  try {
    examine({*store, *store, outside, BucketName("missing"), ""}, options, {[](auto) {}, [](auto&) {}, [](auto&) {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_EQ(error.code(), "NoSuchBucket");
  }
  FaultyStore closed(*store);
  closed.arm("list", "", Error(ErrorKind::denied, "no"));
  EXPECT_THROW(check(closed), Error);
  EXPECT_EQ(closed.faults.calls("put"), 0);
}

TEST_F(DoctorTest, TriesNoMoreWritesWhereNoneAreAllowed) {
  FaultyStore closed(*store);
  closed.arm("put", "", Error(ErrorKind::denied, "you may not").with_code("AccessDenied"));
  EXPECT_FALSE(check(closed).is_sound());
  EXPECT_EQ(findings["objects"].verdict, Verdict::failed);
  EXPECT_THAT(findings["objects"].seen, HasSubstr("you may not (AccessDenied)"));
  EXPECT_EQ(findings["multipart"].verdict, Verdict::skipped);
  EXPECT_EQ(findings["leftovers"].verdict, Verdict::ok);
}

TEST_F(DoctorTest, CleansUpWhenItIsInterrupted) {
  before_probe = [&](const std::string& probe) {
    if (probe == "claims") world.stop.request_stop();
  };
  try {
    check(*store);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
  EXPECT_TRUE(findings.contains("multipart"));
  EXPECT_FALSE(findings.contains("leftovers"));
  expect_clean();
}

TEST_F(DoctorTest, CleansUpWhenNobodyListensAnyMore) {
  before_probe = [&](const std::string& probe) {
    if (probe == "copy") throw Error(ErrorKind::unavailable, "closed").with_code("EPIPE");
  };
  EXPECT_THROW(check(*store), Error);
  expect_clean();
}

TEST_F(DoctorTest, CleansUpAfterProbesThatFail) {
  FaultyStore broken(*store);
  broken.arm("complete_upload", "multipart", Error(ErrorKind::invalid, "no"));
  broken.arm("list_parts", "abort", Error(ErrorKind::denied, "no"));
  broken.arm("copy", "copy-kept", Error(ErrorKind::unsupported, "no"), 1, true);
  EXPECT_FALSE(check(broken).is_sound());
  EXPECT_EQ(findings["multipart"].verdict, Verdict::failed);
  EXPECT_EQ(findings["multipart-etag"].verdict, Verdict::skipped);
  EXPECT_EQ(findings["abort"].verdict, Verdict::failed);
  EXPECT_EQ(findings["copy"].verdict, Verdict::failed);
  EXPECT_EQ(findings["cleanup"].verdict, Verdict::ok);
  expect_clean();
}

TEST_F(DoctorTest, SaysWhatItCouldNotCleanUp) {
  odd.remove_ = [](const ObjectAddress& object) {
    if (object.key.str().ends_with("/speed")) throw Error(ErrorKind::denied, "locked");
  };
  expect("cleanup", Verdict::failed, "locked");
  EXPECT_THAT(findings["cleanup"].consequence, HasSubstr("s3://bucket/.bale-doctor-"));
  EXPECT_THAT(findings["cleanup"].hint, HasSubstr("bale s3 rm --recursive --all-versions 's3://bucket/.bale-doctor-"));
  EXPECT_EQ(keys().size(), 1U);  // the others are gone all the same
}

// One thing otherwise

TEST_F(DoctorTest, SeesDamagedContent) {
  odd.get_ = [&](const auto& object, const auto& range, const auto& conditions) {
    auto stream = store->get(object, range, conditions);
    std::string text = store::read_all(*stream, 1 << 30);
    text[text.size() / 2] ^= 1;
    return std::make_unique<TextStream>(stream->info(), stream->offset(), text);
  };
  expect("objects", Verdict::failed, "other bytes");
}

TEST_F(DoctorTest, SeesOtherEtags) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    store::PutResult result = store->put(object, body, attributes, conditions);
    result.etag = ETag("0000");
    return result;
  };
  expect("objects", Verdict::limited, "not their MD5");
}

TEST_F(DoctorTest, SeesKeysThatAreRefusedOrMixedUp) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    if (object.key.str().ends_with("line\nend")) throw Error(ErrorKind::invalid, "no such keys here");
    return store->put(object, body, attributes, conditions);
  };
  expect("keys", Verdict::limited, "refused: 'line\\x0aend'");
  EXPECT_THAT(others, IsEmpty());
  odd.put_ = [&](ObjectAddress object, auto& body, const auto& attributes, const auto& conditions) {
    const std::string& key = object.key.str();
    if (const auto at = key.find("double//"); at != std::string::npos)
      object.key = ObjectKey(key.substr(0, at) + "double/" + key.substr(at + 8));
    return store->put(object, body, attributes, conditions);
  };
  expect("keys", Verdict::failed, "'double//slash'");
}

TEST_F(DoctorTest, SeesThatRangesAreIgnored) {
  odd.get_ = [&](const auto& object, const auto&, const auto& conditions) {
    return store->get(object, std::nullopt, conditions);
  };
  expect("ranges", Verdict::failed, "a range in the middle");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesThatRangesBeyondTheEndAreNotRefused) {
  odd.get_ = [&](const auto& object, const auto& range, const auto& conditions) -> std::unique_ptr<store::GetStream> {
    const auto info = store->head(object);
    if (range && !range->suffix && range->first > info->size)
      return std::make_unique<TextStream>(*info, info->size, std::string());
    return store->get(object, range, conditions);
  };
  expect("ranges", Verdict::limited, "beyond the end");
}

TEST_F(DoctorTest, SeesLostHeadersAndMetadata) {
  odd.put_ = [&](const auto& object, auto& body, store::ObjectAttributes attributes, const auto& conditions) {
    attributes.headers.content_language.clear();
    return store->put(object, body, attributes, conditions);
  };
  expect("attributes", Verdict::limited, "Content-Language");
  odd.put_ = [&](const auto& object, auto& body, store::ObjectAttributes attributes, const auto& conditions) {
    attributes.metadata.erase("owner");
    return store->put(object, body, attributes, conditions);
  };
  expect("attributes", Verdict::failed, "x-amz-meta-owner");
}

TEST_F(DoctorTest, SeesLostTags) {
  odd.put_ = [&](const auto& object, auto& body, store::ObjectAttributes attributes, const auto& conditions) {
    attributes.tags.clear();
    return store->put(object, body, attributes, conditions);
  };
  expect("tags", Verdict::failed, "set afterwards they are kept");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesStorageClassesThatAreIgnoredOrRefused) {
  odd.put_ = [&](const auto& object, auto& body, store::ObjectAttributes attributes, const auto& conditions) {
    attributes.storage_class = "STANDARD";
    return store->put(object, body, attributes, conditions);
  };
  expect("storage-classes", Verdict::limited, "the object is in STANDARD");
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    if (attributes.storage_class != "STANDARD") throw Error(ErrorKind::invalid, "no").with_code("InvalidStorageClass");
    return store->put(object, body, attributes, conditions);
  };
  expect("storage-classes", Verdict::limited, "refused (InvalidStorageClass)");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesUploadsAndPartsThatAreNotListed) {
  odd.list_uploads_ = [](const std::string&) { return std::vector<store::ListedUpload>(); };
  expect("multipart", Verdict::limited, "uploads under way are not listed");
  odd.list_uploads_ = nullptr;
  odd.list_parts_ = [] { return std::vector<store::UploadedPart>(); };
  expect("multipart", Verdict::limited, "parts are not listed");
  expect_clean();
}

TEST_F(DoctorTest, SeesOtherEtagsOfObjectsInParts) {
  odd.head_ = [&](const ObjectAddress& object) {
    auto info = store->head(object);
    if (info && info->etag.str().find('-') != std::string::npos) info->etag = ETag("0000-2");
    return info;
  };
  expect("multipart-etag", Verdict::limited, "not the MD5 of the parts' MD5s");
  odd.head_ = [&](const ObjectAddress& object) {
    auto info = store->head(object);
    if (info) info->part_bytes = 0;
    return info;
  };
  expect("multipart-etag", Verdict::limited, "the size of the parts is not told");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesTagsAndMetadataThatUploadsLose) {
  odd.create_upload_ = [&](const auto& object, store::ObjectAttributes attributes) {
    attributes.tags.clear();
    return store->create_upload(object, attributes);
  };
  expect("multipart-tags", Verdict::limited, "tags of an object in parts are lost");
  EXPECT_THAT(others, IsEmpty());
  odd.create_upload_ = [&](const auto& object, store::ObjectAttributes attributes) {
    attributes.metadata.clear();
    return store->create_upload(object, attributes);
  };
  expect("multipart-attributes", Verdict::failed, "metadata");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesPartsThatAreCopiedWrongly) {
  odd.upload_part_copy_ = [&](const auto& object, const auto& upload, std::uint32_t number, const auto& from,
                              const auto&) {
    return store->upload_part_copy(object, upload, number, from, whole_of(*store->head(from.address)));
  };
  expect("part-copy", Verdict::failed, "other bytes than its source");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesThatGivingUpDoesNothing) {
  odd.abort_upload_ = [](const auto&, const auto&) {};
  expect("abort", Verdict::failed, "still listed");
}

TEST_F(DoctorTest, SeesThatConditionsOfPutsAreIgnored) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto&) {
    return store->put(object, body, attributes, {});
  };
  expect("conditional-put", Verdict::failed, "If-None-Match of PutObject is ignored by the server");
  EXPECT_EQ(findings["claims"].verdict, Verdict::failed);
  EXPECT_TRUE(check(*store, odd).is_sound()) << "where Bale looks in the server's place";
  EXPECT_EQ(findings["conditional-put"].verdict, Verdict::limited);
  EXPECT_THAT(findings["conditional-put"].seen, HasSubstr("If-Match of PutObject is ignored"));
  EXPECT_EQ(findings["claims"].verdict, Verdict::limited);
  EXPECT_THAT(findings["claims"].consequence, HasSubstr("takes its version back"));
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, store::WriteConditions conditions) {
    conditions.if_match = {};
    return store->put(object, body, attributes, conditions);
  };
  expect("conditional-put", Verdict::failed, "If-Match of PutObject is ignored by the server");
  EXPECT_TRUE(check(*store, odd).is_sound());
}

TEST_F(DoctorTest, SeesConditionsThatAreNotAtomic) {
  std::latch all_have_looked(8), again(8);
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    const bool is_first = object.key.str().ends_with("/claims"), is_second = object.key.str().ends_with("-helped");
    if (!is_first && !is_second) return store->put(object, body, attributes, conditions);
    const bool there = store->head(object).has_value();
    (is_first ? all_have_looked : again).arrive_and_wait();
    EXPECT_FALSE(there);
    return store->put(object, body, attributes, {});
  };
  expect("claims", Verdict::failed, "of 8 writers at the same time 8 were let through");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesThatConditionsOfReadsAreIgnored) {
  odd.get_ = [&](const auto& object, const auto& range, const auto& conditions) {
    return store->get(object, range, {.version_id = conditions.version_id, .if_match = {}});
  };
  expect("conditional-read", Verdict::failed, "If-Match of a GET is not looked at");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesCopiesThatLoseMetadata) {
  odd.copy_ = [&](const auto& from, const auto& to, const auto& replace, const auto& conditions) {
    return store->copy(from, to, replace.value_or(store::ObjectAttributes()), conditions);
  };
  expect("copy", Verdict::failed, "loses the metadata");
  odd.copy_ = [&](const auto& from, const auto& to, const auto&, const auto& conditions) {
    return store->copy(from, to, std::nullopt, conditions);
  };
  expect("copy", Verdict::failed, "keeps the metadata that it was to replace");
  EXPECT_THAT(others, ElementsAre("copy-tags"));
}

TEST_F(DoctorTest, SeesCopiesThatLoseTags) {
  odd.copy_ = [&](const auto& from, const auto& to, auto replace, const auto& conditions) {
    if (replace) replace->tags.clear();
    return store->copy(from, to, replace, conditions);
  };
  expect("copy-tags", Verdict::failed, "without the tags");
  EXPECT_THAT(others, IsEmpty());
  EXPECT_TRUE(check(*store, odd).is_sound());
  EXPECT_EQ(findings["copy-tags"].verdict, Verdict::limited);
  EXPECT_THAT(findings["copy-tags"].consequence, HasSubstr("Bale sets them after the copy"));
}

TEST_F(DoctorTest, TellsWhatTheServerIgnoresFromWhatBaleMakesGood) {
  odd.copy_ = [&](store::CopySource from, const auto& to, const auto& replace, const auto&) {
    from.if_match = {};
    return store->copy(from, to, replace);
  };
  odd.complete_upload_ = [&](const auto& object, const auto& upload, const auto& parts, const auto&) {
    return store->complete_upload(object, upload, parts);
  };
  EXPECT_TRUE(check(*store, odd).is_sound());
  for (const char* probe : {"conditional-copy", "conditional-complete"}) {
    EXPECT_EQ(findings[probe].verdict, Verdict::limited);
    EXPECT_THAT(findings[probe].seen, HasSubstr("ignored by the server"));
    EXPECT_THAT(findings[probe].consequence, HasSubstr("Bale looks before it writes"));
  }
  EXPECT_THAT(findings["conditional-copy"].seen, HasSubstr("copy-source-if-match"));
  EXPECT_THAT(findings["conditional-copy"].seen, HasSubstr("CopyObject"));
  EXPECT_FALSE(check(odd).is_sound());  // nobody looks
  for (const char* probe : {"conditional-copy", "conditional-complete"})
    EXPECT_EQ(findings[probe].verdict, Verdict::failed);
}

/// Reads a body as a client does that signs it first.
void read_for_signature(store::Body& body) {
  body.rewind();
  while (!body.next(1000).empty()) continue;
  body.rewind();
}

TEST_F(DoctorTest, SeesWhetherChangedBytesAreRefused) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    read_for_signature(body);
    return store->put(object, body, attributes, conditions);
  };
  expect("checksums", Verdict::limited, "neither signature nor SHA-256 is compared");
  EXPECT_THAT(others, IsEmpty());
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    if (!object.key.str().ends_with("checksums")) return store->put(object, body, attributes, conditions);
    read_for_signature(body);
    throw Error(ErrorKind::invalid, "these are not the bytes").with_code("BadDigest");
  };
  EXPECT_EQ(found("checksums").verdict, Verdict::ok);
  EXPECT_THAT(findings["checksums"].seen, HasSubstr("refused (BadDigest)"));
}

// Servers that refuse what they do not have

Error not_implemented() {
  return Error(ErrorKind::unsupported, "not supported here (NotImplemented)").with_code("NotImplemented");
}

TEST_F(DoctorTest, BlamesTagsForTagsAlone) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    if (!attributes.tags.empty()) throw not_implemented();
    return store->put(object, body, attributes, conditions);
  };
  odd.create_upload_ = [&](const auto& object, const auto& attributes) {
    if (!attributes.tags.empty()) throw not_implemented();
    return store->create_upload(object, attributes);
  };
  odd.copy_ = [&](const auto& from, const auto& to, const auto& replace, const auto& conditions) {
    if (replace && !replace->tags.empty()) throw not_implemented();
    return store->copy(from, to, replace, conditions);
  };
  expect("tags", Verdict::failed, "not supported here (NotImplemented)");
  EXPECT_THAT(findings["tags"].seen, Not(HasSubstr("(NotImplemented) (NotImplemented)")));
  EXPECT_THAT(others, ElementsAre("copy-tags", "multipart-tags"));
  for (const std::string& probe : others) {
    EXPECT_EQ(findings[probe].verdict, Verdict::skipped);
    EXPECT_THAT(findings[probe].seen, HasSubstr("depends on `tags`"));
  }
}

TEST_F(DoctorTest, TellsConditionsThatAreNotSupportedFromIgnoredOnes) {
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const store::WriteConditions& conditions) {
    if (conditions.if_none_match || !conditions.if_match.empty()) throw not_implemented();
    return store->put(object, body, attributes, conditions);
  };
  expect("conditional-put", Verdict::failed, "If-None-Match of PutObject is not supported by the server");
  EXPECT_THAT(findings["conditional-put"].consequence, HasSubstr("overwrite nothing"));
  EXPECT_THAT(others, ElementsAre("claims"));
  EXPECT_EQ(findings["claims"].verdict, Verdict::skipped);
  EXPECT_THAT(findings["claims"].seen, HasSubstr("depends on `conditional-put`"));
  EXPECT_TRUE(check(*store, odd).is_sound()) << "where Bale looks in the server's place";
  EXPECT_EQ(findings["conditional-put"].verdict, Verdict::limited);
  EXPECT_THAT(findings["conditional-put"].consequence, HasSubstr("Bale looks before it writes"));
  EXPECT_EQ(findings["claims"].verdict, Verdict::limited);
}

TEST_F(DoctorTest, SeesMetadataThatAreEncodedTwice) {
  odd.head_ = [&](const ObjectAddress& object) {
    auto info = store->head(object);
    if (info && info->metadata.contains("unicode")) info->metadata["unicode"] = "Gr\xC3\x83\xC2\xBC";
    return info;
  };
  expect("unicode-metadata", Verdict::limited, "came back as 'Gr");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, GivesNoVerdictWithoutAnAnswer) {
  bool is_dead = false;
  before_probe = [&](const std::string& probe) { is_dead = is_dead || probe == "claims"; };
  const auto die = [&] {
    if (is_dead) throw Error(ErrorKind::unavailable, "no connection");
  };
  FaultyStore dying(*store);
  dying.before = [&](const std::string&, const std::string&) { die(); };
  try {
    check(dying);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
  EXPECT_EQ(findings["conditional-put"].verdict, Verdict::ok);
  for (const char* probe : {"claims", "conditional-read", "copy", "checksums", "listing", "clock", "notifications"})
    EXPECT_EQ(findings[probe].verdict, Verdict::skipped) << probe;
  EXPECT_THAT(findings["claims"].seen, HasSubstr("no answer: no connection"));
  EXPECT_THAT(findings["listing"].seen, HasSubstr("does not answer any more"));
  EXPECT_EQ(findings["cleanup"].verdict, Verdict::failed);
}

/// Listings that are no XML, because of a key that XML cannot hold: nothing else is concerned.
TEST_F(DoctorTest, GoesOnWhereListingsAloneGetNoAnswer) {
  bool are_listings_broken = false;
  before_probe = [&](const std::string& probe) { are_listings_broken |= probe == "keys"; };
  FaultyStore broken(*store);
  broken.before = [&](const std::string& method, const std::string&) {
    if (are_listings_broken && method == "list") throw Error(ErrorKind::unavailable, "the answer is not XML");
  };
  try {
    check(broken);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
  EXPECT_EQ(findings["keys"].verdict, Verdict::skipped);
  for (const char* probe : {"ranges", "attributes", "conditional-put", "copy"})
    EXPECT_EQ(findings[probe].verdict, Verdict::ok) << probe;
}

TEST_F(DoctorTest, GoesOnAfterOneRequestWithoutAnAnswer) {
  FaultyStore broken(*store);
  broken.arm("copy", "copy-kept", Error(ErrorKind::unavailable, "no connection"), 1, true);
  check(broken);
  EXPECT_EQ(findings["copy"].verdict, Verdict::skipped);
  EXPECT_EQ(findings["listing"].verdict, Verdict::ok);
  EXPECT_EQ(findings["cleanup"].verdict, Verdict::ok);
}

TEST_F(DoctorTest, ListsAgainUntilNothingIsLeft) {
  store->set_versioning(bucket, store::Versioning::enabled);
  odd.list_versions_ = [&](store::ListRequest request) {  // the server forgets to say that there is more
    request.max_keys = 3;
    store::VersionPage page = store->list_versions(bucket, request);
    page.next.clear();
    return page;
  };
  EXPECT_EQ(found("cleanup").verdict, Verdict::ok);
  expect_clean();
}

TEST_F(DoctorTest, DoesNotCallACleanupThatLeavesSomethingOk) {
  store->set_versioning(bucket, store::Versioning::enabled);
  odd.remove_ = [&](const ObjectAddress& object) {
    if (!object.key.str().ends_with("percent%2Fsign%")) store->remove(object);  // never a version: a marker instead
  };
  EXPECT_EQ(found("cleanup").verdict, Verdict::failed);
  EXPECT_THAT(findings["cleanup"].seen, HasSubstr("still listed"));
}

TEST_F(DoctorTest, SeesListingsInAnotherOrder) {
  odd.list_ = [&](const store::ListRequest& request) {
    store::ListRequest all = request;
    all.max_keys = 1000;
    store::ListPage page = store->list(bucket, all);
    std::reverse(page.objects.begin(), page.objects.end());
    return page;
  };
  expect("listing", Verdict::failed, "not listed in the order of their bytes");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesListingsWithoutEnd) {
  odd.list_ = [&](store::ListRequest request) {
    request.continuation.clear();
    return store->list(bucket, request);  // the first page for ever
  };
  odd.remove_ = [](const auto&) {};
  expect("listing", Verdict::failed, "leave keys out, or repeat them");
}

TEST_F(DoctorTest, SeesVersionsThatAreNotTold) {
  store->set_versioning(bucket, store::Versioning::enabled);
  odd.put_ = [&](const auto& object, auto& body, const auto& attributes, const auto& conditions) {
    store::PutResult result = store->put(object, body, attributes, conditions);
    result.version_id = {};
    return result;
  };
  expect("versioning", Verdict::limited, "does not tell its version");
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesClocksThatDisagree) {
  odd.head_ = [&](const ObjectAddress& object) {
    auto info = store->head(object);
    if (info) info->last_modified += std::chrono::minutes(20);
    return info;
  };
  expect("clock", Verdict::limited, "the store's clock is 20 min");
  EXPECT_THAT(findings["clock"].seen, HasSubstr("ahead"));
  EXPECT_THAT(others, IsEmpty());
}

TEST_F(DoctorTest, SeesWhoIsToldOfItsObjects) {
  backend->queues(Region("eu-west-1"))->create(QueueName("q"), {});
  store->set_notifications(bucket, {{"all", "q", {"s3:ObjectCreated:*"}, "", ""}});
  check(*store);
  EXPECT_THAT(findings["notifications"].seen, HasSubstr("1 rule to queues; 1 would tell of these probes' objects too"));
  store->set_notifications(bucket, {{"some", "q", {"s3:ObjectCreated:*"}, "logs/", ""}});
  check(*store);
  EXPECT_THAT(findings["notifications"].seen, Not(HasSubstr("would tell")));
}

TEST_F(DoctorTest, GoesOnWhereTheBucketDoesNotAnswerEverything) {
  FaultyStore partial(*store);
  const Error no(ErrorKind::unsupported, "not here");
  partial.arm("get_notifications", "", no.with_code("NotImplemented"));
  partial.arm("get_versioning", "", no);
  EXPECT_TRUE(check(partial).is_sound());
  EXPECT_EQ(findings["notifications"].verdict, Verdict::limited);
  EXPECT_EQ(findings["notifications"].seen, "not here (NotImplemented)");
  EXPECT_THAT(findings["notifications"].consequence, HasSubstr("backfill"));
  EXPECT_EQ(findings["versioning"].verdict, Verdict::limited);
}

TEST_F(DoctorTest, SeesWhatFails) {
  FaultyStore slow(*store);
  slow.arm("put", "/speed", Error(ErrorKind::timeout, "no answer"));
  EXPECT_TRUE(check(slow).is_sound());
  EXPECT_EQ(findings["speed"].verdict, Verdict::skipped) << "without an answer there is no verdict";
}

// Leftovers

TEST_F(DoctorTest, CountsAndAbortsLeftovers) {
  options.probes = false;
  begin("old/a", "1234567");
  world.clock.advance(std::chrono::days(5));
  begin("b", "123");
  world.clock.advance(std::chrono::days(5));
  begin("new/c");
  check(*store);
  EXPECT_EQ(findings["leftovers"].verdict, Verdict::limited);
  EXPECT_EQ(findings["leftovers"].seen, "3 multipart uploads under way with 10 B, the oldest for 10 days");
  EXPECT_THAT(findings["leftovers"].hint, HasSubstr("--abort-older-than"));

  options.abort_older_than = std::chrono::days(5);
  options.dryrun = true;
  EXPECT_EQ(check(*store).aborted, 2U);
  EXPECT_THAT(aborted, ElementsAre("old/a", "b"));
  EXPECT_EQ(store->list_uploads(bucket).size(), 3U);

  options.dryrun = false;
  options.leftovers_prefix = "old/";
  const CheckupResult result = check(*store);
  EXPECT_THAT(aborted, ElementsAre("old/a"));
  EXPECT_EQ(result.aborted_bytes, 7U);
  EXPECT_EQ(store->list_uploads(bucket).size(), 2U);

  options.leftovers_prefix = "";
  check(*store);
  EXPECT_THAT(aborted, ElementsAre("b"));
  EXPECT_EQ(store->list_uploads(bucket).at(0).key.str(), "new/c");
}

TEST_F(DoctorTest, GoesOnAfterALeftoverThatCannotBeAborted) {
  begin("a");
  begin("b");
  options.probes = false;
  options.abort_older_than = Milliseconds(0);
  FaultyStore stubborn(*store);
  stubborn.arm("abort_upload", "a", Error(ErrorKind::denied, "no"));
  const CheckupResult result = check(stubborn);
  EXPECT_THAT(aborted, ElementsAre("a", "b"));
  EXPECT_EQ(result.not_aborted, 1U);
  EXPECT_FALSE(result.is_sound());
  EXPECT_EQ(store->list_uploads(bucket).size(), 1U);
}

TEST_F(DoctorTest, AbortsUntilNothingIsListedAnyMore) {
  for (int i = 0; i < 25; ++i) begin("key-" + std::to_string(i), "part");
  odd.list_uploads_ = [&](const std::string& prefix) {  // a server whose listing ends early
    auto uploads = store->list_uploads(bucket, prefix);
    if (uploads.size() > 10) uploads.resize(10);
    return uploads;
  };
  options.probes = false;
  options.abort_older_than = Milliseconds(0);
  options.dryrun = true;
  EXPECT_EQ(check(odd).aborted, 10U);
  options.dryrun = false;
  const CheckupResult result = check(odd);
  EXPECT_EQ(result.aborted, 25U);
  EXPECT_EQ(result.not_aborted, 0U);
  EXPECT_THAT(store->list_uploads(bucket), IsEmpty());
}

TEST_F(DoctorTest, TellsOfAnUploadThatIsThereAfterItWasAborted) {
  begin("a");
  begin("b");
  int calls = 0;
  odd.abort_upload_ = [&](const ObjectAddress&, const UploadId&) { ++calls; };
  options.probes = false;
  options.abort_older_than = Milliseconds(0);
  const CheckupResult result = check(odd);
  EXPECT_EQ(result.not_aborted, 2U);
  EXPECT_FALSE(result.is_sound());
  EXPECT_EQ(calls, 4);
}

TEST_F(DoctorTest, AnUploadThatIsGoneAndGoesOnBeingListedIsNoFailure) {
  begin("a");
  const auto first = store->list_uploads(bucket);
  odd.list_uploads_ = [&](const std::string&) { return first; };
  options.probes = false;
  options.abort_older_than = Milliseconds(0);
  const CheckupResult result = check(odd);
  EXPECT_EQ(result.aborted, 1U);
  EXPECT_TRUE(result.is_sound());
  EXPECT_THAT(store->list_uploads(bucket), IsEmpty());
}

TEST_F(DoctorTest, TakesNothingForOlderThanItIsWhereThisClockIsAhead) {
  begin("running");
  world.clock.advance(std::chrono::days(10));  // this machine's clock; the store's stands still
  odd.head_ = [&](const ObjectAddress& object) {
    auto info = store->head(object);
    if (info) info->last_modified -= std::chrono::days(10);
    return info;
  };
  options.abort_older_than = std::chrono::days(7);
  check(odd);
  EXPECT_THAT(aborted, IsEmpty());
  EXPECT_EQ(store->list_uploads(bucket).size(), 1U);
}

TEST_F(DoctorTest, FindsWhatAKilledDoctorLeft) {
  put(".bale-doctor-00000000/object", "x");
  check(*store);
  EXPECT_EQ(findings["leftovers"].verdict, Verdict::limited);
  EXPECT_THAT(findings["leftovers"].seen, HasSubstr("earlier `bale doctor`"));
  EXPECT_THAT(findings["leftovers"].hint, HasSubstr("'s3://bucket/.bale-doctor-00000000/'"));
  EXPECT_THAT(keys(), ElementsAre(".bale-doctor-00000000/object"));
}

TEST_F(DoctorTest, SaysThatLeftoversCannotBeListed) {
  options.probes = false;
  options.abort_older_than = Milliseconds(0);
  FaultyStore silent(*store);
  silent.arm("list_uploads", "", Error(ErrorKind::denied, "no"));
  EXPECT_FALSE(check(silent).is_sound());
  EXPECT_EQ(findings["leftovers"].verdict, Verdict::limited);
}

}  // namespace
}  // namespace bale::doctor
