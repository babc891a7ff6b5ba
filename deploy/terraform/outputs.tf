output "bucket_name" {
  description = "The bucket; it outlives the pipeline"
  value       = module.bucket.name
}

output "sink_policy_arn" {
  description = "What a sink's role needs, for one that runs elsewhere"
  value       = aws_iam_policy.sink.arn
}

output "sink_role_arn" {
  description = "The role of a sink on an instance"
  value       = aws_iam_role.sink.arn
}

output "database_name" {
  description = "The Glue database"
  value       = aws_glue_catalog_database.this.name
}

output "work_group_name" {
  description = "The Athena workgroup"
  value       = aws_athena_workgroup.this.name
}

output "crawler_name" {
  description = "Start it when the first objects have landed"
  value       = one(aws_glue_crawler.this[*].name)
}

output "analyst_role_arn" {
  description = "The role for the notebook"
  value       = one(aws_iam_role.analyst[*].arn)
}

output "broker_bootstrap_servers" {
  description = "For clients that have client_security_group_id"
  value       = one([for instance in aws_instance.broker : "${instance.private_ip}:9092"])
}

output "instance_ids" {
  description = "For Session Manager"
  value       = local.watched
}

output "client_security_group_id" {
  description = "Give it to producers and consumers"
  value       = local.has_broker ? aws_security_group.this["client"].id : null
}

output "sink_security_group_id" {
  description = "Let it into the cluster that exists"
  value       = local.sink_is_alone ? aws_security_group.this["sink"].id : null
}
