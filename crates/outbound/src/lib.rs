//! Requests that leave the process: where they may go, and one exchange, bounded in time and size.
//!
//! The clients of CXone and of the webhook sinks share what must not differ between them: no redirects, no proxy but the one
//! that is given, no answer that is larger or slower than it may be, and one reading of `Retry-After`.

mod endpoint;
mod exchange;
pub mod retry_after;

pub use endpoint::{AllowEntry, AllowList, Endpoint, EndpointError};
pub use exchange::{Answer, Body, ClientError, Failure, Head, Manner, client, exchange};
