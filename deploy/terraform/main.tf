# The pipeline of deploy/cloudformation in Terraform: the same parts, the same rights, the same
# choices. docs/aws-from-scratch.md goes through it step by step.
#
#   terraform init && terraform apply -var bucket_name=... -var package_s3_uri=... -var package_sha256=...
#
# The instances run the stack's own user-data.sh, and Athena gets the queries of deploy/athena, so
# this folder wants its neighbours beside it.
terraform {
  # Contradictions between variables are refused since 1.9.
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.40"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { pipeline = var.name }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name

  has_broker         = var.kafka_mode != "none"
  sink_beside_broker = local.has_broker && var.sink_placement == "same"
  sink_is_alone      = var.sink_placement == "own"
  has_instance       = local.has_broker || local.sink_is_alone
  makes_network      = local.has_instance && var.vpc_id == ""
  private_package    = local.has_instance && var.package_s3_uri != ""
  has_key            = var.kms_key_arn != ""
  crawls             = var.catalog_mode == "crawler"

  topics = compact([var.topic, var.second_topic])
  # As Glue's crawlers name tables.
  tables = { for topic in local.topics : topic => replace(replace(topic, ".", "_"), "-", "_") }
}
