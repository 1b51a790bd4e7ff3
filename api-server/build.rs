//! Tells cargo what the SQL macros depend on.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=SQLX_OFFLINE");
    // Queries are checked against the committed `.sqlx`, also where
    // DATABASE_URL is set for the tests: that server has no schema yet.
    // `sqlx-prepare` sets the variable to look at a live one.
    if std::env::var_os("SQLX_OFFLINE").is_none() {
        println!("cargo:rustc-env=SQLX_OFFLINE=true");
    }
}
