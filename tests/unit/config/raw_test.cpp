// The configuration of raw file backup: what is read, and that everything wrong is told with its place.
#include "config/raw.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/raw_shape.hpp"
#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

RawConfig parse(std::string_view text) { return parse_raw_config(text, "backup.yaml"); }

/// The findings as they are printed.
std::vector<std::string> findings(std::string_view text) {
  std::vector<std::string> all;
  try {
    parse(text);
  } catch (const InvalidConfig& error) {
    for (const Finding& finding : error.findings()) all.push_back(to_string(finding));
  }
  return all;
}

/// What is wrong with one member of s3.
std::vector<std::string> s3_findings(const std::string& member) {
  return findings("backup:\n  backup_type: s3\n  s3:\n    region: eu-central-1\n    bucket_prefix: a\n    " + member);
}

TEST(RawConfig, TheFewestLinesAreEnough) {
  const RawConfig config = parse("backup:\n  backup_type: local\n");
  EXPECT_EQ(config.backup_type, BackupType::local);
  EXPECT_FALSE(config.s3);
  EXPECT_EQ(config.purging_verification, PurgingVerification::local);
  EXPECT_EQ(config.layout, KeyLayout::by_id);
  EXPECT_EQ(config.records_table.str(), "bale-raw");
  EXPECT_EQ(parse("backup: {}").backup_type, BackupType::local);
}

TEST(RawConfig, ThatOfTheRequirementsIsReadAmongOtherSections) {
  const RawConfig config = parse(R"(# In envs/alphakraken.{env}.yaml
general: &general
  notifications: {hostname: localhost}
locations:
  <<: *general
  backup: !path /fs/pool
backup:
  backup_type: local  # or 's3'

  # S3-specific config (only used when backup_type: s3)
  s3:
    region: eu-central-1
    bucket_prefix: alphakraken  # Results in alphakraken-{project_id}
instruments: {test1: {type: thermo}}
)");
  EXPECT_EQ(config.backup_type, BackupType::local);
  EXPECT_EQ(config.s3->region.str(), "eu-central-1");
  EXPECT_EQ(config.s3->bucket_prefix, "alphakraken");
  EXPECT_EQ(config.s3->part_bytes, 524'288'000u);
  EXPECT_FALSE(config.s3->auto_create_buckets);
  EXPECT_EQ(config.s3->retries, 3);
  EXPECT_EQ(config.s3->retry_delay, seconds(300));
  EXPECT_EQ(config.s3->timeout, seconds(21'600));
  EXPECT_EQ(config.s3->max_uploads, 2);
  EXPECT_TRUE(config.s3->bandwidth_limit.is_unlimited());
  EXPECT_EQ(config.s3->fallback_project, "_FALLBACK");
}

TEST(RawConfig, EveryMemberIsRead) {
  const RawConfig config = parse(R"(
backup:
  backup_type: s3
  purging_verification_type: force_local
  layout: alphakraken
  pool_path: /fs/pool/backup
  backup_base_path: /shown
  records_table: raw_files
  instruments:
    tims1: /instruments/tims1
    astral 2: "/instruments/astral 2"
  s3:
    region: us-east-1
    bucket_prefix: prefix
    auto_create_buckets: yes
    fallback_project: NONE
    chunk_size_mb: 100
    storage_class: GLACIER_IR
    sse: aws:kms
    kms_key_arn: arn:aws:kms:us-east-1:123456789012:key/abc
    expected_bucket_owner: 012345678901
    endpoint_url: http://127.0.0.1:9000
    retries: 0
    retry_delay_seconds: 1
    timeout_seconds: 2
    max_uploads: 4
    bandwidth_limit: 20MB
)");
  EXPECT_EQ(config.backup_type, BackupType::s3);
  EXPECT_EQ(config.purging_verification, PurgingVerification::force_local);
  EXPECT_EQ(config.layout, KeyLayout::alphakraken);
  EXPECT_EQ(config.pool_path, "/fs/pool/backup");
  EXPECT_EQ(config.records_table.str(), "raw_files");
  EXPECT_THAT(config.instruments,
              ElementsAre(std::pair("astral 2", "/instruments/astral 2"), std::pair("tims1", "/instruments/tims1")));
  const RawS3& s3 = *config.s3;
  EXPECT_TRUE(s3.auto_create_buckets);
  EXPECT_EQ(s3.fallback_project, "NONE");
  EXPECT_EQ(s3.part_bytes, 100ULL << 20);
  EXPECT_EQ(s3.storage_class, "GLACIER_IR");
  EXPECT_EQ(s3.sse, "aws:kms");
  EXPECT_EQ(s3.kms_key_arn, "arn:aws:kms:us-east-1:123456789012:key/abc");
  EXPECT_EQ(s3.expected_bucket_owner, "012345678901") << "not a number, although it looks like one";
  EXPECT_EQ(s3.endpoint_url, "http://127.0.0.1:9000");
  EXPECT_EQ(s3.retries, 0);
  EXPECT_EQ(s3.retry_delay, seconds(1));
  EXPECT_EQ(s3.timeout, seconds(2));
  EXPECT_EQ(s3.max_uploads, 4);
  EXPECT_EQ(s3.bandwidth_limit.limit_at(hours(3)), 20'000'000u);
}

TEST(RawConfig, EverythingThatIsWrongIsToldAtOnceWithItsPlace) {
  EXPECT_THAT(
      findings("backup:\n"
               "  backup_typ: s3\n"
               "  layout: by-id\n"
               "  s3:\n"
               "    region: EU\n"
               "    chunk_size_mb: 5121\n"
               "    auto_create_buckets: maybe\n"
               "    retries: \"3\"\n"
               "    max_uploads: [2]\n"
               "    expected_bucket_owner: 1234\n"),
      ElementsAre(
          "backup.yaml:2:3: backup.backup_typ: unknown member; did you mean \"backup_type\"?",
          "backup.yaml:3:11: backup.layout: \"by-id\" is not one of by_id, alphakraken; did you mean \"by_id\"?",
          "backup.yaml:5:13: backup.s3.region: \"EU\" is not a region (a-z, 0-9 and '-', e.g. eu-central-1)",
          "backup.yaml:6:20: backup.s3.chunk_size_mb: 5121 is not in 5-5120",
          "backup.yaml:7:26: backup.s3.auto_create_buckets: \"maybe\" is not true or false",
          "backup.yaml:8:14: backup.s3.retries: \"3\" is not a whole number",
          "backup.yaml:9:5: backup.s3.max_uploads: [\"2\"] is not a whole number",
          "backup.yaml:10:28: backup.s3.expected_bucket_owner: \"1234\" is not 12 digits"));
}

TEST(RawConfig, ABackupInS3NeedsRegionAndPrefix) {
  EXPECT_THAT(findings("backup:\n  backup_type: s3\n"),
              ElementsAre("backup.yaml:1:1: backup.s3.region: is missing; backup_type s3 needs it",
                          "backup.yaml:1:1: backup.s3.bucket_prefix: is missing; backup_type s3 needs it"));
  EXPECT_THAT(findings("backup:\n  backup_type: s3\n  s3:\n    region: eu-central-1\n    bucket_prefix:\n"),
              ElementsAre("backup.yaml:5:5: backup.s3.bucket_prefix: is missing; backup_type s3 needs it"));
  EXPECT_THAT(findings("other: 1\n"), ElementsAre("backup.yaml: backup: is missing"));
  EXPECT_THAT(findings(""), ElementsAre("backup.yaml: backup: is missing"));
  EXPECT_THAT(findings("backup:\n"), ElementsAre(HasSubstr("backup: \"\" is not an object")));
}

TEST(RawConfig, MembersThatContradictEachOtherAreTold) {
  EXPECT_THAT(s3_findings("sse: AES256\n    kms_key_arn: arn:aws:kms:us-east-1:123456789012:key/abc\n"),
              ElementsAre(HasSubstr("a KMS key goes with sse aws:kms")));
  EXPECT_THAT(findings("backup:\n  purging_verification_type: s3\n"),
              ElementsAre(HasSubstr("s3 needs backup_type s3")));
  EXPECT_THAT(findings("backup:\n  backup_type: s3\n  purging_verification_type: local\n  s3: {region: a, "
                       "bucket_prefix: b}\n"),
              ElementsAre(HasSubstr("backup.yaml:3:30: backup.purging_verification_type: local is refused")));
  EXPECT_THAT(findings("backup:\n  instruments:\n    a/b: /x\n    c:\n    d: \"/\\x01\"\n"),
              ElementsAre(HasSubstr("backup.yaml:3:5: backup.instruments.a/b: an instrument cannot be called that"),
                          HasSubstr("backup.yaml:4:5: backup.instruments.c: has no directory"),
                          HasSubstr("backup.yaml:5:5: backup.instruments.d: has a control character")));
}

TEST(RawConfig, ValuesOutsideTheirRangesAreTold) {
  for (const char* member :
       {"chunk_size_mb: 4", "chunk_size_mb: 0500", "chunk_size_mb: 5e2", "chunk_size_mb: 99999999999999999999",
        "retries: -1", "retry_delay_seconds: 86401", "timeout_seconds: 0", "max_uploads: 0", "sse: aes256",
        "storage_class: COLD", "endpoint_url: ftp://x", "endpoint_url: https://", "bucket_prefix2: a",
        "kms_key_arn: alias/x", "fallback_project: \"\\n\""})
    EXPECT_THAT(s3_findings(member), SizeIs(1)) << member;
  for (const char* member : {"chunk_size_mb: 5", "chunk_size_mb: 5120", "sse:", "auto_create_buckets: Off"})
    EXPECT_THAT(s3_findings(member), IsEmpty()) << member;
}

TEST(RawConfig, TextThatIsNotOneMappingIsRefused) {
  EXPECT_THAT(findings("backup: [1, 2"), ElementsAre(HasSubstr("is not YAML")));
  EXPECT_THAT(findings("- backup\n"), ElementsAre(HasSubstr("backup.yaml:1:1: the file is not a mapping")));
  EXPECT_THAT(findings("---\nbackup: {}\n---\nbackup: {}\n"), ElementsAre(HasSubstr("a second document begins here")));
  EXPECT_THAT(findings("backup: {}\n\xFF"), ElementsAre("backup.yaml: is not text in UTF-8"));
  EXPECT_THAT(findings("backup:\n  backup_type: local\n  backup_type: s3\n"),
              ElementsAre("backup.yaml:3:3: backup_type is given twice"));
  EXPECT_THAT(findings("backup: {}\nbackup: {}\n"), ElementsAre("backup.yaml:2:1: backup is given twice"));
  EXPECT_THAT(findings("backup:\n  ? [a]\n  : b\n"), ElementsAre(HasSubstr("a name must be plain text")));
  EXPECT_THAT(findings(std::string(max_raw_config_bytes + 1, '#')), ElementsAre(HasSubstr("has more than 1.0 MiB")));
}

TEST(RawConfig, AliasesAnchorsAndTagsAreRefusedInTheSectionAndNotFollowedElsewhere) {
  EXPECT_THAT(findings("x: &x {region: a}\nbackup:\n  s3: *x\n"), ElementsAre(HasSubstr("backup.yaml:3:7: an alias")));
  EXPECT_THAT(findings("x: &x {}\nbackup:\n  <<: *x\n"), ElementsAre(HasSubstr("<<: unknown"), HasSubstr("an alias")));
  EXPECT_THAT(findings("backup:\n  s3: &s3 {}\n"), ElementsAre(HasSubstr("an anchor")));
  EXPECT_THAT(findings("backup:\n  s3: !!map {}\n"), ElementsAre(HasSubstr("the tag tag:yaml.org,2002:map")));
  EXPECT_THAT(findings("backup:\n  layout: !!str by_id\n"), IsEmpty());
  // Ten levels of ten aliases each would be 10^10 nodes.
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i <= 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_THAT(findings(bomb + "backup: {}\n"), IsEmpty());
}

TEST(RawConfig, DepthIsBounded) {
  const auto nested = [](int levels) {
    return "x: " + std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']') + "\nbackup: {}\n";
  };
  EXPECT_THAT(findings(nested(63)), IsEmpty());
  EXPECT_THAT(findings(nested(64)), ElementsAre(HasSubstr("nests more than 64 levels deep")));
  EXPECT_THAT(findings(nested(100'000)), SizeIs(1));
  EXPECT_THAT(findings("backup: " + std::string(200'000, '{')), Contains(HasSubstr("nests more than 64 levels deep")));
}

TEST(RawConfig, IsReadFromAFile) {
  testing::FakeWorld world;
  const auto path = world.write("a/backup.yaml", "backup:\n  layout: x\n");
  const Error error = testing::error_of([&] { load_raw_config(*world.files, path); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), HasSubstr(path.string() + ":2:11: backup.layout"));
  EXPECT_ERROR(ErrorKind::not_found, "", load_raw_config(*world.files, world.path("none.yaml")));
  EXPECT_TRUE(is_yaml_name("a/b.yaml"));
  EXPECT_TRUE(is_yaml_name("b.YML"));
  EXPECT_FALSE(is_yaml_name("b.json"));
  EXPECT_FALSE(is_yaml_name(".yaml"));
}

TEST(RawConfig, RelativeDirectoriesAreBesideTheFile) {
  testing::FakeWorld world;
  const auto path = world.write("a/backup.yaml", "backup:\n  pool_path: ../pool\n  records: state/records\n");
  const RawConfig config = load_raw_config(*world.files, path);
  EXPECT_EQ(config.pool_path, world.path("pool"));
  EXPECT_EQ(config.records, world.path("a/state/records").native());
  world.write("a/backup.yaml", "backup:\n  pool_path: /fs/pool\n  records: dynamodb\n  lease_seconds: 90\n");
  const RawConfig absolute = load_raw_config(*world.files, path);
  EXPECT_EQ(absolute.pool_path, "/fs/pool");
  EXPECT_EQ(absolute.records, "dynamodb");
  EXPECT_EQ(absolute.lease, std::chrono::seconds(90));
}

TEST(RawConfig, WordsAndLayoutsMatch) {
  EXPECT_EQ(parse_key_layout("alphakraken"), KeyLayout::alphakraken);
  EXPECT_EQ(parse_key_layout("by_id"), KeyLayout::by_id);
  EXPECT_ERROR(ErrorKind::invalid, "", parse_key_layout("other"));
  EXPECT_EQ(to_string(PurgingVerification::force_local), "force_local");
  EXPECT_EQ(to_string(BackupType::s3), "s3");
}

TEST(RawConfig, TheSchemaLeavesOtherSectionsAlone) {
  const auto schema = nlohmann::json::parse(raw_schema());
  EXPECT_EQ(schema["additionalProperties"], true);
  EXPECT_EQ(schema["required"], nlohmann::json::array({"backup"}));
  const auto& backup = schema["properties"]["backup"];
  EXPECT_EQ(backup["additionalProperties"], false);
  EXPECT_EQ(backup["properties"]["s3"]["anyOf"][0]["properties"]["chunk_size_mb"]["anyOf"][0]["maximum"], 5120);
}

TEST(Bandwidth, IsALimitOrOneForTimesOfDay) {
  const auto schedule = [](const std::string& yaml) {
    return parse("backup:\n  s3:\n    bandwidth_limit: " + yaml).s3->bandwidth_limit;
  };
  EXPECT_EQ(schedule("1048576").limit_at(seconds(0)), 1'048'576u);
  EXPECT_EQ(schedule("500KiB/s").limit_at(hours(24)), 512'000u);
  EXPECT_TRUE(schedule("unlimited").is_unlimited());
  EXPECT_TRUE(schedule("").is_unlimited());
  const std::string periods[] = {"\n      08:00-18:00: 20MB\n      22:30-06:00: unlimited\n      18:00-22:30: 100MB\n",
                                 "\n    - 08:00-18:00: 20MB\n    - 22:30-06:00: unlimited\n    - 18:00-22:30: 100MB\n"};
  for (const std::string& yaml : periods) {
    const BandwidthSchedule day = schedule(yaml);
    EXPECT_FALSE(day.is_unlimited());
    EXPECT_EQ(day.limit_at(hours(8)), 20'000'000u);
    EXPECT_EQ(day.limit_at(hours(18) - seconds(1)), 20'000'000u);
    EXPECT_EQ(day.limit_at(hours(18)), 100'000'000u);
    EXPECT_EQ(day.limit_at(hours(22) + minutes(30)), std::nullopt);
    EXPECT_EQ(day.limit_at(hours(0)), std::nullopt);
    EXPECT_EQ(day.limit_at(hours(7)), std::nullopt) << "in no period";
  }
  const BandwidthSchedule night = schedule("{20:00-06:00: 1MB, 06:00-20:00: 2MB}");
  EXPECT_EQ(night.limit_at(hours(23)), 1'000'000u);
  EXPECT_EQ(night.limit_at(hours(6) - seconds(1)), 1'000'000u);
  EXPECT_EQ(night.limit_at(hours(6)), 2'000'000u);
  EXPECT_EQ(schedule("{00:00-24:00: 1MB}").limit_at(hours(23)), 1'000'000u);
}

TEST(Bandwidth, WhatIsNoneIsToldWithItsPlace) {
  EXPECT_THAT(s3_findings("bandwidth_limit: fast\n"),
              ElementsAre(HasSubstr("backup.yaml:6:22: backup.s3.bandwidth_limit: \"fast\" is not a size per second")));
  EXPECT_THAT(s3_findings("bandwidth_limit: 0\n"), SizeIs(1));
  EXPECT_THAT(s3_findings("bandwidth_limit:\n      08:00-18:00: 20MB\n      17:59-19:00: 1MB\n"),
              ElementsAre(HasSubstr("backup.yaml:8:7: backup.s3.bandwidth_limit: the time 17:59-19:00 overlaps")));
  EXPECT_THAT(s3_findings("bandwidth_limit:\n      22:00-06:00: 20MB\n      05:59-06:00: 1MB\n"), SizeIs(1));
  EXPECT_THAT(s3_findings("bandwidth_limit: [20MB]\n"), ElementsAre(HasSubstr("is not a time of day with its limit")));
  EXPECT_THAT(s3_findings("bandwidth_limit: {8:00-18:00: 20MB}\n"), SizeIs(1));
  EXPECT_THAT(s3_findings("bandwidth_limit: {08:00-18:00: [1]}\n"), SizeIs(1));
  for (const char* text :
       {"08:00", "08:60-09:00", "24:00-09:00", "08:00-24:01", "08:00-09:00-10:00", "", "ab:cd-ef:gh"})
    EXPECT_ERROR(ErrorKind::invalid, "", parse_period(text));
}

}  // namespace
}  // namespace bale::config
