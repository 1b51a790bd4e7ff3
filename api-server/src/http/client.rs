//! Who is at the other end of a request.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};

use super::edge::RequestId;
use crate::app::{App, Origin};

/// A longer `User-Agent` is cut: it is for a person to recognise a device by.
const MAX_USER_AGENT_CHARS: usize = 256;

/// The client, as an argument of a handler.
pub(super) struct Client(pub(super) Origin);

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(header::USER_AGENT);
        let request_id = parts.extensions.get::<RequestId>();
        Ok(Self(Origin {
            address: address(&parts.headers, &parts.extensions, app.trusted_proxy_hops),
            user_agent: user_agent
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect()),
            request_id: request_id.map(|id| id.0.to_string()),
        }))
    }
}

/// The address that a request came from: the connection's, or, `hops` proxies
/// on, what the outermost of them saw.
pub(super) fn address(headers: &HeaderMap, extensions: &Extensions, hops: u8) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    forwarded(headers, hops).or_else(|| peer.map(|peer| peer.0.ip().to_canonical()))
}

/// The entry of `X-Forwarded-For` that is `hops` from the right. Entries
/// further left were written by whoever sent the request.
fn forwarded(headers: &HeaderMap, hops: u8) -> Option<IpAddr> {
    let from_the_right = usize::from(hops).checked_sub(1)?;
    let values = headers.get_all("x-forwarded-for");
    // By bytes: entries further left may be no text, and must not hide this one.
    let mut entries = Vec::new();
    for value in values {
        entries.extend(value.as_bytes().split(|byte| *byte == b','));
    }
    let entry = entries.iter().rev().nth(from_the_right)?;
    parse_address(str::from_utf8(entry).ok()?.trim())
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address: Option<IpAddr> = text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address
        .or_else(with_port)
        .or_else(in_brackets)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(values: &[&str], hops: u8) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 9], 40_000))));
        address(&headers, &extensions, hops).map(|address| address.to_string())
    }

    #[test]
    fn without_trusted_proxies_the_header_means_nothing() {
        assert_eq!(from(&["192.0.2.1"], 0).unwrap(), "10.0.0.9");
        assert_eq!(from(&[], 0).unwrap(), "10.0.0.9");
    }

    #[test]
    fn trusted_hops_are_counted_from_the_right() {
        let spoofed = ["203.0.113.66, 192.0.2.1, 198.51.100.7"];
        assert_eq!(from(&spoofed, 1).unwrap(), "198.51.100.7");
        assert_eq!(from(&spoofed, 2).unwrap(), "192.0.2.1");
        assert_eq!(
            from(&["203.0.113.66", "192.0.2.1,198.51.100.7"], 2).unwrap(),
            "192.0.2.1"
        );
        assert_eq!(
            from(&spoofed, 9).unwrap(),
            "10.0.0.9",
            "fewer entries than proxies"
        );
        assert_eq!(from(&["192.0.2.1, unknown"], 1).unwrap(), "10.0.0.9");
    }

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, expected) in [
            ("192.0.2.1:1234", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(from(&[text], 1).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,60}", hops in 0_u8..5) {
            prop_assert!(from(&[&value], hops).is_some());
        }
    }
}
