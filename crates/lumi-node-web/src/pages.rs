//! What there is to be asked for, and the answers.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::figures::Figures;
use crate::metrics;

/// Answers with what `figures` says.
pub(crate) fn router(figures: Figures) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(with_common_headers))
        .with_state(Arc::new(figures))
}

async fn index() -> Response {
    words(StatusCode::OK, "This is lumi-node.\n\n/metrics   how it is, for Prometheus")
}

async fn metrics(State(figures): State<Arc<Figures>>) -> Response {
    match figures.status().await {
        Ok(status) => {
            let lost = figures.log_lines_lost.as_ref().map(|lost| lost());
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&status, lost)).into_response()
        }
        Err(unknown) => words(StatusCode::SERVICE_UNAVAILABLE, unknown),
    }
}

async fn nothing_here(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => words(StatusCode::NOT_FOUND, "there is nothing here, look at /"),
        _ => wrong_method().await,
    }
}

async fn wrong_method() -> Response {
    let words = words(StatusCode::METHOD_NOT_ALLOWED, "there is nothing to change here: use GET or HEAD");
    ([(ALLOW, "GET, HEAD")], words).into_response()
}

fn words(status: StatusCode, text: impl Display) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

/// What is shown is of this moment, and what it says it is.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
