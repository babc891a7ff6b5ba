//! Signing in to Amazon MSK with IAM: a token of a quarter of an hour, signed with the
//! credentials of the AWS SDK's default chain, given to librdkafka as an OAUTHBEARER token
//! (<https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html>).
//!
//! `native` attaches it to every client; librdkafka asks on a thread of its own, before the
//! first connection and whenever four fifths of a token's life are over.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::time::Duration;

use aws_types::region::Region;
use rdkafka::bindings as c;
use rdkafka::config::NativeClientConfig;

use super::native;

/// How long the credentials may take; the chain asks metadata services over the network.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Brokers read who we are from the signature, but the protocol wants a name.
const PRINCIPAL: &std::ffi::CStr = c"kafka-s3-sink";

/// Where the tokens of one client come from; alive as long as the client.
pub(super) struct TokenSource {
    region: String,
}

impl TokenSource {
    /// Makes librdkafka ask for tokens, on a thread of its own once the client is made.
    pub(super) fn attach(conf: &NativeClientConfig, region: &str) -> Box<Self> {
        let source = Box::new(Self { region: region.to_owned() });
        // SAFETY: the configuration is alive; the source is boxed, so its address stays, and its
        // owner keeps it until the client is gone.
        unsafe {
            c::rd_kafka_conf_set_opaque(conf.ptr(), ptr::from_ref(&*source).cast_mut().cast());
            c::rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.ptr(), Some(refresh));
            c::rd_kafka_conf_enable_sasl_queue(conf.ptr(), 1);
        }
        source
    }

    /// A token and when it expires, in ms since the epoch.
    fn token(&self) -> Result<(String, i64), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let region = Region::new(self.region.clone());
        let token = aws_msk_iam_sasl_signer::generate_auth_token(region);
        match runtime.block_on(async { tokio::time::timeout(TIMEOUT, token).await }) {
            Ok(token) => token.map_err(|error| {
                format!("{}: see to the AWS credentials of this process", causes(&error))
            }),
            Err(_) => Err("the AWS credentials did not come in time".to_owned()),
        }
    }
}

/// An error with all that it rests on, for the outermost names no reason.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// librdkafka wants a token.
///
/// # Safety
/// The client is alive, and its opaque pointer is a `TokenSource`.
unsafe extern "C" fn refresh(rk: *mut c::rd_kafka_t, _: *const c_char, opaque: *mut c_void) {
    // SAFETY: as promised; `attach` set the pointer.
    let source = unsafe { &*opaque.cast::<TokenSource>() };
    let set = source.token().and_then(|(token, expires)| {
        let token = CString::new(token).map_err(|error| error.to_string())?;
        let mut text = [0 as c_char; 512];
        // SAFETY: all arguments outlive the call, which copies them.
        unsafe {
            let code = c::rd_kafka_oauthbearer_set_token(
                rk,
                token.as_ptr(),
                expires,
                PRINCIPAL.as_ptr(),
                ptr::null_mut(),
                0,
                text.as_mut_ptr(),
                text.len(),
            );
            native::check_code(code).map_err(|_| native::string(text.as_ptr()))
        }
    });
    if let Err(reason) = set {
        let reason = CString::new(format!("kafka.msk_iam_region: no token: {reason}"));
        // SAFETY: the client is alive, the text outlives the call.
        unsafe {
            c::rd_kafka_oauthbearer_set_token_failure(rk, reason.unwrap_or_default().as_ptr());
        }
    }
}
