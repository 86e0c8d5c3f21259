//! A form with files (RFC 7578), kept whole so that it can be sent again.

use purser_values::Env;

pub struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    #[must_use]
    pub fn new(env: &Env) -> Self {
        let boundary = env.bytes::<16>().iter().fold("purser-".to_owned(), |text, b| format!("{text}{b:02x}"));
        Self { boundary, body: Vec::new() }
    }

    /// A part without a file name.
    pub fn field(&mut self, name: &str, content_type: &str, bytes: &[u8]) {
        self.part(name, false, content_type, bytes);
    }

    /// A file; its path is the part's name and its file name.
    pub fn file(&mut self, path: &str, content_type: &str, bytes: &[u8]) {
        self.part(path, true, content_type, bytes);
    }

    fn part(&mut self, name: &str, file: bool, content_type: &str, bytes: &[u8]) {
        // as browsers do (HTML, multipart/form-data encoding): a quote or a line end cannot end the header
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let file_name = if file { format!("; filename=\"{name}\"") } else { String::new() };
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\nContent-Type: {content_type}\r\n\r\n",
            self.boundary
        );
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    /// Content type and body.
    #[must_use]
    pub fn finish(mut self) -> (String, Vec<u8>) {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (format!("multipart/form-data; boundary={}", self.boundary), self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_header() {
        let mut form = Form::new(&Env::system());
        form.file("a\"\r\nX: y", "text/plain", b"hi");
        let (content_type, body) = form.finish();
        let text = String::from_utf8(body).unwrap();
        let boundary = content_type.split_once('=').unwrap().1;
        assert!(text.starts_with(&format!("--{boundary}\r\n")) && text.ends_with(&format!("--{boundary}--\r\n")));
        assert!(text.contains("name=\"a%22%0D%0AX: y\""), "{text}");
    }
}
