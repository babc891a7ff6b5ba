# The bucket, with all that closes it. It outlives the pipeline: `terraform destroy` refuses until it
# is told to let go of it, which keeps the bucket and everything here as it is:
#
#   terraform state rm module.bucket
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.40"
    }
  }
}

variable "name" {
  description = "The bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "A key of one's own, or nothing for S3's."
  type        = string
}

variable "versioning" {
  description = "Whether what is deleted is kept for 30 days."
  type        = bool
}

variable "results_prefix" {
  description = "Where Athena puts its results."
  type        = string
}

output "name" {
  description = "The bucket"
  # Whoever uses it finds it closed.
  value      = aws_s3_bucket.this.id
  depends_on = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_policy.this]
}

output "arn" {
  description = "Its ARN"
  value       = aws_s3_bucket.this.arn
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Access logs would want a second bucket; who must know who read what turns on CloudTrail's data events.
  #checkov:skip=CKV_AWS_19:The next resource encrypts it; checkov does not follow its condition.
  #checkov:skip=CKV_AWS_21:A variable decides, and its default is on.
  #checkov:skip=CKV_AWS_144:A second region doubles the cost; Kafka and this bucket hold each record already.
  #checkov:skip=CKV_AWS_145:A variable decides; S3's own key is the default.
  #checkov:skip=CKV2_AWS_62:Nobody here listens to events of the bucket.
  bucket = var.name
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
    }
    # One call of KMS for many objects.
    bucket_key_enabled = var.kms_key_arn != ""
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id
  versioning_configuration {
    status = var.versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  # Parts of an upload that a crash left behind are paid for and shown nowhere. The sink never goes on
  # with one of an earlier run; a day is far beyond the longest upload.
  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  rule {
    id     = "query-results"
    status = "Enabled"
    filter {
      prefix = "${var.results_prefix}/"
    }
    expiration {
      days = 30
    }
  }
  rule {
    id     = "deleted-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }
  # Versions are of a bucket that has them.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "ModernTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
    ]
  })
  # A policy that is no public one, but S3 looks at both at once.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
