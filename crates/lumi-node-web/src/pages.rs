//! The paths of the server, and its answers.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use message_ladder::Watch;

use crate::figures::{Count, Figures};
use crate::metrics::Lost;
use crate::viewers::{Connection, MAX_VIEWERS, Viewers};
use crate::{events, host, metrics};

/// Answers with what `figures` says and `watch` sees.
pub(crate) fn router(figures: Figures, watch: Watch) -> Router {
    let shown = Shown { figures: Arc::new(figures), watch, viewers: Viewers::new() };
    let mut page = Router::new().route("/events", get(events));
    for (path, content_type, text) in PAGE {
        page = page.route(path, get(move || async move { ([(CONTENT_TYPE, content_type)], text) }));
    }
    page.route_layer(middleware::from_fn(for_own_pages_only))
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
        return ([(RETRY_AFTER, VIEWER_PAUSE)], words(StatusCode::SERVICE_UNAVAILABLE, full)).into_response();
    };
    let events = events::events(&shown.watch, Arc::clone(&shown.figures), viewer);
    ([(CONTENT_TYPE, events::CONTENT_TYPE)], Body::from_stream(events)).into_response()
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    match shown.figures.status().await {
        Ok(status) => {
            let count = |lost: &Option<Count>| lost.as_ref().map(|lost| lost());
            let lost = Lost {
                log_lines: count(&shown.figures.log_lines_lost),
                diagnostics: count(&shown.figures.diagnostics_lost),
            };
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&status, lost)).into_response()
        }
        Err(unknown) => words(StatusCode::SERVICE_UNAVAILABLE, unknown),
    }
}

/// Refuses a name as the host, and requests of pages from elsewhere: the messages are only for people that
/// can reach the listener, not for pages of others in their browsers, which could not read them but could
/// take the places of viewers. The figures at /metrics name nobody, and a Prometheus may know this host by
/// name.
async fn for_own_pages_only(request: Request, next: Next) -> Response {
    match hint_for_others(request.headers()) {
        Some(hint) => words(StatusCode::MISDIRECTED_REQUEST, hint),
        None => next.run(request).await,
    }
}

/// Returns the hint for a visitor that must not see the page.
fn hint_for_others(headers: &HeaderMap) -> Option<&'static str> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    if !host::is_address(&host) {
        return Some(
            "this page is shown to those who come by an IP address or localhost, not by another name",
        );
    }
    // A browser names the site of the page that asks: none if the address was typed. Other programs send no
    // such header.
    let is_own_site = |site: String| matches!(&*site, "same-origin" | "none");
    let is_own = headers.get("sec-fetch-site").map(text).is_none_or(is_own_site)
        && headers.get(ORIGIN).map(text).is_none_or(|origin| host::is_origin(&origin, &host));
    (!is_own).then_some("this page is not shown to pages of others: type its address")
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
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
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

/// The seconds after which a page for which there is no place asks again: a place may be free by then, and
/// pages that ask cost next to nothing.
const VIEWER_PAUSE: &str = "30";

/// A page has what is here and nothing else, whatever gets into it: no script or style in the text, nothing
/// from elsewhere and nothing to there, and it is in no frame.
const OWN_ONLY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
