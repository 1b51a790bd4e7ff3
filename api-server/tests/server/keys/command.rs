//! The subcommand that makes key files and rotates them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;

use super::{at, keys, keys_refused, parsed};
use crate::api::run;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Whether nothing but the file is in its directory.
fn is_alone(path: &Path) -> bool {
    fs::read_dir(path.parent().unwrap()).unwrap().count() == 1
}

#[test]
fn files_are_made_and_rotated_on_the_command_line() {
    let directory = TempDir::new().unwrap();
    let path: PathBuf = directory.path().join("keys.json");
    let name = path.display().to_string();
    fs::write(&path, keys(&["generate"])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    let said = keys(&["rotate", &name]);
    let file = parsed(&fs::read_to_string(&path).unwrap());
    assert_eq!(file["keys"][0]["state"], "active");
    assert_eq!(file["keys"][1]["state"], "next");
    let kid = file["keys"][1]["kid"].as_str().unwrap();
    assert!(said.contains(kid) && said.contains("is next"), "{said}");
    assert_eq!(mode(&path), 0o600);
    assert!(is_alone(&path));

    // Too soon: nothing changes.
    let before = fs::read_to_string(&path).unwrap();
    let refused = keys_refused(&["rotate", &name]);
    assert!(
        refused.contains(kid) && refused.contains(&name),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(is_alone(&path));

    let mut aged = file.clone();
    aged["keys"][1]["published_at"] = json!(at(-901));
    fs::write(&path, aged.to_string()).unwrap();
    let said = keys(&["rotate", "--refresh-token-ttl=1d", &name]);
    let file = parsed(&fs::read_to_string(&path).unwrap());
    assert!(said.contains(&format!("{kid} signs now")), "{said}");
    assert_eq!(file["keys"][0]["state"], "retired");
    assert!(file["keys"][0].get("d").is_none());
    assert!(file["keys"][0]["retires_at"].as_str().unwrap() < at(2 * 86_400).as_str());
    assert_eq!(file["keys"][1]["state"], "active");
    assert_eq!(file["keys"][2]["state"], "next");
    for key in file["keys"].as_array().unwrap() {
        if let Some(secret) = key["d"].as_str() {
            assert!(!said.contains(secret));
        }
    }

    let missing = keys_refused(&["rotate", "/does/not/exist"]);
    assert!(missing.contains("/does/not/exist"), "{missing}");
    fs::write(&path, "garbage").unwrap();
    assert!(keys_refused(&["rotate", &name]).contains("is not JSON"));
    assert!(!run(&["keys"], &[]).status.success());
}

#[test]
fn a_link_to_a_key_file_stays_a_link() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("real.json");
    let link = directory.path().join("link.json");
    fs::write(&path, keys(&["generate"])).unwrap();
    symlink("real.json", &link).unwrap();
    keys(&["rotate", &link.display().to_string()]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let file = parsed(&fs::read_to_string(&path).unwrap());
    assert_eq!(file["keys"].as_array().unwrap().len(), 2);
}
