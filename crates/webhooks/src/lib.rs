//! Webhook deliveries after the [Standard Webhooks](https://www.standardwebhooks.com) scheme: one message, one try.
//!
//! A message keeps its id and its bytes over all tries, so that who receives it twice can tell. When to try again, and for
//! how long, is the caller's business.

mod client;
mod signing;

pub use client::{Client, Failure, Message};
pub use signing::{BadKey, SigningKey};
