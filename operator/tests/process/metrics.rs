//! The figures of a running operator move with its work, and are the documented
//! ones.

use std::time::Duration;

use authstack_crds::AuthStack;
use authstack_operator::metrics::{FAMILIES, Kind};
use kube::{
    Client,
    api::{Api, DeleteParams},
};

use super::operator::{Operator, apply_stack};
use super::support::{define, eventually, in_namespace};

const SOON: Duration = Duration::from_mins(1);
const STACKS: u8 = 20;

#[tokio::test]
async fn metrics_move_with_the_work() {
    in_namespace("metrics", |config, namespace| async move {
        define(&config).await;
        let operator = Operator::start(&namespace, "a", &[]);
        eventually("it leads", SOON, async || operator.leads()).await;
        let cpu = operator.value("process_cpu_seconds_total").unwrap();
        for number in 0..STACKS {
            apply_stack(&config, &namespace, &format!("shop-{number}"), "{}").await;
        }
        eventually("reconciles are in flight", SOON, async || {
            operator.value("authstack_reconciles_in_flight") > Some(0.0)
        })
        .await;
        eventually("stacks wait for theirs", SOON, async || {
            operator.value("authstack_reconcile_queue_depth") > Some(0.0)
        })
        .await;
        let not_ready = "authstack_managed_stacks{condition=\"Ready\",status=\"False\"}";
        eventually("every stack has a status", 6 * SOON, async || {
            operator.value(not_ready) == Some(f64::from(STACKS))
        })
        .await;
        operator.rests(Duration::from_secs(2)).await;
        eventually(
            "nothing is in flight, and nothing waits",
            SOON,
            async || {
                operator.value("authstack_reconciles_in_flight") == Some(0.0)
                    && operator.value("authstack_reconcile_queue_depth") == Some(0.0)
            },
        )
        .await;
        let written = |resource: &str, verb: &str| {
            let labels = [("resource", resource), ("verb", verb)];
            let labels = labels.map(|(name, value)| format!("{name}=\"{value}\""));
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            operator.sum("authstack_writes_total", &labels)
        };
        // One more for each create whose answer came too late.
        assert!(written("deployments", "create") >= f64::from(2 * STACKS));
        assert!(written("authstacks/status", "apply") >= f64::from(STACKS));
        assert!(written("leases", "create") + written("leases", "update") >= 1.0);
        assert!(
            operator.sum("authstack_reconciles_total", &["result=\"ok\""]) >= f64::from(STACKS)
        );
        assert!(operator.value("process_cpu_seconds_total").unwrap() > cpu);
        check_families(&operator);

        let client = Client::try_from(config).unwrap();
        let stacks = Api::<AuthStack>::namespaced(client, &namespace);
        stacks
            .delete("shop-0", &DeleteParams::background())
            .await
            .unwrap();
        eventually("one counts no longer", SOON, async || {
            operator.value(not_ready) == Some(f64::from(STACKS - 1))
        })
        .await;
    })
    .await;
}

/// Everything rendered is documented as it is, and the other way round.
fn check_families(operator: &Operator) {
    let (_, text) = operator.get("/metrics").unwrap();
    for family in FAMILIES {
        let (name, kind) = (family.name, family.kind.as_str());
        for line in [
            format!("# HELP {name} {}", family.help),
            format!("# TYPE {name} {kind}"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let is_of = |family: &&authstack_operator::metrics::Family| {
            let suffixes: &[&str] = match family.kind {
                Kind::Histogram => &["_bucket", "_sum", "_count"],
                Kind::Counter | Kind::Gauge => &[""],
            };
            let rest = name.strip_prefix(family.name);
            rest.is_some_and(|rest| suffixes.contains(&rest))
        };
        let family = FAMILIES.iter().find(is_of).expect(line);
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.split_once('=').unwrap().0);
        let labels: Vec<_> = labels.filter(|label| *label != "le").collect();
        assert_eq!(labels, family.labels, "{line}");
    }
}
