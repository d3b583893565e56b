#include "cli/output.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "cli/status_terminal.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

GlobalOptions options(Output output = Output::text) {
  GlobalOptions made;
  made.output = output;
  made.region = "us-east-1";
  made.connections = 1;
  return made;
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("plain"), 5u);
  EXPECT_EQ(display_width("é"), 1u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u) << "combining accent";
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("🎈"), 2u);
  EXPECT_EQ(display_width("\xff\xc3"), 2u) << "not UTF-8: one column a byte";
}

TEST(Fit, CutsBetweenCharacters) {
  EXPECT_EQ(fit("short", 5), "short");
  EXPECT_EQ(fit("longer", 5), "long…");
  EXPECT_EQ(fit("日本語", 5), "日本…");
  EXPECT_EQ(fit("日本語", 4), "日…");
  EXPECT_EQ(fit("x", 0), "");
}

TEST(Table, AlignsByWidthAndSide) {
  Table table({{"Name"}, {"Size", Align::right}, {"Note"}});
  EXPECT_TRUE(table.empty());
  table.add({"a", "1,234", ""});
  table.add({"日本", "5", "wide\nand escaped"});
  EXPECT_EQ(table.text(),
            "Name   Size  Note\n"
            "a     1,234\n"
            "日本      5  wide\\x0aand escaped");
}

TEST(Table, FillsMissingCells) {
  Table table({{"A"}, {"B"}});
  table.add({"x"});
  EXPECT_EQ(table.text(), "A  B\nx");
}

TEST(FormatCount, GroupsDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567), "1,234,567");
}

TEST(FormatRate, DividesByTime) {
  EXPECT_EQ(format_rate(10 << 20, Milliseconds(2000)), "5.0 MiB/s");
  EXPECT_EQ(format_rate(10, Milliseconds(0)), "-");
}

TEST(ProgressLine, SaysWhatIsKnown) {
  EXPECT_EQ(progress_line("copying", {.items_done = 12, .bytes_done = 1024}, 80), "copying  12 objects  1.0 KiB");
  EXPECT_EQ(progress_line("copying",
                          {.items_done = 12,
                           .items_total = 1340,
                           .bytes_done = 1 << 20,
                           .bytes_total = 4 << 20,
                           .items_failed = 2,
                           .bytes_per_second = 1 << 20},
                          120),
            "copying  12/1,340 objects  1.0 MiB of 4.0 MiB (25%)  1.0 MiB/s  ETA 3.0 s  2 failed");
}

TEST(ProgressLine, HasNoEstimateThatMeansNothing) {
  const std::string slow = progress_line("x", {.bytes_done = 1, .bytes_total = 1ull << 60, .bytes_per_second = 1}, 200);
  EXPECT_EQ(slow.find("ETA"), std::string::npos) << slow;
  const std::string more = progress_line("x", {.bytes_done = 9, .bytes_total = 8, .bytes_per_second = 1}, 200);
  EXPECT_NE(more.find("(100%)"), std::string::npos) << "a file that grew: " << more;
}

TEST(ProgressLine, LeavesOutWhatSaysNothing) {
  EXPECT_EQ(progress_line("uploading", {.items_total = 1, .bytes_done = 1 << 20, .bytes_total = 4 << 20}, 80),
            "uploading  1.0 MiB of 4.0 MiB (25%)");
  EXPECT_EQ(progress_line("deleting", {.items_done = 76}, 80), "deleting  76 objects");
  EXPECT_EQ(progress_line("uploading", {.bytes_total = 1 << 20}, 80), "uploading  0 objects  0 B of 1.0 MiB (0%)");
}

TEST(ProgressLine, FitsTheTerminal) {
  EXPECT_LE(display_width(progress_line("copying", {.items_done = 1, .bytes_total = 1 << 20}, 20)), 20u);
}

TEST(Emit, PrintsTextOrJson) {
  testing::FakeWorld world;
  Context text(world.world(), options());
  emit(text, {{"type", "x"}}, "words");
  emit_json(text, {{"type", "x"}});
  EXPECT_EQ(world.terminal.take_output(), "words\n");
  Context json(world.world(), options(Output::json));
  emit(json, {{"type", "x"}, {"key", "\xff\n"}}, "words");
  EXPECT_EQ(world.terminal.take_output(), "{\"type\":\"x\",\"key\":\"\xEF\xBF\xBD\\n\"}\n");
}

TEST(Emit, ANameThatIsNotUtf8HasItsBytesBesideIt) {
  nlohmann::ordered_json line;
  add_name(line, "key", "a\\\xff");
  add_name(line, "path", "a\n\\");
  EXPECT_EQ(line.dump(), R"({"key":"a\\\\\\xff","key_base64":"YVz/","path":"a\n\\"})");
}

TEST(Emit, ThePlaceOfAnErrorIsSafeToPrint) {
  EXPECT_EQ(message_of(Error(ErrorKind::not_found, "gone", "s3://b/\x1b[31m")), "gone (s3://b/\\x1b[31m)");
  EXPECT_EQ(message_of(Error(ErrorKind::not_found, "gone")), "gone");
}

TEST(Format, NumbersAgreeWithTheirNouns) {
  EXPECT_EQ(format_count(0, "object"), "0 objects");
  EXPECT_EQ(format_count(1, "object"), "1 object");
  EXPECT_EQ(format_count(1234, "frame"), "1,234 frames");
  EXPECT_NE(progress_line("x", {.items_done = 1}, 80).find("1 object"), std::string::npos);
  EXPECT_NE(progress_line("x", {.items_done = 1, .items_total = 2}, 80).find("1/2 objects"), std::string::npos);
}

TEST(Format, DollarsShowTwoDigitsOfSmallAmounts) {
  EXPECT_EQ(format_dollars(0), "$0.00");
  EXPECT_EQ(format_dollars(1234567.891), "$1,234,567.89");
  EXPECT_EQ(format_dollars(-12.5), "-$12.50");
  EXPECT_EQ(format_dollars(-1234.5), "-$1,234.50");
  EXPECT_EQ(format_dollars(0.0123), "$0.0123");
  EXPECT_EQ(format_dollars(0.00000123), "$0.0000012");
  EXPECT_EQ(format_dollars(-0.00042), "-$0.00042");
  EXPECT_EQ(format_dollars(1e-30), "$0.000000000000");
}

TEST(Format, ARatioOfNothingIsNoNumber) {
  EXPECT_EQ(format_ratio(0, 800), "-");
  EXPECT_EQ(format_ratio(800, 0), "-");
  EXPECT_EQ(format_ratio(800, 320), "2.50");
}

TEST(Emit, QuietSilencesTextOnly) {
  testing::FakeWorld world;
  GlobalOptions quiet = options();
  quiet.quiet = true;
  Context text(world.world(), quiet);
  emit(text, {{"type", "x"}}, "words");
  EXPECT_EQ(world.terminal.take_output(), "");
  quiet.output = Output::json;
  Context json(world.world(), quiet);
  emit(json, {{"type", "x"}}, "words");
  EXPECT_EQ(world.terminal.take_output(), "{\"type\":\"x\"}\n");
}

TEST(EmitFailure, NamesTheItemOnStderr) {
  testing::FakeWorld world;
  const Error error = Error(ErrorKind::denied, "no", "s3://b/k", "ask").with_code("AccessDenied");
  Context text(world.world(), options());
  emit_failure(text, "upload failed: a to s3://b/k", error);
  EXPECT_EQ(world.terminal.take_errors(), "upload failed: a to s3://b/k: no (s3://b/k)\nhint: ask\n");
  Context json(world.world(), options(Output::json));
  emit_failure(json, "upload failed", error);
  const auto line = nlohmann::json::parse(world.terminal.take_errors());
  EXPECT_EQ(line["type"], "error");
  EXPECT_EQ(line["kind"], "denied");
  EXPECT_EQ(line["code"], "AccessDenied");
  EXPECT_EQ(world.terminal.output(), "");
}

TEST(StatusTerminal, KeepsTheStatusBelowOtherOutput) {
  testing::FakeTerminal inner;
  inner.is_terminal = true;
  {
    StatusTerminal terminal(inner, true, StatusTerminal::Kind::text);
    terminal.set_status("50%");
    EXPECT_EQ(inner.take_errors(), "50%");
    terminal.err("log line\n");
    EXPECT_EQ(inner.take_errors(), "\r\x1b[Klog line\n50%");
    terminal.out("result\n");
    EXPECT_EQ(inner.take_output(), "result\n");
    EXPECT_EQ(inner.take_errors(), "\r\x1b[K50%");
  }
  EXPECT_EQ(inner.take_errors(), "\r\x1b[K") << "gone at the end";
}

TEST(StatusTerminal, LetsNoControlCharacterThrough) {
  testing::FakeTerminal inner;
  StatusTerminal text(inner, false, StatusTerminal::Kind::text), json(inner, false, StatusTerminal::Kind::json);
  const std::string hostile = "a\x1b[2J\xc2\x9b\xe2\x80\xae\x7f\n";
  const std::string shown = "a\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\\x7f\n";
  text.out(hostile);
  EXPECT_EQ(inner.take_output(), shown);
  text.err(hostile);
  text.log(hostile);
  EXPECT_EQ(inner.take_errors(), shown + shown);
  json.out(hostile);
  EXPECT_EQ(inner.take_output(), "a\\u001b[2J\\u009b\\u202e\\u007f\n");
  text.out_bytes(as_bytes(hostile));
  EXPECT_EQ(inner.take_output(), hostile) << "an object's bytes";
  text.err("GET http://user:secret@host failed\n");
  EXPECT_EQ(inner.take_errors(), "GET http://***@host failed\n");
}

TEST(Messages, HaveNoLinesThatLookLikeOthers) {
  const Error error(ErrorKind::invalid, "wrong:\n  a\nbale: fine", "x\nbale: fine", "do\nbale: fine");
  EXPECT_EQ(message_of(error), "wrong:\n  a\n  bale: fine (x\\x0abale: fine)");
  testing::FakeWorld world;
  Context context(world.world(), options());
  emit_failure(context, "doing\nbale: fine", error);
  EXPECT_EQ(world.terminal.take_errors(),
            "doing\\x0abale: fine: wrong:\n  a\n  bale: fine (x\\x0abale: fine)\nhint: do\n  bale: fine\n");
}

TEST(StatusTerminal, ShowsNothingWhereNobodyLooks) {
  testing::FakeTerminal pipe;
  StatusTerminal terminal(pipe, true, StatusTerminal::Kind::text);
  EXPECT_FALSE(terminal.shows_status());
  terminal.set_status("50%");
  terminal.err("log line\n");
  EXPECT_EQ(pipe.errors(), "log line\n");
  testing::FakeTerminal screen;
  screen.is_terminal = true;
  StatusTerminal unwanted(screen, false, StatusTerminal::Kind::text);
  unwanted.set_status("50%");
  EXPECT_EQ(screen.errors(), "");
}

TEST(ProgressPrinter, DrawsOnATerminalAndCleansUp) {
  testing::FakeWorld world;
  world.terminal.is_terminal = true;
  Context context(world.world(), options());
  flow::Progress progress;
  progress.items_done = 7;
  {
    const ProgressPrinter printer(context, progress, "copying");
    while (world.terminal.errors().empty()) std::this_thread::yield();
  }
  const std::string shown = world.terminal.errors();
  EXPECT_NE(shown.find("copying  7 objects"), std::string::npos);
  EXPECT_TRUE(shown.ends_with("\r\x1b[K"));
}

TEST(ProgressPrinter, IsSilentWithoutATerminalOrWhenAskedTo) {
  testing::FakeWorld world;
  flow::Progress progress;
  Context piped(world.world(), options());
  EXPECT_FALSE(piped.shows_status());
  world.terminal.is_terminal = true;
  for (bool GlobalOptions::*off : {&GlobalOptions::quiet, &GlobalOptions::no_progress}) {
    GlobalOptions silent = options();
    silent.*off = true;
    Context context(world.world(), silent);
    EXPECT_FALSE(context.shows_status());
    const ProgressPrinter printer(context, progress, "copying");
  }
  EXPECT_EQ(world.terminal.errors(), "");
}

}  // namespace
}  // namespace bale::cli
