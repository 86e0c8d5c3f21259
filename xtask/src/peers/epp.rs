//! Debian's Net::EPP, a registrar's client that somebody else wrote, and xmllint.

use std::path::PathBuf;

use super::debian;
use crate::fail::{Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

const PACKAGES: [&str; 10] = [
    "libnet-epp-perl",
    "libio-socket-ssl-perl",
    "libnet-ssleay-perl",
    "libxml-libxml-perl",
    "libxml-namespacesupport-perl",
    "libxml-sax-base-perl",
    "libxml-sax-perl",
    "liburi-perl",
    "perl-openssl-defaults",
    "libxml2-utils",
];
/// What is there when everything is.
const MODULE: &str = "root/usr/share/perl5/Net/EPP/Simple.pm";

/// The module's file; everything else is beside it.
pub fn install(house: &House) -> Outcome<PathBuf> {
    let folder = house.peers().join("net-epp");
    let module = folder.join(MODULE);
    if module.is_file() {
        return Ok(module);
    }
    if process::on_path("perl").is_none() {
        return Err(Failure::new("Perl is not on PATH").advise("install Perl 5.36; it runs a foreign client of the registry in the tests"));
    }
    if let Some(tool) = debian::missing_tool() {
        return Err(Failure::new(format!("`{tool}` is not on PATH")).advise("run the tests on Debian 12, whose packages are unpacked"));
    }
    progress::step("unpack Debian's Net::EPP", || debian::unpack(&folder, &PACKAGES, "usr/bin/xmllint"))?;
    Ok(module)
}
