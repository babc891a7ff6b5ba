data "aws_ssm_parameter" "image" {
  count = local.has_instance && var.pinned_image_id == "" ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

locals {
  image = var.pinned_image_id == "" ? one(data.aws_ssm_parameter.image[*].value) : var.pinned_image_id

  # What user-data.sh reads, the same for both instances but for these.
  inputs = {
    TOPICS             = join(",", local.topics)
    KAFKA_PARTITIONS   = var.kafka_partitions
    GROUP_ID           = var.group_id
    BUCKET             = module.bucket.name
    REGION             = local.region
    LAYOUT_PREFIX      = var.layout_prefix
    DEAD_LETTER_PREFIX = var.dead_letter_prefix
    ENVELOPE           = var.envelope
    PACKAGE_URL        = local.private_package ? var.package_s3_uri : var.package_url
    PACKAGE_SHA256     = var.package_sha256
  }
  broker_inputs = merge(local.inputs, {
    KAFKA_MODE        = var.kafka_mode
    KAFKA_VERSION     = { kraft = "4.2.0", zookeeper = "3.9.1", none = "" }[var.kafka_mode]
    RUNS_SINK         = local.sink_beside_broker ? "yes" : "no"
    BOOTSTRAP_SERVERS = ""
    MSK_IAM_REGION    = ""
  })
  sink_inputs = merge(local.inputs, {
    KAFKA_MODE        = "none"
    KAFKA_VERSION     = ""
    RUNS_SINK         = "yes"
    BOOTSTRAP_SERVERS = local.has_broker ? "${one(aws_instance.broker[*].private_ip)}:9092" : var.bootstrap_servers
    MSK_IAM_REGION    = var.msk_cluster_arn == "" ? "" : local.region
  })

  # The stack's own script, which is no template: what goes in goes in before it.
  script    = file("${path.module}/../cloudformation/user-data.sh")
  user_data = <<-EOT
    #!/usr/bin/env bash
    set -euo pipefail
    umask 022
    mkdir -p /etc/kafka-s3-sink
    cat > /etc/kafka-s3-sink/stack.env <<'STACK'
    %s
    STACK
    cat > /etc/kafka-s3-sink/user-data.sh <<'SCRIPT'
    %s
    SCRIPT
    exec bash /etc/kafka-s3-sink/user-data.sh install /etc/kafka-s3-sink/stack.env
  EOT
}

resource "aws_instance" "broker" {
  #checkov:skip=CKV_AWS_88:Its address is for the way out of a network without a NAT gateway; no rule lets anything in but Kafka from the groups of network.tf.
  count                       = local.has_broker ? 1 : 0
  ami                         = local.image
  instance_type               = var.instance_type
  iam_instance_profile        = local.sink_beside_broker ? aws_iam_instance_profile.sink.name : aws_iam_instance_profile.broker[0].name
  subnet_id                   = local.subnet_id
  associate_public_ip_address = local.makes_network
  vpc_security_group_ids      = [aws_security_group.this["broker"].id]
  ebs_optimized               = true
  # One-minute figures, for the alarms look at two of them.
  monitoring = true
  user_data  = format(local.user_data, join("\n", [for name, value in local.broker_inputs : "${name}='${value}'"]), local.script)
  # A hop limit of 1 keeps the credentials from containers and from proxies.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    volume_type           = "gp3"
    volume_size           = 16
    encrypted             = true
    delete_on_termination = true
  }
  tags = { Name = "${var.name}-broker" }
  # A newer image or script is for a new instance, and replaces none that runs.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
  # The first boot downloads, so the way out must be there before, and the right to the package.
  depends_on = [
    aws_route_table_association.this, aws_route.out, aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.https, aws_iam_role_policy_attachment.sink, aws_iam_role_policy_attachment.broker,
  ]
}

# Kafka's data, apart from the instance: a larger volume changes this one alone, and a new instance
# finds the data where it was. Like the bucket it outlives the pipeline; to let go of it:
#
#   terraform state rm 'aws_ebs_volume.data'
resource "aws_ebs_volume" "data" {
  #checkov:skip=CKV_AWS_189:It is encrypted with the account's own key for EBS; a key of one's own is for the bucket.
  count             = local.has_broker ? 1 : 0
  availability_zone = local.zone
  type              = "gp3"
  size              = var.data_volume_gib
  encrypted         = true
  tags              = { Name = "${var.name}-kafka-data" }
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "data" {
  count       = local.has_broker ? 1 : 0
  device_name = "/dev/sdf"
  instance_id = aws_instance.broker[0].id
  volume_id   = aws_ebs_volume.data[0].id
  # Nothing takes a volume from a system that has it mounted.
  stop_instance_before_detaching = true
}

resource "aws_instance" "sink" {
  #checkov:skip=CKV_AWS_88:As the broker's.
  count                       = local.sink_is_alone ? 1 : 0
  ami                         = local.image
  instance_type               = var.instance_type
  iam_instance_profile        = aws_iam_instance_profile.sink.name
  subnet_id                   = local.subnet_id
  associate_public_ip_address = local.makes_network
  vpc_security_group_ids      = [aws_security_group.this["sink"].id]
  ebs_optimized               = true
  monitoring                  = true
  user_data                   = format(local.user_data, join("\n", [for name, value in local.sink_inputs : "${name}='${value}'"]), local.script)
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  # The sink keeps nothing: what it knows is in Kafka and in the bucket.
  root_block_device {
    volume_type           = "gp3"
    volume_size           = 16
    encrypted             = true
    delete_on_termination = true
  }
  tags = { Name = "${var.name}-sink" }
  lifecycle {
    ignore_changes = [ami, user_data]
  }
  depends_on = [
    aws_route_table_association.this, aws_route.out, aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.https, aws_iam_role_policy_attachment.sink,
  ]
}
