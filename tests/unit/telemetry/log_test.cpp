#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::telemetry {
namespace {

TEST(Log, TextLinesAreReadableAndSafe) {
  testing::FakeWorld world;
  Log log(world.world(), Level::info, Format::text);
  log.info("pack.done", "packed", {{"objects", 12}, {"archive", "a b"}, {"key", "x\n\x1b[31m"}, {"empty", ""}});
  EXPECT_EQ(world.terminal.errors(),
            "2025-01-23 09:05:07 INFO    pack.done      packed objects=12 archive=\"a b\" key=x\\x0a\\x1b[31m\n");
  EXPECT_EQ(world.terminal.output(), "");
}

TEST(Log, AQuoteInAValueDoesNotEndIt) {
  testing::FakeWorld world;
  Log(world.world(), Level::info, Format::text).info("e", "m", {{"key", "a\" b=\"c"}});
  EXPECT_NE(world.terminal.errors().find(R"(key="a\" b=\"c")"), std::string::npos) << world.terminal.errors();
}

TEST(Log, JsonLinesHaveTheMembersOfTheReference) {
  testing::FakeWorld world;
  Log log(world.world(), Level::debug, Format::json);
  log.error("land.failed", "no \"luck\"",
            {{"objects", 12}, {"ratio", 0.5}, {"key", "\xff\n"}, {"missing", std::nan("")}});
  const auto line = nlohmann::json::parse(world.terminal.errors());
  EXPECT_EQ(line["asctime"], "2025-01-23 09:05:07");
  EXPECT_EQ(line["levelname"], "ERROR");
  EXPECT_EQ(line["name"], "land.failed");
  EXPECT_EQ(line["message"], "no \"luck\"");
  EXPECT_EQ(line["objects"], 12);
  EXPECT_EQ(line["ratio"], 0.5);
  EXPECT_EQ(line["key"], "\xEF\xBF\xBD\n");
  EXPECT_TRUE(line["missing"].is_null());
  const std::string text = world.terminal.errors();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Log, NoFieldTakesThePlaceOfWhatHappened) {
  testing::FakeWorld world;
  Log(world.world(), Level::info, Format::json).info("event", "what happened", {{"message", "4711"}, {"name", "n"}});
  const auto line = nlohmann::json::parse(world.terminal.errors());
  EXPECT_EQ(line["message"], "what happened");
  EXPECT_EQ(line["message_"], "4711");
  EXPECT_EQ(line["name"], "event");
}

/// A terminal whose reader stops reading when a test says so.
class StalledTerminal final : public os::Terminal {
 public:
  void out(std::string_view) override {}
  std::size_t in(MutableBytes, const std::stop_token&) override { return 0; }
  void err(std::string_view text) override { written += text; }
  bool log(std::string_view line) override {
    if (!stalled) written += line;
    return !stalled;
  }
  bool err_is_terminal() const override { return false; }
  bool out_is_terminal() const override { return false; }
  int columns() const override { return 80; }
  bool stalled = false;
  std::string written;
};

TEST(Log, TellsHowManyLinesNobodyRead) {
  testing::FakeWorld world;
  StalledTerminal terminal;
  {
    const os::World fake = world.world();
    Log log({fake.clock, fake.entropy, fake.environment, fake.files, terminal, fake.stop}, Level::info, Format::text);
    log.info("e", "first");
    terminal.stalled = true;
    for (int i = 0; i < 3; ++i) log.info("e", "unread");
    log.debug("e", "not of this level");
    terminal.stalled = false;
    log.info("e", "second");
    log.info("e", "third");
    terminal.stalled = true;
    log.info("e", "unread");
    terminal.stalled = false;
  }
  EXPECT_EQ(terminal.written,
            "2025-01-23 09:05:07 INFO    e              first\n"
            "2025-01-23 09:05:07 WARNING log.lost       lines of the log were dropped: nobody read them lines=3\n"
            "2025-01-23 09:05:07 INFO    e              second\n"
            "2025-01-23 09:05:07 INFO    e              third\n"
            "2025-01-23 09:05:07 WARNING log.lost       lines of the log were dropped: nobody read them lines=1\n");
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  testing::FakeWorld world;
  Log log(world.world(), Level::warning, Format::text);
  log.debug("e", "m");
  log.info("e", "m");
  EXPECT_EQ(world.terminal.errors(), "");
  log.warning("e", "m");
  EXPECT_NE(world.terminal.take_errors(), "");
  Log off(world.world(), Level::off, Format::text);
  off.write(Level::critical, "e", "m");
  EXPECT_EQ(world.terminal.errors(), "");
}

TEST(Level, IsReadInAnyCase) {
  EXPECT_EQ(parse_level("DEBUG"), Level::debug);
  EXPECT_EQ(parse_level("Info"), Level::info);
  EXPECT_EQ(parse_level("warn"), Level::warning);
  EXPECT_EQ(parse_level("WARNING"), Level::warning);
  EXPECT_EQ(parse_level("error"), Level::error);
  EXPECT_EQ(parse_level("CRITICAL"), Level::critical);
  EXPECT_THROW(parse_level("loud"), Error);
}

}  // namespace
}  // namespace bale::telemetry
