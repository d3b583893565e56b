"""Tasks of an Airflow DAG that back up a raw file with Bale.

The upload runs in parallel with the file mover and blocks nothing downstream:

    copy_raw_file_ >> [upload_to_s3_, start_file_mover_]

`bale raw` exits with a status above 0 after each failure, so that Airflow retries the task: BashOperator retries after
every status except 99. Status 75 means that a retry may help. After 1, 2 and 3 each retry fails in the same way, within
seconds, and the record holds the reason.
"""
from datetime import timedelta

ENVIRONMENT = {"BALE_RAW_CONFIG": "/opt/airflow/envs/raw.yaml"}

# Step 1 only: reads the instrument once. The id and the path come from the sensor that detects the end of the
# acquisition.
COPY = ("bale raw backup '{{ params.raw_file_id }}' --path '{{ params.raw_path }}' --project '{{ params.project_id }}' "
        "--instrument '{{ params.instrument_id }}' --copy-only")
# Step 2: uploads the copy. A retry resumes the upload.
UPLOAD = "bale raw upload '{{ params.raw_file_id }}' --log-level info --log-format json"


def make_tasks(start_file_mover, bash_operator, params):
    """Returns the copy and upload tasks around a DAG's file mover. `bash_operator` is airflow's BashOperator."""
    copy_raw_file = bash_operator(
        task_id="copy_raw_file", bash_command=COPY, env=ENVIRONMENT, append_env=True, params=params,
        retries=3, retry_delay=timedelta(minutes=5))
    upload_to_s3 = bash_operator(
        task_id="upload_to_s3", bash_command=UPLOAD, env=ENVIRONMENT, append_env=True, params=params,
        retries=3, retry_delay=timedelta(minutes=5), execution_timeout=timedelta(hours=6),
        pool="s3_uploads")  # a pool of 2 slots: `airflow pools set s3_uploads 2 "raw file uploads"`
    copy_raw_file >> [upload_to_s3, start_file_mover]
    return copy_raw_file, upload_to_s3
