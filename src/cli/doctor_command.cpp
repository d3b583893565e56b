// bale doctor
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/s3_names.hpp"
#include "jobs/doctor/doctor.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

struct DoctorOptions {
  std::string uri;
  std::string prefix;
  std::string abort_older_than;
  bool no_probes = false;
};

/// Prints what the doctor says: as it comes in JSON, as one table for a person.
class Printer {
 public:
  Printer(Context& context, const BucketName& bucket) : context_(context), bucket_(bucket) {}
  ~Printer() { context_.set_status(""); }
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;

  doctor::Listener listener() {
    return {[this](const char* probe) { context_.set_status(fmt::format("examining  {}", probe)); },
            [this](const doctor::Finding& finding) { add(finding); },
            [this](const doctor::Aborted& aborted) { add(aborted); },
            [this](bool begins) { begins ? context_.clean_up_after_stop() : context_.break_off_on_stop(); }};
  }

  void print_table() {
    context_.set_status("");
    if (context_.json() || findings_.empty()) return;
    Table table({{"PROBE"}, {"VERDICT"}, {"SEEN"}});
    for (const doctor::Finding& each : findings_)
      table.add({each.probe, std::string(doctor::to_string(each.verdict)), each.seen});
    context_.print(table.text());
    for (const doctor::Finding& each : findings_) print_consequence(each);
    for (const std::string& line : aborted_) context_.print(line);
  }

  void print_summary(const doctor::CheckupResult& result, const DoctorOptions& options) {
    const bool dryrun = context_.options().dryrun;
    emit_json(context_, {{"type", "summary"},
                         {"bucket", bucket_.str()},
                         {"sound", result.is_sound()},
                         {"ok", result.ok},
                         {"limited", result.limited},
                         {"failed", result.failed},
                         {"skipped", result.skipped},
                         {"aborted", result.aborted},
                         {"aborted_bytes", result.aborted_bytes},
                         {"not_aborted", result.not_aborted},
                         {"dryrun", dryrun}});
    if (context_.json()) return;
    std::string text = fmt::format("\n{} ok, {} limited, {} failed, {} skipped: {}", result.ok, result.limited,
                                   result.failed, result.skipped, verdict_on(result, options));
    if (!options.abort_older_than.empty()) {
      text += fmt::format("; {}{} aborted ({})", format_count(result.aborted, "upload"), dryrun ? " would be" : "",
                          format_bytes(result.aborted_bytes));
      if (result.not_aborted > 0) text += fmt::format(", {} could not be", result.not_aborted);
    }
    context_.print(text);
  }

 private:
  void add(const doctor::Finding& finding) {
    findings_.push_back(finding);
    Json line = {{"type", "finding"},
                 {"probe", finding.probe},
                 {"verdict", doctor::to_string(finding.verdict)},
                 {"seen", finding.seen}};
    if (!finding.consequence.empty()) line["consequence"] = finding.consequence;
    if (!finding.hint.empty()) line["hint"] = finding.hint;
    emit_json(context_, line);
  }

  void add(const doctor::Aborted& aborted) {
    const store::ListedUpload& upload = aborted.leftover.upload;
    const std::string uri = escape_name(to_uri(bucket_, upload.key));
    if (aborted.error) return emit_failure(context_, fmt::format("abort failed: {}", uri), *aborted.error);
    const bool dryrun = context_.options().dryrun;
    Json line = {{"type", dryrun ? "dryrun" : "aborted"}, {"operation", "abort"}, {"bucket", bucket_.str()}};
    add_name(line, "key", upload.key.str());
    line.update({{"upload_id", upload.upload_id.str()}, {"initiated", to_iso8601(upload.initiated)}});
    if (aborted.leftover.bytes) line["bytes"] = *aborted.leftover.bytes;
    emit_json(context_, line);
    aborted_.push_back(fmt::format("{}abort: {} (begun {} UTC{})", dryrun ? "(dryrun) " : "", uri,
                                   to_timestamp(upload.initiated),
                                   aborted.leftover.bytes ? ", " + format_bytes(*aborted.leftover.bytes) : ""));
  }

  void print_consequence(const doctor::Finding& each) {
    if (each.consequence.empty()) return;
    context_.print(fmt::format("\n{}: {}", each.probe, escape_for_terminal(each.consequence)));
    if (!each.hint.empty()) context_.print(fmt::format("hint: {}", escape_for_terminal(each.hint)));
  }

  const char* verdict_on(const doctor::CheckupResult& result, const DoctorOptions& options) const {
    if (result.failed > 0) return "not everything that Bale needs works here";
    if (context_.options().dryrun) return "nothing was written (dryrun)";
    if (options.no_probes) return "the store itself was not examined";
    if (result.skipped > 0) return "not everything was examined";
    return result.limited > 0 ? "Bale works here, with the limits above" : "everything works here";
  }

  Context& context_;
  const BucketName bucket_;
  std::vector<doctor::Finding> findings_;
  std::vector<std::string> aborted_;
};

std::optional<Milliseconds> parse_age(const std::string& text) {
  if (text.empty()) return std::nullopt;
  try {
    return parse_duration(text);
  } catch (const Error& error) {
    throw error.with_where("--abort-older-than");
  }
}

int examine(Context& context, const DoctorOptions& options, bool prefix_given) {
  context.break_off_on_stop();
  const std::optional<Milliseconds> older_than = parse_age(options.abort_older_than);
  const ObjectAddress where = parse_s3_uri(options.uri);
  check_bucket_name(where.bucket);
  const Region region = context.region();
  const doctor::Place place{context.store(region), context.bare_store(region), context.world(), where.bucket,
                            as_directory(where.key.str())};
  const doctor::CheckupOptions checkup{.dryrun = context.options().dryrun,
                                       .probes = !options.no_probes,
                                       .leftovers_prefix = prefix_given ? options.prefix : place.directory,
                                       .abort_older_than = older_than};
  Printer printer(context, where.bucket);
  try {
    const doctor::CheckupResult result = doctor::examine(place, checkup, printer.listener());
    printer.print_table();
    printer.print_summary(result, options);
    return result.is_sound() ? exit_ok : exit_some_failed;
  } catch (const Error& error) {
    // What was found before is worth knowing; but who no longer reads gets no more.
    if (error.code() != "EPIPE") printer.print_table();
    throw;
  }
}

}  // namespace

void add_doctor_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("doctor", "Try out what works on a store, and find uploads that a crash left");
  const auto options = std::make_shared<DoctorOptions>();
  command->add_option("URI", options->uri, "s3://bucket[/prefix]: the probes write below it, and clean up")->required();
  command
      ->add_option("--abort-older-than", options->abort_older_than,
                   "end multipart uploads that were begun so long ago, e.g. 7d or 36h")
      ->type_name("AGE");
  command->add_option("--prefix", options->prefix, "only uploads whose keys start with it [the prefix of URI]");
  command->add_flag("--no-probes", options->no_probes, "write nothing: look at access and leftover uploads only");
  command->callback([&action, command, options] {
    const bool prefix_given = command->count("--prefix") > 0;
    action = [options, prefix_given](Context& context) { return examine(context, *options, prefix_given); };
  });
}

}  // namespace bale::cli
