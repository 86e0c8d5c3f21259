//! The real programs that Purser runs on or is tested against, brought in pinned and checked.
//!
//! workerd belongs to the product; everything else is for tests only: wrangler and its Node 22, PostgreSQL, independent clients and
//! an independent server of OAuth, and a browser.

mod chromium;
mod debian;
pub mod dns;
mod edge;
mod epp;
mod npm;
pub mod postgres;
mod python;
mod workerd;
mod wrangler;

use std::path::PathBuf;

use crate::fail::Outcome;
use crate::house::House;

/// The runtime that slipway runs code on: the path of a binary that was seen to start.
pub fn workerd(house: &House) -> Outcome<PathBuf> {
    workerd::install(house)
}

/// The two unmodified clients, each as one command.
pub fn wranglers(house: &House) -> Outcome<wrangler::Wranglers> {
    wrangler::install(house)
}

/// Name servers, resolvers and judges of zones: the folder for [`dns::program`].
pub fn name_servers(house: &House) -> Outcome<PathBuf> {
    dns::install(house)
}

/// Who judges the edge: a folder with one command for each.
pub fn edge_testers(house: &House) -> Outcome<PathBuf> {
    edge::testers(house)
}

/// A load generator and another proxy, for the measurement of the edge.
pub fn edge_rivals(house: &House) -> Outcome<PathBuf> {
    edge::rivals(house)
}

/// A mail server of somebody else's: the folder for its `PYTHONPATH`.
pub fn mail_server(house: &House) -> Outcome<PathBuf> {
    python::install(house, "mail")
}

/// A registrar's client of somebody else's: a Perl module's file, in a folder of unpacked packages.
pub fn registrar_client(house: &House) -> Outcome<PathBuf> {
    epp::install(house)
}

/// A payment processor of somebody else's, and the real one's own client.
#[derive(Debug)]
pub struct Processor {
    /// A folder for `PYTHONPATH`, with localstripe.
    pub python: PathBuf,
    /// Holds the npm packages.
    pub modules: PathBuf,
}

/// A server of S3 of somebody else's: its program, to be run with Node.
pub fn object_server(house: &House) -> Outcome<PathBuf> {
    npm::install(house, "tests/peers/s3", "s3rver/bin/s3rver.js")
}

/// The official clients of the API that slipway speaks.
#[derive(Debug)]
pub struct Sdks {
    /// Holds the npm package.
    pub modules: PathBuf,
    /// A folder for `PYTHONPATH`.
    pub python: PathBuf,
}

pub fn sdks(house: &House) -> Outcome<Sdks> {
    let client = npm::install(house, "tests/peers/cloudflare-sdk", "cloudflare/package.json")?;
    let modules = client.ancestors().nth(2).map_or_else(|| client.clone(), std::path::Path::to_path_buf);
    Ok(Sdks { modules, python: python::install(house, "cloudflare-python")? })
}

pub fn processor(house: &House) -> Outcome<Processor> {
    let client = npm::install(house, "tests/peers/stripe-sdk", "stripe/package.json")?;
    let modules = client.ancestors().nth(2).map_or_else(|| client.clone(), std::path::Path::to_path_buf);
    Ok(Processor { python: python::install(house, "localstripe")?, modules })
}

/// Who judges the authorization server and the pages.
#[derive(Debug)]
pub struct Referees {
    /// Holds the npm packages.
    pub modules: PathBuf,
    /// The Node that they run on.
    pub node: PathBuf,
    /// A folder for `PYTHONPATH`.
    pub python: PathBuf,
    pub chromium: PathBuf,
}

/// The npm packages of the referees, and the Node that they run on.
pub fn oauth_server(house: &House) -> Outcome<(PathBuf, PathBuf)> {
    let axe = npm::install(house, "tests/peers/referees", "axe-core/axe.js")?;
    let modules = axe.ancestors().nth(2).map_or_else(|| axe.clone(), std::path::Path::to_path_buf);
    Ok((modules, wrangler::node(house)?))
}

pub fn referees(house: &House) -> Outcome<Referees> {
    let (modules, node) = oauth_server(house)?;
    Ok(Referees { modules, node, python: python::install(house, "python")?, chromium: chromium::install(house)? })
}
