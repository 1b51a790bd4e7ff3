//! The committed definition is the one that the types make.

#[test]
fn authstacks_yaml_is_fresh() {
    let committed = include_str!("../authstacks.yaml");
    let generated = authstack_crds::crd_yaml().unwrap();
    similar_asserts::assert_eq!(
        committed,
        generated,
        "crds/authstacks.yaml is stale: `cargo run -p authstack-operator -- crd > crds/authstacks.yaml`"
    );
}
