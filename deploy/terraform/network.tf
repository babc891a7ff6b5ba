# One public subnet into which nothing can come, where no network is given: a NAT gateway would cost
# more than the instance. Who has private subnets with a way out gives vpc_id and subnet_id.
resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs cost by volume, and nothing can come in; turn them on where your rules ask for them.
  count                = local.makes_network ? 1 : 0
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Nothing is in it, and with this it lets nothing through.
resource "aws_default_security_group" "this" {
  count  = local.makes_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
}

data "aws_availability_zones" "this" {
  #checkov:skip=CKV_AWS_394:Its first name counts, and only when the subnet is made.
  count = local.makes_network && var.availability_zone == "" ? 1 : 0
  state = "available"
  # Those that nobody has to ask for, so no local zones.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_subnet" "given" {
  count = local.has_instance && !local.makes_network ? 1 : 0
  id    = var.subnet_id
}

resource "aws_subnet" "this" {
  count             = local.makes_network ? 1 : 0
  vpc_id            = aws_vpc.this[0].id
  cidr_block        = var.vpc_cidr
  availability_zone = var.availability_zone == "" ? sort(data.aws_availability_zones.this[0].names)[0] : var.availability_zone
  # An address is asked for by the instance itself, see there.
  map_public_ip_on_launch = false
  tags                    = { Name = var.name }
  # A region may get a zone that comes first, and all that is in the subnet would be replaced.
  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_internet_gateway" "this" {
  count  = local.makes_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
}

resource "aws_route_table" "this" {
  count  = local.makes_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
}

resource "aws_route" "out" {
  count                  = local.makes_network ? 1 : 0
  route_table_id         = aws_route_table.this[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "this" {
  count          = local.makes_network ? 1 : 0
  route_table_id = aws_route_table.this[0].id
  subnet_id      = aws_subnet.this[0].id
}

# What goes to S3 stays within AWS, free of charge. Through it only buckets of this account can be
# written; reading is open, for the packages of Amazon Linux come from a bucket of Amazon's.
resource "aws_vpc_endpoint" "s3" {
  count             = local.makes_network ? 1 : 0
  vpc_id            = aws_vpc.this[0].id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${local.region}.s3"
  route_table_ids   = [aws_route_table.this[0].id]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OwnBuckets"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:*"
        Resource  = "*"
        Condition = { StringEquals = { "aws:ResourceAccount" = local.account } }
      },
      { Sid = "Packages", Effect = "Allow", Principal = "*", Action = "s3:GetObject", Resource = "*" },
    ]
  })
}

# ---- Security groups: they name each other, and nothing comes from elsewhere ----
# HTTPS goes anywhere, for the packages, S3, STS, Session Manager and CloudWatch have no list of
# addresses. DNS, time and metadata are the network's own and need no rule. ZooKeeper and the KRaft
# controller listen on loopback and have none either.
locals {
  vpc_id    = local.makes_network ? aws_vpc.this[0].id : var.vpc_id
  subnet_id = local.makes_network ? aws_subnet.this[0].id : var.subnet_id
  zone      = one(concat(aws_subnet.this[*].availability_zone, data.aws_subnet.given[*].availability_zone))

  groups = merge(
    local.has_broker ? {
      client = "For producers and consumers, which may reach the broker"
      broker = "The broker, which clients and the sink may reach"
    } : {},
    local.sink_is_alone ? { sink = "The sink, which nobody may reach" } : {},
  )
  # Who may reach the broker.
  callers = local.has_broker ? setsubtract(keys(local.groups), ["broker"]) : []
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:The clients' group is for producers and consumers, which are not made here; the others are on the instances.
  for_each    = local.groups
  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = local.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each          = local.groups
  security_group_id = aws_security_group.this[each.key].id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "to_broker" {
  for_each                     = local.callers
  security_group_id            = aws_security_group.this[each.key].id
  description                  = "Kafka"
  ip_protocol                  = "tcp"
  from_port                    = 9092
  to_port                      = 9092
  referenced_security_group_id = aws_security_group.this["broker"].id
}

resource "aws_vpc_security_group_ingress_rule" "broker" {
  for_each                     = local.callers
  security_group_id            = aws_security_group.this["broker"].id
  description                  = "Kafka, for the ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 9092
  to_port                      = 9092
  referenced_security_group_id = aws_security_group.this[each.key].id
}

resource "aws_vpc_security_group_egress_rule" "to_cluster" {
  count                        = local.sink_is_alone && !local.has_broker ? 1 : 0
  security_group_id            = aws_security_group.this["sink"].id
  description                  = "Kafka of the cluster that exists"
  ip_protocol                  = "tcp"
  from_port                    = var.cluster_port
  to_port                      = var.cluster_port
  referenced_security_group_id = var.cluster_security_group_id
}
