//! Named points at which a debug build can be told to end itself, to prove that nothing is lost or doubled wherever a process
//! ends. Every write to the world goes through [`around`]. A release build has none of this.

mod points;

pub use points::{Deed, Moment};

/// Does a deed, with a point before and after it, and one while it is under way where that can be told apart.
pub async fn around<T>(deed: Deed, doing: impl Future<Output = T>) -> T {
    here(deed, Moment::Before);
    let done = match armed::at(deed, Moment::Under) {
        true => armed::while_under_way(doing).await,
        false => doing.await,
    };
    here(deed, Moment::After);
    done
}

/// Ends the process, if it was told to end here.
pub fn here(deed: Deed, moment: Moment) {
    if armed::at(deed, moment) {
        armed::end(deed, moment);
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::{Deed, Moment};

    /// The point, and the file that must be there for it to count.
    static ORDER: LazyLock<Option<(String, PathBuf)>> = LazyLock::new(|| {
        let point = std::env::var("DIALER_DEBUG_END_AT").ok()?;
        Some((point, std::env::var_os("DIALER_DEBUG_END_ONCE_EXISTS")?.into()))
    });

    /// Long enough for a request to arrive, and shorter than any answer that is held back.
    const UNDER_WAY: Duration = Duration::from_millis(500);

    pub fn at(deed: Deed, moment: Moment) -> bool {
        ORDER.as_ref().is_some_and(|(point, file)| *point == format!("{deed}.{moment}") && file.exists())
    }

    pub async fn while_under_way<T>(doing: impl Future<Output = T>) -> T {
        match tokio::time::timeout(UNDER_WAY, doing).await {
            Ok(done) => done,
            Err(_) => std::process::abort(),
        }
    }

    pub fn end(deed: Deed, moment: Moment) {
        eprintln!("ending at {deed}.{moment}, as told");
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    use super::{Deed, Moment};

    pub fn at(_: Deed, _: Moment) -> bool {
        false
    }

    pub async fn while_under_way<T>(doing: impl Future<Output = T>) -> T {
        doing.await
    }

    pub fn end(_: Deed, _: Moment) {}
}
