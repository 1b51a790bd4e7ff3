//! What a token says, and which of our tokens it is.

use serde_json::json;
use sqlx::PgPool;

use super::Case;
use crate::{
    signing::{TestKey, at, claims, file, header, hs256, unsigned, with},
    support::{SECRET, Server, Setup},
};

#[sqlx::test(migrations = false)]
async fn claims_are_required_typed_and_said_once(pool: PgPool) {
    let case = Case::new(pool).await;
    let good = case.claims();
    let mut table = Vec::new();
    for claim in [
        "iss",
        "aud",
        "exp",
        "sub",
        "sid",
        "iat",
        "jti",
        "client_id",
        "roles",
    ] {
        let claims = with(good.clone(), &json!({ claim: null }));
        table.push(("a claim is missing", case.active.token(&claims)));
        let text = good.to_string();
        let twice = text.replacen('{', &format!("{{\"{claim}\":{},", good[claim]), 1);
        let header = case.active.header().to_string();
        table.push((
            "a claim is there twice",
            case.active.token_of(&header, &twice),
        ));
    }
    for members in [
        json!({"iss": "http://evil.example"}),
        json!({"iss": "http://localhost:8001/"}),
        json!({"iss": ["http://localhost:8001"]}),
        json!({"aud": "other"}),
        json!({"aud": ["authstack"]}),
        json!({"aud": ["authstack", "other"]}),
        json!({"aud": ""}),
        json!({"exp": good["exp"].to_string()}),
        json!({"exp": 4_000_000_000.5}),
        json!({"exp": 1.0e300}),
        json!({"exp": u64::MAX}),
        json!({"exp": -1}),
        json!({"exp": 0}),
        json!({"exp": i64::MIN}),
        json!({"exp": true}),
        json!({"exp": [good["exp"]]}),
        json!({"iat": "now"}),
        json!({"nbf": good["exp"]}),
        json!({"nbf": i64::MAX}),
        json!({"nbf": "never"}),
        json!({"sub": "guybrush"}),
        json!({"sub": ""}),
        json!({"sid": uuid::Uuid::now_v7()}),
        json!({"sid": "' OR 1=1 --"}),
        json!({"sid": 1}),
        json!({"roles": "admin"}),
    ] {
        table.push((
            "a wrong claim",
            case.active.token(&with(good.clone(), &members)),
        ));
    }
    let header = case.active.header().to_string();
    for claims in ["", "null", "[]", "{}", "\"claims\"", "{\"exp\":1e999}"] {
        table.push(("no claims", case.active.token_of(&header, claims)));
    }
    case.refuse(table).await;
    let somebody = with(good.clone(), &json!({"sub": uuid::Uuid::nil()}));
    let answer = case.server.me(&case.active.token(&somebody)).await;
    answer.assert_problem(401, "invalid-token");
    // Only whoever has the key can say so, and the session ends all the same.
    let long = with(good, &json!({"exp": i64::MAX}));
    case.accept(vec![("the end of time", case.active.token(&long))])
        .await;
}

#[sqlx::test(migrations = false)]
async fn kinds_do_not_mix(pool: PgPool) {
    let case = Case::new(pool).await;
    let (access, refresh) = (&case.pair.access, &case.pair.refresh);
    let refresh_claims = claims(refresh);
    let as_access = case.active.token(&refresh_claims);
    let rt = with(case.active.header(), &json!({"typ": "rt+jwt"}));
    let both = with(case.claims(), &refresh_claims);
    let access_with_all = case.active.token_with(&rt, &both);
    for token in [refresh, &as_access, &access_with_all] {
        let answer = case.server.me(token).await;
        answer.assert_problem(401, "invalid-token");
    }
    let foreign = with(case.foreign.header(), &json!({"typ": "rt+jwt"}));
    let past = with(case.past.header(), &json!({"typ": "rt+jwt"}));
    let none = with(rt.clone(), &json!({"alg": "none"}));
    let hs = with(rt.clone(), &json!({"alg": "HS256"}));
    for (what, token) in [
        ("access as refresh", access.clone()),
        (
            "access claims as refresh",
            case.active.token_with(&rt, &case.claims()),
        ),
        (
            "refresh claims of typ at+jwt",
            case.active.token(&refresh_claims),
        ),
        (
            "of a foreign key",
            case.foreign.token_with(&foreign, &refresh_claims),
        ),
        (
            "of a key past its retirement",
            case.past.token_with(&past, &refresh_claims),
        ),
        (
            "under the active kid",
            case.foreign.token_with(&rt, &refresh_claims),
        ),
        (
            "none",
            format!(
                "{}.",
                unsigned(&none.to_string(), &refresh_claims.to_string())
            ),
        ),
        (
            "HS256 with the public key",
            hs256(&case.active.public_bytes(), &hs, &refresh_claims),
        ),
        ("huge", "x".repeat(60_000)),
        ("empty", String::new()),
    ] {
        let answer = case.server.refresh(&token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
    }
    assert_eq!(
        case.server.me(access).await.status,
        200,
        "nothing has ended"
    );
    // Signed by a key that verifies, its claims are what counts.
    let answer = case.server.refresh(&access_with_all).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[sqlx::test(migrations = false)]
async fn a_token_of_a_mebibyte_is_refused_at_once(pool: PgPool) {
    let case = Case::new(pool).await;
    let long = "x".repeat(1 << 20);
    let claims = with(case.claims(), &json!({"roles": [long]}));
    case.refuse(vec![
        ("a mebibyte of nothing", long.clone()),
        ("a mebibyte of dots", ".".repeat(1 << 20)),
        ("a mebibyte, signed", case.active.token(&claims)),
        ("a mebibyte of header", case.active.token_of(&long, "{}")),
        ("deep", case.active.token_of(&"[".repeat(4_000), "{}")),
    ])
    .await;
}

#[sqlx::test(migrations = false)]
async fn tokens_of_the_secret_are_accepted_until_their_time(pool: PgPool) {
    let until = at(100);
    let flag = format!("--hs256-accept-until={}", until.as_str().unwrap());
    let key = TestKey::ed25519("new", &json!({"state": "active"}));
    let setup = Setup {
        flags: vec![flag.leak()],
        key_file: Some(file(&[&key])),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    let pair = server.tokens("guybrush").await;
    assert_eq!(
        header(&pair.access)["kid"],
        "new",
        "the secret does not sign"
    );
    let long = with(claims(&pair.access), &json!({"exp": i64::MAX}));
    let hs = json!({"typ": "at+jwt", "alg": "HS256"});
    let old = hs256(SECRET.as_bytes(), &hs, &long);
    let named = hs256(
        SECRET.as_bytes(),
        &with(hs.clone(), &json!({"kid": "new"})),
        &long,
    );
    let rt = json!({"typ": "rt+jwt", "alg": "HS256"});
    let old_refresh = hs256(SECRET.as_bytes(), &rt, &claims(&pair.refresh));

    assert_eq!(server.me(&old).await.status, 200);
    server.me(&named).await.assert_problem(401, "invalid-token");
    let renewed = server.refresh(&old_refresh).await.pair();
    assert_eq!(header(&renewed.refresh)["alg"], "EdDSA");
    server.advance(90);
    assert_eq!(server.me(&old).await.status, 200);
    server.advance(12);
    server.me(&old).await.assert_problem(401, "invalid-token");
    server
        .refresh(&old_refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.me(&key.token(&long)).await.status, 200);
}
