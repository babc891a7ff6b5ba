variable "name" {
  description = "What everything is called; two pipelines in one account need two names."
  type        = string
  default     = "kafka-s3-sink"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "name: up to 31 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "The region. Left out it is that of the environment (AWS_REGION, AWS_DEFAULT_REGION)."
  type        = string
  default     = null
}

# ---- Kafka and the sink ----

variable "kafka_mode" {
  description = "A broker of its own (kraft is Kafka 4.2; zookeeper is Kafka 3.9, the last line that has it), or none, for a cluster that exists."
  type        = string
  default     = "kraft"
  validation {
    condition     = contains(["kraft", "zookeeper", "none"], var.kafka_mode)
    error_message = "kafka_mode is kraft, zookeeper or none."
  }
}

variable "sink_placement" {
  description = "Whether the sink runs on the broker's instance (same), on one of its own (own), or elsewhere (none); the output sink_policy_arn is then what its role needs."
  type        = string
  default     = "same"
  validation {
    condition     = contains(["same", "own", "none"], var.sink_placement)
    error_message = "sink_placement is same, own or none."
  }
  validation {
    condition     = var.kafka_mode != "none" || var.sink_placement != "same"
    error_message = "With kafka_mode none there is no broker's instance for sink_placement same. Choose own or none."
  }
}

variable "bootstrap_servers" {
  description = "With kafka_mode none, the brokers to ask first, as host:port separated by commas."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[A-Za-z0-9.-]+:[0-9]{1,5}(,[A-Za-z0-9.-]+:[0-9]{1,5})*$", var.bootstrap_servers))
    error_message = "bootstrap_servers: host:port, separated by commas, without spaces."
  }
  validation {
    condition     = var.kafka_mode == "none" || var.bootstrap_servers == ""
    error_message = "bootstrap_servers is for a cluster that exists. Leave it empty, or choose kafka_mode none."
  }
  validation {
    condition     = !(var.kafka_mode == "none" && var.sink_placement == "own") || var.bootstrap_servers != ""
    error_message = "With kafka_mode none the sink needs bootstrap_servers of the cluster that exists."
  }
}

variable "cluster_security_group_id" {
  description = "With kafka_mode none, the security group of that cluster. It gets no new rule from here, so let sink_security_group_id (an output) in there."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^sg-[0-9a-f]{8,17}$", var.cluster_security_group_id))
    error_message = "cluster_security_group_id: the id of a security group, such as sg-0123456789abcdef0."
  }
  validation {
    condition     = var.kafka_mode == "none" || var.cluster_security_group_id == ""
    error_message = "cluster_security_group_id is for a cluster that exists. Leave it empty, or choose kafka_mode none."
  }
  validation {
    condition     = !(var.kafka_mode == "none" && var.sink_placement == "own") || var.cluster_security_group_id != ""
    error_message = "With kafka_mode none the sink needs cluster_security_group_id, the only place that it may connect to beside HTTPS."
  }
}

variable "cluster_port" {
  description = "With kafka_mode none, the port of its brokers (9098 for MSK with IAM)."
  type        = number
  default     = 9092
  validation {
    condition     = var.cluster_port >= 1 && var.cluster_port <= 65535
    error_message = "cluster_port is from 1 to 65535."
  }
}

variable "msk_cluster_arn" {
  description = "An MSK cluster that the sink signs in to with IAM. It is given the rights to read the topics and to keep the offsets of its group."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/]+/[^/]+$", var.msk_cluster_arn))
    error_message = "msk_cluster_arn: the ARN of an MSK cluster."
  }
  validation {
    condition     = var.kafka_mode == "none" || var.msk_cluster_arn == ""
    error_message = "msk_cluster_arn is for a cluster that exists. Leave it empty, or choose kafka_mode none."
  }
}

variable "topic" {
  description = "The first topic. It has a table of its own."
  type        = string
  default     = "orders"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,120}$", var.topic))
    error_message = "topic: lower-case letters, digits, dots, hyphens and underscores, for it becomes a table's name."
  }
}

variable "second_topic" {
  description = "Another topic, with a table of its own. Empty is none."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[a-z0-9][a-z0-9._-]{0,120}$", var.second_topic))
    error_message = "second_topic: lower-case letters, digits, dots, hyphens and underscores, for it becomes a table's name."
  }
  validation {
    condition     = replace(replace(var.second_topic, ".", "_"), "-", "_") != replace(replace(var.topic, ".", "_"), "-", "_")
    error_message = "second_topic must be another one than topic, and have another table: dots and hyphens become underscores."
  }
}

variable "kafka_partitions" {
  description = "Kafka partitions of each topic that the broker of its own makes; more can be added later, but then keys move."
  type        = number
  default     = 6
  validation {
    condition     = var.kafka_partitions >= 1 && var.kafka_partitions <= 1000
    error_message = "kafka_partitions is from 1 to 1000."
  }
}

variable "group_id" {
  description = "The sink's consumer group."
  type        = string
  default     = "kafka-s3-sink"
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$", var.group_id))
    error_message = "group_id: letters, digits, dots, hyphens and underscores."
  }
}

variable "package_url" {
  description = "Where the instances fetch the project's RPM, if everybody can. Without it and package_s3_uri nothing is installed on them."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^https://[A-Za-z0-9./_~+-]+\\.rpm$", var.package_url))
    error_message = "package_url: an https URL that ends in .rpm."
  }
}

variable "package_s3_uri" {
  description = "The RPM in a bucket of yours, which may be private, for the instances' roles get the right to read that one object."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9./_~+-]+\\.rpm$", var.package_s3_uri))
    error_message = "package_s3_uri: s3://bucket/key of an object that ends in .rpm."
  }
  validation {
    condition     = var.package_url == "" || var.package_s3_uri == ""
    error_message = "Give package_url or package_s3_uri, not both."
  }
}

variable "package_sha256" {
  description = "The SHA-256 of that RPM; another file is not installed."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[0-9a-f]{64}$", var.package_sha256))
    error_message = "package_sha256: 64 hexadecimal digits."
  }
  validation {
    condition     = (var.package_url == "" && var.package_s3_uri == "") == (var.package_sha256 == "")
    error_message = "Give package_sha256 together with package_url or package_s3_uri, or none of them."
  }
}

variable "envelope" {
  description = "records.envelope of the sink. With fields each line says where in Kafka it came from, which the queries for gaps, duplicates and freshness read."
  type        = string
  default     = "fields"
  validation {
    condition     = contains(["fields", "none"], var.envelope)
    error_message = "envelope is fields or none."
  }
}

# ---- Instances ----

variable "architecture" {
  description = "Of the instances; instance_type must be one of it."
  type        = string
  default     = "x86_64"
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture is x86_64 or arm64."
  }
}

variable "instance_type" {
  description = "Of each instance. Kafka with the sink beside it wants 4 GiB of memory."
  type        = string
  default     = "t3.medium"
  validation {
    condition     = var.architecture != "x86_64" || contains(["t3.medium", "t3.large", "m7i.large", "m7i.xlarge"], var.instance_type)
    error_message = "With architecture x86_64 choose an instance_type of t3 or m7i: t3.medium, t3.large, m7i.large, m7i.xlarge."
  }
  validation {
    condition     = var.architecture != "arm64" || contains(["t4g.medium", "t4g.large", "m7g.large", "m7g.xlarge"], var.instance_type)
    error_message = "With architecture arm64 choose an instance_type of t4g or m7g: t4g.medium, t4g.large, m7g.large, m7g.xlarge."
  }
}

variable "pinned_image_id" {
  description = "An image of Amazon Linux 2023. Empty is the newest one when the instance is made; a newer one later replaces nothing."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^ami-[0-9a-f]{8,17}$", var.pinned_image_id))
    error_message = "pinned_image_id: an image's id, such as ami-0123456789abcdef0."
  }
}

variable "data_volume_gib" {
  description = "The volume for Kafka's data. It is kept when the instance goes. It can be made larger, not smaller; then run xfs_growfs /var/lib/kafka on the instance."
  type        = number
  default     = 50
  validation {
    condition     = var.data_volume_gib >= 10 && var.data_volume_gib <= 16384
    error_message = "data_volume_gib is from 10 to 16384."
  }
}

# ---- Network ----

variable "vpc_id" {
  description = "The network for the instances. Empty makes one."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id: the id of a VPC."
  }
  validation {
    condition     = (var.vpc_id == "") == (var.subnet_id == "")
    error_message = "Give both vpc_id and subnet_id, or neither to have a network made."
  }
}

variable "subnet_id" {
  description = "A subnet of vpc_id that has a way out to HTTPS (NAT, or endpoints for S3, SSM and CloudWatch)."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^subnet-[0-9a-f]{8,17}$", var.subnet_id))
    error_message = "subnet_id: the id of a subnet."
  }
}

variable "availability_zone" {
  description = "Where the network that is made has its subnet. Empty is the region's first zone; not each of them has every instance_type. A subnet that is there stays where it is."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^[a-z]{2}-[a-z0-9-]+[a-z]$", var.availability_zone))
    error_message = "availability_zone: such as us-east-1a."
  }
  validation {
    condition     = var.availability_zone == "" || var.subnet_id == ""
    error_message = "availability_zone is for the network that is made. subnet_id is in one already."
  }
}

variable "vpc_cidr" {
  description = "The addresses of the network that is made where none is given."
  type        = string
  default     = "10.80.0.0/24"
  validation {
    condition     = can(regex("^10\\.[0-9]{1,3}\\.[0-9]{1,3}\\.0/24$", var.vpc_cidr)) && can(cidrhost(var.vpc_cidr, 1))
    error_message = "vpc_cidr: a /24 of 10.0.0.0/8."
  }
}

# ---- Bucket ----

variable "bucket_name" {
  description = "The bucket that is made."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name: 3 to 63 lower-case letters, digits and hyphens. It must be nobody else's in the world."
  }
}

variable "layout_prefix" {
  description = "layout.prefix of the sink. One folder, so that no root lies within another and the crawler's table level is fixed."
  type        = string
  default     = "raw"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", var.layout_prefix))
    error_message = "layout_prefix: one folder, in lower-case letters, digits, hyphens and underscores."
  }
}

variable "dead_letter_prefix" {
  description = "layout.dead_letter_prefix of the sink. Outside of every table, for Athena would read what lies inside."
  type        = string
  default     = "dead-letters"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", var.dead_letter_prefix))
    error_message = "dead_letter_prefix: one folder, in lower-case letters, digits, hyphens and underscores."
  }
}

variable "results_prefix" {
  description = "Where Athena puts results of queries; they go after 30 days."
  type        = string
  default     = "athena-results"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{0,62}$", var.results_prefix))
    error_message = "results_prefix: one folder, in lower-case letters, digits, hyphens and underscores."
  }
  validation {
    condition     = length(distinct([var.layout_prefix, var.dead_letter_prefix, var.results_prefix])) == 3
    error_message = "layout_prefix, dead_letter_prefix and results_prefix must differ, for Athena reads all that lies below a table."
  }
}

variable "kms_key_arn" {
  description = "A key of one's own for the bucket. Its policy must let this account's IAM policies decide. Empty is S3's own key (SSE-S3)."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn: the ARN of a key, not of an alias."
  }
}

variable "versioning" {
  description = "Keeps what somebody deletes for 30 days. The sink itself never overwrites, so this costs next to nothing."
  type        = bool
  default     = true
}

# ---- Catalogue and queries ----

variable "database_name" {
  description = "The Glue database."
  type        = string
  default     = "kafka"
  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name: lower-case letters, digits and underscores."
  }
}

variable "catalog_mode" {
  description = "A crawler that makes the table and registers Hive partitions, or a table with partition projection, which needs neither crawling nor registering, but its columns must be written down (glue.tf)."
  type        = string
  default     = "crawler"
  validation {
    condition     = contains(["crawler", "projection"], var.catalog_mode)
    error_message = "catalog_mode is crawler or projection."
  }
}

variable "crawler_schedule" {
  description = "When the crawler runs, such as cron(10 * * * ? *), in UTC. Empty means when somebody starts it, for each run costs."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^cron\\([^()]+\\)$", var.crawler_schedule))
    error_message = "crawler_schedule: cron(...) as Glue has it, in UTC."
  }
  validation {
    condition     = var.catalog_mode == "crawler" || var.crawler_schedule == ""
    error_message = "crawler_schedule is for catalog_mode crawler. A projected table needs no crawler."
  }
}

variable "crawler_scope" {
  description = "Whether a run looks at all folders (everything: new columns are added) or only at those that are new (new-folders: cheaper; columns stay as the first run found them)."
  type        = string
  default     = "everything"
  validation {
    condition     = contains(["everything", "new-folders"], var.crawler_scope)
    error_message = "crawler_scope is everything or new-folders."
  }
}

variable "projection_from" {
  description = "The first day of the projected table. A query without dt lists each hour since, so a later day is cheaper. Records with unusable timestamps have a table of their own (_unusable_time)."
  type        = string
  default     = "NOW-1YEARS"
  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$|^NOW-[1-9][0-9]{0,3}(DAYS|WEEKS|MONTHS|YEARS)$", var.projection_from))
    error_message = "projection_from: a day, such as 2026-11-22, or NOW-1YEARS."
  }
}

variable "json_serde" {
  description = "Who reads the lines for the projected table. The HCatalog one knows no lines that are not as the columns say; a query then fails."
  type        = string
  default     = "org.openx.data.jsonserde.JsonSerDe"
  validation {
    condition     = contains(["org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe"], var.json_serde)
    error_message = "json_serde is org.openx.data.jsonserde.JsonSerDe or org.apache.hive.hcatalog.data.JsonSerDe."
  }
}

variable "query_scan_limit" {
  description = "A query that scans more bytes than this is cancelled."
  type        = number
  default     = 10737418240
  validation {
    condition     = var.query_scan_limit >= 10485760
    error_message = "query_scan_limit is at least 10485760 bytes."
  }
}

variable "named_queries" {
  description = "Whether Athena's editor gets queries to begin with."
  type        = bool
  default     = true
}

variable "analyst_arn" {
  description = "Who may take the role that only reads and queries, for the notebook. Empty makes no such role."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", var.analyst_arn))
    error_message = "analyst_arn: the ARN of a role or user."
  }
}

# ---- Alarms ----

variable "alarm_topic_arn" {
  description = "The SNS topic that hears of alarms. Empty shows them in CloudWatch only."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn: the ARN of an SNS topic."
  }
}

variable "daily_scan_alarm" {
  description = "Bytes that all queries of a day may scan before an alarm."
  type        = number
  default     = 107374182400
  validation {
    condition     = var.daily_scan_alarm >= 10485760
    error_message = "daily_scan_alarm is at least 10485760 bytes."
  }
}
