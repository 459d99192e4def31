//! A router that knows its routes, so that what is said of them can be compared with what there is.

use super::Shared;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, any, get, on, post};
use http::Method;

/// A method, none for any, and a path as axum has it.
pub type Known = (Option<Method>, String);

/// Routes, and the router that serves them.
#[derive(Default)]
pub struct Routes {
    router: Router<Shared>,
    known: Vec<Known>,
}

impl Routes {
    /// Adds `GET path`.
    #[must_use]
    pub fn get<H: Handler<T, Shared>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(Some(Method::GET), path, get(handler))
    }

    /// Adds `POST path`.
    #[must_use]
    pub fn post<H: Handler<T, Shared>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(Some(Method::POST), path, post(handler))
    }

    /// Adds a route of this method; of none when it is not one of the usual.
    #[must_use]
    pub fn on<H: Handler<T, Shared>, T: 'static>(self, method: &Method, path: &str, handler: H) -> Self {
        match MethodFilter::try_from(method.clone()) {
            Ok(filter) => self.add(Some(method.clone()), path, on(filter, handler)),
            Err(_) => self,
        }
    }

    /// Adds a route of every method.
    #[must_use]
    pub fn any<H: Handler<T, Shared>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(None, path, any(handler))
    }

    /// Adds others.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.known.extend(other.known);
        Self { router: self.router.merge(other.router), known: self.known }
    }

    fn add(mut self, method: Option<Method>, path: &str, route: MethodRouter<Shared>) -> Self {
        self.known.push((method, path.to_owned()));
        Self { router: self.router.route(path, route), known: self.known }
    }

    /// Every route.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// The router.
    pub fn into_router(self) -> Router<Shared> {
        self.router
    }
}
