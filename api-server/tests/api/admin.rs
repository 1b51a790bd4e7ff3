//! `/admin`: who may, what it does, and what is left of it in the audit log.

use std::borrow::Borrow;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Call, Pair, Server};

mod access;
mod accounts;
mod audit;
mod last_admin;
mod lists;

/// Every route, with a body where it takes one.
fn every_route(id: &str) -> Vec<(Method, String, Option<Value>)> {
    let one = format!("/admin/users/{id}");
    vec![
        (Method::GET, "/admin/users".into(), None),
        (
            Method::POST,
            "/admin/users".into(),
            Some(json!({
                "username": "stan", "email": "stan@example.com", "password": "used ships",
            })),
        ),
        (Method::GET, one.clone(), None),
        (Method::PATCH, one.clone(), Some(json!({"roles": ["x"]}))),
        (Method::POST, format!("{one}/logout"), None),
        (Method::DELETE, one, None),
        (Method::GET, "/admin/audit".into(), None),
    ]
}

fn call(server: &Server, (method, path, body): &(Method, String, Option<Value>)) -> Call {
    let call = server.call(method.clone(), path);
    match body {
        Some(body) => call.json(body),
        None => call,
    }
}

impl Server {
    async fn patch_user(&self, admin: &Pair, id: &str, body: impl Borrow<Value>) -> Answer {
        let call = self.call(Method::PATCH, &format!("/admin/users/{id}"));
        call.bearer(&admin.access).json(body.borrow()).send().await
    }

    async fn delete_user(&self, admin: &Pair, id: &str) -> Answer {
        let call = self.call(Method::DELETE, &format!("/admin/users/{id}"));
        call.bearer(&admin.access).send().await
    }

    async fn get_as(&self, who: &Pair, path: impl AsRef<str>) -> Answer {
        self.get(path.as_ref()).bearer(&who.access).send().await
    }

    async fn post_user(&self, admin: &Pair, body: &Value) -> Answer {
        let call = self.post("/admin/users").bearer(&admin.access);
        call.json(body).send().await
    }

    async fn id_of(&self, who: &Pair) -> String {
        self.me(&who.access).await.id()
    }
}
