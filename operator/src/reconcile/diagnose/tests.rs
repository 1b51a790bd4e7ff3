use super::*;

fn pod(yaml: &str) -> Pod {
    let head = "metadata: {name: shop-api-1, labels: {app.kubernetes.io/component: api}}\n";
    serde_yaml::from_str(&format!("{head}status: {yaml}")).unwrap()
}

fn of_pod(yaml: &str) -> Option<Cause> {
    let details = Details {
        pods: vec![pod(yaml)],
        ..Details::default()
    };
    diagnose(Component::Api, &details)
}

fn container(state: &str) -> String {
    format!(
        "{{containerStatuses: [{{name: api, image: 'x/api:1', imageID: '', ready: false, restartCount: 1, {state}}}]}}"
    )
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_with_what_the_kubelet_says() {
    let waiting = |reason: &str, message: &str| {
        of_pod(&container(&format!(
            "state: {{waiting: {{reason: {reason}, message: '{message}'}}}}"
        )))
        .unwrap()
    };
    let said = "failed to resolve reference \"x/api:1\": x/api:1: not found";
    let first = waiting("ErrImagePull", said);
    let again = format!("Back-off pulling image \"x/api:1\": ErrImagePull: {said}");
    let later = waiting("ImagePullBackOff", &again);
    assert_eq!(first, later, "one problem is one message");
    assert_eq!(first.reason, "ImagePullFailed");
    assert!(first.stalled);
    assert_eq!(
        first.message,
        format!(
            "image x/api:1 cannot be pulled (pod shop-api-1, container api): {said}: correct spec.api.image, or make the image available to the nodes"
        )
    );
    let silent = waiting("ImagePullBackOff", "Back-off pulling image \"x/api:1\"");
    assert!(
        silent.message.contains("container api): correct spec"),
        "{}",
        silent.message
    );
    let never = waiting("ErrImageNeverPull", "the pull policy is Never");
    assert!(
        never.message.contains("the pull policy is Never"),
        "{}",
        never.message
    );
}

#[test]
fn a_program_that_keeps_ending_says_its_last_words() {
    for (ended, words) in [
        (
            "exitCode: 3, reason: Error, message: 'line one\n\n line two'",
            "exit code 3 (Error): line one line two",
        ),
        ("exitCode: 0, reason: Completed", "exit code 0 (Completed)"),
        ("exitCode: 2", "exit code 2"),
        (
            "exitCode: 137, reason: OOMKilled",
            "exit code 137 (OOMKilled): it needs more memory than its limit",
        ),
    ] {
        let cause = of_pod(&container(&format!(
            "state: {{waiting: {{reason: CrashLoopBackOff, message: wait}}}}, lastState: {{terminated: {{{ended}}}}}"
        )))
        .unwrap();
        assert_eq!(cause.reason, "ContainerCrashing");
        assert_eq!(
            cause.message,
            format!("container api of pod shop-api-1 keeps ending: {words}")
        );
        assert!(!cause.stalled, "the database may come back");
    }
}

#[test]
fn a_pod_that_fits_nowhere() {
    let cause = of_pod(
        "{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/1 nodes}]}",
    )
    .unwrap();
    assert_eq!(cause.reason, "Unschedulable");
}

#[test]
fn a_pod_that_just_starts_is_no_cause() {
    assert_eq!(
        of_pod(&container("state: {waiting: {reason: PodInitializing}}")),
        None
    );
    assert_eq!(of_pod(&container("state: {running: {}}")), None);
    assert_eq!(of_pod("{}"), None);
}

#[test]
fn another_component_s_pod_is_not_blamed() {
    let details = Details {
        pods: vec![pod(&container("state: {waiting: {reason: ErrImagePull}}"))],
        ..Details::default()
    };
    assert_eq!(diagnose(Component::Nginx, &details), None);
}

fn of_claim(class: &str, said: &str) -> Option<Cause> {
    let claim = format!(
        "metadata: {{name: data-shop-postgres-0, uid: u}}\nspec: {class}\nstatus: {{phase: Pending}}"
    );
    let event = format!(
        "metadata: {{}}\ninvolvedObject: {{uid: u}}\nreason: ProvisioningFailed\nmessage: '{said}'"
    );
    let details = Details {
        claims: vec![serde_yaml::from_str(&claim).unwrap()],
        events: vec![serde_yaml::from_str(&event).unwrap()],
        ..Details::default()
    };
    diagnose(Component::Postgres, &details)
}

#[test]
fn a_volume_that_nobody_makes() {
    let named = "{storageClassName: fast}";
    let cause = of_claim(named, "storageclass \"fast\" not found").unwrap();
    assert_eq!(cause.reason, "StorageClassNotFound");
    assert!(
        cause.message.contains("create the StorageClass fast"),
        "{}",
        cause.message
    );
    assert_eq!(of_claim(named, "no space").unwrap().reason, "VolumePending");
    let none = of_claim("{}", "no storage class is set").unwrap();
    assert!(none.message.contains("default"), "{}", none.message);
}

#[test]
fn long_words_keep_their_end() {
    let short = shorten(&format!("{}the error", "x ".repeat(1_000)));
    assert!(short.starts_with('…') && short.ends_with("the error"));
    assert!(short.chars().count() <= 402);
}
