resource "aws_athena_workgroup" "this" {
  name        = var.name
  description = "Queries over what kafka-s3-sink wrote"
  # The results stay in the bucket; their list goes with the workgroup.
  force_destroy = true
  configuration {
    # What a client says about results, encryption and limits does not count.
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.query_scan_limit
    engine_version {
      selected_engine_version = "Athena engine version 3"
    }
    result_configuration {
      output_location       = "s3://${module.bucket.name}/${var.results_prefix}/"
      expected_bucket_owner = local.account
      encryption_configuration {
        encryption_option = local.has_key ? "SSE_KMS" : "SSE_S3"
        kms_key_arn       = local.has_key ? var.kms_key_arn : null
      }
    }
  }
}

# Those of deploy/athena, over the first topic's table. Two of them read the envelope.
locals {
  titles = {
    count_by_hour             = "records by hour, today and yesterday"
    freshest_event            = "freshest event of each Kafka partition"
    gaps_and_duplicates       = "gaps and duplicates"
    small_objects             = "records an object, by day"
    top_countries             = "top countries (of the sample events)"
    view_orders_flat          = "a view of flat columns (of the sample events)"
    volume_by_kafka_partition = "volume by Kafka partition"
  }
  queries = { for name, title in local.titles : name => title
  if var.named_queries && (var.envelope == "fields" || !contains(["freshest_event", "gaps_and_duplicates"], name)) }
  table = "\"${var.database_name}\".\"${local.tables[var.topic]}"
}

resource "aws_athena_named_query" "this" {
  for_each  = local.queries
  name      = "${var.topic}: ${each.value}"
  database  = aws_glue_catalog_database.this.name
  workgroup = aws_athena_workgroup.this.id
  query = replace(replace(file("${path.module}/../athena/${each.key}.sql"),
  "FROM orders\n", "FROM ${local.table}\"\n"), "VIEW orders_flat AS", "VIEW ${local.table}_flat\" AS")
}
