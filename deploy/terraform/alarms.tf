# Alarms: those that need no agent. How full a disk is no figure of EC2's tells; the sink's own metrics
# (README, "Watching it") say what matters more, the age of what has not landed.
locals {
  hears = compact([var.alarm_topic_arn])
  watched = merge(
    { for instance in aws_instance.broker : "broker" => instance.id },
    { for instance in aws_instance.sink : "sink" => instance.id },
  )
  checks = {
    host   = { metric = "StatusCheckFailed_System", periods = 2, action = "recover", says = "the machine below it fails; it is recovered on another" }
    system = { metric = "StatusCheckFailed_Instance", periods = 3, action = "reboot", says = "its system does not answer; it is restarted" }
    volume = { metric = "StatusCheckFailed_AttachedEBS", periods = 2, action = null, says = "a volume does not answer" }
  }
  alarms = merge([for who in concat(local.has_broker ? ["broker"] : [], local.sink_is_alone ? ["sink"] : []) :
  { for name, check in local.checks : "${who}-${name}" => merge(check, { who = who }) }]...)
}

resource "aws_cloudwatch_metric_alarm" "instance" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "The ${each.value.who}'s instance: ${each.value.says}"
  namespace           = "AWS/EC2"
  metric_name         = each.value.metric
  dimensions          = { InstanceId = local.watched[each.value.who] }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "missing"
  alarm_actions = concat(
    each.value.action == null ? [] : ["arn:${local.partition}:automate:${local.region}:ec2:${each.value.action}"],
    local.hears,
  )
}

resource "aws_cloudwatch_metric_alarm" "daily_scan" {
  alarm_name          = "${var.name}-daily-scan"
  alarm_description   = "Athena's queries scanned more than daily_scan_alarm bytes in a day"
  namespace           = "AWS/Athena"
  metric_name         = "ProcessedBytes"
  dimensions          = { WorkGroup = aws_athena_workgroup.this.name }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.daily_scan_alarm
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.hears
}
