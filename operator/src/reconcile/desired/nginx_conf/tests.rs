//! The file as text; what nginx makes of it is `operator/tests/nginx`'s matter.

use std::path::Path;

use super::*;

/// In place of the resolver that a cluster's pods have: a variable as the
/// upstream makes nginx ask again, so that it finds containers that were made
/// anew.
const COMPOSE_UPSTREAM: &str = "\
    # The engine's own name server. A variable as the upstream makes nginx ask
    # it again, so that it finds containers that were made anew.
    resolver 127.0.0.11 valid=5s;
    map \"\" $api {
        default api;
    }
";

const COMPOSE_HEAD: &str = "\
# nginx in front of the three API containers of compose.yaml. Made from the file
# that the operator writes, operator/src/reconcile/desired/nginx.conf, by
#   UPDATE_COMPOSE=1 cargo test -p authstack-operator --lib the_nginx_of_compose
";

#[test]
fn the_nginx_of_compose_is_the_operators() {
    let made = fill(&Site {
        head: COMPOSE_HEAD,
        public_url: "",
        trusted_proxies: &[],
        upstream: COMPOSE_UPSTREAM,
        pass: "http://$api:8001",
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/compose/nginx.conf");
    if std::env::var_os("UPDATE_COMPOSE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap();
    assert_eq!(there, made, "the head of the file says how it is made");
}

#[test]
fn every_place_is_filled() {
    let made = fill(&Site {
        head: "",
        public_url: "https://auth.example.com",
        trusted_proxies: &["10.0.0.0/8".to_owned()],
        upstream: UPSTREAM,
        pass: "https://api",
    });
    let left: Vec<_> = made
        .lines()
        .filter(|line| line.split('@').count() > 2)
        .collect();
    assert_eq!(left.len(), 5, "the API's name and address alone: {left:#?}");
}
