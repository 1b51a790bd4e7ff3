use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::*;

fn names() -> Names {
    Names {
        stack: "shop".to_owned(),
        namespace: "store".to_owned(),
    }
}

/// 2026-11-20.
fn now() -> Timestamp {
    Timestamp::from_second(1_795_132_800).unwrap()
}

fn after(days: i32) -> Timestamp {
    now() + DAY * days
}

fn stack(spec: &str) -> AuthStack {
    let manifest = format!("metadata: {{name: shop, namespace: store}}\nspec: {spec}");
    serde_yaml::from_str(&manifest).unwrap()
}

fn wanted_of(spec: &str) -> AllWanted {
    wanted(&stack(spec), &names())
}

struct Signer {
    pair: Pair,
    certificate: Certificate,
}

impl Signer {
    fn new(names: &Names, now: Timestamp) -> Self {
        let pair = issue::authority(names, now).unwrap();
        let certificate = Certificate::of_pair(&pair).unwrap();
        Self { pair, certificate }
    }

    fn leaf(&self, wanted: &Wanted, now: Timestamp) -> Held {
        let end = self.certificate.not_after;
        Held {
            pair: issue::leaf(wanted, &names(), &self.pair, end, now).unwrap(),
            trust: trust_both(&self.pair, None),
        }
    }

    fn decide(&self, found: Option<Held>, wanted: &Wanted, now: Timestamp) -> Result<Terms, Why> {
        match decide(found, wanted, (&self.pair, &self.certificate), now) {
            Decision::Keep(_, terms) => Ok(terms),
            Decision::Make(why) => Err(why),
        }
    }
}

#[test]
fn every_server_has_the_names_that_clients_use() {
    let all = wanted_of("{}");
    let postgres = all.postgres.unwrap();
    let of = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|&n| n.into()).collect() };
    assert_eq!(
        postgres.names,
        of(&[
            "shop-postgres",
            "shop-postgres.store",
            "shop-postgres.store.svc",
            "shop-postgres-headless",
            "shop-postgres-headless.store",
            "shop-postgres-headless.store.svc",
        ])
    );
    assert_eq!(
        all.api.names,
        of(&["shop-api", "shop-api.store", "shop-api.store.svc"])
    );
    assert_eq!(all.ingress, None);

    let external = "{postgres: {external: {urlSecretRef: {name: db, key: url}}}}";
    assert_eq!(wanted_of(external).postgres, None);
    let ingress = "{host: a.example.com, tls: {selfSigned: true}}";
    let own = wanted_of(&format!("{{ingress: {ingress}}}"))
        .ingress
        .unwrap();
    assert_eq!(own.names, of(&["a.example.com"]));
    let off = "{ingress: {enabled: false, host: a.example.com, tls: {selfSigned: true}}}";
    assert_eq!(wanted_of(off).ingress, None);
    let theirs = "{ingress: {host: a.example.com, tls: {secretName: mine}}}";
    assert_eq!(wanted_of(theirs).ingress, None);
}

/// Verified as a client does, by a library that did not make them.
#[test]
fn what_is_made_verifies_for_every_name_and_no_other() {
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};

    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let at = |time: Timestamp| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            time.as_second().try_into().unwrap(),
        ))
    };
    let signer = Signer::new(&names(), now());
    let other = Signer::new(&names(), now());
    let verifier = |authority: &Pair| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&authority.certificate)).unwrap();
        let roots = std::sync::Arc::new(roots);
        WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .unwrap()
    };
    let all = wanted_of("{ingress: {host: a.example.com, tls: {selfSigned: true}}}");
    for wanted in [all.postgres.unwrap(), all.api, all.ingress.unwrap()] {
        let leaf = der(&signer.leaf(&wanted, now()).pair.certificate);
        let verify = |authority: &Pair, name: &str, time| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            verifier(authority).verify_server_cert(&leaf, &[], &name, &[], at(time))
        };
        for name in &wanted.names {
            // From an hour before, because clocks differ, to the last moment.
            for time in [now() - DAY / 25, now(), after(90)] {
                verify(&signer.pair, name, time).unwrap();
            }
            verify(&signer.pair, name, after(91)).unwrap_err();
            verify(&other.pair, name, now()).unwrap_err();
        }
        verify(&signer.pair, "b.example.com", now()).unwrap_err();
    }
    // The authority signs servers and no further authority, and is no server.
    let der = der(&signer.pair.certificate);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let constraints = parsed.basic_constraints().unwrap().unwrap().value;
    assert_eq!(
        (constraints.ca, constraints.path_len_constraint),
        (true, Some(0))
    );
    assert_eq!(signer.certificate.not_after, after(3_650));
}

#[test]
fn one_that_is_whole_stays_until_a_third_of_its_life_is_left() {
    let signer = Signer::new(&names(), now());
    let wanted = wanted_of("{}").api;
    let leaf = signer.leaf(&wanted, now());
    let terms = signer.decide(Some(leaf.clone()), &wanted, now()).unwrap();
    assert_eq!(terms.not_after, after(90));
    let due = terms.due.unwrap();
    assert!(due > after(55) && due <= after(60), "{due}");
    let second = SignedDuration::from_secs(1);
    assert!(
        signer
            .decide(Some(leaf.clone()), &wanted, due - second)
            .is_ok()
    );
    assert_eq!(
        signer.decide(Some(leaf.clone()), &wanted, due),
        Err(Why::Due)
    );
    assert_eq!(
        signer.decide(Some(leaf), &wanted, after(400)),
        Err(Why::Due)
    );
}

#[test]
fn stacks_that_were_made_together_are_not_renewed_together() {
    let signer = Signer::new(&names(), now());
    let wanted = wanted_of("{}").api;
    let due = || {
        let leaf = signer.leaf(&wanted, now());
        signer.decide(Some(leaf), &wanted, now()).unwrap().due
    };
    let dues: BTreeSet<_> = (0..50).map(|_| due()).collect();
    assert!(dues.len() > 30, "{}", dues.len());
}

#[test]
fn what_is_missing_broken_or_no_longer_right_is_made_again() {
    let signer = Signer::new(&names(), now());
    let wanted = wanted_of("{}").api;
    let good = signer.leaf(&wanted, now());
    let decide = |held: Option<Held>| signer.decide(held, &wanted, now()).map(|_| ());
    assert_eq!(decide(None), Err(Why::Missing));
    assert_eq!(decide(Some(good.clone())), Ok(()));

    let mut broken = good.clone();
    broken.pair.certificate = "nonsense".to_owned();
    assert_eq!(decide(Some(broken)), Err(Why::Unusable));
    let mut foreign_key = good.clone();
    foreign_key.pair.key = signer.leaf(&wanted, now()).pair.key;
    assert_eq!(decide(Some(foreign_key)), Err(Why::Unusable));
    let mut no_trust = good.clone();
    no_trust.trust = String::new();
    assert_eq!(decide(Some(no_trust)), Err(Why::Unusable));

    let all = wanted_of("{}").postgres.unwrap();
    assert_eq!(
        signer.decide(Some(good.clone()), &all, now()),
        Err(Why::OtherNames)
    );
    // The same names, another authority.
    let successor = Signer::new(&names(), now());
    let mut held = good;
    held.trust.clone_from(&successor.pair.certificate);
    assert_eq!(
        successor.decide(Some(held), &wanted, now()),
        Err(Why::OtherAuthority)
    );
}

#[test]
fn none_outlives_its_authority_and_none_is_renewed_for_nothing() {
    let signer = Signer::new(&names(), now());
    let wanted = wanted_of("{}").api;
    let late = after(3_640);
    let leaf = signer.leaf(&wanted, late);
    let terms = signer.decide(Some(leaf.clone()), &wanted, late).unwrap();
    assert_eq!((terms.not_after, terms.due), (after(3_650), None));
    let terms = signer.decide(Some(leaf), &wanted, after(3_649)).unwrap();
    assert_eq!(terms.due, None);
    assert!(is_ending(after(3_650), late) && !is_ending(after(3_650), now()));
}

#[test]
fn during_a_change_of_authority_clients_trust_both() {
    let (old, new) = (Signer::new(&names(), now()), Signer::new(&names(), now()));
    let both = trust_both(&new.pair, Some(&old.pair.certificate));
    assert!(both.starts_with(&new.pair.certificate));
    assert!(both.contains(old.pair.certificate.trim()));
    assert_eq!(trust_both(&new.pair, Some(&both)), new.pair.certificate);
    assert_eq!(trust_both(&new.pair, Some("garbage")), new.pair.certificate);
}

#[test]
fn a_certificate_of_somebody_elses_is_judged() {
    let signer = Signer::new(&names(), now());
    let of = |name: &str, time| {
        let wanted = Wanted {
            secret: "mine".to_owned(),
            subject: "mine".to_owned(),
            names: [name.to_owned()].into(),
        };
        Exposed {
            secret: "mine".to_owned(),
            certificate: Certificate::parse(&signer.leaf(&wanted, time).pair.certificate),
            host: Some("Auth.example.com".to_owned()),
        }
    };
    let reason = |exposed: &Exposed| {
        let verdict = exposed.judge(now());
        verdict.map(|verdict| (verdict.reason, verdict.is_refused))
    };
    assert_eq!(reason(&of("auth.example.com", now())), None);
    assert_eq!(reason(&of("*.example.com", now())), None);
    for other in [
        "*.com",
        "example.com",
        "*.auth.example.com",
        "b.example.com",
    ] {
        let reason = reason(&of(other, now()));
        assert_eq!(reason, Some(("CertificateHostMismatch", true)), "{other}");
    }
    let name = "auth.example.com";
    assert_eq!(
        reason(&of(name, after(-80))),
        Some(("CertificateExpiring", false))
    );
    assert_eq!(
        reason(&of(name, after(-90))),
        Some(("CertificateExpired", true))
    );
    assert_eq!(
        reason(&of(name, after(5))),
        Some(("CertificateNotYetValid", true))
    );
    let unreadable = Exposed {
        certificate: Certificate::parse("certificate"),
        ..of(name, now())
    };
    assert_eq!(reason(&unreadable), Some(("CertificateInvalid", true)));

    // It is looked at again when something else will be true.
    assert_eq!(of(name, now()).due(now()), Some(after(76)));
    assert_eq!(of(name, after(-80)).due(now()), Some(after(10)));
    assert_eq!(of(name, after(-90)).due(now()), None);
}

#[test]
fn keys_are_not_printed() {
    let pair = issue::authority(&names(), now()).unwrap();
    assert!(pair.key.expose_secret().contains("PRIVATE KEY"));
    assert!(!format!("{:?}", pair.key).contains("PRIVATE"));
    assert!(!pair.certificate.contains("PRIVATE"));
}
