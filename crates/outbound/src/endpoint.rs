//! Where requests go, and where they may go.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The domain under which every organization has its own host.
const PLATFORM: &str = ".my.cxone.com";

/// Scheme, host, port and optional path of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    url: Url,
}

/// Why a text is no endpoint. Never repeats the text: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The organization is not one DNS label.
    #[error("an organization is one DNS label: letters, digits and inner hyphens, at most 63")]
    Organization,
    /// It does not parse, or has white space, control characters or backslashes.
    #[error("not a URL")]
    Malformed,
    /// Another scheme than https or http.
    #[error("the scheme is neither https nor http")]
    Scheme,
    /// A host that ends in a dot (a second spelling of the same host) or has odd characters, or port 0.
    #[error("the host or the port is not valid")]
    Authority,
    /// A user, a password, a query or a fragment.
    #[error("a URL with user, query or fragment is not accepted")]
    Extras,
    /// An allow-list entry with a path.
    #[error("an entry is a host with an optional port, without a path")]
    Path,
}

impl Endpoint {
    /// `https://ORG.my.cxone.com`.
    ///
    /// # Errors
    /// [`EndpointError::Organization`] when it is not one DNS label.
    pub fn for_organization(organization: &str) -> Result<Self, EndpointError> {
        let characters = organization.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let edges = organization.starts_with('-') || organization.ends_with('-');
        if !characters || edges || organization.is_empty() || organization.len() > 63 {
            return Err(EndpointError::Organization);
        }
        Self::parse(&format!("https://{organization}{PLATFORM}")).map_err(|_| EndpointError::Organization)
    }

    /// An https or http URL, with an optional base path.
    ///
    /// # Errors
    /// [`EndpointError`], when it is anything else, or has a user, a query or a fragment.
    pub fn parse(base_url: &str) -> Result<Self, EndpointError> {
        // The URL standard drops or repairs these silently; what is compared should be what was written.
        if base_url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(EndpointError::Malformed);
        }
        let url = Url::parse(base_url).map_err(|_| EndpointError::Malformed)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(EndpointError::Scheme);
        }
        if base_url.contains('@') || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Extras);
        }
        if url.port() == Some(0) || !url.host_str().is_some_and(is_plain_host) {
            return Err(EndpointError::Authority);
        }
        Ok(Self { url })
    }

    /// The host in lower case; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// `host:port`, with the scheme's own port filled in: one spelling for each place.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    /// Whether requests, and with them credentials, go unencrypted.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.url.scheme() == "http"
    }

    fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// The URL as it was given, in its one spelling.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL below the base path, each segment percent-encoded.
    #[must_use]
    pub fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// Stricter than the URL standard, which lets `*` and the like pass.
fn is_plain_host(host: &str) -> bool {
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    host.starts_with('[') || plain && !host.ends_with('.')
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// One place that is allowed: `host[:port]` for https, `http://host[:port]` for plain http. Without a port it is the
/// scheme's own. The host is compared as a whole: no patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowEntry(Endpoint);

impl AllowEntry {
    /// Whether the endpoint has this scheme, host and port; its path does not matter.
    #[must_use]
    pub fn permits(&self, endpoint: &Endpoint) -> bool {
        self.0.is_plaintext() == endpoint.is_plaintext() && self.0.authority() == endpoint.authority()
    }
}

impl FromStr for AllowEntry {
    type Err = EndpointError;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        let endpoint = match entry.contains("://") {
            true => Endpoint::parse(entry)?,
            false => Endpoint::parse(&format!("https://{entry}"))?,
        };
        // `host/` would parse to the same URL as `host`, hence the look at what was written.
        match entry.split("://").last().is_some_and(|rest| rest.contains('/')) {
            true => Err(EndpointError::Path),
            false => Ok(Self(endpoint)),
        }
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where requests may be sent: what the operator's flags say, and for credentials the platform's own hosts too.
///
/// Whoever may create a tenant must not be able to send someone's credentials, or a request, where he likes.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    entries: Vec<AllowEntry>,
    platform: bool,
}

impl AllowList {
    /// The built-in rule (https on `ORG.my.cxone.com`, port 443) and these entries.
    #[must_use]
    pub fn new(entries: Vec<AllowEntry>) -> Self {
        Self { entries, platform: true }
    }

    /// These entries and nothing else.
    #[must_use]
    pub fn only(entries: Vec<AllowEntry>) -> Self {
        Self { entries, platform: false }
    }

    /// Whether requests may be sent to this endpoint.
    #[must_use]
    pub fn permits(&self, endpoint: &Endpoint) -> bool {
        self.platform && is_platform(endpoint) || self.entries.iter().any(|entry| entry.permits(endpoint))
    }
}

/// One label before the domain, as a wildcard certificate has it.
fn is_platform(endpoint: &Endpoint) -> bool {
    let organization = endpoint.host().strip_suffix(PLATFORM);
    !endpoint.is_plaintext()
        && endpoint.port() == 443
        && organization.is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_is_one_dns_label() {
        assert_eq!(Endpoint::for_organization("acme").unwrap().to_string(), "https://acme.my.cxone.com");
        assert_eq!(Endpoint::for_organization("Acme-2").unwrap().authority(), "acme-2.my.cxone.com:443");
        for bad in ["", "-a", "a-", "a.b", "a/b", "a@b", "a:1", "ä", "a b", "evil.com#", &"a".repeat(64)] {
            assert_eq!(Endpoint::for_organization(bad), Err(EndpointError::Organization), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_has_one_spelling() {
        for (text, shown, authority, plain) in [
            ("https://Host.Example", "https://host.example", "host.example:443", false),
            ("https://host.example:443/", "https://host.example", "host.example:443", false),
            ("HTTPS://host.example:8443/base/", "https://host.example:8443/base", "host.example:8443", false),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1:9000", true),
            ("http://[::1]", "http://[::1]", "[::1]:80", true),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(endpoint.authority(), authority);
            assert_eq!(endpoint.is_plaintext(), plain);
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_base_url_is_refused() {
        use EndpointError::{Authority, Extras, Malformed, Scheme};
        for (text, error) in [
            ("", Malformed),
            ("acme", Malformed),
            ("https://", Malformed),
            (" https://a.example", Malformed),
            ("https://a.exa\tmple", Malformed),
            ("https:\\\\a.example", Malformed),
            ("ftp://a.example", Scheme),
            ("https://user@a.example", Extras),
            ("https://user:secret@a.example", Extras),
            ("https://@a.example", Extras),
            ("https://a.example?", Extras),
            ("https://a.example?x=1", Extras),
            ("https://a.example#", Extras),
            ("https://a.example.", Authority),
            ("https://a.example:0", Authority),
            ("https://*.example", Authority),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn path_segments_are_encoded_below_the_base_path() {
        let endpoint = Endpoint::parse("https://a.example/base/").unwrap();
        let url = endpoint.at(&["api", "a/../b?c#d%2e é"]);
        assert_eq!(url.as_str(), "https://a.example/base/api/a%2F..%2Fb%3Fc%23d%252e%20%C3%A9");
        assert_eq!(Endpoint::parse("https://a.example").unwrap().at(&["x"]).as_str(), "https://a.example/x");
    }

    #[test]
    fn only_the_platform_and_what_is_listed_is_allowed() {
        let entries =
            ["proxy.example", "other.example:8443", "http://127.0.0.1:9000", "http://plain.example"];
        let list = AllowList::new(entries.iter().map(|entry| entry.parse().unwrap()).collect());
        for (text, allowed) in [
            ("https://acme.my.cxone.com", true),
            ("https://acme.my.cxone.com/base", true),
            ("https://acme.my.cxone.com:8443", false),
            ("http://acme.my.cxone.com", false),
            ("http://acme.my.cxone.com:443", false),
            ("https://a.b.my.cxone.com", false),
            ("https://my.cxone.com", false),
            ("https://acme.my.cxone.com.evil.example", false),
            ("https://evilmy.cxone.com", false),
            ("https://proxy.example/base", true),
            ("https://proxy.example:8443", false),
            ("http://proxy.example", false),
            ("https://sub.proxy.example", false),
            ("https://other.example:8443", true),
            ("https://other.example", false),
            ("http://127.0.0.1:9000", true),
            ("https://127.0.0.1:9000", false),
            ("http://127.0.0.1", false),
            ("http://plain.example:80", true),
        ] {
            assert_eq!(list.permits(&Endpoint::parse(text).unwrap()), allowed, "{text}");
        }
    }

    #[test]
    fn no_spelling_of_another_host_passes_for_one_that_is_allowed() {
        let list = AllowList::new(vec!["169.254.0.1".parse().unwrap(), "[fd00::1]".parse().unwrap()]);
        let may = |text: &str| Endpoint::parse(text).is_ok_and(|endpoint| list.permits(&endpoint));
        for text in [
            // A host of its own before, behind or around the platform's name.
            "https://acme.my.cxone.com@evil.example",
            "https://evil.example/.my.cxone.com",
            "https://evil.example\\.my.cxone.com",
            "https://evil.example%2f.my.cxone.com",
            "https://evil.example%00.my.cxone.com",
            "https://evil.example:443#.my.cxone.com",
            "https://evil.example?.my.cxone.com",
            "https://[::1].my.cxone.com",
            "https://acme.my.cxone.com:443@evil.example",
            "https://acme.my.cxone.com.",
            "https://acme.my.cxone.com..",
            "https://.my.cxone.com",
            // Letters that look alike, and dots that are none.
            "https://acme.my.\u{441}xone.com",
            "https://evil.example\u{3002}my.cxone.com",
            "https://acme.my.cxone.com\u{3002}evil.example",
            "https://acme.my.cxone.com\u{200b}.evil.example",
            // Other places by their numbers, and other spellings of them.
            "https://169.254.169.254",
            "https://[::ffff:169.254.169.254]",
            "https://2852039166",
            "https://0xa9fea9fe",
            "https://0251.0376.0251.0376",
            "https://127.1",
            "https://[::1]",
            "https://[fd00::1%25eth0]",
            "https://localhost",
            // Other ports and schemes of what is allowed.
            "https://acme.my.cxone.com:80",
            "http://169.254.0.1:443",
            "https://169.254.0.1:8443",
            "//acme.my.cxone.com",
            "file:///etc/passwd",
        ] {
            assert!(!may(text), "{text}");
        }
        // What is the very same place, spelled otherwise, is asked under its one spelling.
        for (text, host) in [
            ("https://ACME.my.CXone.com", "acme.my.cxone.com"),
            ("https://\u{ff21}cme\u{3002}my.cxone.com", "acme.my.cxone.com"),
            ("https://0xa9fe0001", "169.254.0.1"),
            ("https://[FD00:0::0:1]:443", "[fd00::1]"),
        ] {
            assert!(may(text), "{text}");
            assert_eq!(Endpoint::parse(text).unwrap().at(&["x"]).host_str(), Some(host));
        }
    }

    #[test]
    fn a_list_of_entries_alone_does_not_allow_the_platform() {
        let list = AllowList::only(vec!["sink.example".parse().unwrap()]);
        assert!(list.permits(&Endpoint::parse("https://sink.example/hook").unwrap()));
        assert!(!list.permits(&Endpoint::parse("https://acme.my.cxone.com/hook").unwrap()));
        assert!(!AllowList::default().permits(&Endpoint::parse("https://sink.example/hook").unwrap()));
    }

    #[test]
    fn an_entry_is_a_host_and_a_port_and_nothing_else() {
        for bad in
            ["", "*.example", "a.example/", "a.example/path", "user@a.example", "ftp://a.example", "a:b"]
        {
            assert!(bad.parse::<AllowEntry>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let error = Endpoint::parse("https://user:hunter2@a.example").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
