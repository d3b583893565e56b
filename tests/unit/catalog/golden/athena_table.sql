CREATE EXTERNAL TABLE IF NOT EXISTS `photos_catalog_db`.`camera_raw_2025` (
  `backup_file` string,
  `backup_timestamp` double,
  `backup_date` string,
  `source_bucket` string,
  `source_prefix` string,
  `object_name` string,
  `object_path` string,
  `object_size` bigint,
  `creation_time` timestamp,
  `creation_date` string,
  `target_buckets` array<string>,
  `source_region` string,
  `archive_bucket` string,
  `archive_key` string,
  `archive_etag` string,
  `event` string,
  `version_id` string,
  `sequencer` string,
  `etag` string,
  `sha256` string,
  `storage_class` string,
  `last_modified` bigint,
  `current_since` bigint,
  `headers` map<string,string>,
  `metadata` map<string,string>,
  `tags` map<string,string>,
  `frame_offset` bigint,
  `frame_length` bigint,
  `frame_skip` bigint,
  `row` bigint,
  `rows` bigint,
  `row_xxh64` string
)
PARTITIONED BY (`year` string, `month` string, `day` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
  'ignore.malformed.json' = 'true',
  'case.insensitive' = 'false'
)
LOCATION 's3://photos-123456789012-us-east-1-catalog/camera/raw/2025/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.year.type' = 'integer',
  'projection.year.range' = '2015,2035',
  'projection.year.digits' = '4',
  'projection.month.type' = 'integer',
  'projection.month.range' = '1,12',
  'projection.month.digits' = '2',
  'projection.day.type' = 'integer',
  'projection.day.range' = '1,31',
  'projection.day.digits' = '2',
  'storage.location.template' = 's3://photos-123456789012-us-east-1-catalog/camera/raw/2025/year=${year}/month=${month}/day=${day}/'
)
