//! nginx's configuration file, which parses from 1.22 on.
//!
//! The file stands beside this one as it is; here only the places are filled
//! that depend on the stack.

use std::fmt::Write as _;

use crate::reconcile::names::{API_PORT, NGINX_HEALTH_PORT, NGINX_PORT};
use crate::reconcile::validate::Stack;

const TEMPLATE: &str = include_str!("nginx.conf");

/// An error that nginx answers itself, as the API answers its own (RFC 9457).
struct Problem {
    /// What nginx calls it: one status or several.
    on: &'static str,
    /// The status that clients get.
    status: u16,
    /// The last segment of the problem's type URI.
    slug: &'static str,
    title: &'static str,
    detail: &'static str,
    /// Seconds after which to try again.
    retry_after: Option<u8>,
    /// Whether nginx may find it before it knows the request's URI. It enters
    /// no named location without one, but answers 500.
    early: bool,
}

const PROBLEMS: &[Problem] = &[
    Problem {
        on: "400 501 505",
        status: 400,
        slug: "bad-request",
        title: "The request cannot be understood",
        detail: "The request is not valid HTTP.",
        retry_after: None,
        early: true,
    },
    // Only what `early` problems are made of: everything else is the API's.
    Problem {
        on: "404",
        status: 404,
        slug: "not-found",
        title: "There is nothing here",
        detail: "No route has this path.",
        retry_after: None,
        early: false,
    },
    Problem {
        on: "405",
        status: 405,
        slug: "method-not-allowed",
        title: "This route does not take this method",
        detail: "This method is not served here.",
        retry_after: None,
        early: false,
    },
    Problem {
        on: "413",
        status: 413,
        slug: "too-large",
        title: "The body is too large",
        detail: "The body exceeds 64 KiB.",
        retry_after: None,
        early: false,
    },
    Problem {
        on: "414",
        status: 414,
        slug: "uri-too-long",
        title: "The address is too long",
        detail: "The request line exceeds 16 KiB.",
        retry_after: None,
        early: true,
    },
    Problem {
        on: "494",
        status: 431,
        slug: "headers-too-large",
        title: "The headers are too large",
        detail: "A header exceeds 16 KiB, or all of them 64 KiB.",
        retry_after: None,
        early: false,
    },
    Problem {
        on: "500",
        status: 500,
        slug: "internal",
        title: "The server made a mistake",
        detail: "The proxy could not handle the request.",
        retry_after: None,
        early: true,
    },
    Problem {
        on: "502 503",
        status: 503,
        slug: "no-server",
        title: "No server is available",
        detail: "No server can take the request now; try again soon.",
        retry_after: Some(2),
        early: false,
    },
    Problem {
        on: "504",
        status: 504,
        slug: "no-answer",
        title: "The server did not answer in time",
        detail: "No server answered within a minute.",
        retry_after: Some(2),
        early: false,
    },
];

/// The configuration of a stack's nginx.
pub(super) fn render(stack: &Stack) -> String {
    let mut geo = String::new();
    let mut real_ip = String::new();
    for network in &stack.nginx.trusted_proxies {
        let _ = writeln!(geo, "        {network} 1;");
        let _ = writeln!(real_ip, "    set_real_ip_from {network};");
    }
    let api = format!("{}:{API_PORT}", stack.names.host(&stack.names.api()));
    TEMPLATE
        .replace("@TRUSTED_GEO@", &geo)
        .replace("@TRUSTED_REAL_IP@", &real_ip)
        .replace("@API@", &api)
        .replace("@PORT@", &NGINX_PORT.to_string())
        .replace("@HEALTH_PORT@", &NGINX_HEALTH_PORT.to_string())
        .replace("@PROBLEMS@", &problems(&stack.public_url))
}

fn problems(public_url: &str) -> String {
    let mut text = String::new();
    for problem in PROBLEMS {
        let Problem {
            on,
            status,
            slug,
            title,
            detail,
            retry_after,
            early,
        } = problem;
        let (page, location) = if *early {
            let path = format!("/.problems/{slug}");
            (path.clone(), format!("= {path}"))
        } else {
            (format!("@{slug}"), format!("@{slug}"))
        };
        let retry = retry_after
            .map(|seconds| format!("            add_header Retry-After {seconds} always;\n"))
            .unwrap_or_default();
        let _ = write!(
            text,
            r#"        error_page {on} ={status} {page};
        location {location} {{
            internal;
            default_type application/problem+json;
            add_header Cache-Control no-store always;
            add_header X-Content-Type-Options nosniff always;
            add_header Referrer-Policy no-referrer always;
{retry}            return {status} '{{"type":"{public_url}/problems/{slug}","title":"{title}","status":{status},"detail":"{detail}","instance":"$correlation_id"}}';
        }}
"#
        );
    }
    text
}
