//! Tables of routes.

/// Makes the list `ROUTES` and the function `table` from one table, so that no route escapes the test of who may call it. A route may
/// say how many bytes it takes; several methods of one path are several lines.
#[macro_export]
macro_rules! routes {
    ($state:ty; $($method:ident $path:literal => $handler:path $(, $body_bytes:expr)?;)*) => {
        /// Every route, as method and path.
        pub const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn table() -> ::axum::Router<$state> {
            ::axum::Router::new()$(
                .route($path, ::axum::routing::$method($handler)$(.layer(::axum::extract::DefaultBodyLimit::max($body_bytes)))?)
            )*
        }
    };
}
