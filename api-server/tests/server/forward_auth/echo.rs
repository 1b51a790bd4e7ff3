//! A service behind nginx.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, extract::Request};
use serde_json::{Map, json};

/// A service that answers with what it was sent, and counts.
pub(super) struct Echo {
    pub(super) port: u16,
    /// How many requests came.
    pub(super) requests: Arc<AtomicUsize>,
}

impl Echo {
    pub(super) async fn start() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let answer = async move |request: Request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1024).await.unwrap();
            let headers: Map<_, _> = parts
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        json!(String::from_utf8_lossy(value.as_bytes())),
                    )
                })
                .collect();
            Json(json!({
                "method": parts.method.as_str(), "headers": headers,
                "body": String::from_utf8_lossy(&body),
            }))
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer))
                .await
                .unwrap();
        });
        Self { port, requests }
    }
}
