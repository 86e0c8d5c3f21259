//! Sign-in through a company whose OpenID provider others wrote: the whole of `purser serve`, and npm's oidc-provider as a process.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use purser_tests::Person;
use purser_tests::binaries::{missing, named};
use purser_tests::browser::{Browser, Page};

use crate::installation::{Installation, configure, free_port};
use crate::logout::copy;

const SECRET: &str = "of the company";

struct Company {
    process: Child,
    url: String,
}

impl Company {
    fn start(node: &Path, modules: &Path, folder: &Path, purser: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("referees/company.mjs");
        fs::copy(script, folder.join("company.mjs")).unwrap();
        symlink(modules, folder.join("node_modules")).unwrap();
        let mut command = Command::new(node);
        command.arg(folder.join("company.mjs")).args([purser, "acme", SECRET, "keyed"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.stderr(File::create(folder.join("company.log")).unwrap()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is needed, or nothing, said loudly.
pub fn peers() -> Option<(PathBuf, PathBuf)> {
    let modules = std::env::var_os("PURSER_REFEREES").map(PathBuf::from).filter(|path| path.is_dir());
    if modules.is_none() {
        missing("PURSER_REFEREES");
    }
    Some((named("PURSER_NODE", || None)?, modules?))
}

struct Scene {
    installation: Installation,
    company: Company,
    parent: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Option<Self> {
        let (node, modules) = peers()?;
        let purser = named("PURSER_BIN", crate::installation::built)?;
        let parent = tempfile::tempdir().unwrap();
        let (folder, port) = (parent.path().join("one"), free_port());
        configure(&folder, port, free_port());
        let company = Company::start(&node, &modules, parent.path(), &format!("http://localhost:{port}"));
        let mut secret = OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.join("secret")).unwrap();
        secret.write_all(SECRET.as_bytes()).unwrap();
        let sso = |name: &str, proof: String, more: &str| {
            format!(
                "[[sign_in.sso]]\nname = \"{name}\"\nissuer = \"{}/{name}\"\nclient_id = \"{name}\"\n{proof}\nscopes = [\"groups\"]\n\
                 allowed_domains = [\"acme.test\"]\n{more}\n",
                company.url
            )
        };
        let mut config = OpenOptions::new().append(true).open(folder.join("orchestrator.toml")).unwrap();
        let file = format!("client_secret_file = \"{}\"", folder.join("secret").display());
        write!(config, "{}{}", sso("acme", file, "required = true"), sso("keyed", "private_key_jwt = true".to_owned(), "")).unwrap();
        let installation = Installation::serve(purser, folder).await;
        Some(Self { installation, company, parent })
    }

    /// Puts everybody of the company into this organisation by their groups, with a restart.
    async fn with_groups(&mut self, organisation: &str) {
        self.installation.stop();
        let path = self.installation.folder.join("orchestrator.toml");
        let more = format!(
            "required = true\norganisation = \"{organisation}\"\nrole = [{{ group = \"platform\", role = \"owner\" }}, {{ group = \"staff\", role = \"member\" }}]"
        );
        let text = fs::read_to_string(&path).unwrap().replace("required = true", &more);
        fs::write(&path, text).unwrap();
        self.installation.start_again().await;
    }

    /// Lets everybody of the company in, with their own organisation, and lets them come in other ways too.
    async fn open(&mut self) {
        let path = self.installation.folder.join("orchestrator.toml");
        let text = fs::read_to_string(&path).unwrap().replace("required = true", "required = false");
        fs::write(&path, text.replace("[sandbox]\nrail = true", "[sandbox]\nrail = true\nopen_sign_up = true")).unwrap();
        self.installation.stop();
        self.installation.start_again().await;
    }

    /// Presses a button that leads to the company, says there who one is, and comes back.
    async fn by(&self, person: &mut Person, page: &Page, action: &str, who: &str, there: &mut Browser) -> Page {
        let leave = person.browser.press(&page.form(action), "").await;
        let to = leave.body.split("content=\"0;url=").nth(1).unwrap_or_else(|| panic!("no way on: {}", leave.text()));
        let to = to.split('"').next().unwrap().replace("&#38;", "&");
        let mut at = there.open(to.strip_prefix(&self.company.url).unwrap()).await;
        if at.body == "who are you?" {
            at = there.open(&format!("{}?who={who}", at.path)).await;
        }
        let back = at.path.strip_prefix(&self.installation.url).unwrap_or_else(|| panic!("{} {}", at.path, at.body)).to_owned();
        person.browser.open(&back).await
    }

    fn there(&self) -> Browser {
        let mut browser = Browser::new(&self.company.url);
        browser.leaves_to = Some(self.installation.url.clone());
        browser
    }

    async fn sign_in(&self, name: &str, who: &str) -> (Person, Page) {
        let (mut person, mut there) = (self.installation.person(who), self.there());
        let page = person.browser.open("/sign-in?next=/security").await;
        let page = self.by(&mut person, &page, &format!("/sign-in/sso/{name}"), who, &mut there).await;
        (person, page)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_in_through_a_certified_openid_provider_and_nobody_else_does() {
    let Some(mut scene) = Scene::start().await else { return };
    // the first owner, of a domain that is the company's
    let (mut ada, mut there) = (scene.installation.person("ada"), scene.there());
    let page = ada.browser.open(&scene.installation.first_owner_link()).await;
    let on = page.body.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let page = ada.browser.open(&on).await;
    let page = scene.by(&mut ada, &page, "/sign-in/sso/acme", "ada", &mut there).await;
    assert!(page.status == 200 && page.path.starts_with("/organisation"), "{} {} {}", page.status, page.path, page.text());
    assert!(page.text().contains("ada@acme.test"), "{}", page.text());

    for (name, who, code) in [
        ("acme", "unverified", "sso_email_unverified"),
        ("acme", "guest", "sso_domain_refused"),
        ("acme", "grace", "sso_not_admitted"),
        ("acme", "nobody", "sso_refused"),
        ("keyed", "guest", "sso_domain_refused"),
    ] {
        let (mut person, page) = scene.sign_in(name, who).await;
        assert!(page.status >= 400 && page.body.contains(code), "{who}: {} {}", page.status, page.text());
        assert!(person.browser.open("/security").await.path.starts_with("/sign-in"), "{who} is in");
    }
    // she typed the address: the company asks, and no mail goes out
    let page = ada.browser.open("/sign-in?again=1").await;
    let mut form = page.form("/sign-in");
    form.type_in("email", "grace@acme.test");
    let page = ada.browser.press(&form, "").await;
    assert!(page.body.contains("login_hint=grace%40acme.test"), "{}", page.body);
    let codes =
        fs::read_dir(scene.installation.folder.join("mail")).unwrap().flatten().map(|mail| fs::read_to_string(mail.path()).unwrap());
    assert!(!codes.into_iter().any(|mail| mail.contains("sign-in code")), "a code was mailed to an address of the company");

    // the groups say who is who
    let organisation = organisation(&ada.browser.open("/organisation").await);
    scene.with_groups(&organisation).await;
    let (_, page) = scene.sign_in("acme", "grace").await;
    assert!(page.status == 200 && page.text().contains("member"), "{}", page.text());
    let (_, page) = scene.sign_in("acme", "ada").await;
    assert!(page.status == 200 && page.text().contains("owner"), "{}", page.text());

    // and when it asked
    let (mut grace, page) = scene.sign_in("acme", "grace").await;
    let asked = grace.browser.open("/step-up?next=/security").await;
    assert_eq!(asked.path, "/security", "a sign-in at the company just now does not count: {}", asked.text());
    assert!(page.body.contains("by your company"), "{}", page.text());
}

/// The other client there proves itself with our key, which the company fetches, and signs with PS256.
#[tokio::test(flavor = "multi_thread")]
async fn a_company_without_a_shared_secret_checks_our_key() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.open().await;
    let (mut ada, page) = scene.sign_in("keyed", "ada").await;
    assert!(page.status == 200 && page.path == "/security" && page.text().contains("ada@acme.test"), "{} {}", page.path, page.text());
    // connecting the other company asks her there anew
    let mut there = scene.there();
    let page = scene.by(&mut ada, &page, "/security/sso/acme/link", "ada", &mut there).await;
    assert!(page.path == "/security" && !page.body.contains("/security/sso/acme/link"), "{} {}", page.path, page.text());
    let (_, page) = scene.sign_in("acme", "ada").await;
    assert!(page.status == 200 && page.text().contains("ada@acme.test"), "{}", page.text());
    // somebody who is signed in there already comes in without being asked, and is asked all the same to connect or confirm
    let again = ada.browser.open("/sign-in?again=1&next=/security").await;
    let page = scene.by(&mut ada, &again, "/sign-in/sso/acme", "", &mut there).await;
    assert_eq!(page.path, "/security", "{}", page.text());
    let form = page.body.split("/security/sso/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(form.ends_with("/unlink"), "{form}");
    let gone = ada.browser.press(&page.form(&format!("/security/sso/{form}")), "").await;
    let connect = gone.body.split("/security/sso/").find_map(|rest| rest.split('"').next().filter(|it| it.ends_with("/link"))).unwrap();
    let leave = ada.browser.press(&gone.form(&format!("/security/sso/{connect}")), "").await;
    assert!(leave.body.contains("prompt=login"), "{}", leave.body);
}

/// Signing out at the company ends every session here that followed from that one there, and whoever signs out here is shown the way.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_at_the_company_is_out_here_and_who_signs_out_here_is_asked_about_it() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.open().await;
    let mut there = scene.there();
    let mut laptop = scene.installation.person("ada");
    let page = laptop.browser.open("/sign-in?next=/security").await;
    let page = scene.by(&mut laptop, &page, "/sign-in/sso/acme", "ada", &mut there).await;
    assert_eq!(page.path, "/security", "{}", page.text());
    // another browser of hers here, through the same session there
    let mut phone = scene.installation.person("ada");
    let page = phone.browser.open("/sign-in?next=/security").await;
    assert_eq!(scene.by(&mut phone, &page, "/sign-in/sso/acme", "", &mut there).await.path, "/security");
    // and a colleague
    let (mut grace, page) = scene.sign_in("acme", "grace").await;
    assert_eq!(page.path, "/security");

    let page = laptop.browser.open("/security").await;
    let out = laptop.browser.press(&page.form("/sign-out"), "").await;
    assert!(out.text().contains("Sign out at acme too"), "{}", out.text());
    let to = out.body.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let asked = there.open(to.strip_prefix(&scene.company.url).unwrap()).await;
    let xsrf = asked.body.split("name=\"xsrf\" value=\"").nth(1).unwrap_or_else(|| panic!("{} {}", asked.status, asked.body));
    let xsrf = xsrf.split('"').next().unwrap();
    let done = there.post("/acme/session/end/confirm", &format!("xsrf={xsrf}&logout=yes")).await;
    assert_eq!(done.status, 200, "{}", done.body);
    purser_tests::processes::until("the phone to be out", std::time::Duration::from_secs(20), async || {
        phone.browser.open("/security").await.path.starts_with("/sign-in").then_some(())
    })
    .await;
    assert_eq!(grace.browser.open("/security").await.path, "/security", "a colleague is out too");

    // she leaves, and the operator frees her address
    let config = scene.installation.config();
    let forget = ["person", "sso-forget", "grace@acme.test", "--yes", "--config", config.as_str()];
    let (code, said) = scene.installation.run(&forget);
    assert_eq!((code, &said["ok"]), (0, &serde_json::json!(true)), "{said}");
    assert!(grace.browser.open("/security").await.path.starts_with("/sign-in"), "who left is still in");
    let (_, page) = scene.sign_in("acme", "grace").await;
    assert!(page.body.contains("sso_not_admitted"), "{}", page.text());
    assert_ne!(scene.installation.run(&forget).0, 0, "there is nobody at this address any more");
}

/// The stories that `company_pages.mjs` tells.
const STORIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_companys_sign_in_work_in_a_real_browser_and_keep_nobody_out() {
    let (Some((node, _)), Some(chromium)) = (peers(), named("PURSER_CHROMIUM", || None)) else { return };
    let Some(mut scene) = Scene::start().await else { return };
    scene.open().await;
    let scripts = scene.parent.path().join("referees");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("referees"), &scripts);
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("company_pages");
    fs::create_dir_all(&shots).unwrap();
    let mut command = tokio::process::Command::new(node);
    command.arg(scripts.join("company_pages.mjs")).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command.env("ISSUER", &scene.installation.url).env("MAILBOX", scene.installation.folder.join("mail"));
    command.env("COMPANY", &scene.company.url).env("CHROMIUM", chromium).env("SHOTS", shots);
    let said = command.output().await.unwrap();
    let report = String::from_utf8_lossy(&said.stdout);
    let well = report.lines().filter(|line| line.contains("\"ok\":true")).count();
    assert!(said.status.success() && well == STORIES && report.lines().count() == STORIES, "{report}\n{}", scene.installation.log());
}

fn organisation(page: &Page) -> String {
    let at = page.body.find("org_").unwrap_or_else(|| panic!("no id: {}", page.body));
    page.body[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
