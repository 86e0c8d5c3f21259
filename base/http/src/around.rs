//! Layers that see a request on its way in and its answer on the way out.
//!
//! `axum::middleware::from_fn` clones all that lies within a layer, for every request and every layer anew. These call what lies
//! within directly, so that a layer costs what it does and one allocation.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service};

/// An answer that is being worked on.
pub type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What a layer does. A clone of it is made for every request, so it should be cheap to clone.
pub trait Around: Clone + Send + Sync + 'static {
    /// Answers a request; `within` begins on the answer of what lies within, which goes on when its future is polled.
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static;
}

/// The first around the second, as one layer: each further call of [`axum::Router::layer`] would clone all that lies within once more,
/// for every request.
impl<A: Around, B: Around> Around for (A, B) {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let (outer, inner) = self;
        outer.around(request, |request| inner.around(request, within))
    }
}

/// The layer for a [`tower`] stack or [`axum::Router::layer`].
#[derive(Clone, Debug)]
pub struct AroundLayer<A>(pub A);

impl<A: Around, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, inner: S) -> AroundService<A, S> {
        AroundService { around: self.0.clone(), inner }
    }
}

#[derive(Clone, Debug)]
pub struct AroundService<A, S> {
    around: A,
    inner: S,
}

impl<A, S> Service<Request> for AroundService<A, S>
where
    A: Around,
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Unfailing;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Unfailing {
        let inner = &mut self.inner;
        let within = |request| {
            let answer = inner.call(request);
            async move {
                match answer.await {
                    Ok(response) => response.into_response(),
                    Err(never) => match never {},
                }
            }
        };
        Unfailing(self.around.around(request, within))
    }
}

/// An answer in the form that services give it.
pub struct Unfailing(Answer);

impl Future for Unfailing {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(Ok)
    }
}
