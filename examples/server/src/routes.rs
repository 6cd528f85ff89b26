//! The routes and their handlers.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use sqlx::PgPool;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::database::{self, Item};
use crate::lifecycle::Phase;
use crate::metrics::{self, Metrics};

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub database: PgPool,
    pub metrics: Metrics,
    pub phase: Phase,
}

/// Returns all routes. A request that takes longer than `request_timeout` is answered with 503.
pub fn router(state: AppState, request_timeout: Duration) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let items = Router::new()
        .route("/items", post(create_item))
        .route("/items/{id}", get(read_item))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, request_timeout))
        .layer(trace);
    // Probes come every few seconds, and are not worth a line in the log.
    let probes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics_page));
    let count = middleware::from_fn_with_state(state.metrics.clone(), metrics::count_request);
    items.merge(probes).layer(count).with_state(state)
}

#[derive(Deserialize)]
struct NewItem {
    name: String,
}

async fn create_item(
    State(state): State<AppState>,
    Json(new): Json<NewItem>,
) -> Result<(StatusCode, Json<Item>), RequestError> {
    let item = database::insert_item(&state.database, &new.name).await?;
    Ok((StatusCode::CREATED, Json(item)))
}

async fn read_item(State(state): State<AppState>, Path(id): Path<i64>) -> Result<Json<Item>, RequestError> {
    let item = database::find_item(&state.database, id).await?;
    item.map(Json).ok_or(RequestError::NotFound)
}

/// Returns 503 from the signal on that ends the server. The database is not asked: if it is down,
/// it is down for each server, and a load balancer without servers helps no client.
async fn readiness(State(state): State<AppState>) -> (StatusCode, &'static str) {
    let status = if state.phase.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, state.phase.name())
}

async fn metrics_page(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.page())
}

/// Why a request is answered with an error.
enum RequestError {
    NotFound,
    Database(sqlx::Error),
}

impl From<sqlx::Error> for RequestError {
    fn from(error: sqlx::Error) -> RequestError {
        RequestError::Database(error)
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        match self {
            RequestError::NotFound => StatusCode::NOT_FOUND,
            RequestError::Database(error @ sqlx::Error::PoolTimedOut) => {
                tracing::warn!(%error, "no connection to the database was free");
                StatusCode::SERVICE_UNAVAILABLE
            }
            // The client gets no details.
            RequestError::Database(error) => {
                tracing::error!(%error, "a query failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
        .into_response()
    }
}
