#include "cli/bucket_restore.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "cli/bucket_batch.hpp"
#include "cli/bucket_metrics.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "jobs/bucket/restore.hpp"
#include "os/environment.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The directory for state of this machine.
/// https://specifications.freedesktop.org/basedir-spec/latest/
os::fs::path state_directory(Context& context) {
  if (!context.options().local.empty()) return os::fs::path(context.options().local) / "bucket-restore";
  const os::Environment& environment = context.world().environment;
  if (const auto state = os::get_line(environment, "XDG_STATE_HOME"))
    return os::fs::path(*state) / "bale" / "bucket-restore";
  const auto home = os::get_line(environment, "HOME");
  if (!home) {
    throw Error(ErrorKind::invalid, "cannot choose a file for the journal: HOME is not set", {},
                "set HOME, or name a file with --journal");
  }
  return os::fs::path(*home) / ".local" / "state" / "bale" / "bucket-restore";
}

/// One run of the command.
class RestoreRun {
 public:
  RestoreRun(Context& context, const BucketRestoreOptions& options);
  int run();

 private:
  void check_options() const;
  void prepare_destination();
  void await_bucket();
  void check_emptiness();
  void open_journal();
  bucket::RestoreOptions job_options();
  std::function<bool(std::string_view)> wanted_names() const;
  bucket::Side with_prefix(bucket::Side side) const;
  store::ObjectStore& destination() { return *bucket_->destination().store; }
  void show(const bucket::RestorePlan& plan);
  void check_price(const bucket::RestorePlan& plan) const;
  void work(bucket::BucketRestore& job);
  void take(const bucket::RestoredObject& object);
  void tell_metrics(const bucket::BucketRestore& job, std::uint64_t left);
  void print_summary(const bucket::BucketRestore& job);
  int status_of(const bucket::BucketRestore& job) const;
  bool is_dryrun() const { return context_.options().dryrun || !options_.batch_directory.empty(); }

  Context& context_;
  const BucketRestoreOptions& options_;
  const BucketOptions where_;
  BucketMetrics metrics_;
  std::optional<BucketContext> bucket_;
  std::unique_ptr<bucket::RestoreJournal> journal_;
  std::unique_ptr<BatchJobFiles> batch_;
  bool has_destination_ = true;
  std::chrono::steady_clock::time_point started_;
  std::uint64_t slow_downs_ = 0;  ///< that the metrics know
};

RestoreRun::RestoreRun(Context& context, const BucketRestoreOptions& options)
    : context_(context),
      options_(options),
      where_(bucket_options(options.arguments, BucketVerb::restore, context.world().environment)),
      metrics_(context, where_.dimension, where_.wants_metrics) {
  apply_to(context, where_);
}

void RestoreRun::check_options() const {
  if (options_.without_tags && !(options_.include_deleted || where_.all)) {
    throw Error(ErrorKind::invalid, "without tags nobody knows what is marked as deleted", "--no-tags",
                "add --include-deleted to restore everything");
  }
  if (where_.all && where_.check_deleted_tag)
    throw Error(ErrorKind::invalid, "--all and --check-deleted-tag exclude each other", {}, "give one of them");
}

void RestoreRun::await_bucket() {
  constexpr std::chrono::seconds between{5}, warning{60};
  const Milliseconds most = parse_duration(options_.wait_at_most);
  const BucketName& name = where_.destination.bucket;
  Milliseconds waited{0};
  context_.set_status(fmt::format("waiting for the bucket {}", escape_name(name.str())));
  while (!destination().head_bucket(name)) {
    if (waited >= most) {
      throw Error(ErrorKind::not_found, fmt::format("nobody made the bucket within {}", format_duration(most)),
                  "s3://" + name.str(), "make it, or add --create");
    }
    if (waited.count() > 0 && waited % Milliseconds(warning) == Milliseconds(0)) {
      emit_warning(context_, fmt::format("the bucket {} does not exist yet: waiting {} more", escape_name(name.str()),
                                         format_duration(most - waited)));
    }
    if (!context_.world().clock.sleep_for(between, context_.stop()))
      throw Error(ErrorKind::cancelled, "interrupted while waiting for the bucket");
    waited += between;
  }
  context_.set_status("");
}

void RestoreRun::prepare_destination() {
  const BucketName& name = where_.destination.bucket;
  if (destination().head_bucket(name)) return check_emptiness();
  has_destination_ = false;
  if (is_dryrun() && (options_.create || options_.wait || where_.is_script_form)) return;
  if (options_.create) {
    destination().create_bucket(name);
    emit(context_, {{"type", "bucket"}, {"name", name.str()}}, "make_bucket: " + escape_name(name.str()));
  } else if (options_.wait || where_.is_script_form) {
    await_bucket();
    check_emptiness();
  } else {
    throw Error(ErrorKind::not_found, "the bucket NEW does not exist", "s3://" + name.str(),
                "add --create to make it, or --wait to wait until somebody does")
        .with_code("NoSuchBucket");
  }
  has_destination_ = true;
}

/// A bucket that has objects may be one that was meant for something else; one that this restore began is not.
void RestoreRun::check_emptiness() {
  if (options_.into_existing || options_.overwrite || is_dryrun() || journal_->has_begun()) return;
  const store::ListPage page = destination().list(
      where_.destination.bucket, {.prefix = bucket_->destination().prefix + where_.prefix, .max_keys = 1});
  if (page.objects.empty()) return;
  throw Error(ErrorKind::precondition, "NEW has objects already, which this restore has not put there",
              to_uri({where_.destination.bucket, page.objects.front().key}),
              "add --into-existing to restore beside them");
}

void RestoreRun::open_journal() {
  const std::string identity = fmt::format("{} {} to {} {}", bucket_->source_service(), bucket_->source().uri(),
                                           bucket_->destination().uri(), where_.prefix);
  os::fs::path file = options_.journal;
  if (file.empty()) file = state_directory(context_) / (to_hex(Sha256::of(as_bytes(identity))).substr(0, 32) + ".db");
  if (is_dryrun() && !context_.world().files.info_followed(file)) return;
  journal_ = std::make_unique<bucket::RestoreJournal>(context_.world().files, file, identity);
}

/// --prefix is part of both sides.
bucket::Side RestoreRun::with_prefix(bucket::Side side) const {
  side.prefix += where_.prefix;
  return side;
}

/// Filters are of names below the addresses, --prefix included.
std::function<bool(std::string_view)> RestoreRun::wanted_names() const {
  if (options_.work.filters.empty()) return {};
  return [this](std::string_view name) { return is_wanted(options_.work.filters, where_.prefix + std::string(name)); };
}

bucket::RestoreOptions RestoreRun::job_options() {
  bucket::RestoreOptions how;
  how.include_deleted = options_.include_deleted || where_.all;
  how.as_of = time_option(options_.as_of, "--as-of");
  how.is_wanted = wanted_names();
  how.tier = bucket::parse_tier(options_.tier);
  how.days = options_.days;
  how.storage_class = options_.storage_class;
  how.with_tags = !options_.without_tags;
  how.overwrite = options_.overwrite;
  how.dryrun = is_dryrun();
  how.has_destination = has_destination_;
  how.through_program = bucket_->needs_streaming();
  const std::string service = bucket_->source_service();
  how.tells_restores = service == "aws" || service.starts_with("file:");
  how.most_objects = where_.objects_count;
  if (!options_.yes && !is_dryrun()) how.most_dollars = options_.max_cost;
  if (how.tier == bucket::Tier::expedited) how.most_poll = std::chrono::minutes(1);
  return how;
}

Json json_of(const bucket::RestoreEstimate::Line& line) {
  return {{"objects", line.objects}, {"bytes", line.bytes}, {"dollars", line.dollars}};
}

/// Shows what there is to do, by listings alone, where it is more than copies, or all that a dry run does.
void RestoreRun::show(const bucket::RestorePlan& plan) {
  const bucket::RestoreEstimate& archived = plan.archived;
  Json line{{"type", "estimate"},
            {"objects", plan.objects},
            {"same", plan.same},
            {"to_copy", plan.to_copy},
            {"bytes_to_copy", plan.bytes_to_copy},
            {"copy_dollars", plan.copy_dollars},
            {"restores_in_progress", plan.coming},
            {"unsettled", plan.unsettled},
            {"to_request", archived.objects()},
            {"bytes_to_request", archived.bytes()},
            {"request_dollars", archived.dollars()},
            {"tier", bucket::to_string(archived.tier())},
            {"wait_seconds", std::chrono::seconds(archived.wait()).count()}};
  std::string text =
      fmt::format("estimate: {} to copy ({}), about {}", format_count(plan.to_copy + plan.unsettled, "object"),
                  format_bytes(plan.bytes_to_copy), format_dollars(plan.copy_dollars));
  for (const bucket::Archive each : {bucket::Archive::glacier, bucket::Archive::deep_archive}) {
    if (archived.of(each).objects == 0) continue;
    line[std::string(bucket::name_of(each))] = json_of(archived.of(each));
    const bucket::Tier tier = bucket::has_tier(each, archived.tier()) ? archived.tier() : bucket::Tier::standard;
    text += fmt::format("\nestimate: {} in {} to request ({}), about {}, {}: {}",
                        format_count(archived.of(each).objects, "object"), bucket::name_of(each),
                        format_bytes(archived.of(each).bytes), format_dollars(archived.of(each).dollars),
                        bucket::to_string(tier), bucket::usual_wait(each, tier));
  }
  if (plan.coming > 0) text += fmt::format("\nestimate: {} in progress", format_count(plan.coming, "restore"));
  emit_lines(context_, line, text);
}

void RestoreRun::check_price(const bucket::RestorePlan& plan) const {
  if (options_.yes || is_dryrun() || plan.archived.dollars() <= options_.max_cost) return;
  throw Error(ErrorKind::precondition,
              fmt::format("restoring {} would cost about {}, more than --max-cost {}",
                          format_count(plan.archived.objects(), "archived object"),
                          format_dollars(plan.archived.dollars()), format_dollars(options_.max_cost)),
              to_uri(where_.source), "raise --max-cost, or give --yes; --tier Bulk is the cheapest");
}

void RestoreRun::take(const bucket::RestoredObject& object) {
  using Fate = bucket::RestoreFate;
  const std::string from = escape_name(to_uri(object.from)), to = escape_name(to_uri(object.to));
  if (batch_) batch_->take(object);
  if (object.fate == Fate::failed) {
    metrics_.add("RestoreObjectsErrors");
    return emit_failure(context_, fmt::format("restore failed: {} to {}", from, to), *object.error);
  }
  const char* const type = object.fate == Fate::restored     ? "restored"
                           : object.fate == Fate::requested  ? "requested"
                           : object.fate == Fate::waiting    ? "waiting"
                           : object.fate == Fate::deleted    ? "deleted"
                           : object.fate == Fate::gone       ? "gone"
                           : object.fate == Fate::over_limit ? "over_limit"
                                                             : nullptr;
  if (type == nullptr) return;  // there already
  const bool dryrun = is_dryrun();
  Json line{{"type", type}};
  add_name(line, "source", to_uri(object.from));
  add_name(line, "destination", to_uri(object.to));
  line.update({{"size", object.size}, {"storage_class", object.storage_class}, {"dryrun", dryrun}});
  if (!object.version.empty()) line["version_id"] = object.version.str();
  if (object.fate == Fate::requested) line.update({{"tier", options_.tier}, {"again", object.is_again}});
  const char* const mark = dryrun ? "(dryrun) " : "";
  if (object.fate == Fate::restored)
    return emit(context_, line, fmt::format("{}restore: {} to {} ({})", mark, from, to, format_bytes(object.size)));
  if (object.fate == Fate::requested && object.archive) {
    const bucket::Tier tier = bucket::parse_tier(options_.tier);
    return emit(
        context_, line,
        fmt::format("{}request{}: {} ({}, {}: {})", mark, object.is_again ? " again" : "", from,
                    bucket::name_of(*object.archive), options_.tier, bucket::usual_wait(*object.archive, tier)));
  }
  if (object.fate == Fate::gone)
    return emit(context_, line, fmt::format("gone: {} was deleted since it was listed", from));
  emit_json(context_, line);  // the summary counts the others
}

void RestoreRun::tell_metrics(const bucket::BucketRestore& job, std::uint64_t left) {
  const bucket::RestoreCounts& counts = job.counts();
  metrics_.set("ObjectsToRestore", static_cast<double>(left));
  metrics_.set("ObjectsToCheckForDeletedTag", static_cast<double>(left));
  if (bucket_->slow_downs() > slow_downs_)
    metrics_.add("SlowDown",
                 static_cast<double>(bucket_->slow_downs() - std::exchange(slow_downs_, bucket_->slow_downs())));
  if (counts.tag_failures > 0) metrics_.set("CheckDeletedTaggsErrors", static_cast<double>(counts.tag_failures));
}

/// Goes through the backup, then waits for what was requested.
void RestoreRun::work(bucket::BucketRestore& job) {
  const ProgressPrinter printer(context_, bucket_->progress(), "restoring");
  job.pass();
  if (options_.no_wait || is_dryrun()) return;
  while (job.waiting() > 0) {
    context_.set_status(fmt::format("waiting for {}", format_count(job.waiting(), "archived object")));
    tell_metrics(job, job.waiting());
    metrics_.flush_if_due();
    if (!job.poll()) return;
  }
}

void RestoreRun::print_summary(const bucket::BucketRestore& job) {
  const bucket::RestoreCounts& counts = job.counts();
  const bucket::RequestCounts requests = bucket_->requests();
  const double dollars = bucket::price_of(requests, bucket_->prices(options_.storage_class));
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context_.world().clock.steady() - started_);
  const bool dryrun = is_dryrun();
  const auto part = [](std::uint64_t count, std::string_view what) {
    return count == 0 ? std::string() : fmt::format(", {} {}", format_count(count), what);
  };
  std::string text = fmt::format(
      "{}{} {} ({}), {} there already{}{}{}{}{}{}", dryrun ? "(dryrun) " : "", format_count(counts.restored),
      dryrun ? "to restore" : "restored", format_bytes(counts.bytes), format_count(counts.same),
      part(counts.deleted, "left out: marked as deleted"), part(counts.newer, "left out: newer than --as-of"),
      part(counts.gone, "gone"), part(counts.requested, dryrun ? "to request" : "requested"),
      part(job.waiting(), "waited for"), part(counts.over_limit, "not requested: --max-cost"));
  text += fmt::format(", {} failed", format_count(counts.failed));
  if (job.waiting() > 0 && !dryrun) text += "; run the same command again when they can be read";
  text += "\n" + requests_text(requests, dollars);
  Json line{{"type", "summary"},
            {"objects", counts.objects.load()},
            {"restored", counts.restored.load()},
            {"bytes", counts.bytes.load()},
            {"same", counts.same.load()},
            {"deleted", counts.deleted.load()},
            {"newer", counts.newer.load()},
            {"gone", counts.gone.load()},
            {"requested", counts.requested.load()},
            {"requested_again", counts.requested_again.load()},
            {"waiting", job.waiting()},
            {"over_limit", counts.over_limit.load()},
            {"failed", counts.failed.load()},
            {"restore_dollars", job.requested().dollars()},
            {"dryrun", dryrun}};
  add_requests(line, requests, dollars, *bucket_, elapsed);
  emit_lines(context_, line, text);
}

int RestoreRun::status_of(const bucket::BucketRestore& job) const {
  const bucket::RestoreCounts& counts = job.counts();
  if (counts.failed > 0) return exit_some_failed;
  if (is_dryrun()) return exit_ok;
  if (counts.over_limit > 0) return exit_refused;
  return job.waiting() > 0 ? exit_try_again : static_cast<int>(exit_ok);
}

int RestoreRun::run() {
  started_ = context_.world().clock.steady();
  check_options();
  bucket_.emplace(context_, where_, options_.work, /*may_lack_destination=*/true);
  open_journal();
  prepare_destination();
  if (!options_.batch_directory.empty()) batch_ = std::make_unique<BatchJobFiles>(context_, options_, where_);
  const bucket::Tools tools = bucket_->tools();
  bucket::BucketRestore job(with_prefix(bucket_->source()), with_prefix(bucket_->destination()), job_options(),
                            {tools, bucket_->limit(), bucket_->listing_pool(), options_.work.listers, journal_.get()},
                            [this](const bucket::RestoredObject& object) { take(object); });
  job.probe_tags();
  if (!options_.yes || metrics_.is_on()) {
    const bucket::RestorePlan plan = job.plan();
    if (is_dryrun() || plan.archived.objects() > 0) show(plan);
    check_price(plan);
    bucket_->progress().items_total = plan.left();
    bucket_->progress().bytes_total = plan.bytes_to_copy;
    metrics_.set("ObjectsIn" + where_.source.bucket.str(), static_cast<double>(plan.objects));
    metrics_.set("ObjectsToRestore", static_cast<double>(plan.left()));
    metrics_.set("ObjectsToCheckForDeletedTag", static_cast<double>(plan.left()));
    metrics_.flush();
  }
  try {
    work(job);
  } catch (...) {
    print_summary(job);
    throw;
  }
  const bucket::RestoreCounts& counts = job.counts();
  tell_metrics(job, job.waiting() + counts.failed + counts.over_limit);
  metrics_.flush();
  if (batch_) batch_->finish();
  print_summary(job);
  return status_of(job);
}

}  // namespace

int bucket_restore(Context& context, const BucketRestoreOptions& options) {
  return run_bucket_command(context, "restore", [&] { return RestoreRun(context, options).run(); });
}

}  // namespace bale::cli
