//! The registry alone, as the program `slipway registry` serves it, and Debian's Net::EPP as a registrar that we did not write.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use purser_tests::binaries::named;

const PASSWORD: &str = "perl-pa55word";

/// A registry of `.test` on a port of its own.
struct Served {
    child: Child,
    port: String,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("password"), PASSWORD).unwrap();
        fs::set_permissions(at("password"), fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = \"sqlite:{}\"\nkeys = \"{}\"\nserver = \"Registry of the tests\"\nhost = \"localhost\"\n\
             zones = [\"test\"]\n[[registrar]]\nid = \"alpha\"\npassword_file = \"{}\"\n",
            at("registry.db"),
            at("keys"),
            at("password")
        );
        fs::write(at("registry.toml"), config).unwrap();
        let mut child = Command::new(program).args(["registry", "--config", &at("registry.toml")]).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let port = ready.expect("the registry did not start").rsplit(':').next().unwrap().to_owned();
        Self { child, port, folder }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("keys/registry.pem")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Perl with Net::EPP, and xmllint, from the folder of unpacked packages.
pub struct Tools(PathBuf);

impl Tools {
    pub fn find() -> Option<Self> {
        let marker = named("PURSER_NET_EPP", || None)?;
        Some(Self(marker.ancestors().nth(7)?.to_owned()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let triplets: Vec<PathBuf> = ["root/usr/lib", "libraries/usr/lib"]
            .iter()
            .filter_map(|part| fs::read_dir(self.0.join(part)).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"))
            .collect();
        let mut perl = vec![self.0.join("root/usr/share/perl5")];
        for triplet in &triplets {
            perl.extend(fs::read_dir(triplet.join("perl5")).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        command.env("PERL5LIB", std::env::join_paths(perl).unwrap()).env("LD_LIBRARY_PATH", std::env::join_paths(triplets).unwrap());
        command
    }

    /// What xmllint says of documents with the schemas of the RFCs; nothing when all are as they should be.
    pub fn judged(&self, documents: &[PathBuf]) -> Option<String> {
        const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/epp/schemas/all.xsd");
        let mut command = self.command(&self.0.join("root/usr/bin/xmllint").display().to_string());
        let said = command.args(["--noout", "--nonet", "--schema", SCHEMAS]).args(documents).output().expect("xmllint runs");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        // Whatever it did not look at, it did not find in order.
        let valid = text.lines().filter(|line| line.ends_with(" validates")).count();
        (!said.status.success() || valid != documents.len())
            .then(|| text.lines().filter(|line| !line.ends_with(" validates")).collect::<Vec<_>>().join("\n"))
    }
}

/// The frames that one side said, as the referee kept them.
fn said_by(who: &str, frames: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(frames).unwrap().map(|entry| entry.unwrap().path());
    let mut said: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(&format!("-{who}.xml"))).collect();
    said.sort();
    said
}

#[test]
fn debians_net_epp_lives_the_life_of_a_name_over_tls() {
    let (Some(program), Some(tools)) = (named("SLIPWAY_BIN", || None), Tools::find()) else { return };
    let served = Served::start(&program);
    let frames = served.folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/epp/referee.pl");
    let said = tools
        .command("perl")
        .args([script, &served.port])
        .arg(served.certificate())
        .arg(PASSWORD)
        .arg(&frames)
        .output()
        .expect("perl runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
    assert!(!text.contains("NOT OK") && text.matches("ok ").count() >= 25, "{text}");
    let answers = said_by("registry", &frames);
    assert!(answers.len() >= 25, "{} answers were kept", answers.len());
    assert_eq!(tools.judged(&answers), None, "an answer is not what the standard's schemas allow");
}

#[test]
fn the_judge_of_documents_finds_what_is_wrong_with_one() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let frame = |inner: &str| format!("<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\"><response>{inner}</response></epp>");
    let end = "<trID><svTRID>abc</svTRID></trID>";
    let info = "<resData><d:infData xmlns:d=\"urn:ietf:params:xml:ns:domain-1.0\"><d:name>a.test</d:name></d:infData></resData>";
    for (what, inner) in [
        ("a code that there is not", format!("<result code=\"1999\"><msg>x</msg></result>{end}")),
        ("no transaction", "<result code=\"1000\"><msg>x</msg></result>".to_owned()),
        ("an object without its parts", format!("<result code=\"1000\"><msg>x</msg></result>{info}{end}")),
    ] {
        let path = folder.path().join("frame.xml");
        fs::write(&path, frame(&inner)).unwrap();
        assert!(tools.judged(std::slice::from_ref(&path)).is_some(), "{what} passes");
    }
    let path = folder.path().join("frame.xml");
    fs::write(&path, frame(&format!("<result code=\"1000\"><msg>x</msg></result>{end}"))).unwrap();
    assert_eq!(tools.judged(&[path]), None);
}
