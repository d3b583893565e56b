// Which buckets relay and landing use: the configuration's, whatever an event or a manifest names. Invariant of every
// scenario: an object that is no staged copy keeps its content, and a staged copy goes only when all that it is for is
// durable in another bucket.
#include <gmock/gmock.h>

#include "jobs/relay/relay.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using ::testing::HasSubstr;

class Permitted : public ReplicationKit {
 protected:
  Permitted() {
    for (const BucketName& bucket : {stranger, far_inbound}) store->create_bucket(bucket);
    put("a", "content");
  }

  ObjectKey pack_one(const pack::PackPlan& plan) {
    outside.clock.advance(Milliseconds(1));  // archives of different moments have different names
    pack::Packer packer(plan, source, source, world, log, pools, budget);
    return packer.pack({item("a")}, {}).archives.at(0).key;
  }
  /// An archive whose manifest names these targets, in the inbound bucket.
  ObjectAddress forged(const std::vector<archive::Target>& named) {
    pack::PackPlan made = plan();
    made.targets = named;
    return bring_to_inbound(pack_one(made));
  }
  ObjectAddress forged_source(const BucketName& bucket, const std::string& prefix, const std::string& archive_prefix) {
    pack::PackPlan made = plan();
    made.source_bucket = bucket;
    made.prefix = prefix;
    made.archive_prefix = archive_prefix;
    if (bucket != src) store->copy({{src, ObjectKey("a")}, {}, {}}, {bucket, ObjectKey("a")});
    return bring_to_inbound(pack_one(made));
  }

  relay::RelayResult relay(const ObjectAddress& archive, const config::ReplicationConfig& config) {
    return relay::relay_archive(
        config, region, archive, [this](const Region&) -> store::ObjectStore& { return target; }, connections, budget,
        world, log);
  }

  template <typename Step>
  std::string refusal(Step step) {
    try {
      step();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::denied) << error.what();
      return error.what();
    }
    return "nothing was refused";
  }
  std::size_t all_objects() {
    std::size_t count = 0;
    for (const BucketName& bucket : {src, outbound, inbound, copy, vault, catalog, stranger, far_inbound})
      count += objects_in(bucket);
    return count;
  }

  /// As a target service that knows the environment alone.
  config::ReplicationConfig drop_in(const BucketName& known_inbound = {}) {
    config::ReplicationConfig made;
    made.settings = settings;
    made.settings.given = config::GivenPlaces{QueueName("q"), {}, catalog, {}, {}, known_inbound};
    made.rules.emplace_back().destinations.push_back({region, {}, {}, {}, false});
    return made;
  }

  const Region far{"us-east-1"};
  const BucketName stranger{"stranger"}, far_inbound{"demo-000000000000-us-east-1-inbound"};
};

TEST_F(Permitted, AnEventOfTheBackupBucketLeavesTheBackup) {
  const ObjectAddress archive = bring_to_inbound(pack_one(plan()));
  ASSERT_TRUE(land(archive).failures.empty());
  const ObjectAddress backup{vault, archive.key};
  EXPECT_THAT(refusal([&] { land(backup); }), HasSubstr("demo-000000000000-eu-west-1-inbound"));
  EXPECT_THAT(refusal([&] { relay(backup, configuration()); }), HasSubstr("demo-000000000000-eu-west-1-outbound"));
  EXPECT_TRUE(store->head(backup).has_value());
}

TEST_F(Permitted, AnArchiveIsLandedInTheInboundBucketAloneAndRelayedInTheOutboundBucketAlone) {
  const ObjectKey key = pack_one(plan());
  for (const BucketName& bucket : {src, inbound, copy, vault, catalog, stranger, far_inbound})
    store->copy({{outbound, key}, {}, {}}, {bucket, key});
  const std::size_t before = all_objects();
  for (const BucketName& bucket : {src, outbound, copy, vault, catalog, stranger, far_inbound}) {
    EXPECT_THAT(refusal([&] { land({bucket, key}); }), HasSubstr("s3://" + bucket.str()));
  }
  for (const BucketName& bucket : {src, inbound, copy, vault, catalog, stranger, far_inbound}) {
    EXPECT_THAT(refusal([&] { relay({bucket, key}, configuration()); }), HasSubstr("s3://" + bucket.str()));
  }
  EXPECT_EQ(all_objects(), before);
}

TEST_F(Permitted, ATargetThatIsNoDestinationOfTheSourceIsRefusedByName) {
  const config::ReplicationConfig config = configuration();
  for (const bool backup : {false, true}) {
    for (const BucketName& bucket : {src, outbound, inbound, catalog, stranger, far_inbound, backup ? copy : vault}) {
      const std::size_t before = objects_in(bucket);
      const ObjectAddress archive = forged({{region, bucket, "", "", backup}});
      const std::size_t staged = (bucket == outbound || bucket == inbound) ? 1 : 0;  // the archive itself
      const land::LandResult result = land(archive, config);
      ASSERT_EQ(result.failures.size(), 1U) << bucket.str();
      EXPECT_THAT(result.failures[0].error.what(), HasSubstr(bucket.str()));
      EXPECT_THAT(result.failures[0].error.hint(), HasSubstr("redrive"));
      EXPECT_EQ(objects_in(bucket), before + staged) << bucket.str();
      EXPECT_EQ(objects_in(catalog), 0U);
      EXPECT_TRUE(store->head(archive).has_value());
    }
  }
}

TEST_F(Permitted, KeysAndStorageClassesAreThoseOfTheConfiguration) {
  const config::ReplicationConfig config = configuration();
  const ObjectAddress archive =
      forged({{region, vault, "arn:aws:kms:eu-west-1:1:key/stranger", "DEEP_ARCHIVE", true}, targets[0]});
  EXPECT_TRUE(land(archive, config).failures.empty());
  EXPECT_EQ(store->head({vault, archive.key})->storage_class, "STANDARD_IA");
  EXPECT_EQ(target.faults.calls("copy"), 1);
}

TEST_F(Permitted, ADestinationThatWasRemovedMeanwhileIsNamedAndTheOthersAreServed) {
  const ObjectAddress archive = bring_to_inbound(pack_one(plan()));
  config::ReplicationConfig edited = configuration();
  std::erase_if(edited.rules[0].destinations, [](const config::Destination& each) { return !each.backup; });
  const land::LandResult refused = land(archive, edited);
  ASSERT_EQ(refused.failures.size(), 1U);
  EXPECT_THAT(refused.failures[0].error.what(), HasSubstr("copy-bucket"));
  EXPECT_EQ(objects_in(copy), 0U);
  EXPECT_EQ(objects_in(vault), 1U);
  ASSERT_TRUE(store->head(archive).has_value());
  EXPECT_TRUE(land(archive).failures.empty()) << "the configuration allows it again";
  EXPECT_EQ(read(copy, "a"), "content");
  EXPECT_FALSE(store->head(archive).has_value());
}

TEST_F(Permitted, AFilterThatWasAddedOrRemovedMeanwhileLeavesArchivesInFlightAlone) {
  config::ReplicationConfig edited = configuration();
  edited.rules[0].source.prefix = "a";
  EXPECT_TRUE(land(bring_to_inbound(pack_one(plan())), edited).failures.empty());
  edited.rules[0].source.prefix = "b";
  const ObjectAddress other = forged_source(src, "a", "src-bucket/a/");
  EXPECT_THAT(refusal([&] { land(other, edited); }), HasSubstr("src-bucket/a/"));
  EXPECT_TRUE(land(other).failures.empty());
}

TEST_F(Permitted, OfRulesOfOneBucketTheOneWithTheArchivesPrefixCounts) {
  config::ReplicationConfig config = configuration();
  config.rules.push_back(config.rules[0]);
  config.rules[0].source.prefix = "x";
  config.rules[1].source.prefix = "y";
  config.rules[1].destinations = {{region, stranger, "", "", false}};
  const land::LandResult result = land(forged_source(src, "y", "src-bucket/y/"), config);
  EXPECT_EQ(result.failures.size(), 2U) << "copy and vault are destinations of the other rule";
  EXPECT_EQ(objects_in(copy) + objects_in(vault) + objects_in(catalog), 0U);
}

TEST_F(Permitted, AnArchiveOfAnUnknownOrAnotherSourceIsRefused) {
  config::ReplicationConfig config = configuration();
  const ObjectAddress unknown = forged_source(stranger, "", "stranger/");
  EXPECT_THAT(refusal([&] { land(unknown, config); }), HasSubstr("stranger"));
  const ObjectAddress elsewhere = forged_source(src, "", "other-source/");
  EXPECT_THAT(refusal([&] { land(elsewhere, config); }), HasSubstr("key"));
  EXPECT_EQ(objects_in(copy) + objects_in(vault) + objects_in(catalog), 0U);
  EXPECT_EQ(objects_in(inbound), 2U);
}

TEST_F(Permitted, AnArchiveWithoutATargetInTheRegionStays) {
  const config::ReplicationConfig config = configuration();
  for (const auto& named : {std::vector<archive::Target>{}, {{far, copy, "", "", false}}}) {
    const ObjectAddress archive = forged(named);
    EXPECT_THAT(refusal([&] { land(archive, config); }), HasSubstr("no target in eu-west-1"));
    EXPECT_TRUE(store->head(archive).has_value());
  }
}

TEST_F(Permitted, ABackupIsNeverReplacedByAnotherArchiveOfItsName) {
  const ObjectAddress archive = bring_to_inbound(pack_one(plan()));
  ASSERT_TRUE(land(archive).failures.empty());
  const std::string backup = *read(vault, archive.key.str());
  put("a", "CONTENT");
  const ObjectAddress other = bring_to_inbound(pack_one(plan()));
  store->copy({other, {}, {}}, archive);
  store->remove(other);
  const land::LandResult result = land(archive);
  ASSERT_EQ(result.failures.size(), 1U);
  EXPECT_EQ(result.failures[0].error.kind(), ErrorKind::precondition);
  EXPECT_EQ(read(vault, archive.key.str()), backup);
  EXPECT_TRUE(store->head(archive).has_value());
}

TEST_F(Permitted, ACatalogFileIsNeverReplacedByThatOfAnotherArchive) {
  const ObjectAddress archive = bring_to_inbound(pack_one(plan()));
  ASSERT_TRUE(land(archive).failures.empty());
  const std::vector<std::string> files = keys_in(catalog);
  ASSERT_EQ(files.size(), 1U);
  const auto text = read(catalog, files[0]);
  put("a", "CONTENT");
  const ObjectAddress other = bring_to_inbound(pack_one(plan()));
  const std::string name = archive.key.str().substr(archive.key.str().rfind('/') + 1);
  // The catalog file's key has the archive's last component only.
  const ObjectAddress deeper{inbound, ObjectKey(src.str() + "/x/" + name)};
  store->copy({other, {}, {}}, deeper);
  const land::LandResult result = land(deeper);
  ASSERT_EQ(result.failures.size(), 1U);
  EXPECT_EQ(result.failures[0].error.kind(), ErrorKind::precondition);
  EXPECT_THAT(result.failures[0].error.what(), HasSubstr(archive.key.str()));
  EXPECT_EQ(read(catalog, files[0]), text);
  EXPECT_TRUE(store->head(deeper).has_value());
  for (const std::string directory : {"//", "/../", "/./", "/x//"}) {
    const ObjectAddress odd{inbound, ObjectKey(src.str() + directory + name)};
    store->copy({other, {}, {}}, odd);
    EXPECT_THAT(refusal([&] { land(odd); }), HasSubstr("component"));
  }
  EXPECT_EQ(read(catalog, files[0]), text);
  const ObjectAddress again{inbound, archive.key};
  store->copy({{vault, archive.key}, {}, {}}, again);
  EXPECT_TRUE(land(again).failures.empty()) << "the same archive once more";
  EXPECT_EQ(keys_in(catalog), files);
}

TEST_F(Permitted, ACatalogFileThatMayNotBeReadStaysAndIsNamed) {
  const ObjectAddress archive = bring_to_inbound(pack_one(plan()));
  ASSERT_TRUE(land(archive).failures.empty());
  const std::vector<std::string> files = keys_in(catalog);
  const auto text = read(catalog, files.at(0));
  store->copy({{vault, archive.key}, {}, {}}, archive);
  target.arm("get", files[0], Error(ErrorKind::denied, "access denied").with_code("AccessDenied"));
  EXPECT_TRUE(land(archive).failures.empty());
  EXPECT_EQ(read(catalog, files[0]), text);
  EXPECT_THAT(outside.terminal.errors(), HasSubstr(files[0]));
}

TEST_F(Permitted, RelayDoesNotReplaceAnotherArchiveThatWaits) {
  const ObjectKey key = pack_one(plan());
  ASSERT_EQ(relay({outbound, key}, configuration()).regions.size(), 1U);
  const auto waiting = read(inbound, key.str());
  put("a", "CONTENT");
  const ObjectAddress other{outbound, pack_one(plan())};
  store->copy({other, {}, {}}, {outbound, key});
  try {
    relay({outbound, key}, configuration());
    ADD_FAILURE() << "it was relayed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::precondition) << error.what();
  }
  EXPECT_EQ(read(inbound, key.str()), waiting);
  EXPECT_TRUE(store->head({outbound, key}).has_value());
  store->copy({{inbound, key}, {}, {}}, {outbound, key});
  EXPECT_EQ(relay({outbound, key}, configuration()).regions.size(), 1U) << "the same archive once more";
}

TEST_F(Permitted, RelayServesConfiguredRegionsAloneAndKeepsTheRest) {
  config::ReplicationConfig config = configuration();
  pack::PackPlan made = plan();
  made.targets.push_back({far, stranger, "", "", false});
  const ObjectAddress archive{outbound, pack_one(made)};
  EXPECT_THAT(refusal([&] { relay(archive, config); }), HasSubstr("us-east-1"));
  EXPECT_EQ(objects_in(far_inbound), 0U);
  EXPECT_EQ(objects_in(inbound), 1U) << "its region is configured";
  EXPECT_TRUE(store->head(archive).has_value());
  config.rules[0].destinations.push_back({far, stranger, "", "", false});
  EXPECT_EQ(relay(archive, config).regions.size(), 2U);
  EXPECT_EQ(objects_in(far_inbound), 1U);
  EXPECT_FALSE(store->head(archive).has_value());
  made.targets.clear();
  const ObjectAddress aimless{outbound, pack_one(made)};
  refusal([&] { relay(aimless, config); });
  EXPECT_TRUE(store->head(aimless).has_value());
}

TEST_F(Permitted, RelayServesARegionOnceWhileAnotherIsNotConfigured) {
  config::ReplicationConfig config = configuration();
  pack::PackPlan made = plan();
  made.targets.push_back({far, stranger, "", "", false});
  const ObjectAddress archive{outbound, pack_one(made)};
  const ObjectAddress arrived{inbound, archive.key};
  for (int receive = 0; receive < 3; ++receive) {
    refusal([&] { relay(archive, config); });
    EXPECT_EQ(store->head(arrived).has_value(), receive == 0) << "it landed after the first receive";
    store->remove(arrived);
  }
  // Where tags are refused, the region gets the archive again.
  store->set_tags(archive, {});
  for (const char* method : {"get_tags", "set_tags"})
    target.arm(method, archive.key.str(), Error(ErrorKind::denied, "access denied").with_code("AccessDenied"), 2);
  for (int receive = 0; receive < 2; ++receive) {
    refusal([&] { relay(archive, config); });
    EXPECT_TRUE(store->head(arrived).has_value());
    store->remove(arrived);
  }
  EXPECT_TRUE(store->get_tags(archive).empty());
  EXPECT_TRUE(store->head(archive).has_value());
  config.rules[0].destinations.push_back({far, stranger, "", "", false});
  EXPECT_EQ(relay(archive, config).regions.size(), 2U);
  EXPECT_FALSE(store->head(archive).has_value());
}

TEST_F(Permitted, WithTheEnvironmentAloneAnArchiveInOneOfItsDestinationsIsNoStagedCopy) {
  pack::PackPlan made = plan();
  made.targets.push_back({far, stranger, "", "", true});
  const ObjectKey key = pack_one(made);
  for (const BucketName& bucket : {src, copy, vault, catalog, stranger, inbound})
    store->copy({{outbound, key}, {}, {}}, {bucket, key});
  const std::size_t before = all_objects();
  for (const BucketName& bucket : {src, copy, vault, catalog, stranger, outbound})
    EXPECT_THAT(refusal([&] { land({bucket, key}, drop_in()); }), HasSubstr(bucket.str()));
  for (const BucketName& bucket : {src, copy, vault, catalog, stranger, outbound})
    EXPECT_THAT(refusal([&] { land({bucket, key}, drop_in(inbound)); }), HasSubstr(inbound.str()));
  EXPECT_EQ(all_objects(), before);
  EXPECT_TRUE(land({inbound, key}, drop_in()).failures.empty());
  EXPECT_EQ(read(copy, "a"), "content");
}

TEST_F(Permitted, WithTheEnvironmentAloneWhatIsNotKnownToBeAStagedCopyLandsAndStays) {
  const ObjectKey key = pack_one(plan());
  const BucketName nearly("demo-12345678901-eu-west-1-inbound"), elsewhere("demo-000000000000-us-east-2-inbound"),
      other_stack("other-000000000000-eu-west-1-inbound"), second("demo-111111111111-eu-west-1-inbound");
  for (const BucketName& bucket : {stranger, nearly, elsewhere, other_stack, second}) {
    if (bucket != stranger) store->create_bucket(bucket);
    store->copy({{outbound, key}, {}, {}}, {bucket, key});
  }
  for (const BucketName& bucket : {stranger, nearly, elsewhere, other_stack}) {
    const land::LandResult result = land({bucket, key}, drop_in());
    ASSERT_EQ(result.failures.size(), 1U) << bucket.str();
    EXPECT_EQ(result.failures[0].error.kind(), ErrorKind::denied);
    EXPECT_THAT(result.failures[0].error.what(), HasSubstr(bucket.str()));
    EXPECT_THAT(result.failures[0].error.hint(), HasSubstr("BUCKET"));
    EXPECT_TRUE(store->head({bucket, key}).has_value());
  }
  EXPECT_EQ(read(copy, "a"), "content");
  EXPECT_TRUE(store->head({vault, key}).has_value());
  EXPECT_EQ(objects_in(catalog), 1U);
  EXPECT_TRUE(land({stranger, key}, drop_in(stranger)).failures.empty()) << "BUCKET says it";
  EXPECT_FALSE(store->head({stranger, key}).has_value());
  EXPECT_TRUE(land({second, key}, drop_in()).failures.empty()) << "its name says it";
  EXPECT_FALSE(store->head({second, key}).has_value());
  config::ReplicationConfig config = drop_in();
  config.settings.given->queue = QueueName("https://sqs.eu-west-1.amazonaws.com/1/" + elsewhere.str() + "-queue");
  EXPECT_EQ(land({nearly, key}, config).failures.size(), 1U);
  EXPECT_TRUE(land({elsewhere, key}, config).failures.empty()) << "the queue is named after it";
  EXPECT_FALSE(store->head({elsewhere, key}).has_value());
}

TEST_F(Permitted, WithTheEnvironmentAloneTheStacksBucketsAndTheSourceAreNoDestinations) {
  for (const BucketName& bucket : {src, inbound, outbound, catalog, far_inbound}) {
    for (const bool backup : {false, true}) {
      const ObjectAddress archive = forged({{region, bucket, "", "", backup}});
      const std::size_t before = objects_in(bucket);
      if (bucket == inbound) {  // it says itself that it is no staged copy
        refusal([&] { land(archive, drop_in()); });
      } else {
        EXPECT_EQ(land(archive, drop_in()).failures.size(), 1U) << bucket.str();
      }
      EXPECT_EQ(objects_in(bucket), before);
      EXPECT_TRUE(store->head(archive).has_value());
    }
  }
}

}  // namespace
}  // namespace bale::testing
