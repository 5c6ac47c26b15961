//! What the fuzz targets ask of this crate's inside, and nobody else: answers as they come over the wire.

use std::time::Duration;

use crate::wire::{self, Pages};
use crate::{CampaignStatus, Volume, client};
use reqwest::header::HeaderValue;

/// The state that an answer tells.
///
/// # Errors
/// Why it tells none.
pub fn state(body: &[u8]) -> Result<CampaignStatus, &'static str> {
    wire::decode_state(body)
}

/// What an answer of the token route comes to: the header that every other request carries, and how long it lives.
#[must_use]
pub fn token(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    client::bearer(body)
}

/// Pages of statistics, as one reading folds them.
#[derive(Default)]
pub struct Stats(Pages);

impl Stats {
    /// The token of the page to ask for next.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        self.0.next()
    }

    /// Takes one page in: the volume when it was the last one.
    ///
    /// # Errors
    /// Why the reading has failed.
    pub fn add(&mut self, body: &[u8]) -> Result<Option<Volume>, &'static str> {
        self.0.add(body)
    }
}
