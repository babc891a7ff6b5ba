module "bucket" {
  source = "./bucket"

  name           = var.bucket_name
  kms_key_arn    = var.kms_key_arn
  versioning     = var.versioning
  results_prefix = var.results_prefix
}
