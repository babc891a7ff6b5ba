# ---- The sink's rights, exactly those of SECURITY.md ----
locals {
  arn_of  = { for service in ["athena", "glue", "logs"] : service => "arn:${local.partition}:${service}:${local.region}:${local.account}" }
  objects = "${module.bucket.arn}/${var.layout_prefix}/*"
  dead    = "${module.bucket.arn}/${var.dead_letter_prefix}/*"
  results = "${module.bucket.arn}/${var.results_prefix}/*"
  # The catalogue's own name, the database, and its tables.
  catalogue = ["catalog", "database/${var.database_name}", "table/${var.database_name}/*"]

  # As the sink writes with a key of one's own, and as the crawler reads.
  key_actions = {
    key      = ["kms:GenerateDataKey", "kms:Decrypt"]
    key-read = "kms:Decrypt"
  }

  taken_by_ec2 = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_policy" "sink" {
  name        = "${var.name}-sink"
  description = "What kafka-s3-sink needs in its bucket"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
        Resource = [local.objects, local.dead]
      },
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = module.bucket.arn
        Condition = { StringLike = { "s3:prefix" = ["${var.layout_prefix}/*", "${var.dead_letter_prefix}/*"] } }
      },
      # Optional: `audit` names uploads that were left behind.
      { Sid = "Uploads", Effect = "Allow", Action = "s3:ListBucketMultipartUploads", Resource = module.bucket.arn },
      # Optional: removes the object that `check` and a start try the bucket with.
      {
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${module.bucket.arn}/${var.dead_letter_prefix}/.kafka-s3-sink-probe"
      },
    ]
  })
}

resource "aws_iam_policy" "key" {
  for_each    = { for name, action in local.key_actions : name => action if local.has_key }
  name        = "${var.name}-${each.key}"
  description = each.key == "key" ? "What kafka-s3-sink and queries need of the bucket's key" : "What reading takes of the bucket's key"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Key"
      Effect    = "Allow"
      Action    = each.value
      Resource  = var.kms_key_arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
    }]
  })
}

resource "aws_iam_policy" "msk" {
  count       = var.msk_cluster_arn == "" ? 0 : 1
  name        = "${var.name}-msk"
  description = "What kafka-s3-sink needs in an MSK cluster with IAM"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Connect", Effect = "Allow", Action = "kafka-cluster:Connect", Resource = var.msk_cluster_arn },
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]
        Resource = [for topic in local.topics : "${replace(var.msk_cluster_arn, ":cluster/", ":topic/")}/${topic}"]
      },
      {
        Sid      = "Group"
        Effect   = "Allow"
        Action   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
        Resource = "${replace(var.msk_cluster_arn, ":cluster/", ":group/")}/${var.group_id}"
      },
    ]
  })
}

# Session Manager in place of SSH. The managed policy for it can also read every parameter of the
# account; these are the calls that a session takes, and they know no resource.
resource "aws_iam_policy" "session" {
  #checkov:skip=CKV_AWS_290:These actions have no resource to name.
  #checkov:skip=CKV_AWS_355:These actions have no resource to name.
  count       = local.has_instance ? 1 : 0
  name        = "${var.name}-session"
  description = "What Session Manager needs on an instance"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "Session"
      Effect = "Allow"
      Action = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      Resource = "*"
    }]
  })
}

# The instances fetch the package themselves, from a bucket that need not be this one.
resource "aws_iam_policy" "package" {
  count       = local.private_package ? 1 : 0
  name        = "${var.name}-package"
  description = "The package that the instances install"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Package"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${local.partition}:s3:::${trimprefix(var.package_s3_uri, "s3://")}"
    }]
  })
}

resource "aws_iam_role" "sink" {
  name               = "${var.name}-sink"
  description        = "kafka-s3-sink on an instance"
  assume_role_policy = local.taken_by_ec2
}

resource "aws_iam_role_policy_attachment" "sink" {
  for_each = merge(
    { sink = aws_iam_policy.sink.arn },
    local.has_instance ? { session = one(aws_iam_policy.session[*].arn) } : {},
    var.msk_cluster_arn == "" ? {} : { msk = one(aws_iam_policy.msk[*].arn) },
    local.has_key ? { key = aws_iam_policy.key["key"].arn } : {},
    local.private_package ? { package = one(aws_iam_policy.package[*].arn) } : {},
  )
  role       = aws_iam_role.sink.name
  policy_arn = each.value
}

resource "aws_iam_instance_profile" "sink" {
  name = "${var.name}-sink"
  role = aws_iam_role.sink.name
}

# A broker alone has no business in the bucket.
resource "aws_iam_role" "broker" {
  count              = local.has_broker && !local.sink_beside_broker ? 1 : 0
  name               = "${var.name}-broker"
  description        = "The broker's instance"
  assume_role_policy = local.taken_by_ec2
}

resource "aws_iam_role_policy_attachment" "broker" {
  for_each = length(aws_iam_role.broker) == 0 ? {} : merge(
    { session = one(aws_iam_policy.session[*].arn) },
    local.private_package ? { package = one(aws_iam_policy.package[*].arn) } : {},
  )
  role       = aws_iam_role.broker[0].name
  policy_arn = each.value
}

resource "aws_iam_instance_profile" "broker" {
  count = length(aws_iam_role.broker)
  name  = "${var.name}-broker"
  role  = aws_iam_role.broker[0].name
}

resource "aws_iam_role" "crawler" {
  count       = local.crawls ? 1 : 0
  name        = "${var.name}-crawler"
  description = "The crawler, which reads the tables' roots and writes this one database"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "glue.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "crawler_key" {
  count      = local.crawls && local.has_key ? 1 : 0
  role       = aws_iam_role.crawler[0].name
  policy_arn = aws_iam_policy.key["key-read"].arn
}

resource "aws_iam_role_policy" "crawler" {
  count = local.crawls ? 1 : 0
  name  = "crawl"
  role  = aws_iam_role.crawler[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Objects", Effect = "Allow", Action = "s3:GetObject", Resource = local.objects },
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = module.bucket.arn
        Condition = { StringLike = { "s3:prefix" = "${var.layout_prefix}/*" } }
      },
      { Sid = "Place", Effect = "Allow", Action = "s3:GetBucketLocation", Resource = module.bucket.arn },
      {
        Sid    = "Catalogue"
        Effect = "Allow"
        Action = [
          "glue:GetDatabase",
          "glue:GetTable",
          "glue:GetTables",
          "glue:CreateTable",
          "glue:UpdateTable",
          "glue:GetPartition",
          "glue:GetPartitions",
          "glue:BatchGetPartition",
          "glue:BatchCreatePartition",
          "glue:CreatePartition",
          "glue:UpdatePartition",
        ]
        Resource = [for part in local.catalogue : "${local.arn_of.glue}:${part}"]
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.arn_of.logs}:log-group:/aws-glue/crawlers*"]
      },
    ]
  })
}

# Reads tables and runs queries; writes nothing but results.
resource "aws_iam_role" "analyst" {
  count       = var.analyst_arn == "" ? 0 : 1
  name        = "${var.name}-analyst"
  description = "Reads what kafka-s3-sink wrote, with Athena or directly"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = var.analyst_arn }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "analyst_key" {
  count      = length(aws_iam_role.analyst) == 1 && local.has_key ? 1 : 0
  role       = aws_iam_role.analyst[0].name
  policy_arn = aws_iam_policy.key["key"].arn
}

resource "aws_iam_role_policy" "analyst" {
  count = length(aws_iam_role.analyst)
  name  = "read"
  role  = aws_iam_role.analyst[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Objects", Effect = "Allow", Action = "s3:GetObject", Resource = [local.objects, local.dead] },
      {
        Sid      = "Results"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = local.results
      },
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = module.bucket.arn
        Condition = {
          StringLike = { "s3:prefix" = ["${var.layout_prefix}/*", "${var.dead_letter_prefix}/*", "${var.results_prefix}/*"] }
        }
      },
      { Sid = "Place", Effect = "Allow", Action = "s3:GetBucketLocation", Resource = module.bucket.arn },
      {
        Sid    = "Queries"
        Effect = "Allow"
        Action = [
          "athena:StartQueryExecution",
          "athena:StopQueryExecution",
          "athena:GetQueryExecution",
          "athena:GetQueryResults",
          "athena:GetWorkGroup",
          "athena:ListNamedQueries",
          "athena:GetNamedQuery",
        ]
        Resource = "${local.arn_of.athena}:workgroup/${aws_athena_workgroup.this.name}"
      },
      {
        Sid      = "Catalogue"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"]
        Resource = [for part in local.catalogue : "${local.arn_of.glue}:${part}"]
      },
    ]
  })
}
