//! A storage class that is not there is named, and making it is enough.

use authstack_crds::ConditionType::DatabaseReady;
use authstack_e2e::{Site, small};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn a_missing_storage_class_is_named_and_can_be_made() {
    let site = Site::new("storage-class").await;
    // Classes belong to no namespace: the name is as unique as the site's.
    let name = site.namespace.clone();
    let storage = json!({"storage": {"storageClassName": name}});
    let spec = small(json!({"postgres": {"managed": storage}}));
    site.apply("shop", spec).await;
    let reason = ("False", "StorageClassNotFound");
    let missing = site.condition("shop", DatabaseReady, reason).await;
    assert!(missing.message.contains(&name), "{}", missing.message);

    let classes: Api<StorageClass> = Api::all(site.client.clone());
    let all = classes.list(&ListParams::default()).await.unwrap();
    let is_default = |class: &&StorageClass| {
        let mark = "storageclass.kubernetes.io/is-default-class";
        class.annotations().get(mark).is_some_and(|is| is == "true")
    };
    let default = all.items.iter().find(is_default);
    let mut class = default.expect("a default StorageClass").clone();
    class.metadata = kube::api::ObjectMeta {
        name: Some(name.clone()),
        ..kube::api::ObjectMeta::default()
    };
    let params = PostParams::default();
    classes.create(&params, &class).await.unwrap();
    // It must go again whatever happens, and is not needed once it was used.
    let healing = site.condition("shop", DatabaseReady, ("True", "Ready"));
    let healed = tokio::time::timeout(authstack_e2e::PATIENCE / 2, healing).await;
    let params = DeleteParams::default();
    classes.delete(&name, &params).await.unwrap();
    assert!(healed.is_ok(), "the class was made and nothing healed");
    site.serving("shop").await;
}
