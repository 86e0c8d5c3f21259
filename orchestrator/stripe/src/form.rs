//! Form encoding as Stripe reads it: `a[b]=c`, `list[0]=x`; brackets in names, UTF-8 percent-encoded.

use bytes::Bytes;
use url::form_urlencoded::Serializer;

/// The fields of a request, in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Something of ours beside Stripe's object: it comes back with it and with its events.
    pub fn metadata(self, name: &str, value: impl ToString) -> Self {
        self.with(&format!("metadata[{name}]"), value)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Serializer::new(String::new());
        out.extend_pairs(&self.0);
        Bytes::from(out.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_brackets_and_values_their_bytes() {
        let form = Form::new().with("amount", 500).with("payment_method_types[0]", "card").metadata("charge", "chg_1").with("x", "a b&c=ü");
        assert_eq!(form.encode(), "amount=500&payment_method_types%5B0%5D=card&metadata%5Bcharge%5D=chg_1&x=a+b%26c%3D%C3%BC".as_bytes());
    }
}
