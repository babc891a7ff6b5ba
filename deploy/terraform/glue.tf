resource "aws_glue_catalog_database" "this" {
  name        = var.database_name
  description = "What kafka-s3-sink wrote"
}

resource "aws_glue_crawler" "this" {
  #checkov:skip=CKV_AWS_195:A security configuration would encrypt the crawler's own logs, which hold names of folders; the data's encryption is the bucket's.
  count         = local.crawls ? 1 : 0
  name          = "${var.name}-crawler"
  role          = aws_iam_role.crawler[0].arn
  database_name = aws_glue_catalog_database.this.name
  schedule      = var.crawler_schedule == "" ? null : var.crawler_schedule

  # One include path a topic: two tables below one path can make Athena return no rows.
  dynamic "s3_target" {
    for_each = local.topics
    content {
      path = "s3://${module.bucket.name}/${var.layout_prefix}/${s3_target.value}/"
    }
  }
  recrawl_policy {
    recrawl_behavior = var.crawler_scope == "everything" ? "CRAWL_EVERYTHING" : "CRAWL_NEW_FOLDERS_ONLY"
  }
  # Nothing is ever deleted from the catalogue. Glue wants LOG for both with new folders only.
  schema_change_policy {
    update_behavior = var.crawler_scope == "everything" ? "UPDATE_IN_DATABASE" : "LOG"
    delete_behavior = "LOG"
  }
  # One table of the layout, whatever the lines look like: schemas are combined, the table is the third
  # level (bucket, prefix, topic), and Hive partitions take the table's columns, for Athena compares
  # JSON columns by position (HIVE_PARTITION_SCHEMA_MISMATCH).
  configuration = jsonencode({
    Version  = 1.0
    Grouping = { TableGroupingPolicy = "CombineCompatibleSchemas", TableLevelConfiguration = 3 }
    CrawlerOutput = merge(
      { Partitions = { AddOrUpdateBehavior = "InheritFromTable" } },
      var.crawler_scope == "everything" ? { Tables = { AddOrUpdateBehavior = "MergeNewColumns" } } : {},
    )
  })
  depends_on = [aws_iam_role_policy.crawler]
}

# The alternative. The columns are those of the events that `kafka-s3-sink produce` makes; put your own
# here (`kafka-s3-sink ddl` prints them). A column that is not in the lines is NULL. Keys are strings,
# as a crawler makes them.
locals {
  columns = merge({
    id            = "string"
    sequence      = "bigint"
    type          = "string"
    event_time    = "string"
    event_time_ms = "bigint"
    country       = "string"
    currency      = "string"
    amount        = "double"
    user          = "struct<id:string,name:string,device:struct<system:string,version:string>>"
    url           = "string"
    items         = "array<struct<sku:string,quantity:bigint,price:double>>"
    note          = "string"
    }, var.envelope == "fields" ? {
    _kafka = "struct<topic:string,partition:int,offset:bigint,timestamp:bigint,key:string,key_base64:string,headers:array<struct<key:string,value:string,value_base64:string>>>"
  } : {})

  # Each topic has a table, and one for records with timestamps that layout.usable_time does not take,
  # which stand in one place.
  projected = local.crawls ? {} : merge([for topic, table in local.tables : {
    (table) = { topic = topic, projection = {
      # A day ahead, for producers' clocks run ahead of Athena's.
      "dt.type"     = "date", "dt.format" = "yyyy-MM-dd", "dt.range" = "${var.projection_from},NOW+1DAYS"
      "hour.type"   = "integer", "hour.range" = "0,23"
      "hour.digits" = "2" # Without it hours 0 to 9 are silently absent.
    } }
    "${table}_unusable_time" = { topic = topic, projection = {
      "dt.type"   = "enum", "dt.values" = "1970-01-01"
      "hour.type" = "enum", "hour.values" = "00"
    } }
  }]...)
}

resource "aws_glue_catalog_table" "this" {
  for_each      = local.projected
  name          = each.key
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"
  parameters = merge({
    classification              = "json"
    EXTERNAL                    = "TRUE"
    "projection.enabled"        = "true"
    "storage.location.template" = "s3://${module.bucket.name}/${var.layout_prefix}/${each.value.topic}/dt=$${dt}/hour=$${hour}/"
  }, { for name, value in each.value.projection : "projection.${name}" => value })
  dynamic "partition_keys" {
    for_each = ["dt", "hour"]
    content {
      name = partition_keys.value
      type = "string"
    }
  }
  storage_descriptor {
    location      = "s3://${module.bucket.name}/${var.layout_prefix}/${each.value.topic}/"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
    ser_de_info {
      serialization_library = var.json_serde
    }
    dynamic "columns" {
      for_each = local.columns
      content {
        name = columns.key
        type = columns.value
      }
    }
  }
}
