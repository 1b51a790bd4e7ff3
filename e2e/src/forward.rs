//! The way to a Service: its address, where this machine has a route to it, as
//! the testbed's host has; else a port-forward to one of its pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

/// Where nginx's pods listen.
const NGINX_PORT: u16 = 8080;

/// The base URL of a stack's nginx.
pub(crate) async fn address(client: &Client, namespace: &str, stack: &str) -> String {
    if has_route(client).await {
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services.get(&format!("{stack}-nginx")).await.unwrap();
        let address = service.spec.and_then(|spec| spec.cluster_ip).unwrap();
        return format!("http://{address}:80");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    tokio::spawn(serve(listener, pods, stack.to_owned()));
    format!("http://127.0.0.1:{port}")
}

/// Whether this machine reaches Services' addresses, by the one Service that
/// every cluster has. `AUTHSTACK_E2E_FORWARD=1` says no.
async fn has_route(client: &Client) -> bool {
    static ROUTE: OnceCell<bool> = OnceCell::const_new();
    let look = async || {
        if std::env::var_os("AUTHSTACK_E2E_FORWARD").is_some() {
            return false;
        }
        let services: Api<Service> = Api::namespaced(client.clone(), "default");
        let service = services.get("kubernetes").await.unwrap();
        let address = service.spec.and_then(|spec| spec.cluster_ip).unwrap();
        let connecting = TcpStream::connect((address, 443));
        let connected = tokio::time::timeout(Duration::from_secs(2), connecting).await;
        matches!(connected, Ok(Ok(_)))
    };
    *ROUTE.get_or_init(look).await
}

/// Forwards every connection to a pod of nginx that is ready, until the test's
/// runtime ends.
async fn serve(listener: TcpListener, pods: Api<Pod>, stack: String) {
    while let Ok((mut connection, _)) = listener.accept().await {
        let (pods, stack) = (pods.clone(), stack.clone());
        tokio::spawn(async move {
            let labels =
                format!("app.kubernetes.io/instance={stack},app.kubernetes.io/component=nginx");
            let found = pods.list(&ListParams::default().labels(&labels)).await;
            let Some(pod) = found.into_iter().flatten().find(is_ready) else {
                return;
            };
            let Ok(mut forwarder) = pods.portforward(&pod.name_any(), &[NGINX_PORT]).await else {
                return;
            };
            if let Some(mut stream) = forwarder.take_stream(NGINX_PORT) {
                let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
            }
        });
    }
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|is| is.type_ == "Ready" && is.status == "True")
}
