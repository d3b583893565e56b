#include "cli/bucket_context.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "flow/retry_policy.hpp"
#include "jobs/bucket/manifest_sequence.hpp"
#include "jobs/estimate/price_table.hpp"
#include "os/files.hpp"
#include "store/parallel_listing.hpp"

namespace bale::cli {
namespace {

constexpr const char* journal_folder = ".bale/journal/";

GlobalOptions options_of_source(GlobalOptions options, const BucketWork& work) {
  if (!work.source_local.empty()) {
    options.local = work.source_local;
    return options;
  }
  if (!work.source_profile.empty() || !work.source_endpoint_url.empty()) options.local.clear();
  if (!work.source_profile.empty()) options.profile = work.source_profile;
  if (!work.source_endpoint_url.empty()) options.endpoint_url = work.source_endpoint_url;
  if (!work.source_ca_bundle.empty()) options.ca_bundle = work.source_ca_bundle;
  if (!work.source_region.empty()) options.region = work.source_region;
  return options;
}

bool names_a_source(const BucketWork& work) {
  return !work.source_profile.empty() || !work.source_endpoint_url.empty() || !work.source_region.empty() ||
         !work.source_ca_bundle.empty() || !work.source_local.empty();
}

Region region_of_bucket(store::ObjectStore& store, const BucketName& bucket) {
  const auto found = store.head_bucket(bucket);
  if (!found) {
    throw Error(ErrorKind::not_found, "no such bucket", "s3://" + bucket.str(), "check the name; bale s3 mb makes it")
        .with_code("NoSuchBucket");
  }
  return found->region;
}

std::string uri_text(const bucket::Side& side) { return escape_name(side.uri()); }

}  // namespace

void add_bucket_work_options(CLI::App& command, BucketWork& work) {
  const auto text = [&](const char* name, std::string& value, const char* type, const char* help) {
    return command.add_option(name, value, help)->type_name(type)->check(refuse_empty);
  };
  const char* const group = "Another way to the source";
  text("--source-profile", work.source_profile, "NAME", "profile that reads the source")->group(group);
  text("--source-endpoint-url", work.source_endpoint_url, "URL", "server of the source")->group(group);
  text("--source-region", work.source_region, "REGION", "region of the source's endpoint")->group(group);
  text("--source-ca-bundle", work.source_ca_bundle, "FILE", "authorities of the source's server, PEM")->group(group);
  text("--source-local", work.source_local, "DIR", "embedded store of the source")->group(group);
  CLI::Option* journal =
      text("--journal", work.journal, "PLACE",
           "where the journal is kept: a directory or s3://bucket/prefix [.bale/ of the destination]");
  command.add_flag("--no-journal", work.no_journal, "neither read nor write a journal")->excludes(journal);
  command.add_option("--rate-limit", work.rate_limit, "send at most N requests a second")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  CLI::Option* manifest =
      text("--manifest", work.manifest, "PLACE",
           "list of the source's objects: S3 Inventory (CSV, or its manifest.json) or JSON lines; a file or s3:// URI");
  text("--manifest-schema", work.manifest_schema, "COLUMNS", "columns of a CSV manifest")->needs(manifest);
  command.add_option("--listers", work.listers, "list each bucket with up to N requests at once [16]")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""));
  text("--prices", work.prices, "FILE", "price table of `bale estimate --show-prices`");
}

BucketContext::BucketContext(Context& context, const BucketOptions& options, const BucketWork& work,
                             bool may_lack_destination)
    : context_(context),
      work_(work),
      meter_(context.world().clock, work.rate_limit, context.stop()),
      journal_meter_(context.world().clock, 0, {}),
      prefix_(options.prefix) {
  if (names_a_source(work))
    other_ = std::make_unique<Context>(context.world(), options_of_source(context.options(), work));
  const auto watch = [this](const Error& failure) {
    ++retries_;
    if (flow::retry_class(failure) != flow::RetryClass::throttled) return;
    ++slow_downs_;
    limit_->throttled();
  };
  limit_ = std::make_unique<flow::AdaptiveLimit>(context.world().clock, context.options().connections);
  context_.watch_retries(watch);
  context_.break_off_on_stop();
  if (other_) other_->watch_retries(watch);
  if (other_) other_->break_off_on_stop();
  open_sides(options, may_lack_destination);
  check_sides();
}

BucketContext::~BucketContext() = default;

void BucketContext::open_sides(const BucketOptions& options, bool may_lack_destination) {
  store::ObjectStore& store = context_.store(context_.region());
  source_store_ = std::make_unique<bucket::MeteredStore>(source_context().store(source_context().region()), meter_);
  destination_store_ = std::make_unique<bucket::MeteredStore>(store, meter_);
  journal_store_ = std::make_unique<bucket::MeteredStore>(store, journal_meter_);
  source_ = {source_store_.get(), options.source.bucket, as_directory(options.source.key.str())};
  destination_ = {destination_store_.get(), options.destination.bucket, as_directory(options.destination.key.str())};
  source_region_ = region_of_bucket(*source_.store, source_.bucket);
  destination_region_ = context_.region();
  if (!may_lack_destination) destination_region_ = region_of_bucket(*destination_.store, destination_.bucket);
}

void BucketContext::check_sides() {
  const bool is_one_store =
      source_context().store_service(source_context().region()) == context_.store_service(context_.region());
  if (!is_one_store || source_.bucket != destination_.bucket) return;
  const std::string &from = source_.prefix, &to = destination_.prefix;
  if (!from.starts_with(to) && !to.starts_with(from)) return;
  throw Error(ErrorKind::invalid, "one side is inside the other",
              fmt::format("{}, {}", uri_text(source_), uri_text(destination_)),
              "name another bucket, or prefixes of which none begins with the other");
}

bool BucketContext::needs_streaming() {
  if (!other_) return false;
  if (other_->store_service(other_->region()) != context_.store_service(context_.region())) return true;
  // The same service, with other credentials: those of the destination may read the source, or not.
  const store::ListPage page = source_.store->list(source_.bucket, {.prefix = source_.prefix, .max_keys = 1});
  if (page.objects.empty()) return false;
  try {
    return !destination_.store->head({source_.bucket, page.objects.front().key});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied && error.kind() != ErrorKind::not_found) throw;
    return true;
  }
}

std::unique_ptr<store::ObjectSequence> BucketContext::list(const bucket::Side& side) {
  const store::SequenceOptions options{.prefix = side.prefix + prefix_, .stop = context_.stop()};
  if (work_.listers <= 1)
    return std::make_unique<store::StreamedListing>(*side.store, side.bucket, options, listing_pool());
  return std::make_unique<store::ParallelListing>(*side.store, side.bucket, options, listing_pool(),
                                                  store::ListingSplit{.listers = work_.listers});
}

std::unique_ptr<store::VersionSequence> BucketContext::list_versions(const bucket::Side& side) {
  const store::SequenceOptions options{.prefix = side.prefix + prefix_, .stop = context_.stop()};
  return std::make_unique<store::StreamedVersions>(*side.store, side.bucket, options, listing_pool());
}

std::unique_ptr<store::ObjectSequence> BucketContext::list_source() {
  if (work_.manifest.empty()) return list(source_);
  constexpr ByteCount share = 4;  // of the memory, for sorting
  const bucket::ManifestRequest request{.place = work_.manifest,
                                        .schema = work_.manifest_schema,
                                        .bucket = source_.bucket,
                                        .prefix = source_.prefix + prefix_,
                                        .most_memory = context_.memory_limit() / share,
                                        .stop = context_.stop()};
  return bucket::open_manifest(context_.world().files, *source_.store, request);
}

/// Threads of their own: a listing must not wait for copies.
flow::ThreadPool& BucketContext::listing_pool() {
  const std::size_t threads = 2 * std::max<std::size_t>(work_.listers, 1);
  if (!listing_pool_) listing_pool_ = std::make_unique<flow::ThreadPool>(threads, "list");
  return *listing_pool_;
}

bucket::NameFilter BucketContext::filter() const {
  if (work_.filters.empty()) return {};
  return [this](std::string_view name) { return is_wanted(work_.filters, name); };
}

bucket::Tools BucketContext::tools() {
  return {context_.world(),
          context_.pools(),
          context_.budget(),
          context_.log(),
          progress_,
          context_.options().connections,
          [this](const std::string& text) { warn(text); }};
}

void BucketContext::warn(const std::string& text) { emit_warning(context_, text); }

bucket::JournalKeeper& BucketContext::journal(bool versions) {
  if (journal_) return *journal_;
  bucket::JournalIdentity identity{.source_service = source_context().store_service(source_context().region()),
                                   .source = source_.uri(),
                                   .destination = destination_.uri(),
                                   .versions = versions};
  if (!work_.no_journal) {
    if (work_.journal.empty()) {
      journal_files_ = bucket::journal_in_bucket(*journal_store_, context_.pools().connections, destination_.bucket,
                                                 journal_folder + identity.folder() + "/");
    } else if (is_s3_uri(work_.journal)) {
      const ObjectAddress place = parse_s3_uri(work_.journal);
      const std::string& prefix = place.key.str();
      journal_files_ = bucket::journal_in_bucket(*journal_store_, context_.pools().connections, place.bucket,
                                                 prefix.empty() || prefix.ends_with('/') ? prefix : prefix + "/");
    } else {
      journal_files_ = bucket::journal_in_directory(context_.world().files, work_.journal);
    }
  }
  journal_ = std::make_unique<bucket::JournalKeeper>(journal_files_.get(), std::move(identity), context_.world(),
                                                     [this](const std::string& text) { warn(text); });
  return *journal_;
}

std::unique_ptr<bucket::EntrySequence> BucketContext::entries() {
  try {
    return journal().entries();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) throw;
    warn(fmt::format("the journal cannot be read: {}", error.what()));
    return nullptr;
  }
}

bucket::RequestCounts BucketContext::requests() const {
  bucket::RequestCounts sum = meter_.counts();
  const bucket::RequestCounts journal = journal_meter_.counts();
  sum.list += journal.list;
  sum.head += journal.head;
  sum.get += journal.get;
  sum.put += journal.put;
  sum.copy += journal.copy;
  sum.tag += journal.tag;
  sum.other += journal.other;
  return sum;
}

bucket::Prices BucketContext::prices(const std::string& storage_class) {
  constexpr ByteCount most_table_bytes = 1 << 20;
  const estimate::PriceTable table = estimate::parse_price_table(
      work_.prices.empty() ? std::string(estimate::default_price_table())
                           : os::read_text_file(context_.world().files, work_.prices, most_table_bytes));
  const std::string& name = storage_class.empty() ? "STANDARD" : storage_class;
  return {.put = table.put_to("STANDARD"),
          .put_to_class = table.put_to(name),
          .get = table.get,
          .storage = table.storage_of(name),
          .standard = table.storage_of("STANDARD"),
          .transfer = table.transfer_between(source_region_, destination_region_)};
}

void BucketContext::save_journal() noexcept {
  if (!journal_) return;
  try {
    if (context_.stop().stop_requested()) {
      context_.clean_up_after_stop();
      journal_->flush();
    } else {
      journal_->fold();
    }
  } catch (...) {
    warn(fmt::format("the journal was not written: {}; the next run finds out again what was copied",
                     current_error().what()));
  }
}

std::string requests_text(const bucket::RequestCounts& requests, double dollars) {
  std::vector<std::string> parts;
  const auto add = [&](std::uint64_t count, const char* name) {
    if (count > 0) parts.push_back(fmt::format("{} {}", format_count(count), name));
  };
  add(requests.list, "LIST");
  add(requests.head, "HEAD");
  add(requests.get, "GET");
  add(requests.copy, "COPY");
  add(requests.put, "PUT");
  add(requests.tag, "PUT of tags");
  add(requests.other, "other");
  return fmt::format("requests: {}; about {} at AWS", fmt::join(parts, ", "), format_dollars(dollars));
}

void add_requests(nlohmann::ordered_json& summary, const bucket::RequestCounts& requests, double dollars,
                  const BucketContext& bucket, Milliseconds elapsed) {
  summary["requests"] = {{"total", requests.total()}, {"list", requests.list},  {"head", requests.head},
                         {"get", requests.get},       {"copy", requests.copy},  {"put", requests.put},
                         {"tag", requests.tag},       {"other", requests.other}};
  summary["request_dollars"] = dollars;
  summary["retries"] = bucket.retries();
  summary["slow_downs"] = bucket.slow_downs();
  summary["seconds"] = static_cast<double>(elapsed.count()) / 1000;
}

int run_bucket_command(Context& context, const char* what, const std::function<int()>& run) {
  try {
    return run();
  } catch (const Error& error) {
    if (!is_transient(error.kind())) throw;
    emit_failure(context, what, error);
    return exit_try_again;
  }
}

struct ReportFile::Impl {
  Impl(os::Files& files, const std::string& path) : file(files, path) {}
  os::AtomicFile file;
  Mutex mutex;
  std::string waiting BALE_GUARDED_BY(mutex);
  void write() BALE_REQUIRES(mutex) {
    file.file().write(as_bytes(waiting));
    waiting.clear();
  }
};

ReportFile::ReportFile(Context& context, const std::string& path) {
  if (!path.empty()) impl_ = std::make_unique<Impl>(context.world().files, path);
}

ReportFile::~ReportFile() = default;

void ReportFile::add(const nlohmann::ordered_json& line) {
  constexpr std::size_t write_bytes = 64 << 10;
  if (!impl_) return;
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const Lock lock(impl_->mutex);
  impl_->waiting += text;
  if (impl_->waiting.size() >= write_bytes) impl_->write();
}

void ReportFile::close() {
  if (!impl_) return;
  {
    const Lock lock(impl_->mutex);
    impl_->write();
  }
  impl_->file.commit();
  impl_.reset();
}

}  // namespace bale::cli
