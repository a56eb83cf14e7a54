//! Tells the server when it was built, for the version line that clients parse.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rustc-env=BUILD_DATE={}", build_date());
}

/// As in `2026-02-09 12:53 UTC`, from SOURCE_DATE_EPOCH where a packager set it.
fn build_date() -> String {
    let when =
        std::env::var("SOURCE_DATE_EPOCH").map_or("now".into(), |seconds| format!("@{seconds}"));
    let date = Command::new("date")
        .args(["-u", "-d", &when, "+%Y-%m-%d %H:%M UTC"])
        .output();
    let text = date
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or("unknown".into())
}
