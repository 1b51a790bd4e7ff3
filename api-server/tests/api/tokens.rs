//! The token confusion matrix: what is taken for a token of this server, and
//! above all what is not.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    signing::{TestKey, at, claims, encode, file, header, hs256, unsigned, with},
    support::{Pair, SECRET, Server, Setup},
};

mod kinds;

/// A server with keys of every kind and state, and somebody logged in.
struct Case {
    server: Server,
    pair: Pair,
    active: TestKey,
    next: TestKey,
    retired: TestKey,
    past: TestKey,
    es256: TestKey,
    rs256: TestKey,
    /// In no file.
    foreign: TestKey,
}

impl Case {
    async fn new(pool: PgPool) -> Self {
        let active = TestKey::ed25519("active", &json!({"state": "active"}));
        let next = TestKey::ed25519("next", &json!({"state": "next"}));
        let members = json!({"state": "retired", "retires_at": at(3_600)});
        let retired = TestKey::ed25519("retired", &members);
        let members = json!({"state": "retired", "retires_at": at(-1)});
        let past = TestKey::ed25519("past", &members);
        let es256 = TestKey::es256("es256", &json!({"state": "active"}));
        let rs256 = TestKey::rs256("rs256", &json!({"state": "active"}));
        let foreign = TestKey::ed25519("foreign", &json!({"state": "active"}));
        let key_file = file(&[&active, &next, &retired, &past, &es256, &rs256]);
        let setup = Setup {
            key_file: Some(key_file),
            ..Setup::default()
        };
        let server = Server::with(pool, setup).await;
        let pair = server.tokens("guybrush").await;
        Self {
            server,
            pair,
            active,
            next,
            retired,
            past,
            es256,
            rs256,
            foreign,
        }
    }

    /// That none of these is an access token, wherever one may stand, and that
    /// presenting it ends nothing.
    async fn refuse(&self, table: Vec<(&str, String)>) {
        for (what, token) in table {
            let started = Instant::now();
            let answer = self.server.me(&token).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text);
            answer.assert_problem(401, "invalid-token");
            let by_cookie = self.server.get("/auth/user/me");
            let by_cookie = by_cookie.cookie("access_token", &token).send().await;
            assert_eq!(by_cookie.status, 401, "{what}, by cookie");
            let logout = self.server.post("/auth/logout").bearer(&token);
            assert_eq!(logout.send().await.status, 204, "{what}");
            assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        }
        let answer = self.server.me(&self.pair.access).await;
        assert_eq!(answer.status, 200, "the session lives on: {}", answer.text);
    }

    async fn accept(&self, table: Vec<(&str, String)>) {
        for (what, token) in table {
            let answer = self.server.me(&token).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
        }
    }

    /// The claims of a good access token.
    fn claims(&self) -> Value {
        claims(&self.pair.access)
    }
}

#[sqlx::test(migrations = false)]
async fn every_state_verifies_and_only_the_active_key_signs(pool: PgPool) {
    let case = Case::new(pool).await;
    for token in [&case.pair.access, &case.pair.refresh] {
        let header = header(token);
        assert_eq!(header["alg"], "EdDSA");
        assert_eq!(header["kid"], "active");
    }
    let claims = case.claims();
    case.accept(vec![
        ("as it was made", case.pair.access.clone()),
        ("of the active key", case.active.token(&claims)),
        ("of the next key", case.next.token(&claims)),
        ("of a retired key", case.retired.token(&claims)),
        ("ES256", case.es256.token(&claims)),
        ("RS256", case.rs256.token(&claims)),
        (
            "with headers that mean nothing",
            case.active.token_with(
                &with(
                    case.active.header(),
                    &json!({"jku": "https://evil.example", "x": 1}),
                ),
                &claims,
            ),
        ),
        (
            "that was already valid",
            case.active
                .token(&with(claims.clone(), &json!({"nbf": claims["iat"]}))),
        ),
    ])
    .await;
    case.refuse(vec![
        ("of a key past its retirement", case.past.token(&claims)),
        ("of a key in no file", case.foreign.token(&claims)),
    ])
    .await;
}

#[sqlx::test(migrations = false)]
async fn an_algorithm_belongs_to_its_key(pool: PgPool) {
    let case = Case::new(pool).await;
    let claims = case.claims();
    let (signed, signature) = case.pair.access.rsplit_once('.').unwrap();
    let public = case.active.public_bytes();
    let pkcs = [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ][..],
        &public,
    ]
    .concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&pkcs)
    );
    let mut table = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = with(case.active.header(), &json!({"alg": alg})).to_string();
        let bare = unsigned(&header, &claims.to_string());
        table.push(("none, without a signature", format!("{bare}.")));
        table.push(("none, with one", format!("{bare}.{signature}")));
    }
    table.push(("two parts", signed.to_owned()));
    table.push(("an empty signature", format!("{signed}.")));
    table.push(("five parts", format!("{signed}.{signature}.a.b")));
    table.push((
        "a signature of zeros",
        format!("{signed}.{}", encode([0; 64])),
    ));
    for key in [
        public.clone(),
        pkcs,
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        case.active.jwk["x"].as_str().unwrap().into(),
        STANDARD.encode(&public).into_bytes(),
        with(case.active.jwk.clone(), &json!({"d": null}))
            .to_string()
            .into_bytes(),
        Vec::new(),
    ] {
        for kid in [json!("active"), Value::Null, json!("")] {
            let header = json!({"typ": "at+jwt", "alg": "HS256", "kid": kid});
            table.push(("HS256 with the public key", hs256(&key, &header, &claims)));
        }
    }
    let hs = json!({"typ": "at+jwt", "alg": "HS256"});
    table.push((
        "SECRET_KEY, which is not accepted",
        hs256(SECRET.as_bytes(), &hs, &claims),
    ));
    let with_alg = |key: &TestKey, alg: &str| with(key.header(), &json!({ "alg": alg }));
    for (key, alg) in [
        (&case.active, "ES256"),
        (&case.active, "RS256"),
        (&case.active, "HS256"),
        (&case.active, "Ed25519"),
        (&case.active, "eddsa"),
        (&case.es256, "EdDSA"),
        (&case.es256, "ES384"),
        (&case.es256, "RS256"),
        (&case.rs256, "PS256"),
        (&case.rs256, "RS512"),
        (&case.rs256, "ES256"),
    ] {
        table.push((
            "another algorithm",
            key.token_with(&with_alg(key, alg), &claims),
        ));
    }
    let header = with_alg(&case.rs256, "PS256");
    table.push((
        "PS256 that is good PS256",
        case.rs256.pss_token(&header, &claims),
    ));
    let header = case.rs256.header();
    table.push((
        "PS256 that says RS256",
        case.rs256.pss_token(&header, &claims),
    ));
    let blank = unsigned(&case.es256.header().to_string(), &claims.to_string());
    table.push(("r and s of zero", format!("{blank}.{}", encode([0; 64]))));
    let own = unsigned(&case.es256.header().to_string(), &claims.to_string());
    table.push(("another key's signature", format!("{own}.{signature}")));
    case.refuse(table).await;
}

#[sqlx::test(migrations = false)]
async fn a_kid_finds_a_key_by_name_and_nothing_else(pool: PgPool) {
    let case = Case::new(pool).await;
    let claims = case.claims();
    let long = "x".repeat(5_000);
    let mut table = Vec::new();
    for kid in [
        json!("next"),
        json!("foreign"),
        json!("Active"),
        json!("active\u{0}"),
        json!(" active"),
        json!(""),
        json!("../../dev/null"),
        json!("/dev/null"),
        json!("file:///dev/null"),
        json!("https://evil.example/jwks.json"),
        json!("' OR '1'='1"),
        json!("x' UNION SELECT 'key'; --"),
        json!("$(id)"),
        json!(long),
        json!(0),
        json!(["active"]),
        json!({"$ne": ""}),
    ] {
        let header = with(case.active.header(), &json!({ "kid": kid }));
        table.push(("another kid", case.active.token_with(&header, &claims)));
        let header = with(case.foreign.header(), &json!({ "kid": kid }));
        table.push((
            "another kid and key",
            case.foreign.token_with(&header, &claims),
        ));
    }
    let without = with(case.active.header(), &json!({"kid": null}));
    table.push(("no kid", case.active.token_with(&without, &claims)));
    let taken = with(case.foreign.header(), &json!({"kid": "active"}));
    table.push((
        "the kid of another key",
        case.foreign.token_with(&taken, &claims),
    ));
    let public = with(case.foreign.jwk.clone(), &json!({"d": null}));
    for brought in [
        json!({"jwk": public}),
        json!({"jwk": public, "kid": null}),
        json!({"jwk": public, "kid": "active"}),
        json!({"jku": "http://127.0.0.1:1/jwks.json"}),
        json!({"jku": "http://127.0.0.1:1/jwks.json", "kid": "active"}),
        json!({"x5u": "http://127.0.0.1:1/cert.pem", "kid": "active"}),
        json!({"x5c": [STANDARD.encode(case.foreign.public_bytes())], "kid": "active"}),
    ] {
        let header = with(case.foreign.header(), &brought);
        table.push((
            "a key that it brings",
            case.foreign.token_with(&header, &claims),
        ));
    }
    case.refuse(table).await;
}

#[sqlx::test(migrations = false)]
async fn a_header_says_each_thing_once_and_asks_for_nothing(pool: PgPool) {
    let case = Case::new(pool).await;
    let claims = case.claims();
    let mut table = Vec::new();
    for typ in [
        json!("JWT"),
        json!("rt+jwt"),
        json!("AT+JWT"),
        json!("application/at+jwt"),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
    ] {
        let header = with(case.active.header(), &json!({ "typ": typ }));
        table.push(("another typ", case.active.token_with(&header, &claims)));
    }
    for crit in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
    ] {
        let header = with(case.active.header(), &crit);
        table.push(("crit", case.active.token_with(&header, &claims)));
    }
    for header in [
        r#"{"typ":"at+jwt","alg":"none","alg":"EdDSA","kid":"active"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","alg":"EdDSA","kid":"active"}"#,
        r#"{"typ":"rt+jwt","typ":"at+jwt","alg":"EdDSA","kid":"active"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"next","kid":"active"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"active""#,
        r#"[{"typ":"at+jwt","alg":"EdDSA","kid":"active"}]"#,
        r#""at+jwt""#,
        "null",
        "",
        "\u{feff}{}",
    ] {
        table.push((
            "a malformed header",
            case.active.token_of(header, &claims.to_string()),
        ));
    }
    case.refuse(table).await;
}
