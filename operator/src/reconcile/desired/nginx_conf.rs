//! nginx's configuration file, which parses from 1.22 on.
//!
//! The file stands beside this one as it is; here only the places are filled
//! that depend on the stack.

use std::fmt::Write as _;

use crate::reconcile::names::{API_PORT, NGINX_METRICS_PORT, NGINX_PORT, tls};
use crate::reconcile::validate::Stack;

/// A file that the pod's preStop hook makes: nginx is about to stop.
pub(super) const DRAINING: &str = "/tmp/draining";

/// Where the authority is that the API's certificate must be of.
pub(super) const TRUST: &str = "/run/secrets/api-ca";

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
    /// A header that belongs to it.
    header: Option<(&'static str, &'static str)>,
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
        header: None,
        early: true,
    },
    // Only what `early` problems are made of: everything else is the API's.
    Problem {
        on: "404",
        status: 404,
        slug: "not-found",
        title: "There is nothing here",
        detail: "No route has this path.",
        header: None,
        early: false,
    },
    Problem {
        on: "405",
        status: 405,
        slug: "method-not-allowed",
        title: "This route does not take this method",
        detail: "This method is not served here.",
        header: Some(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        early: false,
    },
    Problem {
        on: "413",
        status: 413,
        slug: "too-large",
        title: "The body is too large",
        detail: "The body exceeds 64 KiB.",
        header: None,
        early: false,
    },
    Problem {
        on: "414",
        status: 414,
        slug: "uri-too-long",
        title: "The address is too long",
        detail: "The request line exceeds 16 KiB.",
        header: None,
        early: true,
    },
    Problem {
        on: "429",
        status: 429,
        slug: "rate-limited",
        title: "Too many attempts",
        detail: "There are too many attempts from this address; try again soon.",
        header: Some(("Retry-After", "2")),
        early: false,
    },
    Problem {
        on: "494",
        status: 431,
        slug: "headers-too-large",
        title: "The headers are too large",
        detail: "A header exceeds 16 KiB, or all of them 64 KiB.",
        header: None,
        early: false,
    },
    Problem {
        on: "500",
        status: 500,
        slug: "internal",
        title: "The server made a mistake",
        detail: "The proxy could not handle the request.",
        header: None,
        early: true,
    },
    Problem {
        on: "502 503",
        status: 503,
        slug: "no-server",
        title: "No server is available",
        detail: "No server can take the request now; try again soon.",
        header: Some(("Retry-After", "2")),
        early: false,
    },
    Problem {
        on: "504",
        status: 504,
        slug: "no-answer",
        title: "The server did not answer in time",
        detail: "No server answered within a minute.",
        header: Some(("Retry-After", "2")),
        early: false,
    },
];

/// Where the API is, in a cluster.
const UPSTREAM: &str = "\
    # The Service balances connections over the pods that are ready. It stands
    # here three times, because a request is tried once at each server: a pod
    # that has just gone is followed by another.
    upstream api {
        server @API@ max_fails=0;
        server @API@ max_fails=0;
        server @API@ max_fails=0;
        keepalive 64;
        # Shorter than the API keeps an idle connection, or a request might
        # meet one that is just being closed.
        keepalive_timeout 15s;
        # So soon new pods get their share.
        keepalive_time 1m;
    }
    # By the stack's own authority, and for the Service's name, whichever pod
    # answers.
    proxy_ssl_trusted_certificate @TRUST@;
    proxy_ssl_verify on;
    proxy_ssl_name @NAME@;
    proxy_ssl_server_name on;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_session_reuse on;
";

/// What differs between one nginx and another.
struct Site<'a> {
    /// What the file is, as comments.
    head: &'a str,
    /// Where clients reach it, without a trailing slash.
    public_url: &'a str,
    /// Networks whose forwarded headers are believed.
    trusted_proxies: &'a [String],
    /// Directives of `http` that say where the API is.
    upstream: &'a str,
    /// What `proxy_pass` takes.
    pass: &'a str,
}

/// The configuration of a stack's nginx.
pub(super) fn render(stack: &Stack) -> String {
    let name = stack.names.host(&stack.names.api());
    let upstream = UPSTREAM
        .replace("@API@", &format!("{name}:{API_PORT}"))
        .replace("@NAME@", &name)
        .replace("@TRUST@", &format!("{TRUST}/{}", tls::TRUST));
    fill(&Site {
        head: "# Written by authstack-operator; changes are undone.\n",
        public_url: &stack.public_url,
        trusted_proxies: &stack.nginx.trusted_proxies,
        upstream: &upstream,
        pass: "https://api",
    })
}

fn fill(site: &Site<'_>) -> String {
    let mut geo = String::new();
    let mut real_ip = String::new();
    for network in site.trusted_proxies {
        let _ = writeln!(geo, "        {network} 1;");
        let _ = writeln!(real_ip, "    set_real_ip_from {network};");
    }
    TEMPLATE
        .replace("@HEAD@", site.head)
        .replace("@TRUSTED_GEO@", &geo)
        .replace("@TRUSTED_REAL_IP@", &real_ip)
        .replace("@UPSTREAM@", site.upstream)
        .replace("@PASS@", site.pass)
        .replace("@PORT@", &NGINX_PORT.to_string())
        .replace("@METRICS_PORT@", &NGINX_METRICS_PORT.to_string())
        .replace("@DRAINING@", DRAINING)
        .replace("@METRICS@", &metrics())
        .replace("@PROBLEMS@", &problems(site.public_url))
}

/// What nginx says of itself in Prometheus's text format: its own variables
/// (`ngx_http_stub_status_module`), which stand for numbers when it is asked.
fn metrics() -> String {
    let metrics = [
        ("nginx_up", "gauge", "Whether nginx answers.", "1"),
        (
            "nginx_connections_active",
            "gauge",
            "Connections of clients, idle ones included.",
            "$connections_active",
        ),
        (
            "nginx_connections_reading",
            "gauge",
            "Connections on which a request is being read.",
            "$connections_reading",
        ),
        (
            "nginx_connections_writing",
            "gauge",
            "Connections on which a request is being answered.",
            "$connections_writing",
        ),
        (
            "nginx_connections_waiting",
            "gauge",
            "Connections of clients that are idle.",
            "$connections_waiting",
        ),
        (
            "nginx_connections_opened_total",
            "counter",
            "Connections that were opened, by clients and to the API.",
            "$connection",
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in metrics {
        // The file's own escapes, which nginx reads.
        let _ = write!(
            text,
            "# HELP {name} {help}\\n# TYPE {name} {kind}\\n{name} {value}\\n"
        );
    }
    text
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
            header,
            early,
        } = problem;
        let (page, location) = if *early {
            let path = format!("/.problems/{slug}");
            (path.clone(), format!("= {path}"))
        } else {
            (format!("@{slug}"), format!("@{slug}"))
        };
        let header = header
            .map(|(name, value)| format!("            add_header {name} \"{value}\" always;\n"))
            .unwrap_or_default();
        let _ = write!(
            text,
            r#"        error_page {on} ={status} {page};
        location {location} {{
            internal;
            default_type application/problem+json;
            add_header X-Request-Id $correlation_id always;
            add_header Cache-Control no-store always;
            add_header Content-Security-Policy "default-src 'none'; frame-ancestors 'none'" always;
            add_header X-Content-Type-Options nosniff always;
            add_header Referrer-Policy no-referrer always;
{header}            return {status} '{{"type":"{public_url}/problems/{slug}","title":"{title}","status":{status},"detail":"{detail}","instance":"$correlation_id"}}';
        }}
"#
        );
    }
    text
}

#[cfg(test)]
mod tests;
