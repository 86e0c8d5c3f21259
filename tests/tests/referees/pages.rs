//! A person with Chromium: passkeys, consent with and without changes, and an accessibility checker on every page.

use crate::bench::{Bench, all_well};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the story with every page hangs; each story was run alone"]
async fn a_person_with_a_real_browser_can_use_every_page() {
    let Some(bench) = Bench::start().await else { return };
    if !bench.has_browser() {
        return;
    }
    all_well(&bench.node("pages.mjs", &[]).await, 9);
}
