//! The pages of the service in a real browser that can reach nothing else.

use serde_json::{Value, json};

use crate::{
    api::{Api, NO_DATABASE},
    browser::Browser,
    postgres::Postgres,
};

/// Everything that the page asked for came from the server or from itself.
#[track_caller]
fn assert_quiet(browser: &Browser, api: &Api) {
    assert!(browser.console.is_empty(), "{:#?}", browser.console);
    let own = api.url("/");
    for url in &browser.requests {
        let inside = ["data:", "blob:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        assert!(inside || url.starts_with(&own), "{url}");
    }
}

#[tokio::test]
async fn every_page_renders_without_a_word_on_the_console() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let api = Api::start(NO_DATABASE, &[]).await;
    for (path, rendered) in [
        ("/docs/", "document.querySelector('.opblock-summary-post')"),
        ("/redoc", "document.querySelector('.redoc-wrap')"),
        ("/problems", "document.querySelector('h1')"),
        ("/problems/validation", "document.querySelector('pre')"),
    ] {
        browser.open(&api.url(path)).await;
        browser.until(rendered).await;
        let expected = match path {
            "/docs/" | "/redoc" => "/auth/login",
            _ => "breaks rules",
        };
        let shows = format!("document.body.textContent.includes('{expected}')");
        browser.until(&shows).await;
        assert_quiet(&browser, &api);
    }
    // The policy lets the problem pages have their own style.
    let width = browser.evaluate("getComputedStyle(document.body).maxWidth");
    assert_ne!(width.await, json!("none"));
}

/// The check itself can fail: a page that says something is heard, and so is
/// one that breaks its policy.
#[tokio::test]
async fn the_console_is_heard() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    browser
        .open("data:text/html,<script>console.error('heard')</script>")
        .await;
    let heard = |browser: &Browser, what: &str| browser.console.iter().any(|l| l.contains(what));
    assert!(heard(&browser, "heard"), "{:#?}", browser.console);
    let api = Api::start(NO_DATABASE, &[]).await;
    browser.open(&api.url("/problems")).await;
    assert!(!heard(&browser, "Content Security Policy"));
    let script =
        "document.body.append(Object.assign(document.createElement('script'), {text: '0'}))";
    browser.evaluate(script).await;
    browser
        .evaluate("new Promise(done => setTimeout(done, 200))")
        .await;
    assert!(
        heard(&browser, "Content Security Policy"),
        "{:#?}",
        browser.console
    );
}

/// Swagger UI's "Try it out".
struct Swagger {
    browser: Browser,
}

impl Swagger {
    /// Sends a request as the page proposes it, and gives status and body.
    async fn try_out(&mut self, tag: &str, operation: &str) -> (String, Value) {
        let block = format!("#operations-{tag}-{operation}");
        let open = format!("document.querySelector('{block}.is-open')");
        self.browser
            .until(&format!("document.querySelector('{block}')"))
            .await;
        if self.browser.evaluate(&format!("Boolean({open})")).await == json!(false) {
            let summary = format!("{block} .opblock-summary-control");
            self.browser.click(&summary).await;
        }
        let table = format!("{block} .live-responses-table");
        let clear = format!("{block} .btn-clear");
        if self
            .browser
            .evaluate(&format!("Boolean(document.querySelector('{clear}'))"))
            .await
            == json!(true)
        {
            self.browser.click(&clear).await;
            self.browser
                .until(&format!("!document.querySelector('{table}')"))
                .await;
        }
        // The example is filled in a moment after the form is there; before that,
        // the page refuses to send an empty body and says nothing.
        let filled = format!(
            "!document.querySelector('{block} .opblock-section-request-body') || \
             document.querySelector('{block} textarea.body-param__text')?.value"
        );
        self.browser.until(&filled).await;
        self.browser.click(&format!("{block} .execute")).await;
        let status = format!("document.querySelector('{table} tbody td.response-col_status')");
        self.browser.until(&status).await;
        let status = self.browser.evaluate(&format!("{status}.innerText")).await;
        let body = format!("document.querySelector('{table} .highlight-code code')?.innerText");
        let body = self.browser.evaluate(&body).await;
        let body = body.as_str().unwrap_or_default();
        let status = status.as_str().unwrap().trim().to_owned();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Enters a token under "Authorize".
    async fn authorize(&mut self, token: &str) {
        self.browser.click(".auth-wrapper > .btn.authorize").await;
        let field = "input[aria-label='auth-bearer-value']";
        self.browser.type_into(field, token).await;
        let button = format!(
            "document.querySelector(\"{field}\").closest('form').querySelector('button.authorize').click()"
        );
        self.browser.evaluate(&button).await;
        self.browser
            .until(&format!("!document.querySelector(\"{field}\")"))
            .await;
        self.browser.click(".modal-ux-header .close-modal").await;
    }
}

#[tokio::test]
async fn the_documentation_registers_logs_in_and_goes_on_by_cookie_and_by_token() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[]).await;
    api.ready().await;
    let mut page = Swagger { browser };
    page.browser.open(&api.url("/docs/")).await;

    // As the examples stand.
    let (status, _) = page.try_out("account", "post_auth_register").await;
    assert_eq!(status, "201");
    let (status, tokens) = page.try_out("tokens", "post_auth_login").await;
    assert_eq!(status, "200");

    // By the cookie, which no script can read.
    let visible = page.browser.evaluate("document.cookie").await;
    assert_eq!(visible, json!(""));
    let (status, me) = page.try_out("account", "get_auth_user_me").await;
    assert_eq!((&*status, &me["username"]), ("200", &json!("guybrush")));
    let (status, _) = page.try_out("tokens", "post_auth_refresh").await;
    assert_eq!(status, "200");
    assert_quiet(&page.browser, &api);

    // By a token alone. Without either it is a 401, of which the console tells.
    page.browser.clear_cookies().await;
    let (status, problem) = page.try_out("account", "get_auth_user_me").await;
    assert_eq!((&*status, &problem["status"]), ("401", &json!(401)));
    page.browser.console.clear();
    page.authorize(tokens["access_token"].as_str().unwrap())
        .await;
    let (status, me) = page.try_out("account", "get_auth_user_me").await;
    assert_eq!((&*status, &me["username"]), ("200", &json!("guybrush")));
    assert_quiet(&page.browser, &api);
}
