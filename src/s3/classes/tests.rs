use super::*;

fn asked(operation: &'static str) -> Asked {
    Asked::new(operation, "s3:PutObject", "s3://lake/raw/x")
}

fn refused(status: u16, code: Option<&str>, text: &str, region: Option<&str>) -> Cause {
    Cause::Refused {
        status,
        code: code.map(str::to_owned),
        text: text.to_owned(),
        region: region.map(str::to_owned),
    }
}

#[track_caller]
fn expect(operation: &'static str, cause: &Cause, class: StoreErrorClass, hint: &str) {
    let verdict = judge(&asked(operation), cause);
    assert_eq!(verdict.class, class, "{cause:?}");
    assert!(verdict.mend.contains(hint), "{hint:?} not in {:?}", verdict.mend);
}

#[test]
fn codes_decide() {
    for (status, code, class, hint) in [
        (503, "SlowDown", Retry, "tried again"),
        (500, "InternalError", Retry, "tried again"),
        (400, "RequestTimeout", Retry, "tried again"),
        (400, "ExpiredToken", Retry, "fresh credentials"),
        (400, "BadDigest", Retry, "did not arrive"),
        (404, "NoSuchUpload", Retry, "begun again"),
        (400, "KMS.ThrottlingException", Retry, "tried again"),
        (409, "ConditionalRequestConflict", Conflict, "same name"),
        (409, "OperationAborted", Conflict, "same name"),
        (404, "NoSuchBucket", Configuration, "s3.bucket"),
        (403, "AccessDenied", Configuration, "s3:PutObject on s3://lake/raw/x"),
        (403, "InvalidAccessKeyId", Configuration, "credentials"),
        (403, "SignatureDoesNotMatch", Configuration, "credentials"),
        (403, "RequestTimeTooSkewed", Configuration, "clock"),
        (400, "AuthorizationHeaderMalformed", Configuration, "s3.region"),
        (400, "KMS.DisabledException", Configuration, "s3.kms_key_id"),
        (400, "InvalidStorageClass", Configuration, "s3.storage_class"),
        (400, "EntityTooLarge", Configuration, "s3.multipart_threshold"),
        (507, "XMinioStorageFull", Full, "make room"),
        (403, "QuotaExceeded", Full, "make room"),
    ] {
        expect("PutObject", &refused(status, Some(code), "", None), class, hint);
    }
}

#[test]
fn a_denied_kms_key_is_told_from_a_denied_object() {
    let text = "not authorized to perform: kms:GenerateDataKey on this resource";
    expect(
        "PutObject",
        &refused(403, Some("AccessDenied"), text, None),
        Configuration,
        "kms_key_id",
    );
}

#[test]
fn a_redirect_names_the_region_of_the_bucket() {
    let cause = refused(301, Some("PermanentRedirect"), "", Some("eu-west-1"));
    expect("PutObject", &cause, Configuration, "s3.region = \"eu-west-1\"");
    let head = refused(301, None, "", Some("eu-west-1"));
    expect("HeadObject", &head, Configuration, "s3.region = \"eu-west-1\"");
}

#[test]
fn without_a_code_the_status_decides() {
    for (operation, status, class, hint) in [
        ("PutObject", 502, Retry, "tried again"),
        ("PutObject", 429, Retry, "tried again"),
        ("PutObject", 507, Full, "make room"),
        ("PutObject", 409, Conflict, "same name"),
        ("PutObject", 404, Configuration, "s3.endpoint"),
        ("PutObject", 501, Configuration, "no PutObject"),
        ("HeadObject", 403, Configuration, "s3:ListBucket"),
        ("HeadObject", 400, Retry, "s3.region"),
        ("HeadBucket", 404, Configuration, "s3.bucket"),
    ] {
        expect(operation, &refused(status, None, "", None), class, hint);
    }
}

#[test]
fn no_answer_is_tried_again_unless_it_cannot_help() {
    for (text, class, hint) in [
        ("connection refused", Retry, "s3.endpoint"),
        ("dns error: failed to lookup address", Retry, "s3.force_path_style"),
        ("invalid peer certificate: UnknownIssuer", Configuration, "SSL_CERT_FILE"),
        ("received corrupt message of type InvalidContentType", Configuration, "http://"),
    ] {
        expect("PutObject", &Cause::Unreachable(text.to_owned()), class, hint);
    }
    let limit = std::time::Duration::from_secs(30);
    expect("PutObject", &Cause::TimedOut(limit), Retry, "s3.request_timeout");
    expect("PutObject", &Cause::NoCredentials(String::new()), Retry, "give credentials");
}
