//! A person with Chromium on the pages of both halves: sign-in, consent, linking, approvals, organisations, freezing; with a
//! keyboard alone, without JavaScript, on a phone; and an accessibility checker on every page.

use crate::bench::{Bench, all_well};

/// The stories that `pages.mjs` tells.
const STORIES: usize = 26;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_real_browser_can_use_every_page() {
    let Some(bench) = Bench::start().await else { return };
    if !bench.has_browser() {
        return;
    }
    all_well(&bench.node("pages.mjs", &[]).await, STORIES);
}
