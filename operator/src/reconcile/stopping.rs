//! Stops a stack from the outside in, so that no request that was let in finds
//! what it needs gone: nginx first, the API when no nginx is left, and the
//! database when nobody can be connected to it.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};

use super::children::{Child as _, Known, Rollout, State};
use super::desired::{Desired, Prepared};
use super::names::Names;
use crate::foreign::cloud_native_pg::Cluster;

/// The children of a stopped stack, of which those keep their pods that are
/// still needed by what is in front of them.
#[must_use]
pub fn outside_in(
    mut desired: Desired<Prepared>,
    names: &Names,
    known: &Known,
) -> Desired<Prepared> {
    let nginx = rollout(known, Deployment::KIND, names.nginx());
    let api = rollout(known, Deployment::KIND, names.api());
    let nginx_runs = nginx.is_some_and(has_pods);
    let api_runs = nginx_runs || api.is_some_and(has_pods);
    let database = rollout(known, StatefulSet::KIND, names.postgres());
    if let (true, Some(now), Some(spec)) = (nginx_runs, api, &mut desired.api.deployment.spec) {
        spec.replicas = Some(now.wanted);
    }
    let stateful_set = desired.postgres.as_mut().map(|part| &mut part.stateful_set);
    let spec = stateful_set.and_then(|set| set.spec.as_mut());
    if let (true, Some(now), Some(spec)) = (api_runs, database, spec) {
        spec.replicas = Some(now.wanted);
    }
    let cluster = known.get(&(Cluster::KIND, names.postgres()));
    let cluster_runs = cluster.is_some_and(|live| match &live.state {
        State::Cluster(cluster) => cluster.wanted > 0,
        _ => false,
    });
    if let (true, true, Some(part)) = (api_runs, cluster_runs, &mut desired.cluster) {
        part.cluster.metadata.annotations = None;
    }
    desired
}

fn rollout<'a>(known: &'a Known, kind: &'static str, name: String) -> Option<&'a Rollout> {
    match &known.get(&(kind, name))?.state {
        State::Rollout(rollout) => Some(rollout),
        _ => None,
    }
}

/// Whether there are pods, or may be: numbers of an older generation say
/// nothing of those that the newest one has made.
fn has_pods(rollout: &Rollout) -> bool {
    rollout.wanted > 0 || rollout.existing > 0 || rollout.stopping > 0 || !rollout.current
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::args::Images;
    use crate::reconcile::children::Live;
    use crate::reconcile::dereference::Inputs;
    use crate::reconcile::{children, desired, validate};

    /// A part's pods: wanted, existing, being stopped.
    type Pods = (i32, i32, i32);

    fn live((wanted, existing, stopping): Pods) -> Arc<Live> {
        let mut live = Live::of_metadata(&ObjectMeta::default());
        live.state = State::Rollout(Rollout {
            current: true,
            wanted,
            existing,
            updated: existing,
            ready: existing,
            stopping,
            failure: None,
        });
        Arc::new(live)
    }

    /// How many pods the API and the database are to have.
    fn replicas(nginx: Option<Pods>, api: Option<Pods>, postgres: Option<Pods>) -> (i32, i32) {
        let manifest = "metadata: {name: shop, namespace: store}\nspec: {stopped: true}";
        let stack = serde_yaml::from_str(manifest).unwrap();
        let inputs = Inputs::placeholders();
        let stack = validate::validate(&stack, &inputs, &Images::default()).unwrap();
        let parts = [
            (Deployment::KIND, stack.names.nginx(), nginx),
            (Deployment::KIND, stack.names.api(), api),
            (StatefulSet::KIND, stack.names.postgres(), postgres),
        ];
        let known = parts
            .into_iter()
            .filter_map(|(kind, name, pods)| Some(((kind, name), live(pods?))))
            .collect();
        let built = desired::build(&stack, &inputs);
        let built = outside_in(built, &stack.names, &known);
        let replicas = |replicas: Option<i32>| replicas.unwrap();
        (
            replicas(built.api.deployment.spec.unwrap().replicas),
            replicas(built.postgres.unwrap().stateful_set.spec.unwrap().replicas),
        )
    }

    #[test]
    fn each_part_waits_for_what_is_in_front_of_it() {
        let (on, off) = (Some((2, 2, 0)), Some((0, 0, 0)));
        let one = Some((1, 1, 0));
        assert_eq!(replicas(on, Some((3, 3, 0)), one), (3, 1));
        assert_eq!(replicas(Some((0, 1, 0)), Some((3, 3, 0)), one), (3, 1));
        assert_eq!(replicas(Some((0, 0, 2)), Some((3, 3, 0)), one), (3, 1));
        assert_eq!(replicas(off, Some((3, 3, 0)), one), (0, 1));
        assert_eq!(replicas(off, Some((0, 0, 1)), one), (0, 1));
        assert_eq!(replicas(off, off, one), (0, 0));
        assert_eq!(replicas(off, off, off), (0, 0));
    }

    #[test]
    fn a_cluster_of_cloud_native_pg_hibernates_when_the_api_is_gone() {
        let manifest = "metadata: {name: shop, namespace: store}\nspec: {stopped: true, postgres: {cloudNativePG: {}}}";
        let stack = serde_yaml::from_str(manifest).unwrap();
        let inputs = Inputs::placeholders();
        let stack = validate::validate(&stack, &inputs, &Images::default()).unwrap();
        let hibernates = |api: Pods, instances| {
            let mut cluster = Live::of_metadata(&ObjectMeta::default());
            cluster.state = State::Cluster(children::Cluster {
                wanted: instances,
                ..children::Cluster::default()
            });
            let known = Known::from([
                ((Deployment::KIND, stack.names.api()), live(api)),
                ((Cluster::KIND, stack.names.postgres()), Arc::new(cluster)),
            ]);
            let built = desired::build(&stack, &inputs);
            let built = outside_in(built, &stack.names, &known).cluster.unwrap();
            built.cluster.metadata.annotations.is_some()
        };
        assert!(!hibernates((3, 3, 0), 3));
        assert!(!hibernates((0, 0, 1), 3));
        assert!(hibernates((0, 0, 0), 3));
        assert!(hibernates((3, 3, 0), 0), "it does already");
    }

    #[test]
    fn a_stack_that_never_ran_starts_nothing() {
        assert_eq!(replicas(None, None, None), (0, 0));
        assert_eq!(replicas(Some((2, 0, 0)), None, None), (0, 0));
    }
}
