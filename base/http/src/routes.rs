//! Tables of routes, and what is mounted beside them.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;

/// Makes the list `ROUTES` and the function `table` from one table, so that no route escapes the test of who may call it. A route may
/// say how many bytes it takes; several methods of one path are several lines.
#[macro_export]
macro_rules! routes {
    ($state:ty; $($rows:tt)*) => {
        $crate::routes! { ROUTES table: $state; $($rows)* }
    };
    // under names of their own, where a module has several tables
    ($all:ident $table:ident: $state:ty; $($method:ident $path:expr => $handler:path $(, $body_bytes:expr)?;)*) => {
        /// Every route, as method and path.
        pub const $all: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn $table() -> ::axum::Router<$state> {
            ::axum::Router::new()$(
                .route($path, ::axum::routing::$method($handler)$(.layer(::axum::extract::DefaultBodyLimit::max($body_bytes)))?)
            )*
        }
    };
}

/// Every route of a router, as method and path in the words of a table: for the tests that no route is missing from one.
///
/// A router tells its routes in its debug form only. Where that changes, the answer is empty or strange, and no such test passes.
#[must_use]
pub fn mounted(router: &Router) -> BTreeSet<(String, String)> {
    let text = format!("{router:?}");
    let routes = text.split(", fallback_router: ").next().unwrap_or_default();
    let (mut methods, mut paths) = (BTreeMap::new(), BTreeMap::new());
    for (number, said) in routes.split("RouteId(").skip(1).filter_map(|one| one.split_once("): ")) {
        if let Some((path, _)) = said.strip_prefix('"').and_then(|path| path.split_once('"')) {
            paths.insert(number, path);
        } else if let Some((_, allowed)) = said.rsplit_once("allow_header: ") {
            // `Bytes(b"GET,HEAD")`; what takes every method has no such list
            methods.insert(number, allowed.split('"').nth(1).unwrap_or("any").to_lowercase());
        }
    }
    let each = paths.into_iter().flat_map(|(number, path)| {
        let of: Vec<String> = methods.get(number).into_iter().flat_map(|all| all.split(',')).map(str::to_owned).collect();
        // a route that says `get` answers `head`, too
        of.into_iter().filter(|method| method != "head").map(|method| (method, path.to_owned()))
    });
    each.collect()
}

/// A table in the form of [`mounted`].
#[must_use]
pub fn listed(tables: &[&[(&str, &str)]]) -> BTreeSet<(String, String)> {
    tables.iter().flat_map(|table| table.iter()).map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{any, get, post};

    async fn nothing() {}

    crate::routes! { ();
        get "/one" => nothing;
        post "/one" => nothing, 1 << 20;
        delete "/two/{id}" => nothing;
    }

    #[test]
    fn what_is_mounted_is_told_through_layers_merges_and_nests() {
        let inner = Router::new().route("/deep", get(nothing));
        let router = table().nest("/below", inner).fallback(nothing).method_not_allowed_fallback(nothing);
        let router = crate::harden::harden(router, purser_values::Env::test(purser_values::Timestamp::EPOCH, 1).0);
        let mut expected = listed(&[ROUTES]);
        expected.insert(("get".to_owned(), "/below/deep".to_owned()));
        assert_eq!(mounted(&router), expected);
        let more = mounted(&router.route("/two/{id}", post(nothing)).route("/all", any(nothing)));
        let new: Vec<_> = more.difference(&expected).collect();
        assert_eq!(new, [&("any".to_owned(), "/all".to_owned()), &("post".to_owned(), "/two/{id}".to_owned())]);
    }
}
