//! What is at no address of ours.

use crate::world::World;
use http::{HeaderValue, StatusCode, header};

#[tokio::test]
async fn a_mistyped_address_gets_a_page_in_a_browser_and_a_document_in_a_program() {
    let world = World::new().await;
    let mut program = world.browser();
    let document = program.get("/api/v1/nope").await;
    assert_eq!(document.status, StatusCode::NOT_FOUND);
    assert_eq!(document.headers[header::CONTENT_TYPE], "application/problem+json");
    let mut browser = world.browser();
    browser.headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
    let page = browser.get("/nope").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("There is no such thing here"), "{}", page.body);
    assert!(page.headers.contains_key(header::CONTENT_SECURITY_POLICY));
}

#[tokio::test]
async fn the_address_of_a_form_opened_by_itself_gets_a_page_in_a_browser_and_a_document_in_a_program() {
    let world = World::new().await;
    let mut browser = world.browser();
    browser.headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
    for address in ["/sign-in/prove", "/step-up/mail", "/device/sign-on", "/oauth/logout/confirm"] {
        let page = browser.get(address).await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{address}");
        assert!(page.body.contains("method_not_allowed") && page.body.starts_with("<!doctype html>"), "{address}: {}", page.body);
        assert!(page.headers.contains_key(header::ALLOW), "{address}");
        let document = world.browser().get(address).await;
        assert_eq!(document.headers[header::CONTENT_TYPE], "application/problem+json", "{address}");
    }
}
