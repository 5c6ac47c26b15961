//! Signatures of the scheme's version 1: HMAC-SHA256.

use std::fmt;
use std::ops::RangeInclusive;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// How every signing secret of the scheme begins. Without it a password could pass for base64.
const PREFIX: &str = "whsec_";
/// How many bytes of key the scheme admits.
const KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// The key that sender and receiver share.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// Why a text is no signing key. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` and 24 to 64 bytes in base64")]
pub struct BadKey;

impl SigningKey {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`BadKey`] where it is anything else.
    pub fn parse(secret: &str) -> Result<Self, BadKey> {
        let encoded = secret.strip_prefix(PREFIX).ok_or(BadKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| BadKey)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(BadKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// What `webhook-signature` says of a message that is sent at that time.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{}.", at.as_second()).as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// Without the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_the_scheme_gives_as_an_example() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn id_time_and_body_are_all_signed_and_parts_of_a_second_are_not() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let signed = key.sign("a", at(1000), b"x");
        for other in
            [key.sign("b", at(1000), b"x"), key.sign("a", at(2000), b"x"), key.sign("a", at(1000), b"y")]
        {
            assert_ne!(signed, other);
        }
        assert_eq!(signed, key.sign("a", at(1999), b"x"));
    }

    #[test]
    fn a_secret_of_another_form_or_length_is_refused_and_never_repeated() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for good in [24, 32, 64] {
            assert!(SigningKey::parse(&of(good)).is_ok(), "{good} bytes");
        }
        let bare = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        for bad in [
            of(0),
            of(23),
            of(65),
            bare.clone(),
            format!("whsec_{bare}="),
            "whsec_hunter2!".into(),
            String::new(),
        ] {
            let error = SigningKey::parse(&bad).unwrap_err();
            assert_eq!(error, BadKey, "{bad}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert_eq!(format!("{:?}", SigningKey::parse(&of(24)).unwrap()), "SigningKey");
    }
}
