// The definitions of every metric of the services. docs/metrics.md is made from them.
//
// The names in CloudWatch are those of S3 Cross-Region Compressor, whose dashboards and alarms go on working. Where it
// has one name for two things, the dimensions tell them apart, as there.
#pragma once

#include "telemetry/metric.hpp"

namespace bale::service::metric {

using telemetry::Label;
using telemetry::Metric;
using telemetry::MetricKind;

inline constexpr Label of_version[] = {{"version", ""}};
inline constexpr Label of_loop[] = {{"loop", ""}};
inline constexpr Label of_source[] = {{"source_bucket", "SourceBucket"}, {"source_prefix", "SourcePrefix"}};
inline constexpr Label of_source_to[] = {
    {"source_bucket", "SourceBucket"}, {"source_prefix", "SourcePrefix"}, {"target_region", "TargetRegion"}};
inline constexpr Label of_target[] = {{"target_bucket", "TargetBucket"}};
inline constexpr Label of_function[] = {{"function", "Function"}};
inline constexpr Label of_stage[] = {{"function", "Function"}, {"stage", "Stage"}};

/// 1 KiB to 64 GiB.
inline constexpr double size_buckets[] = {1 << 10,  16 << 10,  256 << 10,    1 << 20,      8 << 20,
                                          64 << 20, 512 << 20, 4294967296.0, 68719476736.0};
/// 10 ms to an hour.
inline constexpr double second_buckets[] = {0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600};

// The process

inline constexpr Metric build_info{MetricKind::gauge, "bale_build_info", "", "", "Which Bale this is; always 1",
                                   of_version};
inline constexpr Metric held_messages{MetricKind::gauge, "bale_held_messages", "", "",
                                      "Messages that are being worked on"};
inline constexpr Metric failing_items{MetricKind::gauge, "bale_failing_items", "", "",
                                      "Objects, archives and messages whose newest attempt failed"};
inline constexpr Metric loop_healthy{MetricKind::gauge,
                                     "bale_loop_healthy",
                                     "",
                                     "",
                                     "Whether the loop's queue answered lately, or the loop works",
                                     of_loop};
inline constexpr Metric processing_seconds{MetricKind::histogram,
                                           "bale_processing_seconds",
                                           "ProcessingTime",
                                           "Seconds",
                                           "Time for one batch at the source, for one archive at the target",
                                           of_function,
                                           second_buckets};
inline constexpr Metric stage_seconds{MetricKind::histogram,
                                      "bale_stage_seconds",
                                      "ProcessingTimeByStage",
                                      "Seconds",
                                      "The same by stage: pack, settle; land",
                                      of_stage,
                                      second_buckets};

// All sources together

inline constexpr Metric packed_objects{MetricKind::counter, "bale_packed_objects_total", "", "",
                                       "Objects packed into archives that are durable"};
inline constexpr Metric packed_object_bytes{MetricKind::counter, "bale_packed_object_bytes_total", "", "",
                                            "Bytes of the objects packed"};
inline constexpr Metric packed_archives{MetricKind::counter, "bale_packed_archives_total", "", "",
                                        "Archives written to the outbound bucket"};
inline constexpr Metric packed_archive_bytes{MetricKind::counter, "bale_packed_archive_bytes_total", "", "",
                                             "Bytes of the archives written"};
inline constexpr Metric packed_deletions{MetricKind::counter, "bale_packed_deletions_total", "", "",
                                         "Deletions recorded in archives"};
inline constexpr Metric gone_objects{MetricKind::counter, "bale_gone_objects_total", "", "",
                                     "Objects that were gone before they were read"};

// Each source

inline constexpr Metric source_objects{MetricKind::counter,
                                       "bale_source_objects_total",
                                       "ObjectsProcessed",
                                       "Count",
                                       "Objects of this source that are in durable archives",
                                       of_source};
inline constexpr Metric skipped_objects{MetricKind::counter,
                                        "bale_source_gone_objects_total",
                                        "SkippedObjects",
                                        "Count",
                                        "Objects of this source that were gone before they were read",
                                        of_source};
inline constexpr Metric object_size{
    MetricKind::histogram, "bale_object_size_bytes", "ObjectSize", "Bytes", "Sizes of the objects packed", of_source,
    size_buckets};
inline constexpr Metric object_latency{MetricKind::histogram,
                                       "bale_object_latency_seconds",
                                       "ObjectProcessingTime",
                                       "Seconds",
                                       "From an object's event to its durable archive",
                                       of_source,
                                       second_buckets};
inline constexpr Metric compression_seconds{MetricKind::histogram,
                                            "bale_compression_seconds",
                                            "CompressionTimeSeconds",
                                            "Seconds",
                                            "Time to read, compress and upload an archive",
                                            of_source,
                                            second_buckets};
inline constexpr Metric compression_ratio{
    MetricKind::histogram, "", "CompressionRatio", "None", "Bytes of the objects of an archive to its own", of_source};
inline constexpr Metric transfer_efficiency{MetricKind::histogram,
                                            "",
                                            "TransferEfficiency",
                                            "Percent",
                                            "Share of the objects' bytes that is not transferred",
                                            of_source};
inline constexpr Metric compression_throughput{MetricKind::histogram,
                                               "",
                                               "CompressionThroughput",
                                               "Megabytes/Second",
                                               "Bytes of the objects of an archive to the time it took",
                                               of_source};
inline constexpr Metric original_size{MetricKind::counter,
                                      "bale_original_bytes_total",
                                      "OriginalSize",
                                      "Bytes",
                                      "Bytes of the objects on their way to a region",
                                      of_source_to};
inline constexpr Metric compressed_size{MetricKind::counter,       "bale_compressed_bytes_total",
                                        "CompressedSize",          "Bytes",
                                        "Bytes of their archives", of_source_to};
inline constexpr Metric saved_bytes{MetricKind::histogram,
                                    "",
                                    "BytesSaved",
                                    "Bytes",
                                    "Bytes of an archive's objects that are not transferred to a region; less than 0 "
                                    "where the archive is larger",
                                    of_source_to};
inline constexpr Metric failed_downloads{MetricKind::counter,
                                         "bale_failed_downloads_total",
                                         "FailedDownloads",
                                         "Count",
                                         "Attempts to read an object that failed",
                                         of_source};
inline constexpr Metric failed_metadata{MetricKind::counter,
                                        "bale_failed_metadata_reads_total",
                                        "FailedMetadataRetrieval",
                                        "Count",
                                        "Attempts to learn an object's tags or attributes that failed",
                                        of_source};
inline constexpr Metric failed_uploads{MetricKind::counter,
                                       "bale_failed_uploads_total",
                                       "FailedUploads",
                                       "Count",
                                       "Batches that could not be written as archives",
                                       of_source};
inline constexpr Metric compression_level{
    MetricKind::histogram, "", "CompressionLevel", "None", "Levels at which archives were packed", of_source};
inline constexpr Metric compute_cost{MetricKind::counter,
                                     "bale_compute_cost_dollars_total",
                                     "ComputeCost",
                                     "None",
                                     "Dollars of processor time that compressing took, by the configured price",
                                     of_source};
inline constexpr Metric transfer_savings{MetricKind::histogram,
                                         "",
                                         "TransferSavings",
                                         "None",
                                         "Dollars of transfer that an archive saved, by the configured price",
                                         of_source};
inline constexpr Metric net_benefit{MetricKind::histogram,
                                    "",
                                    "NetBenefit",
                                    "None",
                                    "Dollars that an archive saved less those that it took",
                                    of_source};
inline constexpr Metric benefit_score{MetricKind::histogram,
                                      "",
                                      "BenefitScore",
                                      "None",
                                      "The net benefit of an archive for a GiB of its objects",
                                      of_source};

// On the way and at the destination

inline constexpr Metric relayed_archives{MetricKind::counter, "bale_relayed_archives_total", "", "",
                                         "Archives brought to inbound buckets"};
inline constexpr Metric landed_archives{MetricKind::counter, "bale_landed_archives_total", "", "",
                                        "Archives whose every target is durable"};
inline constexpr Metric landed_objects{MetricKind::counter, "bale_landed_objects_total", "", "",
                                       "Objects written at destinations"};
inline constexpr Metric kept_objects{MetricKind::counter, "bale_kept_objects_total", "", "",
                                     "Objects not written because the destination has as new a version"};
inline constexpr Metric stored_backups{MetricKind::counter, "bale_stored_backups_total", "", "",
                                       "Archives stored in backup buckets"};

inline constexpr Metric arrived_size{MetricKind::counter,
                                     "bale_arrived_archive_bytes_total",
                                     "CompressedSize",
                                     "Bytes",
                                     "Bytes of the archives that landed there",
                                     of_target};
inline constexpr Metric landed_size{MetricKind::counter,
                                    "bale_landed_object_bytes_total",
                                    "DecompressedSize",
                                    "Bytes",
                                    "Bytes of the objects written there",
                                    of_target};
inline constexpr Metric decompression_ratio{MetricKind::histogram,
                                            "",
                                            "DecompressionRatio",
                                            "None",
                                            "Bytes of the objects of an archive to its own",
                                            of_target};
inline constexpr Metric decompression_seconds{MetricKind::histogram,
                                              "bale_decompression_seconds",
                                              "DecompressionTimeSeconds",
                                              "Seconds",
                                              "Time to read an archive and write its objects",
                                              of_target,
                                              second_buckets};
inline constexpr Metric object_restore_seconds{MetricKind::histogram,
                                               "",
                                               "ObjectRestoreTime",
                                               "Seconds",
                                               "That time for one object, on average over an archive",
                                               of_target};
inline constexpr Metric failed_decompressions{MetricKind::counter,
                                              "bale_failed_archives_total",
                                              "FailedDecompressions",
                                              "Count",
                                              "Attempts to land an archive that could not be read",
                                              of_function};
inline constexpr Metric failed_target_uploads{MetricKind::counter,
                                              "bale_failed_target_uploads_total",
                                              "FailedTargetUploads",
                                              "Count",
                                              "Attempts to write an object or backup at a destination that failed",
                                              of_target};
inline constexpr Metric backup_success{MetricKind::histogram,
                                       "",
                                       "BackupUploadSuccess",
                                       "Count",
                                       "1 for a backup that was stored, 0 for one that failed: its mean is the rate",
                                       of_target};
inline constexpr Metric catalog_success{MetricKind::histogram,
                                        "",
                                        "CatalogWriteSuccess",
                                        "Count",
                                        "1 for a catalog file that was written, 0 for one that failed",
                                        of_target};
inline constexpr Metric backup_size{MetricKind::histogram,
                                    "bale_backup_file_size_bytes",
                                    "BackupFileSize",
                                    "Bytes",
                                    "Sizes of the archives stored as backups",
                                    of_target,
                                    size_buckets};

// The process, as the operating system sees it

inline constexpr Metric cpu_seconds{MetricKind::counter, "process_cpu_seconds_total", "", "",
                                    "Processor time, user and system"};
inline constexpr Metric resident_bytes{MetricKind::gauge, "process_resident_memory_bytes", "", "", "Resident memory"};
inline constexpr Metric open_files{MetricKind::gauge, "process_open_fds", "", "", "Open file descriptors"};
inline constexpr Metric threads{MetricKind::gauge, "process_threads", "", "", "Threads"};

}  // namespace bale::service::metric
