//! A client of a stack: what people's programs and browsers do.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A client of a stack's nginx.
#[derive(Clone)]
pub struct Gateway {
    base: String,
    client: Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null if it is none.
    pub body: Value,
}

/// Somebody, as a rule with an account.
#[derive(Clone, Debug)]
pub struct User {
    /// The name that it registered.
    pub name: String,
    /// The password that goes with it.
    pub password: String,
}

/// A pair of tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For `Authorization: Bearer`.
    pub access: String,
    /// For `/auth/refresh`.
    pub refresh: String,
}

impl Answer {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// Asserts that this is problem details (RFC 9457) of a kind: the status,
    /// and the last segment of the type's URI.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let content = self.header("content-type");
        assert_eq!(content, "application/problem+json", "{self:?}");
        let text = |member: &str| self.body[member].as_str().unwrap_or_default();
        assert!(text("type").starts_with("http"), "{self:?}");
        assert!(
            text("type").ends_with(&format!("/problems/{kind}")),
            "{self:?}"
        );
        assert_eq!(self.body["status"], status, "{self:?}");
        for member in ["title", "detail", "instance"] {
            assert!(!text(member).is_empty(), "no {member}: {self:?}");
        }
    }
}

impl Gateway {
    /// A client that keeps connections and no cookies.
    pub(crate) fn new(base: &str) -> Self {
        Self::with(base, |builder| builder)
    }

    /// The same place through a client that remembers cookies.
    #[must_use]
    pub fn browser(&self) -> Self {
        Self::with(&self.base, |builder| builder.cookie_store(true))
    }

    /// The same place through a client that connects anew for every request.
    #[must_use]
    pub fn without_keepalive(&self) -> Self {
        Self::with(&self.base, |builder| builder.pool_max_idle_per_host(0))
    }

    /// The same place through a client somewhere else, for stacks that believe
    /// what clients say of that (`nginx.trustedProxies`).
    #[must_use]
    pub fn from(&self, address: IpAddr) -> Self {
        let address = HeaderValue::try_from(address.to_string()).unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, address)]);
        Self::with(&self.base, |builder| builder.default_headers(headers))
    }

    fn with(
        base: &str,
        adjust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Self {
        let builder = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(15));
        Self {
            base: base.to_owned(),
            client: adjust(builder).build().unwrap(),
        }
    }

    /// A request to be built further.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answer {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// `GET`.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends what need not be HTTP and returns all that comes back before nginx
    /// ends the connection.
    pub async fn raw(&self, text: &str) -> String {
        let address = self.base.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let reading = connection.read_to_string(&mut answer);
        let limit = Duration::from_secs(15);
        let read = tokio::time::timeout(limit, reading).await;
        read.expect("an end of the answer").unwrap();
        answer
    }

    /// What registering is answered.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_register(&self, user: &User) -> Result<Answer, reqwest::Error> {
        let User { name, password } = user;
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": password});
        self.post("/auth/register", &body).await
    }

    /// Registers somebody whom nobody else is.
    pub async fn register(&self) -> User {
        let user = User::unique();
        let answer = self.try_register(&user).await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        user
    }

    /// What logging in is answered.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_login(&self, user: &User) -> Result<Answer, reqwest::Error> {
        let body = json!({"username": user.name, "password": user.password});
        self.post("/auth/login", &body).await
    }

    /// Logs in.
    pub async fn login(&self, user: &User) -> Tokens {
        Tokens::of(&self.try_login(user).await.unwrap())
    }

    /// What `/auth/user/me` answers to a bearer.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn me(&self, tokens: &Tokens) -> Result<Answer, reqwest::Error> {
        let request = self.request(Method::GET, "/auth/user/me");
        self.send(request.bearer_auth(&tokens.access)).await
    }
}

impl User {
    /// Somebody whom nobody else is, without an account yet.
    pub fn unique() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self {
            name: format!("user-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            password: "securepass".to_owned(),
        }
    }
}

impl Tokens {
    /// The tokens in the answer to a login or a refresh.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Self {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }
}
