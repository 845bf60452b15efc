//! The paths of the server, and its answers.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use message_ladder::Watch;

use crate::figures::Figures;
use crate::viewers::{Connection, MAX_VIEWERS, Viewers};
use crate::{events, host, metrics};

/// Answers with what `figures` says and `watch` sees.
pub(crate) fn router(figures: Figures, watch: Watch) -> Router {
    let shown = Shown { figures: Arc::new(figures), watch, viewers: Viewers::new() };
    let mut page = Router::new().route("/events", get(events));
    for (path, content_type, text) in PAGE {
        page = page.route(path, get(move || async move { ([(CONTENT_TYPE, content_type)], text) }));
    }
    page.route_layer(middleware::from_fn(by_address_only))
        .route("/metrics", get(metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(with_common_headers))
        .with_state(Arc::new(shown))
}

/// The sources of the pages.
struct Shown {
    figures: Arc<Figures>,
    watch: Watch,
    viewers: Viewers,
}

async fn events(State(shown): State<Arc<Shown>>, Extension(connection): Extension<Connection>) -> Response {
    let Some(viewer) = shown.viewers.admit(&connection) else {
        let full = format!("{MAX_VIEWERS} watch this node already, and no more can: try again later");
        return words(StatusCode::SERVICE_UNAVAILABLE, full);
    };
    let events = events::events(&shown.watch, Arc::clone(&shown.figures), viewer);
    ([(CONTENT_TYPE, events::CONTENT_TYPE)], Body::from_stream(events)).into_response()
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    match shown.figures.status().await {
        Ok(status) => {
            let lost = shown.figures.log_lines_lost.as_ref().map(|lost| lost());
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&status, lost)).into_response()
        }
        Err(unknown) => words(StatusCode::SERVICE_UNAVAILABLE, unknown),
    }
}

/// Refuses a name as the host: the messages are for those alone who can reach the listener, not for pages of others in
/// their browsers. Those at /metrics name nobody, and a Prometheus may know this host by name.
async fn by_address_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(host::is_address) {
        return next.run(request).await;
    }
    let hint = "this page is shown to those who come by an IP address or localhost, not by another name";
    words(StatusCode::MISDIRECTED_REQUEST, hint)
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

/// Adds the headers of all answers: each is of this moment, and of the type that it says.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OWN_ONLY));
    response
}

/// The page: the path, what it is, its text.
const PAGE: [(&str, &str, &str); 9] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", JAVASCRIPT, include_str!("page/page.js")),
    ("/dom.js", JAVASCRIPT, include_str!("page/dom.js")),
    ("/ladder.js", JAVASCRIPT, include_str!("page/ladder.js")),
    ("/lanes.js", JAVASCRIPT, include_str!("page/lanes.js")),
    ("/rows.js", JAVASCRIPT, include_str!("page/rows.js")),
    ("/users.js", JAVASCRIPT, include_str!("page/users.js")),
    ("/plots.js", JAVASCRIPT, include_str!("page/plots.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A page has what is here and nothing else, whatever gets into it: no script or style in the text, nothing from
/// elsewhere and nothing to there, and it is in no frame.
const OWN_ONLY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
