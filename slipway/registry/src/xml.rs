//! Reading: a frame as a tree with its namespaces resolved, within bounds. Writing: text that is escaped on its way in.
//!
//! A document type is refused, so there is nothing to expand, include or fetch: the five predefined entities and character references are
//! all there is.

use std::fmt::Write as _;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use crate::limits;

/// An element with its namespace resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub ns: String,
    pub name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub children: Vec<Self>,
}

/// Why bytes are no document that we read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    #[error("the frame is no well-formed XML: {0}")]
    Form(String),
    #[error("the frame has a document type or a processing instruction, which is never read")]
    Doctype,
    #[error("the frame holds more than is read: too deep, too many elements or too many attributes")]
    Bounds,
}

impl Element {
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// The first child of that name in the element's own namespace.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(&self.ns, name))
    }

    /// The children of that name in the element's own namespace.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.is(&self.ns, name))
    }

    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The text with white space as `xs:token` has it.
    #[must_use]
    pub fn token(&self) -> String {
        self.text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// # Errors
/// When the bytes are no XML in UTF-8, hold what is never read, or pass a bound.
pub fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    let form = |e: &dyn std::fmt::Display| XmlError::Form(e.to_string());
    let text = std::str::from_utf8(bytes).map_err(|e| form(&e))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut root, mut count) = (Vec::<Element>::new(), None, 0_usize);
    loop {
        let (ns, event) = reader.read_resolved_event().map_err(|e| form(&e))?;
        match event {
            Event::Start(start) => {
                count += 1;
                if open.len() >= limits::DEPTH || count > limits::ELEMENTS || root.is_some() {
                    return Err(XmlError::Bounds);
                }
                let ns = match ns {
                    ResolveResult::Bound(Namespace(ns)) => utf8(ns),
                    ResolveResult::Unbound => String::new(),
                    ResolveResult::Unknown(_) => return Err(form(&"an undeclared prefix")),
                };
                open.push(element(ns, &start)?);
            }
            Event::End(_) => {
                let closed = open.pop().unwrap_or_default();
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => root = Some(closed),
                }
            }
            Event::Text(part) => add(&mut open, &part.xml10_content().map_err(|e| form(&e))?)?,
            Event::CData(part) => add(&mut open, &part.xml10_content().map_err(|e| form(&e))?)?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|e| form(&e))?;
                let name = reference.decode().map_err(|e| form(&e))?;
                let predefined = quick_xml::escape::resolve_xml_entity(&name).map(str::to_owned);
                let text = character.map(String::from).or(predefined).ok_or_else(|| form(&"an unknown entity"))?;
                add(&mut open, &text)?;
            }
            Event::DocType(_) | Event::PI(_) => return Err(XmlError::Doctype),
            Event::Decl(_) | Event::Comment(_) | Event::Empty(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(form(&"it ends too early")),
    }
}

fn element(ns: String, start: &BytesStart<'_>) -> Result<Element, XmlError> {
    let form = |e: &dyn std::fmt::Display| XmlError::Form(e.to_string());
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| form(&e))?;
        if attributes.len() >= limits::ATTRIBUTES {
            return Err(XmlError::Bounds);
        }
        let name = utf8(attribute.key.as_ref());
        // Prefixed ones are namespaces and hints where schemas lie; neither tells us anything.
        if name != "xmlns" && !name.contains(':') {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(|e| form(&e))?;
            attributes.push((name, value.into_owned()));
        }
    }
    Ok(Element { ns, name: utf8(start.local_name().as_ref()), attributes, ..Element::default() })
}

/// A part of a text that was checked as a whole.
fn utf8(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}

fn add(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => {
            element.text.push_str(text);
            Ok(())
        }
        None if text.trim().is_empty() => Ok(()),
        None => Err(XmlError::Form("text outside of the document".to_owned())),
    }
}

/// A document, or a part of one, being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer(String);

impl Writer {
    pub fn open(&mut self, tag: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.start(tag, attributes, ">")
    }

    pub fn close(&mut self, tag: &str) -> &mut Self {
        let _ = write!(self.0, "</{tag}>");
        self
    }

    pub fn empty(&mut self, tag: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.start(tag, attributes, "/>")
    }

    pub fn leaf(&mut self, tag: &str, text: impl std::fmt::Display) -> &mut Self {
        self.leaf_with(tag, &[], text)
    }

    pub fn leaf_with(&mut self, tag: &str, attributes: &[(&str, &str)], text: impl std::fmt::Display) -> &mut Self {
        self.start(tag, attributes, ">");
        self.text(&text.to_string());
        self.close(tag)
    }

    /// What was written before.
    pub fn part(&mut self, part: &str) -> &mut Self {
        self.0.push_str(part);
        self
    }

    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn start(&mut self, tag: &str, attributes: &[(&str, &str)], end: &str) -> &mut Self {
        let _ = write!(self.0, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            self.text(value);
            self.0.push('"');
        }
        self.part(end)
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // What XML 1.0 cannot hold at all.
                c if c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}') => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_knows_its_namespaces_and_its_text() {
        let root =
            parse(b"<?xml version='1.0'?><a xmlns='urn:x' xmlns:d='urn:d' k='1 &lt; 2'><d:b> x &amp; &#65;\n y </d:b><c/></a>").unwrap();
        assert!(root.is("urn:x", "a"));
        assert_eq!(root.attribute("k"), Some("1 < 2"));
        assert!(root.children[0].is("urn:d", "b") && root.child("b").is_none() && root.child("c").is_some());
        assert_eq!(root.children[0].token(), "x & A y");
    }

    #[test]
    fn what_could_grow_or_reach_out_is_refused() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        let many = format!("<a>{}</a>", "<b/>".repeat(2_000));
        for bad in [
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<?xml-stylesheet href='x'?><a/>",
            "<a>&x;</a>",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "x<a/>",
            "<p:a/>",
            "",
            deep.as_str(),
            many.as_str(),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "`{}` was read", &bad[..bad.len().min(40)]);
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }

    #[test]
    fn nothing_that_is_written_becomes_markup() {
        let mut writer = Writer::default();
        writer.leaf_with("a", &[("k", "\"><x/>")], "<&>\u{1}]]>");
        let text = writer.finish();
        let back = parse(text.as_bytes()).unwrap();
        assert_eq!((back.attribute("k"), back.children.len()), (Some("\"><x/>"), 0));
        assert_eq!(back.token(), "<&>\u{fffd}]]>");
    }
}
