//! The documentation pages in a real browser that can reach nothing else.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::api::{Api, NO_DATABASE};

/// The browser: `CHROMIUM`, or one of its usual names on the search path.
fn chromium() -> Option<PathBuf> {
    let given = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let usual = std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|file| file.exists());
    given.or(usual)
}

/// What a page became, and what its console said.
struct Page {
    dom: String,
    console: Vec<String>,
}

fn open(browser: &PathBuf, url: &str) -> Page {
    let profile = TempDir::new().unwrap();
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"])
        // Every name but the server's own leads nowhere.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    Page {
        dom: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: log
            .lines()
            .filter(|line| line.contains(":CONSOLE"))
            .map(str::to_owned)
            .collect(),
    }
}

#[tokio::test]
async fn both_pages_render_without_a_word_on_the_console() {
    let Some(browser) = chromium() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "chromium is not installed"
        );
        eprintln!("skipped: chromium is not installed");
        return;
    };
    let api = Api::start(NO_DATABASE, &[]).await;
    for (path, rendered) in [
        ("/docs/", ["opblock-summary-post", "/auth/login"]),
        ("/redoc", ["redoc-wrap", "/auth/login"]),
    ] {
        let url = api.url(path);
        let page = tokio::task::spawn_blocking({
            let browser = browser.clone();
            move || open(&browser, &url)
        });
        let page = page.await.unwrap();
        for text in rendered {
            assert!(
                page.dom.contains(text),
                "{path} has no {text}:\n{}\n{:#?}",
                page.dom,
                page.console
            );
        }
        assert!(page.console.is_empty(), "{path}: {:#?}", page.console);
    }
}

/// The check itself can fail: a page that breaks its policy says so.
#[tokio::test]
async fn the_console_is_heard() {
    let Some(browser) = chromium() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "chromium is not installed"
        );
        eprintln!("skipped: chromium is not installed");
        return;
    };
    let page = "data:text/html,<script>console.error('heard')</script>";
    let page = tokio::task::spawn_blocking(move || open(&browser, page));
    let page = page.await.unwrap();
    assert!(
        page.console.iter().any(|line| line.contains("heard")),
        "{:#?}",
        page.console
    );
}
